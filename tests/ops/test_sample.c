// Sampling: the twin keeps the tokens that transformers keeps (tests/golden/warpers.json), and the device
// draws what the twin draws. The draws are at both ends of every kept token's share, so a token too many or
// too few moves an end and is noticed.
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include "util/rng.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static cJSON *read_golden(void) {
  FILE *file = fopen(GEE_SOURCE_DIR "/tests/golden/warpers.json", "rb");
  assert_non_null(file);
  assert_int_equal(fseek(file, 0, SEEK_END), 0);
  size_t size = (size_t)ftell(file);
  rewind(file);
  char *text = calloc(size + 1, 1);
  assert_non_null(text);
  assert_int_equal(fread(text, 1, size, file), size);
  (void)fclose(file);
  cJSON *golden = cJSON_Parse(text);
  free(text);
  assert_non_null(golden);
  return golden;
}

static double number(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
  assert_true(cJSON_IsNumber(item));
  return item->valuedouble;
}

static void twin_keeps_what_transformers_keeps(void **state) {
  (void)state;
  cJSON *golden = read_golden();
  const cJSON *entry;
  size_t cases = 0;
  cJSON_ArrayForEach(entry, golden) {
    const cJSON *logits = cJSON_GetObjectItem(entry, "logits"), *kept = cJSON_GetObjectItem(entry, "kept"),
                *item;
    size_t V = (size_t)cJSON_GetArraySize(logits), i = 0, survivors = 0;
    double *values = fixture_zeros(V), *scores = fixture_zeros(V);
    int32_t *seen = fixture_ints((V + 31) / 32);
    cJSON_ArrayForEach(item, logits) values[i++] = item->valuedouble;
    cJSON_ArrayForEach(item, cJSON_GetObjectItem(entry, "seen")) {
      seen[item->valueint / 32] |= (int32_t)(1u << (item->valueint % 32));
    }
    RefSample shape = {number(entry, "temperature"), number(entry, "top_p"), number(entry, "penalty"),
                       (size_t)number(entry, "top_k")};
    assert_ok(ref_warp(scores, values, (const uint32_t *)seen, V, shape));
    for (i = 0; i < V; i++) survivors += scores[i] > -INFINITY;
    assert_int_equal(survivors, cJSON_GetArraySize(kept));
    const cJSON *score = cJSON_GetObjectItem(entry, "scores")->child;
    cJSON_ArrayForEach(item, kept) {
      double error = fabs(scores[item->valueint] - score->valuedouble);
      if (!(error <= 1e-5)) fail_msg("case %zu: token %d scores off by %g", cases, item->valueint, error);
      score = score->next;
    }
    cases++;
    ops_fixture_clean(NULL);
  }
  assert_int_equal(cases, 32);
  cJSON_Delete(golden);
}

/// Draws from the same row of logits with each of the `count` uniforms.
static int32_t *draw_all(const double *row, const int32_t *seen, size_t V, const double *uniforms,
                         size_t count, SampleShape shape) {
  size_t words = (V + 31) / 32;
  double *logits = fixture_zeros(count * V);
  int32_t *all_seen = fixture_ints(count * words), *found = fixture_ints(count);
  for (size_t r = 0; r < count; r++) {
    memcpy(logits + r * V, row, V * sizeof *row);
    memcpy(all_seen + r * words, seen, words * sizeof *seen);
  }
  Tensor *tokens = fixture_i32(1, count, found), *dev_seen = fixture_i32(count, words, all_seen);
  assert_ok(
      op_sample(tokens, dev_seen, fixture_f32(count, V, logits), fixture_f32(1, count, uniforms), shape));
  assert_ok(tensor_read(tokens, 0, count, found));
  for (size_t r = 0; r < count; r++) {
    assert_in_range(found[r], 0, V - 1);
    all_seen[r * words + (size_t)found[r] / 32] |= (int32_t)(1u << (found[r] % 32));
  }
  fixture_compare_i32("tokens", tokens, found);
  fixture_compare_i32("seen", dev_seen, all_seen);
  return found;
}

/// Just inside both ends of each kept token's share, the device draws that token.
static void check_boundaries(const double *row, const int32_t *seen, size_t V, SampleShape shape) {
  const double margin = 3e-6;
  RefSample ref = {(double)shape.temperature, (double)shape.top_p, (double)shape.repetition_penalty,
                   shape.top_k};
  double *scores = fixture_zeros(V), *uniforms = fixture_zeros(2 * V), mass = 0, running = 0;
  int32_t *expected = fixture_ints(2 * V);
  size_t count = 0;
  assert_ok(ref_warp(scores, row, (const uint32_t *)seen, V, ref));
  for (size_t i = 0; i < V; i++) mass += exp(scores[i]);
  for (size_t i = 0; i < V; i++) {
    double share = exp(scores[i]) / mass;
    if (share > 4 * margin && (!fixture_small() || count < 6)) {
      expected[count] = expected[count + 1] = (int32_t)i;
      uniforms[count++] = running + margin;
      uniforms[count++] = running + share - margin;
    }
    running += share;
  }
  const int32_t *found = draw_all(row, seen, V, uniforms, count, shape);
  for (size_t i = 0; i < count; i++) {
    if (found[i] != expected[i])
      fail_msg("u = %.7f of %zu tokens drew %d, not %d", uniforms[i], V, found[i], expected[i]);
  }
}

static void device_keeps_what_the_twin_keeps(void **state) {
  (void)state;
  static const SampleShape shapes[] = {
      {1.0f, 1.0f, 0, 1.0f},  {0.5f, 0.95f, 0, 1.15f}, {1.0f, 0.9f, 0, 1.0f},   {0.7f, 0.8f, 50, 1.1f},
      {2.0f, 1.0f, 5, 1.3f},  {1.0f, 1.0f, 1, 1.0f},   {1.3f, 0.05f, 0, 1.0f},  {0.5f, 0.95f, 20, 0.8f},
      {1.0f, 1e-6f, 0, 1.0f}, {1.0f, 0.999f, 0, 2.0f}, {1.0f, 1.0f, 300, 1.0f},
  };
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    for (const size_t *size = fixture_sizes; *size != 0; size++) {
      size_t V = *size;
      if (fixture_small() && V != 33) continue;
      double *row = fixture_random(V, 5);
      int32_t *seen = fixture_ints((V + 31) / 32);
      for (size_t i = 0; i < V; i += 3) seen[i / 32] |= (int32_t)(1u << (i % 32));
      check_boundaries(row, seen, V, shapes[s]);
      ops_fixture_clean(NULL);
    }
  }
}

/// A real vocabulary: the device draws the twin's token for u, or for a number within rounding of u.
static void large_vocabulary(void **state) {
  (void)state;
  size_t draws = fixture_small() ? 3 : 70;
  size_t V = fixture_small() ? 300 : 49152;
  SampleShape shape = {0.5f, 0.95f, 0, 1.15f};
  double *row = fixture_random(V, 6), *scores = fixture_zeros(V), *uniforms = fixture_zeros(draws);
  int32_t *seen = fixture_ints((V + 31) / 32);
  for (size_t i = 0; i < V; i += 101) seen[i / 32] |= (int32_t)(1u << (i % 32));
  for (size_t i = 0; i < draws; i++) uniforms[i] = (double)rng_uniform(5, RNG_SAMPLE, (uint32_t)i, 0, 0);
  uniforms[0] = 0;
  uniforms[1] = 1 - 0x1p-24;
  assert_ok(
      ref_warp(scores, row, (const uint32_t *)seen, V, (RefSample){0.5, (double)0.95f, (double)1.15f, 0}));
  const int32_t *found = draw_all(row, seen, V, uniforms, draws, shape);
  for (size_t i = 0; i < draws; i++) {
    size_t low = ref_draw(scores, V, fmax(0, uniforms[i] - 1e-5)),
           high = ref_draw(scores, V, uniforms[i] + 1e-5);
    assert_in_range(found[i], low, high);
    assert_true(scores[found[i]] > -INFINITY);
  }
}

/// Temperature 0 takes the largest logit after the penalty, and the first of equal ones.
static void largest(void **state) {
  (void)state;
  enum { V = 257 };
  const double u[1] = {0.7};
  SampleShape shape = {0, 0.9f, 3, 1.0f};
  double *row = fixture_random(V, 1);
  int32_t *seen = fixture_ints((V + 31) / 32);
  row[250] = row[33] = row[40] = 5;
  assert_int_equal(draw_all(row, seen, V, u, 1, shape)[0], 33);
  seen[1] = 1 << 1; // token 33
  shape.repetition_penalty = 1.5f;
  assert_int_equal(draw_all(row, seen, V, u, 1, shape)[0], 40);
  for (size_t i = 0; i < V; i++) row[i] = -2 - (i == 33);
  seen[1] = 0;
  assert_int_equal(draw_all(row, seen, V, u, 1, shape)[0], 0);
  seen[0] = 0x7fffffff;
  assert_int_equal(draw_all(row, seen, V, u, 1, shape)[0], 31);
}

/// Pearson's chi-square statistic of many draws with fixed seeds is below its 99.9 % quantile.
static void follows_the_distribution(void **state) {
  (void)state;
  enum { V = 33 };
  size_t draws = 20000, degrees = 0;
  if (fixture_small()) skip();
  double *row = fixture_random(V, 1.5), *scores = fixture_zeros(V), *uniforms = fixture_zeros(draws);
  double *counts = fixture_zeros(V), mass = 0, statistic = 0;
  int32_t *seen = fixture_ints(2);
  SampleShape shape = {1.0f, 0.9f, 0, 1.0f};
  for (size_t i = 0; i < draws; i++) uniforms[i] = (double)rng_uniform(11, RNG_SAMPLE, (uint32_t)i, 0, 0);
  assert_ok(ref_warp(scores, row, (const uint32_t *)seen, V, (RefSample){1, (double)0.9f, 1, 0}));
  const int32_t *found = draw_all(row, seen, V, uniforms, draws, shape);
  for (size_t i = 0; i < draws; i++) counts[found[i]]++;
  for (size_t i = 0; i < V; i++) mass += exp(scores[i]);
  for (size_t i = 0; i < V; i++) {
    double expected = (double)draws * exp(scores[i]) / mass;
    if (expected == 0) {
      assert_true(counts[i] == 0);
      continue;
    }
    statistic += (counts[i] - expected) * (counts[i] - expected) / expected;
    degrees++;
  }
  // Wilson and Hilferty's approximation of the quantile; 3.09 is the normal's.
  double k = (double)(degrees - 1), quantile = k * pow(1 - 2 / (9 * k) + 3.09 * sqrt(2 / (9 * k)), 3);
  if (!(statistic < quantile))
    fail_msg("chi-square %g with %g degrees of freedom, at most %g", statistic, k, quantile);
}

static void refuses_nonsense(void **state) {
  (void)state;
  const double none[4] = {0};
  const int32_t zero[1] = {0};
  Tensor *tokens = fixture_i32(1, 1, zero), *seen = fixture_i32(1, 1, zero),
         *logits = fixture_f32(1, 4, none);
  Tensor *uniforms = fixture_f32(1, 1, none);
  assert_fails(op_sample(tokens, seen, logits, uniforms, (SampleShape){-1, 1, 0, 1}), STATUS_FAILED,
               "temperature -1");
  assert_fails(op_sample(tokens, seen, logits, uniforms, (SampleShape){1, 0, 0, 1}), STATUS_FAILED,
               "top_p 0");
  assert_fails(op_sample(tokens, seen, logits, uniforms, (SampleShape){1, NAN, 0, 1}), STATUS_FAILED,
               "top_p");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(twin_keeps_what_transformers_keeps),
      OPS_TEST(device_keeps_what_the_twin_keeps),
      OPS_TEST(large_vocabulary),
      OPS_TEST(largest),
      OPS_TEST(follows_the_distribution),
      OPS_TEST(refuses_nonsense),
  };
  return RUN_OPS_TESTS(tests);
}
