// Prefill and decoding, as generate does them.
#include "run.h"

#include "gen/generate.h"
#include "util/clock.h"
#include "util/memory.h"
#include <stdlib.h>

enum { MOST_BATCH = 64 };

typedef struct Inference {
  const Bench *bench;
  Pass *pass;
  TokenSpan prompt;
  AnswerRequest requests[MOST_BATCH];
  Answer answers[MOST_BATCH];
  size_t batch, new_tokens;
  size_t drawn;       // tokens of the run so far
  double first, last; // when the first tokens of all answers were drawn, and the last ones
} Inference;

static bool watch_token(void *user, size_t request, int32_t token) {
  Inference *run = user;
  (void)request, (void)token;
  run->drawn++;
  if (run->drawn == run->batch) run->first = clock_seconds();
  if (run->drawn == run->batch * run->new_tokens) run->last = clock_seconds();
  return true;
}

static Status generate_all(Inference *run) {
  run->drawn = 0;
  GenerateJob job = {
      .prompts = &run->prompt,
      .prompt_count = 1,
      .requests = run->requests,
      .request_count = run->batch,
      .sampling = {.max_new_tokens = run->new_tokens, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
      .entropy_tau = 1,
      .past_end = true,
      .on_token = watch_token,
      .user = run,
      .stop = run->bench->options->stop};
  Status status = generate(run->pass, &job, run->answers);
  for (size_t i = 0; i < run->batch; i++) answer_free(&run->answers[i]);
  return status;
}

/// From the first tokens to the last: each needs a pass.
static Status decode(void *user, double *seconds) {
  Inference *run = user;
  TRY(generate_all(run));
  *seconds = run->last - run->first;
  return STATUS_OK;
}

/// The whole of it: one token is drawn.
static Status prefill(void *user, double *seconds) {
  (void)seconds;
  return generate_all(user);
}

static Status measure(const Bench *bench, Model *model, size_t prompt, Inference *run, BenchResult *result) {
  int32_t *ids = NULL;
  Status status = STATUS_OK;
  PassOptions sizes = generate_pass_options(prompt, prompt, run->batch, run->new_tokens);
  bool decodes = result->part == BENCH_DECODE;
  run->bench = bench;
  for (size_t i = 0; i < run->batch; i++) run->requests[i] = (AnswerRequest){.stream = (uint32_t)i};
  TRY_CLEAN(bench_tokens(bench->config, 1, prompt, &ids));
  run->prompt = (TokenSpan){ids, prompt};
  TRY_CLEAN(pass_create(model, &sizes, &run->pass));
  const Repeated work = {
      .run = decodes ? decode : prefill, .user = run, .phase = decodes ? "decode" : "prefill"};
  TRY_CLEAN(bench_repeat(bench, &work, result));
cleanup:
  pass_free(run->pass);
  free(ids);
  return status;
}

static Status measure_decode(const Bench *bench, Model *model, size_t batch) {
  Inference run = {.batch = batch, .new_tokens = DECODE_TOKENS};
  BenchResult result = {
      .part = BENCH_DECODE, .name = "decode", .batch = batch, .tokens = (double)batch * (DECODE_TOKENS - 1)};
  return measure(bench, model, DECODE_PROMPT, &run, &result);
}

static Status measure_prefill(const Bench *bench, Model *model) {
  Inference run = {.batch = 1, .new_tokens = 1};
  BenchResult result = {.part = BENCH_PREFILL, .name = "prefill", .batch = 1, .tokens = PREFILL_TOKENS};
  return measure(bench, model, PREFILL_TOKENS, &run, &result);
}

Status bench_inference(const Bench *bench) {
  Model *model = NULL;
  Status status = STATUS_OK;
  TRY(model_load(bench->ops, bench->files, bench->options->dtype, &model));
  for (size_t batch = 1; bench->options->parts[BENCH_DECODE] && batch <= MOST_BATCH; batch *= 8)
    TRY_CLEAN(measure_decode(bench, model, batch));
  if (bench->options->parts[BENCH_PREFILL]) TRY_CLEAN(measure_prefill(bench, model));
cleanup:
  model_free(model);
  return status;
}
