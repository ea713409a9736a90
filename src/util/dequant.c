// The table of types that can be decoded, and the plain ones. dequant_types.h has the rule, and the decoders
// of quantised types.
#include "util/dequant.h"

#include "dequant_types.h"
#include "util/bytes.h"
#include "util/half.h"
#include <string.h>

/// Exactly one is set.
typedef struct Decoder {
  void (*elements)(const uint8_t *bytes, size_t count, float *out); // of a plain type, any number at once
  void (*block)(const uint8_t *block, float *out);                  // of a quantised type
} Decoder;

static void decode_f32(const uint8_t *bytes, size_t count, float *out) {
  memcpy(out, bytes, count * sizeof *out);
}

static void decode_f16(const uint8_t *bytes, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = half_to_float(load_u16(bytes + 2 * i));
}

static void decode_bf16(const uint8_t *bytes, size_t count, float *out) {
  for (size_t i = 0; i < count; i++) out[i] = bfloat_to_float(load_u16(bytes + 2 * i));
}

// A type without a decoder cannot be read; the readers refuse it by name.
static const Decoder decoders[DTYPE_COUNT] = {
    [DTYPE_F32] = {.elements = decode_f32},      [DTYPE_F16] = {.elements = decode_f16},
    [DTYPE_BF16] = {.elements = decode_bf16},    [DTYPE_Q8_0] = {.block = decode_q8_0},
    [DTYPE_Q4_0] = {.block = decode_q4_0},       [DTYPE_Q4_1] = {.block = decode_q4_1},
    [DTYPE_Q5_0] = {.block = decode_q5_0},       [DTYPE_Q5_1] = {.block = decode_q5_1},
    [DTYPE_Q2_K] = {.block = decode_q2_k},       [DTYPE_Q3_K] = {.block = decode_q3_k},
    [DTYPE_Q4_K] = {.block = decode_q4_k},       [DTYPE_Q5_K] = {.block = decode_q5_k},
    [DTYPE_Q6_K] = {.block = decode_q6_k},       [DTYPE_IQ1_S] = {.block = decode_iq1_s},
    [DTYPE_IQ1_M] = {.block = decode_iq1_m},     [DTYPE_IQ2_XXS] = {.block = decode_iq2_xxs},
    [DTYPE_IQ2_XS] = {.block = decode_iq2_xs},   [DTYPE_IQ2_S] = {.block = decode_iq2_s},
    [DTYPE_IQ3_XXS] = {.block = decode_iq3_xxs}, [DTYPE_IQ3_S] = {.block = decode_iq3_s},
    [DTYPE_IQ4_NL] = {.block = decode_iq4_nl},   [DTYPE_IQ4_XS] = {.block = decode_iq4_xs},
    [DTYPE_TQ1_0] = {.block = decode_tq1_0},     [DTYPE_TQ2_0] = {.block = decode_tq2_0},
    [DTYPE_MXFP4] = {.block = decode_mxfp4},     [DTYPE_NF4] = {.block = decode_nf4},
};

bool can_dequantise(DType type) {
  return decoders[type].elements != NULL || decoders[type].block != NULL;
}

void dequantise(DType type, const uint8_t *bytes, size_t blocks, float *out) {
  const DTypeInfo *info = dtype_info(type);
  if (decoders[type].elements != NULL) {
    decoders[type].elements(bytes, blocks, out);
    return;
  }
  for (size_t i = 0; i < blocks; i++)
    decoders[type].block(bytes + i * info->block_bytes, out + i * info->block_elements);
}
