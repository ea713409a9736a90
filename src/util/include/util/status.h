// Errors as values. Every function that can fail returns a Status; the text of the last failure is kept per
// thread until the next one. Only the `cli` room turns a Status into an exit code or prints it.
#pragma once

typedef enum Status {
  STATUS_OK = 0,
  STATUS_INPUT = 2,         // wrong use or wrong input: the user can mend it (exit code 2)
  STATUS_FAILED = 1,        // failed while running: disk, memory, device, numbers (exit code 1)
  STATUS_INTERRUPTED = 130, // stopped by the user, everything saved (exit code 130)
} Status;

#define STATUS_CHECKED __attribute__((warn_unused_result))

/// Records a message and returns `code`. The message is one line, says what was found and what to do, and
/// names the file, key or device; it carries no trailing newline. Longer than 1023 bytes is cut; control
/// characters, which names out of files may hold, become '?'.
Status status_fail(Status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Puts "context: " in front of the current message and returns `code` unchanged; does nothing on STATUS_OK.
Status status_context(Status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// The message of this thread's last failure; never NULL; valid until the next failure on this thread.
const char *status_message(void);

/// Returns from the calling function with the failure of `call`.
#define TRY(call)                                                                                            \
  do {                                                                                                       \
    Status try_status_ = (call);                                                                             \
    if (try_status_ != STATUS_OK) return try_status_;                                                        \
  } while (0)

/// For functions that own something: stores the failure in the local `status` and jumps to `cleanup:`.
#define TRY_CLEAN(call)                                                                                      \
  do {                                                                                                       \
    status = (call);                                                                                         \
    if (status != STATUS_OK) goto cleanup;                                                                   \
  } while (0)
