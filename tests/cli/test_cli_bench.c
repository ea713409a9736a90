// gee-cl bench as a user sees it, on a tiny model: every number in the JSON follows from what was measured.
#include "support/json_tree.h"
#include "support/process.h"
#include "support/tiny_model.h"

#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char *model;

static int write_model(void **state) {
  (void)state;
  model = test_folder();
  tiny_model_write(model);
  return 0;
}

static double number(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItem(object, key);
  if (!cJSON_IsNumber(item)) fail_msg("%s is no number", key);
  return item->valuedouble;
}

static const char *text(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItem(object, key);
  if (!cJSON_IsString(item)) fail_msg("%s is no text", key);
  return item->valuestring;
}

static cJSON *read_json(const char *path) {
  char *bytes = read_file(path, NULL);
  cJSON *json = cJSON_Parse(bytes);
  free(bytes);
  assert_non_null(json);
  return json;
}

static double check_spread(const cJSON *object, const char *key) {
  const cJSON *spread = cJSON_GetObjectItem(object, key);
  assert_true(number(spread, "minimum") > 0);
  assert_true(number(spread, "minimum") <= number(spread, "median"));
  assert_true(number(spread, "median") <= number(spread, "maximum"));
  assert_true(number(spread, "runs") >= 3);
  return number(spread, "maximum");
}

static void assert_near(double a, double b) {
  if (!(fabs(a - b) <= 1e-9 * fabs(b))) fail_msg("%.17g is not %.17g", a, b);
}

static void check_result(const cJSON *result, double peak, double memory) {
  (void)check_spread(result, "seconds");
  double median = number(cJSON_GetObjectItem(result, "seconds"), "median");
  double computing = number(result, "flops") / peak, moving = number(result, "bytes") / memory;
  assert_near(number(result, "flops_per_second"), number(result, "flops") / median);
  assert_near(number(result, "bytes_per_second"), number(result, "bytes") / median);
  assert_near(number(result, "share_of_limit"), number(result, "limit_seconds") / median);
  if (strcmp(text(result, "part"), "gemm") == 0) {
    assert_near(number(result, "limit_seconds"), fmax(computing, moving));
    assert_near(number(result, "flops"),
                2 * number(result, "rows") * number(result, "out") * number(result, "in"));
  } else { // the sum over operations is no less than that over all of them together
    assert_true(number(result, "limit_seconds") >= fmax(computing, moving) * (1 - 1e-9));
    assert_near(number(result, "tokens_per_second"), number(result, "tokens") / median);
  }
}

/// Lines of a table are at most 80 columns wide; only the device's name may be longer.
static void check_width(const char *out) {
  const char *line = strchr(out, '\n');
  for (; line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
    size_t width = strcspn(line + 1, "\n");
    if (width > 80) fail_msg("%zu columns: %.*s", width, (int)width, line + 1);
  }
}

static void everything_is_measured_and_written(void **state) {
  (void)state;
  static const char *const parts[] = {"gemm", "decode", "prefill", "gradient", "step"};
  const char *path = in_folder(model, "bench.json");
  Ran ran = GEE("bench", "--model", model, "--quick", "--json", path);
  assert_code(ran, 0);
  check_width(ran.out);
  assert_true(test_contains(ran.out, "float32 fma in registers"));
  cJSON *json = read_json(path);
  const cJSON *limits = cJSON_GetObjectItem(json, "limits"), *results = cJSON_GetObjectItem(json, "results");
  double peak = check_spread(limits, "flops_per_second");
  double memory =
      fmax(check_spread(limits, "bytes_read_per_second"), check_spread(limits, "bytes_triad_per_second"));
  bool found[5] = {false};
  const cJSON *result;
  cJSON_ArrayForEach(result, results) {
    check_result(result, peak, memory);
    for (size_t i = 0; i < 5; i++) found[i] = found[i] || strcmp(text(result, "part"), parts[i]) == 0;
  }
  for (size_t i = 0; i < 5; i++) {
    if (!found[i]) fail_msg("nothing of %s", parts[i]);
  }
  assert_true(cJSON_IsTrue(cJSON_GetObjectItem(json, "complete")));
  assert_string_equal(text(json, "model"), model);
  assert_string_equal(text(json, "dtype"), "stored");
  cJSON_Delete(json);
}

static void parts_can_be_chosen(void **state) {
  (void)state;
  Ran ran = GEE("bench", "--model", model, "--quick", "--only", "prefill,gemm", "--dtype", "bf16");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "out BF16"));
  assert_true(test_contains(ran.out, "prefill"));
  assert_false(test_contains(ran.out, "decode"));
  assert_false(test_contains(ran.out, "step"));
  ran = GEE("bench", "--model", model, "--quick", "--only", "gemm,prefill", "--dtype", "stored");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "out F32"));
}

static void wrong_words_are_refused(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("bench", "--only", "gemm,sampling"), 2, "\"sampling\"", "prefill");
  ASSERT_ERROR(GEE("bench", "--only", ""), 2, "--only has \"\"");
  ASSERT_ERROR(GEE("bench", "--dtype", "q4_0"), 2, "--dtype is \"q4_0\"");
  ASSERT_ERROR(GEE("bench", "--model", in_folder(model, "nowhere")), 2, "nowhere");
  ASSERT_ERROR(GEE("bench", "--model", model, "--json", in_folder(model, "no/bench.json")), 2, "--json",
               "no folder");
  ASSERT_ERROR(GEE("bench", "--device", "no such device"), 2, "no such device");
}

static void a_model_with_few_positions_is_refused(void **state) {
  (void)state;
  const char *small = in_folder(model, "small");
  assert_int_equal(mkdir(small, 0700), 0);
  copy_changed(model, "config.json", "small/config.json", "\"max_position_embeddings\": 512",
               "\"max_position_embeddings\": 100");
  size_t size = 0;
  char *weights = read_file(in_folder(model, "model.safetensors"), &size);
  write_file(in_folder(small, "model.safetensors"), weights, size);
  free(weights);
  Ran ran = GEE("bench", "--model", small, "--quick", "--only", "decode");
  assert_int_equal(ran.code, 2);
  assert_true(test_contains(ran.err, "100 positions"));
  assert_code(GEE("bench", "--model", small, "--quick", "--only", "gemm"), 0);
}

static void ctrl_c_keeps_what_is_there(void **state) {
  (void)state;
  const char *path = in_folder(model, "stopped.json");
  pid_t pid = START_GEE("bench", "--model", model, "--json", path);
  assert_true(wait_for_lines(started_output(), 9, 300)); // the limits, and the first results
  assert_int_equal(kill(pid, SIGINT), 0);
  Ran ran = finish_run(pid);
  assert_code(ran, 130);
  assert_true(test_contains(ran.err, "what is measured so far is above"));
  cJSON *json = read_json(path);
  assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "complete")));
  assert_true(cJSON_GetArraySize(cJSON_GetObjectItem(json, "results")) >= 1);
  cJSON_Delete(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(everything_is_measured_and_written),
      cmocka_unit_test(parts_can_be_chosen),
      cmocka_unit_test(wrong_words_are_refused),
      cmocka_unit_test(ctrl_c_keeps_what_is_there),
      cmocka_unit_test(a_model_with_few_positions_is_refused),
  };
  return cmocka_run_group_tests(tests, write_model, NULL);
}
