// Tiny models, their samples and golden numbers. Rule: a failure here fails the test with the message of the
// room that failed.
#include "support/model_fixture.h"

#include "io/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *golden_path(const char *name) {
  static char paths[2][1024];
  static size_t next;
  char *path = paths[next++ % 2];
  (void)snprintf(path, sizeof paths[0], name[0] == '/' ? "%s%s" : "%s/%s",
                 name[0] == '/' ? "" : GEE_SOURCE_DIR "/tests/golden", name);
  return path;
}

// ---- samples ----

static TokenSpan read_tokens(const cJSON *array, int32_t *memory, size_t *used) {
  TokenSpan span = {.ids = memory + *used};
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, array) {
    assert_true(*used < SAMPLES_TOKENS);
    memory[(*used)++] = item->valueint;
    span.count++;
  }
  return span;
}

static double number(const cJSON *json, const char *key) {
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(json, key);
  assert_true(cJSON_IsNumber(item));
  return item->valuedouble;
}

static void read_samples(const cJSON *json, Samples *out) {
  size_t used = 0;
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "prompts")) {
    out->prompts[out->prompt_count++] = read_tokens(item, out->tokens, &used);
  }
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(json, "answers")) {
    BatchAnswer *answer = &out->answers[out->answer_count];
    answer->prompt = (size_t)number(item, "prompt");
    answer->row_id = (uint32_t)out->answer_count;
    answer->tokens = read_tokens(cJSON_GetObjectItemCaseSensitive(item, "tokens"), out->tokens, &used);
    out->groups[out->answer_count++] = (int)number(item, "group");
  }
  out->loss.lambda_weight = (float)number(json, "lambda_weight");
  out->loss.em_weight = (float)number(json, "em_weight");
  out->tau = (float)number(json, "tau");
  out->learning_rate = (float)number(json, "learning_rate");
  out->weight_decay = (float)number(json, "weight_decay");
  out->lora_alpha = (float)number(json, "lora_alpha");
  out->lora_rank = (size_t)number(json, "lora_rank");
  out->steps = (size_t)number(json, "steps");
}

const Samples *golden_samples(void) {
  static Samples samples;
  if (samples.answer_count > 0) return &samples;
  cJSON *json = NULL;
  assert_ok(json_parse_file(golden_path("samples.json"), &json));
  read_samples(json, &samples);
  cJSON_Delete(json);
  return &samples;
}

Batch samples_batch(const Samples *samples, size_t first, size_t count, bool share) {
  // Takes only the prompts of these answers and renumbers them.
  TokenSpan prompts[SAMPLES_MAX];
  BatchAnswer answers[SAMPLES_MAX];
  size_t prompt_count = 0;
  for (size_t i = 0; i < count; i++) {
    answers[i] = samples->answers[first + i];
    if (i == 0 || answers[i].prompt != samples->answers[first + i - 1].prompt) {
      prompts[prompt_count++] = samples->prompts[answers[i].prompt];
    }
    answers[i].prompt = prompt_count - 1;
  }
  Batch batch;
  assert_ok(batch_build(prompts, prompt_count, answers, count, share, &batch));
  return batch;
}

const float *samples_logits(Model *model, size_t *count) {
  const Samples *samples = golden_samples();
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  Pass *pass = fixture_training(model, batch.rows, false);
  size_t vocab = model_config(model)->vocab;
  float *logits = (float *)fixture_ints(batch.head_rows * vocab);
  assert_ok(pass_forward(pass, &batch, (DropoutDraw){0}));
  for (size_t i = 0; i < batch.head_rows; i++) {
    const Tensor *tensor = NULL;
    assert_ok(pass_logits(pass, &batch.head_row[i], 1, &tensor));
    assert_ok(tensor_read(tensor, 0, vocab, logits + i * vocab));
  }
  *count = batch.head_rows * vocab;
  pass_free(pass);
  batch_free(&batch);
  return logits;
}

double samples_loss(const Samples *samples, const double *entropy, double *dH) {
  LossSample list[SAMPLES_MAX];
  size_t next = 0;
  for (size_t i = 0; i < samples->answer_count; i++) {
    size_t tokens = samples->answers[i].tokens.count;
    list[i] = (LossSample){.group = samples->groups[i], .weight = 1, .em_weight = 1, .unit = i};
    for (size_t t = 0; t < tokens; t++) list[i].H += entropy[next++] / (double)tokens;
  }
  LossResult result;
  assert_ok(loss_compute(&samples->loss, 2, list, samples->answer_count, &(GapTrend){0}, &result, dH));
  return result.loss;
}

void samples_weights(const Samples *samples, const Batch *batch, size_t first, const double *dH,
                     float *weights) {
  memset(weights, 0, batch->head_rows * sizeof *weights);
  for (size_t a = 0; a < batch->answers; a++) {
    double share = dH[first + a] / (double)samples->answers[first + a].tokens.count;
    for (size_t p = batch->answer_start[a]; p < batch->answer_start[a + 1]; p++) {
      weights[batch->pred_head[p]] += (float)share;
    }
  }
}

static void measure(Pass *pass, const Samples *samples, size_t micro, bool share, DropoutDraw dropout,
                    double *entropy) {
  size_t next = 0;
  for (size_t first = 0; first < samples->answer_count; first += micro) {
    size_t left = samples->answer_count - first;
    Batch batch = samples_batch(samples, first, left < micro ? left : micro, share);
    float rows[SAMPLES_TOKENS];
    assert_ok(pass_forward(pass, &batch, dropout));
    assert_ok(pass_statistics(pass, &batch, samples->tau, rows, NULL, NULL));
    for (size_t p = 0; p < batch.predictions; p++) entropy[next++] = (double)rows[batch.pred_head[p]];
    batch_free(&batch);
  }
}

double samples_backward(Model *model, Pass *pass, const Samples *samples, size_t micro, bool share,
                        DropoutDraw dropout) {
  double entropy[SAMPLES_TOKENS];
  double dH[SAMPLES_MAX];
  measure(pass, samples, micro, share, dropout, entropy);
  double loss = samples_loss(samples, entropy, dH);
  assert_ok(params_zero_grads(model_params(model)));
  for (size_t first = 0; first < samples->answer_count; first += micro) {
    size_t left = samples->answer_count - first;
    Batch batch = samples_batch(samples, first, left < micro ? left : micro, share);
    float weights[SAMPLES_TOKENS];
    samples_weights(samples, &batch, first, dH, weights);
    assert_ok(pass_forward(pass, &batch, dropout));
    assert_ok(pass_backward(pass, &batch, &(HeadGradient){.tau = samples->tau, .weights = weights}));
    batch_free(&batch);
  }
  return loss;
}

// ---- golden numbers ----

Golden golden_open(const char *name) {
  Golden golden;
  assert_ok(tensors_open(golden_path(name), &golden.file));
  return golden;
}

void golden_close(Golden *golden) {
  tensors_close(golden->file);
  golden->file = NULL;
}

static float *golden_floats(const Golden *golden, const char *name, size_t *count) {
  const StoredTensor *tensor = tensors_find(golden->file, name);
  if (tensor == NULL) fail_msg("no golden tensor %s", name);
  *count = tensor->elements;
  float *values = (float *)fixture_ints(*count);
  assert_ok(tensors_read_f32(tensor, 0, *count, values));
  return values;
}

double *golden_values(const Golden *golden, const char *name, size_t *count) {
  const float *floats = golden_floats(golden, name, count);
  double *values = fixture_zeros(*count);
  for (size_t i = 0; i < *count; i++) values[i] = (double)floats[i];
  return values;
}

// ---- models ----

Model *fixture_model(const char *name, DType dtype) {
  ModelFiles *files = NULL;
  Model *model = NULL;
  assert_ok(model_files_open(golden_path(name), &files));
  assert_ok(model_load(fixture_ops(), files, dtype, &model));
  model_files_close(files);
  return model;
}

void fixture_lora(Model *model, float dropout) {
  const Samples *samples = golden_samples();
  LoraOptions options = {
      .rank = samples->lora_rank, .alpha = samples->lora_alpha, .dropout = dropout, .targets = "all"};
  assert_ok(model_add_lora(model, &options, 15));
}

void fixture_set_params(Model *model, const Golden *golden, const char *prefix) {
  ParamSet *params = model_params(model);
  for (size_t i = 0; i < params->count; i++) {
    const ParamSpec *spec = &params->specs[i];
    char name[256];
    size_t count = 0;
    (void)snprintf(name, sizeof name, "%s%s", prefix, spec->name);
    const float *values = golden_floats(golden, name, &count);
    assert_int_equal(count, spec->rows * spec->cols);
    assert_ok(tensor_write(&params->values[spec->slab], spec->offset, count, values));
  }
}

Pass *fixture_training(Model *model, size_t rows, bool checkpoint) {
  PassOptions options = {
      .kind = PASS_TRAINING, .max_rows = rows, .head_tile_rows = 5, .checkpoint = checkpoint};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  return pass;
}

float *param_read(Model *model, size_t index, bool gradient) {
  const ParamSet *params = model_params(model);
  const ParamSpec *spec = &params->specs[index];
  const Tensor *slab = gradient ? &params->grads[spec->slab] : &params->values[spec->slab];
  size_t count = spec->rows * spec->cols;
  float *values = (float *)fixture_ints(count);
  assert_ok(tensor_read(slab, spec->offset, count, values));
  return values;
}

// ---- shared answers ----

enum { SHARED_MAX = 16, ANSWER_MAX = 64 };

static TokenSpan read_span(const cJSON *row, const char *key, int32_t *out) {
  TokenSpan span = {.ids = out};
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(row, key)) {
    assert_true(span.count < ANSWER_MAX);
    out[span.count++] = item->valueint;
  }
  return span;
}

Batch shared_answers(size_t sets) {
  static int32_t prompt_ids[SHARED_MAX][ANSWER_MAX], answer_ids[SHARED_MAX][ANSWER_MAX];
  TokenSpan prompts[SHARED_MAX];
  BatchAnswer answers[SHARED_MAX];
  char path[1100];
  cJSON *json = NULL;
  const cJSON *row = NULL;
  size_t count = 0;
  (void)snprintf(path, sizeof path, "%s/golden/entropy.json", test_shared());
  assert_ok(json_parse_file(path, &json));
  cJSON_ArrayForEach(row, json) {
    if (count == sets || count == SHARED_MAX) break;
    prompts[count] = read_span(row, "prompt_ids", prompt_ids[count]);
    answers[count] = (BatchAnswer){.prompt = count, .tokens = read_span(row, "gen_ids", answer_ids[count])};
    count++;
  }
  cJSON_Delete(json);
  Batch batch;
  assert_ok(batch_build(prompts, count, answers, count, true, &batch));
  return batch;
}
