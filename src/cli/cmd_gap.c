// gee-cl gap: the entropy gap between groups, on prompts that were not trained on.
#include "gap_report.h"
#include "io/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *adapter, *output;
static bool as_json, force;
static TextList sets;
static const Option options[] = {
    {"adapter", OPTION_TEXT, &adapter, "DIR", "A PEFT adapter to apply to the config's model.", 0, 0},
    FORCE_OPTION(force),
    {"json", OPTION_FLAG, &as_json, NULL, "Print one JSON object instead of the table.", 0, 0},
    {"output", OPTION_TEXT, &output, "FILE", "Also write the JSON object to this file.", 0, 0},
    {"set", OPTION_LIST, &sets, "SECTION.KEY=VALUE", "Override a key of the config.", 0, 0},
    {0}};
static const Usage usage = {
    "gap", "Measure the entropy gap between groups, with its interval.", "CONFIG.ini", options,
    "Samples answers to held-out counterfactual prompts and compares the groups' mean token entropy:\n"
    "  total    each group with its own answers\n"
    "  paired   every answer under every group's prompt: the same gap, far less noise\n"
    "Each gap has a 95 % interval over sets. Before and after training:\n\n"
    "  gee-cl gap configs/quickstart.ini\n"
    "  gee-cl gap configs/quickstart.ini --adapter runs/quickstart/final"};

static Status print_report(const Evaluation *gap, const MetricList *metrics, const GroupFile *groups) {
  Str text = {0};
  JsonWriter json = {0};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  TRY_CLEAN(evaluation_write_json(gap, metrics, &json));
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, "the gap", &text));
  if (output != NULL) TRY_CLEAN(file_write_atomic(output, text.data, text.size));
  if (as_json) {
    printf("%s\n", str_text(&text));
  } else {
    gap_print(metrics, groups);
  }
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
  if (output != NULL) TRY(args_check_output(output, path, "the config"));
  Config config = {0};
  Runtime runtime = {0};
  Dataset data = {0};
  Evaluation *gap = NULL;
  MetricList metrics = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(config_open(path, &sets, &config));
  TRY_CLEAN(runtime_open_files(&runtime, config.model.path, config.model.chat_template));
  TRY_CLEAN(config_dataset(&config, &runtime, true, &data));
  TRY_CLEAN(gap_evaluation_open(&config, "gap", &data, &gap));
  TRY_CLEAN(runtime_open_device(&runtime, &config.device));
  TRY_CLEAN(runtime_open_ops(&runtime, config.gemm));
  TRY_CLEAN(runtime_load_model(&runtime, config.model.dtype, adapter, force));
  EvaluationRun run = {.model = runtime.model, .progress = screen_progress()};
  TRY_CLEAN(evaluation_run(gap, &run, &metrics));
  TRY_CLEAN(print_report(gap, &metrics, data.groups));
cleanup:
  metrics_free(&metrics);
  evaluation_free(gap);
  dataset_free(&data);
  runtime_close(&runtime);
  config_free(&config);
  return status;
}
