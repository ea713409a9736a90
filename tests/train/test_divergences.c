// The divergences of the loss against PyTorch in float64 (tests/golden/make_divergence.py): losses, KL and
// every gradient, however the step is computed; and against central differences, with dropout and with full
// training, where nothing else says what is right. Prompts and answers are given, so nothing depends on what
// is sampled.
#include "support/train_fixture.h"

#include "io/json.h"
#include "support/model_fixture.h"
#include "trainer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_PROMPTS = 16, MAX_TOKENS = 8 };

/// A golden file: prompts in sets, an answer to each, and the options of the loss.
typedef struct Given {
  cJSON *json;
  Dataset dataset;
  Prompt prompts[MAX_PROMPTS];
  size_t set_start[MAX_PROMPTS + 1];
  int32_t prompt_tokens[MAX_PROMPTS][MAX_TOKENS], answer_tokens[MAX_PROMPTS][MAX_TOKENS];
  size_t answer_count[MAX_PROMPTS], longest;
  TaskWeight weights[2];
  ModelFiles *files;
  ModelIdentity identity;
  TrainJob job;
} Given;

// ---- what the golden file says ----

static const cJSON *member(const cJSON *json, const char *name) {
  const cJSON *found = cJSON_GetObjectItemCaseSensitive(json, name);
  if (found == NULL) fail_msg("the golden file has no %s", name);
  return found;
}

static float number(const Given *given, const char *name) {
  return (float)member(given->json, name)->valuedouble;
}

static size_t read_ids(const cJSON *list, int32_t *ids) {
  size_t count = 0;
  const cJSON *id = NULL;
  cJSON_ArrayForEach(id, list) {
    assert_true(count < MAX_TOKENS);
    ids[count++] = id->valueint;
  }
  return count;
}

static bool same_tokens(const Tokens *a, const Tokens *b) {
  return a->count == b->count && memcmp(a->ids, b->ids, a->count * sizeof *a->ids) == 0;
}

static void read_prompt(Given *given, int set, int group) {
  Dataset *data = &given->dataset;
  size_t index = data->count++, first = 0;
  const cJSON *ids = cJSON_GetArrayItem(cJSON_GetArrayItem(member(given->json, "sets"), set), group);
  const cJSON *answer = cJSON_GetArrayItem(cJSON_GetArrayItem(member(given->json, "answers"), set), group);
  Prompt *prompt = &given->prompts[index];
  assert_true(index < MAX_PROMPTS);
  *prompt = (Prompt){.tokens = {.ids = given->prompt_tokens[index]},
                     .group = group,
                     .type = cJSON_GetArrayItem(member(given->json, "types"), set)->valueint,
                     .set = (size_t)set};
  prompt->tokens.count = read_ids(ids, given->prompt_tokens[index]);
  while (!same_tokens(&given->prompts[first].tokens, &prompt->tokens)) first++;
  prompt->distinct = first;
  given->answer_count[index] = read_ids(answer, given->answer_tokens[index]);
  if (given->answer_count[index] > given->longest) given->longest = given->answer_count[index];
}

static void read_dataset(Given *given) {
  Dataset *data = &given->dataset;
  *data = (Dataset){.prompts = given->prompts,
                    .set_start = given->set_start,
                    .counterfactual = true,
                    .types = {"open", "factual"},
                    .type_count = 2};
  assert_ok(groups_load(member(given->json, "groups")->valuestring, &data->groups));
  int sets = cJSON_GetArraySize(member(given->json, "sets")), groups = (int)groups_count(data->groups);
  for (int set = 0; set < sets; set++) {
    for (int group = 0; group < groups; group++) read_prompt(given, set, group);
    given->set_start[++data->sets] = data->count;
  }
}

static void given_open(const char *model, Given *given) {
  char name[64];
  *given = (Given){0};
  (void)snprintf(name, sizeof name, "divergence/%s.json", model);
  assert_ok(json_parse_file(golden_path(name), &given->json));
  read_dataset(given);
  const cJSON *weights = member(given->json, "weights");
  for (int i = 0; i < 2; i++)
    given->weights[i] = (TaskWeight){given->dataset.types[i], cJSON_GetArrayItem(weights, i)->valuedouble};
  assert_ok(model_files_open(golden_path(model), &given->files));
  assert_ok(identity_of(given->files, NULL, &given->identity));
  given->job = (TrainJob){
      .ops = fixture_ops(),
      .files = given->files,
      .identity = &given->identity,
      .dtype = DTYPE_F32,
      .lora = {.rank = (size_t)number(given, "rank"), .alpha = number(given, "alpha"), .targets = "all"},
      .dataset = &given->dataset,
      .sampling = {.max_new_tokens = given->longest, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
      .loss = {.lambda_weight = number(given, "lambda_weight"),
               .em_weight = number(given, "em_weight"),
               .kl_weight = number(given, "kl_weight"),
               .entropy_temperature = number(given, "tau")},
      .train = {.max_steps = 1,
                .effective_batch = given->dataset.count,
                .learning_rate = 1e-3f,
                .beta1 = 0.9f,
                .beta2 = 0.999f,
                .epsilon = 1e-8f,
                .head_tile_rows = 5,
                .share_prompts = true,
                .seed = 15},
      .task_weights = given->weights,
      .task_weight_count = 2};
}

static void given_close(Given *given) {
  model_files_close(given->files);
  groups_free(given->dataset.groups);
  cJSON_Delete(given->json);
}

// ---- a step with given answers ----

/// The answer's entropies and log Z under its own prompt, as sampling would have kept them.
static void measure_answer(Trainer *t, size_t index) {
  Answer *answer = &t->batch.answers[index];
  const Tokens *tokens = &t->job->dataset->prompts[t->batch.drawn[index]].tokens;
  TokenSpan prompt = {tokens->ids, tokens->count};
  BatchAnswer packed = {.tokens = {answer->tokens, answer->count}};
  Batch batch;
  assert_ok(batch_build(&prompt, 1, &packed, 1, true, &batch));
  assert_ok(pass_forward(t->training_pass, &batch, (DropoutDraw){0}));
  assert_ok(pass_statistics(t->training_pass, &batch, t->job->loss.entropy_temperature, answer->entropy,
                            answer->log_z, NULL));
  batch_free(&batch);
}

static void give_answer(Trainer *t, const Given *given, size_t index) {
  size_t prompt = t->batch.drawn[index];
  Answer *answer = &t->batch.answers[index];
  answer_free(answer);
  answer->count = given->answer_count[prompt];
  answer->tokens = calloc(answer->count, sizeof *answer->tokens);
  answer->entropy = calloc(answer->count, sizeof *answer->entropy);
  answer->log_z = calloc(answer->count, sizeof *answer->log_z);
  assert_true(answer->tokens != NULL && answer->entropy != NULL && answer->log_z != NULL);
  memcpy(answer->tokens, given->answer_tokens[prompt], answer->count * sizeof *answer->tokens);
  measure_answer(t, index);
}

/// The loss and its gradient in the model's parameters. What is sampled is replaced by the given answers; it
/// fills the cache with the prompts.
static LossResult run_step(Trainer *t, const Given *given) {
  StepBatch *batch = &t->batch;
  const TrainJob *job = t->job;
  LossResult result;
  SamplerState state = {0};
  assert_ok(step_batch_draw(batch, job->train.seed, &state));
  GenerateJob sampling =
      step_batch_sampling(batch, &t->sampling, job->loss.entropy_temperature, job->train.seed, 1);
  for (size_t i = 0; i < batch->shape.count; i++) answer_free(&batch->answers[i]);
  assert_ok(generate(t->sampling_pass, &sampling, batch->answers));
  for (size_t i = 0; i < batch->shape.count; i++) give_answer(t, given, i);
  step_batch_arrange(batch);
  assert_ok(trainer_differentiate(t, &sampling, &result));
  return result;
}

static void step_open(const Given *given, Trainer *t) {
  *t = (Trainer){.job = &given->job};
  assert_ok(trainer_prepare(t));
  assert_ok(trainer_create(t));
}

// ---- against PyTorch ----

static void check_number(const Given *given, const char *label, const char *name, double found) {
  const cJSON *cases = member(given->json, "cases");
  double expected = member(member(cases, label), name)->valuedouble;
  if (!(fabs(found - expected) <= 1e-5 * fabs(expected)))
    fail_msg("%s: %s is %.9g, not %.9g", label, name, found, expected);
}

static void check_gradients(Model *model, const Golden *golden, const char *label) {
  const ParamSet *params = model_params(model);
  for (size_t i = 0; i < params->count; i++) {
    char name[256];
    size_t count = 0;
    (void)snprintf(name, sizeof name, "grad.%s.%s", label, params->specs[i].name);
    const double *expected = golden_values(golden, name, &count);
    double error = test_relative_l2(param_read(model, i, true), expected, count);
    if (!(error <= 1e-4)) fail_msg("%s: relative error %g", name, error);
  }
}

static void check_case(Given *given, const Golden *golden, const char *label) {
  Trainer t;
  step_open(given, &t);
  fixture_set_params(t.model, golden, "start.");
  LossResult result = run_step(&t, given);
  check_number(given, label, "loss", result.loss);
  check_number(given, label, "loss_bias", result.loss_bias);
  check_number(given, label, "kl", result.kl);
  check_gradients(t.model, golden, label);
  trainer_free(&t);
  ops_fixture_clean(NULL);
}

/// Every way to compute a step: micro batches of one, of three and of all sequences, checkpointing, prompts
/// computed for each answer, tiles of one row.
static void check_ways(Given *given, const Golden *golden, const char *label) {
  static const size_t micros[] = {0, 1, 3};
  for (size_t m = 0; m < 3; m++) {
    given->job.train.micro_batch_size = micros[m];
    given->job.train.activation_checkpointing = m == 1;
    check_case(given, golden, label);
    given->job.train.activation_checkpointing = m != 1;
    given->job.train.share_prompts = false;
    given->job.train.head_tile_rows = m == 2 ? 1 : 128;
    check_case(given, golden, label);
    given->job.train.share_prompts = true;
    given->job.train.head_tile_rows = 5;
  }
}

static void check_model(const char *model) {
  char name[64];
  Given given;
  given_open(model, &given);
  (void)snprintf(name, sizeof name, "divergence/%s.safetensors", model);
  Golden golden = golden_open(name);
  check_ways(&given, &golden, "own");
  given.job.loss.pairing = PAIRING_PAIRED;
  check_ways(&given, &golden, "paired");
  given.job.loss.form = LOSS_SYMMETRIC_KL;
  check_ways(&given, &golden, "symmetric");
  golden_close(&golden);
  given_close(&given);
}

static void two_groups_of_llama(void **state) {
  (void)state;
  check_model("llama");
}

static void four_groups_of_qwen2(void **state) {
  (void)state;
  check_model("qwen2");
}

// ---- against central differences ----

/// Compares the gradient of the loss with its slope in a random direction. The answers' entropies must come
/// from a forward: paired, in one micro batch or with dropout.
static void check_slope(const Given *given) {
  Trainer t;
  step_open(given, &t);
  Tensor *slab = &model_params(t.model)->values[0];
  size_t count = slab->cols;
  if (!given->job.train.full) train_random_params(model_params(t.model));
  float *start = (float *)fixture_ints(count), *moved = (float *)fixture_ints(count);
  float *gradient = (float *)fixture_ints(count);
  const double *direction = fixture_random(count, 1), step = 1e-4;
  double losses[2], expected = 0;
  assert_int_equal(model_params(t.model)->slabs, 1);
  assert_ok(tensor_read(slab, 0, count, start));
  (void)run_step(&t, given);
  assert_ok(tensor_read(&model_params(t.model)->grads[0], 0, count, gradient));
  for (size_t i = 0; i < count; i++) expected += (double)gradient[i] * direction[i];
  for (int side = 0; side < 2; side++) {
    for (size_t i = 0; i < count; i++)
      moved[i] = (float)((double)start[i] + (side ? -step : step) * direction[i]);
    assert_ok(tensor_write(slab, 0, count, moved));
    losses[side] = run_step(&t, given).loss;
  }
  double found = (losses[0] - losses[1]) / (2 * step);
  if (!(fabs(found - expected) <= 1e-2 * fabs(expected)))
    fail_msg("slope %g, but the gradient gives %g", found, expected);
  trainer_free(&t);
  ops_fixture_clean(NULL);
}

static void slopes_of_the_whole_loss(void **state) {
  (void)state;
  Given given;
  given_open("llama", &given);
  given.job.loss.pairing = PAIRING_PAIRED;
  check_slope(&given);
  given.job.loss.form = LOSS_SYMMETRIC_KL;
  check_slope(&given);
  given.job.lora.dropout = 0.25f;
  given.job.train.micro_batch_size = 3;
  check_slope(&given);
  given.job.loss.form = LOSS_PAIRWISE;
  check_slope(&given);
  given.job.lora.dropout = 0;
  given.job.train.micro_batch_size = 0;
  given.job.loss.form = LOSS_SYMMETRIC_KL;
  given.job.loss.kl_weight = 0;
  given.job.train.full = true;
  check_slope(&given);
  given_close(&given);
}

// ---- what must hold exactly ----

/// Fresh adapters are the base model, whatever the micro batch: the divergence is 0, to the bit.
static void fresh_adapters_are_the_base(void **state) {
  (void)state;
  Given given;
  given_open("llama", &given);
  for (size_t micro = 0; micro < 3; micro++) {
    Trainer t;
    given.job.train.micro_batch_size = micro;
    step_open(&given, &t);
    LossResult result = run_step(&t, &given);
    assert_true(result.kl == 0);
    trainer_free(&t);
  }
  given_close(&given);
}

/// The measured divergences of every sequence have the same bits at any micro batch.
static void micro_batches_measure_the_same(void **state) {
  (void)state;
  Given given;
  double kl[2][MAX_PROMPTS * 4], partner_kl[2][MAX_PROMPTS * 4];
  size_t sequences = 0;
  given_open("qwen2", &given);
  given.job.loss.pairing = PAIRING_PAIRED;
  given.job.loss.form = LOSS_SYMMETRIC_KL;
  for (size_t way = 0; way < 2; way++) {
    Trainer t;
    given.job.train.micro_batch_size = way == 0 ? 0 : 3;
    step_open(&given, &t);
    train_random_params(model_params(t.model));
    (void)run_step(&t, &given);
    sequences = t.batch.sequence_count;
    for (size_t s = 0; s < sequences; s++) {
      kl[way][s] = t.batch.sequences[s].kl;
      partner_kl[way][s] = t.batch.sequences[s].partner_kl;
      assert_true(kl[way][s] > 0 && partner_kl[way][s] > 0);
    }
    trainer_free(&t);
  }
  assert_memory_equal(kl[0], kl[1], sequences * sizeof **kl);
  assert_memory_equal(partner_kl[0], partner_kl[1], sequences * sizeof **kl);
  given_close(&given);
}

static void what_contradicts_is_refused(void **state) {
  (void)state;
  Given given;
  given_open("llama", &given);
  Trainer t = {.job = &given.job};
  given.job.train.full = true;
  assert_fails(trainer_prepare(&t), STATUS_INPUT, "loss.kl_weight needs the base model");
  given.job.train.full = false;
  given.job.loss.form = LOSS_SYMMETRIC_KL;
  assert_fails(trainer_prepare(&t), STATUS_INPUT, "set loss.pairing = paired");
  given.job.loss.pairing = PAIRING_PAIRED;
  given.job.loss.use_l1 = true;
  assert_fails(trainer_prepare(&t), STATUS_INPUT, "loss.use_l1 = true");
  given.job.loss.use_l1 = false;
  given.job.loss.unbiased = true;
  assert_fails(trainer_prepare(&t), STATUS_INPUT, "loss.unbiased = true");
  given.job.loss.unbiased = false;
  given.job.loss.kl_weight = -1;
  assert_fails(trainer_prepare(&t), STATUS_INPUT, "loss.kl_weight = -1");
  given_close(&given);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(two_groups_of_llama),
      OPS_TEST(four_groups_of_qwen2),
      OPS_TEST(slopes_of_the_whole_loss),
      OPS_TEST(fresh_adapters_are_the_base),
      OPS_TEST(micro_batches_measure_the_same),
      OPS_TEST(what_contradicts_is_refused),
  };
  return RUN_OPS_TESTS(tests);
}
