// Conversion between types of elements: to float32 from any type, and from float32 to the 16-bit types,
// rounded to nearest even.
#include "typed.h"

/// out[·,cols] = the view x of any type, as dense float32. LANES columns per work item (grid_columns).
KERNEL(widen)(GLOBAL float *RESTRICT out, VIEW(const void, x), uint cols, uint type) {
  uint c = (uint)lanes_column(cols);
  if (c >= cols) return;
  size_t row = lanes_row(cols);
  lanes_store(out + row * cols + c, cols - c,
              load_typed(skip_typed(x, x_first, type), row * x_pitch + c, cols - c, type));
}

/// out[count] of TYPE_F16 or TYPE_BF16 = x[count]. One element per work item.
KERNEL(narrow)(GLOBAL ushort *RESTRICT out, GLOBAL const float *RESTRICT x, ulong count, uint type) {
  ulong i = (ulong)item_id(0);
  if (i >= count) return;
  if (type == TYPE_F16) store_half(out, (size_t)i, x[i]);
  if (type == TYPE_BF16) store_bfloat(out, (size_t)i, x[i]);
}
