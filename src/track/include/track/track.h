// What a run tells: a live line on a terminal, metrics.jsonl and samples.jsonl.
#pragma once

#include "util/status.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct JsonWriter; // io/json_write.h

/// A progress line: label, bar, count, time left. On a terminal it is redrawn in place at most 10 times a second, cut to the
/// terminal's width; elsewhere a line is written every few seconds and at the end. Colour where the terminal has it and
/// NO_COLOR is unset. `stream` NULL is silent.
typedef struct Progress Progress;
STATUS_CHECKED Status progress_create(FILE *stream, const char *label, uint64_t total, Progress **out);
/// `done` of the total; the first call sets where time is counted from (a resumed run begins in the middle).
void progress_update(Progress *progress, uint64_t done);
/// The same, with a line about it that stays: above the live line on a terminal, as a line of its own elsewhere.
void progress_line(Progress *progress, uint64_t done, const char *text);
/// What is going on now, drawn in the label's place; on terminals only.
void progress_phase(Progress *progress, const char *phase);
/// Takes the line off a terminal, so that others can write; the next update draws it again. Safe on NULL.
void progress_clear(Progress *progress);
/// Ends the line. Safe on NULL.
void progress_free(Progress *progress);

/// A JSON Lines file that survives a kill: each line is written by one write() and a half line at the end is cut on opening.
typedef struct JsonLines JsonLines;
/// Opens for appending. keep_below ≥ 0: lines whose "step" is ≥ it are dropped first (resuming); < 0: starts empty.
/// STATUS_INPUT where a whole line is not a JSON object with a "step"; STATUS_FAILED with the system's reason.
STATUS_CHECKED Status jsonlines_open(const char *path, int64_t keep_below, JsonLines **out);
/// Finishes `json`, whose layout must be JSON_COMPACT or JSON_SPACED, and writes it as a line. A failure of the
/// writer is returned here; a line that does not fit the disk leaves no part of itself.
STATUS_CHECKED Status jsonlines_write(JsonLines *lines, struct JsonWriter *json);
/// Waits until all lines are on the disk.
STATUS_CHECKED Status jsonlines_sync(JsonLines *lines);
/// Safe on NULL.
void jsonlines_close(JsonLines *lines);

/// *out = 12.3 MB, 1.20 GB (powers of 1000, three digits), and 1 min 05 s, 12 s, in static-free caller memory of 32 bytes.
void format_bytes(char out[32], uint64_t bytes);
void format_duration(char out[32], double seconds);
