// The table of types that can be made, and those with one scale to a block. Rule: a value becomes the nearest
// of those that a block can hold at its scale, and the scale is that of the block's largest value.
#include "util/quantise.h"

#include "dequant_types.h"
#include "quantise_types.h"
#include "util/half.h"
#include <math.h>
#include <string.h>

typedef void (*Encoder)(const float *values, uint8_t *block);

static const Encoder encoders[DTYPE_COUNT] = {
    [DTYPE_Q8_0] = encode_q8_0, [DTYPE_Q4_K] = encode_q4_k, [DTYPE_NF4] = encode_nf4};

bool can_quantise(DType type) {
  return (unsigned)type < DTYPE_COUNT && encoders[type] != NULL;
}

void quantise(DType type, const float *values, size_t blocks, uint8_t *out) {
  const DTypeInfo *info = dtype_info(type);
  for (size_t i = 0; i < blocks; i++)
    encoders[type](values + i * info->block_elements, out + i * info->block_bytes);
}

static float largest(const float *values, size_t count) {
  float most = 0;
  for (size_t i = 0; i < count; i++) most = fabsf(values[i]) > most ? fabsf(values[i]) : most;
  return most;
}

/// Halves are rounded away from zero, as ggml does.
void encode_q8_0(const float *values, uint8_t *block) {
  enum { ELEMENTS = 32 };
  float d = largest(values, ELEMENTS) / 127;
  float inverse = d != 0 ? 1 / d : 0;
  uint16_t scale = half_from_float(d);
  memcpy(block, &scale, sizeof scale);
  for (size_t i = 0; i < ELEMENTS; i++) {
    float code = roundf(values[i] * inverse); // infinite or NaN if d is so small that its inverse is infinite
    code = code < 127 ? code : 127;
    block[2 + i] = (uint8_t)(int8_t)(code > -127 ? code : -127);
  }
}

/// The code of a number of −1 … 1: how many of the middles between levels it is above.
static uint8_t nf4_code(float number) {
  unsigned code = 0;
  for (size_t i = 0; i + 1 < 16; i++) {
    float middle = (float)(((double)nf4_levels[i] + (double)nf4_levels[i + 1]) / 2);
    code += number > middle;
  }
  return (uint8_t)code;
}

void encode_nf4(const float *values, uint8_t *block) {
  enum { ELEMENTS = 64, LOW = 32 };
  float d = largest(values, ELEMENTS);
  float inverse = d != 0 ? 1 / d : 0;
  memcpy(block, &d, sizeof d);
  for (size_t i = 0; i < LOW; i++)
    block[4 + i] = (uint8_t)(nf4_code(values[i] * inverse) | nf4_code(values[i + LOW] * inverse) << 4);
}
