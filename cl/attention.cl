// Attention over spans (the picture is in ops/ops.h), forward and backward, in tiles of 16 × 16 work items:
//
//   s = scale · q · k,  lse = log Σ exp(s),  p = exp(s − lse),  out = Σ p v
//   delta = dout · out,  ds = p · (dout · v − delta) · scale
//   dq = Σ_keys ds k,  dk = Σ_queries ds q,  dv = Σ_queries p dout
//
//              keys x →          forward, dq: a lane is a query row and one of the heads that share a
//          k0  k1  …  k15        key/value head, so that these heads share each key they read.
//   lane 0  s   s      s         dk, dv: a lane is a key row; the other axis runs over queries.
//   lane 1  s   s      s         Scores are computed from CHUNK columns of both sides at a time, in
//    y ↓                         local memory. Then each of a lane's work items owns the columns x,
//                                x + 16, x + 32, … of the lane's sum.
//
// Softmax is computed online: when a tile raises the maximum, the earlier sums are rescaled (Milakov and
// Gimelshein 2018; Dao et al. 2022).
// Rule: a lane adds its own keys in its own order, and the keys that it does not see add an exact 0 (as in
// attention_cpu.cl). So a row's result does not depend on the rows beside it.
#include "lanes.h"

#define TILE    16
#define CHUNK   32          // columns of a tile in local memory
#define PITCH   (CHUNK + 1) // odd, against bank conflicts
#define COLUMNS 16          // sums per work item; head_dim ≤ COLUMNS · TILE
#define EACH_COLUMN(j)                                                                                       \
  for (uint j = 0; j < COLUMNS; j++)                                                                         \
    if (local_id(0) + j * TILE < head_dim)

/// The dot product of row y of side a and row x of side b. a_row and b_row are row y of each side, which this
/// work item helps to load. Without has_a, row y of side a counts as 0.
INLINE float tile_dot(LOCAL_PTR float *a, LOCAL_PTR float *b, GLOBAL const float *a_row, uint has_a,
                      GLOBAL const float *b_row, uint head_dim) {
  uint x = local_id(0), y = local_id(1);
  float sum = 0.0f;
  for (uint begin = 0; begin < head_dim; begin += CHUNK) {
    BARRIER();
    for (uint c = x; c < CHUNK; c += TILE) {
      uint inside = begin + c < head_dim;
      a[y * PITCH + c] = inside && has_a ? a_row[begin + c] : 0.0f;
      b[y * PITCH + c] = inside ? b_row[begin + c] : 0.0f;
    }
    BARRIER();
    for (uint c = 0; c < CHUNK; c++) sum = fma(a[y * PITCH + c], b[x * PITCH + c], sum);
  }
  return sum;
}

/// Stores `value` at (y, x) of a tile and waits until the whole tile is stored.
INLINE void share_tile(LOCAL_PTR float *tile, float value) {
  BARRIER();
  tile[local_id(1) * PITCH + local_id(0)] = value;
  BARRIER();
}

/// Starts a run: all rows from row0 + first on whose span `part` (0 prefix, 1 own) has the same *begin. Marks
/// them in *done. *lane_end = where the span of this work item's lane ends, or *begin if its row is not in
/// the run. Returns the largest end.
INLINE int open_run(int *lane_end, uint *done, int *begin, GLOBAL const int *spans, uint row0, uint first,
                    uint lane_rows, uint lane_row, uint part) {
  *begin = spans[(size_t)(row0 + first) * 4 + 2 * part];
  *lane_end = *begin;
  int last = *begin;
  for (uint r = first; r < lane_rows; r++) {
    GLOBAL const int *span = spans + (size_t)(row0 + r) * 4 + 2 * part;
    if (span[0] != *begin) continue;
    *done |= 1u << r;
    last = span[1] > last ? span[1] : last;
    if (r == lane_row) *lane_end = span[1];
  }
  return last;
}

/// The rows and heads of a group's 16 lanes, in the forward and dq. `active` is false for a lane without a
/// row or head.
#define QUERY_LANES                                                                                          \
  uint x = local_id(0), y = local_id(1), group_heads = heads / kv_heads,                                     \
       chunks = (group_heads + TILE - 1) / TILE;                                                             \
  uint stride = group_heads < TILE ? group_heads : TILE, lane_row = y / stride, lane_head = y % stride;      \
  uint row0 = group_id(0) * (TILE / stride), kv = group_id(1) / chunks;                                      \
  uint head0 = kv * group_heads + group_id(1) % chunks * TILE;                                               \
  uint lane_rows = rows - row0 < TILE / stride ? rows - row0 : TILE / stride;                                \
  uint active = lane_row < lane_rows && head0 + lane_head < (kv + 1) * group_heads;                          \
  uint row = active ? row0 + lane_row : 0, head = active ? head0 + lane_head : 0;                            \
  size_t lane = (size_t)row * heads + head

/// Where head `head` of row `row` begins in a view. LANE: for this work item's lane. KEY: for the group's
/// key/value head.
#define HEAD(name, row, head) (name + name##_first + (size_t)(row)*name##_pitch + (size_t)(head)*head_dim)
#define LANE(name)            HEAD(name, row, head)
#define KEY(name, key)        HEAD(name, key, kv)

/// out[rows,heads·D], lse[rows,heads] if keep_lse; q as out; k, v [·, kv_heads·D]; spans[rows,4].
/// Groups: (blocks of rows, kv heads · chunks of 16 of their query heads).
KERNEL_OF(TILE, TILE)
attention(VIEW(float, out), GLOBAL float *RESTRICT lse, VIEW(const float, q), VIEW(const float, k),
          VIEW(const float, v), GLOBAL const int *RESTRICT spans, uint rows, uint heads, uint kv_heads,
          uint head_dim, float scale, uint keep_lse) {
  LOCAL float a[TILE * PITCH], b[TILE * PITCH], weights[TILE * PITCH];
  QUERY_LANES;
  float sum[COLUMNS], m = LOWEST, mass = 0.0f;
  UNROLL
  for (uint j = 0; j < COLUMNS; j++) sum[j] = 0.0f;

  for (uint part = 0; part < 2; part++) {
    uint done = 0;
    for (uint first = 0; first < lane_rows; first++) {
      if ((done >> first & 1u) != 0u) continue;
      int begin, lane_end,
          end = open_run(&lane_end, &done, &begin, spans, row0, first, lane_rows, lane_row, part);
      for (int key = begin; key < end; key += TILE) {
        // Past the end the last key is read again; every lane masks it.
        int mine = key + (int)y < end ? key + (int)y : end - 1;
        float s = scale * tile_dot(a, b, LANE(q), active, KEY(k, mine), head_dim);
        uint seen = key + (int)x < lane_end;
        share_tile(weights, seen ? s : LOWEST);
        float top = m;
        for (uint i = 0; i < TILE; i++) top = fmax(top, weights[y * PITCH + i]);
        float shrink = float_exp(m - top);
        m = top;
        share_tile(weights, seen ? float_exp(s - m) : 0.0f);
        float added = 0.0f;
        for (uint i = 0; i < TILE; i++) added += weights[y * PITCH + i];
        mass = mass * shrink + added;
        UNROLL
        for (uint j = 0; j < COLUMNS; j++) sum[j] *= shrink;
        for (int i = 0; i < TILE; i++) {
          GLOBAL const float *value = KEY(v, key + i < end ? key + i : end - 1);
          float weight = weights[y * PITCH + i];
          UNROLL
          EACH_COLUMN(j) sum[j] = fma(weight, value[x + j * TILE], sum[j]);
        }
      }
    }
  }
  if (!active) return;
  UNROLL
  EACH_COLUMN(j) LANE(out)[x + j * TILE] = sum[j] / mass;
  if (keep_lse && x == 0) lse[lane] = m + log(mass);
}

/// dq[rows,heads·D], delta[rows,heads] from dout, q, out [rows,heads·D], k, v [rows,kv_heads·D],
/// lse[rows,heads]. Groups as in attention.
KERNEL_OF(TILE, TILE)
attention_dq(VIEW(float, dq), GLOBAL float *RESTRICT delta, VIEW(const float, dout), VIEW(const float, q),
             VIEW(const float, k), VIEW(const float, v), VIEW(const float, out),
             GLOBAL const float *RESTRICT lse, GLOBAL const int *RESTRICT spans, uint rows, uint heads,
             uint kv_heads, uint head_dim, float scale) {
  LOCAL float a[TILE * PITCH], b[TILE * PITCH], weights[TILE * PITCH];
  QUERY_LANES;
  float sum[COLUMNS], row_lse = active ? lse[lane] : 0.0f, row_delta = 0.0f;
  UNROLL
  for (uint j = 0; j < COLUMNS; j++) sum[j] = 0.0f;
  for (uint d = x; d < head_dim; d += TILE) row_delta += active ? LANE(dout)[d] * LANE(out)[d] : 0.0f;
  share_tile(weights, row_delta);
  row_delta = 0.0f;
  for (uint i = 0; i < TILE; i++) row_delta += weights[y * PITCH + i];
  if (active && x == 0) delta[lane] = row_delta;

  for (uint part = 0; part < 2; part++) {
    uint done = 0;
    for (uint first = 0; first < lane_rows; first++) {
      if ((done >> first & 1u) != 0u) continue;
      int begin, lane_end,
          end = open_run(&lane_end, &done, &begin, spans, row0, first, lane_rows, lane_row, part);
      for (int key = begin; key < end; key += TILE) {
        int mine = key + (int)y < end ? key + (int)y : end - 1;
        float s = scale * tile_dot(a, b, LANE(q), active, KEY(k, mine), head_dim);
        float dp = tile_dot(a, b, LANE(dout), active, KEY(v, mine), head_dim);
        share_tile(weights, key + (int)x < lane_end ? float_exp(s - row_lse) * (dp - row_delta) : 0.0f);
        for (int i = 0; i < TILE; i++) {
          GLOBAL const float *value = KEY(k, key + i < end ? key + i : end - 1);
          float weight = weights[y * PITCH + i];
          UNROLL
          EACH_COLUMN(j) sum[j] = fma(weight, value[x + j * TILE], sum[j]);
        }
      }
    }
  }
  if (!active) return;
  UNROLL
  EACH_COLUMN(j) LANE(dq)[x + j * TILE] = sum[j] * scale;
}

/// dk, dv [rows,kv_heads·D] from dout, q [rows,heads·D], k, v as dk, lse, delta [rows,heads],
/// key_spans[rows,4]. Groups: (blocks of 16 key rows, kv heads).
KERNEL_OF(TILE, TILE)
attention_dkv(VIEW(float, dk), VIEW(float, dv), VIEW(const float, dout), VIEW(const float, q),
              VIEW(const float, k), VIEW(const float, v), GLOBAL const float *RESTRICT lse,
              GLOBAL const float *RESTRICT delta, GLOBAL const int *RESTRICT key_spans, uint rows, uint heads,
              uint kv_heads, uint head_dim, float scale) {
  LOCAL float a[TILE * PITCH], b[TILE * PITCH], weights[TILE * PITCH], changes[TILE * PITCH];
  uint x = local_id(0), y = local_id(1), group_heads = heads / kv_heads, kv = group_id(1),
       row0 = group_id(0) * TILE;
  uint lane_rows = rows - row0 < TILE ? rows - row0 : TILE, active = y < lane_rows;
  uint key = active ? row0 + y : row0;
  float ksum[COLUMNS], vsum[COLUMNS];
  UNROLL
  for (uint j = 0; j < COLUMNS; j++) ksum[j] = vsum[j] = 0.0f;

  for (uint part = 0; part < 2; part++) {
    // [begin, end): the queries that see any of the group's keys. `seen` says which of them see this lane's
    // key.
    int begin = 0x7fffffff, end = 0;
    for (uint i = 0; i < lane_rows; i++) {
      GLOBAL const int *span = key_spans + (size_t)(row0 + i) * 4 + 2 * part;
      if (span[0] >= span[1]) continue;
      begin = span[0] < begin ? span[0] : begin;
      end = span[1] > end ? span[1] : end;
    }
    GLOBAL const int *span = key_spans + (size_t)(active ? row0 + y : row0) * 4 + 2 * part;
    int lane_begin = span[0], lane_end = active ? span[1] : span[0];
    for (uint head = kv * group_heads; head < (kv + 1) * group_heads; head++) {
      for (int query = begin; query < end; query += TILE) {
        int mine = query + (int)y < end ? query + (int)y : end - 1,
            other = query + (int)x < end ? query + (int)x : end - 1;
        size_t row = (size_t)other * heads + head;
        float s = scale * tile_dot(a, b, KEY(k, key), active, HEAD(q, mine, head), head_dim);
        float dp = tile_dot(a, b, KEY(v, key), active, HEAD(dout, mine, head), head_dim);
        uint seen = query + (int)x >= lane_begin && query + (int)x < lane_end;
        float p = seen ? float_exp(s - lse[row]) : 0.0f;
        share_tile(weights, p);
        share_tile(changes, seen ? p * (dp - delta[row]) : 0.0f);
        for (int i = 0; i < TILE; i++) {
          int from = query + i < end ? query + i : end - 1;
          GLOBAL const float *q_row = HEAD(q, from, head) + x, *dout_row = HEAD(dout, from, head) + x;
          float weight = weights[y * PITCH + i], change = changes[y * PITCH + i];
          UNROLL
          EACH_COLUMN(j) {
            ksum[j] = fma(change, q_row[j * TILE], ksum[j]);
            vsum[j] = fma(weight, dout_row[j * TILE], vsum[j]);
          }
        }
      }
    }
  }
  if (!active) return;
  UNROLL
  EACH_COLUMN(j) {
    KEY(dk, key)[x + j * TILE] = ksum[j] * scale;
    KEY(dv, key)[x + j * TILE] = vsum[j];
  }
}
