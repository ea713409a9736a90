// Attention over spans, forward and backward.
#include "attention.h"

#include "context.h"
#include "grid.h"
#include "util/memory.h"
#include <stdlib.h>

enum { HEAD_DIM_MAX = 256 }; // as in cl/attention.cl and cl/attention_cpu.cl

static Status check_shape(const char *op, const Attention *a) {
  const AttentionShape *shape = &a->shape;
  if (shape->head_dim == 0 || shape->head_dim > HEAD_DIM_MAX || shape->kv_heads == 0 ||
      shape->heads % shape->kv_heads != 0) {
    return status_fail(STATUS_FAILED,
                       "%s: cannot do %zu heads over %zu key/value heads of width %zu (at most %d)", op,
                       shape->heads, shape->kv_heads, shape->head_dim, HEAD_DIM_MAX);
  }
  TRY(ops_check_shape(op, "q", a->q, a->q->rows, shape->heads * shape->head_dim));
  TRY(ops_check_shape(op, "k", a->k, a->k->rows, shape->kv_heads * shape->head_dim));
  TRY(ops_check_shape(op, "v", a->v, a->k->rows, shape->kv_heads * shape->head_dim));
  TRY(ops_check_shape(op, "out", a->out, a->q->rows, a->q->cols));
  TRY(ops_check_type(op, "spans", a->spans, DTYPE_I32));
  return ops_check_shape(op, "spans", a->spans, a->q->rows, 4);
}

/// Groups over query rows. A group's lanes hold the query heads that share one key/value head, for as many
/// rows as fit.
static Grid query_grid(const KernelFamily *family, const Attention *a) {
  size_t lanes = family->attention.lanes, items = family->attention.items;
  size_t group_heads = a->shape.heads / a->shape.kv_heads;
  size_t block = group_heads < lanes ? lanes / group_heads : 1;
  return (Grid){.groups = {pieces(a->q->rows, block), a->shape.kv_heads * pieces(group_heads, lanes), 1},
                .items = {items, items, 1}};
}

/// Groups over key rows, one row per lane.
static Grid key_grid(const KernelFamily *family, const Attention *a) {
  size_t items = family->attention.items;
  return (Grid){.groups = {pieces(a->q->rows, family->attention.lanes), a->shape.kv_heads, 1},
                .items = {items, items, 1}};
}

#define ARG_SHAPE(a)                                                                                         \
  ARG_UINT((a)->q->rows), ARG_UINT((a)->shape.heads), ARG_UINT((a)->shape.kv_heads),                         \
      ARG_UINT((a)->shape.head_dim), ARG_FLOAT((a)->shape.scale)
#define COUNT(array) (sizeof(array) / sizeof *(array))

Status attention_forward(const KernelFamily *family, const Attention *a) {
  const char *op = "op_attention";
  TRY(check_shape(op, a));
  if (a->lse != NULL) TRY(ops_check_shape(op, "lse", a->lse, a->q->rows, a->shape.heads));
  // The kernel takes a buffer for lse even if it does not write it.
  KernelArgument kept = a->lse != NULL ? ARG_TENSOR(a->lse) : ARG_BUFFER(a->out->buffer);
  const KernelArgument arguments[] = {
      ARG_VIEW(a->out),     kept,         ARG_VIEW(a->q),          ARG_VIEW(a->k), ARG_VIEW(a->v),
      ARG_TENSOR(a->spans), ARG_SHAPE(a), ARG_UINT(a->lse != NULL)};
  return ops_launch(a->out->ops, family->attention.forward, query_grid(family, a), arguments,
                    COUNT(arguments));
}

static Status check_backward(const Attention *a) {
  const char *op = "op_attention_backward";
  TRY(check_shape(op, a));
  TRY(ops_check_shape(op, "k", a->k, a->q->rows, a->k->cols));
  TRY(ops_check_shape(op, "dq", a->dq, a->q->rows, a->q->cols));
  TRY(ops_check_shape(op, "dout", a->dout, a->q->rows, a->q->cols));
  TRY(ops_check_shape(op, "dk", a->dk, a->k->rows, a->k->cols));
  TRY(ops_check_shape(op, "dv", a->dv, a->k->rows, a->k->cols));
  TRY(ops_check_shape(op, "lse", a->lse, a->q->rows, a->shape.heads));
  TRY(ops_check_shape(op, "delta", a->delta, a->q->rows, a->shape.heads));
  TRY(ops_check_type(op, "key_spans", a->key_spans, DTYPE_I32));
  return ops_check_shape(op, "key_spans", a->key_spans, a->q->rows, 4);
}

Status attention_backward(const KernelFamily *family, const Attention *a) {
  TRY(check_backward(a));
  const KernelArgument for_dq[] = {
      ARG_VIEW(a->dq), ARG_TENSOR(a->delta), ARG_VIEW(a->dout),  ARG_VIEW(a->q),       ARG_VIEW(a->k),
      ARG_VIEW(a->v),  ARG_VIEW(a->out),     ARG_TENSOR(a->lse), ARG_TENSOR(a->spans), ARG_SHAPE(a)};
  TRY(ops_launch(a->dq->ops, family->attention.dq, query_grid(family, a), for_dq, COUNT(for_dq)));
  const KernelArgument for_dkv[] = {
      ARG_VIEW(a->dk), ARG_VIEW(a->dv),    ARG_VIEW(a->dout),    ARG_VIEW(a->q),           ARG_VIEW(a->k),
      ARG_VIEW(a->v),  ARG_TENSOR(a->lse), ARG_TENSOR(a->delta), ARG_TENSOR(a->key_spans), ARG_SHAPE(a)};
  return ops_launch(a->dq->ops, family->attention.dkv, key_grid(family, a), for_dkv, COUNT(for_dkv));
}

/// What the query rows see.
typedef struct Seen {
  double pairs; // of a query row and a key row
  double keys;  // key rows that any query row sees
} Seen;

static void see(const int32_t *range, size_t rows, bool *seen, Seen *sum) {
  for (size_t key = (size_t)range[0]; key < (size_t)range[1] && key < rows; key++) {
    sum->pairs++;
    sum->keys += !seen[key];
    seen[key] = true;
  }
}

/// Without memory it counts nothing, as without host_spans.
static Seen count_seen(const Attention *a) {
  Seen sum = {0};
  bool *seen = NULL;
  if (!ops_is_profiled(a->q->ops) || a->host_spans == NULL) return sum;
  if (mem_array(&seen, a->k->rows, "key rows") != STATUS_OK) return sum;
  for (size_t i = 0; i < 2 * a->q->rows; i++) see(a->host_spans + 2 * i, a->k->rows, seen, &sum);
  free(seen);
  return sum;
}

/// `products` of a head's rows with each key that a query sees, `rows` tensors like q, and `key_rows` like k.
static OpsWork attention_work(const Attention *a, double products, double rows, double key_rows) {
  Seen seen = count_seen(a);
  double width = (double)(a->shape.heads * a->shape.head_dim),
         key_width = (double)(a->shape.kv_heads * a->shape.head_dim);
  return (OpsWork){.flops = 2 * products * seen.pairs * width,
                   .bytes = 4 * (rows * (double)a->q->rows * width + key_rows * seen.keys * key_width)};
}

// Scores and values; and again in the backward, with the gradients of queries, keys and values.
enum { FORWARD_PRODUCTS = 2, BACKWARD_PRODUCTS = 5 };

Status op_attention(const Attention *attention) {
  OpsWork work = attention_work(attention, FORWARD_PRODUCTS, 2, 2);
  OPERATION_OF(attention->out->ops, "attention", work.flops, work.bytes);
  return attention_forward(attention->out->ops->family, attention);
}

Status op_attention_backward(const Attention *attention) {
  OpsWork work = attention_work(attention, BACKWARD_PRODUCTS, 4, 4);
  OPERATION_OF(attention->dq->ops, "attention backward", work.flops, work.bytes);
  return attention_backward(attention->dq->ops->family, attention);
}
