// The double of NVIDIA's libraries (tests/cuda_double), for tests of the CUDA back end without a card.
#pragma once

#include "support/test.h"

/// Makes this process and its children take the double for CUDA. Called before the first device is listed.
/// Exits with TEST_SKIPPED where the double was not built, or there is no C++ compiler for its kernels.
void use_cuda_double(void);
/// The n-th call from now on that may fail does so; 0: none. Once a device was listed.
void cuda_calls_fail(size_t n);
/// Calls that may fail since then.
size_t cuda_calls(void);
