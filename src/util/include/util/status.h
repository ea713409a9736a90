// Errors as values. Every function that can fail returns a Status. Each thread keeps the message of its last
// failure until the next one. Only the `cli` room prints a message or turns a Status into an exit code.
#pragma once

typedef enum Status {
  STATUS_OK = 0,
  STATUS_INPUT = 2,         // wrong use or wrong input, which the user can correct (exit code 2)
  STATUS_FAILED = 1,        // failed while running: disk, memory, device, numbers (exit code 1)
  STATUS_INTERRUPTED = 130, // stopped by the user, everything saved (exit code 130)
} Status;

#define STATUS_CHECKED __attribute__((warn_unused_result))

/// Records a message and returns `code`. A message is one line without a newline. It names the file, key or
/// device, and says what was found and what to do. It is cut at 1023 bytes. Control characters, which names
/// from files may contain, become '?'.
Status status_fail(Status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/// Puts "context: " before the current message and returns `code`. Does nothing on STATUS_OK.
Status status_context(Status code, const char *format, ...) __attribute__((format(printf, 2, 3)));

#ifdef __clang_analyzer__ // it does not see into status.c, and would take a failure for a possible STATUS_OK
#define status_fail(code, ...)    ((void)status_fail((code), __VA_ARGS__), (code))
#define status_context(code, ...) ((void)status_context((code), __VA_ARGS__), (code))
#endif

/// The message of this thread's last failure; never NULL; valid until the next failure on this thread.
const char *status_message(void);

/// Returns from the calling function with the failure of `call`.
#define TRY(call)                                                                                            \
  do {                                                                                                       \
    Status try_status_ = (call);                                                                             \
    if (try_status_ != STATUS_OK) return try_status_;                                                        \
  } while (0)

/// For functions that own something: stores the result of `call` in the local `status` and jumps to
/// `cleanup:` on failure.
#define TRY_CLEAN(call)                                                                                      \
  do {                                                                                                       \
    status = (call);                                                                                         \
    if (status != STATUS_OK) goto cleanup;                                                                   \
  } while (0)
