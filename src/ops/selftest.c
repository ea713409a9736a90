// Known-answer tests: every operation on the device against its double-precision twin. They take well under a
// second, so they run before real work: a driver that miscompiles a kernel fails here and not by ruining a
// training run.
#include "selftest.h"

#include "gemm_choice.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const SelfCheck *const tables[] = {product_checks, half_checks,  int8_checks,
                                          block_checks,   layer_checks, head_checks};

/// Runs one check and reports it. *failed = its operation, if it is the first one that is wrong.
static Status run_check(Probe *probe, const SelfCheck *check, SelftestReport report, const char **failed) {
  probe->used = 0;
  probe->error = 0;
  probe->status = STATUS_OK;
  Status status = check->run(probe);
  free_tensors(probe);
  if (status != STATUS_OK) return status_context(status, "selftest of %s", check->operation);
  bool passed = probe->error <= check->tolerance;
  if (report != NULL) report(probe->user, check->operation, probe->error, check->tolerance, passed);
  if (!passed && *failed == NULL) *failed = check->operation;
  return STATUS_OK;
}

static bool is_wanted(const SelfCheck *check, const Ops *ops, SelftestDepth depth) {
  if (check->when == CHECK_BF16) return ops->compute == COMPUTE_BF16;
  if (check->when == CHECK_F16) return ops->compute == COMPUTE_F16;
  if (check->when == CHECK_INT8) return ops->compute == COMPUTE_INT8;
  if (check->when == CHECK_ALWAYS) return true;
  if (check->when == CHECK_VENDOR && ops->vendor == NULL) return false;
  return depth == SELFTEST_DEEP && (check->when != CHECK_TUNED || gemm_choice_is_tuned(ops));
}

static Status run_tables(Probe *probe, SelftestDepth depth, SelftestReport report) {
  const char *failed = NULL;
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
    for (const SelfCheck *check = tables[t]; check->operation != NULL; check++) {
      if (!is_wanted(check, probe->ops, depth)) continue;
      TRY(run_check(probe, check, report, &failed));
    }
  }
  if (failed == NULL) return STATUS_OK;
  return status_fail(STATUS_FAILED,
                     "selftest: %s gives wrong numbers on this device; run gee-cl selftest to see all "
                     "results, and try another device or driver",
                     failed);
}

/// Frees the scratch, which the large checks grew, and restores the peaks: a memory plan counts neither.
static void forget_memory(Ops *ops, const MemoryUse *before) {
  MemoryUse *use = &ops->memory;
  for (size_t i = 0; i < SCRATCH_SLOTS; i++) tensor_free(&ops->scratch[i]);
  for (size_t kind = 0; kind < MEMORY_KINDS; kind++) use->peak[kind] = before->peak[kind];
  use->peak_total = before->peak_total;
}

static Status probe_open(Probe *probe) {
  TRY(mem_array(&probe->pool, SELFTEST_POOL, "selftest"));
  return mem_array(&probe->floats, SELFTEST_POOL, "selftest");
}

static void probe_close(Probe *probe, const MemoryUse *before) {
  forget_memory(probe->ops, before);
  free(probe->pool);
  free(probe->floats);
}

bool selftest_is_optional(const char *operation) {
  for (size_t t = 0; t < sizeof tables / sizeof *tables; t++) {
    for (const SelfCheck *check = tables[t]; check->operation != NULL; check++) {
      if (strcmp(check->operation, operation) != 0) continue;
      return check->when != CHECK_ALWAYS && check->when != CHECK_DEEP;
    }
  }
  return false;
}

Status ops_selftest(Ops *ops, SelftestDepth depth, SelftestReport report, void *user) {
  return ops_selftest_heard(ops, depth, report, NULL, user);
}

Status ops_selftest_heard(Ops *ops, SelftestDepth depth, SelftestReport report, SelftestOutput output,
                          void *user) {
  Probe probe = {.ops = ops, .output = output, .user = user};
  if (ops_is_plan(ops)) return STATUS_OK;
  const MemoryUse before = ops->memory;
  Status status = probe_open(&probe);
  if (status == STATUS_OK) status = run_tables(&probe, depth, report);
  probe_close(&probe, &before);
  return status;
}

/// *worst = the largest error of a check, as a share of what is allowed.
static Status run_products(Probe *probe, double *worst) {
  const char *failed = NULL;
  *worst = 0;
  for (const SelfCheck *check = product_checks; check->operation != NULL; check++) {
    if (check->tolerance == 0 || (check->when == CHECK_VENDOR && probe->ops->vendor == NULL)) continue;
    TRY(run_check(probe, check, NULL, &failed));
    double share = probe->error / check->tolerance;
    if (!(share <= *worst)) *worst = share; // a NaN stays: nothing is larger than it
    if (isnan(share)) break;
  }
  return STATUS_OK;
}

Status ops_selftest_products(Ops *ops, double *error) {
  Probe probe = {.ops = ops};
  const MemoryUse before = ops->memory;
  Status status = probe_open(&probe);
  if (status == STATUS_OK) status = run_products(&probe, error);
  probe_close(&probe, &before);
  return status;
}

static Status run_halves(Probe *probe, bool *right) {
  const char *failed = NULL;
  for (const SelfCheck *check = half_checks; check->operation != NULL; check++)
    if (is_wanted(check, probe->ops, SELFTEST_DEEP)) TRY(run_check(probe, check, NULL, &failed));
  *right = failed == NULL;
  return STATUS_OK;
}

Status ops_try_halves(Ops *ops, bool *right) {
  Probe probe = {.ops = ops};
  const MemoryUse before = ops->memory;
  Status status = probe_open(&probe);
  if (status == STATUS_OK) status = run_halves(&probe, right);
  probe_close(&probe, &before);
  return status;
}

Status ops_selftest_half(Ops *ops) {
  bool right = false;
  TRY(ops_try_halves(ops, &right));
  return right ? STATUS_OK : status_fail(STATUS_FAILED, "it gives wrong numbers on this device");
}
