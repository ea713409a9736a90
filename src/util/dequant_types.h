// The decoders of quantised types, one function per type: out[block elements] = one block, which may have any
// alignment. Each value is the one ggml computes, to the bit: every product and every sum is rounded to
// float32 by itself, so a product that is added to has a variable of its own (in one expression the compiler
// may fuse a * b + c and round once). util/dtype.h has the sizes of blocks; d and m are binary16. Private to
// util.
#pragma once

#include <stdint.h>

// ---- 32 elements to a scale (dequant_plain.c) ----

void decode_q4_0(const uint8_t *block, float *out);
void decode_q4_1(const uint8_t *block, float *out);
void decode_q5_0(const uint8_t *block, float *out);
void decode_q5_1(const uint8_t *block, float *out);
void decode_q8_0(const uint8_t *block, float *out);
void decode_iq4_nl(const uint8_t *block, float *out);
void decode_mxfp4(const uint8_t *block, float *out);

// ---- 64 elements to a scale (dequant_plain.c) ----

/// The levels of QLoRA's NormalFloat, by their codes, as bitsandbytes publishes them.
extern const float nf4_levels[16];
void decode_nf4(const uint8_t *block, float *out);

// ---- 256 elements with scales of their parts (dequant_k.c) ----

void decode_q2_k(const uint8_t *block, float *out);
void decode_q3_k(const uint8_t *block, float *out);
void decode_q4_k(const uint8_t *block, float *out);
void decode_q5_k(const uint8_t *block, float *out);
void decode_q6_k(const uint8_t *block, float *out);
void decode_iq4_xs(const uint8_t *block, float *out);
void decode_tq1_0(const uint8_t *block, float *out);
void decode_tq2_0(const uint8_t *block, float *out);

// ---- 256 elements from a grid (dequant_grid.c) ----

void decode_iq1_s(const uint8_t *block, float *out);
void decode_iq1_m(const uint8_t *block, float *out);
void decode_iq2_xxs(const uint8_t *block, float *out);
void decode_iq2_xs(const uint8_t *block, float *out);
void decode_iq2_s(const uint8_t *block, float *out);
void decode_iq3_xxs(const uint8_t *block, float *out);
void decode_iq3_s(const uint8_t *block, float *out);

/// The 16 values of IQ4_NL and IQ4_XS, by their codes.
extern const int8_t iq4_values[16];
