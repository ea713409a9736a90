// The real SmolLM2-135M-Instruct (GGUF) compared with transformers' numbers in the shared golden folder: 32
// greedy tokens, and the entropy of each position at two temperatures. Skipped without the model or the
// numbers.
#include "support/model_fixture.h"

#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROMPT_MAX = 256, NEW_TOKENS = 32 };

static Model *model;

typedef struct Row {
  int32_t prompt[PROMPT_MAX], answer[NEW_TOKENS];
  size_t prompt_count, answer_count;
  double entropy_1[NEW_TOKENS], entropy_05[NEW_TOKENS], logprob_1[NEW_TOKENS], gap[NEW_TOKENS];
} Row;

static size_t read_ints(const cJSON *row, const char *key, int32_t *out, size_t most) {
  size_t count = 0;
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(row, key)) {
    assert_true(count < most);
    out[count++] = item->valueint;
  }
  return count;
}

static void read_numbers(const cJSON *row, const char *key, double *out) {
  size_t count = 0;
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(row, key)) {
    if (count < NEW_TOKENS) out[count++] = item->valuedouble;
  }
}

static void read_row(const cJSON *json, Row *row) {
  row->prompt_count = read_ints(json, "prompt_ids", row->prompt, PROMPT_MAX);
  row->answer_count = read_ints(json, "gen_ids", row->answer, NEW_TOKENS);
  assert_true(row->prompt_count > 0 && row->answer_count > 0);
  read_numbers(json, "entropy_T1", row->entropy_1);
  read_numbers(json, "entropy_T0.5", row->entropy_05);
  read_numbers(json, "lp_T1", row->logprob_1);
  read_numbers(json, "top1_top2_logit_gap", row->gap);
}

static int32_t largest(const Tensor *logits) {
  float *values = malloc(logits->cols * sizeof *values);
  assert_non_null(values);
  assert_ok(tensor_read(logits, 0, logits->cols, values));
  int32_t best = 0;
  for (size_t i = 1; i < logits->cols; i++) {
    if (values[i] > values[best]) best = (int32_t)i;
  }
  free(values);
  return best;
}

static void check_greedy(Pass *pass, const Row *row) {
  int32_t position[PROMPT_MAX];
  int32_t spans[4 * PROMPT_MAX];
  for (int32_t i = 0; i < (int32_t)row->prompt_count; i++) {
    position[i] = i;
    spans[4 * i] = spans[4 * i + 1] = spans[4 * i + 2] = 0;
    spans[4 * i + 3] = i + 1;
  }
  CachedRows rows = {.rows = row->prompt_count,
                     .ids = row->prompt,
                     .positions = position,
                     .cache_row = position,
                     .spans = spans};
  assert_ok(pass_forward_cached(pass, &rows));
  int32_t last = (int32_t)row->prompt_count - 1;
  for (size_t t = 0; t < row->answer_count; t++) {
    const Tensor *logits = NULL;
    assert_ok(pass_logits(pass, &last, 1, &logits));
    int32_t token = largest(logits);
    assert_int_equal(token, row->answer[t]);
    position[0] = (int32_t)(row->prompt_count + t);
    spans[3] = position[0] + 1;
    rows.rows = 1;
    rows.ids = &token;
    last = 0;
    assert_ok(pass_forward_cached(pass, &rows));
  }
}

static void check_entropies(Pass *pass, const Row *row) {
  const TokenSpan prompt = {row->prompt, row->prompt_count};
  const BatchAnswer answer = {.prompt = 0, .tokens = {row->answer, row->answer_count}};
  float entropy[NEW_TOKENS];
  float logprob[NEW_TOKENS];
  Batch batch;
  assert_ok(batch_build(&prompt, 1, &answer, 1, true, &batch));
  assert_ok(pass_forward(pass, &batch, (DropoutDraw){0}));
  double worst = 0;
  for (int half = 0; half < 2; half++) {
    const double *expected = half ? row->entropy_05 : row->entropy_1;
    assert_ok(pass_statistics(pass, &batch, half ? 0.5f : 1.0f, entropy, NULL, logprob));
    for (size_t t = 0; t < row->answer_count; t++) {
      double error = fabs((double)entropy[t] - expected[t]);
      worst = fmax(worst, error);
      if (!(error <= 1e-4))
        fail_msg("position %zu: entropy %g, expected %g", t, (double)entropy[t], expected[t]);
      if (half) continue;
      error = fabs((double)logprob[t] - row->logprob_1[t]);
      if (!(error <= 1e-4))
        fail_msg("position %zu: log p %g, expected %g", t, (double)logprob[t], row->logprob_1[t]);
    }
  }
  print_message("%zu + %zu tokens: entropies within %.1e\n", row->prompt_count, row->answer_count, worst);
  batch_free(&batch);
}

static void check_golden(void (*check)(Pass *, const Row *)) {
  char path[1100];
  cJSON *json = NULL;
  const cJSON *item = NULL;
  Pass *pass = NULL;
  PassOptions options = {.kind = PASS_INFERENCE,
                         .max_rows = PROMPT_MAX,
                         .cache_rows = PROMPT_MAX + NEW_TOKENS,
                         .head_tile_rows = 16};
  (void)snprintf(path, sizeof path, "%s/golden/entropy.json", test_shared());
  assert_ok(json_parse_file(path, &json));
  assert_ok(pass_create(model, &options, &pass));
  cJSON_ArrayForEach(item, json) {
    Row row;
    read_row(item, &row);
    check(pass, &row);
  }
  pass_free(pass);
  cJSON_Delete(json);
}

static void test_greedy(void **state) {
  (void)state;
  check_golden(check_greedy);
}

static void test_entropies(void **state) {
  (void)state;
  check_golden(check_entropies);
}

static int open_model(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  if (test_smollm2() == NULL || test_shared() == NULL) {
    (void)fprintf(stderr, "skipped: no SmolLM2 GGUF (GEE_SMOLLM2) or no shared golden folder (GEE_SHARED)\n");
    exit(TEST_SKIPPED);
  }
  model = fixture_model(test_smollm2(), DTYPE_F32);
  return 0;
}

static int close_model(void **state) {
  model_free(model);
  return ops_fixture_close(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(test_greedy), OPS_TEST(test_entropies)};
  return cmocka_run_group_tests(tests, open_model, close_model);
}
