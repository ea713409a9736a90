// Tiny models compared with PyTorch in float64: logits, entropies, log probabilities; cached decoding
// compared with the whole forward; properties of every model.
#include "support/model_fixture.h"

#include "io/file.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

static const DropoutDraw no_dropout = {0};

static Pass *inference(Model *model, size_t rows, size_t cache_rows) {
  PassOptions options = {
      .kind = PASS_INFERENCE, .max_rows = rows, .cache_rows = cache_rows, .head_tile_rows = 5};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  return pass;
}

// The largest error, relative where the magnitude is above 1: log probabilities of these models reach −50.
static double worst(const float *found, const double *expected, size_t count) {
  double most = 0;
  for (size_t i = 0; i < count; i++) {
    double off = fabs((double)found[i] - expected[i]) / fmax(1.0, fabs(expected[i]));
    if (!(off <= most)) most = off;
  }
  return most;
}

// Entropies and log probabilities of all predictions at `tau`.
static void statistics(Pass *pass, const Batch *batch, float tau, float *entropy, float *logprob) {
  float rows[SAMPLES_TOKENS];
  assert_ok(pass_statistics(pass, batch, tau, rows, NULL, logprob));
  for (size_t p = 0; p < batch->predictions; p++) entropy[p] = rows[batch->pred_head[p]];
}

static void compare_statistics(Pass *pass, const Batch *batch, const Golden *golden, const char *prefix,
                               const char *label, float tau, double tolerance) {
  float entropy[SAMPLES_TOKENS];
  float logprob[SAMPLES_TOKENS];
  char name[64];
  size_t count = 0;
  statistics(pass, batch, tau, entropy, logprob);
  (void)snprintf(name, sizeof name, "%sentropy_%s", prefix, label);
  double error = worst(entropy, golden_values(golden, name, &count), batch->predictions);
  if (!(error <= tolerance)) fail_msg("%s: off by %g", name, error);
  (void)snprintf(name, sizeof name, "%slogprob_%s", prefix, label);
  error = worst(logprob, golden_values(golden, name, &count), batch->predictions);
  if (!(error <= tolerance)) fail_msg("%s: off by %g", name, error);
}

static void compare_logits(Pass *pass, const Batch *batch, const Golden *golden, double tolerance) {
  size_t count = 0;
  const double *expected = golden_values(golden, "logits", &count);
  size_t vocab = count / batch->predictions;
  for (size_t p = 0; p < batch->predictions; p++) {
    float logits[128];
    const Tensor *tensor = NULL;
    assert_ok(pass_logits(pass, &batch->head_row[batch->pred_head[p]], 1, &tensor));
    assert_int_equal(tensor->cols, vocab);
    assert_ok(tensor_read(tensor, 0, vocab, logits));
    double error = test_relative_l2(logits, expected + p * vocab, vocab);
    if (!(error <= tolerance)) fail_msg("logits of prediction %zu: relative error %g", p, error);
  }
}

static void check_model(const char *model_name, const char *golden_name, DType dtype, double tolerance) {
  const Samples *samples = golden_samples();
  Golden golden = golden_open(golden_name);
  Model *model = fixture_model(model_name, dtype);
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  Pass *passes[] = {inference(model, batch.rows + 3, 0), fixture_training(model, batch.rows + 3, false)};
  for (size_t i = 0; i < 2; i++) {
    assert_ok(pass_forward(passes[i], &batch, no_dropout));
    compare_logits(passes[i], &batch, &golden, tolerance);
    compare_statistics(passes[i], &batch, &golden, "", "1", 1.0f, tolerance);
    compare_statistics(passes[i], &batch, &golden, "", "05", 0.5f, 2 * tolerance);
    pass_free(passes[i]);
  }
  batch_free(&batch);
  model_free(model);
  golden_close(&golden);
}

static void test_llama(void **state) {
  (void)state;
  check_model("llama", "llama/golden.safetensors", DTYPE_F32, 1e-5);
}

static void test_qwen2(void **state) {
  (void)state;
  check_model("qwen2", "qwen2/golden.safetensors", DTYPE_F32, 1e-5);
}

// The file is BF16, so BF16 storage loses nothing.
static void test_qwen2_untied_sharded(void **state) {
  (void)state;
  check_model("qwen2_untied", "qwen2_untied/golden.safetensors", DTYPE_F32, 1e-5);
  check_model("qwen2_untied", "qwen2_untied/golden.safetensors", DTYPE_BF16, 1e-5);
}

static void test_gguf(void **state) {
  (void)state;
  check_model("llama.gguf", "llama_gguf.safetensors", DTYPE_F32, 1e-5);
  check_model("llama-00001-of-00003.gguf", "llama_gguf.safetensors", DTYPE_F32, 1e-5); // the same in parts
  check_model("qwen2.gguf", "qwen2_gguf.safetensors", DTYPE_F32, 1e-5);
  check_model("qwen2.gguf", "qwen2_gguf.safetensors", DTYPE_F16, 1e-5);
}

// Every quantised type that can be read has a matrix of this model.
static void test_gguf_quants(void **state) {
  (void)state;
  check_model("quants.gguf", "quants_gguf.safetensors", DTYPE_F32, 1e-5);
  check_model("quants.gguf", "quants_gguf.safetensors", DTYPE_STORED, 1e-5);
}

static void test_lora_forward(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, 0);
  fixture_set_params(model, &golden, "lora.start.");
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  Pass *pass = inference(model, batch.rows, 0);
  assert_ok(pass_forward(pass, &batch, no_dropout));
  compare_statistics(pass, &batch, &golden, "lora.", "1", 1.0f, 1e-5);
  pass_free(pass);
  batch_free(&batch);
  model_free(model);
  golden_close(&golden);
}

static void entropies_of(Model *model, bool share, float *entropy) {
  const Samples *samples = golden_samples();
  Batch batch = samples_batch(samples, 0, samples->answer_count, share);
  Pass *pass = inference(model, batch.rows, 0);
  float logprob[SAMPLES_TOKENS];
  assert_ok(pass_forward(pass, &batch, no_dropout));
  statistics(pass, &batch, 1.0f, entropy, logprob);
  pass_free(pass);
  batch_free(&batch);
}

// B = 0: fresh adapters do not change a single bit.
static void test_fresh_lora_is_base(void **state) {
  (void)state;
  float base[SAMPLES_TOKENS] = {0};
  float adapted[SAMPLES_TOKENS] = {0};
  Model *model = fixture_model("qwen2", DTYPE_F32);
  entropies_of(model, true, base);
  fixture_lora(model, 0.5f);
  entropies_of(model, true, adapted);
  assert_memory_equal(base, adapted, sizeof base);
  model_free(model);
}

static void test_shared_is_unshared(void **state) {
  (void)state;
  double reference[SAMPLES_TOKENS];
  float shared[SAMPLES_TOKENS] = {0};
  float unshared[SAMPLES_TOKENS] = {0};
  Model *model = fixture_model("llama", DTYPE_F32);
  entropies_of(model, true, shared);
  entropies_of(model, false, unshared);
  for (size_t i = 0; i < SAMPLES_TOKENS; i++) reference[i] = (double)unshared[i];
  double error = test_relative_l2(shared, reference, SAMPLES_TOKENS);
  if (!(error <= 1e-5)) fail_msg("relative error %g", error);
  model_free(model);
}

// A token does not change the results before it.
static void test_causality(void **state) {
  (void)state;
  int32_t ids[] = {5, 9, 33, 2, 60, 7, 8, 1};
  const int32_t answer[] = {4};
  const TokenSpan prompt = {ids, 8};
  const BatchAnswer answers[] = {{.prompt = 0, .tokens = {answer, 1}}};
  float before[8][67];
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = inference(model, 8, 0);
  for (int round = 0; round < 2; round++) {
    Batch batch;
    assert_ok(batch_build(&prompt, 1, answers, 1, true, &batch));
    assert_ok(pass_forward(pass, &batch, no_dropout));
    for (int32_t row = 0; row < 8; row++) {
      float logits[67];
      const Tensor *tensor = NULL;
      assert_ok(pass_logits(pass, &row, 1, &tensor));
      assert_ok(tensor_read(tensor, 0, 67, logits));
      if (round == 1 && row < 5) assert_memory_equal(logits, before[row], sizeof logits);
      if (round == 1 && row >= 5) assert_memory_not_equal(logits, before[row], sizeof logits);
      memcpy(before[row], logits, sizeof logits);
    }
    batch_free(&batch);
    ids[5] = 50;
  }
  pass_free(pass);
  model_free(model);
}

// Prefill of a prompt, then an answer token by token, in scattered cache rows: the logits are those of the
// whole forward.
static void test_cached_is_whole(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Golden golden = golden_open("llama/golden.safetensors");
  size_t count = 0;
  const double *expected = golden_values(&golden, "logits", &count);
  size_t vocab = 67;
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = inference(model, 8, 40);
  TokenSpan prompt = samples->prompts[0];
  TokenSpan answer = samples->answers[0].tokens;
  int32_t first = 20; // the prompt's cache rows begin here, the answer's at 3
  int32_t positions[8];
  int32_t cache_row[8];
  int32_t spans[32];
  for (int32_t i = 0; i < (int32_t)prompt.count; i++) {
    positions[i] = i;
    cache_row[i] = first + i;
    memcpy(spans + 4 * i, (int32_t[]){0, 0, first, first + i + 1}, 4 * sizeof *spans);
  }
  CachedRows rows = {.rows = prompt.count,
                     .ids = prompt.ids,
                     .positions = positions,
                     .cache_row = cache_row,
                     .spans = spans};
  assert_ok(pass_forward_cached(pass, &rows));
  int32_t last = (int32_t)prompt.count - 1;
  for (size_t t = 0; t < answer.count; t++) {
    float logits[67];
    const Tensor *tensor = NULL;
    assert_ok(pass_logits(pass, &last, 1, &tensor));
    assert_ok(tensor_read(tensor, 0, vocab, logits));
    double error = test_relative_l2(logits, expected + t * vocab, vocab);
    if (!(error <= 1e-5)) fail_msg("token %zu: relative error %g", t, error);
    positions[0] = (int32_t)(prompt.count + t);
    cache_row[0] = 3 + (int32_t)t;
    memcpy(spans, (int32_t[]){first, first + (int32_t)prompt.count, 3, 4 + (int32_t)t}, 4 * sizeof *spans);
    rows.rows = 1;
    rows.ids = answer.ids + t;
    last = 0;
    assert_ok(pass_forward_cached(pass, &rows));
  }
  pass_free(pass);
  model_free(model);
  golden_close(&golden);
}

static void test_wrong_use(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Model *model = fixture_model("llama", DTYPE_F32);
  Batch batch = samples_batch(samples, 0, samples->answer_count, true);
  Pass *pass = inference(model, batch.rows - 1, 0);
  assert_fails(pass_forward(pass, &batch, no_dropout), STATUS_INPUT, "does not fit");
  assert_fails(pass_statistics(pass, &batch, 1.0f, NULL, NULL, NULL), STATUS_FAILED, "last forward");
  assert_fails(pass_backward(pass, &batch, &(HeadGradient){.tau = 1.0f}), STATUS_FAILED, "has no backward");
  pass_free(pass);
  pass = inference(model, batch.rows, 0);
  batch.ids[1] = 67;
  assert_fails(pass_forward(pass, &batch, no_dropout), STATUS_INPUT, "token 67");
  pass_free(pass);
  batch_free(&batch);
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_llama),
      OPS_TEST(test_qwen2),
      OPS_TEST(test_qwen2_untied_sharded),
      OPS_TEST(test_gguf),
      OPS_TEST(test_gguf_quants),
      OPS_TEST(test_lora_forward),
      OPS_TEST(test_fresh_lora_is_base),
      OPS_TEST(test_shared_is_unshared),
      OPS_TEST(test_causality),
      OPS_TEST(test_cached_is_whole),
      OPS_TEST(test_wrong_use),
  };
  return RUN_OPS_TESTS(tests);
}
