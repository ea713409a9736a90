// Given answers as tokens: which of them count, against transformers' assistant mask (chat_answers.json from
// make_chat_answers.py); prompts that rows share; the split; and the order of epochs.
#include "support/test.h"

#include "data/examples.h"
#include "io/file.h"
#include "io/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MANY_TOKENS = 4096 };

static const cJSON *member(const cJSON *json, const char *name) {
  const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, name);
  if (found == NULL) fail_msg("the golden file has no %s", name);
  return found;
}

static const char *write_rows(const char *text) {
  static char path[1200];
  (void)snprintf(path, sizeof path, "%s/rows.jsonl", test_folder());
  assert_ok(file_write_atomic(path, text, strlen(text)));
  return path;
}

static Tokenizer *open_tokenizer(const char *name) {
  char path[600];
  Tokenizer *tokenizer = NULL;
  (void)snprintf(path, sizeof path, "%s/tests/text/%s", GEE_SOURCE_DIR, name);
  assert_ok(tokenizer_load(path, &tokenizer));
  return tokenizer;
}

// ---- against transformers ----

/// The ids up to the last token that counts, and the mask.
static void check_mask(const cJSON *golden, const Example *example) {
  const cJSON *ids = member(golden, "ids"), *mask = member(golden, "mask");
  size_t last = 0;
  for (int i = 0; i < cJSON_GetArraySize(mask); i++)
    if (cJSON_GetArrayItem(mask, i)->valueint == 1) last = (size_t)i + 1;
  if (example->tokens.count != last) fail_msg("%zu tokens, not %zu", example->tokens.count, last);
  for (size_t i = 0; i < last; i++) {
    bool counts = i >= example->prompt && example->scored[i - example->prompt];
    if (example->tokens.ids[i] != cJSON_GetArrayItem(ids, (int)i)->valueint)
      fail_msg("token %zu is %d", i, example->tokens.ids[i]);
    if (counts != (cJSON_GetArrayItem(mask, (int)i)->valueint == 1))
      fail_msg("%s: token %zu (%d) %s", member(golden, "tokenizer")->valuestring, i, example->tokens.ids[i],
               counts ? "counts" : "does not count");
  }
}

static void masks_of_transformers(void **state) {
  (void)state;
  cJSON *golden = NULL;
  const cJSON *entry = NULL;
  int checked = 0;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/text/chat_answers.json", &golden));
  cJSON_ArrayForEach(entry, member(golden, "masks")) {
    Tokenizer *tokenizer = open_tokenizer(member(entry, "tokenizer")->valuestring);
    ChatTemplate *chat = NULL;
    Examples examples;
    char *messages = cJSON_PrintUnformatted(member(entry, "chat")), row[2000];
    (void)snprintf(row, sizeof row, "{\"chat\": %s}\n", messages);
    const DataOptions options = {.train = write_rows(row), .column = "chat", .chat = "on"};
    assert_ok(chat_open("", tokenizer, &(ChatOptions){.name = "chatml"}, &chat));
    assert_ok(examples_build(&options, MANY_TOKENS, tokenizer, chat, &examples));
    assert_int_equal(examples.count, 1);
    assert_int_equal(examples.list[0].turns, 2);
    check_mask(entry, &examples.list[0]);
    examples_free(&examples);
    chat_free(chat);
    tokenizer_free(tokenizer);
    cJSON_free(messages);
    checked++;
  }
  assert_int_equal(checked, 6);
  cJSON_Delete(golden);
}

// ---- answers in a column ----

static Examples build(const char *rows, const DataOptions *more) {
  Tokenizer *tokenizer = open_tokenizer("bpe_qwen2");
  ChatTemplate *chat = NULL;
  DataOptions options = *more;
  Examples examples;
  options.train = write_rows(rows);
  options.answer_column = "answer";
  options.chat = "on";
  assert_ok(chat_open("", tokenizer, &(ChatOptions){.name = "chatml"}, &chat));
  assert_ok(examples_build(&options, MANY_TOKENS, tokenizer, chat, &examples));
  chat_free(chat);
  tokenizer_free(tokenizer);
  return examples;
}

static const char ten_rows[] =
    "{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": \"c\", \"answer\": \"d\"}\n"
    "{\"prompt\": \"a\", \"answer\": \"e\"}\n{\"prompt\": \"f\", \"answer\": \"g\"}\n"
    "{\"prompt\": \"h\", \"answer\": \"i\"}\n{\"prompt\": \"j\", \"answer\": \"k\"}\n"
    "{\"prompt\": \"l\", \"answer\": \"m\"}\n{\"prompt\": \"c\", \"answer\": \"n\"}\n"
    "{\"prompt\": \"o\", \"answer\": \"p\"}\n{\"prompt\": \" \", \"answer\": \"q\"}\n";

static void prompts_that_rows_share(void **state) {
  (void)state;
  Examples examples = build(ten_rows, &(DataOptions){0});
  assert_int_equal(examples.count, 9);
  assert_int_equal(examples.read.empty, 1);
  assert_int_equal(examples.list[2].distinct, 0);
  assert_int_equal(examples.list[7].distinct, 1);
  assert_int_equal(examples.list[8].distinct, 8);
  assert_int_equal(examples.list[8].row, 9);
  assert_string_equal(examples.list[7].asked, "c");
  examples_free(&examples);
}

/// Only the last answer of a chat with another one in a column; data.system in front.
static void only_the_given_answer_counts(void **state) {
  (void)state;
  static const char row[] =
      "{\"prompt\": [{\"role\": \"user\", \"content\": \"a\"}, {\"role\": \"assistant\", "
      "\"content\": \"b\"}, {\"role\": \"user\", \"content\": \"c\"}], \"answer\": \"d\"}\n";
  Examples examples = build(row, &(DataOptions){0});
  Examples told = build(row, &(DataOptions){.system = "Be kind."});
  assert_int_equal(examples.list[0].turns, 1);
  assert_int_equal(examples.list[0].answered, examples.list[0].tokens.count - examples.list[0].prompt);
  assert_true(told.list[0].prompt > examples.list[0].prompt);
  assert_int_equal(told.list[0].answered, examples.list[0].answered);
  assert_true(examples_hash(&told) != examples_hash(&examples));
  examples_free(&examples);
  examples_free(&told);
}

static void equal_prompts_stay_together(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 20; seed++) {
    Examples train = build(ten_rows, &(DataOptions){.split = DATA_TRAIN, .held_out = 0.4f, .seed = seed});
    Examples held = build(ten_rows, &(DataOptions){.split = DATA_HELD_OUT, .held_out = 0.4f, .seed = seed});
    size_t both = 1;
    assert_int_equal(train.count + held.count, 9);
    assert_int_equal(train.split, held.count);
    assert_true(held.count >= 3); // of seven distinct prompts
    assert_ok(examples_overlap(&held, &train, &both));
    assert_int_equal(both, 0);
    assert_ok(examples_overlap(&held, &held, &both));
    assert_int_equal(both, held.count);
    examples_free(&train);
    examples_free(&held);
  }
  Examples few = build(ten_rows, &(DataOptions){.max_sets = 4});
  assert_int_equal(few.count, 4);
  for (size_t i = 0; i < 4; i++) assert_true(few.list[i].distinct < 4);
  examples_free(&few);
}

/// Every epoch has each row once, whatever the portions in which it is drawn, and epochs differ.
static void epochs_are_permutations(void **state) {
  (void)state;
  enum { EPOCHS = 4, ROWS = 9 };
  Examples examples = build(ten_rows, &(DataOptions){0});
  size_t whole[EPOCHS * ROWS], part[5];
  assert_ok(examples_draw(&examples, 15, 0, EPOCHS * ROWS, whole));
  for (size_t e = 0; e < EPOCHS; e++) {
    bool seen[ROWS] = {false};
    for (size_t i = 0; i < ROWS; i++) seen[whole[e * ROWS + i]] = true;
    for (size_t i = 0; i < ROWS; i++) assert_true(seen[i]);
  }
  assert_true(memcmp(whole, whole + ROWS, ROWS * sizeof *whole) != 0);
  for (size_t cursor = 0; cursor + 5 <= EPOCHS * ROWS; cursor += 5) {
    assert_ok(examples_draw(&examples, 15, cursor, 5, part));
    assert_true(memcmp(part, whole + cursor, sizeof part) == 0);
  }
  examples_free(&examples);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(masks_of_transformers), cmocka_unit_test(prompts_that_rows_share),
      cmocka_unit_test(only_the_given_answer_counts), cmocka_unit_test(equal_prompts_stay_together),
      cmocka_unit_test(epochs_are_permutations)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
