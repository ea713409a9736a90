// Attention over spans for CPU devices (ops/ops.h has the picture of spans, attention.cl the formulas). One
// work item holds 16 queries (forward, dq) or 16 keys (dk, dv), transposed: one per SIMD lane. So no sum runs
// across lanes, and each element of a key (or query) is broadcast into one multiply-add:
//
//            lane 0   lane 1   …     forward, dq: a lane is a query row and one of the heads that share a
//   qt[0]    q0[0]    q1[0]          key/value head, so that these heads share each key they read
//   qt[1]    q0[1]    q1[1]          dk, dv: a lane is a key row
//   …
//
// Eight keys (queries) are processed together, so that each accumulator is loaded and stored once for all
// eight.
// Rule: a lane adds its own keys in its own order, and the keys that it does not see add an exact 0, whatever
// the other lanes see. So a row's result does not depend on the rows beside it.
#include "lanes.h"

#define HEAD_DIM_MAX 256
#define EACH(X)      X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)
#define TOGETHER     8

/// Where head `head` of row `row` begins in a view.
#define HEAD(name, row, head) (name + name##_first + (size_t)(row)*name##_pitch + (size_t)(head)*head_dim)
#define KEY_ROW(name, row)    HEAD(name, row, kv)

/// The rows and heads of an array [·, heads · dim] that a work item's lanes hold.
typedef struct Lanes {
  uint row0, rows, head0, heads;
  uint stride; // lanes from one row to the next
} Lanes;

/// The number of work items that share out the query heads of one key/value head, 16 heads each.
#define LANE_CHUNKS(group_heads) (((group_heads) + LANES - 1) / LANES)

/// The lanes of a work item of the forward and of dq: lane = row · stride + head.
INLINE Lanes query_lanes(uint rows, uint group_heads) {
  uint chunks = LANE_CHUNKS(group_heads), kv = group_id(1) / chunks;
  uint stride = group_heads < LANES ? group_heads : LANES,
       block = group_heads < LANES ? LANES / group_heads : 1;
  uint row0 = group_id(0) * block, head0 = kv * group_heads + group_id(1) % chunks * LANES;
  Lanes held = {row0, min(block, rows - row0), head0, min(stride, (kv + 1) * group_heads - head0), stride};
  return held;
}

/// Lane (r, h) of to[d] = factor · from[row0 + r, (head0 + h) · dim + d], where rows lie `pitch` apart. Lanes
/// without a row or head are 0.
INLINE void load_transposed(lanes *to, GLOBAL const float *from, size_t pitch, Lanes held, uint dim,
                            float factor) {
  float *flat = (float *)to;
  for (uint d = 0; d < dim; d++) to[d] = lanes_of(0.0f);
  for (uint r = 0; r < held.rows; r++) {
    for (uint h = 0; h < held.heads; h++) {
      GLOBAL const float *head = from + (held.row0 + r) * pitch + (size_t)(held.head0 + h) * dim;
      uint lane = r * held.stride + h;
      for (uint d = 0; d < dim; d++) flat[d * LANES + lane] = factor * head[d];
    }
  }
}

/// The reverse: to[row0 + r, (head0 + h) · dim + d] = lane (r, h) of from[d].
INLINE void store_transposed(GLOBAL float *to, const lanes *from, size_t pitch, Lanes held, uint dim) {
  const float *flat = (const float *)from;
  for (uint r = 0; r < held.rows; r++) {
    for (uint h = 0; h < held.heads; h++) {
      GLOBAL float *head = to + (held.row0 + r) * pitch + (size_t)(held.head0 + h) * dim;
      uint lane = r * held.stride + h;
      for (uint d = 0; d < dim; d++) head[d] = flat[d * LANES + lane];
    }
  }
}

/// Starts a run: all rows from row0 + first on whose span `part` (0 prefix, 1 own) has the same *begin. Marks
/// them in *done. ends[lane] = where the span of the lane's row ends, or *begin if the row is not in the run.
/// Returns the largest end.
INLINE int open_run(int *ends, uint *done, int *begin, GLOBAL const int *spans, Lanes held, uint first,
                    uint part) {
  *begin = spans[(size_t)(held.row0 + first) * 4 + 2 * part];
  int last = *begin;
  for (uint lane = 0; lane < LANES; lane++) ends[lane] = *begin;
  for (uint r = first; r < held.rows; r++) {
    GLOBAL const int *span = spans + (size_t)(held.row0 + r) * 4 + 2 * part;
    if (span[0] != *begin) continue;
    *done |= 1u << r;
    last = span[1] > last ? span[1] : last;
    for (uint h = 0; h < held.stride; h++) ends[r * held.stride + h] = span[1];
  }
  return last;
}

/// out[rows,heads·D], lse[rows,heads] if keep_lse; q as out; k, v [·, kv_heads·D]; spans[rows,4].
/// Groups: (blocks of rows, kv heads · chunks of 16 of their query heads), one work item each.
KERNEL(attention_cpu)
(VIEW(float, out), GLOBAL float *RESTRICT lse, VIEW(const float, q), VIEW(const float, k),
 VIEW(const float, v), GLOBAL const int *RESTRICT spans, uint rows, uint heads, uint kv_heads, uint head_dim,
 float scale, uint keep_lse) {
  uint group_heads = heads / kv_heads, kv = group_id(1) / LANE_CHUNKS(group_heads);
  Lanes held = query_lanes(rows, group_heads);
  lanes qt[HEAD_DIM_MAX], sum[HEAD_DIM_MAX];
  load_transposed(qt, q + q_first, q_pitch, held, head_dim, scale);
  for (uint d = 0; d < head_dim; d++) sum[d] = lanes_of(0.0f);
  lanes m = lanes_of(LOWEST), mass = lanes_of(0.0f);

  for (uint part = 0; part < 2; part++) {
    uint done = 0;
    for (uint first = 0; first < held.rows; first++) {
      if (done >> first & 1u) continue;
      int ends[LANES], begin;
      int end = open_run(ends, &done, &begin, spans, held, first, part);
      int16 lane_end = vload16(0, ends);
      for (int key = begin; key < end; key += TOGETHER) {
        // Past the end the last key is read again; every lane masks it.
#define KEY(i)                                                                                               \
  GLOBAL const float *k##i = KEY_ROW(k, min(key + i, end - 1)), *v##i = KEY_ROW(v, min(key + i, end - 1));   \
  lanes s##i = lanes_of(0.0f);
        EACH(KEY)
        for (uint d = 0; d < head_dim; d++) {
          lanes qd = qt[d];
#define SCORE(i) s##i = fma(qd, lanes_of(k##i[d]), s##i);
          EACH(SCORE)
        }
        lanes top = m;
#define MASK(i)                                                                                              \
  int16 seen##i = key + i < lane_end;                                                                        \
  s##i = seen##i ? s##i : lanes_of(LOWEST);                                                                  \
  top = fmax(top, s##i);
        EACH(MASK)
        lanes shrink = lanes_exp(m - top);
        m = top;
        mass *= shrink;
#define WEIGH(i)                                                                                             \
  s##i = seen##i ? lanes_exp(s##i - m) : lanes_of(0.0f);                                                     \
  mass += s##i;
        EACH(WEIGH)
        for (uint d = 0; d < head_dim; d++) {
          lanes a = sum[d] * shrink;
#define VALUE(i) a = fma(s##i, lanes_of(v##i[d]), a);
          EACH(VALUE)
          sum[d] = a;
        }
      }
    }
  }
  lanes share = lanes_of(1.0f) / mass;
  for (uint d = 0; d < head_dim; d++) sum[d] *= share;
  store_transposed(out + out_first, sum, out_pitch, held, head_dim);
  if (keep_lse) {
    lanes value = m + log(mass);
    store_transposed(lse, &value, heads, held, 1);
  }
}

/// dq[rows,heads·D], delta[rows,heads] from dout, q, out [rows,heads·D], k, v [rows,kv_heads·D],
/// lse[rows,heads]. Groups as in attention_cpu.
KERNEL(attention_dq_cpu)
(VIEW(float, dq), GLOBAL float *RESTRICT delta, VIEW(const float, dout), VIEW(const float, q),
 VIEW(const float, k), VIEW(const float, v), VIEW(const float, out), GLOBAL const float *RESTRICT lse,
 GLOBAL const int *RESTRICT spans, uint rows, uint heads, uint kv_heads, uint head_dim, float scale) {
  uint group_heads = heads / kv_heads, kv = group_id(1) / LANE_CHUNKS(group_heads);
  Lanes held = query_lanes(rows, group_heads);
  lanes qt[HEAD_DIM_MAX], ot[HEAD_DIM_MAX], sum[HEAD_DIM_MAX], row_lse, row_delta = lanes_of(0.0f);
  load_transposed(qt, q + q_first, q_pitch, held, head_dim, scale);
  load_transposed(sum, out + out_first, out_pitch, held, head_dim, 1.0f);
  load_transposed(ot, dout + dout_first, dout_pitch, held, head_dim, 1.0f);
  load_transposed(&row_lse, lse, heads, held, 1, 1.0f);
  for (uint d = 0; d < head_dim; d++) {
    row_delta = fma(ot[d], sum[d], row_delta);
    sum[d] = lanes_of(0.0f);
  }
  store_transposed(delta, &row_delta, heads, held, 1);

  for (uint part = 0; part < 2; part++) {
    uint done = 0;
    for (uint first = 0; first < held.rows; first++) {
      if (done >> first & 1u) continue;
      int ends[LANES], begin;
      int end = open_run(ends, &done, &begin, spans, held, first, part);
      int16 lane_end = vload16(0, ends);
      for (int key = begin; key < end; key += TOGETHER) {
#define KEY_BACK(i)                                                                                          \
  GLOBAL const float *k##i = KEY_ROW(k, min(key + i, end - 1)), *v##i = KEY_ROW(v, min(key + i, end - 1));   \
  lanes s##i = lanes_of(0.0f), dp##i = lanes_of(0.0f);
        EACH(KEY_BACK)
        for (uint d = 0; d < head_dim; d++) {
          lanes qd = qt[d], od = ot[d];
#define SCORE_BACK(i)                                                                                        \
  s##i = fma(qd, lanes_of(k##i[d]), s##i);                                                                   \
  dp##i = fma(od, lanes_of(v##i[d]), dp##i);
          EACH(SCORE_BACK)
        }
#define WEIGH_BACK(i)                                                                                        \
  s##i = key + i < lane_end ? lanes_exp(s##i - row_lse) * (dp##i - row_delta) : lanes_of(0.0f);
        EACH(WEIGH_BACK)
        for (uint d = 0; d < head_dim; d++) {
          lanes a = sum[d];
#define KEY_SUM(i) a = fma(s##i, lanes_of(k##i[d]), a);
          EACH(KEY_SUM)
          sum[d] = a;
        }
      }
    }
  }
  for (uint d = 0; d < head_dim; d++) sum[d] *= scale;
  store_transposed(dq + dq_first, sum, dq_pitch, held, head_dim);
}

/// dk, dv [rows,kv_heads·D] from dout, q [rows,heads·D], k, v as dk, lse, delta [rows,heads],
/// key_spans[rows,4]. Groups: (blocks of 16 key rows, kv heads), one work item each.
KERNEL(attention_dkv_cpu)
(VIEW(float, dk), VIEW(float, dv), VIEW(const float, dout), VIEW(const float, q), VIEW(const float, k),
 VIEW(const float, v), GLOBAL const float *RESTRICT lse, GLOBAL const float *RESTRICT delta,
 GLOBAL const int *RESTRICT key_spans, uint rows, uint heads, uint kv_heads, uint head_dim, float scale) {
  uint group_heads = heads / kv_heads, kv = group_id(1), row0 = group_id(0) * LANES,
       lane_rows = min((uint)LANES, rows - row0);
  Lanes held = {row0, lane_rows, kv, 1, 1};
  lanes kt[HEAD_DIM_MAX], vt[HEAD_DIM_MAX], ksum[HEAD_DIM_MAX], vsum[HEAD_DIM_MAX];
  load_transposed(kt, k + k_first, k_pitch, held, head_dim, scale);
  load_transposed(vt, v + v_first, v_pitch, held, head_dim, 1.0f);
  for (uint d = 0; d < head_dim; d++) ksum[d] = vsum[d] = lanes_of(0.0f);

  for (uint part = 0; part < 2; part++) {
    int begins[LANES], ends[LANES], begin = 0x7fffffff, end = 0;
    for (uint lane = 0; lane < LANES; lane++) {
      GLOBAL const int *span = key_spans + (size_t)(row0 + min(lane, lane_rows - 1)) * 4 + 2 * part;
      begins[lane] = span[0];
      ends[lane] = lane < lane_rows ? span[1] : span[0];
      if (begins[lane] < ends[lane]) {
        begin = min(begin, begins[lane]);
        end = max(end, ends[lane]);
      }
    }
    int16 lane_begin = vload16(0, begins), lane_end = vload16(0, ends);
    for (uint head = kv * group_heads; head < (kv + 1) * group_heads; head++) {
      for (int row = begin; row < end; row += TOGETHER) {
#define QUERY(i)                                                                                             \
  int16 seen##i = (row + i >= lane_begin) & (row + i < lane_end);                                            \
  size_t index##i = (size_t)min(row + i, end - 1) * heads + head;                                            \
  GLOBAL const float *q##i = HEAD(q, min(row + i, end - 1), head);                                           \
  GLOBAL const float *o##i = HEAD(dout, min(row + i, end - 1), head);                                        \
  lanes p##i = lanes_of(0.0f), ds##i = lanes_of(0.0f);
        EACH(QUERY)
        for (uint d = 0; d < head_dim; d++) {
          lanes kd = kt[d], vd = vt[d];
#define QUERY_SCORE(i)                                                                                       \
  p##i = fma(kd, lanes_of(q##i[d]), p##i);                                                                   \
  ds##i = fma(vd, lanes_of(o##i[d]), ds##i);
          EACH(QUERY_SCORE)
        }
#define QUERY_WEIGH(i)                                                                                       \
  p##i = seen##i ? lanes_exp(p##i - lse[index##i]) : lanes_of(0.0f);                                         \
  ds##i = p##i * (ds##i - delta[index##i]);
        EACH(QUERY_WEIGH)
        for (uint d = 0; d < head_dim; d++) {
          lanes a = ksum[d], b = vsum[d];
#define QUERY_SUM(i)                                                                                         \
  a = fma(ds##i, lanes_of(q##i[d]), a);                                                                      \
  b = fma(p##i, lanes_of(o##i[d]), b);
          EACH(QUERY_SUM)
          ksum[d] = a;
          vsum[d] = b;
        }
      }
    }
  }
  for (uint d = 0; d < head_dim; d++) ksum[d] *= scale;
  store_transposed(dk + dk_first, ksum, dk_pitch, held, head_dim);
  store_transposed(dv + dv_first, vsum, dv_pitch, held, head_dim);
}
