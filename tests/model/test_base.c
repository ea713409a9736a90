// The base model of a model with adapters, and rows compared with kept rows: the base has the bits of the
// model without adapters, whatever dropout does to them; what the links say is what whole logits say, in
// tiles of any size; and wrong use is refused.
#include "support/model_fixture.h"

#include "ref/ref.h"
#include <math.h>
#include <string.h>

enum { ROWS = 40, VOCAB = 67 };

static const DropoutDraw dropped = {.on = true, .seed = 3, .step = 2}, no_dropout = {0};

static Model *adapted(float dropout) {
  Golden golden = golden_open("llama/golden.safetensors");
  Model *model = fixture_model("llama", DTYPE_F32);
  fixture_lora(model, dropout);
  fixture_set_params(model, &golden, "lora.start.");
  golden_close(&golden);
  return model;
}

static Pass *pass_of(Model *model, size_t tile, size_t kept) {
  PassOptions options = {.kind = PASS_TRAINING, .max_rows = ROWS, .head_tile_rows = tile, .kept_rows = kept};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  return pass;
}

static Batch all_samples(void) {
  const Samples *samples = golden_samples();
  return samples_batch(samples, 0, samples->answer_count, true);
}

static void entropies_of(Pass *pass, const Batch *batch, float *entropy) {
  memset(entropy, 0, ROWS * sizeof *entropy);
  assert_ok(pass_statistics(pass, batch, 0.5f, entropy, NULL, NULL));
}

/// A reference that draws dropout is not the frozen model (unsloth-zoo, pull request 912).
static void base_has_the_bits_of_the_plain_model(void **state) {
  (void)state;
  Model *model = adapted(0.25f), *plain = fixture_model("llama", DTYPE_F32);
  Pass *pass = pass_of(model, 8, 0), *plain_pass = pass_of(plain, 8, 0);
  Batch batch = all_samples();
  float expected[ROWS], found[ROWS], trained[ROWS];
  assert_true(model_has_base(model) && model_has_base(plain));
  assert_ok(pass_forward(plain_pass, &batch, no_dropout));
  entropies_of(plain_pass, &batch, expected);
  for (int round = 0; round < 2; round++) { // and it leaves nothing behind
    assert_ok(pass_forward(pass, &batch, dropped));
    entropies_of(pass, &batch, round == 0 ? trained : found);
    if (round == 1) assert_memory_equal(found, trained, sizeof found);
    assert_ok(pass_forward_base(pass, &batch));
    entropies_of(pass, &batch, found);
    assert_memory_equal(found, expected, sizeof found);
  }
  assert_memory_not_equal(trained, expected, sizeof trained);
  batch_free(&batch);
  pass_free(pass);
  pass_free(plain_pass);
  model_free(model);
  model_free(plain);
}

/// The logits of all head rows of the last forward, in memory of the fixture.
static double *all_logits(Pass *pass, const Batch *batch) {
  double *values = fixture_zeros(batch->head_rows * VOCAB);
  float row[VOCAB];
  for (size_t r = 0; r < batch->head_rows; r++) {
    const Tensor *logits = NULL;
    assert_ok(pass_logits(pass, batch->head_row + r, 1, &logits));
    assert_ok(tensor_read(logits, 0, VOCAB, row));
    for (size_t v = 0; v < VOCAB; v++) values[r * VOCAB + v] = (double)row[v];
  }
  return values;
}

/// Some rows have no link, some one, some three.
static size_t make_links(size_t rows, HeadLink *links) {
  size_t count = 0;
  for (size_t row = 0; row < rows; row++) {
    for (size_t i = 0; i < (row % 4 == 1 ? 3 : row % 4 != 2); i++)
      links[count++] = (HeadLink){.row = row, .kept = 2 + (row + 5 * i) % rows, .kl = NAN};
  }
  return count;
}

static void links_compare_what_they_name(void **state) {
  (void)state;
  static const size_t tiles[] = {1, 3, 128};
  Model *model = adapted(0);
  Batch batch = all_samples();
  for (size_t t = 0; t < 3; t++) {
    Pass *pass = pass_of(model, tiles[t], batch.head_rows + 2);
    HeadLink links[3 * ROWS];
    double expected;
    assert_ok(pass_forward_base(pass, &batch));
    const double *base = all_logits(pass, &batch);
    assert_ok(pass_keep_rows(pass, batch.head_row, batch.head_rows, 2));
    assert_ok(pass_forward(pass, &batch, no_dropout));
    const double *trained = all_logits(pass, &batch);
    size_t count = make_links(batch.head_rows, links);
    assert_ok(pass_divergences(pass, &batch, 0.5f, links, count));
    for (size_t i = 0; i < count; i++) {
      ref_divergence(&expected, trained + links[i].row * VOCAB, base + (links[i].kept - 2) * VOCAB, 1, VOCAB,
                     0.5);
      if (!(fabs((double)links[i].kl - expected) <= 1e-5 * expected))
        fail_msg("link %zu: KL %.9g, not %.9g", i, (double)links[i].kl, expected);
    }
    pass_free(pass);
    ops_fixture_clean(NULL);
  }
  batch_free(&batch);
  model_free(model);
}

static void wrong_use(void **state) {
  (void)state;
  Model *model = adapted(0), *full = fixture_model("llama", DTYPE_F32);
  Pass *pass = pass_of(model, 5, 3), *without = pass_of(model, 5, 0);
  Batch batch = all_samples();
  HeadLink links[] = {{.row = 1, .kept = 0}, {.row = 0, .kept = 0}};
  float weights[ROWS] = {1};
  assert_ok(model_train_full(full));
  assert_false(model_has_base(full));
  Pass *full_pass = pass_of(full, 5, 0);
  assert_fails(pass_forward_base(full_pass, &batch), STATUS_FAILED, "trained or replaced");
  assert_ok(pass_forward_base(pass, &batch));
  assert_fails(pass_backward(pass, &batch, &(HeadGradient){.tau = 1, .weights = weights}), STATUS_FAILED,
               "the base model has no backward");
  assert_ok(pass_keep_rows(pass, batch.head_row, 3, 0));
  assert_fails(pass_keep_rows(pass, batch.head_row, 3, 1), STATUS_FAILED, "do not fit 3 kept rows");
  assert_fails(pass_keep_rows(pass, batch.head_row, 1, SIZE_MAX), STATUS_FAILED, "do not fit");
  assert_ok(pass_forward(pass, &batch, no_dropout));
  assert_fails(pass_divergences(pass, &batch, 1, links, 2), STATUS_FAILED, "link 1 from head row 0");
  links[0].row = batch.head_rows;
  assert_fails(pass_divergences(pass, &batch, 1, links, 1), STATUS_FAILED, "out of range or order");
  links[0] = (HeadLink){.row = 0, .kept = 3};
  assert_fails(pass_divergences(pass, &batch, 1, links, 1), STATUS_FAILED, "to kept row 3");
  HeadGradient gradient = {.tau = 1, .weights = weights, .links = links, .link_count = 1};
  assert_fails(pass_backward(pass, &batch, &gradient), STATUS_FAILED, "to kept row 3");
  assert_ok(pass_forward(without, &batch, no_dropout));
  links[0].kept = 0;
  assert_fails(pass_divergences(without, &batch, 1, links, 1), STATUS_FAILED, "to kept row 0");
  batch_free(&batch);
  pass_free(pass);
  pass_free(without);
  pass_free(full_pass);
  model_free(model);
  model_free(full);
}

int main(void) {
  const struct CMUnitTest tests[] = {OPS_TEST(base_has_the_bits_of_the_plain_model),
                                     OPS_TEST(links_compare_what_they_name), OPS_TEST(wrong_use)};
  return RUN_OPS_TESTS(tests);
}
