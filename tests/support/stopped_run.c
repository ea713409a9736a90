// Stopped runs. Rule: the copy of a run is what a kill between steps 2 and 3 would have left.
#include "support/stopped_run.h"

#include "io/file.h"
#include "support/tiny_model.h"
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

static const char *root_or_runs(const char *root) {
  return root != NULL ? root : in_folder(folder, "runs");
}

static const char *run_file(const char *root, const char *name, const char *file) {
  char path[256];
  (void)snprintf(path, sizeof path, "%s/%s", name, file);
  return in_folder(root_or_runs(root), path);
}

static void write_config(void) {
  char text[2048];
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s/model\n[data]\nuse_test_data = true\nheld_out = 0.5\neval_sets = 4\n"
      "[sampling]\nmax_new_tokens = 5\nsample_temp = 1.0\n[loss]\npairing = paired\nlambda_weight = 100\n"
      "[train]\nmax_steps = %d\neffective_batch = 4\nlearning_rate = 1e-2\n"
      "[output]\nsave_root = %s/runs\nsave_steps = %d\n[track]\nsamples = true\n",
      folder, STOPPED_STEPS, folder, STOPPED_AFTER);
  write_text(in_folder(folder, "run.ini"), text);
}

const char *stopped_open(void) {
  folder = test_folder();
  assert_non_null(folder);
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_config();
  if (GEE("selftest").code == 0) return folder;
  (void)fprintf(stderr, "skipped: there is no OpenCL device here\n");
  exit(TEST_SKIPPED);
}

Ran stopped_train(const char *root, const char *name, const char *const *sets, const char *const *words) {
  const char *all[2 * STOPPED_MAX_SETS + 8] = {"train", in_folder(folder, "run.ini")};
  char texts[STOPPED_MAX_SETS + 2][512];
  size_t count = 2, made = 0;
  for (size_t i = 0; sets != NULL && sets[i] != NULL; i++) {
    assert_true(i < STOPPED_MAX_SETS);
    (void)snprintf(texts[made], sizeof texts[0], "--set=%s", sets[i]);
    all[count++] = texts[made++];
  }
  (void)snprintf(texts[made], sizeof texts[0], "--set=output.save_root=%s", root_or_runs(root));
  all[count++] = texts[made++];
  (void)snprintf(texts[made], sizeof texts[0], "--set=output.run_name=%s", name);
  all[count++] = texts[made++];
  for (size_t i = 0; words != NULL && words[i] != NULL; i++) all[count++] = words[i];
  return run_words(all);
}

void stopped_make(const char *run, const char *const *sets) {
  assert_code(stopped_train(NULL, run, sets, NULL), 0);
}

// ---- copies ----

static void copy_file(const char *from, const char *to) {
  size_t size = 0;
  char *bytes = read_file(from, &size);
  write_file(to, bytes, size);
  free(bytes);
}

void stopped_copy(const char *run, const char *root, const char *name) {
  static const char *const lines[] = {"metrics.jsonl", "samples.jsonl"};
  char **names = NULL;
  size_t count = 0;
  const char *from = run_file(NULL, run, "step_2"), *to = run_file(root, name, "step_2");
  assert_ok(directory_create(to));
  assert_ok(directory_list(from, &names, &count));
  for (size_t i = 0; i < count; i++) copy_file(in_folder(from, names[i]), in_folder(to, names[i]));
  directory_free_list(names);
  for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) // with the steps that came after the checkpoint
    if (file_exists(run_file(NULL, run, lines[i])))
      copy_file(run_file(NULL, run, lines[i]), run_file(root, name, lines[i]));
}

// ---- what a run left ----

static cJSON *read_metrics(const char *root, const char *name, size_t step) {
  char *text = read_file(run_file(root, name, "metrics.jsonl"), NULL), *at = NULL;
  cJSON *found = NULL;
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at)) {
    cJSON *object = cJSON_Parse(line);
    assert_non_null(object);
    if (cJSON_GetObjectItem(object, "step")->valuedouble == (double)step) {
      assert_null(found); // one line a step
      found = object;
    } else {
      cJSON_Delete(object);
    }
  }
  free(text);
  return found;
}

bool stopped_has_metric(const char *root, const char *name, size_t step, const char *key) {
  cJSON *object = read_metrics(root, name, step);
  bool has = cJSON_HasObjectItem(object, key);
  cJSON_Delete(object);
  return has;
}

double stopped_metric(const char *root, const char *name, size_t step, const char *key) {
  cJSON *object = read_metrics(root, name, step);
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, key);
  if (!cJSON_IsNumber(value)) fail_msg("%s: step %zu has no number \"%s\"", name, step, key);
  double number = value->valuedouble;
  cJSON_Delete(object);
  return number;
}

static void assert_same_metrics(const cJSON *a, const cJSON *b, const char *name, size_t step) {
  for (const cJSON *item = a->child; item != NULL; item = item->next) {
    if (strncmp(item->string, "seconds_", 8) == 0) continue;
    if (!cJSON_Compare(item, cJSON_GetObjectItemCaseSensitive(b, item->string), true))
      fail_msg("%s: step %zu has another %s", name, step, item->string);
  }
}

void stopped_assert_same(const char *root_a, const char *a, const char *root_b, const char *b) {
  for (size_t step = 1;; step++) {
    cJSON *x = read_metrics(root_a, a, step), *y = read_metrics(root_b, b, step);
    if ((x == NULL) != (y == NULL)) fail_msg("only one of %s and %s has step %zu", a, b, step);
    if (x == NULL) {
      assert_true(step > STOPPED_AFTER + 1);
      break;
    }
    assert_same_metrics(x, y, b, step);
    assert_same_metrics(y, x, b, step);
    cJSON_Delete(x);
    cJSON_Delete(y);
  }
  static const char *const files[] = {"final/adapter_model.safetensors", "final/model.safetensors",
                                      "final/optimizer.safetensors"};
  for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
    if (!file_exists(run_file(root_a, a, files[i]))) continue; // an adapter or a whole model
    assert_same_file(run_file(root_a, a, files[i]), run_file(root_b, b, files[i]));
  }
}
