// Training on given answers against PyTorch in float64 (tests/golden/make_sft.py): the loss, every gradient
// and five steps of AdamW, however the step is computed; against central differences with dropout; and that a
// stopped run goes on with the same bits.
#include "support/train_fixture.h"

#include "eval/given_loss.h"
#include "io/file.h"
#include "io/json.h"
#include "support/model_fixture.h"
#include "trainer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 6, MAX_TOKENS = 16 };

/// A golden file: rows with the tokens that count.
typedef struct Given {
  cJSON *json;
  Golden golden;
  Examples examples;
  Example rows[ROWS];
  int32_t tokens[ROWS][MAX_TOKENS];
  bool scored[ROWS][MAX_TOKENS];
  ModelFiles *files;
  ModelIdentity identity;
  TrainJob job;
} Given;

static const cJSON *member(const cJSON *json, const char *name) {
  const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, name);
  if (found == NULL) fail_msg("the golden file has no %s", name);
  return found;
}

static bool same_prompt(const Example *a, const Example *b) {
  return a->prompt == b->prompt && memcmp(a->tokens.ids, b->tokens.ids, a->prompt * sizeof(int32_t)) == 0;
}

static void read_row(Given *given, int index) {
  const cJSON *row = cJSON_GetArrayItem(member(given->json, "rows"), index), *item = NULL;
  Example *example = &given->rows[index];
  *example = (Example){
      .tokens = {.ids = given->tokens[index]}, .scored = given->scored[index], .row = (size_t)index + 1};
  cJSON_ArrayForEach(item, member(row, "prompt")) example->tokens.ids[example->tokens.count++] =
      item->valueint;
  example->prompt = example->tokens.count;
  cJSON_ArrayForEach(item, member(row, "mask")) {
    const cJSON *token =
        cJSON_GetArrayItem(member(row, "answer"), (int)(example->tokens.count - example->prompt));
    example->scored[example->tokens.count - example->prompt] = item->valueint == 1;
    example->answered += item->valueint == 1;
    example->tokens.ids[example->tokens.count++] = token->valueint;
  }
  while (!same_prompt(&given->rows[example->distinct], example)) example->distinct++;
}

static void given_open(const char *model, Given *given) {
  char name[64];
  *given = (Given){0};
  (void)snprintf(name, sizeof name, "sft/%s.json", model);
  assert_ok(json_parse_file(golden_path(name), &given->json));
  (void)snprintf(name, sizeof name, "sft/%s.safetensors", model);
  given->golden = golden_open(name);
  for (int i = 0; i < ROWS; i++) read_row(given, i);
  given->examples = (Examples){.list = given->rows, .count = ROWS};
  assert_ok(model_files_open(golden_path(model), &given->files));
  assert_ok(identity_of(given->files, NULL, &given->identity));
  given->job = (TrainJob){.ops = fixture_ops(),
                          .files = given->files,
                          .identity = &given->identity,
                          .dtype = DTYPE_F32,
                          .lora = {.rank = (size_t)member(given->json, "rank")->valuedouble,
                                   .alpha = (float)member(given->json, "alpha")->valuedouble,
                                   .targets = "all"},
                          .examples = &given->examples,
                          .loss = {.entropy_temperature = 1},
                          .train = {.full = strcmp(model, "qwen2") == 0,
                                    .max_steps = 5,
                                    .effective_batch = ROWS,
                                    .learning_rate = (float)member(given->json, "learning_rate")->valuedouble,
                                    .beta1 = 0.9f,
                                    .beta2 = 0.999f,
                                    .epsilon = 1e-8f,
                                    .weight_decay = (float)member(given->json, "weight_decay")->valuedouble,
                                    .max_grad_norm = 1,
                                    .head_tile_rows = 5,
                                    .share_prompts = true,
                                    .log_steps = 1,
                                    .seed = 15},
                          .output = {.save_root = test_folder(), .run_name = "run", .save_steps = 2},
                          .config_text = "[train]\n"};
}

static void given_close(Given *given) {
  golden_close(&given->golden);
  model_files_close(given->files);
  cJSON_Delete(given->json);
}

static void step_open(const Given *given, Trainer *t) {
  *t = (Trainer){.job = &given->job};
  assert_ok(trainer_prepare(t));
  assert_ok(trainer_create(t));
  if (!given->job.train.full) fixture_set_params(t->model, &given->golden, "start.");
}

static StepReport run_gradient(Trainer *t) {
  StepReport report;
  t->state.data.cursor = 0;
  assert_ok(t->objective->gradient(t, &report));
  return report;
}

// ---- against PyTorch ----

static void check_number(const Given *given, const char *name, double found) {
  double expected = member(given->json, name)->valuedouble;
  if (!(fabs(found - expected) <= 1e-5 * fabs(expected)))
    fail_msg("%s is %.9g, not %.9g", name, found, expected);
}

static void check_tensors(const Given *given, Model *model, const char *prefix, bool gradient,
                          double tolerance) {
  const ParamSet *params = model_params(model);
  for (size_t i = 0; i < params->count; i++) {
    char name[256];
    size_t count = 0;
    (void)snprintf(name, sizeof name, "%s%s", prefix, params->specs[i].name);
    const double *expected = golden_values(&given->golden, name, &count);
    double error = test_relative_l2(param_read(model, i, gradient), expected, count);
    if (!(error <= tolerance)) fail_msg("%s: relative error %g", name, error);
  }
}

static void check_step(const Given *given) {
  Trainer t;
  step_open(given, &t);
  StepReport report = run_gradient(&t);
  check_number(given, "tokens", (double)report.given.tokens);
  check_number(given, "likeliest", (double)report.given.likeliest);
  check_number(given, "loss", report.given.nll / (double)report.given.tokens);
  check_number(given, "entropy", report.given.entropy / (double)report.given.tokens);
  check_tensors(given, t.model, "grad.", true, 1e-4);
  trainer_free(&t);
  ops_fixture_clean(NULL);
}

/// Micro batches of one, of four and of all rows, checkpointing, prompts computed for each answer, tiles of
/// one row.
static void check_ways(const char *model) {
  static const size_t micros[] = {0, 1, 4};
  Given given;
  given_open(model, &given);
  TrainOptions *train = &given.job.train;
  for (size_t m = 0; m < 3; m++) {
    train->micro_batch_size = micros[m];
    train->activation_checkpointing = m == 1;
    check_step(&given);
    train->activation_checkpointing = m != 1;
    train->share_prompts = false;
    train->head_tile_rows = m == 2 ? 1 : 128;
    check_step(&given);
    train->share_prompts = true;
    train->head_tile_rows = 5;
  }
  given_close(&given);
}

static void lora_of_llama(void **state) {
  (void)state;
  check_ways("llama");
}

static void every_weight_of_qwen2(void **state) {
  (void)state;
  check_ways("qwen2");
}

/// Each step sees all rows, so only the order of a sum differs from PyTorch's.
static void check_training(const char *model) {
  Given given;
  Trainer t;
  given_open(model, &given);
  step_open(&given, &t);
  for (int s = 0; s < 5; s++) {
    StepReport report = run_gradient(&t);
    double expected = cJSON_GetArrayItem(member(given.json, "losses"), s)->valuedouble;
    double loss = report.given.nll / (double)report.given.tokens;
    if (!(fabs(loss - expected) <= 1e-4 * expected))
      fail_msg("step %d: %.9g, not %.9g", s + 1, loss, expected);
    assert_ok(optimizer_step(&t.optimizer, model_params(t.model), &given.job.train, (size_t)s + 1,
                             &report.grad_norm));
  }
  check_tensors(&given, t.model, "after.", false, 1e-3);
  trainer_free(&t);
  given_close(&given);
}

static void five_steps(void **state) {
  (void)state;
  check_training("llama");
  check_training("qwen2");
}

static void held_out_loss(void **state) {
  (void)state;
  Given given;
  Evaluation *evaluation = NULL;
  MetricList metrics = {0};
  Trainer t;
  given_open("llama", &given);
  step_open(&given, &t);
  const GivenLossOptions options = {.pass_rows = 14, .head_tile_rows = 3}; // several batches
  assert_ok(given_loss_create("loss_eval", &given.examples, &options, &evaluation));
  assert_ok(evaluation_run(evaluation, &(EvaluationRun){.model = t.model}, &metrics));
  Interval loss = metrics_get(&metrics, "loss");
  double tokens = member(given.json, "tokens")->valuedouble;
  check_number(&given, "loss", loss.value);
  check_number(&given, "entropy", metrics_get(&metrics, "entropy").value);
  check_number(&given, "likeliest", tokens * metrics_get(&metrics, "token_accuracy").value);
  assert_true(loss.low < loss.value && loss.value < loss.high);
  assert_true(fabs(metrics_get(&metrics, "perplexity").value - exp(loss.value)) < 1e-9);
  metrics_free(&metrics);
  evaluation_free(evaluation);
  trainer_free(&t);
  given_close(&given);
}

// ---- against central differences ----

static void check_slope(const Given *given) {
  Trainer t;
  step_open(given, &t);
  Tensor *slab = &model_params(t.model)->values[0];
  size_t count = slab->cols;
  float *start = (float *)fixture_ints(count), *moved = (float *)fixture_ints(count);
  float *gradient = (float *)fixture_ints(count);
  const double *direction = fixture_random(count, 1), step = 1e-4;
  double losses[2], expected = 0;
  assert_ok(tensor_read(slab, 0, count, start));
  (void)run_gradient(&t);
  assert_ok(tensor_read(&model_params(t.model)->grads[0], 0, count, gradient));
  for (size_t i = 0; i < count; i++) expected += (double)gradient[i] * direction[i];
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < count; i++)
      moved[i] = (float)((double)start[i] + (side ? -step : step) * direction[i]);
    assert_ok(tensor_write(slab, 0, count, moved));
    StepReport report = run_gradient(&t);
    losses[side] = report.given.nll / (double)report.given.tokens;
  }
  double found = (losses[0] - losses[1]) / (2 * step);
  if (!(fabs(found - expected) <= 1e-2 * fabs(expected)))
    fail_msg("slope %g, but the gradient gives %g", found, expected);
  trainer_free(&t);
  ops_fixture_clean(NULL);
}

static void slopes_with_dropout(void **state) {
  (void)state;
  Given given;
  given_open("llama", &given);
  given.job.train.micro_batch_size = 4;
  check_slope(&given);
  given.job.lora.dropout = 0.25f;
  check_slope(&given);
  given_close(&given);
}

// ---- runs ----

static void run_to(Given *given, const char *name, size_t steps, bool resume) {
  given->job.output.run_name = name;
  given->job.train.max_steps = steps;
  given->job.resume = resume;
  assert_ok(train_run(&given->job, NULL));
}

static char *read_text(const char *folder, const char *name) {
  MappedFile file;
  char *path = NULL, *text = NULL;
  assert_ok(path_join(&path, folder, name));
  assert_ok(file_map(path, &file));
  text = calloc(file.size + 1, 1);
  assert_non_null(text);
  memcpy(text, file.bytes, file.size);
  file_unmap(&file);
  free(path);
  return text;
}

/// Steps of four of six rows begin in the middle of an epoch.
static void resumes_to_the_bit(void **state) {
  (void)state;
  char whole[600], parts[600];
  Given given;
  given_open("llama", &given);
  given.job.output.save_root = test_folder();
  given.job.train.effective_batch = 4;
  given.job.train.micro_batch_size = 3;
  given.job.lora.dropout = 0.1f;
  run_to(&given, "whole", 5, false);
  run_to(&given, "parts", 2, false);
  run_to(&given, "parts", 5, true);
  (void)snprintf(whole, sizeof whole, "%s/whole/final/adapter_model.safetensors", given.job.output.save_root);
  (void)snprintf(parts, sizeof parts, "%s/parts/final/adapter_model.safetensors", given.job.output.save_root);
  train_same_file(whole, parts);
  (void)snprintf(whole, sizeof whole, "%s/whole/final/optimizer.safetensors", given.job.output.save_root);
  (void)snprintf(parts, sizeof parts, "%s/parts/final/optimizer.safetensors", given.job.output.save_root);
  train_same_file(whole, parts);
  (void)snprintf(whole, sizeof whole, "%s/whole", given.job.output.save_root);
  char *metrics = read_text(whole, "metrics.jsonl"), *card = read_text(whole, "final/README.md");
  assert_true(test_contains(metrics, "\"token_accuracy\"") && !test_contains(metrics, "gap"));
  assert_true(test_contains(card, "given answers") && !test_contains(card, " gap") &&
              !test_contains(card, "gee-cl gap"));
  free(metrics);
  free(card);
  given.scored[3][2] = false; // another token counts
  given.job.output.run_name = "parts";
  given.job.resume = true;
  assert_fails(train_run(&given.job, NULL), STATUS_INPUT, "data (contents)");
  given_close(&given);
}

/// The plan counts at least what any draw takes.
static void plan_holds_every_draw(void **state) {
  (void)state;
  Given given;
  Ops *plan = NULL;
  given_open("llama", &given);
  given.job.train.effective_batch = 4;
  given.job.train.micro_batch_size = 2;
  assert_ok(ops_create_plan(fixture_device(), &plan));
  given.job.ops = plan;
  assert_ok(train_plan(&given.job));
  size_t planned = ops_memory(plan)->peak_total;
  given.job.ops = fixture_ops();
  for (size_t share = 0; share < 2; share++) {
    Ops *ops = NULL;
    given.job.train.share_prompts = share == 1;
    assert_ok(ops_create(fixture_device(), NULL, &ops));
    given.job.ops = ops;
    given.job.output.run_name = share ? "shared" : "unshared";
    assert_ok(train_run(&given.job, NULL));
    if (!(ops_memory(ops)->peak_total <= planned))
      fail_msg("%zu bytes planned, %zu taken", planned, (size_t)ops_memory(ops)->peak_total);
    ops_free(ops);
  }
  ops_free(plan);
  given_close(&given);
}

static void refused(void **state) {
  (void)state;
  Given given;
  given_open("llama", &given);
  given.job.train.full = true;
  given.job.dtype = DTYPE_BF16;
  assert_fails(train_check(&given.job), STATUS_INPUT, "model.dtype = f32");
  given.job.dtype = DTYPE_F32;
  given.tokens[2][7] = 67; // the vocabulary has 67
  assert_fails(train_run(&given.job, NULL), STATUS_INPUT, "outside the model's vocabulary");
  given_close(&given);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(lora_of_llama),
                                     OPS_TEST(every_weight_of_qwen2),
                                     OPS_TEST(five_steps),
                                     OPS_TEST(held_out_loss),
                                     OPS_TEST(slopes_with_dropout),
                                     OPS_TEST(resumes_to_the_bit),
                                     OPS_TEST(plan_holds_every_draw),
                                     OPS_TEST(refused)};
  return RUN_OPS_TESTS(tests);
}
