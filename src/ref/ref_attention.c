// Attention over spans in double: softmax by its definition over the keys a query sees.
#include "ref/ref.h"

#include <math.h>

/// q · k · scale of query row m and key row r under `head`.
static double score(const double *q, const double *k, size_t m, size_t r, size_t head, RefAttention s) {
  const double *query = q + (m * s.heads + head) * s.D;
  const double *key = k + (r * s.kv_heads + head / (s.heads / s.kv_heads)) * s.D;
  double dot = 0;
  for (size_t d = 0; d < s.D; d++) dot += query[d] * key[d];
  return dot * s.scale;
}

/// Each key row r that a span lets its query see: the prefix, then its own.
#define EACH_KEY(r, span)                                                                                    \
  for (size_t part_ = 0; part_ < 4; part_ += 2)                                                              \
    for (size_t r = (size_t)(span)[part_]; r < (size_t)(span)[part_ + 1]; r++)

void ref_attention(double *out, double *lse, const double *q, const double *k, const double *v,
                   const int32_t *spans, RefAttention s) {
  for (size_t m = 0; m < s.M; m++) {
    for (size_t head = 0; head < s.heads; head++) {
      double top = -INFINITY, mass = 0, *row = out + (m * s.heads + head) * s.D;
      EACH_KEY(r, spans + 4 * m) top = fmax(top, score(q, k, m, r, head, s));
      EACH_KEY(r, spans + 4 * m) mass += exp(score(q, k, m, r, head, s) - top);
      lse[m * s.heads + head] = top + log(mass);
      for (size_t d = 0; d < s.D; d++) row[d] = 0;
      EACH_KEY(r, spans + 4 * m) {
        double p = exp(score(q, k, m, r, head, s) - top) / mass;
        const double *value = v + (r * s.kv_heads + head / (s.heads / s.kv_heads)) * s.D;
        for (size_t d = 0; d < s.D; d++) row[d] += p * value[d];
      }
    }
  }
}

/// One query row and head: dq overwritten, dk and dv added to.
static void backward_row(double *dq, double *dk, double *dv, const double *dout, const double *q,
                         const double *k, const double *v, const double *out, double lse, const int32_t *span,
                         size_t m, size_t head, RefAttention s) {
  size_t at = (m * s.heads + head) * s.D;
  double delta = 0;
  for (size_t d = 0; d < s.D; d++) {
    delta += dout[at + d] * out[at + d];
    dq[at + d] = 0;
  }
  EACH_KEY(r, span) {
    size_t key = (r * s.kv_heads + head / (s.heads / s.kv_heads)) * s.D;
    double p = exp(score(q, k, m, r, head, s) - lse), dp = 0;
    for (size_t d = 0; d < s.D; d++) dp += dout[at + d] * v[key + d];
    double ds = p * (dp - delta) * s.scale;
    for (size_t d = 0; d < s.D; d++) {
      dq[at + d] += ds * k[key + d];
      dk[key + d] += ds * q[at + d];
      dv[key + d] += p * dout[at + d];
    }
  }
}

void ref_attention_backward(double *dq, double *dk, double *dv, const double *dout, const double *q,
                            const double *k, const double *v, const double *out, const double *lse,
                            const int32_t *spans, RefAttention s) {
  for (size_t i = 0; i < s.key_rows * s.kv_heads * s.D; i++) dk[i] = dv[i] = 0;
  for (size_t m = 0; m < s.M; m++) {
    for (size_t head = 0; head < s.heads; head++) {
      backward_row(dq, dk, dv, dout, q, k, v, out, lse[m * s.heads + head], spans + 4 * m, m, head, s);
    }
  }
}
