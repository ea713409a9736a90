// gee-cl tune: times the kernels that multiply matrices on a GPU, and keeps the fastest for later runs.
#include "bench_report.h"
#include "cli.h"
#include "tune_report.h"

#include <stdio.h>
#include <stdlib.h>

static const char *model, *device, *cache, *json_path;
static bool dry_run;
static const Option options[] = {
    {"model", OPTION_TEXT, &model, "PATH",
     "A Hugging Face folder or a .gguf file (random weights of SmolLM2-135M's shape).", 0, 0},
    {"device", OPTION_TEXT, &device, "NAME", "auto, cpu, gpu, an index or part of a name.", 0, 0},
    {"cache", OPTION_TEXT, &cache, "DIR", "The folder that device.cache names in your configs.", 0, 0},
    {"dry-run", OPTION_FLAG, &dry_run, NULL, "Measure, and keep nothing.", 0, 0},
    {"json", OPTION_TEXT, &json_path, "FILE", "Write everything that was measured as JSON (- prints it).", 0,
     0},
    {0}};
static const Usage usage = {
    "tune", "Find a GPU's fastest matrix products, and keep the choice.", NULL, options,
    "Which kernel multiplies fastest differs from one GPU and driver to the next. The candidates are the "
    "vendor's library (CLBlast, cuBLAS) and gee-cl's own kernel with tiles of several sizes. Each is first "
    "checked against double precision, and one with wrong numbers is never chosen. Then they multiply "
    "float32 "
    "matrices of the model's shapes, forward and backward, with few rows as in sampling and with many.\n\n"
    "The choice is kept beside the compiled kernels and is used wherever device.gemm is auto, on this device "
    "with this driver, until you tune again or delete the file. Nothing else tunes: a run never changes its "
    "products by itself.\n\n"
    "Tiles change no bit of a result. The vendor's library adds up in another order than gee-cl's own "
    "kernel, "
    "so a choice between these two rounds otherwise: tune before a series of runs that you will compare. "
    "Each "
    "run records what it used, and a resume that uses something else says so.\n\n"
    "CPUs have kernels of their own, so there is nothing to tune.\n\n"
    "  gee-cl tune\n"
    "  gee-cl tune --device gpu --model models/SmolLM2-135M-Instruct.Q4_1.gguf --json tune.json"};

static Status write_json(const TuneReporter *reporter) {
  Str text = {0};
  Status status = tune_render_json(reporter, &text);
  if (status == STATUS_OK) status = args_write_output(json_path, text.data, text.size);
  str_free(&text);
  return status;
}

static Status measure(Runtime *runtime, TuneReporter *reporter) {
  const TuneOptions chosen = {
      .candidate = tune_print_candidate, .time = tune_keep_time, .user = reporter, .stop = &stop_requested};
  printf("%sproducts%s, and their error as a share of what is allowed\n", style(stdout, STYLE_BOLD),
         style(stdout, STYLE_PLAIN));
  stop_on_signals();
  TRY(bench_tune(runtime->ops, runtime->files, &chosen, &reporter->result));
  return tune_print_result(reporter);
}

static Status tune(Runtime *runtime, TuneReporter *reporter) {
  char *path = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(measure(runtime, reporter));
  if (dry_run) {
    say("nothing is kept, as --dry-run says");
  } else {
    TRY_CLEAN(ops_keep_choice(runtime->ops, &reporter->result.choice, &path));
    printf("kept in %s: device.gemm = auto uses it from now on\n", path);
    reporter->path = path;
  }
  if (json_path != NULL) status = write_json(reporter);
cleanup:
  free(path);
  return status;
}

static Status run_tune(void) {
  Runtime runtime = {0};
  TuneReporter reporter = {.model = model};
  char *made = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_open_device(&runtime, &(DeviceOptions){.name = device, .cache_directory = cache}));
  reporter.device = runtime.device;
  const DeviceInfo *info = device_info(runtime.device);
  printf("%s: %s (%s)\n", info->platform, info->name, info->driver);
  TRY_CLEAN(ops_create(runtime.device, "own", &runtime.ops));
  reporter.nothing = !ops_can_choose(runtime.ops);
  if (model != NULL || !reporter.nothing) TRY_CLEAN(bench_open_model(model, &runtime.files, &made));
  TRY_CLEAN(args_check_unread("--json", json_path));
  if (!reporter.nothing) {
    status = tune(&runtime, &reporter);
    goto cleanup;
  }
  printf("a CPU has kernels of its own: there is nothing to tune, and nothing is kept\n");
  if (json_path != NULL) status = write_json(&reporter);
cleanup:
  tune_reporter_free(&reporter);
  runtime_close(&runtime);
  return bench_close_model(made, status);
}

Status cmd_tune(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  if (json_path != NULL) TRY(args_check_output("--json", json_path, model != NULL ? model : "", "the model"));
  return run_tune();
}
