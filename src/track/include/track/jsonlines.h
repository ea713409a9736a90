// JSON Lines files that survive a kill: each line goes out in one write(), and opening cuts a partial line at
// the end.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct JsonWriter; // io/json_write.h

typedef struct JsonLines JsonLines;
/// Opens a file for appending whose lines are objects with the "step" they belong to. keep_below ≥ 0: first
/// drops the lines whose "step" is ≥ keep_below (resuming);
/// < 0: empties the file. STATUS_INPUT if a whole line is not a JSON object with a "step"; STATUS_FAILED with
/// the system's reason.
STATUS_CHECKED Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out);
/// The step of the last line that opening kept, or −1.
int64_t jsonlines_last_step(const JsonLines *lines);
/// Called for each whole line of a file, in order; `number` counts from 1, and the line is without its end.
/// *keep is true, and may be set to false to drop the line. A failure should name the file and the line.
typedef Status (*JsonLinesReader)(void *user, size_t number, const char *line, size_t size, bool *keep);
/// Opens a file of any lines for appending, after `reader` has seen those that are there. A failure of it
/// leaves the file as it is.
STATUS_CHECKED Status jsonlines_open_read(const char *path, JsonLinesReader reader, void *user,
                                          JsonLines **out);
/// Appends a line, which has no line end yet. If the disk is full, nothing of it remains.
STATUS_CHECKED Status jsonlines_append(JsonLines *lines, const char *line, size_t size);
/// Finishes `json`, whose layout must be JSON_COMPACT or JSON_SPACED, and appends it as a line. Returns any
/// earlier failure of the writer.
STATUS_CHECKED Status jsonlines_write(JsonLines *lines, struct JsonWriter *json);
/// Waits until all lines are on the disk.
STATUS_CHECKED Status jsonlines_sync(JsonLines *lines);
/// Safe on NULL.
void jsonlines_close(JsonLines *lines);
