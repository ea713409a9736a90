// Widening, for operations that need a tensor of another type as float32. Private to ops.
#pragma once

#include "launch.h"

/// STATUS_FAILED unless kernels read the tensor's type and its rows are whole blocks of it.
STATUS_CHECKED Status ops_check_readable(const char *op, const char *tensor, const Tensor *value);
/// The first elements of `out`, float32, = the view x of any type that kernels read, with its rows touching.
STATUS_CHECKED Status convert_widen(const Tensor *out, const Tensor *x);
