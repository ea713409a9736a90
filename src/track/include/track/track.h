// What a run tells: a live line on a terminal, metrics.jsonl and samples.jsonl.
#pragma once

#include "util/status.h"
#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/// A progress line: bar, count, time left, and a short text. On a terminal it is redrawn in place at most 10 times a second;
/// elsewhere a line is written every few seconds. `stream` NULL is silent.
typedef struct Progress Progress;
STATUS_CHECKED Status progress_create(FILE *stream, const char *label, uint64_t total, Progress **out);
void progress_update(Progress *progress, uint64_t done, const char *text);
/// Ends the line. Safe on NULL.
void progress_free(Progress *progress);

/// A JSON Lines file that survives a kill: each line is written by one write() and a half line at the end is cut on opening.
typedef struct JsonLines JsonLines;
/// Opens for appending. keep_below ≥ 0: lines whose "step" is ≥ it are dropped first (resuming); < 0: starts empty.
STATUS_CHECKED Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out);
/// Writes `object` and deletes it.
STATUS_CHECKED Status jsonlines_write(JsonLines *lines, cJSON *object);
void jsonlines_close(JsonLines *lines);
/// *out = 12.3 MB, 1.20 GB (powers of 1000), and 1 min 05 s, 12 s, in static-free caller memory of 32 bytes.
void format_bytes(char out[32], uint64_t bytes);
void format_duration(char out[32], double seconds);
