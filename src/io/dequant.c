// From stored elements to float32. Rule: each value is the one ggml computes, to the bit: products and sums are
// rounded one at a time, in float32. Blocks hold 32 elements; d and m are binary16.
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

static void q8_0_block(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < BLOCK_ELEMENTS; i++) out[i] = d * (float)(int8_t)block[2 + i];
}

static void q4_0_block(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  for (size_t i = 0; i < BLOCK_ELEMENTS / 2; i++) {
    uint8_t both = block[2 + i];
    out[i] = d * (float)((both & 15) - 8);
    out[i + BLOCK_ELEMENTS / 2] = d * (float)((both >> 4) - 8);
  }
}

static void q4_1_block(const uint8_t *block, float *out) {
  float d = half_to_float(load_u16(block));
  float m = half_to_float(load_u16(block + 2));
  for (size_t i = 0; i < BLOCK_ELEMENTS / 2; i++) {
    uint8_t both = block[4 + i];
    // Products in variables of their own: a compiler may fuse a * b + c inside one expression, and round once.
    float low = d * (float)(both & 15);
    float high = d * (float)(both >> 4);
    out[i] = low + m;
    out[i + BLOCK_ELEMENTS / 2] = high + m;
  }
}

size_t stored_block_elements(StoredType type) {
  return type >= STORED_Q8_0 ? BLOCK_ELEMENTS : 1;
}

size_t stored_block_bytes(StoredType type) {
  switch (type) {
  case STORED_F32:
    return 4;
  case STORED_F16:
  case STORED_BF16:
    return 2;
  case STORED_Q8_0:
    return Q8_0_BYTES;
  case STORED_Q4_0:
    return Q4_0_BYTES;
  case STORED_Q4_1:
    return Q4_1_BYTES;
  }
  return 0;
}

const char *stored_type_name(StoredType type) {
  static const char *const names[] = {"F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1"};
  return (size_t)type < sizeof names / sizeof names[0] ? names[type] : "unknown";
}

void dequantise(StoredType type, const uint8_t *bytes, size_t blocks, float *out) {
  switch (type) {
  case STORED_F32:
    memcpy(out, bytes, blocks * sizeof *out);
    break;
  case STORED_F16:
    for (size_t i = 0; i < blocks; i++) out[i] = half_to_float(load_u16(bytes + 2 * i));
    break;
  case STORED_BF16:
    for (size_t i = 0; i < blocks; i++) out[i] = bfloat_to_float(load_u16(bytes + 2 * i));
    break;
  case STORED_Q8_0:
    for (size_t i = 0; i < blocks; i++) q8_0_block(bytes + i * Q8_0_BYTES, out + i * BLOCK_ELEMENTS);
    break;
  case STORED_Q4_0:
    for (size_t i = 0; i < blocks; i++) q4_0_block(bytes + i * Q4_0_BYTES, out + i * BLOCK_ELEMENTS);
    break;
  case STORED_Q4_1:
    for (size_t i = 0; i < blocks; i++) q4_1_block(bytes + i * Q4_1_BYTES, out + i * BLOCK_ELEMENTS);
    break;
  }
}
