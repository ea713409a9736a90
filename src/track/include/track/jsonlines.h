// JSON Lines files that survive a kill: each line is written by one write(), and a half line at the end is
// cut on opening. Every line is an object with the "step" it belongs to.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stdint.h>

struct JsonWriter; // io/json_write.h

typedef struct JsonLines JsonLines;
/// Opens for appending. keep_below ≥ 0: lines whose "step" is ≥ it are dropped first (resuming); < 0: starts
/// empty. STATUS_INPUT where a whole line is not a JSON object with a "step"; STATUS_FAILED with the system's
/// reason.
STATUS_CHECKED Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out);
/// The step of the last line that opening kept; −1 where none was.
int64_t jsonlines_last_step(const JsonLines *lines);
/// Finishes `json`, whose layout must be JSON_COMPACT or JSON_SPACED, and writes it as a line. A failure of
/// the writer is returned here; a line that does not fit the disk leaves no part of itself.
STATUS_CHECKED Status jsonlines_write(JsonLines *lines, struct JsonWriter *json);
/// Waits until all lines are on the disk.
STATUS_CHECKED Status jsonlines_sync(JsonLines *lines);
/// Safe on NULL.
void jsonlines_close(JsonLines *lines);
