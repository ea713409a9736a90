// run.json: what a run was made with, from and when. Each start of the run has a session; a resume adds one
// and changes none of those before it.
//
//   {"format": "gee-cl run 1", "sessions": [{what TrainJob.provenance has, "from_step", "started",
//     and once it ended: "finished", "seconds", "ended", "message" of a failure or an interruption, "step",
//     "files"}]}
//
// "files" has the SHA-256 of each file of the run that no trainer_state.json binds, as it was left. A session
// without "ended" was killed, or still runs.
#pragma once

#include "io/json.h"
#include "train/train.h"
#include "util/clock.h"

/// Zero-initialise; free with run_record_free.
typedef struct RunRecord {
  const char *folder; // of the run, borrowed; NULL: no record was begun
  cJSON *earlier;     // run.json as it was; NULL: there was none
  cJSON *facts;
  size_t from_step;
  char started[CLOCK_TEXT];
  double start; // clock_seconds
} RunRecord;

/// Reads the sessions that a resumed run keeps. STATUS_INPUT if its run.json cannot be
/// read.
STATUS_CHECKED Status run_record_read(RunRecord *record, const TrainJob *job, const char *folder);
/// Writes run.json with a session that begins after `step` steps, behind those that were read;
/// none without job->provenance.
STATUS_CHECKED Status run_record_begin(RunRecord *record, const TrainJob *job, const char *folder,
                                       size_t step);
/// Completes the session, if one was begun. `status` is that of the run, and is returned with its message
/// unless it was STATUS_OK and run.json cannot be written; `end` is how a run ended well.
STATUS_CHECKED Status run_record_end(RunRecord *record, TrainEnd end, size_t step, Status status);
/// Safe on a zeroed struct and twice.
void run_record_free(RunRecord *record);
