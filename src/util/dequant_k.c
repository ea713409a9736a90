// Blocks of 256 elements whose parts of 16 or 32 have small integer scales. dequant_types.h has the rule.
//
//   Q2_K, 84 bytes     | scale and offset: 4 + 4 bits × 16 | q: 64 bytes | d | m |
//   Q3_K, 110 bytes    | high bits: 32 bytes | q: 64 bytes | scales: 6 bits × 16 | d |
//   Q4_K, 144 bytes    | d | m | scales and offsets: 6 + 6 bits × 8 | q: 128 bytes |
//   Q5_K, 176 bytes    | d | m | scales and offsets: 6 + 6 bits × 8 | high bits: 32 bytes | q: 128 bytes |
//   Q6_K, 210 bytes    | q: 128 bytes | high bits: 64 bytes | scales: int8 × 16 | d |
//   IQ4_XS, 136 bytes  | d | high bits of scales: u16 | low bits: 4 bytes | q: 128 bytes |
//   TQ2_0, 66 bytes    | q: 64 bytes | d |
//   TQ1_0, 54 bytes    | 32 bytes of 5 digits | 16 bytes of 5 | 4 bytes of 4 | d |
//
// Two bits: the elements of half a block (128) are in 32 bytes; byte l has elements l, l + 32, l + 64, l
// + 96.
#include "dequant_types.h"

#include "util/bytes.h"
#include "util/half.h"

enum { ELEMENTS = 256 };

/// Two bits of element i.
static int two_bits(const uint8_t *bytes, size_t i) {
  return bytes[i / 128 * 32 + i % 32] >> 2 * (i / 32 % 4) & 3;
}

/// Four bits of element i: 64 elements are in 32 bytes, the first 32 low and the others high.
static int four_bits(const uint8_t *bytes, size_t i) {
  return bytes[i / 64 * 32 + i % 32] >> 4 * (i / 32 % 2) & 15;
}

void decode_q2_k(const uint8_t *block, float *out) {
  const uint8_t *scales = block, *codes = block + 16;
  float d = half_to_float(load_u16(block + 80));
  float m = half_to_float(load_u16(block + 82));
  for (size_t i = 0; i < ELEMENTS; i++) {
    float scale = d * (float)(scales[i / 16] & 15);
    float offset = m * (float)(scales[i / 16] >> 4);
    float product = scale * (float)two_bits(codes, i);
    out[i] = product - offset;
  }
}

/// Scale number `part` of 16, −32 … 31: four bits in the first 8 bytes, two in the last 4.
static int q3_scale(const uint8_t *scales, size_t part) {
  int low = scales[part % 8] >> 4 * (part / 8) & 15;
  int high = scales[8 + part % 4] >> 2 * (part / 4) & 3;
  return (low | high << 4) - 32;
}

void decode_q3_k(const uint8_t *block, float *out) {
  const uint8_t *high = block, *codes = block + 32, *scales = block + 96;
  float d = half_to_float(load_u16(block + 108));
  for (size_t i = 0; i < ELEMENTS; i++) {
    float scale = d * (float)q3_scale(scales, i / 16);
    int without = high[i % 32] >> i / 32 & 1 ? 0 : 4; // a set bit adds nothing, a missing one takes 4 away
    out[i] = scale * (float)(two_bits(codes, i) - without);
  }
}

/// Scale and offset number `part` of 8. The first four have six bits of a byte of their own; of the others,
/// four bits are in the last 4 bytes, and two above those of the first four.
static void q4_scale(const uint8_t *packed, size_t part, int *scale, int *offset) {
  if (part < 4) {
    *scale = packed[part] & 63;
    *offset = packed[part + 4] & 63;
  } else {
    *scale = (packed[part + 4] & 15) | packed[part - 4] >> 6 << 4;
    *offset = packed[part + 4] >> 4 | packed[part] >> 6 << 4;
  }
}

/// Q4_K, and Q5_K with the high bits that it has.
static void decode_offset(const uint8_t *block, const uint8_t *high, const uint8_t *codes, float *out) {
  float d = half_to_float(load_u16(block));
  float m = half_to_float(load_u16(block + 2));
  for (size_t part = 0; part < 8; part++) {
    int scale = 0, offset = 0;
    q4_scale(block + 4, part, &scale, &offset);
    float part_scale = d * (float)scale;
    float part_offset = m * (float)offset;
    for (size_t i = 32 * part; i < 32 * part + 32; i++) {
      int fifth = high != NULL ? high[i % 32] >> part & 1 : 0;
      float product = part_scale * (float)(four_bits(codes, i) | fifth << 4);
      out[i] = product - part_offset;
    }
  }
}

void decode_q4_k(const uint8_t *block, float *out) {
  decode_offset(block, NULL, block + 16, out);
}

void decode_q5_k(const uint8_t *block, float *out) {
  decode_offset(block, block + 16, block + 48, out);
}

void decode_q6_k(const uint8_t *block, float *out) {
  const uint8_t *low = block, *high = block + 128, *scales = block + 192;
  float d = half_to_float(load_u16(block + 208));
  for (size_t i = 0; i < ELEMENTS; i++) {
    float scale = d * (float)(int8_t)scales[i / 16];
    // Unlike in four_bits, 128 elements are in 64 bytes: the first 64 low, the others high.
    int code = low[i / 128 * 64 + i % 64] >> 4 * (i / 64 % 2) & 15;
    out[i] = scale * (float)((code | two_bits(high, i) << 4) - 32);
  }
}

void decode_iq4_xs(const uint8_t *block, float *out) {
  const uint8_t *low = block + 4, *codes = block + 8;
  float d = half_to_float(load_u16(block));
  uint32_t high = load_u16(block + 2);
  for (size_t i = 0; i < ELEMENTS; i++) {
    size_t part = i / 32;
    int scale = (low[part / 2] >> 4 * (part % 2) & 15) | (int)(high >> 2 * part & 3) << 4;
    float part_scale = d * (float)(scale - 32);
    // Within a part as in IQ4_NL: byte l has elements l and l + 16.
    int code = codes[16 * part + i % 16] >> 4 * (i / 16 % 2) & 15;
    out[i] = part_scale * (float)iq4_values[code];
  }
}

void decode_tq2_0(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block + 64));
  for (size_t i = 0; i < ELEMENTS; i++) out[i] = d * (float)(two_bits(block, i) - 1);
}

/// `digits` base-3 digits, less 1, of each of `count` bytes: the first digit of every byte, then the second,
/// … A byte is a fraction of 256: three times it, the digit is what passes 255.
static void decode_ternary(const uint8_t *bytes, size_t count, size_t digits, float d, float *out) {
  static const unsigned powers[5] = {1, 3, 9, 27, 81};
  for (size_t i = 0; i < count * digits; i++) {
    unsigned rest = bytes[i % count] * powers[i / count] & 255;
    out[i] = d * (float)((int)(rest * 3 >> 8) - 1);
  }
}

void decode_tq1_0(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block + 52));
  decode_ternary(block, 32, 5, d, out);
  decode_ternary(block + 32, 16, 5, d, out + 160);
  decode_ternary(block + 48, 4, 4, d, out + 240);
}
