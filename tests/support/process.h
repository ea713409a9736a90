// Runs build/gee-cl as a user does. Rule: tests see only what a user sees: exit code, stdout, stderr and
// files.
#pragma once

#include "support/test.h"
#include <sys/types.h>

/// What a run left; valid until two more runs have ended.
typedef struct Ran {
  int code; // exit code, or −signal
  const char *out, *err;
} Ran;

/// Runs "gee-cl" with `words` (NULL-ended). run_words waits for the end; between start_words and finish_run
/// the test can do something.
Ran run_words(const char *const *words);
pid_t start_words(const char *const *words);
Ran finish_run(pid_t pid);
/// The file that the run started last writes its stdout to.
const char *started_output(void);

/// Runs "gee-cl" with a terminal as its stdout or, of `errors`, as its stderr, whose bytes are `out` or
/// `err`. Skips the test where none can be opened.
Ran terminal_words(const char *const *words, bool errors);

#define GEE(...)          run_words((const char *const[]){__VA_ARGS__, NULL})
#define TERMINAL_GEE(...) terminal_words((const char *const[]){__VA_ARGS__, NULL}, false)
#define TERMINAL_ERR(...) terminal_words((const char *const[]){__VA_ARGS__, NULL}, true)
#define START_GEE(...)    start_words((const char *const[]){__VA_ARGS__, NULL})

/// Makes later runs start `path` instead of build/gee-cl; `path` is borrowed.
void use_binary(const char *path);
/// Limits the size of files that later runs can write, like a full disk; 0: no limit.
void limit_file_size(size_t bytes);

/// Fails unless the run ended with `code`.
void assert_code(Ran ran, int code);
/// Fails unless the run ended with `code` and stderr is one line, "gee-cl: error: …", that contains every
/// part (NULL-ended).
void assert_error(Ran ran, int code, const char *const *parts);
#define ASSERT_ERROR(ran, code, ...) assert_error((ran), (code), (const char *const[]){__VA_ARGS__, NULL})

/// "folder/name" in static memory; the last 256 results stay valid.
const char *in_folder(const char *folder, const char *name);
/// Writes a file of `size` bytes, or fails the test.
void write_file(const char *path, const void *bytes, size_t size);
void write_text(const char *path, const char *text);
/// The contents of a file; the caller frees them. `size` may be NULL.
char *read_file(const char *path, size_t *size);
/// Fails unless the files hold the same bytes.
void assert_same_file(const char *a, const char *b);
/// Waits up to `seconds` until a file has at least `lines` line ends.
bool wait_for_lines(const char *path, size_t lines, double seconds);
/// Copies a file of the folder with the first `from` in it, which must be there, replaced by `to`.
void copy_changed(const char *folder, const char *name, const char *copy, const char *from, const char *to);
