// Training on given answers as a user sees it: what becomes of rows, a run, its end, what it leaves, a
// resume, and what is refused by name. A run of sft never speaks of gaps.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

/// A config of 4 steps; `more` are lines of [data] and of what follows it.
static const char *config(const char *more) {
  static char text[2000];
  const char *path = in_folder(folder, "sft.ini");
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s/model\n[lora]\nrank = 4\n[train]\nobjective = sft\neffective_batch = 4\n"
      "learning_rate = 1e-2\nmax_steps = 4\n[output]\nsave_root = %s/runs\nsave_steps = 2\n[data]\n%s",
      folder, folder, more);
  write_text(path, text);
  return path;
}

static const char *rows(const char *more) {
  static char text[1000];
  (void)snprintf(text, sizeof text, "train = %s/rows.jsonl\nanswer_column = answer\n%s", folder, more);
  return config(text);
}

static const char *chats(const char *more) {
  static char text[1000];
  (void)snprintf(text, sizeof text, "train = %s/chats.jsonl\ncolumn = chat\nheld_out = 0\n%s", folder, more);
  return config(text);
}

static void assert_says(const char *text, const char *part) {
  if (!test_contains(text, part)) fail_msg("\"%s\" is not in: %s", part, text);
}

static void assert_silent(const char *text, const char *part) {
  if (test_contains(text, part)) fail_msg("\"%s\" is in: %s", part, text);
}

// ---- data ----

static void data_shows_what_is_trained_on(void **state) {
  (void)state;
  Ran ran = GEE("data", rows("held_out = 0\n"), "--set=data.chat=off", "--limit=2");
  assert_code(ran, 0);
  assert_says(ran.out, "8 rows of 8 in the file, 7 of their prompts distinct");
  assert_says(ran.out, "Who is the pilot?[[ Kim.<|endoftext|>]]");
  assert_says(ran.out, "... and 6 more");
  ran = GEE("data", chats("[model]\nchat_template = chatml\n"));
  assert_code(ran, 0);
  assert_says(ran.out, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n[[Ho<|im_end|>]]\n"
                       "<|im_start|>user\nMore<|im_end|>\n<|im_start|>assistant\n[[No<|im_end|>]]");
  assert_silent(ran.out, "Thanks"); // what follows the last answer
}

static void data_as_json(void **state) {
  (void)state;
  cJSON *json = NULL;
  Ran ran = GEE("data", rows("held_out = 0.25\n"), "--set=data.chat=off", "--json");
  assert_code(ran, 0);
  assert_ok(json_parse(ran.out, strlen(ran.out), "data", &json));
  const cJSON *list = cJSON_GetObjectItemCaseSensitive(json, "rows");
  assert_int_equal(cJSON_GetArraySize(list),
                   8 - cJSON_GetObjectItemCaseSensitive(json, "other_side")->valueint);
  const cJSON *tokens = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, 0), "tokens");
  const cJSON *trained = cJSON_GetObjectItemCaseSensitive(cJSON_GetArrayItem(list, 0), "trained");
  assert_int_equal(cJSON_GetArraySize(tokens), cJSON_GetArraySize(trained));
  assert_int_equal(cJSON_GetArrayItem(trained, 0)->valueint, 0);
  assert_int_equal(cJSON_GetArrayItem(trained, cJSON_GetArraySize(trained) - 1)->valueint, 1);
  cJSON_Delete(json);
}

// ---- a run ----

static void trains_and_measures(void **state) {
  (void)state;
  const char *with =
      rows("held_out = 0.25\nchat = off\n[train]\nbias_eval_steps = 2\nmicro_batch_size = 3\n");
  Ran ran = GEE("train", with);
  assert_code(ran, 0);
  assert_says(ran.out, "On held-out rows, in nats a token");
  assert_says(ran.out, "loss_eval.jsonl (held-out losses)");
  assert_says(ran.out, "generate");
  assert_says(ran.err, "tokens/s");
  assert_silent(ran.out, "gap");
  assert_silent(ran.err, "gap");
  char *metrics = read_file(in_folder(folder, "runs/gee/metrics.jsonl"), NULL);
  char *measured = read_file(in_folder(folder, "runs/gee/loss_eval.jsonl"), NULL);
  char *card = read_file(in_folder(folder, "runs/gee/final/README.md"), NULL);
  assert_says(metrics, "\"token_accuracy\":");
  assert_silent(metrics, "gap");
  assert_says(measured, "\"perplexity_high\":");
  assert_says(card, "on given answers");
  assert_silent(card, "gap");
  free(metrics);
  free(measured);
  free(card);
  ran = GEE("train", with, "--resume", "--set=train.max_steps=6");
  assert_code(ran, 0);
  assert_code(GEE("train", with, "--set=train.max_steps=6", "--set=output.run_name=whole"), 0);
  assert_same_file(in_folder(folder, "runs/gee/final/adapter_model.safetensors"),
                   in_folder(folder, "runs/whole/final/adapter_model.safetensors"));
  assert_same_file(in_folder(folder, "runs/gee/loss_eval.jsonl"),
                   in_folder(folder, "runs/whole/loss_eval.jsonl"));
}

/// Six rows are trained on, so two epochs are three steps of four.
static void epochs_are_steps(void **state) {
  (void)state;
  Ran ran = GEE("train", rows("held_out = 0.25\nchat = off\n"), "--set=train.max_steps=50",
                "--set=train.epochs=2", "--set=output.run_name=epochs");
  assert_code(ran, 0);
  assert_says(ran.out, "3 steps");
  assert_says(ran.err, "held out (data.held_out = 0.25), and not measured");
  ASSERT_ERROR(GEE("train", rows("chat = off\n"), "--set=train.epochs=2"), 2, "train.epochs = 2",
               "train.max_steps = 4", "leave one of them out");
}

static void every_weight_and_chats(void **state) {
  (void)state;
  Ran ran = GEE("train", chats("[model]\nchat_template = chatml\n[train]\nmode = full\n"),
                "--set=output.run_name=chats");
  assert_code(ran, 0);
  assert_says(ran.err, "1 row with 2 answers");
  char *card = read_file(in_folder(folder, "runs/chats/final/README.md"), NULL);
  assert_says(card, "every weight of it trained");
  assert_silent(card, "```sh");
  free(card);
}

// ---- refused, cut, left out ----

static void keys_of_the_other_objective(void **state) {
  (void)state;
  static const char *const of_gee[] = {
      "loss.lambda_weight=5",     "sampling.top_p=0.5",   "groups.file=age",
      "data.max_prompt_tokens=9", "data.target_size=4",   "train.max_drift=0",
      "data.eval_answers=2",      "data.use_test_data=1", "track.samples=true"};
  for (size_t i = 0; i < sizeof of_gee / sizeof *of_gee; i++) {
    char key[64];
    (void)snprintf(key, sizeof key, "%.*s is set", (int)strcspn(of_gee[i], "="), of_gee[i]);
    ASSERT_ERROR(GEE("train", rows(""), "--set", of_gee[i]), 2, key, "train.objective = gee",
                 "this config has sft");
  }
  ASSERT_ERROR(GEE("train", rows(""), "--set", "task_weights.math=0"), 2, "[task_weights]", "sft");
  ASSERT_ERROR(GEE("train", rows(""), "--set=train.objective=gee"), 2, "data.answer_column is set",
               "train.objective = sft");
  ASSERT_ERROR(
      GEE("train", config("use_test_data = true\n[train]\nepochs = 3\n"), "--set=train.objective=gee"), 2,
      "train.epochs is set");
}

/// A gap is measured with a config that has groups.
static void commands_of_gaps_say_so(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("gap", rows("chat = off\n")), 2, "train.objective = sft", "knows no groups");
  ASSERT_ERROR(GEE("report", in_folder(folder, "runs/chats")), 2, "train.objective = sft");
}

static void rows_are_refused_by_number(void **state) {
  (void)state;
  write_text(in_folder(folder, "rows.jsonl"), "{\"prompt\": \"a\", \"answer\": \"b\"}\n"
                                              "{\"prompt\": \"a\", \"answer\": \" \"}\n");
  ASSERT_ERROR(GEE("data", rows("chat = off\n")), 2, "rows.jsonl", "2", "the answer in \"answer\" is empty");
  write_text(in_folder(folder, "rows.jsonl"), "{\"prompt\": \"a\"}\n");
  ASSERT_ERROR(GEE("data", rows("chat = off\n")), 2, "answer");
  write_text(in_folder(folder, "chats.jsonl"), "{\"chat\": [{\"role\": \"user\", \"content\": \"Hi\"}]}\n");
  ASSERT_ERROR(GEE("data", chats("[model]\nchat_template = chatml\n")), 2, "row 1",
               "no answer of an assistant");
  write_text(in_folder(folder, "chats.jsonl"), "{\"chat\": [{\"role\": \"user\", \"content\": \"Hi\"}, "
                                               "{\"role\": \"assistant\", \"content\": \"\"}]}\n");
  ASSERT_ERROR(GEE("data", chats("[model]\nchat_template = chatml\n")), 2, "row 1",
               "answer 2 of the chat is empty");
  ASSERT_ERROR(GEE("data", chats("chat = off\n")), 2, "row 1", "need a chat template");
  ASSERT_ERROR(GEE("data", chats("[model]\nchat_template = deepseek-r1\n"), "--set=data.chat=auto"), 2,
               "row 1");
}

static void long_rows_are_counted(void **state) {
  (void)state;
  write_text(in_folder(folder, "rows.jsonl"), "{\"prompt\": \"abcdefghijkl\", \"answer\": \"b\"}\n"
                                              "{\"prompt\": \"abcd\", \"answer\": \"efghijklmnop\"}\n"
                                              "{\"prompt\": \"a\", \"answer\": \"b\"}\n");
  Ran ran = GEE("data", rows("chat = off\nheld_out = 0\n[train]\nmax_sequence_tokens = 8\n"));
  assert_code(ran, 0);
  assert_says(ran.err, "1 of 3 rows of");
  assert_says(ran.err, "is left out: their prompts take all of the 8 tokens");
  assert_says(ran.err, "1 of 2 rows is cut to 8 tokens");
  assert_says(ran.out, "abcd[[efgh]]");
  assert_says(ran.out, "8 tokens, 4 trained on, cut");
  write_text(in_folder(folder, "rows.jsonl"), "{\"prompt\": \"abcdefgh\", \"answer\": \"b\"}\n");
  ASSERT_ERROR(GEE("data", rows("chat = off\nheld_out = 0\n[train]\nmax_sequence_tokens = 8\n")), 2,
               "every prompt takes all of the 8 tokens", "train.max_sequence_tokens");
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_text(in_folder(folder, "model/tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_text(in_folder(folder, "rows.jsonl"),
             "{\"prompt\": \"Who is the pilot?\", \"answer\": \" Kim.\"}\n"
             "{\"prompt\": \"Who is the nurse?\", \"answer\": \" Lee.\"}\n"
             "{\"prompt\": \"Who is the judge?\", \"answer\": \" Sam.\"}\n"
             "{\"prompt\": \"Who is the baker?\", \"answer\": \" Kim or Lee.\"}\n"
             "{\"prompt\": \"Who is the miner?\", \"answer\": \" Alex.\"}\n"
             "{\"prompt\": \"Who is the clerk?\", \"answer\": \" Robin, I think.\"}\n"
             "{\"prompt\": \"Who is the clerk?\", \"answer\": \" Robin.\"}\n"
             "{\"prompt\": \"Who is the guard?\", \"answer\": \" Nobody.\"}\n");
  write_text(in_folder(folder, "chats.jsonl"),
             "{\"chat\": [{\"role\": \"user\", \"content\": \"Hi\"}, {\"role\": \"assistant\", \"content\": "
             "\"Ho\"}, "
             "{\"role\": \"user\", \"content\": \"More\"}, {\"role\": \"assistant\", \"content\": \"No\"}, "
             "{\"role\": \"user\", \"content\": \"Thanks\"}]}\n");
  if (GEE("selftest").code == 0) return 0;
  (void)fprintf(stderr, "skipped: there is no OpenCL device here\n");
  exit(TEST_SKIPPED);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(data_shows_what_is_trained_on), cmocka_unit_test(data_as_json),
      cmocka_unit_test(trains_and_measures),           cmocka_unit_test(epochs_are_steps),
      cmocka_unit_test(every_weight_and_chats),        cmocka_unit_test(keys_of_the_other_objective),
      cmocka_unit_test(commands_of_gaps_say_so),       cmocka_unit_test(rows_are_refused_by_number),
      cmocka_unit_test(long_rows_are_counted)};
  return cmocka_run_group_tests(tests, set_up, NULL);
}
