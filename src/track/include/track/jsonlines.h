// JSON Lines files that survive a kill: each line goes out in one write(), and opening cuts a partial line at
// the end. Every line is an object with the "step" it belongs to.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stdint.h>

struct JsonWriter; // io/json_write.h

typedef struct JsonLines JsonLines;
/// Opens a file for appending. keep_below ≥ 0: first drops the lines whose "step" is ≥ keep_below (resuming);
/// < 0: empties the file. STATUS_INPUT if a whole line is not a JSON object with a "step"; STATUS_FAILED with
/// the system's reason.
STATUS_CHECKED Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out);
/// The step of the last line that opening kept, or −1.
int64_t jsonlines_last_step(const JsonLines *lines);
/// Finishes `json`, whose layout must be JSON_COMPACT or JSON_SPACED, and appends it as a line. Returns any
/// earlier failure of the writer. If the disk is full, nothing of the line remains.
STATUS_CHECKED Status jsonlines_write(JsonLines *lines, struct JsonWriter *json);
/// Waits until all lines are on the disk.
STATUS_CHECKED Status jsonlines_sync(JsonLines *lines);
/// Safe on NULL.
void jsonlines_close(JsonLines *lines);
