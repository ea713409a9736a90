// The matrix tiles of cl/matrix.h: what each needs, which of them a device has, and the launches of
// cl/gemm_tile.cl, which multiplies with one. Private to ops.
#pragma once

#include "launch.h"
#include "util/str.h"

typedef struct Tile {
  const char *name;  // "NVIDIA's mma.sync"
  const char *macro; // that chooses it in cl/matrix.h
  // As in cl/matrix.h: work items of a wave, and the rows and columns of its matrices.
  size_t lanes, rows, cols;
  // Waves of a group and matrices of a wave, down and across.
  size_t waves_m, waves_n, repeat_m, repeat_n;
  size_t steps; // of k in one launch
} Tile;

/// Every matrix instruction that is known, in the order of cl/probe_gpu.cl; the plain tile, which any device
/// can compute, comes last.
enum { TILE_PLAIN = 7, TILES };
extern const Tile matrix_tiles[TILES];

/// Appends the compiler options of cl/gemm_tile.cl.
STATUS_CHECKED Status tile_options(const Tile *tile, Str *out);
/// Sets ops->tile and compiles its kernel.
STATUS_CHECKED Status tile_use(Ops *ops, const Tile *tile);
/// The same with the first tile that the device's compiler may know and that computes what the self-test
/// expects. If none does, one line says why, and it is the plain one, as in a plan.
STATUS_CHECKED Status tile_choose(Ops *ops);
/// The same of the tiles with known[i] ≠ 0.
STATUS_CHECKED Status tile_choose_of(Ops *ops, const uint32_t known[TILE_PLAIN]);

/// c = alpha · a · b + beta · c with both factors rounded to bfloat16. a is not transposed; b is of any type
/// that kernels read.
STATUS_CHECKED Status gemm_tile(Ops *ops, const GemmCall *call);
