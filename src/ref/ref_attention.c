// Attention over spans in double: softmax by its definition, over the keys that a query sees.
#include "ref/ref.h"

#include <math.h>

/// Where the head of query row m begins in q, out and their gradients.
static size_t query_offset(const RefAttention *a, size_t m, size_t head) {
  return (m * a->heads + head) * a->D;
}
/// Where the key/value head that `head` shares begins in row r of k, v and their gradients.
static size_t key_offset(const RefAttention *a, size_t r, size_t head) {
  return (r * a->kv_heads + head / (a->heads / a->kv_heads)) * a->D;
}

/// q · k · scale
static double score(const RefAttention *a, size_t query, size_t key) {
  double dot = 0;
  for (size_t d = 0; d < a->D; d++) dot += a->q[query + d] * a->k[key + d];
  return dot * a->scale;
}

/// For each key row r that a query with this span sees: the prefix, then its own rows.
#define EACH_KEY(r, span)                                                                                    \
  for (size_t part_ = 0; part_ < 4; part_ += 2)                                                              \
    for (size_t r = (size_t)(span)[part_]; r < (size_t)(span)[part_ + 1]; r++)

static void forward_row(const RefAttention *a, size_t m, size_t head) {
  size_t query = query_offset(a, m, head);
  const int32_t *span = a->spans + 4 * m;
  double top = -INFINITY, mass = 0, *row = a->out + query;
  EACH_KEY(r, span) top = fmax(top, score(a, query, key_offset(a, r, head)));
  EACH_KEY(r, span) mass += exp(score(a, query, key_offset(a, r, head)) - top);
  a->lse[m * a->heads + head] = top + log(mass);
  for (size_t d = 0; d < a->D; d++) row[d] = 0;
  EACH_KEY(r, span) {
    size_t key = key_offset(a, r, head);
    double p = exp(score(a, query, key) - top) / mass;
    for (size_t d = 0; d < a->D; d++) row[d] += p * a->v[key + d];
  }
}

void ref_attention(const RefAttention *a) {
  for (size_t m = 0; m < a->M; m++) {
    for (size_t head = 0; head < a->heads; head++) forward_row(a, m, head);
  }
}

/// For one query row and head: overwrites its dq, and adds its share to dk and dv.
static void backward_row(const RefAttention *a, size_t m, size_t head) {
  size_t query = query_offset(a, m, head);
  double lse = a->lse[m * a->heads + head], delta = 0;
  for (size_t d = 0; d < a->D; d++) {
    delta += a->dout[query + d] * a->out[query + d];
    a->dq[query + d] = 0;
  }
  EACH_KEY(r, a->spans + 4 * m) {
    size_t key = key_offset(a, r, head);
    double p = exp(score(a, query, key) - lse), dp = 0;
    for (size_t d = 0; d < a->D; d++) dp += a->dout[query + d] * a->v[key + d];
    double ds = p * (dp - delta) * a->scale;
    for (size_t d = 0; d < a->D; d++) {
      a->dq[query + d] += ds * a->k[key + d];
      a->dk[key + d] += ds * a->q[query + d];
      a->dv[key + d] += p * a->dout[query + d];
    }
  }
}

void ref_attention_backward(const RefAttention *a) {
  for (size_t i = 0; i < a->key_rows * a->kv_heads * a->D; i++) a->dk[i] = a->dv[i] = 0;
  for (size_t m = 0; m < a->M; m++) {
    for (size_t head = 0; head < a->heads; head++) backward_row(a, m, head);
  }
}
