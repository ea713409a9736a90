// Element types of files and of devices. The enum, the table and the numbers that kernels compare with (ops
// passes them with -D) all come from one list. A type is stored in whole blocks: of one element for a plain
// type, of 32 to 256 for a quantised one. The block sizes are those of ggml's ggml-common.h; only NF4 is not
// of ggml, and in no file: weights become it when they are loaded.
#pragma once

#include <stdbool.h>
#include <stddef.h>

// DTYPE_ROW(name, kind, elements of a block, bytes of a block, number in GGUF files)
#define DTYPE_LIST(DTYPE_ROW)                                                                                \
  DTYPE_ROW(F32, DTYPE_FLOAT, 1, 4, 0)                                                                       \
  DTYPE_ROW(F16, DTYPE_HALF, 1, 2, 1)                                                                        \
  DTYPE_ROW(BF16, DTYPE_HALF, 1, 2, 30)                                                                      \
  DTYPE_ROW(F64, DTYPE_FLOAT, 1, 8, 28)                                                                      \
  DTYPE_ROW(I8, DTYPE_INTEGER, 1, 1, 24)                                                                     \
  DTYPE_ROW(I16, DTYPE_INTEGER, 1, 2, 25)                                                                    \
  DTYPE_ROW(I32, DTYPE_INTEGER, 1, 4, 26)                                                                    \
  DTYPE_ROW(I64, DTYPE_INTEGER, 1, 8, 27)                                                                    \
  DTYPE_ROW(Q4_0, DTYPE_QUANTISED, 32, 18, 2)                                                                \
  DTYPE_ROW(Q4_1, DTYPE_QUANTISED, 32, 20, 3)                                                                \
  DTYPE_ROW(Q5_0, DTYPE_QUANTISED, 32, 22, 6)                                                                \
  DTYPE_ROW(Q5_1, DTYPE_QUANTISED, 32, 24, 7)                                                                \
  DTYPE_ROW(Q8_0, DTYPE_QUANTISED, 32, 34, 8)                                                                \
  DTYPE_ROW(Q8_1, DTYPE_QUANTISED, 32, 36, 9)                                                                \
  DTYPE_ROW(Q2_K, DTYPE_QUANTISED, 256, 84, 10)                                                              \
  DTYPE_ROW(Q3_K, DTYPE_QUANTISED, 256, 110, 11)                                                             \
  DTYPE_ROW(Q4_K, DTYPE_QUANTISED, 256, 144, 12)                                                             \
  DTYPE_ROW(Q5_K, DTYPE_QUANTISED, 256, 176, 13)                                                             \
  DTYPE_ROW(Q6_K, DTYPE_QUANTISED, 256, 210, 14)                                                             \
  DTYPE_ROW(Q8_K, DTYPE_QUANTISED, 256, 292, 15)                                                             \
  DTYPE_ROW(IQ2_XXS, DTYPE_QUANTISED, 256, 66, 16)                                                           \
  DTYPE_ROW(IQ2_XS, DTYPE_QUANTISED, 256, 74, 17)                                                            \
  DTYPE_ROW(IQ3_XXS, DTYPE_QUANTISED, 256, 98, 18)                                                           \
  DTYPE_ROW(IQ1_S, DTYPE_QUANTISED, 256, 50, 19)                                                             \
  DTYPE_ROW(IQ4_NL, DTYPE_QUANTISED, 32, 18, 20)                                                             \
  DTYPE_ROW(IQ3_S, DTYPE_QUANTISED, 256, 110, 21)                                                            \
  DTYPE_ROW(IQ2_S, DTYPE_QUANTISED, 256, 82, 22)                                                             \
  DTYPE_ROW(IQ4_XS, DTYPE_QUANTISED, 256, 136, 23)                                                           \
  DTYPE_ROW(IQ1_M, DTYPE_QUANTISED, 256, 56, 29)                                                             \
  DTYPE_ROW(TQ1_0, DTYPE_QUANTISED, 256, 54, 34)                                                             \
  DTYPE_ROW(TQ2_0, DTYPE_QUANTISED, 256, 66, 35)                                                             \
  DTYPE_ROW(MXFP4, DTYPE_QUANTISED, 32, 17, 39)                                                              \
  DTYPE_ROW(NVFP4, DTYPE_QUANTISED, 64, 36, 40)                                                              \
  DTYPE_ROW(Q1_0, DTYPE_QUANTISED, 128, 18, 41)                                                              \
  DTYPE_ROW(NF4, DTYPE_QUANTISED, 64, 36, GGUF_NONE)

enum { GGUF_NONE = -1 };

typedef enum DType {
#define DTYPE_ROW(name, kind, elements, bytes, gguf) DTYPE_##name,
  DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
      DTYPE_COUNT,
  DTYPE_STORED = DTYPE_COUNT // not a type: each tensor keeps the one that it has in its file
} DType;

typedef enum DTypeKind {
  DTYPE_FLOAT,
  DTYPE_HALF, // 16-bit floats
  DTYPE_INTEGER,
  DTYPE_QUANTISED,
} DTypeKind;

typedef struct DTypeInfo {
  const char *name; // "BF16", as safetensors and GGUF tools write it
  DTypeKind kind;
  size_t block_elements, block_bytes;
  int gguf; // the type's number in GGUF files, or GGUF_NONE
} DTypeInfo;

/// The type's row of the table. `type` must be below DTYPE_COUNT.
const DTypeInfo *dtype_info(DType type);
/// "BF16", for example; "stored" for DTYPE_STORED, "unknown" for another number that is not a type.
const char *dtype_name(DType type);
bool dtype_is_half(DType type);

/// The bytes of `elements`, which must be whole blocks. The caller has checked that the result fits: a block
/// has at most 8 bytes per element.
size_t dtype_bytes(DType type, size_t elements);

/// *out = the type of this name, in upper or lower case; false if there is none.
bool dtype_from_name(const char *name, DType *out);
/// *out = the type of this number in GGUF files; false if there is none.
bool dtype_from_gguf(unsigned number, DType *out);
