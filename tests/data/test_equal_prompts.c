// Prompts that are equal to the model: within a set, and on the two sides of the split.
#include "support/test.h"

#include "data/data.h"
#include "io/file.h"
#include <stdio.h>
#include <string.h>

static Tokenizer *tokenizer;

static int open_tokenizer(void **state) {
  (void)state;
  return tokenizer_load(GEE_SOURCE_DIR "/tests/text/bpe_smollm", &tokenizer) == STATUS_OK ? 0 : -1;
}

static int free_tokenizer(void **state) {
  (void)state;
  tokenizer_free(tokenizer);
  return 0;
}

static DataOptions from_text(const char *text) {
  static char path[1200];
  (void)snprintf(path, sizeof path, "%s/prompts.txt", test_folder());
  assert_ok(file_write_atomic(path, text, strlen(text)));
  return (DataOptions){.train = path,
                       .groups_file = "gender",
                       .chat = "off",
                       .counterfactual = COUNTERFACTUAL_AUTO,
                       .seed = 15};
}

static bool equal_tokens(const Prompt *a, const Prompt *b) {
  return a->tokens.count == b->tokens.count &&
         memcmp(a->tokens.ids, b->tokens.ids, a->tokens.count * sizeof *a->tokens.ids) == 0;
}

// Cut to three tokens, "In the year …" has no group word left, and both groups would get the same prompt.
static void test_cut_group_words(void **state) {
  (void)state;
  Dataset data;
  DataOptions options =
      from_text("In the year one there was she\nShe is there\nIn the year two there was he\n"
                "He is there no more\n");
  assert_ok(dataset_build(&options, tokenizer, NULL, &data));
  assert_int_equal(data.sets, 4);
  assert_int_equal(data.equal_sets, 0);
  dataset_free(&data);
  options.max_prompt_tokens = 3;
  assert_ok(dataset_build(&options, tokenizer, NULL, &data));
  assert_int_equal(data.sets, 2);
  assert_int_equal(data.equal_sets, 2);
  for (size_t i = 0; i < data.count; i += 2) {
    assert_true(test_contains(data.prompts[i].text, "She"));
    assert_false(equal_tokens(&data.prompts[i], &data.prompts[i + 1]));
  }
  dataset_free(&data);
  options = from_text("In the year one there was she\nIn the year two there was he\n");
  options.max_prompt_tokens = 3;
  assert_fails(dataset_build(&options, tokenizer, NULL, &data), STATUS_INPUT, "raise data.max_prompt_tokens");
}

// Prompts that differ only in what was cut away are one prompt.
static void test_distinct_is_by_tokens(void **state) {
  (void)state;
  Dataset data;
  DataOptions options = from_text("She is a nurse of one\nHe is a nurse of two\nShe was there\n");
  assert_ok(dataset_build(&options, tokenizer, NULL, &data));
  assert_int_equal(dataset_distinct(&data), 6);
  dataset_free(&data);
  options.max_prompt_tokens = 3;
  assert_ok(dataset_build(&options, tokenizer, NULL, &data));
  assert_int_equal(data.sets, 3);
  assert_int_equal(dataset_distinct(&data), 4);
  for (size_t i = 0; i < data.count; i++) {
    assert_int_equal(data.prompts[i].distinct, i == 2 || i == 3 ? i - 2 : i);
    assert_true(equal_tokens(&data.prompts[i], &data.prompts[data.prompts[i].distinct]));
  }
  dataset_free(&data);
}

/// Splits `text` in half and checks that no prompt is on both sides.
static void check_split(const char *text) {
  Dataset train, held;
  DataOptions options = from_text(text);
  options.held_out = 0.5f;
  options.split = DATA_TRAIN;
  assert_ok(dataset_build(&options, tokenizer, NULL, &train));
  options.split = DATA_HELD_OUT;
  assert_ok(dataset_build(&options, tokenizer, NULL, &held));
  for (size_t i = 0; i < held.count; i++)
    for (size_t j = 0; j < train.count; j++)
      if (equal_tokens(&held.prompts[i], &train.prompts[j]))
        fail_msg("\"%s\" is on both sides", held.prompts[i].text);
  dataset_free(&train);
  dataset_free(&held);
}

// Each file has pairs of prompts that share the prompt of one group only.
static void test_split_joins_shared_prompts(void **state) {
  (void)state;
  static const char *const jobs[] = {"a pilot", "a nurse", "a cook", "a writer", "a judge", "a singer"};
  static const char *const files[][2] = {{"Mrs. Smith is %s.\n", "Ms. Smith is %s.\n"},
                                         {"My mom is %s.\n", "My mum is %s.\n"},
                                         {"Tell me of %s.\n", "A woman asks: Tell me of %s.\n"}};
  for (size_t f = 0; f < 3; f++) {
    Str text = {0};
    for (size_t j = 0; j < 12; j++) {
      const char *form = files[f][j / 6], *slot = strstr(form, "%s");
      assert_ok(str_append_format(&text, "%.*s%s%s", (int)(slot - form), form, jobs[j % 6], slot + 2));
    }
    check_split(str_text(&text));
    str_free(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cut_group_words),
      cmocka_unit_test(test_distinct_is_by_tokens),
      cmocka_unit_test(test_split_joins_shared_prompts),
  };
  return cmocka_run_group_tests(tests, open_tokenizer, free_tokenizer);
}
