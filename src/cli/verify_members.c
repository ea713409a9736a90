// The members of eval's results that no figure follows from. Rule: what eval does not write is not passed
// over, as people and programs read the whole file.
#include "provenance.h"
#include "verify.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

// What eval_report.c and provenance.c write.
static const char *const RESULT[] = {
    "format", "tasks",  "items", "program", "model_path", "adapter_path", "sha256",  "model_constants",
    "device", "config", "limit", "data",    "sampling",   "finished",     "seconds", NULL};
static const char *const TASK[] = {"metrics", "argument", "items", "items_sha256", "data", "limits", NULL};
static const char *const METRIC[] = {"value", "low", "high", "n", NULL};
static const char *const DATA_FILE[] = {"what", "path", "built_in", "sha256", NULL};

/// Members of the result that are objects themselves.
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

/// Appends a line for each member of `object` that is none of `known`. Where a list was put in place of an
/// object, what is in it has no name, and place may be NULL.
static Status name_unknown(const cJSON *object, const char *place, const char *const *known, Str *out) {
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    size_t i = 0;
    while (known[i] != NULL && (member->string == NULL || strcmp(known[i], member->string) != 0)) i++;
    if (known[i] == NULL)
      TRY(str_append_format(out, "%.100s: \"%.100s\" is nothing that eval writes\n",
                            place != NULL ? place : "", member->string != NULL ? member->string : ""));
  }
  return STATUS_OK;
}

static Status name_unknown_of_task(const cJSON *task, Str *out) {
  const cJSON *part = NULL;
  TRY(name_unknown(task, task->string, TASK, out));
  cJSON_ArrayForEach(part, member_of(task, "metrics")) TRY(name_unknown(part, part->string, METRIC, out));
  cJSON_ArrayForEach(part, member_of(task, "data")) TRY(name_unknown(part, "data", DATA_FILE, out));
  return STATUS_OK;
}

static Status name_all_unknown(const cJSON *json, Str *out) {
  const cJSON *part = NULL;
  TRY(name_unknown(json, "the result", RESULT, out));
  for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
    TRY(name_unknown(member_of(json, PARTS[i].key), PARTS[i].key, PARTS[i].members, out));
  cJSON_ArrayForEach(part, member_of(json, "data")) TRY(name_unknown(part, "data", DATA_FILE, out));
  cJSON_ArrayForEach(part, member_of(json, "tasks")) TRY(name_unknown_of_task(part, out));
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

static Status compare_times(const cJSON *json, Str *out) {
  const cJSON *seconds = member_of(json, "seconds");
  if (!cJSON_IsNumber(seconds) || seconds->valuedouble < 0)
    TRY(str_append_text(out, "\"seconds\" is no number of seconds\n"));
  if (!is_time(cJSON_GetStringValue(member_of(json, "finished"))))
    TRY(str_append_text(out, "\"finished\" is no time\n"));
  return STATUS_OK;
}

Status verify_members(const Results *results, Findings *findings) {
  Str differences = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(name_all_unknown(results->json, &differences));
  TRY_CLEAN(compare_times(results->json, &differences));
  TRY_CLEAN(finding_lines(findings, "the members", &differences, "eval writes each of them"));
cleanup:
  str_free(&differences);
  return status;
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
