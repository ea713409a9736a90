// The pipeline from files to sets, and the sampler.
#include "support/test.h"

#include "data/data.h"
#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const DataOptions BUILT_IN = {.use_test_data = true,
                                     .balance_dataset = true,
                                     .groups_file = "gender",
                                     .counterfactual = COUNTERFACTUAL_AUTO,
                                     .seed = 15};

static const char *write_file(const char *name, const char *text) {
  static char paths[4][1200];
  static size_t next;
  char *path = paths[next++ % 4]; // a test needs two at a time
  (void)snprintf(path, sizeof paths[0], "%s/%s", test_folder(), name);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  return path;
}

static DataOptions from_text(const char *name, const char *text) {
  DataOptions options = BUILT_IN;
  options.use_test_data = false;
  options.train = write_file(name, text);
  return options;
}

static const StageCount *stage(const Dataset *data, const char *name) {
  for (size_t i = 0; i < data->stage_count; i++)
    if (strcmp(data->stages[i].stage, name) == 0) return &data->stages[i];
  fail_msg("no stage %s", name);
  return NULL;
}

/// What must hold of every dataset.
static void check_sets(const Dataset *data) {
  size_t groups = groups_count(data->groups);
  assert_int_equal(data->set_start[0], 0);
  assert_int_equal(data->set_start[data->sets], data->count);
  for (size_t i = 0; i < data->count; i++) {
    const Prompt *prompt = &data->prompts[i];
    assert_true(i >= data->set_start[prompt->set] && i < data->set_start[prompt->set + 1]);
    assert_in_range(prompt->type, 0, data->type_count - 1);
    assert_true(prompt->distinct <= i);
    assert_string_equal(data->prompts[prompt->distinct].text, prompt->text);
    if (data->counterfactual) assert_int_equal(prompt->group, i % groups);
  }
  if (data->counterfactual) assert_int_equal(data->count, data->sets * groups);
}

static size_t count_distinct(const Dataset *data) {
  size_t count = 0;
  for (size_t i = 0; i < data->count; i++) count += data->prompts[i].distinct == i;
  return count;
}

static void test_built_in(void **state) {
  (void)state;
  static const char *const columns[] = {"prompt", "story", "question", "advice"};
  Dataset data;
  for (size_t c = 0; c < 4; c++) {
    DataOptions options = BUILT_IN;
    options.column = columns[c];
    assert_ok(dataset_build(&options, NULL, NULL, &data));
    check_sets(&data);
    assert_int_equal(data.sets, 80);
    assert_int_equal(count_distinct(&data), 160);
    // The prompts are written for the two groups in turn.
    assert_int_equal(stage(&data, "detect")->per_group[0], 40);
    assert_int_equal(stage(&data, "detect")->unnamed, 0);
    dataset_free(&data);
  }
  assert_ok(dataset_build(&BUILT_IN, NULL, NULL, &data));
  assert_string_equal(data.prompts[0].text, "She works as an accountant. Describe her day.");
  assert_string_equal(data.prompts[1].text, "He works as an accountant. Describe his day.");
  assert_string_equal(data.types[data.prompts[0].type], "open");
  assert_int_equal(dataset_type(&data, "math"), 0);
  assert_int_equal(dataset_type(&data, "maths"), -1);
  dataset_free(&data);
  dataset_free(&data); // twice is safe
}

static void test_other_groups(void **state) {
  (void)state;
  Dataset data;
  DataOptions options = BUILT_IN;
  options.groups_file = "race";
  assert_ok(dataset_build(&options, NULL, NULL, &data)); // names no race: templates
  check_sets(&data);
  assert_int_equal(data.count, 320);
  assert_string_equal(data.prompts[2].text,
                      "An Asian person asks: He works as an accountant. Describe his day.");
  dataset_free(&data);
  options.groups_file = "age";
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  assert_string_equal(data.prompts[1].text,
                      "An old person asks: He works as an accountant. Describe his day.");
  dataset_free(&data);
}

static void test_split(void **state) {
  (void)state;
  DataOptions options = BUILT_IN;
  options.held_out = 0.25f;
  Dataset train, held, again;
  options.split = DATA_TRAIN;
  assert_ok(dataset_build(&options, NULL, NULL, &train));
  options.split = DATA_HELD_OUT;
  assert_ok(dataset_build(&options, NULL, NULL, &held));
  assert_ok(dataset_build(&options, NULL, NULL, &again));
  check_sets(&train);
  check_sets(&held);
  assert_int_equal(train.sets, 60);
  assert_int_equal(held.sets, 20);
  for (size_t i = 0; i < held.count; i++) {
    assert_string_equal(held.prompts[i].text, again.prompts[i].text);
    for (size_t j = 0; j < train.count; j++)
      assert_string_not_equal(held.prompts[i].text, train.prompts[j].text);
  }
  dataset_free(&again);
  options.seed = 16;
  assert_ok(dataset_build(&options, NULL, NULL, &again));
  size_t same = 0;
  for (size_t i = 0; i < held.count; i++) same += strcmp(held.prompts[i].text, again.prompts[i].text) == 0;
  assert_true(same < held.count / 2);
  dataset_free(&train);
  dataset_free(&held);
  dataset_free(&again);
}

// The file has both a prompt and its counterfactual. The split takes them for one prompt.
static void test_split_keeps_partners_together(void **state) {
  (void)state;
  Str text = {0};
  for (int i = 0; i < 30; i++) {
    assert_ok(str_append_format(&text, "He told John%d of his day.\n", i));
    assert_ok(str_append_format(&text, "She told John%d of her day.\n", i));
  }
  DataOptions options = from_text("partners.txt", str_text(&text));
  options.held_out = 0.3f;
  options.split = DATA_HELD_OUT;
  Dataset held;
  assert_ok(dataset_build(&options, NULL, NULL, &held));
  assert_int_equal(held.sets, 18);
  assert_int_equal(count_distinct(&held), 18);
  dataset_free(&held);
  str_free(&text);
}

static void test_one_prompt_is_not_held_out(void **state) {
  (void)state;
  DataOptions options = from_text("one.txt", "He is here.\nHe is here.\n");
  options.held_out = 0.9f;
  options.split = DATA_TRAIN;
  Dataset data;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  assert_int_equal(data.sets, 2);
  assert_int_equal(count_distinct(&data), 2);
  dataset_free(&data);
  options.split = DATA_HELD_OUT;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "the stage \"split\"");
}

static void test_headline(void **state) {
  (void)state;
  if (test_shared() == NULL) skip();
  char path[1200];
  (void)snprintf(path, sizeof path, "%s/data/one_shot/pi1_r1280.parquet", test_shared());
  DataOptions options = BUILT_IN;
  options.use_test_data = false;
  options.train = path;
  options.column = "problem";
  Dataset data;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  check_sets(&data);
  assert_int_equal(stage(&data, "read")->prompts, 1280);
  assert_int_equal(stage(&data, "detect")->unnamed, 1280);
  assert_int_equal(stage(&data, "tokenise")->per_group[0], 1280);
  assert_int_equal(stage(&data, "tokenise")->per_group[1], 1280);
  assert_int_equal(count_distinct(&data), 8); // four templates for two groups
  assert_string_equal(data.types[data.prompts[0].type], "math");
  assert_true(test_contains(data.prompts[0].text, "A woman asks: The pressure"));
  dataset_free(&data);

  options.target_size = 64;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  check_sets(&data);
  assert_int_equal(data.count, 64);
  dataset_free(&data);

  options.counterfactual = COUNTERFACTUAL_OFF; // prompts that name no group are left out, and these all do
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT,
               "the stage \"expand\" left no prompt of the group \"female\": of 1280 prompts read 0 name it "
               "alone, 1280 no group");
  assert_true(test_contains(status_message(), "groups.counterfactual = auto"));
  options.counterfactual = COUNTERFACTUAL_SWAP;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "\"expand\"");
}

static void test_winogender(void **state) {
  (void)state;
  if (test_shared() == NULL) skip();
  char path[1200];
  (void)snprintf(path, sizeof path, "%s/data/winogender/all_sentences.tsv", test_shared());
  DataOptions options = BUILT_IN;
  options.use_test_data = false;
  options.train = path;
  options.counterfactual = COUNTERFACTUAL_SWAP;
  Dataset data;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT,
               "no column \"prompt\"; there are: sentid, sentence");
  options.column = "sentence";
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  check_sets(&data);
  const StageCount *detect = stage(&data, "detect");
  assert_int_equal(detect->prompts, 720);
  assert_int_equal(detect->per_group[0], 240);
  assert_int_equal(detect->per_group[1], 240);
  assert_int_equal(detect->unnamed, 240);
  assert_int_equal(data.sets, 480);
  assert_int_equal(count_distinct(&data), 480); // each pair expands to the same two prompts
  dataset_free(&data);
}

static void test_off_balances_by_dropping(void **state) {
  (void)state;
  DataOptions options =
      from_text("off.txt", "He ran.\nHe sat.\nHe ate.\nShe ran.\nHe and she ran.\nIt ran.\nShe sat.\n");
  options.counterfactual = COUNTERFACTUAL_OFF;
  Dataset data;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  check_sets(&data);
  assert_false(data.counterfactual);
  assert_int_equal(stage(&data, "detect")->several, 1);
  assert_int_equal(stage(&data, "expand")->per_group[1], 3);
  assert_int_equal(stage(&data, "balance")->per_group[1], 2);
  assert_int_equal(data.count, 4);
  dataset_free(&data);
  options.target_size = 3; // one of each
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  assert_int_equal(data.count, 2);
  assert_int_not_equal(data.prompts[0].group, data.prompts[1].group);
  dataset_free(&data);
  options.balance_dataset = false;
  options.target_size = 0;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  assert_int_equal(data.count, 5);
  dataset_free(&data);
}

static void test_chats(void **state) {
  (void)state;
  DataOptions options = from_text(
      "chats.jsonl",
      "{\"prompt\":[{\"role\":\"system\",\"content\":\"Be kind to "
      "him.\"},{\"role\":\"user\",\"content\":\"He asks: why?\"},"
      "{\"role\":\"assistant\",\"content\":\"Because he can.\"},{\"role\":\"user\",\"content\":\"And how?\"},"
      "{\"role\":\"assistant\",\"content\":\"So.\"}]}\n"
      "{\"prompt\":[{\"role\":\"user\",\"content\":\"What is 2 + 3?\"}]}\n"
      "{\"prompt\":[{\"role\":\"user\",\"content\":\"  \"}]}\n"
      "{\"prompt\":[{\"role\":\"system\",\"content\":\"alone\"}]}\n");
  options.column = "prompt";
  Dataset data;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  check_sets(&data);
  assert_int_equal(stage(&data, "read")->prompts, 2);
  assert_int_equal(data.count, 4);
  assert_string_equal(data.prompts[0].text, "And how?");
  assert_int_equal(data.prompts[1].distinct, 1); // equal text, but the messages before it differ
  assert_string_equal(data.prompts[2].text, "A female student asks: What is 2 + 3?");
  assert_int_equal(data.prompts[2].source, 1);
  dataset_free(&data);
}

static void test_wrong_options(void **state) {
  (void)state;
  Dataset data;
  DataOptions options = BUILT_IN;
  options.column = "problem";
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "prompt, story, question, advice");
  options = BUILT_IN;
  options.use_test_data = false;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "data.train is not set");
  options.train = "/nowhere.jsonl";
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "/nowhere.jsonl");
  options = from_text("empty.txt", "\n \n");
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "empty.txt");
  options = BUILT_IN;
  options.chat = "maybe";
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "data.chat = maybe");
  options.chat = "off";
  options.system = "Be short.";
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "data.system is set");
  options = BUILT_IN;
  options.target_size = 1;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "data.target_size");
  options = BUILT_IN;
  options.split = DATA_TRAIN;
  options.held_out = 1;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "data.held_out");
  options = BUILT_IN;
  options.types_file =
      write_file("types.json", "{\"default\":\"x\",\"types\":[{\"name\":\"y\",\"patterns\":[\"(\"]}]}");
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "types.json");
  options.types_file =
      write_file("types.json", "{\"default\":\"x\",\"types\":[{\"name\":\"x\",\"patterns\":[\"a\"]}]}");
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "twice");
  options.types_file =
      write_file("types.json", "{\"default\":\"x\",\"types\":[{\"name\":\"y\",\"patterns\":[\"(a+)+$\"]}]}");
  options.train = write_file(
      "slow.txt", "He aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\n");
  options.use_test_data = false;
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "simpler");
}

// ---- types ----

static void test_types(void **state) {
  (void)state;
  static const char *const rows[][2] = {{"math", "Solve x^2 = 4."},
                                        {"math", "What is \\( 3 \\times 4 \\)?"},
                                        {"math", "How many apples has he?"},
                                        {"factual", "Who wrote Faust?"},
                                        {"factual", "What is the capital of Peru?"},
                                        {"open", "Tell me about your day."},
                                        {"open", "Write a poem about a nurse."}};
  Str text = {0};
  for (size_t i = 0; i < 7; i++) assert_ok(str_append_format(&text, "%s\n", rows[i][1]));
  DataOptions options = from_text("types.txt", str_text(&text));
  Dataset data;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  for (size_t i = 0; i < data.count; i++)
    assert_string_equal(data.types[data.prompts[i].type], rows[data.prompts[i].source][0]);
  dataset_free(&data);
  str_free(&text);
}

// ---- tokens ----

static void test_tokens(void **state) {
  (void)state;
  const char *model = test_smollm2();
  if (model == NULL) skip();
  Tokenizer *tokenizer = NULL;
  ChatTemplate *chat = NULL;
  Dataset data;
  Str text = {0};
  assert_ok(tokenizer_load(model, &tokenizer));
  assert_ok(chat_open(model, tokenizer, &(ChatOptions){.name = "smollm2"}, &chat));
  DataOptions options = BUILT_IN;
  options.max_prompt_tokens = 2048;
  assert_ok(dataset_build(&options, tokenizer, chat, &data));
  const Prompt *first = &data.prompts[0];
  assert_ok(tokenizer_decode(tokenizer, first->tokens.ids, first->tokens.count, false, &text));
  assert_string_equal(
      str_text(&text),
      "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
      "<|im_start|>user\nShe works as an accountant. Describe her day.<|im_end|>\n<|im_start|>assistant\n");
  assert_int_equal(data.shortened, 0);
  size_t whole = first->tokens.count;
  dataset_free(&data);

  options.max_prompt_tokens = whole - 3;
  assert_ok(dataset_build(&options, tokenizer, chat, &data));
  assert_true(data.shortened > 0);
  for (size_t i = 0; i < data.count; i++) assert_true(data.prompts[i].tokens.count <= whole - 3);
  assert_string_equal(data.prompts[0].text, "She works as an accountant. Describe");
  str_clear(&text);
  assert_ok(
      tokenizer_decode(tokenizer, data.prompts[0].tokens.ids, data.prompts[0].tokens.count, false, &text));
  assert_true(str_ends(str_text(&text), "Describe<|im_end|>\n<|im_start|>assistant\n"));
  dataset_free(&data);

  options.max_prompt_tokens = 5;
  assert_fails(dataset_build(&options, tokenizer, chat, &data), STATUS_INPUT, "data.max_prompt_tokens = 5");
  options.max_prompt_tokens = 0;
  options.chat = "off";
  assert_ok(dataset_build(&options, tokenizer, chat, &data));
  str_clear(&text);
  assert_ok(
      tokenizer_decode(tokenizer, data.prompts[1].tokens.ids, data.prompts[1].tokens.count, false, &text));
  assert_string_equal(str_text(&text), data.prompts[1].text);
  dataset_free(&data);
  options.chat = "on";
  assert_fails(dataset_build(&options, tokenizer, NULL, &data), STATUS_INPUT, "data.chat = on");
  str_free(&text);
  chat_free(chat);
  tokenizer_free(tokenizer);
}

static void test_cut_through_characters(void **state) {
  (void)state;
  const char *model = test_smollm2();
  if (model == NULL) skip();
  Tokenizer *tokenizer = NULL;
  assert_ok(tokenizer_load(model, &tokenizer));
  DataOptions options = from_text(
      "wide.txt", "He said \xf0\x9f\xa6\x9c\xf0\x9f\xaa\xbf\xf0\x9f\xab\x8e\xe1\x9a\xa0\xe1\x9b\x87\n");
  options.chat = "off";
  for (options.max_prompt_tokens = 1; options.max_prompt_tokens < 25; options.max_prompt_tokens++) {
    Dataset data;
    assert_ok(dataset_build(&options, tokenizer, NULL, &data));
    for (size_t i = 0; i < data.count; i++) {
      const Prompt *prompt = &data.prompts[i];
      assert_true(prompt->tokens.count <= options.max_prompt_tokens);
      assert_false(test_contains(prompt->text, "\xef\xbf\xbd"));
      for (const char *c = prompt->text + strlen(prompt->text); c > prompt->text && (c[-1] & 0x80) != 0;) {
        size_t tail = 0; // the last character is whole: its lead byte gives its size
        do {
          c--;
          tail++;
        } while ((*c & 0xC0) == 0x80);
        assert_int_equal(tail, (*c & 0xF0) == 0xF0 ? 4 : 3);
      }
    }
    dataset_free(&data);
  }
  tokenizer_free(tokenizer);
}

// ---- sampler ----

static void test_sampler(void **state) {
  (void)state;
  Dataset data;
  assert_ok(dataset_build(&BUILT_IN, NULL, NULL, &data));
  SamplerState sampler = {0};
  size_t seen[80] = {0}, indices[32], all[10][32];
  for (size_t b = 0; b < 10; b++) { // 160 sets: two epochs
    assert_ok(sampler_next(&data, 15, &sampler, 32, all[b]));
    for (size_t i = 0; i < 32; i++) {
      const Prompt *prompt = &data.prompts[all[b][i]];
      assert_int_equal(prompt->group, i % 2);
      assert_int_equal(prompt->set, data.prompts[all[b][i / 2 * 2]].set);
      seen[prompt->set]++;
    }
    if (b == 4)
      for (size_t s = 0; s < 80; s++) assert_int_equal(seen[s], 2); // an epoch takes each set once
  }
  for (size_t s = 0; s < 80; s++) assert_int_equal(seen[s], 4);
  assert_int_equal(sampler.cursor, 160);
  assert_memory_not_equal(all[0], all[5], sizeof all[0]);

  SamplerState resumed = {48}; // three batches in
  assert_ok(sampler_next(&data, 15, &resumed, 32, indices));
  assert_memory_equal(indices, all[3], sizeof indices);
  resumed.cursor = 0;
  assert_ok(sampler_next(&data, 16, &resumed, 32, indices));
  assert_memory_not_equal(indices, all[0], sizeof indices);
  assert_fails(sampler_next(&data, 15, &resumed, 7, indices), STATUS_INPUT, "train.effective_batch");
  assert_fails(sampler_next(&data, 15, &resumed, 0, indices), STATUS_INPUT, "train.effective_batch");
  dataset_free(&data);
}

static void test_sampler_without_sets(void **state) {
  (void)state;
  DataOptions options = from_text("off.txt", "He a.\nHe b.\nHe c.\nShe d.\n");
  options.counterfactual = COUNTERFACTUAL_OFF;
  options.balance_dataset = false;
  Dataset data;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  SamplerState sampler = {0};
  size_t indices[12], seen[4] = {0};
  assert_ok(sampler_next(&data, 1, &sampler, 12, indices));
  for (size_t i = 0; i < 12; i++) {
    assert_int_equal(data.prompts[indices[i]].group, i % 2);
    seen[indices[i]]++;
  }
  assert_int_equal(seen[3], 6);
  for (size_t p = 0; p < 3; p++) assert_int_equal(seen[p], 2);
  dataset_free(&data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_built_in),
      cmocka_unit_test(test_other_groups),
      cmocka_unit_test(test_split),
      cmocka_unit_test(test_split_keeps_partners_together),
      cmocka_unit_test(test_one_prompt_is_not_held_out),
      cmocka_unit_test(test_headline),
      cmocka_unit_test(test_winogender),
      cmocka_unit_test(test_off_balances_by_dropping),
      cmocka_unit_test(test_chats),
      cmocka_unit_test(test_wrong_options),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_tokens),
      cmocka_unit_test(test_cut_through_characters),
      cmocka_unit_test(test_sampler),
      cmocka_unit_test(test_sampler_without_sets),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
