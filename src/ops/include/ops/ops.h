// The operations of a transformer, each forward next to its backward. Outputs come first. Names of sizes:
//
//   M rows (tokens)         C width           V vocabulary    H heads
//   HK key/value heads      D head width      R rank or tile rows
//
// A tensor is float32 unless its comment says otherwise. The number of rows is the tensors' own `rows`; use
// tensor_rows to run on fewer. A tensor must be dense and begin where its buffer does, unless its comment
// says "view": then its rows may lie apart. Sums run in a fixed order: the same inputs on the same device
// give the same bits, and a row's result does not depend on how many other rows there are (a vendor's GEMM
// may differ). The only device memory that an operation allocates is ops' own scratch, which is counted as
// activations.
#pragma once

#include "ops/tensor.h"

/// True if kernels read matrices of the type: F32, F16, BF16 and the quantised types of cl/block_list.h. What
/// they compute from it is what they compute from its elements as float32.
bool ops_can_read(DType type);

// ---- linear: w is [N,K] as PyTorch stores it, of a type that kernels read. All but the biases may be views
// ----

/// out[M,N] = alpha · x[M,K] · wᵀ + beta · out
STATUS_CHECKED Status op_linear(Tensor *out, const Tensor *x, const Tensor *w, float alpha, float beta);
/// The same where no gradient is needed: with COMPUTE_INT8 it is coarser.
STATUS_CHECKED Status op_linear_inference(Tensor *out, const Tensor *x, const Tensor *w, float alpha,
                                          float beta);
/// What an adapter adds to a product, through the R numbers that it makes of a row: forward scale · low[M,R]
/// · factor[N,R]ᵀ, in dx scale · low[M,R] · factor[R,K]. The factor is float32; low NULL: there is no
/// adapter.
typedef struct LowRank {
  const Tensor *low, *factor;
  float scale;
} LowRank;
/// outs[i][M,Ni] = x[M,K] · ws[i]ᵀ + adapters[i], the bits of op_linear and of op_linear_inference one after
/// the other, of `count` ≥ 1 products in as few launches as the device allows. adapters NULL: none.
STATUS_CHECKED Status op_linears(Tensor *const outs[], const Tensor *x, const Tensor *const ws[],
                                 const LowRank adapters[], size_t count);
STATUS_CHECKED Status op_linears_inference(Tensor *const outs[], const Tensor *x, const Tensor *const ws[],
                                           const LowRank adapters[], size_t count);
/// dx[M,K] = alpha · dout[M,N] · w + beta · dx
STATUS_CHECKED Status op_linear_dx(Tensor *dx, const Tensor *dout, const Tensor *w, float alpha, float beta);
/// dx[M,K] = dout[M,N] · w + beta · dx + adapter, with the bits of one after the other
STATUS_CHECKED Status op_linear_dx_adapted(Tensor *dx, const Tensor *dout, const Tensor *w, float beta,
                                           const LowRank *adapter);
/// dw[N,K] = alpha · dout[M,N]ᵀ · x[M,K] + beta · dw (float32)
STATUS_CHECKED Status op_linear_dw(Tensor *dw, const Tensor *dout, const Tensor *x, float alpha, float beta);
/// With COMPUTE_F16, finds how large the elements of frozen weights are; the operations above need to know.
/// To be called once they are written, and whenever they change. Nothing with another compute. Waits for the
/// device.
STATUS_CHECKED Status op_measure_weights(Tensor *w);
/// x[M,N] += bias[1,N]; x may be a view
STATUS_CHECKED Status op_bias(Tensor *x, const Tensor *bias);
/// dbias[1,N] += column sums of dout[M,N], which may be a view
STATUS_CHECKED Status op_bias_backward(Tensor *dbias, const Tensor *dout);

// ---- embedding: table [V,C] of a type that kernels read; ids I32 [1,M] in [0,V) ----

STATUS_CHECKED Status op_embed(Tensor *out, const Tensor *table, const Tensor *ids);
/// Adds each row of dout to the row of dtable[V,C] that its id names. order (I32 [1,M]) holds the row numbers
/// sorted by id, then by row: a token's rows are added in this order. ids as in the forward.
STATUS_CHECKED Status op_embed_backward(Tensor *dtable, const Tensor *dout, const Tensor *ids,
                                        const Tensor *order);

// ---- RMSNorm: out = x · rstd · w, rstd = 1/sqrt(mean(x²) + eps); w is float32 [1,C] ----

STATUS_CHECKED Status op_rmsnorm(Tensor *out, Tensor *rstd /*[1,M]*/, const Tensor *x, const Tensor *w,
                                 float eps);
/// sum = a + b, and out = the RMSNorm of sum; out may be b, and sum is no operand.
STATUS_CHECKED Status op_add_rmsnorm(Tensor *sum, Tensor *out, Tensor *rstd /*[1,M]*/, const Tensor *a,
                                     const Tensor *b, const Tensor *w, float eps);
/// Adds to dx[M,C] and, unless it is NULL, to dw[1,C].
STATUS_CHECKED Status op_rmsnorm_backward(Tensor *dx, Tensor *dw, const Tensor *dout, const Tensor *x,
                                          const Tensor *w, const Tensor *rstd);

// ---- rotary embedding: pairs (i, i + D/2) as in Hugging Face; in place on q[M, H·D] and k[M, HK·D], views
// --

/// Turns each pair by the angle position · inv_freq[i]. direction: +1 forward, −1 backward (the inverse
/// rotation). positions I32 [1,M]; inv_freq float32 [1, D/2]. cos and sin are not scaled.
STATUS_CHECKED Status op_rope(Tensor *q, Tensor *k, const Tensor *positions, const Tensor *inv_freq,
                              size_t head_dim, int direction);

/// Where a forward's keys and values go: row i of k and of v to row rows[i] of the caches, which are whole
/// [·, HK·D]. rows I32 [1,M], distinct; k and v may be views.
typedef struct StoredKeys {
  Tensor *cache_k, *cache_v;
  const Tensor *k, *v, *rows;
} StoredKeys;
/// Turns q in place and k on its way to its cache, which has the bits of op_rope; v is copied to its own.
STATUS_CHECKED Status op_rope_keys(Tensor *q, const StoredKeys *keys, const Tensor *positions,
                                   const Tensor *inv_freq, size_t head_dim);

// ---- attention over spans ----
//
// Query row q sees the key rows [prefix_begin, prefix_end) and [own_begin, own_end): spans[q] holds these
// four numbers. An answer's prefix is its shared prompt. The prefix of a prompt's rows, and of text that
// shares no prompt, is empty. In training the key rows are the query rows themselves; while sampling they lie
// in a cache.
//
//        keys  0 1 2 3 | 4 5 6 | 7 8          prompt rows 0–3, answers 4–6 and 7–8
//   q=2        x x x .   . . .   . .          spans[2] = 0 0 0 3
//   q=5        x x x x   x x .   . .          spans[5] = 0 4 4 6
//   q=8        x x x x   . . .   x x          spans[8] = 0 4 7 9
//
// The backward needs the reverse: key row r is seen by the query rows [own_begin, own_end) and [child_begin,
// child_end), which are key_spans[r]. In the picture key_spans[2] = 2 4 4 9 and key_spans[5] = 5 7 0 0.

typedef struct AttentionShape {
  size_t heads, kv_heads, head_dim;
  float scale; // 1/sqrt(D)
} AttentionShape;

/// The operands of both directions. q, k, v, out and their gradients may be views.
typedef struct Attention {
  AttentionShape shape;
  const Tensor *q, *k, *v; // [M,H·D], [rows,HK·D], [rows,HK·D]
  const Tensor *spans;     // I32 [M,4]
  // The same on the host, from which a profile counts the work; without them it counts none.
  const int32_t *host_spans;

  Tensor *out; // [M,H·D]
  Tensor *lse; // [M,H] = log Σ exp(scores); may be NULL in the forward

  // Used only by the backward:
  Tensor *dq, *dk, *dv;    // shapes of q, k, v; overwritten
  Tensor *delta;           // [M,H] scratch
  const Tensor *dout;      // [M,H·D]
  const Tensor *key_spans; // I32 [M,4]
} Attention;

/// Writes out, and lse unless it is NULL.
STATUS_CHECKED Status op_attention(const Attention *attention);
/// Writes dq, dk, dv and delta from all the others. The key rows are the query rows.
STATUS_CHECKED Status op_attention_backward(const Attention *attention);

// ---- elementwise and rows ----

/// out = a + b (out may be a or b)
STATUS_CHECKED Status op_add(Tensor *out, const Tensor *a, const Tensor *b);
/// out = silu(gate) · up, silu(x) = x / (1 + exp(−x)); all may be views
STATUS_CHECKED Status op_swiglu(Tensor *out, const Tensor *gate, const Tensor *up);
/// Overwrites dgate and dup; dgate may be gate, and dup may be up. All may be views.
STATUS_CHECKED Status op_swiglu_backward(Tensor *dgate, Tensor *dup, const Tensor *dout, const Tensor *gate,
                                         const Tensor *up);
/// out[i, :] = x[rows[i], :] for the R rows of out; rows I32 [1,R]
STATUS_CHECKED Status op_gather_rows(Tensor *out, const Tensor *x, const Tensor *rows);
/// out[rows[i], :] = x[i, :]; rows distinct; x may be a view
STATUS_CHECKED Status op_store_rows(Tensor *out, const Tensor *x, const Tensor *rows);
/// out[rows[i], :] += x[i, :]; rows distinct
STATUS_CHECKED Status op_scatter_add_rows(Tensor *out, const Tensor *x, const Tensor *rows);
/// Inverted dropout: out = x · keep / (1 − p). keep is drawn from Philox with the key `seed` and the counter
/// (column, row_ids[row], stream, RNG_DROPOUT). row_ids I32 [1,M] identify a row wherever it lies in a micro
/// batch. The backward is the same call on the gradient.
STATUS_CHECKED Status op_dropout(Tensor *out, const Tensor *x, const Tensor *row_ids, float p, uint64_t seed,
                                 uint32_t stream);

// ---- entropy head: p = softmax(z / tau), H = −Σ p log p (nats) ----

/// stats[R,2] = (log Z, H) of logits[R,V], log Z = log Σ exp(z/tau).
STATUS_CHECKED Status op_entropy(Tensor *stats, const Tensor *logits, float tau);
/// Replaces logits by dL/dz = −(weight_r / tau) · p · (log p + H), using the stats of op_entropy;
/// weights[1,R] = dL/dH_r.
STATUS_CHECKED Status op_entropy_backward(Tensor *logits, const Tensor *stats, const Tensor *weights,
                                          float tau);
/// logprob[1,P] = z[rows[p], targets[p]] / tau − log Z[rows[p]]; rows, targets I32 [1,P]
STATUS_CHECKED Status op_pick_logprob(Tensor *logprob, const Tensor *logits, const Tensor *stats,
                                      const Tensor *rows, const Tensor *targets, float tau);

// ---- cross-entropy of given tokens: −log p, p = softmax(z) ----

/// largest[1,R] = log p of the likeliest token of each row, from the stats of op_entropy at tau 1. A token
/// that op_pick_logprob gives the same number is as likely.
STATUS_CHECKED Status op_largest_logprob(Tensor *largest, const Tensor *logits, const Tensor *stats);
/// Replaces logits by weight_r · p, from the stats of op_entropy at tau 1; weights[1,R]. With
/// op_subtract_targets of weights that add up to each row's, it becomes dL/dz of L = −Σ weight · log p.
STATUS_CHECKED Status op_cross_entropy_backward(Tensor *logits, const Tensor *stats, const Tensor *weights);
/// gradient[rows[i], targets[i]] −= weights[i]; rows, targets I32 [1,P], weights[1,P]; the pairs are
/// distinct.
STATUS_CHECKED Status op_subtract_targets(Tensor *gradient, const Tensor *rows, const Tensor *targets,
                                          const Tensor *weights);

// ---- divergence of a distribution p from another, q: KL(p‖q) = Σ p (log p − log q) (nats) ----

/// Pairs of distributions, softmax(z / tau) both: pair i has p from row rows[i] of `logits`, and q from row i
/// of `other`. stats are those of op_entropy.
typedef struct Divergence {
  const Tensor *logits, *stats;      // [R,V], [R,2]
  const Tensor *rows;                // I32 [1,P]
  const Tensor *other, *other_stats; // [P,V], [P,2]
  float tau;
} Divergence;

/// kl[1,P] = KL(p‖q), never below 0.
STATUS_CHECKED Status op_divergence(Tensor *kl, const Divergence *divergence);
/// Adds to gradient[R,V], for each pair in the row of its p, forward · dKL(p‖q)/dz + reverse · dKL(q‖p)/dz =
/// (forward / tau) · p · (log p − log q − KL) + (reverse / tau) · (p − q); weights[P,2] = (forward, reverse),
/// kl[1,P] of op_divergence. The rows are distinct.
STATUS_CHECKED Status op_divergence_backward(Tensor *gradient, const Tensor *kl, const Tensor *weights,
                                             const Divergence *divergence);

// ---- sampling, as transformers' logits processors define it and in their order ----

typedef struct SampleShape {
  float temperature;        // 0: the largest logit (lowest index on ties); else logits / temperature
  float top_p;              // 1: off
  size_t top_k;             // 0: off
  float repetition_penalty; // 1: off; applied first, to seen tokens: z < 0 ? z · penalty : z / penalty
} SampleShape;

/// tokens I32 [1,R] = one draw per row of logits[R,V] with uniforms[1,R] in [0,1): the first token, in index
/// order, at which the running share of the kept mass exceeds u. seen I32 [R, ceil(V/32)] has a bit per
/// token; the drawn token's bit is set. logits do not change. If top-p would cut between equal scores, all of
/// them are kept (in transformers the sort decides).
STATUS_CHECKED Status op_sample(Tensor *tokens, Tensor *seen, const Tensor *logits, const Tensor *uniforms,
                                SampleShape shape);

// ---- optimizer, over slabs of parameters ----

typedef struct AdamWShape {
  double lr, beta1, beta2, epsilon, weight_decay; // double: 1 − 0.999f is not 0.001
  uint32_t step;                                  // 1 for the first update
  double grad_scale;                              // factor on the gradient (clipping, averaging)
} AdamWShape;

/// PyTorch's AdamW: p -= lr·wd·p; m, v; p -= lr · m̂ / (sqrt(v̂) + eps).
STATUS_CHECKED Status op_adamw(Tensor *values, Tensor *m, Tensor *v, const Tensor *grads, AdamWShape shape);
/// *out = Σ x²: partial sums on the device in a fixed order, added in double. Waits for the device.
STATUS_CHECKED Status op_sum_squares(double *out, const Tensor *x);
/// out = x, rounded to the type of out: from float32 to F16 or BF16, or to float32 from any other type that
/// kernels read. The shapes are the same; x may be a view in the second case.
STATUS_CHECKED Status op_convert(Tensor *out, const Tensor *x);

// ---- self-test ----

/// SELFTEST_DEEP adds the checks of code that only large sizes reach: second slabs of long sums, full tiles,
/// long spans, the vendor's kernel for large products. A simulated device takes hours for these.
typedef enum SelftestDepth { SELFTEST_DEEP, SELFTEST_QUICK } SelftestDepth;
/// Called once per check, with its name and relative error.
typedef void (*SelftestReport)(void *user, const char *operation, double error, double tolerance,
                               bool passed);
/// Checks every operation on this device against known answers, in well under a second of device time.
/// `report` may be NULL. STATUS_FAILED names the first operation that is wrong.
STATUS_CHECKED Status ops_selftest(Ops *ops, SelftestDepth depth, SelftestReport report, void *user);
/// Called with every result that a check looks at, whole, before the check's report: always as many, in the
/// same order and from the same inputs.
typedef void (*SelftestOutput)(void *user, const float *values, size_t count);
/// The same self-test, and `output` hears what it computes.
STATUS_CHECKED Status ops_selftest_heard(Ops *ops, SelftestDepth depth, SelftestReport report,
                                         SelftestOutput output, void *user);
/// Whether a device may do without the check of this name: it is of products that it was asked to compute in
/// another way.
bool selftest_is_optional(const char *operation);
