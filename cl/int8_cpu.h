// Numbers as eight bits with a scale for each BLOCK of them: how rows of A and weights are rounded.
#include "columns_cpu.h"

#define BLOCK 32     // steps of k that share a scale
#define NONE  1e-36f // blocks whose numbers are all below this are 0: 127 / largest would overflow

INLINE int16 nearest_whole(vector value) {
  int16 whole;
  __asm__("vcvtps2dq %1, %0" : "=v"(whole) : "v"(value));
  return whole;
}

INLINE int largest_of(int16 value) {
  int8 eight = max(value.lo, value.hi);
  int4 four = max(eight.lo, eight.hi);
  int2 two = max(four.lo, four.hi);
  return max(two.x, two.y);
}

INLINE int sum_of(int16 value) {
  int8 eight = value.lo + value.hi;
  int4 four = eight.lo + eight.hi;
  int2 two = four.lo + four.hi;
  return two.x + two.y;
}

/// codes[0 … BLOCK) of the values, and their scale: value ≈ scale · code, with codes from −127 to 127. If
/// one of them is not finite, the scale is not either.
INLINE float round_block(lanes_byte *codes, const vector *values) {
  const int16 sign = (int16)(0x7fffffff);
  float largest = as_float(largest_of(max(as_int16(values[0]) & sign, as_int16(values[1]) & sign)));
  if (largest < NONE) {
    codes[0] = codes[1] = (lanes_byte)(0);
    return 0.0f;
  }
  vector factor = (vector)(127.0f / largest);
  codes[0] = convert_uchar16(nearest_whole(values[0] * factor));
  codes[1] = convert_uchar16(nearest_whole(values[1] * factor));
  return largest * (1.0f / 127.0f);
}

/// A code that is stored as `byte` is byte − code_offset. The instruction multiplies bytes without a sign, so
/// four bits are left as they are and others moved.
INLINE uint code_offset(uint type) {
  return type == TYPE_Q4_1 ? 0 : type == TYPE_Q4_0 ? 8 : 128;
}

// A row of A, rounded, is for each block three numbers and then its codes, four to a word. The scale is that
// of the codes, `sum` the sum of the rounded values, and `start` −code_offset · the sum of the codes.
#define SCALE_WORD  0
#define SUM_WORD    1
#define START_WORD  2
#define CODE_WORD   3
#define BLOCK_WORDS (CODE_WORD + BLOCK / 4)
