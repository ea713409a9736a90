// Memory that runs out while a benchmark is opened, run, stopped and taken up again: a clear message, nothing
// left on host or device, and a file of rows that a later run can go on with.
#include "support/alloc_faults.h"
#include "support/model_fixture.h"
#include "support/tiny_model.h"
// (cmocka's prerequisites stand in test.h)
#include "eval/benchmark.h"
#include "eval/user_task.h"
#include "io/file.h"
#include "task_list.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static Tokenizer *tokenizer;
static Model *model;
static char folder[512], rows_path[600], items_path[600];
static const char OWNER[] = "{\"model\": \"tiny\"}";

typedef struct Measured {
  const TaskType *type;
  BenchmarkOptions options;
  uint64_t held; // bytes on the device before the operation
} Measured;

/// A run from its data to its items; with rows that are there, it goes on.
static Status measure(void *user) {
  const Measured *m = user;
  Evaluation *benchmark = NULL;
  ItemFile *items = NULL;
  MetricList metrics = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(benchmark_create(m->type, &m->options, &benchmark));
  TRY_CLEAN(item_file_open(rows_path, OWNER, true, &items));
  benchmark_keep_items(benchmark, items);
  TRY_CLEAN(evaluation_run(benchmark, &(EvaluationRun){.model = model}, &metrics));
  TRY_CLEAN(item_file_finish(items, items_path));
cleanup:
  metrics_free(&metrics);
  item_file_close(items);
  evaluation_free(benchmark);
  return status;
}

/// A run that failed is taken up again with what it left, and gives what a whole one gives.
static void check_rest(void *user, bool failed, FaultMode mode) {
  const Measured *m = user;
  (void)mode;
  assert_int_equal(ops_memory(fixture_ops())->now_total, m->held);
  if (failed && file_exists(rows_path)) assert_ok(measure(user));
  assert_ok(directory_remove(rows_path));
  (void)unlink(items_path);
}

static void sweep(const TaskType *type, const Dataset *prompts, const GapOptions *gap) {
  Measured m = {.type = type,
                .options = {.data_folder = folder, .tokenizer = tokenizer, .prompts = prompts, .gap = gap}};
  assert_ok(measure(&m)); // passes keep the work space that their first use takes
  m.held = ops_memory(fixture_ops())->now_total;
  (void)unlink(items_path);
  faults_sweep(&(FaultSweep){type->name, measure, check_rest, &m});
}

static void put(const char *file, const char *text) {
  char path[700];
  (void)snprintf(path, sizeof path, "%s/%s", folder, file);
  *strrchr(path, '/') = '\0';
  assert_ok(directory_create(path));
  (void)snprintf(path, sizeof path, "%s/%s", folder, file);
  FILE *stream = fopen(path, "w");
  assert_non_null(stream);
  assert_true(fputs(text, stream) >= 0);
  assert_int_equal(fclose(stream), 0);
}

static void crows_pairs(void **state) {
  (void)state;
  put("crows_pairs/crows_pairs_anonymized.csv",
      "sent_more,sent_less,stereo_antistereo,bias_type\nA b.,C.,stereo,age\nD.,E f.,stereo,race\n");
  sweep(&task_crows_pairs, NULL, NULL);
}

static void winobias(void **state) {
  (void)state;
  for (size_t i = 0; i < 4; i++) put(task_winobias.files[i], "1 [The cook] saw a guard: [he] ran.\n");
  put(task_winobias.files[4], "cook\n");
  put(task_winobias.files[5], "guard\n");
  sweep(&task_winobias, NULL, NULL);
}

static void winogender(void **state) {
  (void)state;
  put("winogender/all_sentences.tsv",
      "sentid\tsentence\ncook.guest.0.male.txt\tHe ran.\n"
      "cook.guest.0.female.txt\tShe ran.\ncook.guest.0.neutral.txt\tThey ran.\n");
  put("winogender/templates.tsv",
      "occupation(0)\tother-participant(1)\tanswer\tsentence\ncook\tguest\t0\t$NOM_PRONOUN ran.\n");
  put("winogender/occupations-stats.tsv", "occupation\tbls_pct_female\tbergsma_pct_female\ncook\t9\t40\n");
  sweep(&task_winogender, NULL, NULL);
}

/// Also answers that are sampled and read again.
static void entropy_gap(void **state) {
  (void)state;
  DataOptions options = {.use_test_data = true,
                         .groups_file = "gender",
                         .counterfactual = COUNTERFACTUAL_AUTO,
                         .max_prompt_tokens = 512,
                         .max_sets = 1,
                         .split = DATA_ALL};
  GapOptions gap = {.sampling = {.max_new_tokens = 2, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
                    .entropy_tau = 1,
                    .answers = 1,
                    .seed = 15};
  Dataset prompts = {0};
  assert_ok(dataset_build(&options, tokenizer, NULL, &prompts));
  assert_int_equal(prompts.sets, 1);
  sweep(&task_entropy_gap, &prompts, &gap);
  dataset_free(&prompts);
}

/// Reads the data of a task, makes the requests, and computes metrics of a row; what lies between is the same
/// for all tasks.
typedef struct Opened {
  BenchmarkOptions options;
  const TaskType *type;
  const char *row;
} Opened;

static Status open_and_measure(void *user) {
  const Opened *opened = user;
  Evaluation *benchmark = NULL;
  cJSON *row = NULL;
  MetricList metrics = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(benchmark_create(opened->type, &opened->options, &benchmark));
  TRY_CLEAN(json_parse(opened->row, strlen(opened->row), "a row", &row));
  const TaskItem item = {"a row", row};
  TRY_CLEAN(opened->type->measure(&(TaskItems){opened->type, &item, 1}, &metrics));
  TRY_CLEAN(metrics_check(&metrics));
cleanup:
  metrics_free(&metrics);
  cJSON_Delete(row);
  evaluation_free(benchmark);
  return status;
}

static void sweep_opening(const TaskType *type, const char *row) {
  Opened opened = {{.data_folder = folder, .tokenizer = tokenizer}, type, row};
  faults_sweep(&(FaultSweep){type->name, open_and_measure, NULL, &opened});
}

static void stereoset(void **state) {
  (void)state;
  put("stereoset/dev.json",
      "{\"data\": {\"intrasentence\": [{\"target\": \"cook\", \"bias_type\": \"profession\", \"context\": "
      "\"BLANK\", "
      "\"sentences\": [{\"sentence\": \"He ran.\", \"gold_label\": \"stereotype\"}, {\"sentence\": \"He "
      "sat.\", "
      "\"gold_label\": \"anti-stereotype\"}, {\"sentence\": \"He x.\", \"gold_label\": \"unrelated\"}]}]}}");
  sweep_opening(&task_stereoset,
                "{\"target\": \"cook\", \"bias_type\": \"profession\", \"loglikelihoods\": [-4, -9, -12], "
                "\"tokens\": [2, 3, 3]}");
}

static void mmlu(void **state) {
  (void)state;
  put("mmlu/test/art_test.csv", "Who?,a,\"b\"\"\",c,d,B\n");
  put("mmlu/test/music_test.csv", "Why?,a,b,c,d,A\n");
  sweep_opening(&task_mmlu, "{\"subject\": \"art\", \"answer\": 1, \"correct\": true, "
                            "\"loglikelihoods\": [-4, -1, -2, -3]}");
}

static void bbq(void **state) {
  (void)state;
  put("bbq/Age.jsonl",
      "{\"example_id\": 0, \"question_index\": \"1\", \"question_polarity\": \"neg\", "
      "\"context_condition\": \"ambig\", \"category\": \"Age\", \"answer_info\": {\"ans0\": "
      "[\"woman\", \"old\"], \"ans1\": [\"y\", \"nonOld\"], \"ans2\": [\"u\", \"unknown\"]}, "
      "\"additional_metadata\": {\"stereotyped_groups\": [\"old\"]}, \"context\": \"C.\", "
      "\"question\": \"Q?\", \"ans0\": \"A\", \"ans1\": \"B\", \"ans2\": \"Unknown\", \"label\": 2}\n");
  sweep_opening(
      &task_bbq,
      "{\"category\": \"Age\", \"template\": \"Age 1\", \"context_condition\": \"ambig\", \"correct\": true, "
      "\"is_biased\": false, \"is_unknown\": true}");
}

static void discrim_eval(void **state) {
  (void)state;
  put("discrim_eval/explicit.jsonl",
      "{\"filled_template\": \"A?\", \"decision_question_id\": 3, \"age\": 20.0, "
      "\"gender\": \"female\", \"race\": \"Black\"}\n"
      "{\"filled_template\": \"B?\", \"decision_question_id\": 4, \"age\": 60, "
      "\"gender\": \"male\", \"race\": \"white\"}\n");
  sweep_opening(&task_discrim_eval,
                "{\"decision_question_id\": 3, \"age\": 20, \"gender\": \"female\", \"race\": \"black\", "
                "\"loglikelihoods\": [-1, -2, -3, -4]}");
}

static void gsm8k(void **state) {
  (void)state;
  put("gsm8k/test.jsonl", "{\"question\": \"1 + 1?\", \"answer\": \"#### 2\"}\n"
                          "{\"question\": \"1 + 2?\", \"answer\": \"#### 3\"}\n");
  Opened opened = {{.data_folder = folder, .tokenizer = tokenizer, .argument = "1"},
                   &task_gsm8k,
                   "{\"strict_right\": true, \"flexible_right\": false}"};
  faults_sweep(&(FaultSweep){"gsm8k", open_and_measure, NULL, &opened});
}

/// Six tokens or more in windows of four, so that one of them has a context.
static void perplexity(void **state) {
  (void)state;
  put("./perplexity.txt", "He ran and she ran.");
  Measured m = {.type = &task_perplexity,
                .options = {.data_folder = folder, .tokenizer = tokenizer, .max_positions = 4}};
  assert_ok(measure(&m));
  m.held = ops_memory(fixture_ops())->now_total;
  (void)unlink(items_path);
  faults_sweep(&(FaultSweep){"perplexity", measure, check_rest, &m});
}

static Status load(void *user) {
  UserTask *task = NULL;
  Status status = user_task_load(user, &task);
  user_task_free(task);
  return status;
}

static void user_task(void **state) {
  (void)state;
  char path[600];
  UserTask *task = NULL;
  put("mine.json",
      "{\"name\": \"mine\", \"kind\": \"choice\", \"description\": \"d\", \"limits\": \"l\", \"data\": "
      "\"mine.jsonl\", \"context\": \"Q: {q}\", \"choices\": [\"yes\", \"{other}\"], "
      "\"answer_text_column\": \"a\", \"part_columns\": [\"q\"], \"cluster_column\": \"c\"}");
  put("mine.jsonl",
      "{\"q\": \"x\", \"other\": 3, \"a\": \"3\", \"c\": 1}\n{\"q\": \"y\", \"other\": \"no\", \"a\": "
      "\"yes\", \"c\": 2}\n");
  (void)snprintf(path, sizeof path, "%s/mine.json", folder);
  faults_sweep(&(FaultSweep){"a user's task", load, NULL, path});
  assert_ok(user_task_load(path, &task));
  sweep_opening(user_task_type(task),
                "{\"q\": \"x\", \"c\": \"1\", \"correct\": true, \"correct_norm\": false}");
  user_task_free(task);
}

static int set_up(void **state) {
  if (ops_fixture_open(state) != 0) return -1;
  (void)snprintf(folder, sizeof folder, "%s", test_folder());
  (void)snprintf(rows_path, sizeof rows_path, "%s/rows", folder);
  (void)snprintf(items_path, sizeof items_path, "%s/items.jsonl", folder);
  tiny_model_write(folder);
  put("tokenizer_config.json", "{\"eos_token\": \"<|endoftext|>\"}");
  assert_ok(tokenizer_load(folder, &tokenizer));
  model = fixture_model(folder, DTYPE_F32);
  return 0;
}

static int tear_down(void **state) {
  model_free(model);
  tokenizer_free(tokenizer);
  return ops_fixture_close(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(crows_pairs),  OPS_TEST(winobias), OPS_TEST(winogender), OPS_TEST(entropy_gap),
      OPS_TEST(stereoset),    OPS_TEST(mmlu),     OPS_TEST(bbq),        OPS_TEST(user_task),
      OPS_TEST(discrim_eval), OPS_TEST(gsm8k),    OPS_TEST(perplexity),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
