// A step's batch in parts, as several processes will share it. Each part draws the same prompts, answers and
// dropout as in the whole batch, and the gradients of the parts add up to the gradient of the whole.
#include "support/train_fixture.h"

#include "trainer.h"
#include <stdlib.h>

/// The whole batch after its gradient was computed.
typedef struct Whole {
  Trainer trainer;
  float *gradient; // [count]
  size_t count;
} Whole;

static void read_gradient(Trainer *t, float *out, size_t count) {
  assert_ok(tensor_read(&model_params(t->model)->grads[0], 0, count, out));
}

static void whole_open(const TrainFixture *f, Whole *whole) {
  *whole = (Whole){.trainer = {.job = &f->job}};
  StepReport report;
  assert_ok(trainer_prepare(&whole->trainer));
  assert_ok(trainer_create(&whole->trainer));
  train_random_params(model_params(whole->trainer.model));
  assert_ok(trainer_gradient(&whole->trainer, &report));
  whole->count = model_params(whole->trainer.model)->grads[0].cols;
  whole->gradient = calloc(whole->count, sizeof *whole->gradient);
  assert_non_null(whole->gradient);
  read_gradient(&whole->trainer, whole->gradient, whole->count);
}

static void whole_close(Whole *whole) {
  free(whole->gradient);
  trainer_free(&whole->trainer);
}

/// The index of a part's sequence in the whole batch.
static size_t find_sequence(const StepBatch *whole, const StepBatch *part, const Sequence *sequence) {
  size_t first = part->shape.first;
  for (size_t s = 0; s < whole->sequence_count; s++) {
    const Sequence *candidate = &whole->sequences[s];
    if (candidate->answer == first + sequence->answer && candidate->under == first + sequence->under)
      return s;
  }
  fail_msg("answer %zu of the part from %zu is not in the whole batch", sequence->answer, first);
  return 0;
}

static void check_answers(const StepBatch *whole, const StepBatch *part) {
  for (size_t i = 0; i < part->shape.count; i++) {
    const Answer *expected = &whole->answers[part->shape.first + i], *answer = &part->answers[i];
    assert_int_equal(part->drawn[i], whole->drawn[part->shape.first + i]);
    assert_int_equal(answer->count, expected->count);
    assert_memory_equal(answer->tokens, expected->tokens, answer->count * sizeof *answer->tokens);
  }
}

static StepPasses passes_of(const Trainer *t) {
  const TrainJob *job = t->job;
  return (StepPasses){t->sampling_pass,
                      t->training_pass,
                      job->loss.entropy_temperature,
                      {job->lora.dropout > 0, job->train.seed, 1},
                      trainer_divergences(job)};
}

/// Computes only answers [first, first + count) and adds their gradient to `sum`.
static void add_part(Whole *whole, size_t first, size_t count, double *sum) {
  Trainer *t = &whole->trainer;
  const TrainJob *job = t->job;
  StepPasses passes = passes_of(t);
  StepShape shape = t->batch.shape;
  shape.first = first;
  shape.count = count;
  StepBatch part = {0};
  SamplerState state = {0};
  assert_ok(step_batch_create(&shape, &part));
  assert_ok(step_batch_draw(&part, job->train.seed, &state));
  assert_int_equal(state.cursor, t->state.data.cursor); // past the whole batch
  GenerateJob sampling = step_batch_sampling(&part, &t->sampling, passes.tau, job->train.seed, 1);
  assert_ok(generate(passes.sampling, &sampling, part.answers));
  check_answers(&t->batch, &part);
  step_batch_arrange(&part);
  assert_ok(measure_entropies(&passes, &sampling, &part));
  step_batch_list_samples(&part, &t->weights);
  part.kl_slope = t->batch.kl_slope; // the loss is over the whole batch
  part.partner_slope = t->batch.partner_slope;
  for (size_t s = 0; s < part.sequence_count; s++) {
    size_t index = find_sequence(&t->batch, &part, &part.sequences[s]);
    assert_true(part.samples[s].H == t->batch.samples[index].H);
    assert_int_equal(part.samples[s].unit, t->batch.samples[index].unit);
    part.dH[s] = t->batch.dH[index];
  }
  float *gradient = calloc(whole->count, sizeof *gradient);
  assert_non_null(gradient);
  assert_ok(compute_gradient(&passes, &part, model_params(t->model)));
  read_gradient(t, gradient, whole->count);
  for (size_t i = 0; i < whole->count; i++) sum[i] += (double)gradient[i];
  free(gradient);
  step_batch_free(&part);
}

static void check_parts(const TrainFixture *f) {
  Whole whole;
  whole_open(f, &whole);
  double *sum = calloc(whole.count, sizeof *sum);
  assert_non_null(sum);
  add_part(&whole, 0, 2, sum);
  add_part(&whole, 2, 6, sum);
  double error = test_relative_l2(whole.gradient, sum, whole.count);
  if (!(error <= 1e-5)) fail_msg("the sum of the parts' gradients is off by %g", error);
  free(sum);
  whole_close(&whole);
}

static void test_parts_make_the_whole(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  check_parts(&f);
  f.job.lora.dropout = 0.3f;
  check_parts(&f);
  f.job.loss.kl_weight = 2;
  f.job.loss.form = LOSS_SYMMETRIC_KL;
  check_parts(&f);
  f.job.lora.dropout = 0;
  check_parts(&f);
  f.job.loss.form = LOSS_PAIRWISE;
  f.job.loss.pairing = PAIRING_OWN;
  check_parts(&f);
  f.job.lora.dropout = 0.3f;
  check_parts(&f);
  train_fixture_close(&f);
}

/// Without counterfactuals every answer has random numbers of its own.
static void test_parts_of_single_prompts(void **state) {
  (void)state;
  TrainFixture f;
  train_fixture_open(&f, "qwen2", fixture_ops());
  f.dataset.counterfactual = false;
  f.dataset.sets = f.dataset.count;
  for (size_t p = 0; p < f.dataset.count; p++) {
    f.prompts[p].set = p;
    f.set_start[p + 1] = p + 1;
  }
  f.job.loss.pairing = PAIRING_OWN;
  f.job.loss.em_weight = 1;
  f.job.lora.dropout = 0.3f;
  check_parts(&f);
  train_fixture_close(&f);
}

/// Where sampling multiplies in eight bits, the gradient does not depend on the statistics that it left.
static void test_a_gradient_is_that_of_its_forward(void **state) {
  (void)state;
  TrainFixture f;
  Whole whole;
  if (ops_use_compute(fixture_ops(), COMPUTE_INT8) != STATUS_OK) skip();
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.loss.pairing = PAIRING_OWN;
  whole_open(&f, &whole);
  Trainer *t = &whole.trainer;
  const Sequence *last = &t->batch.sequences[t->batch.sequence_count - 1];
  for (size_t i = 0; i < last->first_token + last->tokens; i++) t->batch.log_z[i] += 1;
  StepPasses passes = passes_of(t);
  float *gradient = calloc(whole.count, sizeof *gradient);
  assert_non_null(gradient);
  assert_ok(compute_gradient(&passes, &t->batch, model_params(t->model)));
  read_gradient(t, gradient, whole.count);
  assert_memory_equal(gradient, whole.gradient, whole.count * sizeof *gradient);
  free(gradient);
  whole_close(&whole);
  train_fixture_close(&f);
  assert_ok(ops_use_compute(fixture_ops(), COMPUTE_F32));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_parts_make_the_whole),
      OPS_TEST(test_parts_of_single_prompts),
      OPS_TEST(test_a_gradient_is_that_of_its_forward),
  };
  return RUN_OPS_TESTS(tests);
}
