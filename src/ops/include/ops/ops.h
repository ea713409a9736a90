// The operations of a transformer, each forward beside its backward. Outputs come first. Names of sizes:
//
//   M rows (tokens)    C width    V vocabulary    H heads    HK key/value heads    D head width    R rank or tile rows
//
// Every tensor is float32 unless said otherwise; row counts are the tensors' own `rows` (use tensor_rows to run on less). A
// tensor is dense and begins where its buffer does, unless its comment says "view": then its rows may lie apart. Reductions run in a fixed order: the same inputs on the same device give the same bits, and a row's result does
// not depend on how many other rows there are (own GEMM; a vendor's may). No call allocates device memory after warm-up
// except ops' own scratch, which is counted as activations.
#pragma once

#include "ops/tensor.h"

// ---- linear: w is [N, K] as PyTorch stores it; F32, F16 or BF16. All of them views, biases excepted ----

/// out[M,N] = alpha · x[M,K] · wᵀ + beta · out
STATUS_CHECKED Status op_linear(Tensor *out, const Tensor *x, const Tensor *w, float alpha, float beta);
/// dx[M,K] = alpha · dout[M,N] · w + beta · dx
STATUS_CHECKED Status op_linear_dx(Tensor *dx, const Tensor *dout, const Tensor *w, float alpha, float beta);
/// dw[N,K] = alpha · dout[M,N]ᵀ · x[M,K] + beta · dw (float32)
STATUS_CHECKED Status op_linear_dw(Tensor *dw, const Tensor *dout, const Tensor *x, float alpha, float beta);
/// x[M,N] += bias[1,N]; x a view
STATUS_CHECKED Status op_bias(Tensor *x, const Tensor *bias);
/// dbias[1,N] += column sums of dout[M,N], a view
STATUS_CHECKED Status op_bias_backward(Tensor *dbias, const Tensor *dout);

// ---- embedding: table [V,C] F32, F16 or BF16; ids I32 [1,M] in [0,V) ----

STATUS_CHECKED Status op_embed(Tensor *out, const Tensor *table, const Tensor *ids);
/// dtable[V,C] += rows of dout, for each token in the order of `order` (I32 [1,M]: row numbers sorted by id, ties by
/// row), so the sum has one order. ids as in the forward.
STATUS_CHECKED Status op_embed_backward(Tensor *dtable, const Tensor *dout, const Tensor *ids,
                                        const Tensor *order);

// ---- RMSNorm: out = x · rstd · w, rstd = 1/sqrt(mean(x²) + eps); w is float32 [1,C] ----

STATUS_CHECKED Status op_rmsnorm(Tensor *out, Tensor *rstd /*[1,M]*/, const Tensor *x, const Tensor *w,
                                 float eps);
/// dx += …; dw[1,C] += … (dw may be NULL)
STATUS_CHECKED Status op_rmsnorm_backward(Tensor *dx, Tensor *dw, const Tensor *dout, const Tensor *x,
                                          const Tensor *w, const Tensor *rstd);

// ---- rotary embedding (rotate-half as Hugging Face: pairs (i, i + D/2)), in place on x[M, heads·D], a view ----

/// angle = position · inv_freq[i]; direction +1 forward, −1 backward (the inverse rotation). positions I32 [1,M];
/// inv_freq float32 [1, D/2]. cos and sin are scaled by 1 (attention scaling is the caller's).
STATUS_CHECKED Status op_rope(Tensor *x, const Tensor *positions, const Tensor *inv_freq, size_t head_dim,
                              int direction);

// ---- attention over spans ----
//
// Query row q sees key rows [prefix_begin, prefix_end) and then [own_begin, own_end): spans[q] = those four numbers.
// The shared prompt of an answer is its prefix; a prompt row, and a row of unshared text, has an empty prefix. In training
// the key rows are the query rows themselves; while sampling they lie in a cache.
//
//        keys  0 1 2 3 | 4 5 6 | 7 8          prompt rows 0–3, answers 4–6 and 7–8
//   q=2        x x x .   . . .   . .          spans[2] = 0 0 0 3
//   q=5        x x x x   x x .   . .          spans[5] = 0 4 4 6
//   q=8        x x x x   . . .   x x          spans[8] = 0 4 7 9
//
// Backward walks the other way: key row r is seen by query rows [own_begin, own_end) and [child_begin, child_end):
// key_spans[r]; above: key_spans[2] = 2 4 4 9, key_spans[5] = 5 7 0 0.

typedef struct AttentionShape {
  size_t heads, kv_heads, head_dim;
  float scale; // 1/sqrt(D)
} AttentionShape;

/// The operands of both directions; the forward looks only at those of the first two groups.
typedef struct Attention {
  AttentionShape shape;
  const Tensor *q, *k, *v; // views: [M,H·D], [rows,HK·D] twice
  const Tensor *spans;     // I32 [M,4]

  Tensor *out; // view: [M,H·D]
  Tensor *lse; // [M,H] = log Σ exp(scores); in the forward it may be NULL

  Tensor *dq, *dk, *dv;    // views: as q, k, v; overwritten
  Tensor *delta;           // [M,H] scratch
  const Tensor *dout;      // view: as out
  const Tensor *key_spans; // I32 [M,4]
} Attention;

/// Writes out and lse.
STATUS_CHECKED Status op_attention(const Attention *attention);
/// Writes dq, dk, dv and delta, from all the others. Key rows = query rows.
STATUS_CHECKED Status op_attention_backward(const Attention *attention);

// ---- elementwise and rows ----

/// out = a + b (out may be a or b)
STATUS_CHECKED Status op_add(Tensor *out, const Tensor *a, const Tensor *b);
/// out = silu(gate) · up, silu(x) = x / (1 + exp(−x)); views
STATUS_CHECKED Status op_swiglu(Tensor *out, const Tensor *gate, const Tensor *up);
/// dgate, dup overwritten (dgate may be gate's memory, dup may be up's); views
STATUS_CHECKED Status op_swiglu_backward(Tensor *dgate, Tensor *dup, const Tensor *dout, const Tensor *gate,
                                         const Tensor *up);
/// out[R,C] = x[rows[i], :]; rows I32 [1,R]
STATUS_CHECKED Status op_gather_rows(Tensor *out, const Tensor *x, const Tensor *rows);
/// out[rows[i], :] = x[i, :]; rows distinct; x a view
STATUS_CHECKED Status op_store_rows(Tensor *out, const Tensor *x, const Tensor *rows);
/// out[rows[i], :] += x[i, :]; rows distinct
STATUS_CHECKED Status op_scatter_add_rows(Tensor *out, const Tensor *x, const Tensor *rows);
/// Inverted dropout: out = x · keep / (1 − p), keep drawn from Philox(key = seed, counter = (column, row_ids[row], stream,
/// RNG_DROPOUT)); row_ids I32 [1,M] name a row independently of its place in a micro batch. The backward is the same call
/// on the gradient.
STATUS_CHECKED Status op_dropout(Tensor *out, const Tensor *x, const Tensor *row_ids, float p, uint64_t seed,
                                 uint32_t stream);

// ---- entropy head: p = softmax(z / tau), H = −Σ p log p (nats) ----

/// stats[R,2] = (log Z, H) of logits[R,V], log Z = log Σ exp(z/tau).
STATUS_CHECKED Status op_entropy(Tensor *stats, const Tensor *logits, float tau);
/// logits become dL/dz in place: −(weight_r / tau) · p · (log p + H), from the kept stats; weights [1,R] = dL/dH_r.
STATUS_CHECKED Status op_entropy_backward(Tensor *logits, const Tensor *stats, const Tensor *weights,
                                          float tau);
/// logprob[1,P] = z[rows[p], targets[p]] / tau − log Z[rows[p]]; rows, targets I32 [1,P]
STATUS_CHECKED Status op_pick_logprob(Tensor *logprob, const Tensor *logits, const Tensor *stats,
                                      const Tensor *rows, const Tensor *targets, float tau);

// ---- sampling, as transformers' logits processors define it, in its order ----

typedef struct SampleShape {
  float temperature;        // 0: the largest logit (lowest index on ties); else logits / temperature
  float top_p;              // 1: off
  size_t top_k;             // 0: off
  float repetition_penalty; // 1: off; seen tokens: z < 0 ? z · penalty : z / penalty, first of all
} SampleShape;

/// tokens I32 [1,R] = a draw per row of logits[R,V] with uniforms[1,R] in [0,1): the first token, in index order, whose
/// running share of the kept mass exceeds u. seen I32 [R, ceil(V/32)]: bit t of a row is set where token t was seen; the
/// drawn token's bit is set. logits are left as they are. Where top-p would cut between equal scores, all of them stay
/// (transformers' sort leaves open which of them go).
STATUS_CHECKED Status op_sample(Tensor *tokens, Tensor *seen, const Tensor *logits, const Tensor *uniforms,
                                SampleShape shape);

// ---- optimizer, over slabs of parameters ----

typedef struct AdamWShape {
  double lr, beta1, beta2, epsilon, weight_decay; // double: 1 − 0.999f is not 0.001
  uint32_t step;                                  // 1 at the first update
  double grad_scale;                              // multiplies the gradient first (clipping, averaging)
} AdamWShape;

/// PyTorch's AdamW: p -= lr·wd·p; m, v; p -= lr · m̂ / (sqrt(v̂) + eps).
STATUS_CHECKED Status op_adamw(Tensor *values, Tensor *m, Tensor *v, const Tensor *grads, AdamWShape shape);
/// *out = Σ x² in double (partial sums on the device in a fixed order). Waits for the device.
STATUS_CHECKED Status op_sum_squares(double *out, const Tensor *x);
/// values F16/BF16 from float32, or the reverse, same shape.
STATUS_CHECKED Status op_convert(Tensor *out, const Tensor *x);

/// SELFTEST_DEEP also runs what only large sizes reach: second slabs of long sums, full tiles, long spans, the vendor's
/// kernel for large products. A simulator takes hours for these.
typedef enum SelftestDepth { SELFTEST_DEEP, SELFTEST_QUICK } SelftestDepth;
/// Runs every operation on known answers on this device, in well under a second of device time. `report`, unless NULL, is called
/// once a check with its name and relative error; STATUS_FAILED names the first that is wrong.
typedef void (*SelftestReport)(void *user, const char *operation, double error, double tolerance,
                               bool passed);
STATUS_CHECKED Status ops_selftest(Ops *ops, SelftestDepth depth, SelftestReport report, void *user);
