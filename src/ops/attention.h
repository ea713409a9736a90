// Attention with the kernels of a given family: an operation takes its own, a test tries both on any CPU device. Private to
// ops.
#pragma once

#include "kernel_family.h"
#include "ops/ops.h"

STATUS_CHECKED Status attention_forward(const KernelFamily *family, const Attention *attention);
STATUS_CHECKED Status attention_backward(const KernelFamily *family, const Attention *attention);
