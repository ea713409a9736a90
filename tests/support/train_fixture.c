// Training jobs on tiny models. Rule: prompts are token ids from a fixed seed, so every run of a job is the
// same.
#include "support/train_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "support/model_fixture.h"
#include "util/rng.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// The prompts of a set have the same length and differ in one token, as if in a pronoun.
static void make_prompt(TrainFixture *f, size_t set, size_t group) {
  size_t index = set * TRAIN_GROUPS + group, count = 4 + set % 4;
  int32_t *ids = f->tokens[index];
  for (size_t i = 0; i < count; i++)
    ids[i] = 6 + (int32_t)rng_below(60, 99, RNG_DATA, (uint32_t)set, (uint32_t)i, 0);
  ids[1] = group == 0 ? 10 : 20;
  f->prompts[index] = (Prompt){.tokens = {.ids = ids, .count = count},
                               .group = (int)group,
                               .type = (int)(set % 2),
                               .set = set,
                               .source = set,
                               .distinct = index,
                               .alike = index};
}

static void make_dataset(TrainFixture *f) {
  for (size_t set = 0; set < TRAIN_SETS; set++) {
    for (size_t group = 0; group < TRAIN_GROUPS; group++) make_prompt(f, set, group);
    f->set_start[set + 1] = (set + 1) * TRAIN_GROUPS;
  }
  f->dataset = (Dataset){.prompts = f->prompts,
                         .count = TRAIN_SETS * TRAIN_GROUPS,
                         .sets = TRAIN_SETS,
                         .set_start = f->set_start,
                         .counterfactual = true,
                         .types = {"open", "factual"},
                         .type_count = 2};
  assert_ok(groups_load("gender", &f->dataset.groups));
  assert_int_equal(groups_count(f->dataset.groups), TRAIN_GROUPS);
}

void train_fixture_open(TrainFixture *f, const char *model, Ops *ops) {
  *f = (TrainFixture){0};
  (void)snprintf(f->folder, sizeof f->folder, "%s", test_folder());
  make_dataset(f);
  assert_ok(model_files_open(golden_path(model), &f->files));
  assert_ok(identity_of(f->files, NULL, &f->identity));
  f->job = (TrainJob){
      .ops = ops,
      .files = f->files,
      .identity = &f->identity,
      .dtype = DTYPE_F32,
      .lora = {.rank = 4, .alpha = 8, .targets = "all"},
      .dataset = &f->dataset,
      .sampling = {.max_new_tokens = 6, .temperature = 1, .top_p = 0.95f, .repetition_penalty = 1.15f},
      .loss = {.lambda_weight = 100, .entropy_temperature = 1, .pairing = PAIRING_PAIRED, .anneal_max = 10},
      .train = {.max_steps = 6,
                .effective_batch = 8,
                .micro_batch_size = 3,
                .learning_rate = 2e-3f,
                .beta1 = 0.9f,
                .beta2 = 0.999f,
                .epsilon = 1e-8f,
                .weight_decay = 0.01f,
                .max_grad_norm = 1,
                .head_tile_rows = 16,
                .max_sequence_tokens = 64,
                .share_prompts = true,
                .log_steps = 1,
                .seed = 15},
      .output = {.save_root = f->folder, .run_name = "run", .save_steps = 2},
      .track_samples = true,
      .config_text = "[train]\n",
      .settings = f->settings,
      .setting_count = 1};
  f->settings[0] = (Setting){"train.learning_rate", "0.002", SETTING_DECIDES};
}

void train_fixture_close(TrainFixture *f) {
  model_files_close(f->files);
  groups_free(f->dataset.groups);
}

void train_random_params(ParamSet *params) {
  size_t count = params->values[0].cols;
  float *values = calloc(count, sizeof *values);
  assert_non_null(values);
  for (size_t i = 0; i < params->count; i++) {
    test_random(values + params->specs[i].offset, params->specs[i].rows * params->specs[i].cols, 7 + i);
  }
  for (size_t i = 0; i < count; i++) values[i] *= 0.1f;
  assert_ok(tensor_write(&params->values[0], 0, count, values));
  free(values);
}

const char *train_path(const TrainFixture *f, const char *run, const char *name) {
  static char paths[4][640];
  static size_t next;
  char *path = paths[next++ % 4];
  (void)snprintf(path, sizeof paths[0], "%s/%s/%s", f->folder, run, name);
  return path;
}

static bool is_time(const char *key) {
  return str_starts(key, "seconds_");
}

static void append_line(const char *text, size_t size, const char *path, Str *out) {
  cJSON *object = NULL;
  char *line = NULL;
  assert_ok(json_parse(text, size, path, &object));
  for (cJSON *item = object->child, *next = NULL; item != NULL; item = next) {
    next = item->next;
    if (is_time(item->string)) cJSON_Delete(cJSON_DetachItemViaPointer(object, item));
  }
  line = cJSON_PrintUnformatted(object);
  assert_non_null(line);
  assert_ok(str_append_format(out, "%s\n", line));
  free(line);
  cJSON_Delete(object);
}

char *train_lines(const TrainFixture *f, const char *run, const char *name) {
  MappedFile file = {0};
  Str out = {0};
  const char *path = train_path(f, run, name);
  assert_ok(file_map(path, &file));
  const char *line = (const char *)file.bytes, *end = line + file.size;
  while (line < end) {
    const char *newline = memchr(line, '\n', (size_t)(end - line));
    assert_non_null(newline); // no half line
    append_line(line, (size_t)(newline - line), path, &out);
    line = newline + 1;
  }
  file_unmap(&file);
  assert_non_null(out.data);
  return out.data;
}

double train_metric(const TrainFixture *f, const char *run, size_t index, const char *key) {
  char *lines = train_lines(f, run, "metrics.jsonl"), *line = lines;
  for (size_t i = 0; i < index; i++) {
    line = strchr(line, '\n');
    assert_non_null(line);
    line++;
  }
  cJSON *object = NULL;
  assert_ok(json_parse(line, strcspn(line, "\n"), "metrics.jsonl", &object));
  const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
  if (item == NULL) fail_msg("metrics line %zu has no %s", index, key);
  double value = cJSON_IsNumber(item) ? item->valuedouble : NAN;
  cJSON_Delete(object);
  free(lines);
  return value;
}

void train_same_file(const char *a, const char *b) {
  MappedFile x = {0}, y = {0};
  assert_ok(file_map(a, &x));
  assert_ok(file_map(b, &y));
  if (x.size != y.size || memcmp(x.bytes, y.bytes, x.size) != 0) fail_msg("%s and %s differ", a, b);
  file_unmap(&x);
  file_unmap(&y);
}

void train_same_run(const TrainFixture *a, const char *run_a, const TrainFixture *b, const char *run_b) {
  static const char *const lines[] = {"metrics.jsonl", "samples.jsonl"};
  static const char *const files[] = {"final/adapter_model.safetensors", "final/optimizer.safetensors",
                                      "final/trainer_state.json"};
  for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
    char *x = train_lines(a, run_a, lines[i]), *y = train_lines(b, run_b, lines[i]);
    if (strcmp(x, y) != 0) fail_msg("%s of %s and of %s differ:\n%s\n%s", lines[i], run_a, run_b, x, y);
    free(x);
    free(y);
  }
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    train_same_file(train_path(a, run_a, files[i]), train_path(b, run_b, files[i]));
  }
}
