// gee-cl bench: how fast a model runs on a device, beside what the device can do at most.
#include "bench/bench.h"
#include "bench_report.h"
#include "cli.h"
#include "util/str.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *model, *dtype, *compute, *device, *gemm, *json_path, *only;
static bool quick;
static const Option options[] = {
    {"model", OPTION_TEXT, &model, "PATH",
     "A Hugging Face folder or a .gguf file (random weights of SmolLM2-135M's shape).", 0, 0},
    {"dtype", OPTION_TEXT, &dtype, "TYPE", KEPT_TYPE, 0, 0},
    COMPUTE_OPTION(compute),
    {"device", OPTION_TEXT, &device, "NAME", "auto, cpu, gpu, an index or part of a name.", 0, 0},
    {"gemm", OPTION_TEXT, &gemm, "NAME", "Matrix products: auto (default), own or vendor.", 0, 0},
    {"only", OPTION_TEXT, &only, "PARTS",
     "Of gemm, decode, prefill, gradient and step, those named, as in gemm,step.", 0, 0},
    {"quick", OPTION_FLAG, &quick, NULL, "Fewer runs, and products of three sizes instead of five.", 0, 0},
    {"json", OPTION_TEXT, &json_path, "FILE", "Write everything that was measured as JSON (- prints it).", 0,
     0},
    {0}};
static const Usage usage = {
    "bench", "Measure how fast a model runs on a device.", NULL, options,
    "Measures first what the device can do at most: float32 multiply-adds in registers, and bytes moved "
    "between "
    "memory and the processor. Then matrix products of the model's shapes, decoding of 1, 8 and 64 answers "
    "at "
    "once, the prefill of a prompt of 256 tokens, forward and backward of 512 rows with LoRA, and whole "
    "training "
    "steps; each as it runs in the other subcommands, several times.\n\n"
    "\"of limit\" is the time that the device would need at its measured limits, operation by operation, by "
    "the "
    "median time: 50 % means that it could take half as long. Ctrl-C stops and keeps what is there.\n\n"
    "  gee-cl bench\n"
    "  gee-cl bench --model models/SmolLM2-135M-Instruct.Q4_1.gguf --json bench.json\n"
    "  gee-cl bench --quick --only gemm,decode --device cpu"};

static Status choose_part(const char *word, size_t size, BenchOptions *out) {
  for (int part = 0; part < BENCH_PARTS; part++) {
    const char *name = bench_part_name((BenchPart)part);
    if (strlen(name) != size || memcmp(name, word, size) != 0) continue;
    out->parts[part] = true;
    return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "--only has \"%.*s\"; it takes gemm, decode, prefill, gradient and step",
                     (int)(size < 100 ? size : 100), word);
}

static Status choose_parts(BenchOptions *out) {
  for (int part = 0; part < BENCH_PARTS; part++) out->parts[part] = only == NULL;
  for (const char *word = only; word != NULL;) {
    size_t size = strcspn(word, ",");
    TRY(choose_part(word, size, out));
    word = word[size] == ',' ? word + size + 1 : NULL;
  }
  return STATUS_OK;
}

static Status measure(Runtime *runtime, const BenchOptions *chosen, BenchReporter *reporter) {
  TRY(runtime_open_ops(runtime, gemm));
  stop_on_signals();
  TRY(ops_measure_limits(runtime->ops, &reporter->limits));
  reporter->measured = true;
  bench_print_limits(reporter);
  if (stop_requested) return status_fail(STATUS_INTERRUPTED, "the limits are above");
  char time[32];
  format_duration(time, bench_estimate(runtime->files, chosen, &reporter->limits));
  say("about %s to go; Ctrl-C stops and keeps what is there", time);
  return bench_run(runtime->ops, runtime->files, chosen, &reporter->limits, bench_print_result, reporter);
}

static Status write_json(const BenchReporter *reporter, bool complete) {
  Str text = {0};
  Status status = bench_render_json(reporter, complete, &text);
  if (status == STATUS_OK) status = args_write_output(json_path, text.data, text.size);
  str_free(&text);
  return status;
}

static Status run_bench(BenchOptions chosen) {
  Runtime runtime = {0};
  BenchReporter reporter = {.options = &chosen, .model = model};
  char *made = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_parse_compute(compute, &runtime.compute));
  reporter.compute = runtime.compute;
  TRY_CLEAN(bench_open_model(model, &runtime.files, &made));
  TRY_CLEAN(args_check_unread("--json", json_path));
  TRY_CLEAN(runtime_open_device(&runtime, &(DeviceOptions){.name = device}));
  reporter.device = device_info(runtime.device);
  status = measure(&runtime, &chosen, &reporter);
  if (json_path != NULL && reporter.measured && (status == STATUS_OK || status == STATUS_INTERRUPTED)) {
    Status written = write_json(&reporter, status == STATUS_OK);
    if (status == STATUS_OK) status = written;
  }
cleanup:
  bench_reporter_free(&reporter);
  runtime_close(&runtime);
  return bench_close_model(made, status);
}

Status cmd_bench(int argc, char **argv) {
  bool helped = false;
  BenchOptions chosen = {.stop = &stop_requested};
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  chosen.quick = quick;
  TRY(choose_parts(&chosen));
  TRY(runtime_parse_dtype(dtype, &chosen.dtype));
  if (json_path != NULL) TRY(args_check_output("--json", json_path, model != NULL ? model : "", "the model"));
  return run_bench(chosen);
}
