// SIMD lanes and sums over a group, so that one kernel source serves CPUs and GPUs. A kernel walks along a
// row in steps:
//
//   for (uint i = local_id(0) * LANES; i < cols; i += GROUP * LANES) {
//     lanes x = lanes_load(row + i, cols - i, 0.0f);   ...   lanes_store(out + i, cols - i, y);
//   }
//
//   CPU family   GROUP 1, LANES 16: one work item walks along the row, 16 floats at a time, without barriers
//   GPU family   GROUP n, LANES 1:  neighbouring work items read neighbouring floats
//
// Rule: the order of every sum depends only on LANES, GROUP and the row's length.
#include "platform.h"

#if LANES == 16
typedef float16 lanes;

INLINE lanes lanes_of(float value) {
  return (lanes)(value);
}

/// Elements 0 … min(LANES, left) − 1; the others are `fill`.
INLINE lanes lanes_load(GLOBAL const float *from, uint left, float fill) {
  if (left >= LANES) return vload16(0, from);
  float part[LANES];
  for (uint i = 0; i < LANES; i++) part[i] = i < left ? from[i] : fill;
  return vload16(0, part);
}

/// Stores elements 0 … min(LANES, left) − 1.
INLINE void lanes_store(GLOBAL float *to, uint left, lanes value) {
  if (left >= LANES) {
    vstore16(value, 0, to);
    return;
  }
  float part[LANES];
  vstore16(value, 0, part);
  for (uint i = 0; i < left; i++) to[i] = part[i];
}

INLINE float lanes_sum(lanes value) {
  float8 a = value.lo + value.hi;
  float4 b = a.lo + a.hi;
  float2 c = b.lo + b.hi;
  return c.x + c.y;
}

INLINE float lanes_max(lanes value) {
  float8 a = fmax(value.lo, value.hi);
  float4 b = fmax(a.lo, a.hi);
  float2 c = fmax(b.lo, b.hi);
  return fmax(c.x, c.y);
}

INLINE float lanes_first(lanes value) {
  return value.x;
}

#define LANES_BITS(value)      as_uint16(value)
#define LANES_FROM_BITS(value) as_float16(value)

typedef uchar16 lanes_byte;

INLINE lanes_byte lanes_byte_of(uint value) {
  return (lanes_byte)((uchar)value);
}
/// LANES bytes from `from` on, at any address.
INLINE lanes_byte lanes_bytes(GLOBAL const uchar *from) {
  return vload16(0, from);
}
/// LANES bits from bit `first` on, 0 or 1 each; `first` is a multiple of LANES.
INLINE lanes_byte lanes_bits(GLOBAL const uchar *from, uint first) {
  const uchar8 place = (uchar8)(1, 2, 4, 8, 16, 32, 64, 128);
  uchar8 low = (uchar8)(from[first / 8]) & place, high = (uchar8)(from[first / 8 + 1]) & place;
  return as_uchar16((uchar16)(low, high) != (lanes_byte)(0)) & (lanes_byte)(1);
}
/// Bytes of the table by their numbers, which are below 16.
INLINE lanes_byte lanes_look_up(uchar16 table, lanes_byte numbers) {
#ifdef __SSSE3__
  return as_uchar16(__builtin_ia32_pshufb128(as_char16(table), as_char16(numbers)));
#else
  return shuffle(table, numbers);
#endif
}
/// The numbers that bytes hold in two's complement.
INLINE lanes lanes_number(lanes_byte value) {
  return convert_float16(convert_int16(as_char16(value)));
}
/// a · b, rounded as rounded_product rounds.
INLINE lanes lanes_product(lanes a, lanes b) {
  NOT_FUSED;
  return a * b;
}

#else
typedef float lanes;

INLINE lanes lanes_of(float value) {
  return value;
}
INLINE lanes lanes_load(GLOBAL const float *from, uint left, float fill) {
  return left > 0 ? from[0] : fill;
}
INLINE void lanes_store(GLOBAL float *to, uint left, lanes value) {
  if (left > 0) to[0] = value;
}
INLINE float lanes_sum(lanes value) {
  return value;
}
INLINE float lanes_max(lanes value) {
  return value;
}
INLINE float lanes_first(lanes value) {
  return value;
}

#define LANES_BITS(value)      bits_of_float(value)
#define LANES_FROM_BITS(value) float_of_bits(value)

typedef uint lanes_byte; // the low eight bits count

INLINE lanes_byte lanes_byte_of(uint value) {
  return value;
}
INLINE lanes_byte lanes_bytes(GLOBAL const uchar *from) {
  return from[0];
}
INLINE lanes_byte lanes_bits(GLOBAL const uchar *from, uint first) {
  return from[first / 8] >> first % 8 & 1u;
}
INLINE lanes lanes_number(lanes_byte value) {
  return (float)((int)((value & 255u) ^ 128u) - 128);
}
INLINE lanes lanes_product(lanes a, lanes b) {
  return rounded_product(a, b);
}
#endif

// Kernels that are launched with grid_columns() have their groups along axis 0, those of one row side by
// side, because CUDA allows at most 65,535 groups along another axis, and there may be more rows, or pieces
// of a row.

/// Groups that share a row of `cols` elements.
INLINE uint row_groups(ulong cols) {
  ulong each = (ulong)local_count(0) * LANES;
  return (uint)((cols + each - 1) / each);
}
/// The row of this work item.
INLINE uint lanes_row(ulong cols) {
  return group_id(0) / row_groups(cols);
}
/// The first of its LANES columns; may be behind the row's end.
INLINE ulong lanes_column(ulong cols) {
  return ((ulong)(group_id(0) % row_groups(cols)) * local_count(0) + local_id(0)) * LANES;
}

/// Below every score, but finite, because inf − inf is NaN.
#define LOWEST         (-3.0e38f)
#define MINUS_INFINITY float_of_bits(0xff800000u)

/// exp(x), within 1 ulp for −87 ≤ x ≤ 88 and exactly 1 at 0. Below it is exp(−87) = 1.6e−38, above it is
/// exp(88). x = n ln 2 + r: n is added to the exponent bits, and the polynomial in r is that of Cephes' expf.
/// NaN stays NaN, although two NaNs' bits, added, may be those of a number (on NVIDIA's cards all are set).
INLINE lanes lanes_exp(lanes x) {
  const float shift = 12582912.0f; // 1.5 · 2^23: adding it leaves round(x) in the low bits
  x = x < lanes_of(-87.0f) ? lanes_of(-87.0f) : x;
  x = x > lanes_of(88.0f) ? lanes_of(88.0f) : x;
  lanes t = fma(x, lanes_of(1.44269504088896341f), lanes_of(shift));
  lanes n = t - shift;
  lanes r = fma(n, lanes_of(-0.693359375f), x);
  r = fma(n, lanes_of(2.12194440e-4f), r);
  lanes p = fma(r, lanes_of(1.9875691500e-4f), lanes_of(1.3981999507e-3f));
  p = fma(p, r, lanes_of(8.3334519073e-3f));
  p = fma(p, r, lanes_of(4.1665795894e-2f));
  p = fma(p, r, lanes_of(1.6666665459e-1f));
  p = fma(p, r, lanes_of(5.0000001201e-1f));
  p = fma(p, r * r, r) + 1.0f;
  lanes power = LANES_FROM_BITS(LANES_BITS(p) + (LANES_BITS(t) << 23));
  return x == x ? power : x;
}

INLINE float float_exp(float x) {
  return lanes_first(lanes_exp(lanes_of(x)));
}

/// The sum of all work items' values, returned to each of them. part[GROUP] is scratch.
INLINE float group_sum(LOCAL_PTR float *part, float value) {
#if GROUP == 1
  (void)part;
  return value;
#else
  uint item = local_id(0);
  BARRIER(); // another work item may still be reading an earlier call's result
  part[item] = value;
  for (uint step = GROUP / 2; step > 0; step /= 2) {
    BARRIER();
    if (item < step) part[item] += part[item + step];
  }
  BARRIER();
  return part[0];
#endif
}

/// The largest of all work items' values, in the same way.
INLINE float group_max(LOCAL_PTR float *part, float value) {
#if GROUP == 1
  (void)part;
  return value;
#else
  uint item = local_id(0);
  BARRIER();
  part[item] = value;
  for (uint step = GROUP / 2; step > 0; step /= 2) {
    BARRIER();
    if (item < step) part[item] = fmax(part[item], part[item + step]);
  }
  BARRIER();
  return part[0];
#endif
}

/// The group copies a row.
INLINE void copy_row(GLOBAL float *out, GLOBAL const float *x, uint cols) {
  for (uint c = local_id(0) * LANES; c < cols; c += GROUP * LANES)
    lanes_store(out + c, cols - c, lanes_load(x + c, cols - c, 0.0f));
}
