// cuBLASLt as the vendor's GEMM. Rules:
//
// - The same bits on every run: one stream, a workspace of a fixed size, no atomics.
// - A row of C does not depend on the rows beside it. cuBLAS chooses an algorithm by the size of a product,
//   and two algorithms may sum in another order, so it is asked once for a batch of a fixed size, and that
//   algorithm computes every batch.
// - Never less precise than the call allows: float32 products are asked for as such, and TF32 only where
//   values may be rounded.
#include "cuda.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum {
  WORKSPACE = 32 * 1024 * 1024, // what NVIDIA recommends for Hopper, more than for any other
  // Rows of the batch for which an algorithm is chosen: of 128 … 4096, what loses least over all of a model's
  // shapes (docs/PERFORMANCE.md).
  BATCH = 512,
  CANDIDATES = 16,
  MOST_ALIGNMENT = 16, // bytes; a higher one makes no difference
  AMPERE = 80,         // compute capability 8.0
};

/// What an algorithm is chosen by: everything of a call but its addresses and the rows of its batch.
typedef struct PlanKey {
  uint64_t m, n, k; // the one that counts the batch is BATCH
  uint64_t strides[3];
  uint32_t alignment[3]; // bytes, of a, b and c
  uint32_t type, transposed_a, transposed_b, math;
  uint32_t unused; // no padding, since keys are compared as bytes
} PlanKey;

typedef struct CudaPlan {
  PlanKey key;
  cublasLtMatmulDesc_t product;
  cublasLtMatrixLayout_t a, b, c;
  uint64_t algorithm[8];
  uint64_t most; // rows of the batch at once
} CudaPlan;

Status cuda_gemm_create(CudaDevice *device) {
  TRY(CUBLAS(cublasLtCreate, &device->cublas));
  return CU(cuMemAlloc_v2, &device->workspace, WORKSPACE);
}

static void free_plan(CudaPlan *plan) {
  if (plan->product != NULL) (void)cuda.cublasLtMatmulDescDestroy(plan->product);
  cublasLtMatrixLayout_t layouts[] = {plan->a, plan->b, plan->c};
  for (size_t i = 0; i < 3; i++)
    if (layouts[i] != NULL) (void)cuda.cublasLtMatrixLayoutDestroy(layouts[i]);
}

void cuda_gemm_free(CudaDevice *device) {
  for (size_t i = 0; i < device->plan_count; i++) free_plan(&device->plans[i]);
  free(device->plans);
  if (device->cublas != NULL) (void)cuda.cublasLtDestroy(device->cublas);
  if (device->workspace != 0) (void)cuda.cuMemFree_v2(device->workspace);
}

/// Both inputs have one type. 16-bit inputs are multiplied by the matrix engine, whose sums are not float32's
/// to the last bit, so they need a call that allows rounding; of bfloat16 it knows from Ampere on.
bool cuda_can_gemm(const Device *device, const GemmCall *call) {
  bool known = call->a.type == DTYPE_F16 || cuda_device(device)->capability >= AMPERE;
  bool half = dtype_is_half(call->a.type) && call->math == GEMM_HALF_INPUTS && known;
  return call->a.type == call->b.type && (call->a.type == DTYPE_F32 || half) && call->c.type == DTYPE_F32 &&
         !call->c.transposed;
}

static void *address_of(const GemmMatrix *matrix) {
  return (void *)(uintptr_t)(cuda_memory(matrix->buffer) + dtype_bytes(matrix->type, matrix->offset));
}

/// The largest power of two that every stored row's address is a multiple of.
static uint32_t alignment_of(const GemmMatrix *matrix) {
  uint64_t bits = (uintptr_t)address_of(matrix) | dtype_bytes(matrix->type, matrix->stride) | MOST_ALIGNMENT;
  return (uint32_t)(bits & (~bits + 1));
}

/// The batch is what C has rows for, but for a weight's gradient what is summed over.
static PlanKey key_of(const GemmCall *call) {
  const GemmMatrix *const matrices[] = {&call->a, &call->b, &call->c};
  PlanKey key = {.m = call->a.transposed ? call->m : BATCH,
                 .n = call->n,
                 .k = call->a.transposed ? BATCH : call->k,
                 .type = call->a.type,
                 .transposed_a = call->a.transposed,
                 .transposed_b = call->b.transposed,
                 .math = call->math};
  for (size_t i = 0; i < 3; i++) {
    key.strides[i] = matrices[i]->stride;
    key.alignment[i] = alignment_of(matrices[i]);
  }
  return key;
}

// cuBLAS counts by columns, where a row-major matrix is its transpose. So it computes Cᵀ = op(B)ᵀ · op(A)ᵀ:
// its first matrix is B, [n, k] there, and its second A, [k, m].

static Status set_product(CudaPlan *plan) {
  const PlanKey *key = &plan->key;
  int compute = key->math == GEMM_F32    ? CUBLAS_COMPUTE_32F_PEDANTIC
                : key->type == DTYPE_F32 ? CUBLAS_COMPUTE_32F_FAST_TF32
                                         : CUBLAS_COMPUTE_32F;
  int first = key->transposed_b ? CUBLAS_OP_T : CUBLAS_OP_N,
      second = key->transposed_a ? CUBLAS_OP_T : CUBLAS_OP_N;
  TRY(CUBLAS(cublasLtMatmulDescCreate, &plan->product, compute, CUDA_R_32F));
  TRY(CUBLAS(cublasLtMatmulDescSetAttribute, plan->product, CUBLASLT_MATMUL_DESC_TRANSA, &first,
             sizeof first));
  return CUBLAS(cublasLtMatmulDescSetAttribute, plan->product, CUBLASLT_MATMUL_DESC_TRANSB, &second,
                sizeof second);
}

static Status create_layout(cublasLtMatrixLayout_t *layout, int type, bool transposed,
                            const uint64_t sizes[3]) {
  return CUBLAS(cublasLtMatrixLayoutCreate, layout, type, sizes[transposed ? 1 : 0],
                sizes[transposed ? 0 : 1], (int64_t)sizes[2]);
}

static Status set_layouts(CudaPlan *plan) {
  const PlanKey *key = &plan->key;
  int type = key->type == DTYPE_F32 ? CUDA_R_32F : key->type == DTYPE_F16 ? CUDA_R_16F : CUDA_R_16BF;
  const uint64_t b[] = {key->n, key->k, key->strides[1]}, a[] = {key->k, key->m, key->strides[0]},
                 c[] = {key->n, key->m, key->strides[2]};
  TRY(create_layout(&plan->b, type, key->transposed_b, b));
  TRY(create_layout(&plan->a, type, key->transposed_a, a));
  return create_layout(&plan->c, CUDA_R_32F, false, c);
}

static Status set_size(cublasLtMatrixLayout_t layout, bool of_rows, uint64_t size) {
  return CUBLAS(cublasLtMatrixLayoutSetAttribute, layout,
                of_rows ? CUBLASLT_MATRIX_LAYOUT_ROWS : CUBLASLT_MATRIX_LAYOUT_COLS, &size, sizeof size);
}

/// Gives the layouts the batch's true size.
static Status set_batch(const CudaPlan *plan, uint64_t batch) {
  if (plan->key.transposed_a) {
    TRY(set_size(plan->a, false, batch));
    return set_size(plan->b, plan->key.transposed_b, batch);
  }
  TRY(set_size(plan->a, false, batch));
  return set_size(plan->c, false, batch);
}

/// True if the algorithm computes a batch of this size in the workspace.
static bool serves(const CudaDevice *device, const CudaPlan *plan, const uint64_t *algorithm,
                   uint64_t batch) {
  CudaAlgorithm result = {0};
  if (set_batch(plan, batch) != STATUS_OK) return false;
  int code = cuda.cublasLtMatmulAlgoCheck(device->cublas, plan->product, plan->b, plan->a, plan->c, plan->c,
                                          algorithm, &result);
  return code == 0 && result.workspace <= WORKSPACE;
}

/// True if the algorithm computes small batches too. Sums in parts need a workspace that grows with the
/// batch, so a larger one may have to be computed in pieces: *most = the rows of a piece.
static bool serves_all(const CudaDevice *device, const CudaPlan *plan, const uint64_t *algorithm,
                       uint64_t *most) {
  static const uint64_t small[] = {1, 2, 31, BATCH},
                        large[] = {1 << 24, 1 << 20, 1 << 16, 1 << 14, 4096, 1024};
  for (size_t i = 0; i < sizeof small / sizeof small[0]; i++)
    if (!serves(device, plan, algorithm, small[i])) return false;
  *most = BATCH;
  for (size_t i = 0; i < sizeof large / sizeof large[0] && large[i] > BATCH; i++) {
    if (!serves(device, plan, algorithm, large[i])) continue;
    *most = large[i];
    return true;
  }
  return true;
}

/// Says what the library may use. Sums in parts are added up in a fixed order only if that is done in the
/// workspace.
static Status set_preference(cublasLtMatmulPreference_t preference, const PlanKey *key) {
  uint64_t workspace = WORKSPACE;
  uint32_t schemes = CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE;
  const uint32_t alignment[] = {key->alignment[1], key->alignment[0], key->alignment[2], key->alignment[2]};
  TRY(CUBLAS(cublasLtMatmulPreferenceSetAttribute, preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
             &workspace, sizeof workspace));
  TRY(CUBLAS(cublasLtMatmulPreferenceSetAttribute, preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
             &schemes, sizeof schemes));
  for (int i = 0; i < 4; i++)
    TRY(CUBLAS(cublasLtMatmulPreferenceSetAttribute, preference,
               CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + i, &alignment[i], sizeof alignment[i]));
  return STATUS_OK;
}

/// A call of the library that says whether it computes a product. What it says for lack of memory is no
/// refusal.
static Status ask(CudaDevice *device, int code, const char *call) {
  device->base.gemm_refused = code != 0 && code != CUBLAS_STATUS_ALLOC_FAILED;
  return cublas_check(code, call);
}
#define ASK(device, name, ...) ask(device, cuda.name(__VA_ARGS__), #name)

static Status choose_algorithm(CudaDevice *device, CudaPlan *plan) {
  cublasLtMatmulPreference_t preference = NULL;
  CudaAlgorithm found[CANDIDATES];
  int count = 0, chosen = 0;
  TRY(CUBLAS(cublasLtMatmulPreferenceCreate, &preference));
  Status status = set_preference(preference, &plan->key);
  if (status == STATUS_OK)
    status = ASK(device, cublasLtMatmulAlgoGetHeuristic, device->cublas, plan->product, plan->b, plan->a,
                 plan->c, plan->c, preference, CANDIDATES, found, &count);
  (void)cuda.cublasLtMatmulPreferenceDestroy(preference);
  if (status != STATUS_OK) return status;
  while (chosen < count &&
         (found[chosen].state != 0 || !serves_all(device, plan, found[chosen].algorithm, &plan->most)))
    chosen++;
  device->base.gemm_refused = chosen == count;
  if (chosen == count)
    return status_fail(STATUS_FAILED,
                       "cuBLAS has no algorithm for this product (%d candidates); device.gemm = own "
                       "does without it",
                       count);
  memcpy(plan->algorithm, found[chosen].algorithm, sizeof plan->algorithm);
  return STATUS_OK;
}

static Status make_plan(CudaDevice *device, const PlanKey *key, const CudaPlan **out) {
  CudaPlan plan = {.key = *key};
  Status status =
      mem_reserve(&device->plans, &device->plan_capacity, device->plan_count + 1, "matrix products");
  if (status == STATUS_OK) status = set_product(&plan);
  if (status == STATUS_OK) status = set_layouts(&plan);
  if (status == STATUS_OK) status = choose_algorithm(device, &plan);
  if (status != STATUS_OK) {
    free_plan(&plan);
    return status;
  }
  device->plans[device->plan_count] = plan;
  *out = &device->plans[device->plan_count++];
  return STATUS_OK;
}

static Status find_plan(CudaDevice *device, const GemmCall *call, const CudaPlan **out) {
  const PlanKey key = key_of(call);
  for (size_t i = 0; i < device->plan_count; i++) {
    *out = &device->plans[i];
    if (memcmp(&(*out)->key, &key, sizeof key) == 0) return STATUS_OK;
  }
  return make_plan(device, &key, out);
}

static Status multiply(CudaDevice *device, const CudaPlan *plan, const GemmCall *call, size_t batch) {
  void *c = address_of(&call->c);
  TRY(set_batch(plan, batch));
  return ASK(device, cublasLtMatmul, device->cublas, plan->product, &call->alpha, address_of(&call->b),
             plan->b, address_of(&call->a), plan->a, &call->beta, c, plan->c, c, plan->c, plan->algorithm,
             (void *)(uintptr_t)device->workspace, WORKSPACE, device->stream);
}

/// The batch in pieces of at most plan->most. Those of a weight's gradient are added up.
static Status multiply_all(CudaDevice *device, GemmCall call) {
  const CudaPlan *plan = NULL;
  TRY(find_plan(device, &call, &plan));
  for (size_t left = call.a.transposed ? call.k : call.m, batch; left > 0; left -= batch) {
    batch = size_min(left, plan->most);
    TRY(multiply(device, plan, &call, batch));
    call.a.offset += batch * call.a.stride;
    if (call.a.transposed) {
      call.b.offset += batch * (call.b.transposed ? 1 : call.b.stride);
      call.beta = 1;
    } else {
      call.c.offset += batch * call.c.stride;
    }
  }
  return STATUS_OK;
}

Status cuda_gemm(Device *base, const GemmCall *call) {
  TRY(cuda_enter(base));
  return status_context(multiply_all(cuda_device(base), *call), "gemm [%zu, %zu] x [%zu, %zu]", call->m,
                        call->k, call->k, call->n);
}
