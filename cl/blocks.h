// The decoders of quantised blocks, one for each type of block_list.h. Every element of every type is
//
//   scale · code + shift         code: a whole number of eight bits;   shift: NO_SHIFT in most types
//
// and the LANES elements from i on, i a multiple of LANES, have one scale and one shift. A decoder returns
// their codes, in two's complement. util/dequant_plain.c and dequant_k.c have pictures of the blocks, and are
// the twins. NF4 is the exception: its code is the place, in a list, of the number that is multiplied.
//
// Rule: the bits are the twins'. Every product is rounded by itself, so what may be added to is computed by
// lanes_product or rounded_product. Numbers of several bytes are put together from parts of at most 16 bits,
// because blocks lie at any even address (those of MXFP4 at any).
#include "lanes.h"

#define NO_SHIFT -0.0f // adding it changes nothing, not even the sign of a zero

INLINE float half_at(GLOBAL const uchar *from) {
  return load_half((GLOBAL const ushort *)from, 0);
}

// Lists of 16 signed bytes, as the four words that hold them, the first in the lowest byte.

/// −127, −104, −83, −65, −49, −35, −22, −10, 1, 13, 25, 38, 53, 69, 89, 113
#define IQ4_VALUES 0xbfad9881u, 0xf6eaddcfu, 0x26190d01u, 0x71594535u
/// 0, 1, 2, 3, 4, 6, 8, 12, and the same below zero
#define TWICE_E2M1 0x03020100u, 0x0c080604u, 0xfdfeff00u, 0xf4f8fafcu

INLINE lanes_byte look_up(lanes_byte code, uint first, uint second, uint third, uint fourth) {
#if LANES == 16
  return lanes_look_up(as_uchar16((uint4)(first, second, third, fourth)), code);
#else
  uint word = code < 8 ? (code < 4 ? first : second) : code < 12 ? third : fourth;
  return word >> (code & 3u) * 8;
#endif
}

/// Floats by their bytes, the lowest first.
INLINE lanes lanes_of_bytes(lanes_byte first, lanes_byte second, lanes_byte third, lanes_byte fourth) {
#if LANES == 16
  return as_float16(convert_uint16(first) | convert_uint16(second) << 8 | convert_uint16(third) << 16 |
                    convert_uint16(fourth) << 24);
#else
  return float_of_bits((first & 255u) | (second & 255u) << 8 | (third & 255u) << 16 | fourth << 24);
#endif
}

INLINE lanes_byte low_bits(lanes_byte bytes, uint shift, uint mask) {
  return bytes >> lanes_byte_of(shift) & lanes_byte_of(mask);
}
/// Four bits of each element: of 2 · count elements, the first `count` are in the low four bits of as many
/// bytes, the others in the high.
INLINE lanes_byte four_bits(GLOBAL const uchar *from, uint i, uint count) {
  return low_bits(lanes_bytes(from + i / (2 * count) * count + i % count), i / count % 2 * 4, 15);
}
/// Two bits of each: 128 elements are in 32 bytes, and byte l has elements l, l + 32, l + 64, l + 96.
INLINE lanes_byte two_bits(GLOBAL const uchar *from, uint i) {
  return low_bits(lanes_bytes(from + i / 128 * 32 + i % 32), i / 32 % 4 * 2, 3);
}
/// One bit of each, four places up: 256 elements are in 32 bytes, and byte l has elements l, l + 32, l + 64,
/// …
INLINE lanes_byte high_bit(GLOBAL const uchar *from, uint i) {
  return low_bits(lanes_bytes(from + i % 32), i / 32, 1) << lanes_byte_of(4);
}
INLINE lanes_byte fifth_bits(GLOBAL const uchar *from, uint i) {
  return lanes_bits(from, i) << lanes_byte_of(4);
}

// ---- 32 elements to a scale ----

INLINE lanes_byte block_Q8_0(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = half_at(block);
  *shift = NO_SHIFT;
  return lanes_bytes(block + 2 + i);
}

INLINE lanes_byte block_Q4_0(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = half_at(block);
  *shift = NO_SHIFT;
  return four_bits(block + 2, i, 16) - lanes_byte_of(8);
}

INLINE lanes_byte block_Q4_1(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = half_at(block);
  *shift = half_at(block + 2);
  return four_bits(block + 4, i, 16);
}

INLINE lanes_byte block_Q5_0(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = half_at(block);
  *shift = NO_SHIFT;
  return (four_bits(block + 6, i, 16) | fifth_bits(block + 2, i)) - lanes_byte_of(16);
}

INLINE lanes_byte block_Q5_1(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = half_at(block);
  *shift = half_at(block + 2);
  return four_bits(block + 8, i, 16) | fifth_bits(block + 4, i);
}

INLINE lanes_byte block_IQ4_NL(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = half_at(block);
  *shift = NO_SHIFT;
  return look_up(four_bits(block + 2, i, 16), IQ4_VALUES);
}

/// The scale is half a power of two, because the numbers are doubled; the two smallest are not normal floats.
INLINE lanes_byte block_MXFP4(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  uint e = block[0];
  *scale = float_of_bits(e < 2 ? 0x200000u << e : (e - 1) << 23);
  *shift = NO_SHIFT;
  return look_up(four_bits(block + 1, i, 16), TWICE_E2M1);
}

// ---- 256 elements with scales of their parts ----

INLINE lanes_byte block_Q2_K(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  uint part = block[i / 16];
  *scale = rounded_product(half_at(block + 80), (float)(part & 15));
  *shift = -rounded_product(half_at(block + 82), (float)(part >> 4));
  return two_bits(block + 16, i);
}

/// Scales are −32 … 31: four bits in the first 8 bytes, two in the last 4. A missing high bit takes 4 away.
INLINE lanes_byte block_Q3_K(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  GLOBAL const uchar *scales = block + 96;
  uint part = i / 16;
  uint low = scales[part % 8] >> (part / 8 * 4) & 15, high = scales[8 + part % 4] >> (part / 4 * 2) & 3;
  *scale = rounded_product(half_at(block + 108), (float)((int)(low | high << 4) - 32));
  *shift = NO_SHIFT;
  return (two_bits(block + 32, i) | high_bit(block, i) >> lanes_byte_of(2)) - lanes_byte_of(4);
}

/// The scale and shift of Q4_K and Q5_K. Of the 8 parts' scales and offsets, the first four have six bits of
/// a byte of their own; of the others, four bits are in the last 4 bytes, and two above those of the first
/// four.
INLINE void offset_scale(GLOBAL const uchar *block, uint part, float *scale, float *shift) {
  GLOBAL const uchar *packed = block + 4;
  uint first = packed[part], second = packed[part + 4];
  uint of_scale = first & 63, of_shift = second & 63;
  if (part >= 4) {
    of_scale = (second & 15) | (uint)packed[part - 4] >> 6 << 4;
    of_shift = second >> 4 | first >> 6 << 4;
  }
  *scale = rounded_product(half_at(block), (float)of_scale);
  *shift = -rounded_product(half_at(block + 2), (float)of_shift);
}

INLINE lanes_byte block_Q4_K(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  offset_scale(block, i / 32, scale, shift);
  return four_bits(block + 16, i, 32);
}

INLINE lanes_byte block_Q5_K(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  offset_scale(block, i / 32, scale, shift);
  return four_bits(block + 48, i, 32) | high_bit(block + 16, i);
}

INLINE lanes_byte block_Q6_K(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  int part = (int)(block[192 + i / 16] ^ 128u) - 128;
  *scale = rounded_product(half_at(block + 208), (float)part);
  *shift = NO_SHIFT;
  return (four_bits(block, i, 64) | two_bits(block + 128, i) << lanes_byte_of(4)) - lanes_byte_of(32);
}

INLINE lanes_byte block_IQ4_XS(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  uint part = i / 32;
  uint low = block[4 + part / 2] >> (part % 2 * 4) & 15, high = block[2 + part / 4] >> (part % 4 * 2) & 3;
  *scale = rounded_product(half_at(block), (float)((int)(low | high << 4) - 32));
  *shift = NO_SHIFT;
  return look_up(four_bits(block + 8, i, 16), IQ4_VALUES);
}

// ---- levels that are no whole numbers ----

/// The code is the level's place in the list below, not a number.
INLINE lanes_byte block_NF4(GLOBAL const uchar *block, uint i, float *scale, float *shift) {
  *scale = float_of_bits((uint)block[0] | (uint)block[1] << 8 | (uint)block[2] << 16 | (uint)block[3] << 24);
  *shift = NO_SHIFT;
  return four_bits(block + 4, i, 32);
}

/// The bytes of the 16 levels as floats, the lowest of each first: −1, −0.6961928, −0.52507305, −0.3949175,
/// −0.28444138, −0.18477343, −0.091050036, 0, 0.0795803, 0.1609302, 0.2461123, 0.33791524, 0.44070983,
/// 0.562617, 0.72295684, 1. They are looked up byte by byte, which a CPU does for all lanes at once.
#define NF4_BYTES_0 0xa030b100u, 0x00713f4du, 0x3adde3ffu, 0x00b3abb8u
#define NF4_BYTES_1 0x326b3900u, 0x007835a2u, 0x0304cafau, 0x001307a4u
#define NF4_BYTES_2 0xca063280u, 0x00ba3d91u, 0xad7c24a2u, 0x803910e1u
#define NF4_BYTES_3 0xbebfbfbfu, 0x00bdbebeu, 0x3e3e3e3du, 0x3f3f3f3eu

INLINE lanes lanes_levels(lanes_byte codes) {
  return lanes_of_bytes(look_up(codes, NF4_BYTES_0), look_up(codes, NF4_BYTES_1), look_up(codes, NF4_BYTES_2),
                        look_up(codes, NF4_BYTES_3));
}
