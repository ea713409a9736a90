// gee-cl gap: the entropy gap between groups, on prompts that were not trained on, of the config's model and
// of adapters to it. Rule: models that are compared are measured by one process, on the same sets and random
// numbers, so that a change has an interval of its own.
#include "eval/gap_record.h"
#include "gap_items.h"
#include "gap_plan_report.h"
#include "gap_report.h"
#include "io/file.h"
#include "provenance.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/memory.h"
#include "visible.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *output, *items_path, *chat_template, *profile;
static bool as_json, no_base, force;
static float plan_for; // nats; 0: no plan
static TextList sets, adapters;
static const Option options[] = {
    {"adapter", OPTION_LIST, &adapters, "DIR",
     "A PEFT adapter to compare with the config's model; may be repeated.", 0, 0},
    {"no-base", OPTION_FLAG, &no_base, NULL,
     "Measure only the adapters: half the time, but no change and no KL.", 0, 0},
    FORCE_OPTION(force),
    {"json", OPTION_FLAG, &as_json, NULL, "Print one JSON object instead of the table.", 0, 0},
    {"output", OPTION_TEXT, &output, "FILE", "Also write the JSON object to this file.", 0, 0},
    {"items", OPTION_TEXT, &items_path, "FILE",
     "Also write a line of JSON for each answer and prompt that it was read under.", 0, 0},
    {"plan-for", OPTION_NUMBER, &plan_for, "NATS",
     "Take this measurement as a pilot: say how many sets and answers see a gap of this size, and how long "
     "that takes.",
     1e-6, 10},
    PROFILE_OPTION(profile),
    CHAT_TEMPLATE_OPTION(chat_template),
    {"set", OPTION_LIST, &sets, "SECTION.KEY=VALUE", "Override a key of the config.", 0, 0},
    {0}};
static const Usage usage = {
    "gap", "Measure the entropy gap between groups, with its interval.", "CONFIG.ini", options,
    "Samples answers to held-out counterfactual prompts and compares the groups' mean token entropy:\n"
    "  total    each group with its own answers\n"
    "  paired   every answer under every group's prompt: the same gap, far less noise\n"
    "Each gap has a 95 % interval over sets. With --adapter, the model is measured without it and with it, "
    "and the change has an interval of its own, paired set by set. Each model is read on its own answers, "
    "drawn with the same random numbers; how far the adapter's answers are from what the model would say to "
    "them "
    "is its KL.\n\n"
    "With --plan-for 0.01, the sets of the config are a pilot. It tells how much of the noise is between "
    "sets and "
    "how much between the answers to a prompt, and so how many sets a test needs with 1, 2, 4 or 8 answers "
    "to each "
    "prompt to find a gap of 0.01 nats, of the paired gap and of the total one; with --adapter, a change of "
    "that "
    "size too. A few sets are enough: --set data.eval_sets=20.\n\n"
    "  gee-cl gap configs/quickstart.ini\n"
    "  gee-cl gap configs/quickstart.ini --adapter runs/quickstart/final\n"
    "  gee-cl gap configs/quickstart.ini --plan-for 0.01"};

/// What it takes to see a gap of --plan-for of a model, and a change of it.
typedef struct Plans {
  GapPlan gap, change;
  bool has_gap, has_change; // not where a gap says nothing
} Plans;

/// Everything that is measured, in this order: the base model unless --no-base, then the adapters.
typedef struct Measurement {
  Config config;
  Runtime runtime;
  Dataset data;
  Evaluation *gap;
  GapOptions options;
  GapModel *models;  // [1 + adapters]
  Plans *plans;      // [1 + adapters]
  UsedAdapter *used; // [adapters]
  size_t measured;
  GapItems items;
  Str facts;    // an object: what the numbers depend on, as it was before anything was measured
  double start; // clock_seconds
} Measurement;

static void measurement_close(Measurement *m) {
  for (size_t i = 0; m->models != NULL && i <= adapters.count; i++) metrics_free(&m->models[i].metrics);
  free(m->models);
  free(m->used);
  str_free(&m->facts);
  free(m->plans);
  str_free(&m->items.text);
  evaluation_free(m->gap);
  dataset_free(&m->data);
  runtime_close(&m->runtime);
  config_free(&m->config);
}

/// Says of every model whether it was trained on what it will be measured on.
static Status find_trained_on(Measurement *m) {
  GapModel *model = m->models;
  if (!no_base) TRY(trained_on_find(m->config.model.path, &m->runtime, &m->data, &model++->trained_on));
  for (size_t i = 0; i < adapters.count; i++)
    TRY(trained_on_find(adapters.items[i], &m->runtime, &m->data, &model++->trained_on));
  return STATUS_OK;
}

static Status identify_adapters(Measurement *m) {
  TRY(mem_array(&m->used, adapters.count, "adapters"));
  for (size_t i = 0; i < adapters.count; i++) TRY(adapter_identify(adapters.items[i], &m->used[i]));
  return STATUS_OK;
}

static Status collect_facts(Measurement *m) {
  const Config *config = &m->config;
  JsonWriter json = {0};
  Status status = STATUS_OK;
  m->start = clock_seconds();
  TRY(runtime_identify(&m->runtime));
  json_object_begin(&json, NULL);
  json_string(&json, "format", GAP_RECORD_FORMAT);
  TRY_CLEAN(provenance_write(config, &m->runtime, &(UsedAdapter){0}, &json));
  TRY_CLEAN(provenance_write_data(config, &json));
  json_object_begin(&json, "sampling");
  provenance_write_sampling(&m->options, &json);
  json_object_end(&json);
  json_float(&json, "max_drift", m->options.max_drift);
  provenance_write_time("started", &json);
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, "the gap", &m->facts));
cleanup:
  json_free(&json);
  return status;
}

/// One answer to each prompt does not tell how much of the noise is in the answers.
static void enlarge_pilot(Config *config) {
  if (config->eval.answers > 1) return;
  config->eval.answers = 2;
  log_say(LOG_NOTE,
          "--plan-for measures 2 answers to each prompt instead of data.eval_answers = 1, to tell the "
          "noise between answers from that between sets");
}

static Status measurement_open(Measurement *m, const char *path) {
  Config *config = &m->config;
  TRY(config_open(path, &sets, chat_template, config));
  if (plan_for > 0) enlarge_pilot(config);
  config_warn_unused(config);
  TRY(runtime_open_files(&m->runtime, config->model.path, config_quantise(config), config_chat(config)));
  TRY(config_dataset(config, &m->runtime, true, &m->data));
  warn_equal_sets(&m->data);
  TRY(note_left_out(config, &m->data));
  m->options = gap_options(config, m->runtime.files, &m->data);
  TRY(gap_evaluation_create("gap", &m->data, &m->options, &m->gap));
  m->items = (GapItems){.tokenizer = m->runtime.tokenizer, .groups = m->data.groups};
  if (!no_base) gap_evaluation_measure_kl(m->gap);
  if (plan_for > 0) TRY(gap_evaluation_keep_answers(m->gap));
  if (items_path != NULL) gap_evaluation_listen(m->gap, gap_items_add, &m->items);
  TRY(runtime_check_adapters(&m->runtime, &adapters, force));
  TRY(mem_array(&m->models, 1 + adapters.count, "gaps"));
  TRY(mem_array(&m->plans, 1 + adapters.count, "gaps"));
  TRY(find_trained_on(m));
  TRY(identify_adapters(m));
  TRY(args_check_unread("--output", output));
  TRY(args_check_unread("--items", items_path));
  m->runtime.profile_path = profile;
  m->runtime.compute = config_compute(config);
  TRY(runtime_open_device(&m->runtime, &config->device));
  return collect_facts(m);
}

/// Reads every adapter and counts the memory of every measurement, before any of it is done.
static Status plan_memory(const Measurement *m) {
  Ops *plan = NULL;
  Model *model = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_create_plan(&m->runtime, &plan));
  TRY_CLEAN(model_load(plan, m->runtime.files, config_dtype(&m->config), &model));
  if (!no_base) TRY_CLEAN(memory_plan_error(evaluation_plan(m->gap, model), MEMORY_OF_GAP));
  for (size_t i = 0; i < adapters.count; i++) {
    TRY_CLEAN(runtime_take_adapter(&m->runtime, plan, config_dtype(&m->config), &adapters, i, &model));
    TRY_CLEAN(memory_plan_error(evaluation_plan(m->gap, model), MEMORY_OF_GAP));
  }
  TRY_CLEAN(memory_check(ops_memory(plan), device_info(m->runtime.device), MEMORY_OF_GAP));
cleanup:
  model_free(model);
  ops_free(plan);
  return status;
}

/// The decimal number that --plan-for gave, which is read as a float32.
static double aim(void) {
  char text[32];
  (void)snprintf(text, sizeof text, "%.7g", (double)plan_for);
  return strtod(text, NULL);
}

static Status plan_next(const Measurement *m, Plans *plans) {
  bool valid = gap_void(&m->models[m->measured].metrics) == GAP_VALID;
  bool compared = !no_base && m->measured > 0;
  if (valid) TRY(gap_evaluation_plan(m->gap, aim(), &plans->gap));
  plans->has_gap = valid;
  if (!valid || !compared || gap_void(&m->models[0].metrics) != GAP_VALID) return STATUS_OK;
  plans->has_change = true;
  return gap_evaluation_plan_change(m->gap, aim(), &plans->change);
}

static Status measure(Measurement *m, const char *name) {
  GapModel *measured = &m->models[m->measured];
  EvaluationRun run = {.model = m->runtime.model, .progress = screen_progress(), .stop = &stop_requested};
  measured->name = m->items.model = name;
  TRY(status_context(evaluation_run(m->gap, &run, &measured->metrics), "%s", name));
  if (plan_for > 0) TRY(plan_next(m, &m->plans[m->measured]));
  m->measured++;
  return STATUS_OK;
}

static Status measure_all(Measurement *m) {
  Runtime *runtime = &m->runtime;
  TRY(runtime_open_ops(runtime, m->config.gemm));
  TRY(runtime_load_model(runtime, config_dtype(&m->config), NULL, false));
  stop_on_signals();
  if (!no_base) {
    TRY(measure(m, m->config.model.path));
    if (adapters.count > 0) TRY(gap_evaluation_keep_base(m->gap));
  }
  for (size_t i = 0; i < adapters.count; i++) {
    TRY(runtime_take_adapter(runtime, runtime->ops, config_dtype(&m->config), &adapters, i, &runtime->model));
    TRY(measure(m, adapters.items[i]));
  }
  return STATUS_OK;
}

static void write_plans(const Plans *plans, size_t index, const GroupFile *groups, JsonWriter *json) {
  if (plans->has_gap)
    gap_plan_write(&plans->gap, "plan", groups, json);
  else
    json_null(json, "plan");
  if (plans->has_change)
    gap_plan_write(&plans->change, "change_plan", groups, json);
  else if (!no_base && index > 0)
    json_null(json, "change_plan");
}

/// Adds what was measured on a model as members of an open object.
static Status write_model(const Measurement *m, size_t index, JsonWriter *json) {
  const GapModel *model = &m->models[index];
  if (model->trained_on.known) json_integer(json, "trained_on", (int64_t)model->trained_on.prompts);
  if (model->trained_on.has_config && !model->trained_on.known) json_null(json, "trained_on");
  if (!isnan(model->trained_on.first_H)) json_number(json, "first_step_H", model->trained_on.first_H);
  TRY(evaluation_write_json(m->gap, &model->metrics, json));
  if (plan_for > 0) write_plans(&m->plans[index], index, m->data.groups, json);
  return STATUS_OK;
}

/// A model alone is the object itself; adapters are a list beside their base.
static Status write_json(const Measurement *m, JsonWriter *json) {
  char sha256[SHA256_TEXT];
  json_continue(json, m->facts.data, m->facts.size);
  provenance_write_time("finished", json);
  json_number(json, "seconds", clock_seconds() - m->start);
  if (items_path != NULL) {
    hash_sha256(str_text(&m->items.text), m->items.text.size, sha256);
    provenance_write_items(items_path, sha256, json);
  }
  if (adapters.count == 0) TRY(write_model(m, 0, json));
  if (adapters.count > 0 && !no_base) {
    json_object_begin(json, "base");
    TRY(write_model(m, 0, json));
    json_object_end(json);
  }
  if (adapters.count > 0) json_array_begin(json, "adapters");
  for (size_t i = !no_base; i < m->measured; i++) {
    json_object_begin(json, NULL);
    json_string(json, "adapter", m->models[i].name);
    provenance_write_adapter(&m->used[i - !no_base], json);
    TRY(write_model(m, i, json));
    json_object_end(json);
  }
  if (adapters.count > 0) json_array_end(json);
  json_object_end(json);
  return STATUS_OK;
}

static Status print_table(const Measurement *m) {
  return gap_print(&(GapComparison){.models = m->models,
                                    .count = m->measured,
                                    .has_base = !no_base,
                                    .groups = m->data.groups,
                                    .available = m->data.available,
                                    .max_drift = (double)m->config.train.max_drift});
}

static Status print_plans(const Measurement *m) {
  for (size_t i = 0; i < m->measured; i++) {
    const Plans *plans = &m->plans[i];
    if (plans->has_gap) TRY(gap_plan_print(&plans->gap, m->models[i].name, false, m->data.groups));
    if (plans->has_change) TRY(gap_plan_print(&plans->change, m->models[i].name, true, m->data.groups));
  }
  return STATUS_OK;
}

/// Prints before it writes: a file that cannot be written does not take the numbers with it. The file that
/// names the items comes last.
static Status report(const Measurement *m) {
  Str text = {0};
  JsonWriter json = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(write_json(m, &json));
  TRY_CLEAN(json_finish(&json, "the gap", &text));
  if (as_json) {
    TRY_CLEAN(visible_print(stdout, str_text(&text), text.size));
    printf("\n");
  } else {
    TRY_CLEAN(print_table(m));
    TRY_CLEAN(print_plans(m));
  }
  if (items_path != NULL)
    TRY_CLEAN(file_write_atomic(items_path, str_text(&m->items.text), m->items.text.size));
  if (output != NULL) TRY_CLEAN(file_write_atomic(output, text.data, text.size));
cleanup:
  json_free(&json);
  str_free(&text);
  return status;
}

/// STATUS_INPUT unless --items names a file of its own.
static Status check_items(const char *config) {
  if (strcmp(items_path, "-") == 0) return status_fail(STATUS_INPUT, "--items needs the name of a file");
  return args_check_output("--items", items_path, config, "the config");
}

Status cmd_gap(int argc, char **argv) {
  const char *path = NULL;
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, &path, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, path, "CONFIG.ini"));
  if (no_base && adapters.count == 0)
    return status_fail(STATUS_INPUT, "--no-base needs --adapter: nothing is left to measure");
  if (adapters.count == 0) args_warn_unused("force", "there is no --adapter to check");
  if (output != NULL && strcmp(output, "-") == 0) { // what --json does
    as_json = true;
    output = NULL;
  }
  if (output != NULL) TRY(args_check_output("--output", output, path, "the config"));
  if (items_path != NULL) TRY(check_items(path));
  TRY(args_check_apart("--output", output, "--items", items_path));
  TRY(args_check_apart("--output", output, "--profile", profile));
  TRY(args_check_apart("--items", items_path, "--profile", profile));
  Measurement m = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(measurement_open(&m, path));
  TRY_CLEAN(plan_memory(&m));
  status = runtime_end_profile(&m.runtime, measure_all(&m));
  // what was measured before a failure or Ctrl-C is shown, but is no result to write to a file
  if (status != STATUS_OK && m.measured > 0 && !as_json) (void)!print_table(&m);
  if (status == STATUS_OK) status = report(&m);
cleanup:
  measurement_close(&m);
  return status;
}
