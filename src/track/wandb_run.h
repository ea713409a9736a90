// The file of a W&B offline run: begun, or gone on with by a resumed run.
#pragma once

#include "growing_file.h"
#include "track/tracker.h"
#include "util/str.h"
#include "wb_record.pb-c.h"

/// Zero-initialise; free with growing_close(&run.file).
typedef struct WandbRun {
  GrowingFile file;
  int64_t records, rows; // so far
  double started;        // Unix seconds: when it began, or would have begun without the breaks in between
} WandbRun;

/// Makes wandb/offline-run-<time>-<id>/run-<id>.wandb in the run's folder. A resumed run goes on with the
/// last one there, less the rows of first_step and later; a new run removes those there are.
STATUS_CHECKED Status wandb_run_open(const TrackedRun *run, WandbRun *out);
/// Appends the record to `out`, which is to be put at the file's end. Sets its number.
STATUS_CHECKED Status wandb_run_append(WandbRun *run, Str *out, Wb__Record *record);
/// Writes the record at the file's end. Sets its number.
STATUS_CHECKED Status wandb_run_write(WandbRun *run, Wb__Record *record);

/// Keys and values as JSON, in the form that records have.
typedef struct WandbItems {
  Wb__Item *items;
  Wb__Item **list; // the address of each
  size_t count;
} WandbItems;
/// Makes `count` empty items.
STATUS_CHECKED Status wandb_items_create(size_t count, WandbItems *out);
/// Safe on a zeroed struct.
void wandb_items_free(WandbItems *items);
