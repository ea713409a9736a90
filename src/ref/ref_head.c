// Entropy head, divergence, sampling, dropout and AdamW in double.
#include "ref/ref.h"

#include "util/memory.h"
#include "util/rng.h"
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

void ref_entropy(double *stats, const double *logits, size_t M, size_t V, double tau) {
  for (size_t m = 0; m < M; m++) {
    const double *z = logits + m * V;
    double top = -INFINITY, mass = 0, entropy = 0;
    for (size_t j = 0; j < V; j++) top = fmax(top, z[j] / tau);
    for (size_t j = 0; j < V; j++) mass += exp(z[j] / tau - top);
    double log_z = top + log(mass);
    for (size_t j = 0; j < V; j++) entropy -= exp(z[j] / tau - log_z) * (z[j] / tau - log_z);
    stats[2 * m] = log_z;
    stats[2 * m + 1] = entropy < 0 ? 0 : entropy; // by rounding; NaN stays
  }
}

void ref_entropy_backward(double *dlogits, const double *logits, const double *weights, size_t M, size_t V,
                          double tau) {
  for (size_t m = 0; m < M; m++) {
    double stats[2];
    ref_entropy(stats, logits + m * V, 1, V, tau);
    for (size_t j = 0; j < V; j++) {
      double log_p = logits[m * V + j] / tau - stats[0];
      dlogits[m * V + j] = -weights[m] / tau * exp(log_p) * (log_p + stats[1]);
    }
  }
}

double ref_cross_entropy(const double *logits, size_t V, const int32_t *rows, const int32_t *targets,
                         const double *weights, size_t count) {
  double loss = 0;
  for (size_t i = 0; i < count; i++) {
    double stats[2];
    const double *z = logits + (size_t)rows[i] * V;
    ref_entropy(stats, z, 1, V, 1);
    loss -= weights[i] * (z[targets[i]] - stats[0]);
  }
  return loss;
}

void ref_cross_entropy_backward(double *dlogits, const double *logits, size_t M, size_t V,
                                const int32_t *rows, const int32_t *targets, const double *weights,
                                size_t count) {
  for (size_t j = 0; j < M * V; j++) dlogits[j] = 0;
  for (size_t i = 0; i < count; i++) {
    double stats[2], *d = dlogits + (size_t)rows[i] * V;
    const double *z = logits + (size_t)rows[i] * V;
    ref_entropy(stats, z, 1, V, 1);
    for (size_t j = 0; j < V; j++) d[j] += weights[i] * exp(z[j] - stats[0]);
    d[targets[i]] -= weights[i];
  }
}

void ref_divergence(double *kl, const double *logits, const double *other, size_t M, size_t V, double tau) {
  for (size_t m = 0; m < M; m++) {
    double p[2], q[2];
    ref_entropy(p, logits + m * V, 1, V, tau);
    ref_entropy(q, other + m * V, 1, V, tau);
    kl[m] = 0;
    for (size_t j = 0; j < V; j++) {
      double log_p = logits[m * V + j] / tau - p[0], log_q = other[m * V + j] / tau - q[0];
      kl[m] += exp(log_p) * (log_p - log_q);
    }
  }
}

void ref_divergence_backward(double *dlogits, const double *logits, const double *other,
                             const double *weights, size_t M, size_t V, double tau) {
  for (size_t m = 0; m < M; m++) {
    double p[2], q[2], kl;
    ref_entropy(p, logits + m * V, 1, V, tau);
    ref_entropy(q, other + m * V, 1, V, tau);
    ref_divergence(&kl, logits + m * V, other + m * V, 1, V, tau);
    for (size_t j = 0; j < V; j++) {
      double log_p = logits[m * V + j] / tau - p[0], log_q = other[m * V + j] / tau - q[0];
      double forward = exp(log_p) * (log_p - log_q - kl), reverse = exp(log_p) - exp(log_q);
      dlogits[m * V + j] += (weights[2 * m] * forward + weights[2 * m + 1] * reverse) / tau;
    }
  }
}

typedef struct Scored {
  double score;
  size_t index;
} Scored;

/// Descending by score, ties by index.
static int by_score(const void *a, const void *b) {
  const Scored *x = a, *y = b;
  if (x->score != y->score) return x->score < y->score ? 1 : -1;
  return x->index < y->index ? -1 : x->index > y->index;
}

/// Removes all but the top_k largest scores, then the tail beyond top_p of the mass. Scores equal to the last
/// one kept stay.
static Status keep_top(double *scores, size_t V, RefSample shape) {
  Scored *sorted = NULL;
  TRY(mem_array(&sorted, V, "sorted scores"));
  for (size_t i = 0; i < V; i++) sorted[i] = (Scored){scores[i], i};
  qsort(sorted, V, sizeof *sorted, by_score);
  size_t kept = V;
  if (shape.top_k > 0 && shape.top_k < V) {
    kept = shape.top_k;
    while (kept < V && sorted[kept].score == sorted[shape.top_k - 1].score) kept++;
  }
  if (shape.top_p < 1) {
    size_t within = kept;
    double mass = 0, tail = 0;
    for (size_t i = 0; i < kept; i++) mass += exp(sorted[i].score - sorted[0].score);
    // tail: the mass from the smallest score up to and including entry i, which is removed if that is at most
    // 1 − top_p.
    for (size_t i = kept; i-- > 1;) {
      tail += exp(sorted[i].score - sorted[0].score) / mass;
      if (tail > 1 - shape.top_p) break;
      kept = i;
    }
    while (kept < within && sorted[kept].score == sorted[kept - 1].score) kept++;
  }
  for (size_t i = kept; i < V; i++) scores[sorted[i].index] = -INFINITY;
  free(sorted);
  return STATUS_OK;
}

Status ref_warp(double *scores, const double *logits, const uint32_t *seen, size_t V, RefSample shape) {
  size_t best = 0;
  for (size_t i = 0; i < V; i++) {
    bool was_seen = (seen[i / 32] >> (i % 32) & 1u) != 0;
    double z = logits[i];
    if (was_seen) z = z < 0 ? z * shape.repetition_penalty : z / shape.repetition_penalty;
    scores[i] = shape.temperature > 0 ? z / shape.temperature : z;
    if (scores[i] > scores[best]) best = i;
  }
  if (shape.temperature > 0) return keep_top(scores, V, shape);
  for (size_t i = 0; i < V; i++) {
    if (i != best) scores[i] = -INFINITY;
  }
  return STATUS_OK;
}

size_t ref_draw(const double *scores, size_t V, double u) {
  double top = -INFINITY, mass = 0, running = 0;
  size_t last = 0;
  for (size_t i = 0; i < V; i++) top = fmax(top, scores[i]);
  for (size_t i = 0; i < V; i++) mass += exp(scores[i] - top);
  for (size_t i = 0; i < V; i++) {
    double share = exp(scores[i] - top) / mass;
    if (share == 0) continue;
    running += share;
    last = i;
    if (running > u) return i;
  }
  return last;
}

void ref_dropout(double *out, const double *x, const int32_t *row_ids, size_t M, size_t C, double p,
                 uint64_t seed, uint32_t stream) {
  for (size_t i = 0; i < M * C; i++) {
    float draw = rng_uniform(seed, RNG_DROPOUT, (uint32_t)(i % C), (uint32_t)row_ids[i / C], stream);
    out[i] = draw >= (float)p ? x[i] / (1 - p) : 0;
  }
}

void ref_adamw(double *values, double *m, double *v, const double *grads, size_t count, RefAdamW s) {
  double correct1 = 1 - pow(s.beta1, s.step), correct2 = 1 - pow(s.beta2, s.step);
  for (size_t i = 0; i < count; i++) {
    double gradient = grads[i] * s.grad_scale;
    values[i] -= s.lr * s.weight_decay * values[i];
    m[i] = s.beta1 * m[i] + (1 - s.beta1) * gradient;
    v[i] = s.beta2 * v[i] + (1 - s.beta2) * gradient * gradient;
    values[i] -= s.lr * (m[i] / correct1) / (sqrt(v[i] / correct2) + s.epsilon);
  }
}
