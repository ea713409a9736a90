// Self-test of the head, sampling and the optimizer.
#include "selftest.h"

#include "ref/ref.h"
#include <math.h>

enum { M = 5, N = 33, V = 1031 };

// ---- head ----

static Status check_entropy(Probe *p) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0);
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, NULL);
  TRY(p->status);
  TRY(op_entropy(dev_stats, dev_logits, 0.5f));
  ref_entropy(stats, logits, M, V, 0.5);
  return expect(p, dev_stats, stats);
}

static Status check_entropy_backward(Probe *p) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *weights = draw(p, M, 1),
         *gradient = draw(p, M * V, 0);
  ref_entropy(stats, logits, M, V, 1);
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, stats);
  Tensor *dev_weights = device_f32(p, 1, M, weights);
  TRY(p->status);
  TRY(op_entropy_backward(dev_logits, dev_stats, dev_weights, 1.0f));
  ref_entropy_backward(gradient, logits, weights, M, V, 1);
  return expect(p, dev_logits, gradient);
}

static Status check_pick_logprob(Probe *p) {
  static const int32_t rows[3] = {0, 4, 2}, targets[3] = {V - 1, 0, 500};
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *expected = draw(p, 3, 0);
  ref_entropy(stats, logits, M, V, 0.5);
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, stats);
  Tensor *dev_rows = device_i32(p, 1, 3, rows), *dev_targets = device_i32(p, 1, 3, targets),
         *out = device_f32(p, 1, 3, NULL);
  TRY(p->status);
  TRY(op_pick_logprob(out, dev_logits, dev_stats, dev_rows, dev_targets, 0.5f));
  for (size_t i = 0; i < 3; i++) expected[i] = logits[rows[i] * V + targets[i]] / 0.5 - stats[2 * rows[i]];
  return expect(p, out, expected);
}

static Status check_largest_logprob(Probe *p) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *expected = draw(p, M, 0);
  ref_entropy(stats, logits, M, V, 1);
  for (size_t m = 0; m < M; m++) {
    double top = -INFINITY;
    for (size_t j = 0; j < V; j++) top = fmax(top, logits[m * V + j]);
    expected[m] = top - stats[2 * m];
  }
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, stats);
  Tensor *out = device_f32(p, 1, M, NULL);
  TRY(p->status);
  TRY(op_largest_logprob(out, dev_logits, dev_stats));
  return expect(p, out, expected);
}

enum { TARGETS = 6 };
/// Row 4 is followed by three different tokens, row 1 by none.
static const int32_t target_rows[TARGETS] = {0, 2, 3, 4, 4, 4},
                     target_tokens[TARGETS] = {0, V - 1, 16, 500, 501, V - 1};

static Status check_cross_entropy_backward(Probe *p) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *weights = draw(p, TARGETS, 1);
  double *sums = draw(p, M, 0), *gradient = draw(p, M * V, 0);
  ref_entropy(stats, logits, M, V, 1);
  for (size_t i = 0; i < TARGETS; i++) sums[target_rows[i]] += weights[i];
  Tensor *dev_logits = device_f32(p, M, V, logits), *dev_stats = device_f32(p, M, 2, stats);
  Tensor *dev_sums = device_f32(p, 1, M, sums), *dev_weights = device_f32(p, 1, TARGETS, weights);
  Tensor *dev_rows = device_i32(p, 1, TARGETS, target_rows),
         *dev_targets = device_i32(p, 1, TARGETS, target_tokens);
  TRY(p->status);
  TRY(op_cross_entropy_backward(dev_logits, dev_stats, dev_sums));
  TRY(op_subtract_targets(dev_logits, dev_rows, dev_targets, dev_weights));
  ref_cross_entropy_backward(gradient, logits, M, V, target_rows, target_tokens, weights, TARGETS);
  return expect(p, dev_logits, gradient);
}

enum { PAIRS = 3 };
static const int32_t pair_rows[PAIRS] = {4, 0, 3};

/// The operands of a divergence: mine[PAIRS,V] holds the logits of pair_rows, and other[PAIRS,V] is close to
/// them in one pair.
typedef struct Pairs {
  double *mine, *other;
  Divergence operands;
} Pairs;

static Pairs draw_pairs(Probe *p, double tau) {
  double *logits = draw(p, M * V, 8), *stats = draw(p, M * 2, 0), *other_stats = draw(p, PAIRS * 2, 0);
  Pairs pairs = {.mine = draw(p, PAIRS * V, 0), .other = draw(p, PAIRS * V, 8)};
  for (size_t i = 0; i < PAIRS * V; i++) {
    pairs.mine[i] = logits[(size_t)pair_rows[i / V] * V + i % V];
    if (i / V == 1) pairs.other[i] = (double)(float)(pairs.mine[i] + pairs.other[i] / 64);
  }
  ref_entropy(stats, logits, M, V, tau);
  ref_entropy(other_stats, pairs.other, PAIRS, V, tau);
  pairs.operands = (Divergence){.logits = device_f32(p, M, V, logits),
                                .stats = device_f32(p, M, 2, stats),
                                .rows = device_i32(p, 1, PAIRS, pair_rows),
                                .other = device_f32(p, PAIRS, V, pairs.other),
                                .other_stats = device_f32(p, PAIRS, 2, other_stats),
                                .tau = (float)tau};
  return pairs;
}

/// Each pair by itself, or the close one would be lost beside the others.
static Status check_divergence(Probe *p) {
  float found[PAIRS];
  double expected[PAIRS];
  Pairs pairs = draw_pairs(p, 0.5);
  Tensor *kl = device_f32(p, 1, PAIRS, NULL);
  TRY(p->status);
  TRY(op_divergence(kl, &pairs.operands));
  TRY(tensor_read(kl, 0, PAIRS, found));
  ref_divergence(expected, pairs.mine, pairs.other, PAIRS, V, 0.5);
  for (size_t i = 0; i < PAIRS; i++) {
    tell(p, &found[i], 1);
    keep_error(p, fabs((double)found[i] - expected[i]), expected[i]);
  }
  return STATUS_OK;
}

static Status check_divergence_backward(Probe *p) {
  double kl[PAIRS], *weights = draw(p, PAIRS * 2, 1), *gradient = draw(p, M * V, 0.01);
  double *added = draw(p, PAIRS * V, 0);
  Pairs pairs = draw_pairs(p, 1);
  ref_divergence(kl, pairs.mine, pairs.other, PAIRS, V, 1);
  Tensor *dev_gradient = device_f32(p, M, V, gradient), *dev_kl = device_f32(p, 1, PAIRS, kl);
  Tensor *dev_weights = device_f32(p, PAIRS, 2, weights);
  TRY(p->status);
  TRY(op_divergence_backward(dev_gradient, dev_kl, dev_weights, &pairs.operands));
  ref_divergence_backward(added, pairs.mine, pairs.other, weights, PAIRS, V, 1);
  for (size_t i = 0; i < PAIRS * V; i++) gradient[(size_t)pair_rows[i / V] * V + i % V] += added[i];
  return expect(p, dev_gradient, gradient);
}

/// uniforms[2 · i] and [2 · i + 1] = numbers just inside both ends of a kept token's share; tokens[…] = that
/// token. A token that is kept or removed by mistake moves these ends, and another token is drawn.
static void sample_at_ends(double *uniforms, int32_t *tokens, const double *scores, size_t draws) {
  const double margin = 1e-5;
  double mass = 0;
  for (size_t i = 0; i < V; i++) mass += exp(scores[i]);
  for (size_t i = 0; i < draws / 2; i++) {
    size_t token = ref_draw(scores, V, (double)(2 * i + 1) / (double)draws);
    double before = 0, share = exp(scores[token]) / mass;
    for (size_t k = 0; k < token; k++) before += exp(scores[k]) / mass;
    uniforms[2 * i] = before + (share > 4 * margin ? margin : share / 2);
    uniforms[2 * i + 1] = before + share - (share > 4 * margin ? margin : share / 2);
    tokens[2 * i] = tokens[2 * i + 1] = (int32_t)token;
  }
}

static Status check_sample(Probe *p) {
  enum { WORDS = (V + 31) / 32, DRAWS = 8 };
  static const SampleShape shapes[] = {{0.5f, 0.95f, 0, 1.15f}, {1.0f, 0.8f, 20, 1.0f}, {0, 1.0f, 0, 100.0f}};
  double *logits = draw(p, DRAWS * V, 8), *scores = draw(p, V, 0), *uniforms = draw(p, DRAWS, 1);
  int32_t seen[DRAWS * WORDS], found[DRAWS], expected[DRAWS];
  for (size_t i = V; i < DRAWS * V; i++) logits[i] = logits[i - V];
  for (size_t i = 0; i < DRAWS * WORDS; i++) seen[i] = 0x7f7f7f7f;
  for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
    RefSample ref = {(double)shapes[s].temperature, (double)shapes[s].top_p,
                     (double)shapes[s].repetition_penalty, shapes[s].top_k};
    TRY(ref_warp(scores, logits, (const uint32_t *)seen, V, ref));
    sample_at_ends(uniforms, expected, scores, DRAWS);
    Tensor *dev_seen = device_i32(p, DRAWS, WORDS, seen), *dev_logits = device_f32(p, DRAWS, V, logits);
    Tensor *dev_uniforms = device_f32(p, 1, DRAWS, uniforms), *dev_tokens = device_i32(p, 1, DRAWS, expected);
    TRY(p->status);
    TRY(op_sample(dev_tokens, dev_seen, dev_logits, dev_uniforms, shapes[s]));
    TRY(tensor_read(dev_tokens, 0, DRAWS, found));
    for (size_t i = 0; i < DRAWS; i++) {
      tell(p, &(float){(float)found[i]}, 1);
      if (found[i] != expected[i]) p->error = 1;
    }
  }
  return STATUS_OK;
}

// ---- optimizer ----

static Status check_adamw(Probe *p) {
  double *values = draw(p, N, 1), *m = draw(p, N, 0.1), *v = draw(p, N, 0), *grads = draw(p, N, 1);
  for (size_t i = 0; i < N; i++) v[i] = (double)(float)(m[i] * m[i]);
  Tensor *dev_values = device_f32(p, 1, N, values), *dev_m = device_f32(p, 1, N, m),
         *dev_v = device_f32(p, 1, N, v);
  Tensor *dev_grads = device_f32(p, 1, N, grads);
  TRY(p->status);
  TRY(op_adamw(dev_values, dev_m, dev_v, dev_grads, (AdamWShape){0.5, 0.9, 0.999, 0.1, 0.1, 3, 0.5}));
  ref_adamw(values, m, v, grads, N, (RefAdamW){0.5, 0.9, 0.999, 0.1, 0.1, 0.5, 3});
  TRY(expect(p, dev_values, values));
  TRY(expect(p, dev_m, m));
  return expect(p, dev_v, v);
}

static Status check_sum_squares(Probe *p) {
  enum { COUNT = 20011 };
  double *x = draw(p, COUNT, 1), expected = 0, found;
  Tensor *dev_x = device_f32(p, 1, COUNT, x);
  TRY(p->status);
  TRY(op_sum_squares(&found, dev_x));
  for (size_t i = 0; i < COUNT; i++) expected += x[i] * x[i];
  tell(p, &(float){(float)found}, 1);
  p->error = fabs(found - expected) / expected;
  return STATUS_OK;
}

const SelfCheck head_checks[] = {
    {"entropy", check_entropy, 1e-5, CHECK_ALWAYS},
    {"entropy_backward", check_entropy_backward, 1e-4, CHECK_ALWAYS},
    {"pick_logprob", check_pick_logprob, 1e-6, CHECK_ALWAYS},
    {"largest_logprob", check_largest_logprob, 1e-6, CHECK_ALWAYS},
    {"cross_entropy_backward", check_cross_entropy_backward, 1e-5, CHECK_ALWAYS},
    {"divergence", check_divergence, 1e-5, CHECK_ALWAYS},
    {"divergence_backward", check_divergence_backward, 1e-4, CHECK_ALWAYS},
    {"sample", check_sample, 0, CHECK_ALWAYS},
    {"adamw", check_adamw, 1e-6, CHECK_ALWAYS},
    {"sum_squares", check_sum_squares, 1e-6, CHECK_ALWAYS},
    {0},
};
