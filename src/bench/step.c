// Whole training steps: train_run, in a folder that is removed again. Answers are sampled, read under the
// prompts of two groups, and LoRA of rank 8 on every matrix is trained.
#include "run.h"

#include "io/file.h"
#include "io/json.h"
#include "train/train.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

enum { GROUPS = 2, STEPS = 1 + LEAST_RUNS, RANK = 8 };

/// A dataset of one counterfactual set. Its prompts differ in one token.
typedef struct StepData {
  Prompt prompts[GROUPS];
  size_t set_start[2];
  Dataset dataset;
} StepData;

static Status make_data(const Bench *bench, StepData *data) {
  *data = (StepData){.set_start = {0, GROUPS}};
  for (size_t g = 0; g < GROUPS; g++) {
    Prompt *prompt = &data->prompts[g];
    *prompt = (Prompt){.group = (int)g, .distinct = g, .alike = g};
    TRY(bench_tokens(bench->config, 3, STEP_PROMPT, &prompt->tokens.ids));
    prompt->tokens.count = STEP_PROMPT;
    prompt->tokens.ids[1] = (int32_t)g;
  }
  data->dataset = (Dataset){.prompts = data->prompts,
                            .count = GROUPS,
                            .sets = 1,
                            .set_start = data->set_start,
                            .counterfactual = true,
                            .types = {"open"},
                            .type_count = 1};
  return groups_load("gender", &data->dataset.groups);
}

static void free_data(StepData *data) {
  for (size_t g = 0; g < GROUPS; g++) free(data->prompts[g].tokens.ids);
  groups_free(data->dataset.groups);
}

static TrainJob make_job(const Bench *bench, const ModelIdentity *identity, const Dataset *dataset,
                         const char *folder) {
  return (TrainJob){
      .ops = bench->ops,
      .files = bench->files,
      .identity = identity,
      .dtype = bench->options->dtype,
      .lora = {.rank = RANK, .alpha = 2 * RANK, .targets = "all"},
      .dataset = dataset,
      .sampling = {.max_new_tokens = STEP_TOKENS, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
      .loss = {.lambda_weight = 1, .entropy_temperature = 1, .pairing = PAIRING_PAIRED, .anneal_max = 1},
      .train = {.max_steps = STEPS,
                .effective_batch = STEP_ANSWERS,
                .micro_batch_size = STEP_ANSWERS,
                .learning_rate = 1e-4f,
                .beta1 = 0.9f,
                .beta2 = 0.999f,
                .epsilon = 1e-8f,
                .max_grad_norm = 1,
                .head_tile_rows = 128,
                .max_sequence_tokens = STEP_PROMPT + STEP_TOKENS,
                .share_prompts = true,
                .log_steps = 1,
                .seed = 1},
      .output = {.save_root = folder, .run_name = "bench"},
      .config_text = "",
      .stop = bench->options->stop};
}

// ---- what the steps took ----

enum { WHOLE, SAMPLING, UPDATE, SUMS };

/// The work of all steps, and of their parts.
typedef struct StepWork {
  WorkSum sums[SUMS];
} StepWork;

static Status add_work(void *user, const OpsRecord *record) {
  StepWork *work = user;
  for (size_t i = 0; i < SUMS; i++) TRY(bench_add_work(&work->sums[i], record));
  return STATUS_OK;
}

/// Seconds of each step but the first, which warms up.
typedef struct StepTimes {
  double sampling[LEAST_RUNS], training[LEAST_RUNS], whole[LEAST_RUNS];
  double sampled, scored; // tokens of a step
} StepTimes;

static Status read_step(const cJSON *line, size_t run, StepTimes *out) {
  static const char name[] = "metrics.jsonl";
  double update = 0;
  TRY(json_get_number(line, "seconds_sampling", name, &out->sampling[run]));
  TRY(json_get_number(line, "seconds_training", name, &out->training[run]));
  TRY(json_get_number(line, "seconds_update", name, &update));
  TRY(json_get_number(line, "tokens", name, &out->sampled));
  out->whole[run] = out->sampling[run] + out->training[run] + update;
  return json_get_number(line, "tokens_scored", name, &out->scored);
}

static Status read_times(const char *folder, StepTimes *out) {
  char *path = NULL;
  MappedFile file = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(str_format(&path, "%s/bench/metrics.jsonl", folder));
  TRY_CLEAN(file_map(path, &file));
  const char *line = (const char *)file.bytes, *end = line + file.size, *next = NULL;
  for (size_t step = 0; step < STEPS && (next = memchr(line, '\n', (size_t)(end - line))) != NULL; step++) {
    cJSON *object = NULL;
    TRY_CLEAN(json_parse(line, (size_t)(next - line), path, &object));
    if (step > 0) status = read_step(object, step - 1, out);
    cJSON_Delete(object);
    if (status != STATUS_OK) goto cleanup;
    line = next + 1;
  }
cleanup:
  file_unmap(&file);
  free(path);
  return status;
}

static void report(const Bench *bench, BenchResult result, double *seconds, WorkSum sum) {
  result.part = BENCH_STEP;
  result.batch = STEP_ANSWERS;
  result.seconds = spread_of(seconds, LEAST_RUNS);
  result.work = (OpsWork){sum.work.flops / STEPS, sum.work.bytes / STEPS};
  result.limit = sum.limit / STEPS;
  bench->report(bench->user, &result);
}

static WorkSum less(WorkSum a, WorkSum b) {
  a.work.flops -= b.work.flops;
  a.work.bytes -= b.work.bytes;
  a.limit -= b.limit;
  return a;
}

static void report_all(const Bench *bench, StepTimes *times, const StepWork *work) {
  WorkSum training = less(less(work->sums[WHOLE], work->sums[SAMPLING]), work->sums[UPDATE]);
  report(bench, (BenchResult){.name = "step, sampling", .tokens = times->sampled}, times->sampling,
         work->sums[SAMPLING]);
  report(bench, (BenchResult){.name = "step, training", .tokens = times->scored}, times->training, training);
  report(bench, (BenchResult){.name = "step", .tokens = times->sampled}, times->whole, work->sums[WHOLE]);
}

static Status train(const Bench *bench, const Dataset *dataset, const char *folder) {
  ModelIdentity identity;
  StepTimes times = {0};
  StepWork work = {{[WHOLE] = {bench->limits, "step", {0}, 0},
                    [SAMPLING] = {bench->limits, "sample", {0}, 0},
                    [UPDATE] = {bench->limits, "update", {0}, 0}}};
  TRY(identity_of(bench->files, NULL, &identity));
  TrainJob job = make_job(bench, &identity, dataset, folder);
  TRY(ops_profile_begin(bench->ops, add_work, &work));
  Status status = train_run(&job, NULL), ended = ops_profile_end(bench->ops);
  if (status == STATUS_INTERRUPTED) return bench_check_stop(bench);
  TRY(status);
  TRY(ended);
  TRY(read_times(folder, &times));
  report_all(bench, &times, &work);
  return STATUS_OK;
}

Status bench_step(const Bench *bench) {
  StepData data;
  char *folder = NULL;
  Status status = make_data(bench, &data);
  if (status == STATUS_OK) status = directory_create_temporary("gee-cl-bench", &folder);
  if (status == STATUS_OK) {
    status = train(bench, &data.dataset, folder);
    Status removed = directory_remove(folder);
    if (status == STATUS_OK) status = removed;
  }
  free(folder);
  free_data(&data);
  return status;
}
