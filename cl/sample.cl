// Sampling as transformers' logits processors define it, in their order: repetition penalty, temperature,
// top-k, top-p.
//
// Both filters keep a token if the tokens with greater scores count, or weigh, less than a target. So both
// search for a threshold, by bisection over the bits of a float, and nothing is sorted:
//
//   top-k   kept if the number of greater scores < k            (so all ties with the k-th score stay)
//   top-p   kept if the mass of greater scores < top_p · mass   (transformers: removed if the mass from the
//                                                               smallest score up to it is ≤ 1 − top_p)
//
// There is one group per row. First the tokens that may be kept are listed in index order; each work item
// lists a contiguous stretch of the row. With top-p and without top-k these are the tokens within log(cols /
// ((1 − top_p) · mass)) of the largest score. All the others together weigh less than (1 − top_p) · mass, in
// units where the largest weighs 1, so top-p removes them anyway. Then only the list is searched and drawn
// from.
#include "lanes.h"

/// scores[begin, end) = logits after penalty and temperature. Returns the largest. begin is a multiple of 32.
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

/// Where the stretch of a row begins that belongs to work item `item`. Stretches are whole words of `seen`.
INLINE uint stretch_begin(uint item, uint cols) {
  uint stretch = (cols + 32 * GROUP - 1) / (32 * GROUP) * 32;
  return item * stretch < cols ? item * stretch : cols;
}

/// Maps floats to integers of the same order: a < b exactly if key_of(a) < key_of(b). NaN aside.
INLINE uint key_of(float value) {
  uint bits = bits_of_float(value);
  return (bits & 0x80000000u) != 0u ? ~bits : bits | 0x80000000u;
}
INLINE float float_of_key(uint key) {
  return float_of_bits((key & 0x80000000u) != 0u ? key & 0x7fffffffu : ~key);
}

/// The weight of the listed scores above `limit`, or also equal to it if `inclusive`. A score weighs
/// exp(score − top), or 1 if `counting`.
INLINE float weight_above(LOCAL_PTR float *part, GLOBAL const float *list, uint count, float limit,
                          uint inclusive, float top, uint counting) {
  lanes sum = lanes_of(0.0f);
  for (uint i = local_id(0) * LANES; i < count; i += GROUP * LANES) {
    lanes score = lanes_load(list + i, count - i, MINUS_INFINITY);
    lanes weight = counting ? lanes_of(1.0f) : lanes_exp(score - top);
    sum += score > lanes_of(limit) ? weight : lanes_of(0.0f);
    if (inclusive) sum += score == lanes_of(limit) ? weight : lanes_of(0.0f);
  }
  return group_sum(part, lanes_sum(sum));
}

/// The smallest float ≥ `floor` such that the scores above it weigh less than `target`. It stays within [low,
/// high] in the loop: at the start because no score lies above `top`.
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

/// The sum of `value` over the work items before this one; *all = the sum over all of them. part[GROUP] is
/// scratch.
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

/// Σ exp(score − top) over the stretches [begin, end) of all work items.
INLINE float whole_mass(LOCAL_PTR float *part, GLOBAL const float *scores, uint begin, uint end, float top) {
  lanes sum = lanes_of(0.0f);
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(scores + i, end - i, MINUS_INFINITY);
    sum += score >= lanes_of(LOWEST) ? lanes_exp(score - top) : lanes_of(0.0f);
  }
  return group_sum(part, lanes_sum(sum));
}

/// Lists the scores of [begin, end) that are at least `floor`, with their ids, in index order. The stretches
/// follow one another in the list. Returns the length of the list.
INLINE uint list_scores(LOCAL_PTR float *part, GLOBAL float *list, GLOBAL int *ids,
                        GLOBAL const float *scores, uint begin, uint end, float floor) {
  lanes found = lanes_of(0.0f);
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(scores + i, end - i, MINUS_INFINITY);
    found += score >= lanes_of(floor) ? lanes_of(1.0f) : lanes_of(0.0f);
  }
  float listed;
  uint next = (uint)group_before(part, lanes_sum(found), &listed); // exact: counts are below 2^24
  for (uint i = begin; i < end; i += LANES) {
    lanes score = lanes_load(scores + i, end - i, LOWEST);
    if (lanes_max(score) < floor) continue;
    for (uint j = i; j < end && j < i + LANES; j++) {
      if (!(scores[j] >= floor)) continue;
      list[next] = scores[j];
      ids[next] = (int)j;
      next++;
    }
  }
  return (uint)listed;
}

/// Draws from the listed scores ≥ floor: finds the first at which the running mass exceeds u · their mass.
/// Each work item owns a stretch of the list. The one that finds the token returns its index in the list, the
/// others return −1: their ranges [running, running + own) of the mass do not overlap.
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
  float target = fmin(u * mass, mass * 0.99999994f); // below `mass` even if u · mass rounds up to it
  if (!(target >= running && target < running + own)) return -1;
  int last = -1;
  for (uint i = begin; i < end; i++) {
    if (i % LANES == 0) { // skip LANES scores at a time while the running mass stays below
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

/// Draws tokens[rows] from logits[rows,cols] with uniforms[rows], and sets the token's bit in
/// seen[rows,words]. scratch[groups,3,cols] holds a row's scores, its list and the list's ids. One group per
/// row, from row0 on.
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

/// Takes the largest score instead, and the lowest index among equal ones. scratch[groups,cols].
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
