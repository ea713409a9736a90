// Forward, entropies and backward of a batch: answers that share a prompt, LoRA of rank 8 on every matrix.
#include "run.h"

#include "model/model.h"
#include "util/memory.h"
#include <stdlib.h>

enum { TILE = 128 };

typedef struct Gradient {
  Pass *pass;
  Batch batch;
  float *weights, *entropy, *log_z; // [head rows]
} Gradient;

static Status differentiate(void *user, double *seconds) {
  Gradient *g = user;
  (void)seconds;
  TRY(pass_forward(g->pass, &g->batch, (DropoutDraw){.on = false}));
  TRY(pass_statistics(g->pass, &g->batch, 1, g->entropy, g->log_z, NULL));
  const HeadGradient gradient = {.tau = 1, .weights = g->weights, .entropy = g->entropy, .log_z = g->log_z};
  return pass_backward(g->pass, &g->batch, &gradient);
}

static Status build_batch(const Bench *bench, Batch *out) {
  int32_t *ids = NULL;
  BatchAnswer answers[GRADIENT_ANSWERS];
  TRY(bench_tokens(bench->config, 2, GRADIENT_PROMPT + GRADIENT_ANSWERS * GRADIENT_TOKENS, &ids));
  const TokenSpan prompt = {ids, GRADIENT_PROMPT};
  for (size_t i = 0; i < GRADIENT_ANSWERS; i++)
    answers[i] = (BatchAnswer){.tokens = {ids + GRADIENT_PROMPT + i * GRADIENT_TOKENS, GRADIENT_TOKENS}};
  Status status = batch_build(&prompt, 1, answers, GRADIENT_ANSWERS, true, out);
  free(ids);
  return status;
}

static Status prepare(const Bench *bench, Model *model, Gradient *g) {
  const LoraOptions lora = {.rank = 8, .alpha = 16, .targets = "all"};
  TRY(model_add_lora(model, &lora, 1));
  TRY(build_batch(bench, &g->batch));
  const PassOptions sizes = {.kind = PASS_TRAINING, .max_rows = g->batch.rows, .head_tile_rows = TILE};
  TRY(pass_create(model, &sizes, &g->pass));
  TRY(mem_array(&g->weights, g->batch.head_rows, "gradient weights"));
  TRY(mem_array(&g->entropy, g->batch.head_rows, "entropies"));
  TRY(mem_array(&g->log_z, g->batch.head_rows, "entropies"));
  for (size_t i = 0; i < g->batch.head_rows; i++) g->weights[i] = 1 / (float)g->batch.head_rows;
  return STATUS_OK;
}

Status bench_gradient(const Bench *bench) {
  Gradient g = {0};
  Model *model = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(model_load(bench->ops, bench->files, bench->options->dtype, &model));
  TRY_CLEAN(prepare(bench, model, &g));
  BenchResult result = {.part = BENCH_GRADIENT,
                        .name = "forward and backward",
                        .batch = GRADIENT_ANSWERS,
                        .tokens = (double)g.batch.rows};
  TRY_CLEAN(bench_repeat(bench, &(Repeated){.run = differentiate, .user = &g}, &result));
cleanup:
  pass_free(g.pass);
  batch_free(&g.batch);
  free(g.weights);
  free(g.entropy);
  free(g.log_z);
  model_free(model);
  return status;
}
