// Running build/gee-cl as a user does, and looking at what it says. Rule: only the outside is looked at: exit
// code, stdout, stderr and files.
#pragma once

#include "support/test.h"
#include <sys/types.h>

/// What a run left behind; valid until the next two runs.
typedef struct Ran {
  int code; // exit code, or −signal
  const char *out, *err;
} Ran;

/// Words after "gee-cl", ended by NULL. The first form waits; start and finish do something meanwhile.
Ran run_words(const char *const *words);
pid_t start_words(const char *const *words);
Ran finish_run(pid_t pid);

#define GEE(...)       run_words((const char *const[]){__VA_ARGS__, NULL})
#define START_GEE(...) start_words((const char *const[]){__VA_ARGS__, NULL})

/// The program that later runs start, in place of build/gee-cl; `path` must stay.
void use_binary(const char *path);
/// Largest file that later runs may write, as a disk that is full; 0: no limit.
void limit_file_size(size_t bytes);

/// Fails unless the run ended with `code`.
void assert_code(Ran ran, int code);
/// Fails unless the run ended with `code` and stderr is one line, "gee-cl: error: …", that contains every
/// part (NULL-ended).
void assert_error(Ran ran, int code, const char *const *parts);
#define ASSERT_ERROR(ran, code, ...) assert_error((ran), (code), (const char *const[]){__VA_ARGS__, NULL})

/// "folder/name" in static memory, of which the last 256 stay.
const char *in_folder(const char *folder, const char *name);
/// Writes a file of `size` bytes; fails the test where it cannot.
void write_file(const char *path, const void *bytes, size_t size);
void write_text(const char *path, const char *text);
/// The whole of a file in fresh memory (free()); *size may be NULL.
char *read_file(const char *path, size_t *size);
/// Waits up to `seconds` for a file of at least `lines` line ends.
bool wait_for_lines(const char *path, size_t lines, double seconds);
