// Rule: a matrix instruction is used only after it has passed the self-test on this very device. Compilers
// know instructions that cards lack, and lanes may hold other elements than a document says. In f16 every
// factor is scaled by a power of two before it is rounded, rows of A each by its own and weights by one for
// the matrix, so no number is too large or too small for a half.
#include "gemm_tile.h"

#include "context.h"
#include "convert.h"
#include "gemm.h"
#include "grid.h"
#include "util/log.h"
#include "util/memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { PORTABLE_STEPS = 512, ENGINE_STEPS = 2048 }; // as in gemm_own.c, and as a vendor's GEMM in gemm.c
enum { MOST_WORDS = 16 * 1024 * 1024 };             // scratch for rows of halves
enum { BOTH = FACTORS_BF16 | FACTORS_F16 };

const Tile matrix_tiles[TILES] = {
    {"NVIDIA's mma.sync", "MATRIX_MMA", true, BOTH, 32, 16, 8, 2, 2, 2, 8, ENGINE_STEPS},
    {"NVIDIA's mma.sync of Turing", "MATRIX_MMA_8", true, FACTORS_F16, 32, 16, 8, 2, 4, 2, 4, ENGINE_STEPS},
    {"AMD's WMMA", "MATRIX_WMMA", true, BOTH, 32, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"AMD's WMMA of RDNA 4", "MATRIX_WMMA_12", true, BOTH, 32, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"AMD's MFMA", "MATRIX_MFMA", true, BOTH, 64, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"AMD's MFMA of CDNA 1", "MATRIX_MFMA_8", true, FACTORS_BF16, 64, 16, 16, 2, 2, 2, 4, ENGINE_STEPS},
    {"Intel's XMX with 16 lanes", "MATRIX_XMX_16", true, BOTH, 16, 8, 16, 2, 4, 4, 2, ENGINE_STEPS},
    {"Intel's XMX with 8 lanes", "MATRIX_XMX_8", true, BOTH, 8, 8, 8, 2, 4, 4, 2, ENGINE_STEPS},
    {"AMD's dot2", "MATRIX_DOT2", false, FACTORS_F16, 1, 1, 1, 8, 8, 8, 8, PORTABLE_STEPS},
    [TILE_PLAIN] = {"plain fma", "MATRIX_PLAIN", false, BOTH, 1, 1, 1, 8, 8, 8, 8, PORTABLE_STEPS},
};

uint32_t tile_factors(Compute compute) {
  return compute == COMPUTE_F16 ? FACTORS_F16 : FACTORS_BF16;
}

Status tile_options(const Tile *tile, Compute compute, Str *out) {
  return str_append_format(out, " -D%s -D%s -DWAVES_M=%zuu -DWAVES_N=%zuu -DREPEAT_M=%zuu -DREPEAT_N=%zuu",
                           tile->macro, tile_factors(compute) == FACTORS_F16 ? "FACTORS_F16" : "FACTORS_BF16",
                           tile->waves_m, tile->waves_n, tile->repeat_m, tile->repeat_n);
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
  return ops_selftest_half(ops);
}

Status tile_choose_of(Ops *ops, const uint32_t known[TILE_PLAIN]) {
  char why[300] = "";
  size_t chosen = 0;
  for (; chosen < TILE_PLAIN; chosen++) {
    if ((known[chosen] & tile_factors(ops->compute)) == 0) continue;
    if (prove(ops, &matrix_tiles[chosen]) == STATUS_OK) break;
    (void)snprintf(why, sizeof why, "%s: %s", matrix_tiles[chosen].name, status_message());
  }
  if (why[0] != '\0' && !matrix_tiles[chosen].engine)
    log_say(LOG_NOTE, "products in %s do without a matrix engine. %s", compute_name(ops->compute), why);
  return chosen < TILE_PLAIN ? STATUS_OK : tile_use(ops, &matrix_tiles[TILE_PLAIN]);
}

Status tile_choose(Ops *ops) {
  uint32_t known[TILE_PLAIN] = {0};
  if (ops->device != NULL) TRY(ops_probe(ops, "probe_gpu.cl", known, TILE_PLAIN));
  return tile_choose_of(ops, known);
}

static Status multiply(Ops *ops, const GemmCall *call) {
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
               ARG_UINT(b->type), ARG_FLOAT(call->b_scale), ARG_FLOAT(call->alpha),
               ARG_FLOAT(k == 0 ? call->beta : 1.0f)));
  }
  return STATUS_OK;
}

/// The call's rows from `first` on, as many as `halves` has, multiplied from there.
static Status multiply_halves(Ops *ops, GemmCall call, const GemmMatrix *halves, size_t first, size_t rows) {
  call.m = rows;
  call.a = *halves;
  call.c.offset += first * call.c.stride;
  return multiply(ops, &call);
}

/// Makes halves of some rows of A at a time, once for all calls. A row's bits do not depend on the others.
static Status products_of_halves(Ops *ops, const GemmCall calls[], size_t count) {
  const Tensor *scratch;
  const GemmMatrix *a = &calls[0].a;
  size_t m = calls[0].m, k = calls[0].k, pitch = pieces(k, 2) + 1, at_once = MOST_WORDS / pitch + 1;
  if (at_once > m) at_once = m;
  TRY(ops_scratch(ops, SCRATCH_ROUNDED, at_once * pitch, &scratch));
  const GemmMatrix halves = {.buffer = scratch->buffer, .stride = pitch};
  for (size_t first = 0; first < m; first += at_once) {
    size_t rows = size_min(at_once, m - first);
    TRY(LAUNCH(ops, half_rows, grid_rows(ops, rows), ARG_TENSOR(scratch), ARG_BUFFER(a->buffer),
               ARG_COUNT(a->offset + first * a->stride), ARG_UINT(a->stride), ARG_UINT(k)));
    for (size_t i = 0; i < count; i++) TRY(multiply_halves(ops, calls[i], &halves, first, rows));
  }
  return STATUS_OK;
}

static Status check_scale(const GemmCall *call) {
  if (call->b_scale > 0) return STATUS_OK;
  return status_fail(STATUS_FAILED,
                     "gemm: op_measure_weights has not seen weights that are multiplied in f16");
}

Status gemm_tile(Ops *ops, const GemmCall calls[], size_t count) {
  if (ops->compute == COMPUTE_F16) {
    for (size_t i = 0; i < count; i++) TRY(check_scale(&calls[i]));
    return products_of_halves(ops, calls, count);
  }
  for (size_t i = 0; i < count; i++) TRY(multiply(ops, &calls[i]));
  return STATUS_OK;
}

/// 1 / it is a normal number too. As half_scale in cl/powers.h, for the rows of A.
static float scale_for(float largest) {
  int exponent;
  if (!(largest > 0 && isfinite(largest))) return 1.0f;
  (void)frexpf(largest, &exponent); // largest < 2^exponent
  int wanted = 15 - exponent;
  return ldexpf(1.0f, wanted < 126 ? wanted : 126);
}

Status op_measure_weights(Tensor *w) {
  const Tensor *scratch;
  Ops *ops = w->ops;
  Status status = STATUS_OK;
  float *rows = NULL, largest = 0;
  if (ops->compute != COMPUTE_F16) return STATUS_OK;
  TRY(ops_check_readable("op_measure_weights", "w", w));
  TRY(ops_scratch(ops, SCRATCH_REDUCE, w->rows, &scratch));
  TRY(LAUNCH(ops, row_largest, grid_rows(ops, w->rows), ARG_TENSOR(scratch), ARG_VIEW(w), ARG_UINT(w->cols),
             ARG_UINT(w->dtype)));
  TRY(mem_array(&rows, w->rows, "weights"));
  TRY_CLEAN(tensor_read(scratch, 0, w->rows, rows));
  for (size_t i = 0; i < w->rows; i++) largest = fmaxf(largest, rows[i]);
  w->scale = scale_for(largest);
cleanup:
  free(rows);
  return status;
}
