// What gee-cl verify found: of everything whether it is right, wrong or could not be checked. Rule: a check
// that fails is a finding and no error, so that the next check follows; an error is what ends the
// verification itself.
#pragma once

#include "cli.h"
#include "eval/gap_record.h"
#include "eval/results.h"
#include "io/json.h"

typedef struct Findings {
  Str text; // a line each
  size_t right, wrong, unchecked;
} Findings;

STATUS_CHECKED Status finding_right(Findings *findings, const char *what, const char *detail);
STATUS_CHECKED Status finding_wrong(Findings *findings, const char *what, const char *detail);
STATUS_CHECKED Status finding_unchecked(Findings *findings, const char *what, const char *why);
/// A wrong finding for each line of `differences`; without any, a right one with the detail. Changes the
/// lines.
STATUS_CHECKED Status finding_lines(Findings *findings, const char *what, Str *differences,
                                    const char *detail);

/// The SHA-256 of a file; either may be NULL, which is then not checked.
STATUS_CHECKED Status verify_file(const char *path, const char *sha256, Findings *findings);
/// The members of "data": files, and what is built into the program.
STATUS_CHECKED Status verify_data(const cJSON *json, Findings *findings);
/// The model and its tokenizer that `json` (provenance.h) names.
STATUS_CHECKED Status verify_model(const cJSON *json, Findings *findings);
/// What `json` (provenance.h) says of settings, by the config in it.
STATUS_CHECKED Status verify_settings(const cJSON *json, Findings *findings);
/// The files of an adapter in `folder`, by the hashes in "sha256" of `json`.
STATUS_CHECKED Status verify_adapter(const cJSON *json, const char *folder, Findings *findings);

/// The config in `json` (provenance.h), which config_free frees in any case. STATUS_INPUT if there is none,
/// or it is not understood.
STATUS_CHECKED Status verify_read_config(const cJSON *json, Config *out);
/// Whether the results have every task that their config asks for, and the items of each are those that the
/// config and the data give, as far as these are here.
STATUS_CHECKED Status verify_items(const Results *results, Findings *findings);

// Whether the command writes such members, and times that are some: eval, gap (whose figures are compared
// with those made again, where they were), and train its run.json.
STATUS_CHECKED Status verify_members(const Results *results, Findings *findings);
STATUS_CHECKED Status verify_gap_members(const GapRecord *record, Findings *findings);
STATUS_CHECKED Status verify_run_members(const cJSON *record, Findings *findings);
/// Whether "limits" of a task is the text that the program prints with it.
STATUS_CHECKED Status verify_limits(const Results *results, const ResultTask *task, Findings *findings);
/// Names what has no file in its "data".
STATUS_CHECKED Status verify_has_data(const cJSON *json, const char *what, Findings *findings);
/// Names each file of the task, opened again, whose hash is not in "data".
STATUS_CHECKED Status verify_has_hashes(const ResultTask *task, const Evaluation *benchmark,
                                        Findings *findings);

/// Whether the items of a gap are of the sets that the config and the data give, every one of them. `record`
/// is what gap_record_open read; items_path NULL: there are none.
STATUS_CHECKED Status verify_sets(const GapRecord *record, Findings *findings);

// What each command wrote. STATUS_INPUT if it cannot be read as such.
STATUS_CHECKED Status verify_results(const char *path, const char *items, Findings *findings);
STATUS_CHECKED Status verify_gap(const char *path, const char *items, Findings *findings);
STATUS_CHECKED Status verify_run(const char *folder, Findings *findings);
/// metrics.jsonl in the folder of a run, whose last session is `session` (NULL: not known).
STATUS_CHECKED Status verify_metrics(const char *folder, const cJSON *session, Findings *findings);
