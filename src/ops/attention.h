// Attention with the kernels of a given family. Operations use their own family's; tests run both families on
// a CPU device. Private to ops.
#pragma once

#include "kernel_family.h"
#include "ops/ops.h"

STATUS_CHECKED Status attention_forward(const KernelFamily *family, const Attention *attention);
STATUS_CHECKED Status attention_backward(const KernelFamily *family, const Attention *attention);
