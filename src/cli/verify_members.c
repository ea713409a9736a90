// The members of what eval, gap and train wrote that no figure follows from. Rule: what a command does not
// write is not passed over, as people and programs read the whole file.
#include "provenance.h"
#include "verify.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// What provenance.c writes for every command.
#define PROVENANCE                                                                                           \
  "format", "program", "model_path", "adapter_path", "sha256", "model_constants", "device", "config", "data"
// What eval_report.c adds.
static const char *const RESULT[] = {PROVENANCE, "tasks",    "items",   "limit",
                                     "sampling", "finished", "seconds", NULL};
static const char *const TASK[] = {"metrics", "argument", "items", "items_sha256", "data", "limits", NULL};
static const char *const METRIC[] = {"value", "low", "high", "n", NULL};
// What cmd_gap.c adds: of the whole, and of each model.
#define GAP_MODEL                                                                                            \
  "total", "paired", "H_bar", "sets", "distinct_sets", "answers", "tokens", "kl", "void", "change",          \
      "trained_on", "first_step_H", "plan", "change_plan"
static const char *const GAP[] = {PROVENANCE, "sampling", "max_drift", "started", "finished", "seconds",
                                  "items",    "base",     "adapters",  GAP_MODEL, NULL};
static const char *const BASE[] = {GAP_MODEL, NULL};
static const char *const ADAPTER[] = {"adapter", "sha256", GAP_MODEL, NULL};
// What train/run_record.c adds: of the whole, and of each session.
static const char *const RUN[] = {"format", "sessions", NULL};
static const char *const SESSION[] = {PROVENANCE, "seed",    "from_step", "started", "finished", "seconds",
                                      "ended",    "message", "step",      "files",   NULL};
static const char *const DATA_FILE[] = {"what", "path", "built_in", "sha256", NULL};

/// Members that are objects themselves, in whatever they stand.
static const struct {
  const char *key, *members[10];
} PARTS[] = {{"items", {"path", "sha256"}},
             {"program", {"version", "revision"}},
             {"sha256", {"model", "tokenizer", "dtype", "quantised", "compute", "adapter_config", "adapter"}},
             {"device", {"name", "platform", "driver", "gemm", "products"}},
             {"sampling",
              {"answers", "max_new_tokens", "temperature", "top_p", "top_k", "repetition_penalty",
               "entropy_temperature", "seed"}}};

static const cJSON *member_of(const cJSON *json, const char *key) {
  return cJSON_GetObjectItemCaseSensitive(json, key);
}

/// What is compared: the command that wrote it, and the lines so far.
typedef struct Members {
  const char *command;
  Str differences;
} Members;

/// Appends a line for each member of `object` that is none of `known`. Where a list was put in place of an
/// object, what is in it has no name, and place may be NULL.
static Status name_unknown(Members *m, const cJSON *object, const char *place, const char *const *known) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    size_t i = 0;
    while (known[i] != NULL && (member->string == NULL || strcmp(known[i], member->string) != 0)) i++;
    if (known[i] == NULL)
      TRY(str_append_format(&m->differences, "%.100s: \"%.100s\" is nothing that %s writes\n",
                            place != NULL ? place : "", member->string != NULL ? member->string : "",
                            m->command));
  }
  return STATUS_OK;
}

/// Of an object that says what it was made with.
static Status name_unknown_of_facts(Members *m, const cJSON *json, const char *place,
                                    const char *const *known) {
  const cJSON *file = NULL;
  TRY(name_unknown(m, json, place, known));
  for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
    TRY(name_unknown(m, member_of(json, PARTS[i].key), PARTS[i].key, PARTS[i].members));
  cJSON_ArrayForEach(file, member_of(json, "data")) TRY(name_unknown(m, file, "data", DATA_FILE));
  return STATUS_OK;
}

// ---- times ----

/// Whether a text is a time as clock_utc writes it.
static bool is_time(const char *text) {
  static const char form[] = "dddd-dd-ddTdd:dd:ddZ";
  if (text == NULL || strlen(text) != strlen(form)) return false;
  for (size_t i = 0; form[i] != '\0'; i++)
    if (form[i] == 'd' ? !isdigit((unsigned char)text[i]) : form[i] != text[i]) return false;
  long month = strtol(text + 5, NULL, 10), day = strtol(text + 8, NULL, 10);
  return month >= 1 && month <= 12 && day >= 1 && day <= 31 && strtol(text + 11, NULL, 10) < 24 &&
         strtol(text + 14, NULL, 10) < 60 && strtol(text + 17, NULL, 10) <= 60;
}

/// `key` must be a time; where it `may_lack`, it need not be there.
static Status compare_time(Members *m, const cJSON *json, const char *key, bool may_lack) {
  const cJSON *time = member_of(json, key);
  if ((may_lack && time == NULL) || is_time(cJSON_GetStringValue(time))) return STATUS_OK;
  return str_append_format(&m->differences, "\"%s\" is no time\n", key);
}

static Status compare_seconds(Members *m, const cJSON *json, bool may_lack) {
  const cJSON *seconds = member_of(json, "seconds");
  if ((may_lack && seconds == NULL) || (cJSON_IsNumber(seconds) && seconds->valuedouble >= 0))
    return STATUS_OK;
  return str_append_text(&m->differences, "\"seconds\" is no number of seconds\n");
}

// ---- of each command ----

/// Ends what a command's comparison found. Frees the lines.
static Status finish(Members *m, Status status, Findings *findings) {
  char detail[64];
  (void)snprintf(detail, sizeof detail, "%s writes each of them", m->command);
  if (status == STATUS_OK) status = finding_lines(findings, "the members", &m->differences, detail);
  str_free(&m->differences);
  return status;
}

static Status compare_task(Members *m, const cJSON *task) {
  const cJSON *part = NULL;
  TRY(name_unknown(m, task, task->string, TASK));
  cJSON_ArrayForEach(part, member_of(task, "metrics")) TRY(name_unknown(m, part, part->string, METRIC));
  cJSON_ArrayForEach(part, member_of(task, "data")) TRY(name_unknown(m, part, "data", DATA_FILE));
  return STATUS_OK;
}

static Status compare_results(Members *m, const cJSON *json) {
  const cJSON *task = NULL;
  TRY(name_unknown_of_facts(m, json, "the result", RESULT));
  cJSON_ArrayForEach(task, member_of(json, "tasks")) TRY(compare_task(m, task));
  TRY(compare_seconds(m, json, false));
  return compare_time(m, json, "finished", false);
}

Status verify_members(const Results *results, Findings *findings) {
  Members m = {.command = "eval"};
  return finish(&m, compare_results(&m, results->json), findings);
}

static Status compare_gap(Members *m, const GapRecord *record) {
  const cJSON *json = record->json, *adapter = NULL;
  TRY(name_unknown_of_facts(m, json, "the gap", GAP));
  TRY(name_unknown(m, member_of(json, "base"), "base", BASE));
  cJSON_ArrayForEach(adapter, member_of(json, "adapters"))
      TRY(name_unknown_of_facts(m, adapter, "adapters", ADAPTER));
  TRY(compare_seconds(m, json, false));
  TRY(compare_time(m, json, "started", false));
  return compare_time(m, json, "finished", false);
}

Status verify_gap_members(const GapRecord *record, Findings *findings) {
  Members m = {.command = "gap"};
  return finish(&m, compare_gap(&m, record), findings);
}

/// A session that was killed, or still runs, has no end.
static Status compare_run(Members *m, const cJSON *record) {
  const cJSON *session = NULL;
  TRY(name_unknown(m, record, "the run", RUN));
  cJSON_ArrayForEach(session, member_of(record, "sessions")) {
    TRY(name_unknown_of_facts(m, session, "a session", SESSION));
    TRY(compare_seconds(m, session, true));
    TRY(compare_time(m, session, "started", false));
    TRY(compare_time(m, session, "finished", true));
  }
  return STATUS_OK;
}

Status verify_run_members(const cJSON *record, Findings *findings) {
  Members m = {.command = "train"};
  return finish(&m, compare_run(&m, record), findings);
}

// ---- of a task ----

/// Whether the result says that this very program wrote it.
static Status is_this_program(const cJSON *json, bool *out) {
  const cJSON *program = member_of(json, "program");
  const char *version = cJSON_GetStringValue(member_of(program, "version")),
             *revision = cJSON_GetStringValue(member_of(program, "revision"));
  char *text = NULL;
  *out = false;
  if (version == NULL || revision == NULL) return STATUS_OK;
  TRY(str_format(&text, "gee-cl %s %s", version, revision));
  *out = strcmp(text, provenance_program()) == 0;
  free(text);
  return STATUS_OK;
}

Status verify_limits(const Results *results, const ResultTask *task, Findings *findings) {
  const char *limits = cJSON_GetStringValue(member_of(task->json, "limits"));
  bool same = task->own != NULL; // its text is in its definition, whose hash is compared
  char what[128];
  (void)snprintf(what, sizeof what, "limits of %.100s", task->type->name);
  if (limits != NULL && strcmp(limits, task->type->limits) == 0)
    return finding_right(findings, what, "the text of the task");
  if (!same) TRY(is_this_program(results->json, &same));
  return same ? finding_wrong(findings, what, "they are not the text of the task")
              : finding_unchecked(findings, what,
                                  "they are not the text of this version of the program, and the result says "
                                  "that another one wrote it");
}

/// Whether a file of the data has this hash in the result.
static bool has_hash(const ResultTask *task, const char *sha256) {
  const cJSON *file = NULL;
  cJSON_ArrayForEach(file, member_of(task->json, "data")) {
    const char *said = cJSON_GetStringValue(member_of(file, "sha256"));
    if (said != NULL && strcmp(said, sha256) == 0) return true;
  }
  return false;
}

Status verify_has_hashes(const ResultTask *task, const Evaluation *benchmark, Findings *findings) {
  size_t count = 0;
  const BenchmarkFile *files = benchmark_files(benchmark, &count);
  for (size_t i = 0; i < count; i++)
    if (!has_hash(task, files[i].sha256))
      TRY(finding_unchecked(findings, files[i].path, "no hash of the data: the result does not have it"));
  return STATUS_OK;
}

Status verify_has_data(const cJSON *json, const char *what, Findings *findings) {
  return cJSON_GetArraySize(member_of(json, "data")) > 0
             ? STATUS_OK
             : finding_unchecked(findings, what, "no hash of the data is given");
}
