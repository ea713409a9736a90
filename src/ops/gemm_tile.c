// Rule: a matrix instruction is used only after it has passed the self-test on this very device. Compilers
// know instructions that cards lack, and lanes may hold other elements than a document says.
#include "gemm_tile.h"

#include "context.h"
#include "gemm.h"
#include "grid.h"
#include "selftest.h"
#include "util/log.h"
#include "util/memory.h"
#include <stdio.h>

enum { PORTABLE_STEPS = 512, ENGINE_STEPS = 2048 }; // as in gemm_own.c, and as a vendor's GEMM in gemm.c

const Tile matrix_tiles[TILES] = {
    {"NVIDIA's mma.sync", "MATRIX_MMA", 32, 16, 8, 2, 2, 2, 8, ENGINE_STEPS},
    {"AMD's WMMA", "MATRIX_WMMA", 32, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"AMD's WMMA of RDNA 4", "MATRIX_WMMA_12", 32, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"AMD's MFMA", "MATRIX_MFMA", 64, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"AMD's MFMA of CDNA 1", "MATRIX_MFMA_8", 64, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"Intel's XMX with 16 lanes", "MATRIX_XMX_16", 16, 8, 16, 2, 4, 4, 2, ENGINE_STEPS},
    {"Intel's XMX with 8 lanes", "MATRIX_XMX_8", 8, 8, 8, 2, 4, 4, 2, ENGINE_STEPS},
    [TILE_PLAIN] = {"plain fma", "MATRIX_PLAIN", 1, 1, 1, 8, 8, 8, 8, PORTABLE_STEPS},
};

Status tile_options(const Tile *tile, Str *out) {
  return str_append_format(out, " -D%s -DWAVES_M=%zuu -DWAVES_N=%zuu -DREPEAT_M=%zuu -DREPEAT_N=%zuu",
                           tile->macro, tile->waves_m, tile->waves_n, tile->repeat_m, tile->repeat_n);
}

static size_t items_of(const Tile *tile) {
  return tile->lanes * tile->waves_m * tile->waves_n;
}

Status tile_use(Ops *ops, const Tile *tile) {
  ops_drop_program(ops, KERNEL_gemm_tile);
  ops->tile = tile;
  return ops_build_programs(ops);
}

/// Compiles the tile's kernel and computes with it.
static Status prove(Ops *ops, const Tile *tile) {
  if (items_of(tile) > device_info(ops->device)->max_group)
    return status_fail(STATUS_FAILED, "a group has at most %zu work items",
                       device_info(ops->device)->max_group);
  TRY(tile_use(ops, tile));
  return ops_selftest_bf16(ops);
}

Status tile_choose_of(Ops *ops, const uint32_t known[TILE_PLAIN]) {
  char why[300] = "";
  for (size_t i = 0; i < TILE_PLAIN; i++) {
    if (known[i] == 0) continue;
    if (prove(ops, &matrix_tiles[i]) == STATUS_OK) return STATUS_OK;
    (void)snprintf(why, sizeof why, "%s: %s", matrix_tiles[i].name, status_message());
  }
  if (why[0] != '\0') log_say(LOG_NOTE, "products in bf16 do without a matrix engine. %s", why);
  return tile_use(ops, &matrix_tiles[TILE_PLAIN]);
}

Status tile_choose(Ops *ops) {
  uint32_t known[TILE_PLAIN] = {0};
  if (ops->device != NULL) TRY(ops_probe(ops, "probe_gpu.cl", known, TILE_PLAIN));
  return tile_choose_of(ops, known);
}

Status gemm_tile(Ops *ops, const GemmCall *call) {
  const Tile *tile = ops->tile;
  const GemmMatrix *a = &call->a, *b = &call->b, *c = &call->c;
  Grid grid = {{pieces(call->n, tile->cols * tile->waves_n * tile->repeat_n),
                pieces(call->m, tile->rows * tile->waves_m * tile->repeat_m), 1},
               {items_of(tile), 1, 1}};
  for (size_t k = 0; k < call->k; k += tile->steps) {
    TRY(LAUNCH(ops, gemm_tile, grid, ARG_MATRIX(*c), ARG_UINT(c->stride), ARG_MATRIX(*a), ARG_MATRIX(*b),
               ARG_UINT(call->m), ARG_UINT(call->n), ARG_UINT(k),
               ARG_UINT(size_min(call->k, k + tile->steps)), ARG_UINT(a->stride),
               ARG_UINT(b->transposed ? 1 : b->stride), ARG_UINT(b->transposed ? b->stride : 1),
               ARG_UINT(b->type), ARG_FLOAT(call->alpha), ARG_FLOAT(k == 0 ? call->beta : 1.0f)));
  }
  return STATUS_OK;
}
