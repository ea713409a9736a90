// Sampling as transformers' logits processors define it, in its order: repetition penalty, temperature, top-k, top-p.
//
// Both filters keep the tokens whose score has less than a target above it, so both are one search for a threshold by
// bisection over the bits of a float, and none sorts:
//
//   top-k   kept where the number of greater scores < k              (so what ties with the k-th stays)
//   top-p   kept where the mass of greater scores < top_p · mass     (transformers: removed where the mass from the smallest
//                                                                    score up to this one is at most 1 − top_p)
//
// A row is one group. First the tokens that may be kept are listed in index order, a contiguous stretch of the row a work
// item: without top-k those within log(cols / ((1 − top_p) · mass)) of the largest score, for all the others together weigh
// less than (1 − top_p) · mass, where the largest weighs 1. Then only the list is searched, and drawn from.
#include "lanes.h"

/// scores[begin … end) = logits after penalty and temperature; returns the largest. begin is a multiple of 32.
INLINE float warp(GLOBAL float *scores, GLOBAL const float *logits, GLOBAL const int *seen, uint begin,
                  uint end, float temperature, float penalty) {
  lanes top = lanes_of(LOWEST);
  for (uint i = begin; i < end; i += 32) {
    uint stop = end - i < 32 ? end : i + 32, bits = penalty != 1.0f ? (uint)seen[i / 32] : 0u;
    for (uint j = i; j < stop; j += LANES)
      lanes_store(scores + j, stop - j, lanes_load(logits + j, stop - j, 0.0f) / temperature);
    for (uint j = i; j < stop && bits != 0u; j++, bits >>= 1) {
      float z = logits[j];
      if ((bits & 1u) != 0u) scores[j] = (z < 0.0f ? z * penalty : z / penalty) / temperature;
    }
    for (uint j = i; j < stop; j += LANES) top = fmax(top, lanes_load(scores + j, stop - j, LOWEST));
  }
  return lanes_max(top);
}

/// The stretch of a row that this work item owns: whole words of `seen`.
INLINE uint stretch_begin(uint item, uint cols) {
  uint stretch = (cols + 32 * GROUP - 1) / (32 * GROUP) * 32;
  return item * stretch < cols ? item * stretch : cols;
}

/// Floats in order of value: a < b as floats where key(a) < key(b).
INLINE uint key_of(float value) {
  uint bits = bits_of_float(value);
  return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}
INLINE float float_of_key(uint key) {
  return float_of_bits((key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key);
}

/// What the listed scores above `limit` (at it too, where `at_too`) weigh: exp(score − top), or 1 each where `counting`.
INLINE float weight_above(LOCAL_PTR float *part, GLOBAL const float *list, uint count, float limit,
                          uint at_too, float top, uint counting) {
  lanes sum = lanes_of(0.0f);
  for (uint i = local_id(0) * LANES; i < count; i += GROUP * LANES) {
    lanes score = lanes_load(list + i, count - i, MINUS_INFINITY);
    lanes weight = counting ? lanes_of(1.0f) : lanes_exp(score - top);
    sum += score > lanes_of(limit) ? weight : lanes_of(0.0f);
    if (at_too) sum += score == lanes_of(limit) ? weight : lanes_of(0.0f);
  }
  return group_sum(part, lanes_sum(sum));
}

/// The smallest float ≥ `floor` that less than `target` lies above.
INLINE float threshold(LOCAL_PTR float *part, GLOBAL const float *list, uint count, float floor, float top,
                       float target, uint counting) {
  uint low = key_of(floor), high = key_of(top);
  while (low < high) {
    uint middle = low + (high - low) / 2;
    if (weight_above(part, list, count, float_of_key(middle), 0, top, counting) < target)
      high = middle;
    else
      low = middle + 1;
  }
  return float_of_key(low);
}

/// The sum of what the work items before this one hold; *all = of all. part[GROUP] is scratch.
INLINE float group_before(LOCAL_PTR float *part, float value, float *all) {
  float before = 0.0f, sum = 0.0f;
  BARRIER();
  part[local_id(0)] = value;
  BARRIER();
  for (uint i = 0; i < GROUP; i++) {
    if (i == local_id(0)) before = sum;
    sum += part[i];
  }
  BARRIER();
  *all = sum;
  return before;
}

/// Σ exp(score − top) over begin … end of every work item.
INLINE float whole_mass(LOCAL_PTR float *part, GLOBAL const float *scores, uint begin, uint end, float top) {
  lanes sum = lanes_of(0.0f);
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(scores + i, end - i, MINUS_INFINITY);
    sum += score >= lanes_of(LOWEST) ? lanes_exp(score - top) : lanes_of(0.0f);
  }
  return group_sum(part, lanes_sum(sum));
}

/// Lists the scores of begin … end that are at least `floor`, with their ids, in order; every stretch behind the one before.
/// Returns how many all work items list.
INLINE uint list_scores(LOCAL_PTR float *part, GLOBAL float *list, GLOBAL int *ids,
                        GLOBAL const float *scores, uint begin, uint end, float floor) {
  lanes found = lanes_of(0.0f);
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(scores + i, end - i, MINUS_INFINITY);
    found += score >= lanes_of(floor) ? lanes_of(1.0f) : lanes_of(0.0f);
  }
  float listed;
  uint at = (uint)group_before(part, lanes_sum(found), &listed);
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(scores + i, end - i, LOWEST);
    if (lanes_max(score) < floor) continue;
    for (uint j = i; j < end && j < i + LANES; j++) {
      if (!(scores[j] >= floor)) continue;
      list[at] = scores[j];
      ids[at] = (int)j;
      at++;
    }
  }
  return (uint)listed;
}

/// The token, by index the first, at which the running mass of listed scores ≥ floor passes u · their mass. Every work item
/// owns a stretch of the list; the one where it passes answers with the place in the list, the others with −1.
INLINE int draw(LOCAL_PTR float *part, GLOBAL const float *list, uint count, float floor, float top,
                float u) {
  uint stretch = (count + GROUP * LANES - 1) / (GROUP * LANES) * LANES;
  uint begin = local_id(0) * stretch < count ? local_id(0) * stretch : count;
  uint end = begin + stretch < count ? begin + stretch : count;
  lanes sum = lanes_of(0.0f);
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(list + i, end - i, MINUS_INFINITY);
    sum += score >= lanes_of(floor) ? lanes_exp(score - top) : lanes_of(0.0f);
  }
  float own = lanes_sum(sum), mass, running = group_before(part, own, &mass);
  float target = fmin(u * mass, mass * 0.99999994f); // below the mass whatever the rounding
  if (!(target >= running && target < running + own)) return -1;
  int last = -1;
  for (uint i = begin; i < end; i++) {
    if (i % LANES == 0) { // steps over whole lanes that stay below
      lanes score = lanes_load(list + i, end - i, MINUS_INFINITY);
      float step = lanes_sum(score >= lanes_of(floor) ? lanes_exp(score - top) : lanes_of(0.0f));
      if (running + step <= target && i + LANES < end) {
        running += step;
        i += LANES - 1;
        continue;
      }
    }
    if (!(list[i] >= floor)) continue;
    running += float_exp(list[i] - top);
    last = (int)i;
    if (running > target) break;
  }
  return last;
}

/// tokens[rows] drawn from logits[rows,cols] with uniforms[rows]; seen[rows,words] gains the token. scratch[groups,3,cols]
/// holds a row's scores, its list and the list's ids. A group a row, from row0 on.
KERNEL(sample)
(GLOBAL int *RESTRICT tokens, GLOBAL int *seen, GLOBAL float *scratch, GLOBAL const float *RESTRICT logits,
 GLOBAL const float *RESTRICT uniforms, uint row0, uint cols, uint words, float temperature, float top_p,
 uint top_k, float penalty) {
  LOCAL float part[GROUP];
  uint row = row0 + group_id(0), begin = stretch_begin(local_id(0), cols),
       end = stretch_begin(local_id(0) + 1, cols);
  GLOBAL float *scores = scratch + (size_t)group_id(0) * 3 * cols, *list = scores + cols;
  GLOBAL int *ids = (GLOBAL int *)(list + cols);
  seen += (size_t)row * words;

  float top =
      group_max(part, warp(scores, logits + (size_t)row * cols, seen, begin, end, temperature, penalty));
  float floor = LOWEST, mass = whole_mass(part, scores, begin, end, top);
  if (top_k == 0 && top_p < 1.0f) floor = top - log((float)cols / ((1.0f - top_p) * mass)) - 0.1f;
  uint count = list_scores(part, list, ids, scores, begin, end, floor);
  BARRIER_GLOBAL();
  if (top_k > 0 && top_k < count) {
    floor = threshold(part, list, count, floor, top, (float)top_k, 1);
    mass = weight_above(part, list, count, floor, 1, top, 0);
  }
  if (top_p < 1.0f) floor = threshold(part, list, count, floor, top, top_p * mass, 0);
  int place = draw(part, list, count, floor, top, uniforms[row]);
  if (place >= 0) {
    int token = ids[place];
    tokens[row] = token;
    seen[token / 32] |= (int)(1u << (token % 32));
  }
}

/// Likewise the largest score, of equal ones the lowest index. scratch[groups,cols].
KERNEL(sample_largest)
(GLOBAL int *RESTRICT tokens, GLOBAL int *seen, GLOBAL float *scratch, GLOBAL const float *RESTRICT logits,
 uint row0, uint cols, uint words, float penalty) {
  LOCAL float part[GROUP];
  uint row = row0 + group_id(0), begin = stretch_begin(local_id(0), cols),
       end = stretch_begin(local_id(0) + 1, cols);
  GLOBAL float *scores = scratch + (size_t)group_id(0) * cols;
  seen += (size_t)row * words;
  float top = group_max(part, warp(scores, logits + (size_t)row * cols, seen, begin, end, 1.0f, penalty));
  uint first = cols - 1;
  for (uint i = begin; i < end; i += LANES) {
    if (lanes_max(lanes_load(scores + i, end - i, LOWEST)) < top) continue;
    for (uint j = i; j < end && first == cols - 1; j++) first = scores[j] == top ? j : first;
    break;
  }
  uint token = (uint)-group_max(part, -(float)first); // exact: an index is below 2^24
  BARRIER_GLOBAL();                                   // every work item has read `seen`
  if (local_id(0) == 0) {
    tokens[row] = (int)token;
    seen[token / 32] |= (int)(1u << (token % 32));
  }
}
