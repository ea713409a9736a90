// The selftest must fail for a kernel with one term removed. Each is compiled from the embedded source with
// one piece of text replaced, and takes the place of the sound kernel. The selftest must name its operation,
// and only that one, as wrong, and must pass again afterwards.
#include "support/ops_fixture.h"

#include "context.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Break {
  const char *file, *kernel;
  KernelId id;
  const char *before, *after;
  const char *operation; // must be found wrong
} Break;

#define KERNEL_ID(kernel) #kernel, KERNEL_##kernel

static const Break everywhere[] = {
    {"rmsnorm.cl", KERNEL_ID(rmsnorm), " / (float)cols + eps", " / (float)cols", "rmsnorm"},
    {"rmsnorm.cl", KERNEL_ID(rmsnorm_backward), " - lanes_load(x + c, cols - c, 0.0f) * shrink", "",
     "rmsnorm_backward"},
    {"rmsnorm.cl", KERNEL_ID(rmsnorm_weight_partial), "* rstd[row]", "", "rmsnorm_backward"},
    {"rmsnorm.cl", KERNEL_ID(add_rmsnorm), " + lanes_load(b + c, cols - c, 0.0f)", "", "add_rmsnorm"},
    {"rope.cl", KERNEL_ID(rope), "x2 * cosine + x1 * sine", "x2 * cosine", "rope"},
    {"rope.cl", KERNEL_ID(rope), "head < heads + kv_heads;", "head < heads;", "rope"},
    {"rope.cl", KERNEL_ID(rope_keys), "copy_row(cache_v + to, v,", "copy_row(cache_v + to, k,", "rope_keys"},
    {"rope.cl", KERNEL_ID(rope_keys), "turn_row(q, cache_k + to, k,", "turn_row(q, cache_k, k,", "rope_keys"},
    {"swiglu.cl", KERNEL_ID(swiglu_backward), " * (g * (lanes_of(1.0f) - s) + 1.0f)", "", "swiglu_backward"},
    {"entropy.cl", KERNEL_ID(entropy), "log(s) - t / s", "log(s)", "entropy"},
    {"entropy.cl", KERNEL_ID(entropy_backward), "(log_p + entropy)", "log_p", "entropy_backward"},
    {"entropy.cl", KERNEL_ID(pick_logprob), " - stats[2 * row]", "", "pick_logprob"},
    {"cross_entropy.cl", KERNEL_ID(largest_logprob), " - stats[2 * row]", "", "largest_logprob"},
    {"cross_entropy.cl", KERNEL_ID(cross_entropy_backward), " * weights[row]", "", "cross_entropy_backward"},
    {"cross_entropy.cl", KERNEL_ID(subtract_targets), "-= weights[i]", "-= 0.0f", "cross_entropy_backward"},
    {"divergence.cl", KERNEL_ID(divergence), "fma(p, r, q - p)", "p * r", "divergence"},
    {"divergence.cl", KERNEL_ID(divergence), "lanes_of(-1.0f / 6.0f)", "lanes_of(0.0f)", "divergence"},
    {"divergence.cl", KERNEL_ID(divergence_backward), "(r - kl[pair])", "r", "divergence_backward"},
    {"divergence.cl", KERNEL_ID(divergence_backward), " + toward * reverse", "", "divergence_backward"},
    {"embed.cl", KERNEL_ID(embed_backward), "place + 1;", "place + 1; end = rows < end ? rows : end; if (0)",
     "embed_backward"},
    {"embed.cl", KERNEL_ID(embed), " + lanes_of(shift)", "", "quantised, decoded"},
    {"rows.cl", KERNEL_ID(scatter_add_rows), "lanes_load(out + c, cols - c, 0.0f) + ", "",
     "scatter_add_rows"},
    {"dropout.cl", KERNEL_ID(dropout), "x[i] * scale", "x[i]", "dropout"},
    {"sample.cl", KERNEL_ID(sample), "if (top_p < 1.0f) floor = threshold", "if (0) floor = threshold",
     "sample"},
    {"sample.cl", KERNEL_ID(sample_largest), "1.0f, penalty)", "1.0f, 1.0f)", "sample"},
    {"adamw.cl", KERNEL_ID(adamw), " * decay", "", "adamw"},
    {"adamw.cl", KERNEL_ID(adamw), "* rescale + epsilon", "* rescale", "adamw"},
    {"linear.cl", KERNEL_ID(bias_add), "lanes_load(x, cols - c, 0.0f) + ", "", "bias"},
};

static const Break on_cpus[] = {
    {"gemm_cpu.cl", KERNEL_ID(gemm_cpu), "vector_product(scale, numbers) + shift",
     "vector_product(scale, numbers)", "quantised, linear"},
    {"gemm_cpu.cl", KERNEL_ID(gemm_cpu), " + lanes_of(shift)", "", "quantised, linear_dx"},
    {"gemm_cpu.cl", KERNEL_ID(gemm_cpu), "(size_t)j * at.c_n", "(size_t)j", "linear"},
    {"gemm_cpu.cl", KERNEL_ID(gemm_cpu), "a2_k, b2_k, b2_n", "a2_k, 1u, b2_n", "linear_dx"},
    {"gemv_cpu.cl", KERNEL_ID(gemv_cpu), "fma(scale, codes, shift)", "scale * codes", "quantised, linear"},
    {"gemv_cpu.cl", KERNEL_ID(gemv_cpu), "if (type == TYPE_F16) add_plain", "if (0) add_plain", "linear"},
    {"gemv_cpu.cl", KERNEL_ID(gemv_cpu), "share.n = (group_id(0) - first) *", "share.n = group_id(0) *",
     "linear, three together"},
    {"attention_cpu.cl", KERNEL_ID(attention_cpu), "mass *= shrink", "", "attention"},
    {"attention_cpu.cl", KERNEL_ID(attention_dq_cpu), "(dp##i - row_delta)", "dp##i", "attention_backward"},
    {"attention_cpu.cl", KERNEL_ID(attention_dkv_cpu), "(ds##i - delta[index##i])", "ds##i",
     "attention_backward"},
};

// Of COMPUTE_BF16.
static const Break in_bf16[] = {
    {"gemm_bf16_cpu.cl", KERNEL_ID(gemm_bf16), "round_two(even, odd)", "round_two(even, even)",
     "linear, bf16"},
    {"gemm_bf16_cpu.cl", KERNEL_ID(gemm_bf16), "return (steps + 1) / 2", "return steps / 2", "linear, bf16"},
    {"gemm_bf16_cpu.cl", KERNEL_ID(gemm_bf16), "if (!ends.first)", "if (0)", "linear, bf16"},
    {"gemm_bf16_cpu.cl", KERNEL_ID(gemm_bf16), "if (type == TYPE_F16) pack_straight", "if (0) pack_straight",
     "linear, bf16"},
    {"gemm_bf16_cpu.cl", KERNEL_ID(gemm_bf16), "vector_product(scale, numbers) + shift",
     "vector_product(scale, numbers)", "linear, bf16"},
    {"gemm_bf16_cpu.cl", KERNEL_ID(round_rows), "k < left ? a[k] : 0.0f", "0.0f", "linear, bf16"},
    {"gemv_bf16_cpu.cl", KERNEL_ID(gemv_bf16), "fma(scale, codes, shift)", "scale * codes", "linear, bf16"},
    {"gemv_bf16_cpu.cl", KERNEL_ID(gemv_bf16), "row[k / 2]", "row[0]", "linear, bf16"},
    {"gemv_bf16_cpu.cl", KERNEL_ID(gemv_bf16), "add_steps(sums, row, k, w, none)", "(void)none",
     "linear, bf16"},
    {"gemv_bf16_cpu.cl", KERNEL_ID(gemv_bf16), "few->k == 0 ?", "1 ?", "linear, bf16"},
};

// The same on GPUs.
static const Break in_tiles[] = {
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), ": load_blocks(from, i, type)", ": 0.0f", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "two ? (uint)bits[k_stride] << 16 : 0", "0", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "uint two = k + 1 < k_end", "uint two = k + 2 < k_end",
     "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "i % rows, word =", "i / WORDS, word =", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "word += MATRIX_K / 2", "word += MATRIX_K", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "beta * c[place]", "c[place]", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "a[0] & 0xffff0000u", "a[0] << 16", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "+ 0x7fffu + ", "+ 0x8000u + 0 * ", "linear, bf16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "for (uint k = k_begin;", "for (uint k = 0;", "linear, bf16"},
};

// Of COMPUTE_F16, on GPUs.
static const Break in_f16[] = {
    {"halves.cl", KERNEL_ID(half_rows), "half_of_float(second * scale)", "half_of_float(second)",
     "linear, f16"},
    {"halves.cl", KERNEL_ID(half_rows), "2 * i + 1 < cols", "2 * i + 2 < cols", "linear, f16"},
    {"halves.cl", KERNEL_ID(half_rows), "bits_of_float(inverse_power(scale))", "0x3f800000u", "linear, f16"},
    {"halves.cl", KERNEL_ID(row_largest), "out[row] = most", "out[row] = 0.0f", "linear, f16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "k + 2 * word < k_end", "k + 2 * word + 1 < k_end", "linear, f16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "(size_t)row * a_m + a_m - 1", "a_m - 1", "linear, f16"},
    {"gemm_tile.cl", KERNEL_ID(gemm_tile), "(scale * (value))", "(value)", "linear, f16"},
};

// Of COMPUTE_INT8.
static const Break in_int8[] = {
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "codes[q] >> 4 & 0x0f0f0f0f", "codes[q] & 0x0f0f0f0f",
     "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "columns.shift, sum)", "(vector)(0.0f), sum)", "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "i < from->k_end / BLOCK", "i < from->k_end / BLOCK - 1",
     "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "if (!shifted) continue", "continue", "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "left[i] = ends.first ?", "left[i] = 1 ?", "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "if (!has_parts(type)) return", "return", "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "i < left ? load_plain(b, place + i, type) : 0.0f", "0.0f",
     "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(gemm_int8), "h * WIDTH, type)", "0, type)", "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(int8_rows), "type == TYPE_Q4_0 ? 8", "type == TYPE_Q4_0 ? 7",
     "linear, int8"},
    {"gemm_int8_cpu.cl", KERNEL_ID(int8_rows), "as_int(scale * (float)sum)", "as_int(scale)", "linear, int8"},
};

static const Break on_gpus[] = {
    {"attention.cl", KERNEL_ID(attention), "mass * shrink + added", "mass + added", "attention"},
    {"attention.cl", KERNEL_ID(attention_dq), "(dp - row_delta)", "dp", "attention_backward"},
    {"attention.cl", KERNEL_ID(attention_dkv), "(dp - delta[row])", "dp", "attention_backward"},
};

/// The kernel's source with `before` replaced; the caller frees it.
static char *broken_source(const Break *row) {
  char *source = NULL;
  assert_ok(kernel_source(row->file, &source));
  char *at = strstr(source, row->before);
  if (at == NULL) fail_msg("%s has no \"%s\" to remove", row->file, row->before);
  size_t size = strlen(source) + strlen(row->after) + 1;
  char *broken = calloc(size, 1);
  assert_non_null(broken);
  (void)snprintf(broken, size, "%.*s%s%s", (int)(at - source), source, row->after, at + strlen(row->before));
  free(source);
  return broken;
}

typedef struct Verdict {
  const char *operation;
  bool wrong;
  size_t others_wrong;
} Verdict;

static void note(void *user, const char *operation, double error, double tolerance, bool passed) {
  (void)error;
  (void)tolerance;
  Verdict *verdict = user;
  if (strcmp(operation, verdict->operation) == 0) {
    verdict->wrong = !passed;
  } else {
    verdict->others_wrong += !passed;
  }
}

/// A broken kernel in the sound one's place.
typedef struct BrokenKernel {
  Program *program;
  Kernel *kernel, *sound;
} BrokenKernel;

static BrokenKernel put_in(const Break *row) {
  Ops *ops = fixture_ops();
  Str options = {0};
  char *source = broken_source(row);
  BrokenKernel broken = {.sound = ops->kernels[row->id]};
  assert_ok(ops_kernel_options(ops, &options));
  assert_ok(program_create(ops->device, "broken", source, str_text(&options), &broken.program));
  assert_ok(kernel_create(broken.program, row->kernel, &broken.kernel));
  ops->kernels[row->id] = broken.kernel;
  free(source);
  str_free(&options);
  return broken;
}

static void take_out(const Break *row, BrokenKernel *broken) {
  fixture_ops()->kernels[row->id] = broken->sound;
  kernel_free(broken->kernel);
  program_free(broken->program);
}

static void check_break(const Break *row) {
  Ops *ops = fixture_ops();
  Verdict verdict = {.operation = row->operation};
  BrokenKernel broken = put_in(row);
  Status status = ops_selftest(ops, SELFTEST_QUICK, note, &verdict);
  take_out(row, &broken);
  if (status != STATUS_FAILED || !verdict.wrong) {
    fail_msg("%s without \"%s\" passed the selftest", row->kernel, row->before);
  }
  if (!test_contains(status_message(), row->operation))
    fail_msg("the message does not name %s", row->operation);
  assert_int_equal(verdict.others_wrong, 0);
}

static void everywhere_found(void **state) {
  (void)state;
  // A selftest takes half a minute on a simulated device, so only one break is tried there.
  size_t count = fixture_small() ? 1 : sizeof everywhere / sizeof *everywhere;
  for (size_t i = 0; i < count; i++) check_break(&everywhere[i]);
}

static void tiles_found(void **state) {
  (void)state;
  bool cpu = fixture_ops()->family == &cpu_family;
  size_t count = cpu ? sizeof on_cpus / sizeof *on_cpus : sizeof on_gpus / sizeof *on_gpus;
  for (size_t i = 0; i < (fixture_small() ? 1 : count); i++) check_break(cpu ? &on_cpus[i] : &on_gpus[i]);
}

/// Some faults show only in long sums or long spans: the quick self-test misses them, the deep one finds
/// them.
static void what_only_large_sizes_show_is_found(void **state) {
  (void)state;
  static const Break breaks[] = {
      {"gemm_cpu.cl", KERNEL_ID(gemm_cpu), "if (!ends.first)", "if (0)", "linear, large"},
      {"gemv_cpu.cl", KERNEL_ID(gemv_cpu), "few->k == 0 ?", "1 ?", "linear, large"},
      {"attention_cpu.cl", KERNEL_ID(attention_cpu), "return last;",
       "return last > *begin + 99 ? *begin + 99 : last;", "attention, long spans"},
      {"gemm.cl", KERNEL_ID(gemm), "for (uint k = k_begin;", "for (uint k = 0;", "linear, large"},
      {"attention.cl", KERNEL_ID(attention), "key += TILE) {", "key += key > begin + 40 ? 2 * TILE : TILE) {",
       "attention, long spans"},
  };
  if (fixture_small()) skip();
  Ops *ops = fixture_ops();
  bool cpu = ops->family == &cpu_family;
  const Device *vendor = ops->vendor;
  ops->vendor = NULL; // the broken kernels are gee-cl's own
  for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
    if (str_ends(breaks[i].file, "_cpu.cl") != cpu) continue;
    Verdict verdict = {.operation = breaks[i].operation};
    BrokenKernel broken = put_in(&breaks[i]);
    Status quick = ops_selftest(ops, SELFTEST_QUICK, NULL, NULL);
    Status deep = ops_selftest(ops, SELFTEST_DEEP, note, &verdict);
    take_out(&breaks[i], &broken);
    assert_int_equal(quick, STATUS_OK);
    if (deep != STATUS_FAILED || !verdict.wrong)
      fail_msg("%s without \"%s\" passed the selftest", breaks[i].kernel, breaks[i].before);
  }
  ops->vendor = vendor;
}

/// These three come after the others, because products with frozen weights stay as they are here.
static void bf16_found(void **state) {
  (void)state;
  if (fixture_small() || ops_use_compute(fixture_ops(), COMPUTE_BF16) != STATUS_OK) skip();
  bool cpu = fixture_ops()->family == &cpu_family;
  fixture_ops()->vendor_rounds = false; // the broken kernels are gee-cl's own
  size_t count = cpu ? sizeof in_bf16 / sizeof *in_bf16 : sizeof in_tiles / sizeof *in_tiles;
  for (size_t i = 0; i < count; i++) check_break(cpu ? &in_bf16[i] : &in_tiles[i]);
}

static void f16_found(void **state) {
  (void)state;
  if (fixture_small() || ops_use_compute(fixture_ops(), COMPUTE_F16) != STATUS_OK) skip();
  for (size_t i = 0; i < sizeof in_f16 / sizeof *in_f16; i++) check_break(&in_f16[i]);
}

static void int8_found(void **state) {
  (void)state;
  if (fixture_small() || ops_use_compute(fixture_ops(), COMPUTE_INT8) != STATUS_OK) skip();
  for (size_t i = 0; i < sizeof in_int8 / sizeof *in_int8; i++) check_break(&in_int8[i]);
}

static void sound_again(void **state) {
  (void)state;
  if (fixture_small()) skip();
  assert_ok(ops_selftest(fixture_ops(), SELFTEST_DEEP, NULL, NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(everywhere_found), OPS_TEST(tiles_found), OPS_TEST(what_only_large_sizes_show_is_found),
      OPS_TEST(bf16_found),       OPS_TEST(f16_found),   OPS_TEST(int8_found),
      OPS_TEST(sound_again)};
  return RUN_OPS_TESTS(tests);
}
