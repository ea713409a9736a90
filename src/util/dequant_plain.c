// Blocks of 32 elements, of NF4 64, with one scale, and in some types one offset. dequant_types.h has the
// rule.
//
//   Q8_0, 34 bytes   | d | q0 q1 … q31 |                      x[i] = d * q[i]               q: int8
//   Q4_0, 18 bytes   | d | b0 b1 … b15 |                      x[i] = d * (q[i] − 8)
//   Q4_1, 20 bytes   | d | m | b0 b1 … b15 |                  x[i] = d * q[i] + m
//   Q5_0, 22 bytes   | d | h: u32 | b0 b1 … b15 |             x[i] = d * (q[i] − 16)
//   Q5_1, 24 bytes   | d | m | h: u32 | b0 b1 … b15 |         x[i] = d * q[i] + m
//   IQ4_NL, 18 bytes | d | b0 b1 … b15 |                      x[i] = d * iq4_values[q[i]]
//   MXFP4, 17 bytes  | e | b0 b1 … b15 |                      x[i] = 2^(e − 128) * twice the E2M1 number q[i]
//
//   byte b[i]:  7 6 5 4 | 3 2 1 0        q[i] = low(b[i]), q[i + 16] = high(b[i])
//               high    | low            Q5: bit i of h is bit 4 of q[i]
//
//   NF4, 36 bytes    | d: float32 | b0 b1 … b31 |             x[i] = d * nf4_levels[q[i]]
//
//   q[i] = low(b[i]), q[i + 32] = high(b[i])
#include "dequant_types.h"

#include "util/bytes.h"
#include "util/half.h"
#include <string.h>

enum { ELEMENTS = 32, HALF = ELEMENTS / 2 };

const int8_t iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/// The four bits of element i.
static int four_bits(const uint8_t *bytes, size_t i) {
  return i < HALF ? bytes[i] & 15 : bytes[i - HALF] >> 4;
}

/// The five bits of element i; `high` has the fifth of each.
static int five_bits(const uint8_t *bytes, uint32_t high, size_t i) {
  return four_bits(bytes, i) | (int)(high >> i & 1) << 4;
}

void decode_q8_0(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < ELEMENTS; i++) out[i] = d * (float)(int8_t)block[2 + i];
}

void decode_q4_0(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < ELEMENTS; i++) out[i] = d * (float)(four_bits(block + 2, i) - 8);
}

void decode_q4_1(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  float m = half_to_float(load_u16(block + 2));
  for (size_t i = 0; i < ELEMENTS; i++) {
    float product = d * (float)four_bits(block + 4, i);
    out[i] = product + m;
  }
}

void decode_q5_0(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  uint32_t high = load_u32(block + 2);
  for (size_t i = 0; i < ELEMENTS; i++) out[i] = d * (float)(five_bits(block + 6, high, i) - 16);
}

void decode_q5_1(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  float m = half_to_float(load_u16(block + 2));
  uint32_t high = load_u32(block + 4);
  for (size_t i = 0; i < ELEMENTS; i++) {
    float product = d * (float)five_bits(block + 8, high, i);
    out[i] = product + m;
  }
}

void decode_iq4_nl(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < ELEMENTS; i++) out[i] = d * (float)iq4_values[four_bits(block + 2, i)];
}

void decode_mxfp4(const uint8_t *block, float *out) {
  static const int8_t twice_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
  // Half the power of two, because the numbers above are doubled. The two smallest are not normal floats.
  uint32_t bits = block[0] < 2 ? 0x200000u << block[0] : (uint32_t)(block[0] - 1) << 23;
  float d;
  memcpy(&d, &bits, sizeof d);
  for (size_t i = 0; i < ELEMENTS; i++) out[i] = d * (float)twice_e2m1[four_bits(block + 1, i)];
}

const float nf4_levels[16] = {
    -1.0f,
    -0.6961928009986877f,
    -0.5250730514526367f,
    -0.39491748809814453f,
    -0.28444138169288635f,
    -0.18477343022823334f,
    -0.09105003625154495f,
    0.0f,
    0.07958029955625534f,
    0.16093020141124725f,
    0.24611230194568634f,
    0.33791524171829224f,
    0.44070982933044434f,
    0.5626170039176941f,
    0.7229568362236023f,
    1.0f,
};

void decode_nf4(const uint8_t *block, float *out) {
  enum { LOW = 32 };
  uint32_t bits = load_u32(block);
  float d;
  memcpy(&d, &bits, sizeof d);
  for (size_t i = 0; i < LOW; i++) {
    out[i] = d * nf4_levels[block[4 + i] & 15];
    out[i + LOW] = d * nf4_levels[block[4 + i] >> 4];
  }
}
