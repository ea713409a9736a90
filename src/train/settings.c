// What decides a run's numbers, by config key, kept with each checkpoint so that a run is not gone on with under another
// config unawares. Rule: a key is here if another value of it would make other numbers (rounding aside) from the start.
#include "trainer.h"

#include "io/json.h"
#include "util/hash.h"
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/// Names and values are added to `object`; `failed` gathers want of memory.
typedef struct Describe {
  cJSON *object;
  bool failed;
} Describe;

static void number(Describe *d, const char *key, double value) {
  if (cJSON_AddNumberToObject(d->object, key, value) == NULL) d->failed = true;
}

static void text(Describe *d, const char *key, const char *value) {
  if (cJSON_AddStringToObject(d->object, key, value) == NULL) d->failed = true;
}

static void truth(Describe *d, const char *key, bool value) {
  if (cJSON_AddBoolToObject(d->object, key, value) == NULL) d->failed = true;
}

static void hash(Describe *d, const char *key, uint64_t value) {
  char hex[24];
  (void)snprintf(hex, sizeof hex, "%016" PRIx64, value);
  text(d, key, hex);
}

static void describe_model(Describe *d, const TrainJob *job) {
  static const char *const types[] = {"f32", "f16", "bf16", "i32"};
  const ModelConfig *c = model_files_config(job->files);
  char shape[160];
  (void)snprintf(shape, sizeof shape, "%zu layers, width %zu, %zu/%zu heads of %zu, ffn %zu, vocabulary %zu",
                 c->layers, c->width, c->heads, c->kv_heads, c->head_dim, c->ffn, c->vocab);
  text(d, "model.path (shape)", shape);
  text(d, "model.dtype", types[job->dtype]);
  text(d, "train.mode", job->train.full ? "full" : "lora");
  if (job->train.full) return;
  number(d, "lora.rank", (double)job->lora.rank);
  number(d, "lora.alpha", (double)job->lora.alpha);
  number(d, "lora.dropout", (double)job->lora.dropout);
  text(d, "lora.targets", job->lora.targets != NULL ? job->lora.targets : "");
}

/// The prompts as the run sees them: tokens, groups, types and sets.
static uint64_t hash_data(const Dataset *dataset) {
  uint64_t sum = HASH_START;
  for (size_t i = 0; i < dataset->count; i++) {
    const Prompt *prompt = &dataset->prompts[i];
    uint64_t where[4] = {prompt->tokens.count, (uint64_t)prompt->group, (uint64_t)prompt->type, prompt->set};
    sum = hash_bytes(sum, where, sizeof where);
    sum = hash_bytes(sum, prompt->tokens.ids, prompt->tokens.count * sizeof *prompt->tokens.ids);
  }
  return sum;
}

static void describe_data(Describe *d, const Trainer *t) {
  const SamplingOptions *s = &t->job->sampling;
  number(d, "data (prompts)", (double)t->job->dataset->count);
  hash(d, "data (contents)", hash_data(t->job->dataset));
  hash(d, "task_weights", hash_bytes(HASH_START, t->weights.bias, sizeof t->weights.bias));
  number(d, "sampling.max_new_tokens", (double)t->sampling.max_new_tokens);
  number(d, "sampling.sample_temp", (double)s->temperature);
  number(d, "sampling.top_p", (double)s->top_p);
  number(d, "sampling.top_k", (double)s->top_k);
  number(d, "sampling.repetition_penalty", (double)s->repetition_penalty);
}

static void describe_loss(Describe *d, const TrainJob *job) {
  const LossOptions *l = &job->loss;
  number(d, "loss.lambda_weight", (double)l->lambda_weight);
  truth(d, "loss.use_l1", l->use_l1);
  text(d, "loss.form", l->form == LOSS_CENTRED ? "centred" : "pairwise");
  number(d, "loss.em_weight", (double)l->em_weight);
  truth(d, "loss.auto_anneal", l->auto_anneal);
  number(d, "loss.anneal_min", (double)l->anneal_min);
  number(d, "loss.anneal_max", (double)l->anneal_max);
  number(d, "loss.temperature", (double)l->entropy_temperature);
  text(d, "loss.pairing", l->pairing == PAIRING_PAIRED ? "paired" : "own");
  truth(d, "loss.unbiased", l->unbiased);
  truth(d, "loss.debias_only", l->debias_only);
  truth(d, "loss.task_weights_em", job->task_weights_em);
}

static void describe_training(Describe *d, const TrainOptions *o) {
  static const char *const schedules[] = {"constant", "linear", "cosine"};
  char seed[32];
  (void)snprintf(seed, sizeof seed, "%" PRIu64, o->seed);
  text(d, "train.seed", seed);
  number(d, "train.effective_batch", (double)o->effective_batch);
  number(d, "train.learning_rate", (double)o->learning_rate);
  number(d, "train.beta1", (double)o->beta1);
  number(d, "train.beta2", (double)o->beta2);
  number(d, "train.epsilon", (double)o->epsilon);
  number(d, "train.weight_decay", (double)o->weight_decay);
  number(d, "train.max_grad_norm", (double)o->max_grad_norm);
  number(d, "train.warmup_steps", (double)o->warmup_steps);
  text(d, "train.schedule", schedules[o->schedule]);
}

cJSON *settings_describe(const Trainer *trainer) {
  Describe d = {.object = cJSON_CreateObject()};
  d.failed = d.object == NULL;
  describe_model(&d, trainer->job);
  describe_data(&d, trainer);
  describe_loss(&d, trainer->job);
  describe_training(&d, &trainer->job->train);
  if (!d.failed) return d.object;
  cJSON_Delete(d.object);
  return NULL;
}

static Status fail_differs(const char *name, const char *key, const cJSON *saved, const cJSON *now) {
  char *was = NULL, *is = NULL;
  Status status = STATUS_OK;
  if (saved != NULL) status = json_print(saved, false, &was);
  if (status == STATUS_OK) status = json_print(now, false, &is);
  if (status == STATUS_OK) {
    status =
        status_fail(STATUS_INPUT,
                    "%s was made with %s = %s, the config has %s: resume with the config it was made with "
                    "(config.ini in that folder), or set another output.run_name",
                    name, key, was != NULL ? was : "nothing", is);
  }
  free(was);
  free(is);
  return status;
}

Status settings_compare(const cJSON *saved, const cJSON *now, const char *name) {
  if (now == NULL) return status_fail(STATUS_FAILED, "out of memory for the settings of the run");
  for (const cJSON *item = now->child; item != NULL; item = item->next) {
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(saved, item->string);
    if (was == NULL || !cJSON_Compare(was, item, true)) return fail_differs(name, item->string, was, item);
  }
  return STATUS_OK;
}
