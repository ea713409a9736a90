// The launches of gee-cl's own GEMMs. Rule: a call that the kernels cannot do is refused here, naming its
// types.
#include "gemm.h"

#include "gemm_choice.h"
#include "grid.h"
#include "ops/ops.h"
#include "util/memory.h"

enum { PORTABLE_STEPS = 512 };                  // steps of k in one launch of cl/gemm.cl
enum { MOST_CHUNK = 768, COLS_PER_VECTOR = 2 }; // as in cl/columns_cpu.h and cl/gemm_cpu.h
enum { WHOLE_TILES = 12 };                      // rows: a multiple of cl/gemm_cpu.h's ROWS of any width
enum { LEAST_CHUNK = 96, ITEMS_PER_PROCESSOR = 8 };
enum { MOST_WORDS = 4 * 1024 * 1024 };       // scratch for rounded rows of A
enum { BLOCK = 32, BLOCK_WORDS = 11 };       // as in cl/int8_cpu.h
enum { FEW_INT8_ROWS = 8, MOST_ITEMS = 64 }; // that round for themselves
enum { FEW_ROWS = 3 };                       // as in cl/gemv_cpu.h

/// Elements from one row, or column, of op(matrix) to the next.
static size_t row_stride(const GemmMatrix *matrix) {
  return matrix->transposed ? 1 : matrix->stride;
}
static size_t col_stride(const GemmMatrix *matrix) {
  return matrix->transposed ? matrix->stride : 1;
}

static Status check_call(const Ops *ops, const GemmCall *call) {
  bool supported = ops->family->gemm_reads(call->b.type, call->math) && call->a.type == DTYPE_F32 &&
                   call->c.type == DTYPE_F32;
  if (supported && !call->c.transposed) return STATUS_OK;
  return status_fail(STATUS_FAILED, "gemm: no kernel multiplies %s by %s into %s", dtype_name(call->a.type),
                     dtype_name(call->b.type), dtype_name(call->c.type));
}

#define ARG_STRIDES(a, b)                                                                                    \
  ARG_UINT(row_stride(a)), ARG_UINT(col_stride(a)), ARG_UINT(row_stride(b)), ARG_UINT(col_stride(b))

// A long sum takes several launches, each over a slab of k; the later ones add to C (beta = 1). There are two
// reasons. One chain of fma over a vocabulary loses 1e-4 of the result. And Mesa's llvmpipe silently leaves a
// work item's loops after 65,535 iterations in all, which cl/gemm.cl would reach after 48 slabs.
static Status one_portable(Ops *ops, const GemmCall *call) {
  Kernel *kernel;
  const GemmSet *set = gemm_choose_set(ops, call, &kernel);
  size_t tile = gemm_set_tile(set);
  Grid grid = {{pieces(call->n, tile), pieces(call->m, tile), 1}, {gemm_set_items(set), 1, 1}};
  for (size_t k = 0; k < call->k; k += PORTABLE_STEPS) {
    size_t end = call->k - k < PORTABLE_STEPS ? call->k : k + PORTABLE_STEPS;
    TRY(LAUNCH_AS(ops, gemm, kernel, grid, ARG_MATRIX(call->c), ARG_UINT(call->c.stride), ARG_MATRIX(call->a),
                  ARG_MATRIX(call->b), ARG_UINT(call->m), ARG_UINT(call->n), ARG_UINT(k), ARG_UINT(end),
                  ARG_STRIDES(&call->a, &call->b), ARG_UINT(call->a.type), ARG_UINT(call->b.type),
                  ARG_FLOAT(call->alpha), ARG_FLOAT(k == 0 ? call->beta : 1.0f)));
  }
  return STATUS_OK;
}

Status gemm_gpu(Ops *ops, const GemmCall calls[], size_t count) {
  GemmCall tiled[GEMM_TOGETHER];
  size_t tiles = 0;
  for (size_t i = 0; i < count; i++) {
    TRY(check_call(ops, &calls[i]));
    if (calls[i].math == GEMM_HALF_INPUTS)
      tiled[tiles++] = calls[i];
    else
      TRY(one_portable(ops, &calls[i]));
  }
  return tiles > 0 ? gemm_tile(ops, tiled, tiles) : STATUS_OK;
}

/// The calls, and behind them such as have no columns, for cl/together_cpu.h.
typedef struct Together {
  GemmCall slots[GEMM_TOGETHER];
} Together;

static Together together(const GemmCall calls[], size_t count) {
  Together all;
  for (size_t i = 0; i < GEMM_TOGETHER; i++) {
    all.slots[i] = calls[i < count ? i : 0];
    if (i >= count) all.slots[i].n = 0;
  }
  return all;
}

/// The groups of all calls, if each computes `cols` columns.
static size_t groups_of(const Together *all, size_t cols) {
  size_t groups = 0;
  for (size_t i = 0; i < GEMM_TOGETHER; i++) groups += pieces(all->slots[i].n, cols);
  return groups;
}

#define ARG_PRODUCT(call)                                                                                    \
  ARG_MATRIX((call).c), ARG_UINT((call).c.stride), ARG_MATRIX((call).b), ARG_UINT((call).n),                 \
      ARG_UINT((call).b.stride), ARG_UINT((call).b.type)
#define ARG_TOGETHER(all)                                                                                    \
  ARG_PRODUCT((all).slots[0]), ARG_PRODUCT((all).slots[1]), ARG_PRODUCT((all).slots[2])

/// cl/gemv_cpu.h has the bits of cl/gemm_cpu.h.
static Status few_rows(Ops *ops, const GemmCall calls[], size_t count) {
  const Together all = together(calls, count);
  const KernelArgument arguments[] = {ARG_TOGETHER(all),     ARG_MATRIX(calls->a), ARG_UINT(calls->a.stride),
                                      ARG_UINT(calls->m),    ARG_UINT(calls->k),   ARG_FLOAT(calls->alpha),
                                      ARG_FLOAT(calls->beta)};
  return ops_launch(ops, calls->math == GEMM_HALF_INPUTS ? KERNEL_gemv_bf16 : KERNEL_gemv_cpu,
                    grid_groups(groups_of(&all, COLS_PER_VECTOR * ops->vector_width), 1), arguments,
                    sizeof arguments / sizeof *arguments);
}

/// How cl/gemm_cpu.h cuts M x N into work items: COLS columns of `chunk` rows each. Every item packs its part
/// of B, so few of them are less work; but each processor needs several, or some wait for the last.
typedef struct Tiling {
  size_t chunk;
  Grid grid;
} Tiling;

static Tiling tiling(const Ops *ops, size_t m, size_t n) {
  size_t columns = pieces(n, COLS_PER_VECTOR * ops->vector_width);
  size_t wanted = pieces(ITEMS_PER_PROCESSOR * ops_compute_units(ops), columns),
         most = pieces(m, LEAST_CHUNK);
  size_t chunks = pieces(m, MOST_CHUNK);
  if (chunks < wanted) chunks = wanted < most ? wanted : most;
  size_t chunk = pieces(pieces(m, chunks), WHOLE_TILES) * WHOLE_TILES;
  return (Tiling){chunk, {{columns, pieces(m, chunk), 1}, {1, 1, 1}}};
}

/// Rounds the rows of A to bfloat16 and multiplies with them.
static Status bf16_gemm(Ops *ops, const GemmCall *call, const Tensor *rounded, size_t pitch) {
  const GemmMatrix *a = &call->a, *c = &call->c;
  Tiling tiles = tiling(ops, call->m, call->n);
  TRY(LAUNCH(ops, round_rows, grid_groups(call->m, 1), ARG_TENSOR(rounded), ARG_MATRIX(*a), ARG_UINT(call->k),
             ARG_UINT(a->stride)));
  return LAUNCH(ops, gemm_bf16, tiles.grid, ARG_MATRIX(*c), ARG_UINT(c->stride), ARG_UINT(1),
                ARG_TENSOR(rounded), ARG_COUNT(0), ARG_MATRIX(call->b), ARG_UINT(call->m), ARG_UINT(call->n),
                ARG_UINT(call->k), ARG_UINT(tiles.chunk), ARG_UINT(pitch), ARG_UINT(1),
                ARG_UINT(row_stride(&call->b)), ARG_UINT(col_stride(&call->b)), ARG_UINT(call->b.type),
                ARG_FLOAT(call->alpha), ARG_FLOAT(call->beta));
}

#define ARG_INT8(all, rounded, pitch, own, chunk, panels)                                                    \
  ARG_TOGETHER(all), ARG_TENSOR(rounded), ARG_UINT(pitch), ARG_UINT(own), ARG_MATRIX((all).slots[0].a),      \
      ARG_UINT((all).slots[0].a.stride), ARG_UINT((all).slots[0].m), ARG_UINT((all).slots[0].k),             \
      ARG_UINT(chunk), ARG_UINT(panels), ARG_FLOAT((all).slots[0].alpha), ARG_FLOAT((all).slots[0].beta)

/// The same in eight bits.
static Status int8_gemm(Ops *ops, const GemmCall *call, const Tensor *rounded, size_t pitch) {
  const Together all = together(call, 1);
  Tiling tiles = tiling(ops, call->m, call->n);
  TRY(LAUNCH(ops, int8_rows, grid_groups(call->m, 1), ARG_TENSOR(rounded), ARG_MATRIX(call->a),
             ARG_UINT(call->k), ARG_UINT(call->a.stride), ARG_UINT(call->b.type)));
  return LAUNCH(ops, gemm_int8, tiles.grid, ARG_INT8(all, rounded, pitch, 0, tiles.chunk, 1));
}

/// The same of so few rows that each work item rounds them for itself. The scratch does not depend on the
/// device's processors, of which a plan knows nothing.
static Status few_int8_rows(Ops *ops, const GemmCall calls[], size_t count) {
  const Tensor *rounded;
  const Together all = together(calls, count);
  size_t pitch = pieces(calls->k, BLOCK) * BLOCK_WORDS, cols = COLS_PER_VECTOR * ops->vector_width,
         columns = groups_of(&all, cols), items = ITEMS_PER_PROCESSOR * ops_compute_units(ops);
  if (items > MOST_ITEMS) items = MOST_ITEMS;
  size_t panels = pieces(columns, items), most = size_min(columns, MOST_ITEMS + GEMM_TOGETHER - 1);
  TRY(ops_scratch(ops, SCRATCH_ROUNDED, most * calls->m * pitch, &rounded));
  return LAUNCH(ops, gemm_int8, grid_groups(groups_of(&all, panels * cols), 1),
                ARG_INT8(all, rounded, pitch, 1, calls->m, panels));
}

/// Rounds some rows of A at a time and multiplies with them. A row's bits do not depend on the others', so no
/// number of rows has a kernel of its own here.
static Status rounded_gemm(Ops *ops, GemmCall call) {
  const Tensor *rounded;
  bool int8 = call.math == GEMM_BYTE_INPUTS;
  size_t pitch = int8 ? pieces(call.k, BLOCK) * BLOCK_WORDS : pieces(call.k, 2);
  size_t at_once = MOST_WORDS / pitch / MOST_CHUNK * MOST_CHUNK, left = call.m;
  if (at_once == 0) at_once = MOST_CHUNK;
  if (at_once > left) at_once = left;
  TRY(ops_scratch(ops, SCRATCH_ROUNDED, at_once * pitch, &rounded));
  for (; left > 0; left -= call.m) {
    call.m = left < at_once ? left : at_once;
    TRY(int8 ? int8_gemm(ops, &call, rounded, pitch) : bf16_gemm(ops, &call, rounded, pitch));
    call.a.offset += call.m * call.a.stride;
    call.c.offset += call.m * call.c.stride;
  }
  return STATUS_OK;
}

/// The call, and `added` to the same C.
static Status f32_gemm(Ops *ops, const GemmCall *call, const GemmCall *added) {
  Tiling tiles = tiling(ops, call->m, call->n);
  return LAUNCH(ops, gemm_cpu, tiles.grid, ARG_MATRIX(call->c), ARG_UINT(row_stride(&call->c)),
                ARG_UINT(col_stride(&call->c)), ARG_MATRIX(call->a), ARG_MATRIX(call->b), ARG_UINT(call->m),
                ARG_UINT(call->n), ARG_UINT(call->k), ARG_UINT(tiles.chunk), ARG_STRIDES(&call->a, &call->b),
                ARG_UINT(call->b.type), ARG_FLOAT(call->alpha), ARG_FLOAT(call->beta), ARG_MATRIX(added->a),
                ARG_MATRIX(added->b), ARG_UINT(added->k), ARG_STRIDES(&added->a, &added->b),
                ARG_UINT(added->b.type), ARG_FLOAT(added->alpha));
}

/// Cᵀ = Bᵀ · Aᵀ, of the same bits. What has fewer columns than a vector would waste the rest of each.
static GemmCall turned(const GemmCall *call) {
  GemmCall result = *call;
  result.m = call->n;
  result.n = call->m;
  result.a = call->b;
  result.b = call->a;
  result.a.transposed = !call->b.transposed;
  result.b.transposed = !call->a.transposed;
  result.c.transposed = true;
  return result;
}

static Status one_cpu(Ops *ops, const GemmCall *call) {
  if (call->math != GEMM_F32) return rounded_gemm(ops, *call);
  bool thin = call->b.type == DTYPE_F32 && call->n <= ops->vector_width &&
              call->m >= COLS_PER_VECTOR * ops->vector_width;
  GemmCall wide = thin ? turned(call) : *call, nothing = wide;
  nothing.k = 0;
  return f32_gemm(ops, &wide, &nothing);
}

/// Whether the call has so few rows that products share a launch.
static bool has_few_rows(const GemmCall *call) {
  size_t most = call->math == GEMM_BYTE_INPUTS ? FEW_INT8_ROWS : FEW_ROWS;
  return call->m <= most && !call->a.transposed && call->b.transposed;
}

/// Whether all calls have so few rows that they share a launch.
static bool share_launch(const GemmCall calls[], size_t count) {
  bool few = true;
  for (size_t i = 0; i < count; i++) few = few && has_few_rows(&calls[i]) && calls[i].math == calls[0].math;
  return few;
}

Status gemm_cpu(Ops *ops, const GemmCall calls[], size_t count) {
  for (size_t i = 0; i < count; i++) TRY(check_call(ops, &calls[i]));
  if (share_launch(calls, count))
    return calls[0].math == GEMM_BYTE_INPUTS ? few_int8_rows(ops, calls, count) : few_rows(ops, calls, count);
  for (size_t i = 0; i < count; i++) TRY(count > 1 ? gemm_cpu(ops, &calls[i], 1) : one_cpu(ops, &calls[i]));
  return STATUS_OK;
}

static Status one_sum(Ops *ops, const GemmCall *call, const GemmCall *added) {
  if (added->k == 0) return gemm_cpu(ops, call, 1);
  if (call->math == GEMM_F32 && !has_few_rows(call)) {
    TRY(check_call(ops, call));
    TRY(check_call(ops, added));
    return f32_gemm(ops, call, added);
  }
  TRY(gemm_cpu(ops, call, 1));
  return gemm_cpu(ops, added, 1);
}

Status gemm_cpu_sums(Ops *ops, const GemmCall calls[], const GemmCall added[], size_t count) {
  bool together = count > 1 && share_launch(calls, count);
  if (together) TRY(gemm_cpu(ops, calls, count));
  for (size_t i = 0; i < count; i++) {
    if (!together) TRY(one_sum(ops, &calls[i], &added[i]));
    if (together && added[i].k > 0) TRY(gemm_cpu(ops, &added[i], 1));
  }
  return STATUS_OK;
}
