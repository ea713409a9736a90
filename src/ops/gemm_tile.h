// The matrix tiles of cl/matrix.h: what each needs, which of them a device has, and the launches of
// cl/gemm_tile.cl, which multiplies with one. Private to ops.
#pragma once

#include "launch.h"
#include "util/str.h"

typedef struct Tile {
  const char *name;  // "NVIDIA's mma.sync"
  const char *macro; // that chooses it in cl/matrix.h
  bool engine;       // a matrix instruction
  uint32_t factors;  // that it multiplies: FACTORS_BF16, FACTORS_F16 or both
  // As in cl/matrix.h: work items of a wave, and the rows and columns of its matrices.
  size_t lanes, rows, cols;
  // Waves of a group and matrices of a wave, down and across.
  size_t waves_m, waves_n, repeat_m, repeat_n;
  size_t steps; // of k in one launch
} Tile;

enum { FACTORS_BF16 = 1, FACTORS_F16 = 2 }; // as in cl/probe_gpu.cl
/// What a compute needs: FACTORS_F16 of COMPUTE_F16, else FACTORS_BF16.
uint32_t tile_factors(Compute compute);

/// Every instruction that is known, in the order of cl/probe_gpu.cl and the best first; the plain tile, which
/// any device can compute, comes last.
enum { TILE_PLAIN = 9, TILES };
extern const Tile matrix_tiles[TILES];

/// Appends the compiler options of cl/gemm_tile.cl.
STATUS_CHECKED Status tile_options(const Tile *tile, Compute compute, Str *out);
/// Sets ops->tile and compiles its kernel.
STATUS_CHECKED Status tile_use(Ops *ops, const Tile *tile);
/// The same with the first tile that the device's compiler may know with ops->compute's factors and that
/// computes what the self-test expects. If one fails and no matrix instruction is left, one line says why.
/// The last is the plain one, which is also a plan's.
STATUS_CHECKED Status tile_choose(Ops *ops);
/// The same of the tiles that known[i] has the factors of.
STATUS_CHECKED Status tile_choose_of(Ops *ops, const uint32_t known[TILE_PLAIN]);

/// c = alpha · a · b + beta · c of each call, with both factors rounded as ops->compute says. a is not
/// transposed and the same in all of them; b is of any type that kernels read.
STATUS_CHECKED Status gemm_tile(Ops *ops, const GemmCall calls[], size_t count);
