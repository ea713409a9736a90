// Elements of any type that kernels read: TYPE_F32, TYPE_F16, TYPE_BF16 and those of block_list.h. A tensor
// is addressed by element, whatever its type; what begins at an element of a quantised type begins a block.
#include "block_list.h"
#include "blocks.h"

/// A pointer to element `first` of a tensor.
INLINE GLOBAL const void *skip_typed(GLOBAL const void *from, ulong first, uint type) {
#define BLOCK_ROW(name)                                                                                      \
  if (type == TYPE_##name) return (GLOBAL const uchar *)from + first / ELEMENTS_##name * BYTES_##name;
  BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
  if (type == TYPE_F32) return (GLOBAL const float *)from + first;
  return (GLOBAL const ushort *)from + first;
}

/// Element i of a tensor of TYPE_F32, TYPE_F16 or TYPE_BF16.
INLINE float load_plain(GLOBAL const void *from, size_t i, uint type) {
  if (type == TYPE_F32) return ((GLOBAL const float *)from)[i];
  if (type == TYPE_F16) return load_half((GLOBAL const ushort *)from, i);
  return load_bfloat((GLOBAL const ushort *)from, i);
}

/// The codes of elements i … i + LANES − 1 of a tensor of a quantised type, their scale and their shift
/// (blocks.h). i is a multiple of LANES.
INLINE lanes_byte load_codes(GLOBAL const void *from, size_t i, uint type, float *scale, float *shift) {
#define BLOCK_ROW(name)                                                                                      \
  if (type == TYPE_##name)                                                                                   \
    return block_##name((GLOBAL const uchar *)from + i / ELEMENTS_##name * BYTES_##name,                     \
                        (uint)(i % ELEMENTS_##name), scale, shift);
  BLOCK_LIST(BLOCK_ROW)
#undef BLOCK_ROW
  *scale = *shift = 0.0f;
  return lanes_byte_of(0);
}

/// The elements themselves.
INLINE lanes load_blocks(GLOBAL const void *from, size_t i, uint type) {
  float scale, shift;
  lanes_byte codes = load_codes(from, i, type, &scale, &shift);
  lanes numbers = type == TYPE_NF4 ? lanes_levels(codes) : lanes_number(codes);
  return lanes_product(lanes_of(scale), numbers) + lanes_of(shift);
}

INLINE int is_plain(uint type) {
  return type == TYPE_F32 || type == TYPE_F16 || type == TYPE_BF16;
}

/// Elements i … i + min(LANES, left) − 1 of a tensor of any type; the others are 0. Of a quantised type, i is
/// a multiple of LANES and so is the row's length.
INLINE lanes load_typed(GLOBAL const void *from, size_t i, uint left, uint type) {
  if (!is_plain(type)) return load_blocks(from, i, type);
#if LANES == 16
  float part[LANES];
  for (uint j = 0; j < LANES; j++) part[j] = j < left ? load_plain(from, i + j, type) : 0.0f;
  return vload16(0, part);
#else
  return left > 0 ? load_plain(from, i, type) : 0.0f;
#endif
}
