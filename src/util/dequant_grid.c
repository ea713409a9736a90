// Blocks of 256 elements that choose groups of 4 or 8 values from a grid. dequant_types.h has the rule.
//
//   IQ2_XXS, 66 bytes  | d | 8 × (grid index: 4 bytes | signs: 7 bits × 4, scale: 4 bits) |
//   IQ2_XS, 74 bytes   | d | 32 × (grid index: 9 bits, signs: 7 bits) | scales: 4 bits × 16 |
//   IQ2_S, 82 bytes    | d | index: 32 bytes | signs: 32 bytes | index, high: 2 bits × 32 | scales: 4 bits ×
//   16 | IQ3_XXS, 98 bytes  | d | grid index: 64 bytes | 8 × (signs: 7 bits × 4, scale: 4 bits) | IQ3_S, 110
//   bytes   | d | index: 64 bytes | index, high: 1 bit × 64 | signs: 32 bytes | scales: 4 bits × 8 | IQ1_S,
//   50 bytes    | d | index: 32 bytes | 8 × (index, high: 3 bits × 4, scale: 3 bits, shift: 1 bit) | IQ1_M,
//   56 bytes    | index: 32 bytes | (index, high: 3 bits, shift: 1 bit) × 32 | scales: 3 bits × 16 and d |
#include "dequant_types.h"

#include "dequant_grids.h"
#include "util/bytes.h"
#include "util/half.h"

/// Eight signs, a bit each, from seven bits: the number of minus signs is even.
static unsigned even_signs(uint32_t seven) {
  seven &= 127;
  return seven | (unsigned)__builtin_parity(seven) << 7;
}

/// Four bits, two numbers to a byte.
static unsigned nibble(const uint8_t *bytes, size_t i) {
  return bytes[i / 2] >> 4 * (i % 2) & 15;
}

// ---- about two bits: eight of 8, 25 and 43, with signs ----

static void put_eight(float scale, uint16_t codes, unsigned signs, float *out) {
  static const float values[4] = {8, 25, 43}; // no grid has the fourth code
  for (size_t i = 0; i < 8; i++) {
    float value = scale * values[codes >> 2 * i & 3];
    out[i] = signs >> i & 1 ? -value : value;
  }
}

void decode_iq2_xxs(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  for (size_t part = 0; part < 8; part++) {
    const uint8_t *index = block + 2 + 8 * part;
    uint32_t word = load_u32(index + 4);
    float scale = d * (0.5f + (float)(word >> 28)) * 0.25f;
    for (size_t i = 0; i < 4; i++)
      put_eight(scale, iq2_xxs_grid[index[i]], even_signs(word >> 7 * i), out + 32 * part + 8 * i);
  }
}

void decode_iq2_xs(const uint8_t *block, float *out) {
  const uint8_t *scales = block + 66;
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < 32; i++) {
    unsigned word = load_u16(block + 2 + 2 * i);
    float scale = d * (0.5f + (float)nibble(scales, i / 2)) * 0.25f;
    put_eight(scale, iq2_xs_grid[word & 511], even_signs(word >> 9), out + 8 * i);
  }
}

void decode_iq2_s(const uint8_t *block, float *out) {
  const uint8_t *index = block + 2, *signs = block + 34, *high = block + 66, *scales = block + 74;
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < 32; i++) {
    size_t place = index[i] | (size_t)(high[i / 4] >> 2 * (i % 4) & 3) << 8;
    float scale = d * (0.5f + (float)nibble(scales, i / 2)) * 0.25f;
    put_eight(scale, iq2_s_grid[place], signs[i], out + 8 * i);
  }
}

// ---- about three bits: four numbers of a list of eight, with signs ----

static void put_four(float scale, const uint8_t values[8], uint16_t codes, unsigned signs, float *out) {
  for (size_t i = 0; i < 4; i++) {
    float value = scale * (float)values[codes >> 4 * i & 7];
    out[i] = signs >> i & 1 ? -value : value;
  }
}

void decode_iq3_xxs(const uint8_t *block, float *out) {
  static const uint8_t values[8] = {4, 12, 20, 28, 36, 44, 52, 62};
  const uint8_t *index = block + 2, *words = block + 66;
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < 64; i++) {
    uint32_t word = load_u32(words + i / 8 * 4);
    float scale = d * (0.5f + (float)(word >> 28)) * 0.5f;
    unsigned signs = even_signs(word >> 7 * (i / 2 % 4)) >> 4 * (i % 2);
    put_four(scale, values, iq3_xxs_grid[index[i]], signs, out + 4 * i);
  }
}

void decode_iq3_s(const uint8_t *block, float *out) {
  static const uint8_t values[8] = {1, 3, 5, 7, 9, 11, 13, 15};
  const uint8_t *index = block + 2, *high = block + 66, *signs = block + 74, *scales = block + 106;
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < 64; i++) {
    size_t place = index[i] | (size_t)(high[i / 8] >> i % 8 & 1) << 8;
    float scale = d * (float)(1 + 2 * nibble(scales, i / 8));
    put_four(scale, values, iq3_s_grid[place], nibble(signs, i), out + 4 * i);
  }
}

// ---- about one bit: eight of −1, 0 and 1, all shifted by an eighth ----

static void put_shifted(float scale, uint16_t codes, bool down, float *out) {
  float shift = down ? -0.125f : 0.125f;
  for (size_t i = 0; i < 8; i++) out[i] = scale * ((float)((codes >> 2 * i & 3) - 1) + shift);
}

void decode_iq1_s(const uint8_t *block, float *out) {
  const uint8_t *index = block + 2, *words = block + 34;
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < 32; i++) {
    unsigned word = load_u16(words + i / 4 * 2);
    size_t place = index[i] | (size_t)(word >> 3 * (i % 4) & 7) << 8;
    float scale = d * (float)(2 * (word >> 12 & 7) + 1);
    put_shifted(scale, iq1_grid[place], word >> 15, out + 8 * i);
  }
}

void decode_iq1_m(const uint8_t *block, float *out) {
  const uint8_t *index = block, *high = block + 32, *words = block + 48;
  // d is in the upper four bits of the four words, the lowest first.
  unsigned bits = 0;
  for (size_t i = 0; i < 4; i++) bits |= (unsigned)(load_u16(words + 2 * i) >> 12) << 4 * i;
  float d = half_to_float((uint16_t)bits);
  for (size_t i = 0; i < 32; i++) {
    unsigned word = load_u16(words + i / 8 * 2);
    size_t place = index[i] | (size_t)(nibble(high, i) & 7) << 8;
    float scale = d * (float)(2 * (word >> 3 * (i / 2 % 4) & 7) + 1);
    put_shifted(scale, iq1_grid[place], nibble(high, i) >> 3, out + 8 * i);
  }
}
