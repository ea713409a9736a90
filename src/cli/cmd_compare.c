// gee-cl compare: the results of models on the same items, side by side. Rule: what was not asked in the same
// way is not compared, and no value is called better than another by chance.
#include "comparison_report.h"
#include "util/log.h"
#include "util/memory.h"
#include "visible.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *format = "table", *output;
static TextList items;
static bool all_metrics;
static const Option options[] = {
    {"format", OPTION_TEXT, &format, "NAME", "table (default), json, csv or markdown.", 0, 0},
    {"items", OPTION_LIST, &items, "FILE",
     "The items of a result, not where it says; once for each result, in their order.", 0, 0},
    {"all-metrics", OPTION_FLAG, &all_metrics, NULL, "Show every metric in tables, also those of each part.",
     0, 0},
    {"output", OPTION_TEXT, &output, "FILE", "Write to this file; by default to the screen.", 0, 0},
    {0}};
static const Usage usage = {
    "compare", "Compare the benchmark results of models.", "BASE.json OTHER.json ...", options,
    "Shows the headline metrics of the tasks that all results have, and how each result differs from the "
    "first. The "
    "differences are taken item by item, so results need their items: gee-cl eval --output base.json --items "
    "base.jsonl. Results of other data, limits, settings or, where that matters, tokenizers are refused.\n\n"
    "A change has a 95 % interval and a p with Holm's correction over all metrics. A value is marked as the "
    "best only if the interval excludes that it is not, and only for metrics that have a better and a "
    "worse.\n\n"
    "  gee-cl compare base.json base.gee-final.json\n"
    "  gee-cl compare base.json gee.json prompt.json --format markdown --output table.md"};

typedef struct Comparing {
  TextList paths;
  Results results[TEXT_LIST_MAX];
  char *names[TEXT_LIST_MAX];
  Comparison comparison;
} Comparing;

static void comparing_close(Comparing *c) {
  comparison_free(&c->comparison);
  for (size_t i = 0; i < c->paths.count; i++) {
    results_free(&c->results[i]);
    free(c->names[i]);
  }
}

// ---- opening ----

/// *out = the file's name without .json, or its path if another has the same name.
static Status name_result(const Comparing *c, size_t index, bool whole, char **out) {
  const char *path = c->paths.items[index], *slash = strrchr(path, '/');
  if (!whole && slash != NULL) path = slash + 1;
  size_t size = strlen(path);
  if (!whole && size > 5 && str_ends(path, ".json")) size -= 5;
  return str_copy(out, path, size);
}

static Status name_results(Comparing *c) {
  bool whole = false;
  for (size_t i = 0; i < c->paths.count; i++) {
    TRY(name_result(c, i, false, &c->names[i]));
    for (size_t j = 0; j < i; j++) whole = whole || strcmp(c->names[i], c->names[j]) == 0;
  }
  for (size_t i = 0; i < c->paths.count && whole; i++) {
    free(c->names[i]);
    c->names[i] = NULL;
    TRY(name_result(c, i, true, &c->names[i]));
  }
  return STATUS_OK;
}

static Status open_results(Comparing *c) {
  if (items.count > 0 && items.count != c->paths.count)
    return status_fail(STATUS_INPUT, "there are %zu --items and %zu results; name one for each", items.count,
                       c->paths.count);
  TRY(args_check_twice(&c->paths));
  for (size_t i = 0; i < c->paths.count; i++) {
    TRY(results_open(c->paths.items[i], items.count > 0 ? items.items[i] : NULL, &c->results[i]));
  }
  return name_results(c);
}

// ---- what is said of them ----

static const char *text_at(const Results *results, const char *object, const char *key) {
  const cJSON *json = results->json;
  if (object != NULL) json = cJSON_GetObjectItemCaseSensitive(json, object);
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, key));
  return text != NULL ? text : "";
}

static bool same_text(const Results *a, const Results *b, const char *object, const char *key) {
  return strcmp(text_at(a, object, key), text_at(b, object, key)) == 0;
}

static const char *compute_of(const Results *results) {
  const char *compute = text_at(results, "sha256", "compute");
  return *compute != '\0' ? compute : "f32";
}

static bool same_model(const Results *a, const Results *b) {
  static const char *const keys[] = {"model",   "tokenizer", "dtype",         "quantised",
                                     "compute", "adapter",   "adapter_config"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
    if (!same_text(a, b, "sha256", keys[i])) return false;
  return true;
}

/// Says what is no reason to refuse, but what one should know.
static void note_pair(const Results *a, const Results *b) {
  if (same_model(a, b)) log_say(LOG_NOTE, "%s and %s are of the same model", a->path, b->path);
  if (!same_text(a, b, "sha256", "dtype"))
    log_say(LOG_NOTE, "%s keeps weights as %s, %s as %s", a->path, text_at(a, "sha256", "dtype"), b->path,
            text_at(b, "sha256", "dtype"));
  if (!same_text(a, b, "sha256", "compute"))
    log_say(LOG_NOTE, "%s was computed with model.compute = %s, %s with %s", a->path, compute_of(a), b->path,
            compute_of(b));
  if (!same_text(a, b, "program", "revision") || !same_text(a, b, "device", "name"))
    log_say(LOG_NOTE, "%s and %s were computed by other versions of gee-cl or on other devices", a->path,
            b->path);
}

static void note_tasks(const Comparing *c) {
  for (size_t i = 0; i < c->paths.count; i++)
    for (size_t t = 0; t < c->results[i].task_count; t++)
      for (size_t j = 0; j < c->paths.count; j++) {
        const char *task = c->results[i].tasks[t].type->name;
        if (results_task(&c->results[j], task) == NULL)
          log_say(LOG_NOTE, "%s is left out: %s has it, %s does not", task, c->paths.items[i],
                  c->paths.items[j]);
      }
  for (size_t i = 0; i < c->paths.count; i++) {
    if (!c->results[i].bound)
      log_say(LOG_NOTE, "%s does not say which items it was computed from; %s give its figures",
              c->paths.items[i], c->results[i].items_path);
    for (size_t j = 0; j < i; j++) note_pair(&c->results[j], &c->results[i]);
  }
}

// ---- the comparison ----

static Status compare_all(Comparing *c) {
  const Results *all[TEXT_LIST_MAX];
  TRY(open_results(c));
  TRY(args_check_unread("--output", output));
  for (size_t i = 0; i < c->paths.count; i++) all[i] = &c->results[i];
  TRY(results_compare(all, c->paths.count, &c->comparison));
  note_tasks(c);
  return STATUS_OK;
}

static Status find_format(ComparisonFormat *out) {
  static const char *const names[] = {"table", "json", "csv", "markdown"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    *out = (ComparisonFormat)i;
    if (strcmp(format, names[i]) == 0) return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "--format is \"%.60s\"; it must be table, json, csv or markdown", format);
}

static Status write_comparison(const Comparing *c, ComparisonFormat form) {
  Str text = {0};
  bool to_file = output != NULL && strcmp(output, "-") != 0;
  ComparisonReport report = {&c->comparison, c->results, c->names, to_file ? NULL : stdout, all_metrics};
  Status status = comparison_write(&report, form, &text);
  if (status == STATUS_OK)
    status = to_file ? args_write_output(output, str_text(&text), text.size)
                     : visible_print(stdout, str_text(&text), text.size);
  str_free(&text);
  return status;
}

static Status check_output(const Comparing *c) {
  for (size_t i = 0; output != NULL && i < c->paths.count; i++)
    TRY(args_check_output("--output", output, c->paths.items[i], "a result"));
  return STATUS_OK;
}

Status cmd_compare(int argc, char **argv) {
  bool helped = false;
  Comparing c = {0};
  ComparisonFormat form = COMPARISON_TABLE;
  Status status = STATUS_OK;
  TRY(args_parse_words(&usage, argc, argv, &c.paths, TEXT_LIST_MAX, &helped));
  if (helped) return STATUS_OK;
  if (c.paths.count < 2)
    return status_fail(STATUS_INPUT, "two results or more are needed; see gee-cl compare --help");
  TRY(find_format(&form));
  TRY(check_output(&c));
  TRY_CLEAN(compare_all(&c));
  TRY_CLEAN(write_comparison(&c, form));
cleanup:
  comparing_close(&c);
  return status;
}
