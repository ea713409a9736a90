// The twin of every operation, in plain C and double precision. The tests and `gee-cl selftest` compare the
// device with it. It is written from the formulas, to be read and not to be fast, and uses none of the
// kernels' tricks, so that both are not wrong for the same reason. Arrays are row-major; ops/ops.h has the
// shapes and the names of sizes. The caller's arrays are large enough, so nothing fails except ref_warp,
// which allocates.
#pragma once

#include "util/status.h"
#include <stddef.h>
#include <stdint.h>

// ---- linear: x[M,K], w[N,K], out[M,N] ----

void ref_linear(double *out, const double *x, const double *w, size_t M, size_t N, size_t K, double alpha,
                double beta);
void ref_linear_dx(double *dx, const double *dout, const double *w, size_t M, size_t N, size_t K,
                   double alpha, double beta);
void ref_linear_dw(double *dw, const double *dout, const double *x, size_t M, size_t N, size_t K,
                   double alpha, double beta);
/// Rounds values[rows, cols] as rows of COMPUTE_INT8's factors are: in each 32 of a row, to whole multiples
/// of their largest / 127. The scale is computed in float32, as it decides between two neighbours.
void ref_round_int8(double *values, size_t rows, size_t cols);
/// Rounds values[rows, cols] as rows of COMPUTE_F16's input are: to IEEE halves, each row times the power of
/// two that brings its largest magnitude into [2^14, 2^15). Weights are one row.
void ref_round_f16(double *values, size_t rows, size_t cols);
void ref_bias(double *x, const double *bias, size_t M, size_t N);
void ref_bias_backward(double *dbias, const double *dout, size_t M, size_t N);

// ---- rows ----

void ref_embed(double *out, const double *table, const int32_t *ids, size_t M, size_t C);
/// Adds each row of dout to the row of dtable that its id names.
void ref_embed_backward(double *dtable, const double *dout, const int32_t *ids, size_t M, size_t C);

// ---- RMSNorm ----

void ref_rmsnorm(double *out, double *rstd, const double *x, const double *w, size_t M, size_t C, double eps);
/// Adds to dx and, unless it is NULL, to dw.
void ref_rmsnorm_backward(double *dx, double *dw, const double *dout, const double *x, const double *w,
                          const double *rstd, size_t M, size_t C);

// ---- rotary embedding, in place on x[M, heads·D]; direction +1 or −1 ----

void ref_rope(double *x, const int32_t *positions, const double *inv_freq, size_t M, size_t heads, size_t D,
              int direction);

// ---- attention over spans ----

/// The operands of both directions, as in ops/ops.h.
typedef struct RefAttention {
  size_t M, key_rows, heads, kv_heads, D;
  double scale;
  const double *q, *k, *v; // [M,heads·D], [key_rows,kv_heads·D], [key_rows,kv_heads·D]
  const int32_t *spans;    // [M,4]

  double *out; // [M,heads·D]
  double *lse; // [M,heads]

  // Used only by the backward:
  double *dq, *dk, *dv; // shapes of q, k, v; overwritten
  const double *dout;   // [M,heads·D]
} RefAttention;

/// Writes out and lse.
void ref_attention(const RefAttention *attention);
/// Writes dq, dk and dv. It needs only the spans; the device's kernels also use key_spans.
void ref_attention_backward(const RefAttention *attention);

// ---- SwiGLU ----

void ref_swiglu(double *out, const double *gate, const double *up, size_t count);
void ref_swiglu_backward(double *dgate, double *dup, const double *dout, const double *gate, const double *up,
                         size_t count);

// ---- entropy head ----

/// stats[M,2] = (log Z, H) of logits[M,V].
void ref_entropy(double *stats, const double *logits, size_t M, size_t V, double tau);
/// dlogits[M,V] = weights[m] · dH_m/dz.
void ref_entropy_backward(double *dlogits, const double *logits, const double *weights, size_t M, size_t V,
                          double tau);

// ---- cross-entropy at temperature 1 ----

/// Returns −Σ weights[i] · log p of targets[i] in row rows[i] of logits[·,V], i < count.
double ref_cross_entropy(const double *logits, size_t V, const int32_t *rows, const int32_t *targets,
                         const double *weights, size_t count);
/// dlogits[M,V] = its gradient by the logits.
void ref_cross_entropy_backward(double *dlogits, const double *logits, size_t M, size_t V,
                                const int32_t *rows, const int32_t *targets, const double *weights,
                                size_t count);

// ---- divergence of softmax(logits[m]/tau) = p from softmax(other[m]/tau) = q ----

/// kl[M] = KL(p‖q)
void ref_divergence(double *kl, const double *logits, const double *other, size_t M, size_t V, double tau);
/// Adds to dlogits[M,V]: weights[m,0] · dKL(p‖q)/dz + weights[m,1] · dKL(q‖p)/dz, z the logits.
void ref_divergence_backward(double *dlogits, const double *logits, const double *other,
                             const double *weights, size_t M, size_t V, double tau);

// ---- sampling ----

typedef struct RefSample {
  double temperature, top_p, repetition_penalty;
  size_t top_k;
} RefSample;

/// transformers' RepetitionPenalty, Temperature, TopK and TopP on one row: scores[V] from logits[V],
/// −INFINITY for a token that is removed. seen[ceil(V/32)] has a bit per token. Temperature 0 keeps only the
/// largest logit, and the lowest index on ties.
STATUS_CHECKED Status ref_warp(double *scores, const double *logits, const uint32_t *seen, size_t V,
                               RefSample shape);
/// The first token, by index, whose running share of exp(scores) exceeds u.
size_t ref_draw(const double *scores, size_t V, double u);

// ---- dropout, optimizer ----

/// out[M,C] = x · keep / (1 − p)
void ref_dropout(double *out, const double *x, const int32_t *row_ids, size_t M, size_t C, double p,
                 uint64_t seed, uint32_t stream);

typedef struct RefAdamW {
  double lr, beta1, beta2, epsilon, weight_decay, grad_scale;
  uint32_t step;
} RefAdamW;
void ref_adamw(double *values, double *m, double *v, const double *grads, size_t count, RefAdamW shape);
