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

/// The rows of out, of TYPE_F16 or TYPE_BF16 and out_pitch apart, = the view x[·,cols]. LANES columns per
/// work item (grid_columns).
KERNEL(narrow)(GLOBAL ushort *RESTRICT out, uint out_pitch, VIEW(const float, x), uint cols, uint type) {
  uint c = (uint)lanes_column(cols), end = min(c + (uint)LANES, cols);
  size_t row = lanes_row(cols);
  x += x_first + row * x_pitch;
  out += row * out_pitch;
  for (; c < end; c++) {
    if (type == TYPE_F16) store_half(out, c, x[c]);
    if (type == TYPE_BF16) store_bfloat(out, c, x[c]);
  }
}
