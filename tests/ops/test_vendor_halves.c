// cuBLAS as it multiplies in 16 bits, on the double of CUDA: one that gives wrong numbers, or refuses, is
// given up with one line, and what follows is right by gee-cl's own tile. Running out of memory is no fault
// of it.
#include "support/cuda_double.h"
#include "support/heard.h"
#include "support/ops_fixture.h"
#include "support/process.h"
#include "support/tiny_model.h"

#include "context.h"
#include "io/file.h"
#include "ref/ref.h"
#include "util/half.h"
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void tell_double(const char *fault) {
  assert_int_equal(fault != NULL ? setenv("CUDA_DOUBLE_HALVES", fault, 1) : unsetenv("CUDA_DOUBLE_HALVES"),
                   0);
}

/// Opens the device anew, which has kept no algorithm.
static void open_again(const char *fault) {
  tell_double(fault);
  assert_int_equal(ops_fixture_close(NULL), 0);
  assert_int_equal(ops_fixture_open(NULL), 0);
}

/// Computes in bfloat16 on a double with the fault, and returns what was said.
static const char *use_bf16(const char *fault) {
  open_again(fault);
  heard_start();
  assert_ok(ops_use_compute(fixture_ops(), COMPUTE_BF16));
  return heard_stop();
}

static void round_all(double *values, size_t count) {
  for (size_t i = 0; i < count; i++) values[i] = (double)bfloat_to_float(bfloat_from_float((float)values[i]));
}

enum { M = 70, N = 24, K = 2100 }; // K is more than a vendor's GEMM sums at once
static const double allowed = 1e-5;

/// The error of a product with weights that are stored in bfloat16.
static double error_of_product(void) {
  double *x = fixture_random(M * K, 1), *w = fixture_random(N * K, 1), *expected = fixture_zeros(M * N);
  Tensor *weights = fixture_weights(DTYPE_BF16, N, K, w), *dev_x = fixture_f32(M, K, x),
         *out = fixture_f32(M, N, NULL);
  assert_ok(op_linear(out, dev_x, weights, 1, 0));
  round_all(x, M * K);
  ref_linear(expected, x, w, M, N, K, 1, 0);
  double error = fixture_error(out, expected);
  (void)ops_fixture_clean(NULL);
  return error;
}

static void a_sound_one_is_taken(void **state) {
  (void)state;
  assert_string_equal(use_bf16(NULL), "");
  assert_true(fixture_ops()->vendor_rounds);
  assert_true(error_of_product() < allowed);
}

static void a_faulty_one_is_given_up(void **state) {
  (void)state;
  static const char *const faults[][2] = {
      {"rounded", "it gives wrong numbers on this device"},
      {"refused", "cublasLtMatmulAlgoGetHeuristic: CUBLAS_STATUS_NOT_SUPPORTED"},
      {"failing", "cublasLtMatmul: CUBLAS_STATUS_EXECUTION_FAILED"},
  };
  for (size_t i = 0; i < sizeof faults / sizeof *faults; i++) {
    const char *said = use_bf16(faults[i][0]);
    Ops *ops = fixture_ops();
    if (strncmp(said, "products in bf16 do without cuBLAS: ", 36) != 0)
      fail_msg("%s: %s", faults[i][0], said);
    if (!test_contains(said, faults[i][1])) fail_msg("%s: %s", faults[i][0], said);
    assert_int_equal(heard_count("\n"), 1);
    assert_false(ops->vendor_rounds);
    assert_non_null(ops->vendor); // float32 stays with it
    assert_true(error_of_product() < allowed);
    assert_ok(ops_selftest(ops, SELFTEST_QUICK, NULL, NULL));
  }
}

/// Without the proof, wrong numbers would have been computed with.
static void what_is_given_up_is_wrong(void **state) {
  (void)state;
  (void)use_bf16("rounded");
  fixture_ops()->vendor_rounds = true;
  assert_true(error_of_product() > allowed);
}

static void lack_of_memory_is_no_fault(void **state) {
  (void)state;
  open_again("memory");
  heard_start();
  assert_fails(ops_use_compute(fixture_ops(), COMPUTE_BF16), STATUS_FAILED, "out of memory");
  assert_string_equal(heard_stop(), "");
}

/// Trains with the double's fault; the run says one line, and returns its adapter's path.
static const char *train(const char *folder, const char *fault) {
  char text[2048];
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\ncompute = bf16\ndtype = bf16\n[data]\ntrain = %s\nchat = off\n"
                 "held_out = 0\n[sampling]\nmax_new_tokens = 4\n[lora]\nrank = 2\ntargets = all\n[train]\n"
                 "max_steps = 1\neffective_batch = 4\n[output]\nsave_root = %s\nrun_name = %s\n",
                 in_folder(folder, "model"), in_folder(folder, "prompts.txt"), folder, fault);
  write_text(in_folder(folder, "train.ini"), text);
  tell_double(fault);
  Ran ran = GEE("train", in_folder(folder, "train.ini"));
  assert_code(ran, 0);
  const char *line = strstr(ran.err, "products in bf16 do without cuBLAS: ");
  assert_non_null(line);
  if (strstr(line + 1, "products in bf16") != NULL) fail_msg("said twice: %s", ran.err);
  return in_folder(in_folder(folder, fault), "final/adapter_model.safetensors");
}

/// Whatever is wrong with it, the tile computes the same run.
static void a_run_goes_on(void **state) {
  (void)state;
  const char *folder = test_folder(), *model = in_folder(folder, "model");
  assert_ok(directory_create(model));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_text(in_folder(folder, "prompts.txt"),
             "He works as a nurse.\nShe works as a pilot.\nHe is a judge.\nShe is a judge.\n");
  assert_same_file(train(folder, "rounded"), train(folder, "refused"));
}

int main(void) {
  use_cuda_double();
  if (setenv("GEE_TEST_DEVICE", "cuda:0", 1) != 0) abort();
  const struct CMUnitTest tests[] = {
      OPS_TEST(a_sound_one_is_taken),      OPS_TEST(a_faulty_one_is_given_up),
      OPS_TEST(what_is_given_up_is_wrong), OPS_TEST(lack_of_memory_is_no_fault),
      cmocka_unit_test(a_run_goes_on),
  };
  return RUN_OPS_TESTS(tests);
}
