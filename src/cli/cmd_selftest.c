// gee-cl selftest: checks every operation of a device against known answers.
#include "cli.h"
#include "provenance.h"
#include "selftest_record.h"

#include <stdio.h>
#include <string.h>

static const char *device, *gemm, *compute, *reference_path, *output;
static const Option options[] = {
    {"device", OPTION_TEXT, &device, "NAME", "auto, cpu, gpu, an index or part of a name.", 0, 0},
    {"gemm", OPTION_TEXT, &gemm, "NAME", "Matrix products: auto (default), own or vendor.", 0, 0},
    COMPUTE_OPTION(compute),
    {"write-reference", OPTION_TEXT, &output, "FILE", "Write what this device computed.", 0, 0},
    {"reference", OPTION_TEXT, &reference_path, "FILE", "Compare with what another device computed.", 0, 0},
    {0}};
static const Usage usage = {
    "selftest", "Check every operation on a device.", NULL, options,
    "Compiles all kernels for the device, runs each operation, and compares the result with the same "
    "operation in\n"
    "plain double-precision C. Every command that computes does this before it starts.\n\n"
    "  gee-cl selftest --device cpu\n\n"
    "A reference shows that two devices compute the same, though no machine has both: write it on one, copy "
    "the "
    "file, and\n"
    "compare on the other with the same version. The results may differ by as much as the self-test "
    "allows.\n\n"
    "  gee-cl selftest --device cpu --write-reference cpu.json\n"
    "  gee-cl selftest --device gpu --reference cpu.json"};

/// Where the checks are listed: not where a reference is printed.
static FILE *listing(void) {
  return output != NULL && strcmp(output, "-") == 0 ? stderr : stdout;
}

static void print_check(const char *operation, const char *what, double found, double allowed, bool passed) {
  FILE *to = listing();
  fprintf(to, "  %s%-4s%s %-31s %s %9.2e   allowed %9.2e\n", style(to, passed ? STYLE_GREEN : STYLE_RED),
          passed ? "ok" : "BAD", style(to, STYLE_PLAIN), operation, what, found, allowed);
}

static void report(void *user, const char *operation, double error, double tolerance, bool passed) {
  selftest_keep_operation(user, operation, tolerance);
  print_check(operation, "error", error, tolerance, passed);
}

static void hear(void *user, const float *values, size_t count) {
  selftest_keep_output(user, values, count);
}

static void report_difference(void *user, const char *operation, double difference, double tolerance,
                              bool passed) {
  size_t *count = user;
  *count += 1;
  print_check(operation, "difference", difference, tolerance, passed);
}

static Status compare(const SelftestRecord *own, const SelftestRecord *reference) {
  size_t count = 0;
  fprintf(listing(), "compared with %s: %s, by %s\n", reference_path, reference->device, reference->program);
  TRY(selftest_record_compare(own, reference, reference_path, report_difference, &count));
  fprintf(listing(), "%zu of %zu checks compared%s: this device computes what that one does\n", count,
          own->count, count < own->count ? ", the others are not in the file" : "");
  return STATUS_OK;
}

static Status write_reference(const SelftestRecord *record, const Device *tested) {
  JsonWriter json = {.layout = JSON_PRETTY};
  Str text = {0};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  TRY_CLEAN(provenance_write_device(tested, gemm != NULL ? gemm : "auto", &json));
  selftest_record_write(record, &json);
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, output, &text));
  status = args_write_output(output, text.data, text.size);
cleanup:
  json_free(&json);
  str_free(&text);
  return status;
}

static Status check_paths(void) {
  if (output == NULL) return STATUS_OK;
  TRY(args_check_apart("--write-reference", output, "--reference", reference_path));
  return args_check_output("--write-reference", output, "", "nothing");
}

Status cmd_selftest(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  TRY(check_paths());
  Runtime runtime = {0};
  SelftestRecord own = {0}, reference = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_parse_compute(compute, &runtime.compute));
  TRY_CLEAN(str_format(&own.program, "%s", provenance_program()));
  if (reference_path != NULL) TRY_CLEAN(selftest_record_read(reference_path, &reference));
  TRY_CLEAN(runtime_open_device(&runtime, &(DeviceOptions){.name = device}));
  const DeviceInfo *info = device_info(runtime.device);
  fprintf(listing(), "%s: %s (%s)\n", info->platform, info->name, info->driver);
  TRY_CLEAN(ops_create(runtime.device, gemm, &runtime.ops));
  TRY_CLEAN(ops_use_compute(runtime.ops, runtime.compute));
  TRY_CLEAN(ops_selftest_heard(runtime.ops, SELFTEST_DEEP, report, hear, &own));
  TRY_CLEAN(own.status);
  fprintf(listing(), "all %zu checks passed: this device computes correctly\n", own.count);
  if (output != NULL) TRY_CLEAN(write_reference(&own, runtime.device));
  if (reference_path != NULL) TRY_CLEAN(compare(&own, &reference));
cleanup:
  selftest_record_free(&own);
  selftest_record_free(&reference);
  runtime_close(&runtime);
  return status;
}
