// Conversion between float32 and the 16-bit types, rounded to nearest even.
#include "lanes.h"

/// out[count] of type `to` = x[count] of type `from` (TYPE_…). One element per work item.
KERNEL(convert)(GLOBAL void *RESTRICT out, GLOBAL const void *RESTRICT x, ulong count, uint to, uint from) {
  ulong i = (ulong)item_id(0);
  if (i >= count) return;
  float value = load_typed(x, (size_t)i, from);
  if (to == TYPE_F32) ((GLOBAL float *)out)[i] = value;
  if (to == TYPE_F16) store_half((GLOBAL ushort *)out, (size_t)i, value);
  if (to == TYPE_BF16) store_bfloat((GLOBAL ushort *)out, (size_t)i, value);
}
