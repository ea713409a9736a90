// Prompts that are equal to the model: within a set, and on the two sides of the split.
#include "support/test.h"

#include "data/data.h"
#include "io/file.h"
#include "util/str.h"
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

/// The prompts of both sides of a split in halves.
static void split(const char *text, Dataset *train, Dataset *held_out) {
  DataOptions options = from_text(text);
  options.held_out = 0.5F;
  options.split = DATA_TRAIN;
  assert_ok(dataset_build(&options, tokenizer, NULL, train));
  options.split = DATA_HELD_OUT;
  assert_ok(dataset_build(&options, tokenizer, NULL, held_out));
}

// Prompts that a person reads as the same: other blanks, case, and accents as parts of letters or behind
// them.
static void test_alike_prompts(void **state) {
  (void)state;
  static const char *const variants[] = {"%s she sings",       " %s she sings", "%s she sings ",
                                         "%s  she\tsings",     "%s SHE SINGS",  "%s\u00A0she sings",
                                         "%s \u3000 she Sings"};
  static const char *const starts[] = {"caf\u00E9", "cafe\u0301", "CAF\u00C9"};
  Str text = {0};
  for (size_t row = 0; row < 8; row++) {
    assert_ok(str_append_format(&text, "Song %zu: ", row));
    for (size_t v = 0; v < 7; v++) {
      char prompt[200];
      (void)snprintf(prompt, sizeof prompt, variants[v], starts[v % 3]);
      if (v > 0) assert_ok(str_append_format(&text, "%ssong %zu: ", v % 2 == 0 ? " " : "", row));
      assert_ok(str_append_format(&text, "%s\n", prompt));
    }
  }
  Dataset train, held_out;
  split(str_text(&text), &train, &held_out);
  assert_int_equal(train.sets, 28); // 4 of 8 songs, in 7 ways each
  assert_int_equal(held_out.sets, 28);
  assert_int_equal(dataset_distinct_sets(&train), 4);
  assert_int_equal(dataset_distinct_sets(&held_out), 4);
  for (size_t i = 0; i < train.count; i++)
    for (size_t j = 0; j < held_out.count; j++) {
      const char *a = strpbrk(train.prompts[i].text, "0123456789"),
                 *b = strpbrk(held_out.prompts[j].text, "0123456789");
      assert_true(*a != *b); // the number of the song
    }
  dataset_free(&train);
  dataset_free(&held_out);
  str_free(&text);
}

// Sets whose first prompts differ, but another does not: "my mom" and "my mum" both become "my dad".
static void test_sets_that_share_a_prompt(void **state) {
  (void)state;
  Dataset data;
  DataOptions options = from_text("My mom sings\nMy mum sings\nMy aunt sings\n");
  assert_ok(dataset_build(&options, tokenizer, NULL, &data));
  assert_int_equal(data.sets, 3);
  assert_int_equal(dataset_distinct_sets(&data), 2);
  dataset_free(&data);
}

static size_t overlap(const DataOptions *options, const Dataset *trained) {
  Dataset data;
  size_t count = 0;
  assert_ok(dataset_build(options, tokenizer, NULL, &data));
  assert_ok(dataset_overlap(&data, trained, &count));
  dataset_free(&data);
  return count;
}

// The same prompts under another wrapping have other tokens, and were trained on all the same.
static void test_overlap_is_by_what_the_user_wrote(void **state) {
  (void)state;
  Dataset trained;
  DataOptions options = from_text("She is a nurse of one\nHe was there\n");
  assert_ok(dataset_build(&options, tokenizer, NULL, &trained));
  assert_int_equal(overlap(&options, &trained), 4);
  options.max_prompt_tokens = 3;
  assert_int_equal(overlap(&options, &trained), 4);
  options.max_prompt_tokens = 0;
  options.counterfactual = COUNTERFACTUAL_TEMPLATE;
  assert_int_equal(overlap(&options, &trained), 4);
  options.groups_file = "race";
  assert_int_equal(overlap(&options, &trained), 2 * 4);
  // the partner of what was trained on, a chat with a message of the system, and another prompt
  options = from_text("{\"prompt\": \"She was there\"}\n{\"prompt\": [{\"role\": \"system\", \"content\": "
                      "\"Be brief.\"}, {\"role\": \"user\", \"content\": \"He was there\"}]}\n"
                      "{\"prompt\": \"She was here\"}\n");
  assert_int_equal(overlap(&options, &trained), 4);
  options = from_text("She was here\nA nurse of one\nHe is a nurse of two\n");
  assert_int_equal(overlap(&options, &trained), 0);
  dataset_free(&trained);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_cut_group_words),
      cmocka_unit_test(test_alike_prompts),
      cmocka_unit_test(test_sets_that_share_a_prompt),
      cmocka_unit_test(test_distinct_is_by_tokens),
      cmocka_unit_test(test_split_joins_shared_prompts),
      cmocka_unit_test(test_overlap_is_by_what_the_user_wrote),
  };
  return cmocka_run_group_tests(tests, open_tokenizer, free_tokenizer);
}
