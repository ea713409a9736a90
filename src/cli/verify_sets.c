// The sets of a gap: whether its items are of the sets that the config and the data give, every one of them.
// Rule: the sets are made as gap makes them, so one that was left out is seen even where all figures and
// hashes were made to fit.
#include "io/file.h"
#include "util/memory.h"
#include "verify.h"

#include <stdlib.h>
#include <string.h>

typedef struct Sets {
  const Dataset *data;
  const char *path; // of the items
  Str differences;
  bool *there; // [data->sets]
} Sets;

/// *out = the prompt of a set for the group whose name is the member `key`.
static Status find_prompt(const Sets *sets, const cJSON *line, const char *key, const char *place,
                          const Prompt **out) {
  int64_t set = 0;
  const char *group = NULL;
  const Dataset *data = sets->data;
  TRY(json_get_integer(line, "set", place, 0, (int64_t)data->sets - 1, &set));
  TRY(json_get_string(line, key, place, &group));
  for (size_t p = data->set_start[set]; p < data->set_start[set + 1]; p++) {
    *out = &data->prompts[p];
    if (strcmp(groups_name(data->groups, (size_t)(*out)->group), group) == 0) {
      sets->there[set] = true;
      return STATUS_OK;
    }
  }
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%.60s\", which is no group of the data", place, key,
                     group);
}

static Status check_line(const Sets *sets, const cJSON *line, const char *place) {
  const Prompt *own = NULL, *under = NULL;
  const char *text = NULL;
  int64_t index = 0;
  TRY(find_prompt(sets, line, "answer_of", place, &own));
  TRY(find_prompt(sets, line, "read_under", place, &under));
  TRY(json_get_integer(line, "index", place, 0, INT64_MAX, &index));
  TRY(json_get_string(line, "prompt", place, &text));
  if (strcmp(text, under->text) != 0)
    return status_fail(STATUS_INPUT, "%s: \"prompt\" is not what the data say", place);
  if ((uint64_t)index != own->source)
    return status_fail(STATUS_INPUT, "%s: \"index\" is not what the data say", place);
  return STATUS_OK;
}

/// The first line that differs is enough.
static Status read_line(void *user, const char *text, size_t size, size_t number) {
  Sets *sets = user;
  char *place = NULL;
  cJSON *line = NULL;
  if (sets->differences.size > 0) return STATUS_OK;
  TRY(str_format(&place, "%s:%zu", sets->path, number));
  Status status = json_parse_with_nul(text, size, place, &line);
  if (status == STATUS_OK) status = check_line(sets, line, place);
  if (status == STATUS_INPUT) status = str_append_format(&sets->differences, "%s\n", status_message());
  cJSON_Delete(line);
  free(place);
  return status;
}

static Status compare_sets(const GapRecord *record, Sets *sets) {
  size_t missing = 0;
  TRY(mem_array(&sets->there, sets->data->sets, "sets"));
  TRY(file_lines(record->items_path, read_line, sets));
  for (size_t i = 0; i < sets->data->sets; i++) missing += !sets->there[i];
  if (sets->differences.size > 0 || missing == 0) return STATUS_OK;
  return str_append_format(&sets->differences, "%zu of the %zu sets that the data give are not there\n",
                           missing, sets->data->sets);
}

static Status check_sets(const GapRecord *record, const Dataset *data, Findings *findings) {
  Sets sets = {.data = data, .path = record->items_path};
  Str detail = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(compare_sets(record, &sets));
  TRY_CLEAN(str_append_format(&detail, "all %zu that config and data give", data->sets));
  TRY_CLEAN(finding_lines(findings, "the sets", &sets.differences, str_text(&detail)));
cleanup:
  free(sets.there);
  str_free(&sets.differences);
  str_free(&detail);
  return status;
}

/// The prompts to measure on, as gap makes them.
static Status make_sets(const GapRecord *record, Config *config, Runtime *runtime, Dataset *out) {
  TRY(verify_read_config(record->json, config));
  TRY(config_finish(config));
  TRY(runtime_open_files(runtime, config->model.path, config_quantise(config), config_chat(config)));
  TRY(config_dataset(config, runtime, true, out));
  return out->counterfactual ? STATUS_OK : status_fail(STATUS_INPUT, "the config makes no sets");
}

Status verify_sets(const GapRecord *record, Findings *findings) {
  Config config = {0};
  Runtime runtime = {0};
  Dataset data = {0};
  if (record->items_path == NULL) return STATUS_OK; // that is said already
  Status status = make_sets(record, &config, &runtime, &data);
  if (status == STATUS_OK)
    status = check_sets(record, &data, findings);
  else if (status == STATUS_INPUT)
    status = finding_unchecked(findings, "which sets the data give", status_message());
  dataset_free(&data);
  runtime_close(&runtime);
  config_free(&config);
  return status;
}
