// Memory runs out while a run is set up, takes a step, saves a checkpoint or resumes: the run ends with a
// clear message, and every file on the disk is whole.
#include "support/alloc_faults.h"
#include "support/train_fixture.h"
// (test.h includes what cmocka needs)
#include "eval/gap.h"
#include "eval/given_loss.h"
#include "io/file.h"
#include "trainer.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Run {
  TrainFixture fixture;
  Trainer trainer;
  uint64_t held; // bytes on the device before the operation
} Run;

static Run run;

static void open_run(bool full) {
  train_fixture_open(&run.fixture, "llama", fixture_ops());
  TrainJob *job = &run.fixture.job;
  job->train.full = full;
  job->train.max_steps = 2;
  job->train.effective_batch = 4;
  job->sampling.max_new_tokens = 3;
  job->lora.targets = "q_proj";
  job->output.save_steps = 1;
  run.trainer = (Trainer){.job = job, .saved_step = SIZE_MAX};
}

/// Creates everything a run has before its first step.
static Status create_run(Trainer *t) {
  TRY(trainer_prepare(t));
  TRY(settings_collect(t->job, t->sampling.max_new_tokens, t->weights.bias, &t->settings));
  return trainer_create(t);
}

static void start_run(void) {
  assert_ok(path_join(&run.trainer.folder, run.fixture.folder, "run"));
  assert_ok(directory_create(run.trainer.folder));
  assert_ok(create_run(&run.trainer));
  assert_ok(report_open(&run.trainer.report, run.trainer.job, run.trainer.folder, 0, false));
}

static void close_run(void) {
  trainer_free(&run.trainer);
  train_fixture_close(&run.fixture);
}

static void check_device(void *user, bool failed, FaultMode mode) {
  uint64_t held = ops_memory(fixture_ops())->now_total;
  (void)user;
  (void)failed;
  (void)mode;
  if (held != run.held) {
    fail_msg("%llu bytes on the device, not %llu", (unsigned long long)held, (unsigned long long)run.held);
  }
}

static void sweep(const char *name, Status (*operation)(void *), void (*check)(void *, bool, FaultMode)) {
  run.held = ops_memory(fixture_ops())->now_total;
  FaultSweep all = {.name = name, .run = operation, .check = check};
  faults_sweep(&all);
}

// ---- setting up ----

static Status create(void *user) {
  (void)user;
  Trainer trainer = {.job = &run.fixture.job};
  Status status = create_run(&trainer);
  trainer_free(&trainer);
  return status;
}

static void sets_up(void **state) {
  (void)state;
  open_run(false);
  sweep("setting up LoRA", create, check_device);
  run.fixture.job.train.full = true;
  sweep("setting up full training", create, check_device);
  train_fixture_close(&run.fixture);
}

// ---- a step ----

static int32_t given_ids[2][6] = {{3, 17, 42, 8, 44, 2}, {3, 17, 42, 9, 12, 30}};
static bool given_scored[2][3] = {{true, true, true}, {true, false, true}};
static Example given_rows[2] = {
    {.tokens = {given_ids[0], 6, 6}, .prompt = 3, .scored = given_scored[0], .answered = 3},
    {.tokens = {given_ids[1], 6, 6}, .prompt = 3, .scored = given_scored[1], .answered = 2}};
static const Examples given = {.list = given_rows, .count = 2};

/// Repeats the first step on given answers.
static Status given_step(void *user) {
  StepReport report;
  Trainer *t = &run.trainer;
  (void)user;
  t->state = (TrainState){.judged = -1};
  TRY(t->objective->gradient(t, &report));
  TRY(optimizer_step(&t->optimizer, model_params(t->model), &t->job->train, 1, &report.grad_norm));
  return t->objective->advance(t, &report);
}

static Status measure_given(void *user) {
  Evaluation *evaluation = NULL;
  MetricList metrics = {0};
  Status status = STATUS_OK;
  (void)user;
  TRY(given_loss_create("loss_eval", &given, &(GivenLossOptions){0}, &evaluation));
  TRY_CLEAN(evaluation_run(evaluation, &(EvaluationRun){.model = run.trainer.model}, &metrics));
cleanup:
  metrics_free(&metrics);
  evaluation_free(evaluation);
  return status;
}

/// Repeats the first step; frees what it keeps for the next one.
static Status step(void *user) {
  StepReport report;
  Trainer *t = &run.trainer;
  (void)user;
  t->state = (TrainState){.judged = -1};
  Status status = trainer_gradient(t, &report);
  if (status == STATUS_OK)
    status = optimizer_step(&t->optimizer, model_params(t->model), &t->job->train, 1, &report.grad_norm);
  if (status == STATUS_OK) status = report_step(&t->report, &report, &t->batch);
  for (size_t i = 0; i < t->batch.shape.count; i++) answer_free(&t->batch.answers[i]);
  return status;
}

/// No partial line, whichever call failed.
static void check_lines(void *user, bool failed, FaultMode mode) {
  free(train_lines(&run.fixture, "run", "samples.jsonl"));
  free(train_lines(&run.fixture, "run", "metrics.jsonl"));
  check_device(user, failed, mode);
}

static void check_given_lines(void *user, bool failed, FaultMode mode) {
  free(train_lines(&run.fixture, "run", "metrics.jsonl"));
  check_device(user, failed, mode);
}

static void takes_steps_on_given_answers(void **state) {
  (void)state;
  open_run(false);
  run.fixture.job.dataset = NULL;
  run.fixture.job.examples = &given;
  run.fixture.job.track_samples = false;
  start_run();
  assert_ok(given_step(NULL));
  sweep("a step on given answers", given_step, check_given_lines);
  assert_ok(measure_given(NULL));
  sweep("the loss of given answers", measure_given, check_device);
  close_run();
}

static void takes_steps(void **state) {
  (void)state;
  static const char *const names[] = {"a training step", "a training step with dropout",
                                      "a training step with divergences"};
  for (size_t i = 0; i < 3; i++) {
    open_run(false);
    run.fixture.job.lora.dropout = i == 1 ? 0.1f : 0;
    run.fixture.job.loss.kl_weight = i == 2 ? 1 : 0;
    run.fixture.job.loss.form = i == 2 ? LOSS_SYMMETRIC_KL : LOSS_PAIRWISE;
    start_run();
    assert_ok(step(NULL)); // passes keep the work space that their first use takes
    sweep(names[i], step, check_lines);
    close_run();
  }
}

// ---- checkpoints ----

static Status save(void *user) {
  Trainer *t = &run.trainer;
  Checkpoint checkpoint = {.model = t->model,
                           .optimizer = &t->optimizer,
                           .state = &t->state,
                           .settings = &t->settings,
                           .config_text = t->job->config_text};
  char *path = NULL;
  (void)user;
  Status status = checkpoint_save(&checkpoint, t->folder, "step_1", &path);
  free(path);
  return status;
}

static Status resume(void *user) {
  Trainer *t = &run.trainer;
  TrainState state = {0};
  char *path = NULL;
  (void)user;
  Status status = checkpoint_find(t->folder, true, &path);
  if (status == STATUS_OK && path == NULL) status = status_fail(STATUS_INPUT, "there is no checkpoint");
  if (status == STATUS_OK) status = checkpoint_read(path, &t->settings, &state);
  if (status == STATUS_OK) status = checkpoint_load(path, &t->settings, t->model, &t->optimizer);
  free(path);
  return status;
}

/// step_1 is whole or missing, and a leftover step_1.partial does no harm.
static void check_fresh(void *user, bool failed, FaultMode mode) {
  const char *path = train_path(&run.fixture, "run", "step_1");
  const char *partial = train_path(&run.fixture, "run", "step_1" PARTIAL_END);
  if (mode == FAULT_ONCE || !failed) assert_false(file_exists(partial));
  if (!failed || file_exists(path)) assert_ok(resume(user));
  assert_ok(directory_remove(path));
  check_device(user, failed, mode);
}

/// step_1 is the old checkpoint or the new one.
static void check_old(void *user, bool failed, FaultMode mode) {
  if (mode == FAULT_ONCE || !failed)
    assert_false(file_exists(train_path(&run.fixture, "run", "step_1" PARTIAL_END)));
  assert_ok(resume(user));
}

static void save_and_resume(bool full) {
  open_run(full);
  start_run();
  sweep("saving a checkpoint", save, check_fresh);
  assert_ok(save(NULL));
  sweep("saving a checkpoint over an older one", save, check_old);
  sweep("resuming", resume, check_device);
  close_run();
}

static void saves_and_resumes_lora(void **state) {
  (void)state;
  save_and_resume(false);
}

static void saves_and_resumes_full_training(void **state) {
  (void)state;
  save_and_resume(true);
}

// ---- a run ----

static const GapOptions gap_options = {
    .sampling = {.max_new_tokens = 2, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
    .entropy_tau = 1,
    .answers = 1,
    .seed = 15};

/// With an evaluation of its own: one keeps what it measured last, which would count as memory lost.
static Status train(void *user) {
  (void)user;
  TrainJob *job = &run.fixture.job;
  Dataset measured = run.fixture.dataset;
  Evaluation *gap = NULL;
  Status status = STATUS_OK;
  measured.sets = 2;
  TRY_CLEAN(gap_evaluation_create("gap", &measured, &gap_options, &gap));
  job->evaluations = &gap;
  job->evaluation_count = 1;
  TRY_CLEAN(train_run(job, NULL));
cleanup:
  evaluation_free(gap);
  job->evaluations = NULL;
  job->evaluation_count = 0;
  return status;
}

static bool is_partial(const char *name) {
  return str_ends(name, ".partial") || str_ends(name, PARTIAL_END) || str_ends(name, OLD_END);
}

/// Nothing that is half there lies in the run's folder, at least where memory came back.
static void check_names(FaultMode mode) {
  const char *folder = train_path(&run.fixture, "run", "");
  char **names = NULL;
  size_t count = 0;
  if (mode == FAULT_FROM || !file_exists(folder)) return;
  assert_ok(directory_list(folder, &names, &count));
  for (size_t i = 0; i < count; i++) assert_false(is_partial(names[i]));
  directory_free_list(names);
}

/// final is whole or not there.
static void check_run(void *user, bool failed, FaultMode mode) {
  const char *state = train_path(&run.fixture, "run", "final/trainer_state.json");
  assert_true(failed || file_exists(state));
  if (file_exists(train_path(&run.fixture, "run", "final"))) assert_true(file_exists(state));
  check_names(mode);
  assert_ok(directory_remove(train_path(&run.fixture, "run", "")));
  check_device(user, failed, mode);
}

/// All of the finished run is still there.
static void check_finished_run(void *user, bool failed, FaultMode mode) {
  char *lines = train_lines(&run.fixture, "run", "metrics.jsonl");
  assert_ptr_equal(strchr(lines, '\n'), lines + strlen(lines) - 1); // one line
  free(lines);
  assert_true(file_exists(train_path(&run.fixture, "run", "final/trainer_state.json")));
  check_names(mode);
  check_device(user, failed, mode);
}

/// One step with the gap measured after it, and the same once more, resumed where nothing is left to do.
static void runs_and_resumes(void **state) {
  (void)state;
  open_run(false);
  TrainJob *job = &run.fixture.job;
  job->train.bias_eval_steps = job->train.max_steps = 1;
  job->output.save_steps = 0;
  sweep("a run", train, check_run);
  assert_ok(train(NULL));
  job->resume = true;
  sweep("a finished run resumed", train, check_finished_run);
  train_fixture_close(&run.fixture);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(sets_up),
      OPS_TEST(takes_steps),
      OPS_TEST(takes_steps_on_given_answers),
      OPS_TEST(saves_and_resumes_lora),
      OPS_TEST(saves_and_resumes_full_training),
      OPS_TEST(runs_and_resumes),
  };
  return RUN_OPS_TESTS(tests);
}
