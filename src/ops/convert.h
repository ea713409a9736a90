// Conversion for operations that need a tensor in another type. Private to ops.
#pragma once

#include "launch.h"

/// STATUS_FAILED unless kernels read the tensor's type and its rows are whole blocks of it.
STATUS_CHECKED Status ops_check_readable(const char *op, const char *tensor, const Tensor *value);
/// The first elements of `out`, float32, = the view x of any type that kernels read, with its rows touching.
STATUS_CHECKED Status convert_widen(const Tensor *out, const Tensor *x);
/// The memory of `out`, whatever its type, = the rows of the view x, float32, rounded to the 16-bit `type`;
/// `pitch` elements from one to the next.
STATUS_CHECKED Status convert_narrow(const Tensor *out, size_t pitch, const Tensor *x, DType type);
