// The tables and the JSON of gee-cl tune. Rule: what is printed is computed from what is in the JSON.
#include "tune_report.h"

#include "bench_report.h"
#include "cli.h"
#include "util/memory.h"

#include <stdio.h>
#include <stdlib.h>

void tune_print_candidate(void *user, const TuneCandidate *candidate) {
  (void)user;
  const char *colour = style(stdout, candidate->usable ? STYLE_GREEN : STYLE_RED),
             *plain = style(stdout, STYLE_PLAIN);
  Str text = {0};
  printf("  %s%-4s%s %-8s", colour, candidate->usable ? "ok" : "no", plain, candidate->name);
  if (!candidate->usable)
    printf(" %s\n", candidate->fault);
  else if (candidate->set == NULL)
    printf(" %3.0f %%   the vendor's\n", 100 * candidate->error);
  else if (gemm_set_describe(candidate->set, &text) == STATUS_OK)
    printf(" %3.0f %%   %s\n", 100 * candidate->error, str_text(&text));
  str_free(&text);
  (void)fflush(stdout);
}

void tune_keep_time(void *user, const TuneTime *time) {
  TuneReporter *reporter = user;
  if (mem_reserve(&reporter->times, &reporter->capacity, reporter->count + 1, "times") == STATUS_OK)
    reporter->times[reporter->count++] = *time;
  else
    reporter->failed = true;
}

// ---- the table ----

static void print_head(void) {
  const char *bold = style(stdout, STYLE_BOLD), *plain = style(stdout, STYLE_PLAIN);
  printf("\n%s%-8s", bold, "ms");
  for (int form = 0; form < PRODUCT_FORMS; form++) printf(" %-23s", product_form_name((ProductForm)form));
  printf("\n%-8s", "");
  for (int column = 0; column < PRODUCT_FORMS * PRODUCT_SIZES; column++)
    printf("%7s ", product_size_name((ProductSize)(column % PRODUCT_SIZES)));
  printf("%s\n", plain);
}

/// Whether the candidate computes the products of a form and size.
static bool is_chosen(const TuneResult *result, int form, int size, size_t candidate) {
  if (result->choice.vendor[form]) return candidate == TUNE_VENDOR;
  return candidate == result->choice.set[form][size];
}

static void print_cell(double seconds, bool chosen) {
  if (seconds == 0)
    printf("%7s ", "-");
  else
    printf("%7.*f%c", seconds < 0.01 ? 2 : seconds < 1 ? 1 : 0, 1e3 * seconds, chosen ? '*' : ' ');
}

static void print_times(const TuneResult *result) {
  print_head();
  for (size_t i = 0; i < TUNE_CANDIDATES; i++) {
    if (!result->candidates[i].usable) continue;
    printf("%-8s", result->candidates[i].name);
    for (int form = 0; form < PRODUCT_FORMS; form++)
      for (int size = 0; size < PRODUCT_SIZES; size++)
        print_cell(result->seconds[form][size][i], is_chosen(result, form, size, i));
    printf("\n");
  }
  printf("\n%d rows through every matrix; few: up to 16 rows or columns, some: up to 128\n", TUNE_ROWS);
}

Status tune_print_result(const TuneReporter *reporter) {
  Str text = {0};
  print_times(&reporter->result);
  Status status = gemm_choice_describe(reporter->device, &reporter->result.choice, &text);
  if (status == STATUS_OK) printf("chosen: %s, in the sets that have a star\n", str_text(&text));
  str_free(&text);
  return status;
}

// ---- JSON ----

static void add_candidate(JsonWriter *json, const TuneCandidate *candidate) {
  const GemmSet *set = candidate->set;
  json_object_begin(json, NULL);
  json_string(json, "name", candidate->name);
  json_string(json, "gemm", set != NULL ? "own" : "vendor");
  if (set != NULL) {
    json_integer(json, "side", (int64_t)set->side);
    json_integer(json, "reach", (int64_t)set->reach);
    json_integer(json, "depth", (int64_t)set->depth);
    json_integer(json, "work_items", (int64_t)gemm_set_items(set));
    json_integer(json, "local_memory", (int64_t)gemm_set_local_memory(set));
  }
  json_bool(json, "usable", candidate->usable);
  if (candidate->usable)
    json_number(json, "error_of_allowed", candidate->error);
  else
    json_string(json, "fault", candidate->fault);
  json_object_end(json);
}

static void add_time(JsonWriter *json, const TuneTime *time) {
  json_object_begin(json, NULL);
  json_string(json, "candidate", time->candidate->name);
  json_string(json, "form", product_form_name(time->form));
  json_string(json, "size", product_size_name(time->size));
  json_integer(json, "rows", (int64_t)time->rows);
  json_integer(json, "out", (int64_t)time->out);
  json_integer(json, "in", (int64_t)time->in);
  json_integer(json, "count", (int64_t)time->count);
  bench_add_spread(json, "seconds", time->seconds);
  json_object_end(json);
}

static void add_choice(JsonWriter *json, const TuneResult *result) {
  json_object_begin(json, "choice");
  for (int form = 0; form < PRODUCT_FORMS; form++) {
    json_object_begin(json, product_form_name((ProductForm)form));
    bool vendor = result->choice.vendor[form];
    json_string(json, "gemm", vendor ? result->candidates[TUNE_VENDOR].name : "own");
    for (int size = 0; size < PRODUCT_SIZES; size++)
      json_string(json, product_size_name((ProductSize)size), gemm_sets[result->choice.set[form][size]].name);
    json_object_end(json);
  }
  json_object_end(json);
}

static void add_measured(JsonWriter *json, const TuneReporter *reporter) {
  json_array_begin(json, "candidates");
  for (size_t i = 0; i < TUNE_CANDIDATES; i++) add_candidate(json, &reporter->result.candidates[i]);
  json_array_end(json);
  json_array_begin(json, "times");
  for (size_t i = 0; i < reporter->count; i++) add_time(json, &reporter->times[i]);
  json_array_end(json);
  add_choice(json, &reporter->result);
}

Status tune_render_json(const TuneReporter *reporter, Str *out) {
  JsonWriter json = {.layout = JSON_PRETTY};
  if (reporter->failed) return status_fail(STATUS_FAILED, "out of memory for the times");
  json_object_begin(&json, NULL);
  json_string(&json, "version", GEE_VERSION);
  bench_add_device(&json, device_info(reporter->device));
  json_string(&json, "model", bench_model_name(reporter->model));
  json_bool(&json, "tunable", !reporter->nothing);
  if (!reporter->nothing) add_measured(&json, reporter);
  if (reporter->path != NULL) json_string(&json, "kept", reporter->path);
  json_object_end(&json);
  return json_finish(&json, "the tuning", out);
}

void tune_reporter_free(TuneReporter *reporter) {
  free(reporter->times);
  reporter->times = NULL;
}
