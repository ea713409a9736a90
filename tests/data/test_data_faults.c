// Failing allocations while a data set is built: from every kind of file, with group words found and swapped,
// types matched, and prompts balanced, cut and tokenised.
#include "data/examples.h"
#include "io/file.h"
#include "support/alloc_faults.h"
#include <stdio.h>
#include <string.h>

#define DATA GEE_SOURCE_DIR "/tests/io/data/"

/// Two words per group and no more: the built-in files have hundreds, and each allocation is failed once.
static const char groups[] =
    "{\"attribute\": \"size\", \"groups\": [\"small\", \"large\"], \"lists\": {\"animals\": [\"dog\"]},"
    " \"swaps\": [[\"small\", \"large\"], {\"words\": [\"tiny\", \"huge\"], \"next_in\": \"animals\"}],"
    " \"articles\": {\"plain\": \"a\", \"vowel\": \"an\", \"vowel_pattern\": \"^[aeiou]\"},"
    " \"templates\": {\"default\": [[\"A small one: {prompt}\", \"A large one: {prompt}\"]]}}";

typedef struct Job {
  DataOptions options;
  const Tokenizer *tokenizer;
  const ChatTemplate *chat;
} Job;

static Status build(void *user) {
  const Job *job = user;
  Dataset data = {0};
  Status status = dataset_build(&job->options, job->tokenizer, job->chat, &data);
  if (status != STATUS_OK) assert_null(data.prompts);
  dataset_free(&data);
  return status;
}

static Tokenizer *tokenizer;
static ChatTemplate *chat;
static char folder[600];

static int open_tokenizer(void **state) {
  (void)state;
  (void)snprintf(folder, sizeof folder, "%s", test_folder());
  if (chat_open("", NULL, &(ChatOptions){.name = "chatml"}, &chat) != STATUS_OK) return -1;
  return tokenizer_load(GEE_SOURCE_DIR "/tests/text/bpe_smollm", &tokenizer) == STATUS_OK ? 0 : -1;
}

static int free_tokenizer(void **state) {
  (void)state;
  chat_free(chat);
  tokenizer_free(tokenizer);
  return 0;
}

static const char *write_file(const char *name, const char *text) {
  static char paths[4][700];
  static size_t next;
  char *path = paths[next++ % 4];
  (void)snprintf(path, sizeof paths[0], "%s/%s", folder, name);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  return path;
}

static void sweep(const char *name, const Job *job) {
  Job copy = *job;
  FaultSweep all = {.name = name, .run = build, .user = &copy};
  faults_sweep(&all);
}

static Job small_job(const char *train, const char *column) {
  return (Job){.options = {.train = train,
                           .column = column,
                           .balance_dataset = true,
                           .target_size = 4,
                           .split = DATA_TRAIN,
                           .held_out = 0.25f,
                           .chat = "on",
                           .system = "Be short.",
                           .max_prompt_tokens = 75,
                           .groups_file = write_file("groups.json", groups),
                           .counterfactual = COUNTERFACTUAL_AUTO,
                           .seed = 15},
               .tokenizer = tokenizer,
               .chat = chat};
}

static void builds_from_every_kind_of_file(void **state) {
  (void)state;
  static const char text[] =
      "A small dog runs.\nThe huge cat is huge.\nWhat is 1 + 1?\nThe end of a long story\n";
  static const char lines[] =
      "{\"text\": \"A tiny dog\"}\n{\"text\": [{\"role\": \"user\", \"content\": \"Solve x = 1\"}]}\n";
  Job job = small_job(write_file("prompts.txt", text), "text");
  sweep("text", &job);
  job = small_job(write_file("prompts.jsonl", lines), "text");
  sweep("JSON Lines", &job);
  job = small_job(DATA "snappy_v1_groups.parquet", "chat");
  sweep("Parquet", &job);
}

static Status build_examples(void *user) {
  const Job *job = user;
  Examples examples = {0};
  Status status = examples_build(&job->options, 4096, job->tokenizer, job->chat, &examples);
  if (status != STATUS_OK) assert_null(examples.list);
  examples_free(&examples);
  return status;
}

/// Answers in a column, with a split; and two in a chat, of which rows are drawn.
static void builds_given_answers(void **state) {
  (void)state;
  static const char rows[] = "{\"text\": \"A tiny dog\", \"answer\": \"runs\"}\n"
                             "{\"text\": \"A cat\", \"answer\": \"sits\"}\n";
  static const char chats[] =
      "{\"text\": [{\"role\": \"user\", \"content\": \"A\"}, {\"role\": \"assistant\", \"content\": \"B\"}, "
      "{\"role\": \"user\", \"content\": \"C\"}, {\"role\": \"assistant\", \"content\": \"D\"}]}\n"
      "{\"text\": [{\"role\": \"user\", \"content\": \"E\"}, {\"role\": \"assistant\", \"content\": "
      "\"F\"}]}\n";
  Job job = small_job(write_file("rows.jsonl", rows), "text");
  job.options.max_prompt_tokens = 0;
  job.options.answer_column = "answer";
  job.options.held_out = 0.5f;
  FaultSweep all = {.name = "answers in a column", .run = build_examples, .user = &job};
  faults_sweep(&all);
  job.options.train = write_file("chats.jsonl", chats);
  job.options.answer_column = NULL;
  job.options.split = DATA_ALL;
  job.options.max_sets = 1;
  all.name = "answers in chats";
  faults_sweep(&all);
}

static Status load_groups(void *user) {
  GroupFile *file = NULL;
  Status status = groups_load(user, &file);
  if (status != STATUS_OK) assert_null(file);
  groups_free(file);
  return status;
}

static void loads_a_built_in_group_file(void **state) {
  (void)state;
  FaultSweep all = {.name = "the groups of age", .run = load_groups, .user = "age"};
  faults_sweep(&all);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(builds_from_every_kind_of_file),
      cmocka_unit_test(builds_given_answers),
      cmocka_unit_test(loads_a_built_in_group_file),
  };
  return cmocka_run_group_tests(tests, open_tokenizer, free_tokenizer);
}
