// gee-cl gap: the entropy gap between groups, on prompts that were not trained on, of the config's model and
// of adapters to it. Rule: models that are compared are measured by one process, on the same sets and random
// numbers, so that a change has an interval of its own.
#include "gap_report.h"
#include "io/file.h"
#include "util/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *output, *chat_template;
static bool as_json, no_base, force;
static TextList sets, adapters;
static const Option options[] = {
    {"adapter", OPTION_LIST, &adapters, "DIR",
     "A PEFT adapter to compare with the config's model; may be repeated.", 0, 0},
    {"no-base", OPTION_FLAG, &no_base, NULL, "Measure only the adapters: half the time, and no change.", 0,
     0},
    FORCE_OPTION(force),
    {"json", OPTION_FLAG, &as_json, NULL, "Print one JSON object instead of the table.", 0, 0},
    {"output", OPTION_TEXT, &output, "FILE", "Also write the JSON object to this file.", 0, 0},
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
    "drawn with the same random numbers.\n\n"
    "  gee-cl gap configs/quickstart.ini\n"
    "  gee-cl gap configs/quickstart.ini --adapter runs/quickstart/final"};

/// Everything that is measured, in this order: the base model unless --no-base, then the adapters.
typedef struct Measurement {
  Config config;
  Runtime runtime;
  Dataset data;
  Evaluation *gap;
  GapModel *models; // [1 + adapters]
  size_t measured;
} Measurement;

static void measurement_close(Measurement *m) {
  for (size_t i = 0; m->models != NULL && i <= adapters.count; i++) metrics_free(&m->models[i].metrics);
  free(m->models);
  evaluation_free(m->gap);
  dataset_free(&m->data);
  runtime_close(&m->runtime);
  config_free(&m->config);
}

/// Refuses adapters that were made for another model, unless --force.
static Status check_adapters(const Runtime *runtime) {
  ModelIdentity identity;
  if (adapters.count > 0) TRY(identity_of(runtime->files, runtime->tokenizer, &identity));
  for (size_t i = 0; i < adapters.count; i++)
    TRY(identity_check_adapter(&identity, model_files_path(runtime->files), adapters.items[i], force));
  return STATUS_OK;
}

/// Says of every model whether it was trained on what it will be measured on.
static Status find_trained_on(Measurement *m) {
  GapModel *model = m->models;
  if (!no_base) TRY(trained_on_find(m->config.model.path, &m->runtime, &m->data, &model++->trained_on));
  for (size_t i = 0; i < adapters.count; i++)
    TRY(trained_on_find(adapters.items[i], &m->runtime, &m->data, &model++->trained_on));
  return STATUS_OK;
}

static Status measurement_open(Measurement *m, const char *path) {
  Config *config = &m->config;
  TRY(config_open(path, &sets, chat_template, config));
  TRY(runtime_open_files(&m->runtime, config->model.path, config_chat(config)));
  TRY(config_dataset(config, &m->runtime, true, &m->data));
  warn_equal_sets(&m->data);
  TRY(gap_evaluation_open(config, "gap", &m->data, &m->gap));
  TRY(check_adapters(&m->runtime));
  TRY(mem_array(&m->models, 1 + adapters.count, "gaps"));
  TRY(find_trained_on(m));
  return runtime_open_device(&m->runtime, &config->device);
}

/// A model without an adapter becomes one with it. An adapter may bring weights of its own in place of the
/// model's, so the next one needs the model anew.
static Status take_adapter(Ops *ops, const Measurement *m, size_t index, Model **model) {
  if (index > 0) {
    model_free(*model);
    *model = NULL;
    TRY(model_load(ops, m->runtime.files, m->config.model.dtype, model));
  }
  return model_load_adapter(*model, adapters.items[index]);
}

/// Reads every adapter and counts the memory of every measurement, before any of it is done.
static Status plan_memory(const Measurement *m) {
  Ops *plan = NULL;
  Model *model = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(ops_create_plan(m->runtime.device, &plan));
  TRY_CLEAN(model_load(plan, m->runtime.files, m->config.model.dtype, &model));
  if (!no_base) TRY_CLEAN(memory_plan_error(evaluation_plan(m->gap, model), MEMORY_OF_GAP));
  for (size_t i = 0; i < adapters.count; i++) {
    TRY_CLEAN(take_adapter(plan, m, i, &model));
    TRY_CLEAN(memory_plan_error(evaluation_plan(m->gap, model), MEMORY_OF_GAP));
  }
  TRY_CLEAN(memory_check(ops_memory(plan), device_info(m->runtime.device), MEMORY_OF_GAP));
cleanup:
  model_free(model);
  ops_free(plan);
  return status;
}

static Status measure(Measurement *m, const char *name) {
  GapModel *measured = &m->models[m->measured];
  EvaluationRun run = {.model = m->runtime.model, .progress = screen_progress(), .stop = &stop_requested};
  measured->name = name;
  TRY(status_context(evaluation_run(m->gap, &run, &measured->metrics), "%s", name));
  m->measured++;
  return STATUS_OK;
}

static Status measure_all(Measurement *m) {
  Runtime *runtime = &m->runtime;
  TRY(runtime_open_ops(runtime, m->config.gemm));
  TRY(runtime_load_model(runtime, m->config.model.dtype, NULL, false));
  stop_on_signals();
  if (!no_base) {
    TRY(measure(m, m->config.model.path));
    if (adapters.count > 0) TRY(gap_evaluation_keep_base(m->gap));
  }
  for (size_t i = 0; i < adapters.count; i++) {
    TRY(take_adapter(runtime->ops, m, i, &runtime->model));
    TRY(measure(m, adapters.items[i]));
  }
  return STATUS_OK;
}

/// Adds what was measured on a model as members of an open object.
static Status write_model(const Measurement *m, size_t index, JsonWriter *json) {
  const GapModel *model = &m->models[index];
  if (model->trained_on.known) json_integer(json, "trained_on", (int64_t)model->trained_on.prompts);
  if (model->trained_on.has_config && !model->trained_on.known) json_null(json, "trained_on");
  return evaluation_write_json(m->gap, &model->metrics, json);
}

/// A model alone is the object itself; adapters are a list beside their base.
static Status write_json(const Measurement *m, JsonWriter *json) {
  json_object_begin(json, NULL);
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
    TRY(write_model(m, i, json));
    json_object_end(json);
  }
  if (adapters.count > 0) json_array_end(json);
  json_object_end(json);
  return STATUS_OK;
}

static Status print_table(const Measurement *m) {
  return gap_print(&(GapComparison){m->models, m->measured, !no_base, m->data.groups, m->data.available});
}

/// Prints before it writes: a file that cannot be written does not take the numbers with it.
static Status report(const Measurement *m) {
  Str text = {0};
  JsonWriter json = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(write_json(m, &json));
  TRY_CLEAN(json_finish(&json, "the gap", &text));
  if (as_json) {
    printf("%s\n", str_text(&text));
  } else {
    TRY_CLEAN(print_table(m));
  }
  if (output != NULL) TRY_CLEAN(file_write_atomic(output, text.data, text.size));
cleanup:
  json_free(&json);
  str_free(&text);
  return status;
}

Status cmd_gap(int argc, char **argv) {
  const char *path = NULL;
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, &path, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, path, "CONFIG.ini"));
  if (no_base && adapters.count == 0)
    return status_fail(STATUS_INPUT, "--no-base needs --adapter: nothing is left to measure");
  if (output != NULL && strcmp(output, "-") == 0) { // what --json does
    as_json = true;
    output = NULL;
  }
  if (output != NULL) TRY(args_check_output(output, path, "the config"));
  Measurement m = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(measurement_open(&m, path));
  TRY_CLEAN(plan_memory(&m));
  status = measure_all(&m);
  // what was measured before a failure or Ctrl-C is shown, but is no result to write to a file
  if (status != STATUS_OK && m.measured > 0 && !as_json) (void)!print_table(&m);
  if (status == STATUS_OK) status = report(&m);
cleanup:
  measurement_close(&m);
  return status;
}
