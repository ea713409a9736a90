// Q4_K (dequant_k.c has a picture): 256 elements in 8 parts of 32, whose scales and offsets are six bits
// each, in units of two numbers of the block. x ≈ d · scale · code − m · offset, the codes being 0 … 15.
//
// Rule: the sum of squared errors is made small, every element counting the same. First each part by itself:
// from several ranges, codes are the nearest and then the scale and the offset those of least squares. Then
// the block: scales and offsets are rounded to six bits, and codes, six bits and d and m are bettered in
// turns, each with the others as they are.
#include "quantise_types.h"

#include "util/half.h"
#include <math.h>
#include <stddef.h>
#include <string.h>

enum { PARTS = 8, ELEMENTS = 32, MOST_CODE = 15, MOST_SCALE = 63, RANGES = 5, TURNS = 3, LANES = 4 };

/// What the errors of a part depend on, besides its scale and offset.
typedef struct Sums {
  double x, xx;     // of its values and their squares
  double q, qq, qx; // of its codes, their squares, and codes times values
} Sums;

typedef struct Part {
  const float *values;
  float codes[ELEMENTS];
  Sums sums;
  double scale, offset; // x ≈ scale · code − offset
  int of_scale, of_offset;
} Part;

/// `low` for NaN.
static double clamp(double value, double low, double high) {
  return value > low ? (value < high ? value : high) : low;
}

/// Codes nearest to values / scale: those of (value + offset) · inverse. Fills in the sums.
static void take_codes(Part *part, float inverse, float offset) {
  const float to_whole = 12582912.0f; // 1.5 · 2^23: beside it, a float has no fraction
  const float *values = part->values;
  float *codes = part->codes, q[LANES] = {0}, qq[LANES] = {0}, qx[LANES] = {0};
  // Loops of one choice each, which compilers turn into vectors.
  for (size_t i = 0; i < ELEMENTS; i++) {
    float code = (values[i] + offset) * inverse;
    codes[i] = code > 0 ? code : 0;
  }
  for (size_t i = 0; i < ELEMENTS; i++) {
    float code = codes[i] < MOST_CODE ? codes[i] : MOST_CODE;
    codes[i] = (code + to_whole) - to_whole;
  }
  for (size_t i = 0; i < ELEMENTS; i += LANES) {
    for (size_t lane = 0; lane < LANES; lane++) {
      q[lane] += codes[i + lane];
      qq[lane] += codes[i + lane] * codes[i + lane];
      qx[lane] += codes[i + lane] * values[i + lane];
    }
  }
  part->sums.q = part->sums.qq = part->sums.qx = 0;
  for (size_t lane = 0; lane < LANES; lane++) {
    part->sums.q += (double)q[lane];
    part->sums.qq += (double)qq[lane];
    part->sums.qx += (double)qx[lane];
  }
}

/// Σ (x − scale · code + offset)²
static double error_of(const Sums *s, double scale, double offset) {
  return s->xx - 2 * scale * s->qx + 2 * offset * s->x + scale * scale * s->qq - 2 * scale * offset * s->q +
         ELEMENTS * offset * offset;
}

/// The scale and offset of least squares for the codes, the offset at least 0.
static void fit_part(Part *part) {
  const Sums *s = &part->sums;
  double spread = ELEMENTS * s->qq - s->q * s->q;
  double scale = spread > 0 ? (ELEMENTS * s->qx - s->q * s->x) / spread : 0;
  double offset = (scale * s->q - s->x) / ELEMENTS;
  if (offset < 0) {
    offset = 0;
    scale = s->qq > 0 ? s->qx / s->qq : 0;
  }
  part->scale = scale > 0 ? scale : 0;
  part->offset = offset;
}

static float inverse_of(double scale) {
  return scale > 0 ? (float)(1 / scale) : 0;
}

/// The part by itself: the best of several ranges, each bettered once.
static void solve_part(const float *values, Part *part) {
  float low = 0, high = 0;
  Sums sums = {0};
  for (size_t i = 0; i < ELEMENTS; i++) {
    low = values[i] < low ? values[i] : low;
    high = values[i] > high ? values[i] : high;
    sums.x += (double)values[i];
    sums.xx += (double)values[i] * (double)values[i];
  }
  *part = (Part){.values = values, .sums = sums};
  double least = INFINITY, scale = 0, offset = 0;
  for (int range = 0; range < RANGES; range++) {
    double codes = MOST_CODE - 0.6 + 0.5 * range; // that the values' range is cut into
    part->scale = ((double)high - (double)low) / codes;
    part->offset = -(double)low;
    for (int turn = 0; turn < 2; turn++) {
      take_codes(part, inverse_of(part->scale), (float)part->offset);
      fit_part(part);
      double error = error_of(&part->sums, part->scale, part->offset);
      if (!(error < least)) continue;
      least = error;
      scale = part->scale;
      offset = part->offset;
    }
  }
  part->scale = scale;
  part->offset = offset;
  take_codes(part, inverse_of(scale), (float)offset);
}

/// The six bits of the part's scale and offset, near what they are: the pair with the least error.
static void round_part(Part *part, double d, double m) {
  int scale = d > 0 ? (int)clamp(rint(part->scale / d), 0, MOST_SCALE) : 0;
  int offset = m > 0 ? (int)clamp(rint(part->offset / m), 0, MOST_SCALE) : 0;
  double least = INFINITY;
  for (int s = scale - 1; s <= scale + 1; s++) {
    for (int o = offset - 1; o <= offset + 1; o++) {
      if (s < 0 || s > MOST_SCALE || o < 0 || o > MOST_SCALE) continue;
      double error = error_of(&part->sums, d * s, m * o);
      if (!(error < least)) continue;
      least = error;
      part->of_scale = s;
      part->of_offset = o;
    }
  }
}

/// *d and *m of least squares for the codes and the six bits, as far as they follow from them.
static void fit_block(const Part *parts, double *d, double *m) {
  double ss = 0, so = 0, oo = 0, sx = 0, ox = 0;
  for (size_t p = 0; p < PARTS; p++) {
    const Sums *sums = &parts[p].sums;
    double s = parts[p].of_scale, o = parts[p].of_offset;
    ss += s * s * sums->qq;
    so += s * o * sums->q;
    oo += o * o * ELEMENTS;
    sx += s * sums->qx;
    ox += o * sums->x;
  }
  double spread = ss * oo - so * so;
  if (spread > 1e-9 * ss * oo) {
    *d = (sx * oo - ox * so) / spread;
    *m = (sx * so - ox * ss) / spread;
  } else if (oo == 0 && ss > 0) {
    *d = sx / ss;
  }
  if (*d < 0) *d = 0;
  if (*m < 0) *m = 0;
}

static void pack_block(const Part *parts, uint16_t d, uint16_t m, uint8_t *block) {
  uint8_t *packed = block + 4, *codes = block + 16;
  memset(packed, 0, 12);
  memcpy(block, &d, sizeof d);
  memcpy(block + 2, &m, sizeof m);
  for (size_t p = 0; p < PARTS; p++) {
    unsigned scale = (unsigned)parts[p].of_scale, offset = (unsigned)parts[p].of_offset;
    if (p < 4) {
      packed[p] = (uint8_t)scale;
      packed[p + 4] = (uint8_t)offset;
    } else {
      packed[p + 4] = (uint8_t)((scale & 15) | (offset & 15) << 4);
      packed[p - 4] |= (uint8_t)(scale >> 4 << 6);
      packed[p] |= (uint8_t)(offset >> 4 << 6);
    }
    for (size_t i = 0; i < ELEMENTS; i++) {
      uint8_t code = (uint8_t)parts[p].codes[i], *byte = &codes[p / 2 * ELEMENTS + i];
      *byte = (uint8_t)(p % 2 == 0 ? code : *byte | code << 4);
    }
  }
}

/// Six bits and codes of all parts for d and m; returns the error.
static double settle(Part *parts, double d, double m) {
  double error = 0;
  for (size_t p = 0; p < PARTS; p++) {
    Part *part = &parts[p];
    round_part(part, d, m);
    part->scale = d * part->of_scale;
    part->offset = m * part->of_offset;
    take_codes(part, inverse_of(part->scale), (float)part->offset);
    error += error_of(&part->sums, part->scale, part->offset);
  }
  return error;
}

void encode_q4_k(const float *values, uint8_t *block) {
  Part parts[PARTS];
  double d = 0, m = 0, least = INFINITY;
  for (size_t p = 0; p < PARTS; p++) {
    solve_part(values + p * ELEMENTS, &parts[p]);
    d = parts[p].scale > d * MOST_SCALE ? parts[p].scale / MOST_SCALE : d;
    m = parts[p].offset > m * MOST_SCALE ? parts[p].offset / MOST_SCALE : m;
  }
  for (int turn = 0; turn < TURNS; turn++) {
    uint16_t bits[2] = {half_from_float((float)d), half_from_float((float)m)};
    double d_held = (double)half_to_float(bits[0]), m_held = (double)half_to_float(bits[1]);
    if (!isfinite(d_held) || !isfinite(m_held)) { // the block is decoded to NaN
      if (turn == 0) pack_block(parts, bits[0], bits[1], block);
      return;
    }
    double error = settle(parts, d_held, m_held);
    if (error < least || turn == 0) pack_block(parts, bits[0], bits[1], block);
    if (error < least) least = error;
    fit_block(parts, &d, &m);
  }
}
