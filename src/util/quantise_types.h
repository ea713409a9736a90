// The quantisers, one function per type: one block of values[block elements]. Private to util.
#pragma once

#include <stdint.h>

void encode_q8_0(const float *values, uint8_t *block);
void encode_nf4(const float *values, uint8_t *block);
/// quantise_k.c
void encode_q4_k(const float *values, uint8_t *block);
