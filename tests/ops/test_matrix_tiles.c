// cl/gemm_tile.cl with every matrix instruction of cl/matrix.h, emulated as its vendor documents it
// (matrix_emulated.h), against double precision on factors that are rounded first: in bfloat16 and in IEEE
// halves, both forms, odd sizes, all stored types. A CPU runs the GPU's kernels here. A layout that is wrong
// in one place is found, and a tile that a device cannot compile is given up.
#include "support/ops_fixture.h"
#include "support/process.h"

#include "context.h"
#include "kernels.h"
#include "ref/ref.h"
#include "util/half.h"
#include "util/log.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const KernelFamily *family; // the device's own
static char *emulation;
static Compute compute; // all that follows is done in both

static int open_gpu_family(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  Ops *ops = fixture_ops();
  family = ops->family;
  ops->family = &gpu_family;
  emulation = read_file(GEE_SOURCE_DIR "/tests/ops/matrix_emulated.h", NULL);
  if (ops_use_compute(ops, compute) == STATUS_OK) return 0;
  (void)fprintf(stderr, "%s\n", status_message());
  return -1;
}

static int close_all(void **state) {
  free(emulation);
  fixture_ops()->family = family;
  return ops_fixture_close(state);
}

/// `text` with `before`, which must be in it, replaced; frees `text`.
static char *replaced(char *text, const char *before, const char *after) {
  const char *at = strstr(text, before);
  if (at == NULL) fail_msg("the kernel has no \"%s\"", before);
  size_t size = strlen(text) + strlen(after) + 1;
  char *out = calloc(size, 1);
  assert_non_null(out);
  (void)snprintf(out, size, "%.*s%s%s", (int)(at - text), text, after, at + strlen(before));
  free(text);
  return out;
}

/// The kernel with the tile's instruction emulated, and with `before` replaced unless it is NULL.
static char *emulated_source(const char *before, const char *after) {
  char *source = NULL, *front = calloc(strlen(emulation) + 100, 1);
  assert_non_null(front);
  assert_ok(kernel_source("gemm_tile.cl", &source));
  if (before != NULL) source = replaced(source, before, after);
  (void)sprintf(front, "%s\nMATRIX_ATTRIBUTE KERNEL_OF", emulation);
  source = replaced(source, "MATRIX_ATTRIBUTE KERNEL_OF", front);
  source = replaced(source, "LOCAL uint b_slab", "LOCAL uint exchange[EXCHANGE];\n  LOCAL uint b_slab");
  free(front);
  return replaced(source, "multiply(sums[i][j], from_a[i], from_b)",
                  "emulate(sums[i][j], from_a[i], from_b, exchange)");
}

static void put_in(const Tile *tile, const char *before, const char *after) {
  Ops *ops = fixture_ops();
  Program *program = NULL;
  Str options = {0};
  char *source = emulated_source(before, after);
  ops_drop_program(ops, KERNEL_gemm_tile);
  ops->tile = tile;
  assert_ok(ops_kernel_options(ops, &options));
  assert_ok(str_append_format(&options, " -DEMULATED"));
  assert_ok(program_create(fixture_device(), "gemm_tile_emulated", source, str_text(&options), &program));
  for (size_t i = 0; kernel_sources[i].name != NULL; i++)
    if (strcmp(kernel_sources[i].name, "gemm_tile.cl") == 0) ops->programs[i] = program;
  assert_ok(kernel_create(program, "gemm_tile", &ops->kernels[KERNEL_gemm_tile]));
  str_free(&options);
  free(source);
}

/// The tile, if there is one from `t` on, whose instruction has the factors.
static bool next_tile(size_t *t) {
  while (*t < TILE_PLAIN && (matrix_tiles[*t].factors & tile_factors(compute)) == 0) ++*t;
  return *t < TILE_PLAIN;
}
#define FOR_EACH_TILE(t) for (size_t t = 0; next_tile(&t); t++)

typedef struct Case {
  bool back; // dx = dout · w, else out = x · wᵀ
  size_t m, n, k;
} Case;

static double *rounded(const double *values, size_t rows, size_t cols) {
  double *out = fixture_zeros(rows * cols);
  for (size_t i = 0; i < rows * cols; i++)
    out[i] =
        compute == COMPUTE_F16 ? values[i] : (double)bfloat_to_float(bfloat_from_float((float)values[i]));
  if (compute == COMPUTE_F16) ref_round_f16(out, rows, cols);
  return out;
}

static void check(const Tile *tile, const Case *c) {
  size_t ins = c->back ? c->n : c->k, outs = c->back ? c->k : c->n;
  double *x = fixture_random(c->m * ins, 1), *w = fixture_random(c->n * c->k, 1),
         *expected = fixture_random(c->m * outs, 1);
  Tensor *weights = fixture_weights(DTYPE_F32, c->n, c->k, w), *dev_x = fixture_f32(c->m, ins, x),
         *out = fixture_f32(c->m, outs, expected);
  assert_ok(op_measure_weights(weights));
  assert_ok(c->back ? op_linear_dx(out, dev_x, weights, 0.5f, -2) : op_linear(out, dev_x, weights, 0.5f, -2));
  double *x_held = rounded(x, c->m, ins), *w_held = rounded(w, 1, c->n * c->k);
  if (c->back)
    ref_linear_dx(expected, x_held, w_held, c->m, c->n, c->k, 0.5, -2);
  else
    ref_linear(expected, x_held, w_held, c->m, c->n, c->k, 0.5, -2);
  fixture_compare(tile->name, out, expected, 2 * sqrt((double)ins + 4) * (double)FLT_EPSILON);
  assert_int_equal(ops_fixture_clean(NULL), 0);
}

static void computes_products(const Tile *tile) {
  static const Case cases[] = {{false, 3, 5, 31},    {true, 1, 1, 1},      {false, 1, 1, 1},
                               {false, 33, 31, 257}, {false, 67, 131, 33}, {true, 33, 257, 31},
                               {true, 67, 33, 131},  {false, 2, 130, 70}};
  for (size_t i = 0; i < (fixture_small() ? 1 : sizeof cases / sizeof *cases); i++) check(tile, &cases[i]);
}

/// All rows together, and any part of them, have the same bits.
static void computes_rows_alone(void) {
  enum { M = 70, N = 40, K = 90, FIRST = 5 };
  float all[M * N], some[M * N];
  Tensor *w = fixture_weights(DTYPE_F32, N, K, fixture_random(N * K, 1)),
         *x = fixture_f32(M, K, fixture_random(M * K, 1)), *out = fixture_f32(M, N, NULL);
  assert_ok(op_measure_weights(w));
  assert_ok(op_linear(out, x, w, 1, 0));
  assert_ok(tensor_read(out, 0, M * N, all));
  for (size_t count = 1; count < M - FIRST; count = 3 * count + 1) {
    Tensor rows = tensor_rows(x, FIRST, count), *part = fixture_f32(count, N, NULL);
    assert_ok(op_linear(part, &rows, w, 1, 0));
    assert_ok(tensor_read(part, 0, count * N, some));
    assert_memory_equal(some, all + FIRST * N, count * N * sizeof *some);
  }
  assert_int_equal(ops_fixture_clean(NULL), 0);
}

/// One tile after another, because compiling them takes most of the time. The self-test has all stored types.
static void every_tile_is_right(void **state) {
  (void)state;
  FOR_EACH_TILE(t) {
    put_in(&matrix_tiles[t], NULL, NULL);
    computes_products(&matrix_tiles[t]);
    if (fixture_small()) continue;
    computes_rows_alone();
    if (ops_selftest_half(fixture_ops()) != STATUS_OK)
      fail_msg("%s: %s", matrix_tiles[t].name, status_message());
  }
}

static void the_self_test_finds_a_wrong_layout(void **state) {
  (void)state;
  static const struct {
    const char *macro, *before, *after;
  } breaks[] = {
      {"MATRIX_MMA", "lane % 4 + i / 2 * 4]", "lane % 4 + i % 2 * 4]"},
      {"MATRIX_MMA", "return lane % 4 * 2 + i % 2;", "return lane % 4 + i % 2 * 4;"},
      {"MATRIX_MMA_8", "slab[(lane / 4 + i % 2 * 8)", "slab[(lane / 4 * 2 + i % 2)"},
      {"MATRIX_WMMA", "slab[lane % 16 * PITCH + i]", "slab[lane / 2 * PITCH + i]"},
      {"MATRIX_WMMA", "return 2 * i + lane / 16;", "return i + lane / 16 * 8;"},
      {"MATRIX_WMMA_12", "lane / 16 * 4 + i]", "lane / 16 + i * 2]"},
      {"MATRIX_MFMA", "return lane / 16 * 4 + i;", "return lane / 16 + i * 4;"},
      {"MATRIX_XMX_16", "first >> shift & 0xffffu", "first >> 16"},
      {"MATRIX_XMX_8", "slab[i * PITCH + lane]", "slab[lane * PITCH + i]"},
  };
  if (fixture_small()) skip();
  for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
    // Halves of a wave may swap their steps if both factors do: a sum has no place for k.
    bool harmless = strcmp(breaks[i].macro, "MATRIX_WMMA_12") == 0;
    size_t t = 0;
    while (strcmp(matrix_tiles[t].macro, breaks[i].macro) != 0) t++;
    bool in_bf16 = (matrix_tiles[t].factors & FACTORS_BF16) != 0;
    if (in_bf16 != (compute == COMPUTE_BF16)) continue; // in f16 it would be the same again
    put_in(&matrix_tiles[t], breaks[i].before, breaks[i].after);
    if ((ops_selftest_half(fixture_ops()) == STATUS_OK) != harmless)
      fail_msg("%s with \"%s\"", matrix_tiles[t].name, breaks[i].after);
  }
}

/// A row that forgets its scale, or has another's, and weights that keep theirs.
static void the_self_test_finds_a_wrong_scale(void **state) {
  (void)state;
  static const char *const breaks[][2] = {
      {"sum * inverse_power(b_scale)", "sum"},
      {"(size_t)row * a_m + a_m - 1", "a_m - 1"},
      {"* float_of_bits(a[(size_t)row * a_m + a_m - 1])", ""},
      {"(scale * (value))", "(value)"},
  };
  if (fixture_small() || compute != COMPUTE_F16) skip();
  for (size_t i = 0; i < sizeof breaks / sizeof *breaks; i++) {
    put_in(&matrix_tiles[0], breaks[i][0], breaks[i][1]);
    if (ops_selftest_half(fixture_ops()) == STATUS_OK) fail_msg("with \"%s\"", breaks[i][1]);
  }
}

// ---- the choice ----

static char said[1024];
static void hear(LogLevel level, const char *line, void *user) {
  (void)level, (void)user;
  (void)snprintf(said, sizeof said, "%s", line);
}

static void what_does_not_compile_is_given_up(void **state) {
  (void)state;
  const uint32_t both = FACTORS_BF16 | FACTORS_F16;
  const uint32_t nothing[TILE_PLAIN] = {0}, amd[TILE_PLAIN] = {[2] = both, [4] = both};
  Ops *ops = fixture_ops();
  log_set_sink(hear, NULL);
  said[0] = '\0';
  assert_ok(tile_choose_of(ops, nothing));
  assert_string_equal(said, "");
  assert_ptr_equal(ops->tile, &matrix_tiles[TILE_PLAIN]);
  assert_ok(tile_choose_of(ops, amd));
  log_set_sink(NULL, NULL);
  char line[100];
  (void)snprintf(line, sizeof line,
                 "products in %s do without a matrix engine. AMD's MFMA: ", compute_name(compute));
  assert_true(test_contains(said, line));
  assert_ptr_equal(ops->tile, &matrix_tiles[TILE_PLAIN]);
  if (!fixture_small()) assert_ok(ops_selftest_half(ops));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(every_tile_is_right),
      OPS_TEST(the_self_test_finds_a_wrong_layout),
      OPS_TEST(the_self_test_finds_a_wrong_scale),
      OPS_TEST(what_does_not_compile_is_given_up),
  };
  static const Compute computes[] = {COMPUTE_BF16, COMPUTE_F16};
  int failed = 0;
  for (size_t i = 0; i < sizeof computes / sizeof *computes; i++) {
    compute = computes[i];
    failed += cmocka_run_group_tests_name(compute_name(compute), tests, open_gpu_family, close_all);
  }
  return failed;
}
