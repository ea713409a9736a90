// Benchmarks of written texts and of long texts on the real SmolLM2, against the golden numbers.
#include "support/benchmarks.h"

#include "io/file.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool whole;

/// The same tokens, texts and numbers as transformers and lm-evaluation-harness in the row of this index.
static void expect_written(const cJSON *golden, const Measured *m, size_t index) {
  static const char *const texts[][2] = {
      {"text", "generation"}, {"strict", "strict"}, {"flexible", "flexible"}};
  assert_true(index < m->count);
  assert_true(cJSON_Compare(cJSON_GetObjectItem(golden, "gen_ids"),
                            cJSON_GetObjectItem(m->rows[index], "ids"), true));
  for (size_t k = 0; k < 3; k++)
    assert_string_equal(cJSON_GetObjectItem(m->rows[index], texts[k][1])->valuestring,
                        cJSON_GetObjectItem(golden, texts[k][0])->valuestring);
}

/// The golden rows are among the first ones. Behind five shots the first row is problem 5.
static void gsm8k(void **state) {
  (void)state;
  static const struct {
    const char *task, *limit, *golden;
    size_t shots;
  } parts[] = {{"gsm8k", "10", "chat0", 0}, {"gsm8k:5", "7", "plain5", 5}};
  cJSON *golden = read_shared("gsm8k.json");
  for (size_t i = 0; i < (whole ? 2 : 1); i++) {
    const cJSON *row;
    Measured m = measure_first(parts[i].task, parts[i].limit);
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(golden, parts[i].golden))
        expect_written(row, &m, (size_t)cJSON_GetObjectItem(row, "row")->valueint - parts[i].shots);
    measured_free(&m);
  }
  cJSON_Delete(golden);
}

static void expect_near(const Measured *m, const char *name, const cJSON *golden, const char *key,
                        double tolerance) {
  const cJSON *value = cJSON_GetObjectItem(golden, key);
  assert_true(cJSON_IsNumber(value));
  double found = metric(m, name);
  if (!(fabs(found - value->valuedouble) <= tolerance))
    fail_msg("%s is %.7f, not %.7f", name, found, value->valuedouble);
}

/// The first 2,000 tokens of a file, as the golden numbers have them.
static void perplexity(void **state) {
  (void)state;
  char path[700], text[700], task[800];
  size_t size = 0;
  cJSON *golden = read_shared("perplexity.json");
  size_t used = (size_t)cJSON_GetObjectItem(golden, "bytes_used")->valueint;
  (void)snprintf(path, sizeof path, "%s/data/winobias/pro_stereotyped_type1.txt.test", test_shared());
  (void)snprintf(text, sizeof text, "%s/text.txt", test_folder());
  char *bytes = read_file(path, &size);
  assert_true(used < size);
  assert_ok(file_write_atomic(text, bytes, used));
  free(bytes);

  (void)snprintf(task, sizeof task, "perplexity:%s", text);
  Measured m = measure_first(task, "0");
  const cJSON *start = cJSON_GetObjectItem(golden, "single_window_prefix1");
  const cJSON *none = cJSON_GetObjectItem(golden, "single_window_no_bos");
  expect_near(&m, "nll_mean", start, "nll_mean", 1e-5);
  expect_near(&m, "ppl", start, "ppl", 5e-5);
  expect_near(&m, "nll_mean_no_bos", none, "nll_mean", 1e-5);
  expect_near(&m, "ppl_no_bos", none, "ppl", 5e-5);
  expect_near(&m, "word_ppl", golden, "word_ppl_prefix1", 2e-4);
  expect_near(&m, "byte_ppl", golden, "byte_ppl_prefix1", 1e-5);
  expect_near(&m, "bits_per_byte", golden, "bits_per_byte_prefix1", 1e-5);
  measured_free(&m);

  (void)snprintf(task, sizeof task, "perplexity_llamacpp:%s", text);
  m = measure_first(task, "0");
  const cJSON *llama = cJSON_GetObjectItem(golden, "llamacpp_ctx512_second_half_no_bos");
  expect_near(&m, "nll_mean", llama, "nll_mean", 1e-5);
  expect_near(&m, "ppl", llama, "ppl", 5e-5);
  measured_free(&m);
  cJSON_Delete(golden);
}

int main(void) {
  if (!benchmarks_open(&whole)) return TEST_SKIPPED;
  const struct CMUnitTest tests[] = {cmocka_unit_test(gsm8k), cmocka_unit_test(perplexity)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
