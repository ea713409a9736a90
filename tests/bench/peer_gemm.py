"""The shapes of bench_gemm_stream with PyTorch (MKL), with one thread per core: best and mean GFLOP/s."""

import os
import time

import torch

SHAPES = [(0, 1, 1536, 576), (0, 1, 49152, 576), (0, 40, 1536, 576), (0, 40, 49152, 576),
          (0, 128, 49152, 576), (0, 1028, 1536, 576), (1, 1028, 1536, 576), (1, 128, 49152, 576)]  # fmt: skip

torch.set_num_threads(os.cpu_count() or 1)
print("form             M     N     K      best      mean")
for dx, m, n, k in SHAPES:
    weights = [torch.randn(n, k) for _ in range(2 if n * k > 10_000_000 else 30)]
    x = torch.randn(m, n if dx else k)
    flops, best, calls = 2e-9 * m * n * k, 0.0, 0
    began = now = time.perf_counter()
    while now - began < 2:
        start, weight = now, weights[calls % len(weights)]
        x @ weight if dx else torch.nn.functional.linear(x, weight)
        now, calls = time.perf_counter(), calls + 1
        best = max(best, flops / (now - start))
    form, mean = "dx = dout w" if dx else "out = x w", flops * calls / (now - began)
    print(f"{form:12} {m:5} {n:5} {k:5}  {best:8.1f}  {mean:8.1f}")
