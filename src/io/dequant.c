// From stored elements to float32. Rule: each value is the one ggml computes, to the bit: every product and
// every sum is rounded to float32 by itself. d and m are binary16; util/dtype.h has the sizes of blocks.
//
//   Q8_0, 34 bytes   | d | q0 q1 … q31 |                      x[i] = d * q[i]               q: int8
//
//   Q4_0, 18 bytes   | d | b0 b1 … b15 |                      x[i]      = d * (low(b[i])  − 8)
//                                                             x[i + 16] = d * (high(b[i]) − 8)
//   Q4_1, 20 bytes   | d | m | b0 b1 … b15 |                  x[i]      = d * low(b[i])  + m
//                                                             x[i + 16] = d * high(b[i]) + m
//                     byte b[i]:  7 6 5 4 | 3 2 1 0
//                                 high    | low        so one byte holds elements i and i + 16
#include "tensor_file.h"

#include "util/half.h"
#include <string.h>

uint16_t load_u16(const uint8_t *bytes) {
  uint16_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

uint32_t load_u32(const uint8_t *bytes) {
  uint32_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

uint64_t load_u64(const uint8_t *bytes) {
  uint64_t value;
  memcpy(&value, bytes, sizeof value);
  return value;
}

/// Decodes `count` blocks.
typedef void (*Decoder)(const uint8_t *block, size_t count, float *out);

static void decode_f32(const uint8_t *block, size_t count, float *out) {
  memcpy(out, block, count * sizeof *out);
}

static void decode_f16(const uint8_t *block, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = half_to_float(load_u16(block + 2 * i));
}

static void decode_bf16(const uint8_t *block, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = bfloat_to_float(load_u16(block + 2 * i));
}

static void decode_q8_0(const uint8_t *block, size_t count, float *out) {
  for (; count > 0; count--, block += 34, out += 32) {
    float d = half_to_float(load_u16(block));
    for (size_t i = 0; i < 32; i++) out[i] = d * (float)(int8_t)block[2 + i];
  }
}

static void decode_q4_0(const uint8_t *block, size_t count, float *out) {
  for (; count > 0; count--, block += 18, out += 32) {
    float d = half_to_float(load_u16(block));
    for (size_t i = 0; i < 16; i++) {
      uint8_t pair = block[2 + i];
      out[i] = d * (float)((pair & 15) - 8);
      out[i + 16] = d * (float)((pair >> 4) - 8);
    }
  }
}

static void decode_q4_1(const uint8_t *block, size_t count, float *out) {
  for (; count > 0; count--, block += 20, out += 32) {
    float d = half_to_float(load_u16(block));
    float m = half_to_float(load_u16(block + 2));
    for (size_t i = 0; i < 16; i++) {
      uint8_t pair = block[4 + i];
      // The products have variables of their own: in one expression the compiler may fuse a * b + c and round
      // once.
      float low = d * (float)(pair & 15);
      float high = d * (float)(pair >> 4);
      out[i] = low + m;
      out[i + 16] = high + m;
    }
  }
}

// A type without a decoder cannot be read; the readers refuse it by name.
static const Decoder decoders[DTYPE_COUNT] = {
    [DTYPE_F32] = decode_f32,   [DTYPE_F16] = decode_f16,   [DTYPE_BF16] = decode_bf16,
    [DTYPE_Q8_0] = decode_q8_0, [DTYPE_Q4_0] = decode_q4_0, [DTYPE_Q4_1] = decode_q4_1,
};

bool can_dequantise(DType type) {
  return decoders[type] != NULL;
}

Status list_readable_types(Str *out) {
  size_t left = 0;
  for (unsigned i = 0; i < DTYPE_COUNT; i++) left += decoders[i] != NULL;
  for (unsigned i = 0; i < DTYPE_COUNT; i++) {
    if (decoders[i] == NULL) continue;
    left--;
    TRY(str_append_text(out, dtype_name((DType)i)));
    TRY(str_append_text(out, left > 1 ? ", " : left == 1 ? " or " : ""));
  }
  return STATUS_OK;
}

void dequantise(DType type, const uint8_t *bytes, size_t blocks, float *out) {
  decoders[type](bytes, blocks, out);
}
