// Runs on tiny models: the gap shrinks, the numbers do not depend on micro batches, a run repeats itself and
// resumes with the same bits, and failures are reported and leave the last checkpoint intact.
#include "support/train_fixture.h"

#include "io/file.h"
#include "io/json.h"
#include "io/tensors.h"
#include "support/evaluation_double.h"
#include "trainer.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void set_run(TrainFixture *f, const char *run) {
  f->job.output.run_name = run;
}

static double mean_gap(const TrainFixture *f, const char *run, size_t first, size_t count) {
  double sum = 0;
  for (size_t i = first; i < first + count; i++) sum += train_metric(f, run, i, "gap_relative");
  return sum / (double)count;
}

static void test_gap_shrinks(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.max_steps = 24;
  f.job.train.effective_batch = TRAIN_SETS * TRAIN_GROUPS;
  f.job.output.save_steps = 0;
  assert_ok(train_run(&f.job, NULL));
  double before = mean_gap(&f, "run", 0, 4), after = mean_gap(&f, "run", 20, 4);
  if (!(after < 0.5 * before)) fail_msg("relative gap %g before, %g after", before, after);
  train_fixture_close(&f);
}

// ---- micro batches ----

/// The loss and gradient of one step with this micro batch size. The caller frees the gradient.
static double loss_and_gradient(TrainFixture *f, size_t micro, float **gradient, size_t *count) {
  Trainer t = {.job = &f->job};
  f->job.train.micro_batch_size = micro;
  StepReport report;
  assert_ok(trainer_prepare(&t));
  assert_ok(trainer_create(&t));
  ParamSet *params = model_params(t.model);
  train_random_params(params);
  *count = params->values[0].cols;
  float *values = calloc(*count, sizeof *values);
  assert_non_null(values);
  assert_ok(trainer_gradient(&t, &report));
  assert_ok(tensor_read(&params->grads[0], 0, *count, values));
  *gradient = values;
  trainer_free(&t);
  return report.loss.loss;
}

static void check_micro_batches(TrainFixture *f) {
  static const size_t sizes[] = {0, 1, 2, 5, 16, 1000};
  double *reference = NULL, loss = 0;
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    float *gradient = NULL;
    size_t count = 0;
    double other = loss_and_gradient(f, sizes[i], &gradient, &count);
    if (reference == NULL) {
      reference = calloc(count, sizeof *reference);
      assert_non_null(reference);
      for (size_t k = 0; k < count; k++) reference[k] = (double)gradient[k];
      loss = other;
    }
    double error = test_relative_l2(gradient, reference, count);
    if (!(error <= 1e-5)) fail_msg("micro batch %zu: the gradient is off by %g", sizes[i], error);
    if (!(fabs(other - loss) <= 1e-5 * fabs(loss)))
      fail_msg("micro batch %zu: loss %g, not %g", sizes[i], other, loss);
    free(gradient);
  }
  free(reference);
}

static void test_micro_batches_agree(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  check_micro_batches(&f);
  f.job.loss.pairing = PAIRING_OWN;
  f.job.loss.em_weight = 1;
  check_micro_batches(&f);
  f.job.lora.dropout = 0.3f; // measuring must use the dropout of the gradient
  check_micro_batches(&f);
  f.job.train.share_prompts = false;
  f.job.train.activation_checkpointing = true;
  f.job.loss.pairing = PAIRING_PAIRED;
  check_micro_batches(&f);
  train_fixture_close(&f);
}

/// The H that sampling gives (own answers) is the H that a forward pass measures.
static void test_sampled_entropies_are_measured_ones(void **state) {
  (void)state;
  TrainFixture f;
  float *gradients[2] = {NULL};
  size_t count = 0;
  train_fixture_open(&f, "qwen2", fixture_ops());
  f.job.loss.pairing = PAIRING_OWN;
  double sampled = loss_and_gradient(&f, 4, &gradients[0], &count);
  f.job.lora.dropout = 1e-7f; // drops nothing, but forces a measuring forward
  double measured = loss_and_gradient(&f, 4, &gradients[1], &count);
  double *reference = calloc(count, sizeof *reference);
  for (size_t i = 0; i < count; i++) reference[i] = (double)gradients[0][i];
  double error = test_relative_l2(gradients[1], reference, count);
  assert_true(fabs(sampled - measured) <= 1e-5 * fabs(sampled));
  assert_true(error <= 1e-5);
  free(gradients[0]);
  free(gradients[1]);
  free(reference);
  train_fixture_close(&f);
}

// ---- repeating and resuming ----

static void test_runs_repeat(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.lora.dropout = 0.1f;
  f.job.loss.auto_anneal = true;
  assert_ok(train_run(&f.job, NULL));
  set_run(&f, "again");
  assert_ok(train_run(&f.job, NULL));
  train_same_run(&f, "run", &f, "again");
  f.job.train.seed++;
  set_run(&f, "other");
  assert_ok(train_run(&f.job, NULL));
  assert_true(train_metric(&f, "run", 0, "loss") != train_metric(&f, "other", 0, "loss"));
  train_fixture_close(&f);
}

/// A run that the user stopped after step 3 and one that max_steps ended early, both resumed.
static void test_resumed_runs_are_the_same(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.lora.dropout = 0.1f;
  f.job.loss.auto_anneal = true;
  f.job.output.save_initial = true;
  assert_ok(train_run(&f.job, NULL));
  assert_true(file_exists(train_path(&f, "run", "step_0/adapter_model.safetensors")));
  set_run(&f, "stopped");
  atomic_bool stop_now = false;
  EvaluationDouble stopper = evaluation_double("stopper");
  Evaluation *evaluations[] = {&stopper.evaluation};
  stopper.stop = &stop_now;
  stopper.stop_at = 2; // after step 3; its first run is before step 1
  f.job.train.bias_eval_steps = 3;
  f.job.evaluations = evaluations;
  f.job.evaluation_count = 1;
  f.job.stop = &stop_now;
  assert_fails(train_run(&f.job, NULL), STATUS_INTERRUPTED, "step_3: resume with --resume");
  stop_now = false;
  f.job.evaluation_count = 0;
  f.job.resume = true;
  assert_ok(train_run(&f.job, NULL));
  train_same_run(&f, "run", &f, "stopped");
  set_run(&f, "longer");
  f.job.train.max_steps = 3;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "there is no run");
  assert_ok(directory_create(train_path(&f, "longer", "")));
  assert_ok(train_run(&f.job, NULL)); // --resume without a checkpoint starts a run
  f.job.train.max_steps = 6;
  f.job.train.micro_batch_size = 3;
  assert_ok(train_run(&f.job, NULL));
  train_same_run(&f, "run", &f, "longer");
  assert_ok(train_run(&f.job, NULL)); // a finished run does nothing
  train_same_run(&f, "run", &f, "longer");
  train_fixture_close(&f);
}

static void test_other_configs_are_refused(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.max_steps = 2;
  assert_ok(train_run(&f.job, NULL));
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "--resume");
  f.job.resume = true;
  f.settings[0].value = "1";
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "train.learning_rate = 0.002, the config has 1:");
  f.settings[0].value = "0.002";
  f.tokens[3][2]++;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "data (contents)");
  f.tokens[3][2]--;
  f.job.train.micro_batch_size = 1;
  f.job.train.max_steps = 3;
  assert_ok(train_run(&f.job, NULL));
  train_fixture_close(&f);
}

/// A broken checkpoint is skipped, and the one before it is taken.
static void test_broken_checkpoints_are_passed_over(void **state) {
  (void)state;
  TrainFixture f;
  char *found = NULL;
  train_fixture_open(&f, "llama", fixture_ops());
  assert_ok(train_run(&f.job, NULL));
  assert_ok(directory_remove(train_path(&f, "run", "final")));
  assert_ok(file_write_atomic(train_path(&f, "run", "step_6/trainer_state.json"), "{\"ste", 6));
  assert_ok(directory_create(train_path(&f, "run", "step_99" PARTIAL_END)));
  assert_ok(directory_create(train_path(&f, "run", "step_98")));
  char folder[512];
  (void)snprintf(folder, sizeof folder, "%s/run", f.folder);
  assert_ok(checkpoint_find(folder, true, &found));
  assert_non_null(found);
  assert_true(test_contains(found, "step_4"));
  free(found);
  train_fixture_close(&f);
}

/// A checkpoint without its moments, also where they have the name that an earlier version gave them.
static void test_missing_moments_are_refused(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  assert_ok(train_run(&f.job, NULL));
  assert_int_equal(rename(train_path(&f, "run", "final/optimizer.safetensors"),
                          train_path(&f, "run", "final/optimiser.safetensors")),
                   0);
  f.job.resume = true;
  assert_fails(train_check(&f.job), STATUS_INPUT, "final/optimizer.safetensors is missing");
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "final/optimizer.safetensors is missing");
  train_fixture_close(&f);
}

/// A file of a checkpoint that is cut short: which folder is meant, and what to do.
static void test_cut_files_are_refused(void **state) {
  (void)state;
  static const char *const names[] = {"final/optimizer.safetensors", "final/adapter_model.safetensors"};
  for (size_t i = 0; i < 2; i++) {
    TrainFixture f;
    train_fixture_open(&f, "llama", fixture_ops());
    assert_ok(train_run(&f.job, NULL));
    assert_int_equal(truncate(train_path(&f, "run", names[i]), 100), 0);
    f.job.resume = true;
    assert_fails(train_run(&f.job, NULL), STATUS_INPUT, names[i]);
    assert_true(test_contains(status_message(), "delete its folder to resume the one before it"));
    train_fixture_close(&f);
  }
}

// ---- files ----

/// Computes the loss of the first step from samples.jsonl, by the formulas of the method.
static void test_samples_tell_the_loss(void **state) {
  (void)state;
  TrainFixture f;
  TaskWeight factual = {"factual", 0.25};
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.task_weights = &factual;
  f.job.task_weight_count = 1;
  f.job.loss.em_weight = 0.5f;
  f.job.loss.lambda_weight = 3;
  f.job.train.max_steps = 1;
  assert_ok(train_run(&f.job, NULL));
  char *lines = train_lines(&f, "run", "samples.jsonl");
  double sum[2] = {0}, weight[2] = {0}, em = 0, count = 0;
  for (char *line = lines; *line != '\0'; line = strchr(line, '\n') + 1) {
    cJSON *object = NULL;
    assert_ok(json_parse(line, strcspn(line, "\n"), "samples.jsonl", &object));
    const char *group = NULL, *type = NULL;
    double H = 0, w = 0;
    assert_ok(json_get_string(object, "group", "samples", &group));
    assert_ok(json_get_string(object, "type", "samples", &type));
    assert_ok(json_get_number(object, "H", "samples", &H));
    assert_ok(json_get_number(object, "weight", "samples", &w));
    assert_true(fabs(w - (strcmp(type, "factual") == 0 ? 0.25 : 1)) < 1e-9);
    size_t g = strcmp(group, groups_name(f.dataset.groups, 1)) == 0;
    sum[g] += w * H;
    weight[g] += w;
    em += H;
    count++;
    cJSON_Delete(object);
  }
  double gap = sum[0] / weight[0] - sum[1] / weight[1];
  assert_true(fabs(0.5 * em / count + 3 * gap * gap - train_metric(&f, "run", 0, "loss")) <= 1e-9);
  assert_true(fabs(fabs(gap) - train_metric(&f, "run", 0, "entropy_gap")) <= 1e-9);
  assert_int_equal(count, 16);
  free(lines);
  train_fixture_close(&f);
}

/// Prompts without partners: each is a set, and they are drawn by group.
static void test_single_prompts(void **state) {
  (void)state;
  TrainFixture f, planned;
  Ops *plan = NULL;
  assert_ok(ops_create_plan(fixture_device(), &plan));
  train_fixture_open(&f, "qwen2", fixture_ops());
  train_fixture_open(&planned, "qwen2", plan);
  TrainFixture *both[] = {&f, &planned};
  for (size_t i = 0; i < 2; i++) {
    both[i]->dataset.counterfactual = false;
    both[i]->dataset.sets = both[i]->dataset.count;
    for (size_t p = 0; p < f.dataset.count; p++) {
      both[i]->prompts[p].set = p;
      both[i]->set_start[p + 1] = p + 1;
    }
    both[i]->job.loss.pairing = PAIRING_OWN;
    both[i]->job.loss.em_weight = 1;
  }
  assert_ok(train_plan(&planned.job));
  assert_ok(train_run(&f.job, NULL));
  assert_int_equal(train_metric(&f, "run", 0, "sequences"), 8);
  assert_true(train_metric(&f, "run", 5, "H_female") > 0 && train_metric(&f, "run", 5, "H_male") > 0);
  train_fixture_close(&f);
  train_fixture_close(&planned);
  ops_free(plan);
}

/// Full fine-tuning trains, saves and resumes as adapters do.
static void test_full_training(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "qwen2", fixture_ops());
  f.job.train.full = true;
  f.job.train.max_steps = 4;
  assert_ok(train_run(&f.job, NULL));
  assert_true(file_exists(train_path(&f, "run", "final/config.json")));
  set_run(&f, "two");
  f.job.train.max_steps = 2;
  assert_ok(train_run(&f.job, NULL));
  f.job.train.max_steps = 4;
  f.job.resume = true;
  assert_ok(train_run(&f.job, NULL));
  train_same_file(train_path(&f, "run", "final/model.safetensors"),
                  train_path(&f, "two", "final/model.safetensors"));
  train_same_file(train_path(&f, "run", "final/optimizer.safetensors"),
                  train_path(&f, "two", "final/optimizer.safetensors"));
  train_fixture_close(&f);
}

// ---- failures ----

static void test_broken_numbers_stop(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.learning_rate = 1e30f;
  f.job.output.save_initial = true;
  assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "lower train.learning_rate");
  assert_true(test_contains(status_message(), "step 2:"));
  assert_true(test_contains(status_message(), "step_0"));
  TensorFile *file = NULL;
  assert_ok(tensors_open(train_path(&f, "run", "step_0/adapter_model.safetensors"), &file));
  tensors_close(file);
  char *lines = train_lines(&f, "run", "metrics.jsonl");
  assert_null(strstr(lines, "\"step\":2"));
  free(lines);
  train_fixture_close(&f);
}

static void test_wrong_jobs_are_refused(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  TrainJob good = f.job;
  TaskWeight unknown = {"poetry", 1};
  f.job.train.effective_batch = 7;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "train.effective_batch = 7");
  f.job = good;
  f.dataset.counterfactual = false;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "groups.counterfactual");
  f.dataset.counterfactual = true;
  f.job.task_weights = &unknown;
  f.job.task_weight_count = 1;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "poetry");
  f.job = good;
  f.job.train.max_sequence_tokens = 7;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "max_sequence_tokens");
  f.job = good;
  f.job.train.full = true;
  f.job.dtype = DTYPE_BF16;
  assert_fails(train_run(&f.job, NULL), STATUS_INPUT, "model.dtype");
  train_fixture_close(&f);
}

// ---- memory ----

/// A run whose answers all have the full length takes the planned memory, to the byte.
static void test_plan_is_what_is_taken(void **state) {
  (void)state;
  for (int kind = 0; kind < 7; kind++) {
    TrainFixture f, planned;
    Ops *plan = NULL, *ops = NULL;
    assert_ok(ops_create_plan(fixture_device(), &plan));
    assert_ok(ops_create(fixture_device(), "auto", &ops));
    train_fixture_open(&planned, "llama", plan);
    train_fixture_open(&f, "llama", ops);
    TrainJob *jobs[] = {&planned.job, &f.job};
    EvaluationDouble large = evaluation_double("large");
    Evaluation *evaluations[] = {&large.evaluation};
    large.cache_rows = 1000; // more than anything else of its kind
    for (size_t i = 0; i < 2; i++) {
      jobs[i]->train.max_steps = 2;
      jobs[i]->train.effective_batch = TRAIN_SETS * TRAIN_GROUPS;
      jobs[i]->train.full = kind == 1;
      jobs[i]->train.micro_batch_size = kind == 2 || kind == 6 ? 0 : 2;
      jobs[i]->loss.kl_weight = kind >= 5 ? 1 : 0;
      jobs[i]->loss.form = kind >= 5 ? LOSS_SYMMETRIC_KL : LOSS_PAIRWISE;
      jobs[i]->train.activation_checkpointing = kind == 3;
      jobs[i]->lora.dropout = kind == 3 ? 0.1f : 0;
      jobs[i]->sampling.max_new_tokens = 2;
      jobs[i]->train.bias_eval_steps = kind == 4 ? 2 : 0;
      jobs[i]->evaluations = evaluations;
      jobs[i]->evaluation_count = 1;
    }
    assert_ok(train_plan(&planned.job));
    assert_ok(train_run(&f.job, NULL));
    const MemoryUse *expected = ops_memory(plan), *taken = ops_memory(ops);
    assert_int_equal(train_metric(&f, "run", 0, "tokens"), 2 * TRAIN_SETS * TRAIN_GROUPS);
    for (int k = 0; k < MEMORY_KINDS; k++) assert_int_equal(taken->peak[k], expected->peak[k]);
    assert_int_equal(taken->peak_total, expected->peak_total);
    if (kind == 4) assert_true(expected->peak[MEMORY_CACHE] >= 4 * 1000 * 1000);
    assert_int_equal(large.planned, kind == 4);
    assert_int_equal(large.runs, kind == 4 ? 2 : 0); // before the first step and after the last
    train_fixture_close(&f);
    train_fixture_close(&planned);
    ops_free(plan);
    ops_free(ops);
  }
}

static void test_learning_rates(void **state) {
  (void)state;
  TrainOptions o = {.max_steps = 10, .warmup_steps = 2, .learning_rate = 1};
  assert_true(learning_rate_at(&o, 1) == 0.5 && learning_rate_at(&o, 2) == 1 &&
              learning_rate_at(&o, 10) == 1);
  o.schedule = SCHEDULE_LINEAR;
  assert_true(learning_rate_at(&o, 3) == 1 && learning_rate_at(&o, 7) == 0.5 &&
              learning_rate_at(&o, 10) == 0.125);
  o.schedule = SCHEDULE_COSINE;
  assert_true(learning_rate_at(&o, 3) == 1 && fabs(learning_rate_at(&o, 7) - 0.5) < 1e-15);
  o.warmup_steps = 0;
  assert_true(learning_rate_at(&o, 1) == 1 && learning_rate_at(&o, 11) < 1e-15);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_gap_shrinks),
      OPS_TEST(test_micro_batches_agree),
      OPS_TEST(test_sampled_entropies_are_measured_ones),
      OPS_TEST(test_runs_repeat),
      OPS_TEST(test_resumed_runs_are_the_same),
      OPS_TEST(test_other_configs_are_refused),
      OPS_TEST(test_broken_checkpoints_are_passed_over),
      OPS_TEST(test_missing_moments_are_refused),
      OPS_TEST(test_cut_files_are_refused),
      OPS_TEST(test_samples_tell_the_loss),
      OPS_TEST(test_single_prompts),
      OPS_TEST(test_full_training),
      OPS_TEST(test_broken_numbers_stop),
      OPS_TEST(test_wrong_jobs_are_refused),
      OPS_TEST(test_plan_is_what_is_taken),
      OPS_TEST(test_learning_rates),
  };
  return RUN_OPS_TESTS(tests);
}
