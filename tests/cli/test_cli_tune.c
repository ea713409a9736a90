// gee-cl tune as a user sees it, on the double of CUDA: what is measured, kept and used; a run records which
// GEMM multiplied, and a resume with another says so. A CPU has nothing to tune.
#include "support/cuda_double.h"
#include "support/json_tree.h"
#include "support/stopped_run.h"

#include "device/device.h"
#include "io/file.h"
#include "ops/products.h"
#include <stdlib.h>
#include <string.h>

static const char *folder;

static int open_double(void **state) {
  (void)state;
  use_cuda_double();
  if (setenv("XDG_CACHE_HOME", test_folder(), 1) != 0) return -1; // of this test alone
  folder = stopped_open();
  return 0;
}

static cJSON *read_json(const char *path) {
  char *bytes = read_file(path, NULL);
  cJSON *json = cJSON_Parse(bytes);
  free(bytes);
  assert_non_null(json);
  return json;
}

static const char *text(const cJSON *object, const char *key) {
  const char *value = cJSON_GetStringValue(cJSON_GetObjectItem(object, key));
  if (value == NULL) fail_msg("%s is no text", key);
  return value;
}

static void check_width(const char *out) {
  for (const char *line = strchr(out, '\n'); line != NULL && line[1] != '\0'; line = strchr(line + 1, '\n')) {
    size_t width = strcspn(line + 1, "\n");
    bool path = strncmp(line + 1, "kept in ", 8) == 0;
    if (width > 80 && !path) fail_msg("%zu columns: %.*s", width, (int)width, line + 1);
  }
}

/// Every candidate that is usable was timed as often as every other.
static void check_times(const cJSON *json) {
  const cJSON *candidate, *time;
  int before = 0;
  cJSON_ArrayForEach(candidate, cJSON_GetObjectItem(json, "candidates")) {
    int count = 0;
    assert_true(cJSON_IsTrue(cJSON_GetObjectItem(candidate, "usable")));
    assert_true(cJSON_GetObjectItem(candidate, "error_of_allowed")->valuedouble <= 1);
    cJSON_ArrayForEach(time, cJSON_GetObjectItem(json, "times")) {
      const cJSON *seconds = cJSON_GetObjectItem(time, "seconds");
      assert_true(cJSON_GetObjectItem(seconds, "median")->valuedouble > 0);
      count += strcmp(text(time, "candidate"), text(candidate, "name")) == 0;
    }
    assert_true(count > 0);
    assert_true(before == 0 || count == before);
    before = count;
  }
}

static void the_choice_is_measured_and_kept(void **state) {
  (void)state;
  const char *path = in_folder(folder, "tune.json"), *model = in_folder(folder, "model");
  Ran ran = GEE("tune", "--model", model, "--dry-run", "--json", path);
  assert_code(ran, 0);
  check_width(ran.out);
  assert_true(test_contains(ran.err, "nothing is kept"));
  cJSON *json = read_json(path);
  assert_null(cJSON_GetObjectItem(json, "kept"));
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "candidates")), GEMM_SETS + 1);
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(json, "choice")), PRODUCT_FORMS);
  check_times(json);
  cJSON_Delete(json);
}

/// Keeps a choice as gee-cl tune would, for the runs that follow.
static void keep(const GemmChoice *choice) {
  Device *device = NULL;
  Ops *ops = NULL;
  char *path = NULL;
  assert_ok(device_open(NULL, &device));
  assert_ok(ops_create(device, NULL, &ops));
  assert_ok(ops_keep_choice(ops, choice, &path));
  assert_true(file_exists(path));
  free(path);
  ops_free(ops);
  device_close(device);
}

static void a_run_records_its_products_and_a_resume_compares_them(void **state) {
  (void)state;
  static const char *const resume[] = {"--resume", NULL};
  const GemmChoice mixed = {.vendor = {true, false, false}, .set = {{6, 4, 0}, {5, 4, 0}, {5, 0, 0}}};
  const GemmChoice own = {.set = {{6, 4, 0}, {5, 4, 0}, {5, 0, 0}}};
  keep(&mixed);
  stopped_make("tuned", NULL);
  cJSON *json = read_json(in_folder(folder, "runs/tuned/run.json"));
  char *printed = cJSON_Print(json);
  assert_true(test_contains(printed, "forward cuBLAS, dx own, dw own"));
  free(printed);
  cJSON_Delete(json);
  stopped_copy("tuned", NULL, "same");
  Ran ran = stopped_train(NULL, "same", NULL, resume);
  assert_code(ran, 0);
  assert_false(test_contains(ran.err, "rounded differently"));
  stopped_assert_same(NULL, "tuned", NULL, "same");
  keep(&own);
  stopped_copy("tuned", NULL, "other");
  ran = stopped_train(NULL, "other", NULL, resume);
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "device.gemm in use is now own, was forward cuBLAS, dx own, dw own"));
}

/// The last test here: from it on, pocl is the device.
static void a_cpu_has_nothing_to_tune(void **state) {
  (void)state;
  Ran ran = GEE("tune", "--device", "Portable Computing Language");
  if (ran.code != 0) skip();
  assert_true(test_contains(ran.out, "there is nothing to tune"));
  const char *path = in_folder(folder, "cpu.json");
  assert_code(GEE("tune", "--device", "Portable Computing Language", "--json", path), 0);
  cJSON *json = read_json(path);
  assert_true(cJSON_IsFalse(cJSON_GetObjectItem(json, "tunable")));
  assert_null(cJSON_GetObjectItem(json, "choice"));
  cJSON_Delete(json);
  ASSERT_ERROR(
      GEE("tune", "--device", "Portable Computing Language", "--model", in_folder(folder, "nowhere")), 2,
      "nowhere");
  ASSERT_ERROR(GEE("tune", "--device", "no such device"), 2, "no such device");
  ASSERT_ERROR(GEE("tune", "--model", in_folder(folder, "nowhere")), 2, "nowhere");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_choice_is_measured_and_kept),
      cmocka_unit_test(a_run_records_its_products_and_a_resume_compares_them),
      cmocka_unit_test(a_cpu_has_nothing_to_tune),
  };
  return cmocka_run_group_tests(tests, open_double, NULL);
}
