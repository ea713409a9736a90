// What decides a run's numbers, by config key, kept with each checkpoint so that a run is not gone on with under another
// config unawares. Rule: a key is here if another value of it would make other numbers (rounding aside) from the start.
#include "trainer.h"

#include "io/json.h"
#include "io/json_write.h"
#include "util/hash.h"
#include <inttypes.h>
#include <stdio.h>

static void hash(JsonWriter *json, const char *key, uint64_t value) {
  char hex[24];
  (void)snprintf(hex, sizeof hex, "%016" PRIx64, value);
  json_string(json, key, hex);
}

static void describe_model(JsonWriter *json, const TrainJob *job) {
  static const char *const types[] = {"f32", "f16", "bf16", "i32"};
  const ModelConfig *c = model_files_config(job->files);
  char shape[160];
  (void)snprintf(shape, sizeof shape, "%zu layers, width %zu, %zu/%zu heads of %zu, ffn %zu, vocabulary %zu",
                 c->layers, c->width, c->heads, c->kv_heads, c->head_dim, c->ffn, c->vocab);
  json_string(json, "model.path (shape)", shape);
  json_string(json, "model.dtype", types[job->dtype]);
  json_string(json, "train.mode", job->train.full ? "full" : "lora");
  if (job->train.full) return;
  json_number(json, "lora.rank", (double)job->lora.rank);
  json_number(json, "lora.alpha", (double)job->lora.alpha);
  json_number(json, "lora.dropout", (double)job->lora.dropout);
  json_string(json, "lora.targets", job->lora.targets != NULL ? job->lora.targets : "");
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

static void describe_data(JsonWriter *json, const Trainer *t) {
  const SamplingOptions *s = &t->job->sampling;
  json_number(json, "data (prompts)", (double)t->job->dataset->count);
  hash(json, "data (contents)", hash_data(t->job->dataset));
  hash(json, "task_weights", hash_bytes(HASH_START, t->weights.bias, sizeof t->weights.bias));
  json_number(json, "sampling.max_new_tokens", (double)t->sampling.max_new_tokens);
  json_number(json, "sampling.sample_temp", (double)s->temperature);
  json_number(json, "sampling.top_p", (double)s->top_p);
  json_number(json, "sampling.top_k", (double)s->top_k);
  json_number(json, "sampling.repetition_penalty", (double)s->repetition_penalty);
}

static void describe_loss(JsonWriter *json, const TrainJob *job) {
  const LossOptions *l = &job->loss;
  json_number(json, "loss.lambda_weight", (double)l->lambda_weight);
  json_bool(json, "loss.use_l1", l->use_l1);
  json_string(json, "loss.form", l->form == LOSS_CENTRED ? "centred" : "pairwise");
  json_number(json, "loss.em_weight", (double)l->em_weight);
  json_bool(json, "loss.auto_anneal", l->auto_anneal);
  json_number(json, "loss.anneal_min", (double)l->anneal_min);
  json_number(json, "loss.anneal_max", (double)l->anneal_max);
  json_number(json, "loss.temperature", (double)l->entropy_temperature);
  json_string(json, "loss.pairing", l->pairing == PAIRING_PAIRED ? "paired" : "own");
  json_bool(json, "loss.unbiased", l->unbiased);
  json_bool(json, "loss.debias_only", l->debias_only);
  json_bool(json, "loss.task_weights_em", job->task_weights_em);
}

static void describe_training(JsonWriter *json, const TrainOptions *o) {
  static const char *const schedules[] = {"constant", "linear", "cosine"};
  char seed[32];
  (void)snprintf(seed, sizeof seed, "%" PRIu64, o->seed);
  json_string(json, "train.seed", seed);
  json_number(json, "train.effective_batch", (double)o->effective_batch);
  json_number(json, "train.learning_rate", (double)o->learning_rate);
  json_number(json, "train.beta1", (double)o->beta1);
  json_number(json, "train.beta2", (double)o->beta2);
  json_number(json, "train.epsilon", (double)o->epsilon);
  json_number(json, "train.weight_decay", (double)o->weight_decay);
  json_number(json, "train.max_grad_norm", (double)o->max_grad_norm);
  json_number(json, "train.warmup_steps", (double)o->warmup_steps);
  json_string(json, "train.schedule", schedules[o->schedule]);
}

void settings_write(const Trainer *trainer, JsonWriter *json) {
  json_object_begin(json, "settings");
  describe_model(json, trainer->job);
  describe_data(json, trainer);
  describe_loss(json, trainer->job);
  describe_training(json, &trainer->job->train);
  json_object_end(json);
}

/// *out = {"settings": {…}} as a checkpoint of this run would have it, read back.
static Status settings_now(const Trainer *trainer, cJSON **out) {
  JsonWriter json = {0};
  Str text = {0};
  json_object_begin(&json, NULL);
  settings_write(trainer, &json);
  json_object_end(&json);
  TRY(json_finish(&json, "the run's settings", &text));
  Status status = json_parse(text.data, text.size, "the run's settings", out);
  str_free(&text);
  return status;
}

/// *out = the value as JSON, "nothing" where there is none.
static Status value_text(const cJSON *value, Str *out) {
  JsonWriter json = {0};
  if (value == NULL) return str_append_text(out, "nothing");
  json_value(&json, NULL, value);
  return json_finish(&json, "a setting", out);
}

static Status fail_differs(const char *name, const char *key, const cJSON *saved, const cJSON *now) {
  Str was = {0}, is = {0};
  Status status = value_text(saved, &was);
  if (status == STATUS_OK) status = value_text(now, &is);
  if (status == STATUS_OK) {
    status =
        status_fail(STATUS_INPUT,
                    "%s was made with %s = %s, the config has %s: resume with the config it was made with "
                    "(config.ini in that folder), or set another output.run_name",
                    name, key, str_text(&was), str_text(&is));
  }
  str_free(&was);
  str_free(&is);
  return status;
}

Status settings_compare(const Trainer *trainer, const cJSON *saved, const char *name) {
  cJSON *now = NULL;
  TRY(settings_now(trainer, &now));
  const cJSON *item, *settings = now->child;
  Status status = STATUS_OK;
  cJSON_ArrayForEach(item, settings) {
    const cJSON *was = cJSON_GetObjectItemCaseSensitive(saved, item->string);
    if (was != NULL && cJSON_Compare(was, item, true)) continue;
    status = fail_differs(name, item->string, was, item);
    break;
  }
  cJSON_Delete(now);
  return status;
}
