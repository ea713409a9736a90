// A training run on the double of CUDA in which one of the library's calls fails: the run ends with a message
// that names the call, and, resumed, it has the bits of an uninterrupted one.
#include "support/cuda_double.h"
#include "support/train_fixture.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>

static void each_failing_call_ends_the_run_and_a_resume_goes_on(void **state) {
  (void)state;
  enum { RUNS = 8 };
  TrainFixture f;
  train_fixture_open(&f, "llama", fixture_ops());
  f.job.train.max_steps = 3;
  f.job.output.save_steps = 1;
  f.job.output.run_name = "whole";
  cuda_calls_fail(0);
  assert_ok(train_run(&f.job, NULL));
  size_t calls = cuda_calls();
  assert_true(calls > 1000);
  for (size_t i = 0; i < RUNS; i++) {
    char run[32];
    (void)snprintf(run, sizeof run, "run_%zu", i);
    f.job.output.run_name = run;
    f.job.resume = false;
    // Spread over the run, and within it over the calls of a step.
    cuda_calls_fail(1 + i * (calls - 1) / RUNS + 7 * i);
    assert_fails(train_run(&f.job, NULL), STATUS_FAILED, "cu");
    cuda_calls_fail(0);
    f.job.resume = file_is_directory(train_path(&f, run, ""));
    assert_ok(train_run(&f.job, NULL));
    train_same_run(&f, "whole", &f, run);
  }
  train_fixture_close(&f);
}

int main(void) {
  use_cuda_double();
  if (setenv("GEE_TEST_DEVICE", "cuda:0", 1) != 0) abort();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_failing_call_ends_the_run_and_a_resume_goes_on),
  };
  return RUN_OPS_TESTS(tests);
}
