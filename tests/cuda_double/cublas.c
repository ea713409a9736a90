// cuBLASLt's part: products summed in double precision, so that it is nearer to the true value than any
// device.
#include "double.h"

#include "util/half.h"
#include <stdlib.h>
#include <string.h>

enum {
  SUCCESS = 0,
  NOT_INITIALIZED_STATUS = 1,
  ALLOC_FAILED = 3,
  INVALID = 7,
  EXECUTION_FAILED = 13,
  NOT_SUPPORTED = 15,
  FLOAT = 0,
  HALF = 2,
  NORMAL = 68,
  PEDANTIC = 69,
  TF32 = 77,
};

typedef struct Layout {
  int type;
  uint64_t rows, cols;
  int64_t ld;
} Layout;
typedef struct Desc {
  int compute, transpose[2];
} Desc;
typedef struct Preference {
  uint64_t workspace;
  uint32_t schemes, alignment[4]; // of A, B, C, D in bytes
} Preference;
typedef struct Algorithm {
  uint64_t words[8]; // the alignment it needs; a mark
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
} Algorithm;
static const uint64_t mark = 0x676f726974686d21;
static int handles;

EXPORT int cublasLtGetProperty(int property, int *value) {
  *value = property == 0 ? 13 : 0;
  return SUCCESS;
}

EXPORT const char *cublasLtGetStatusString(int status) {
  return status == ALLOC_FAILED    ? "CUBLAS_STATUS_ALLOC_FAILED"
         : status == NOT_SUPPORTED ? "CUBLAS_STATUS_NOT_SUPPORTED"
                                   : "CUBLAS_STATUS_EXECUTION_FAILED";
}

/// Whether products of the type are to go wrong in this way.
static bool is_told(int type, const char *fault) {
  const char *told = getenv("CUDA_DOUBLE_HALVES");
  return type != FLOAT && told != NULL && strcmp(told, fault) == 0;
}

EXPORT int cublasLtCreate(void **out) {
  if (fails_now()) return NOT_INITIALIZED_STATUS;
  *out = &handles;
  handles++;
  return SUCCESS;
}

EXPORT int cublasLtDestroy(const void *handle) {
  if (handle != &handles || handles-- == 0) misuse("%p is no handle of cuBLAS", handle);
  return SUCCESS;
}

static int create(void *out, const void *from, size_t size) {
  if (fails_now()) return ALLOC_FAILED;
  void *object = malloc(size);
  if (object == NULL) abort();
  memcpy(object, from, size);
  memcpy(out, &object, sizeof object);
  return SUCCESS;
}

static int destroy(void *object) {
  free(object);
  return SUCCESS;
}

EXPORT int cublasLtMatmulDescCreate(void *out, int compute, int scale) {
  const Desc desc = {.compute = compute};
  return scale == FLOAT ? create(out, &desc, sizeof desc) : NOT_SUPPORTED;
}
EXPORT int cublasLtMatmulDescDestroy(void *desc) {
  return destroy(desc);
}
EXPORT int cublasLtMatmulDescSetAttribute(Desc *desc, int attribute, const void *value, size_t size) {
  if ((attribute != 3 && attribute != 4) || size != sizeof(int)) return INVALID;
  memcpy(&desc->transpose[attribute - 3], value, size);
  return SUCCESS;
}

EXPORT int cublasLtMatrixLayoutCreate(void *out, int type, uint64_t rows, uint64_t cols, int64_t ld) {
  const Layout layout = {type, rows, cols, ld};
  return create(out, &layout, sizeof layout);
}
EXPORT int cublasLtMatrixLayoutDestroy(void *layout) {
  return destroy(layout);
}
EXPORT int cublasLtMatrixLayoutSetAttribute(Layout *layout, int attribute, const void *value, size_t size) {
  if ((attribute != 2 && attribute != 3) || size != sizeof(uint64_t)) return INVALID;
  memcpy(attribute == 2 ? &layout->rows : &layout->cols, value, size);
  return SUCCESS;
}

EXPORT int cublasLtMatmulPreferenceCreate(void *out) {
  const Preference preference = {.schemes = 7, .alignment = {256, 256, 256, 256}};
  return create(out, &preference, sizeof preference);
}
EXPORT int cublasLtMatmulPreferenceDestroy(void *preference) {
  return destroy(preference);
}
EXPORT int cublasLtMatmulPreferenceSetAttribute(Preference *preference, int attribute, const void *value,
                                                size_t size) {
  void *to = attribute == 1                     ? (void *)&preference->workspace
             : attribute == 3                   ? &preference->schemes
             : attribute >= 5 && attribute <= 8 ? &preference->alignment[attribute - 5]
                                                : NULL;
  if (to == NULL || size != (attribute == 1 ? sizeof(uint64_t) : sizeof(uint32_t))) return INVALID;
  memcpy(to, value, size);
  return SUCCESS;
}

static size_t size_of(int type) {
  return type == FLOAT ? 4 : 2;
}

/// Whether the shapes fit together, and the types and the compute type are a combination that cuBLAS has.
static bool supported(const Desc *desc, const Layout *a, const Layout *b, const Layout *c, const Layout *d) {
  uint64_t m = desc->transpose[0] ? a->cols : a->rows, k = desc->transpose[0] ? a->rows : a->cols;
  uint64_t n = desc->transpose[1] ? b->rows : b->cols, other_k = desc->transpose[1] ? b->cols : b->rows;
  bool computes =
      a->type == FLOAT ? desc->compute == PEDANTIC || desc->compute == TF32 : desc->compute == NORMAL;
  return c == d && computes && a->type == b->type && c->type == FLOAT && m > 0 && n > 0 && k > 0 &&
         k == other_k && c->rows == m && c->cols == n && a->ld >= (int64_t)a->rows &&
         b->ld >= (int64_t)b->rows && c->ld >= (int64_t)c->rows;
}

/// Two algorithms: one that needs rows at multiples of 16 bytes, where the preference allows it, and one for
/// all.
EXPORT int cublasLtMatmulAlgoGetHeuristic(const void *handle, const Desc *desc, const Layout *a,
                                          const Layout *b, const Layout *c, const Layout *d,
                                          const Preference *preference, int most, Algorithm *found,
                                          int *count) {
  if (fails_now()) return ALLOC_FAILED;
  if (handle != &handles || !supported(desc, a, b, c, d) || most < 2) return INVALID;
  *count = 0;
  if (is_told(a->type, "refused")) return NOT_SUPPORTED;
  bool aligned = true;
  for (int i = 0; i < 4; i++) aligned = aligned && preference->alignment[i] >= 16;
  if (aligned) found[(*count)++] = (Algorithm){.words = {16, mark}};
  found[(*count)++] = (Algorithm){.words = {size_of(a->type), mark}};
  return SUCCESS;
}

EXPORT int cublasLtMatmulAlgoCheck(const void *handle, const Desc *desc, const Layout *a, const Layout *b,
                                   const Layout *c, const Layout *d, const uint64_t *algorithm,
                                   Algorithm *result) {
  if (handle != &handles || algorithm[1] != mark || !supported(desc, a, b, c, d)) return NOT_SUPPORTED;
  memcpy(result->words, algorithm, sizeof result->words);
  result->workspace = 0;
  return SUCCESS;
}

/// A stored matrix lies in one allocation, and its columns are aligned as the algorithm needs them.
static bool holds(const void *at, const Layout *layout, uint64_t alignment) {
  uint64_t stride = (uint64_t)layout->ld * size_of(layout->type), address = (uintptr_t)at;
  if (address % alignment != 0 || (layout->cols > 1 && stride % alignment != 0)) return false;
  return memory_holds(address, (layout->cols - 1) * stride + layout->rows * size_of(layout->type));
}

EXPORT int cublasLtMatmul(const void *handle, const Desc *desc, const void *alpha, const void *a,
                          const Layout *a_layout, const void *b, const Layout *b_layout, const void *beta,
                          const void *c, const Layout *c_layout, void *d, const Layout *d_layout,
                          const uint64_t *algorithm, void *workspace, size_t workspace_size, void *stream) {
  if (fails_now() || is_told(a_layout->type, "failing")) return EXECUTION_FAILED;
  if (is_told(a_layout->type, "memory")) return ALLOC_FAILED;
  if (handle != &handles || algorithm[1] != mark || c != d) return INVALID;
  if (!supported(desc, a_layout, b_layout, c_layout, d_layout)) return NOT_SUPPORTED;
  if (!memory_holds((uintptr_t)workspace, workspace_size)) misuse("%p is no workspace", workspace);
  Product product = {.transpose_a = desc->transpose[0] != 0,
                     .transpose_b = desc->transpose[1] != 0,
                     .m = (int)c_layout->rows,
                     .n = (int)c_layout->cols,
                     .k = (int)(desc->transpose[0] ? a_layout->rows : a_layout->cols),
                     .lda = (int)a_layout->ld,
                     .ldb = (int)b_layout->ld,
                     .ldc = (int)c_layout->ld,
                     .type = a_layout->type,
                     .a = (uintptr_t)a,
                     .b = (uintptr_t)b,
                     .c = (uintptr_t)c};
  memcpy(&product.alpha, alpha, sizeof product.alpha);
  memcpy(&product.beta, beta, sizeof product.beta);
  if (!holds(a, a_layout, algorithm[0]) || !holds(b, b_layout, algorithm[0]) ||
      !holds(c, c_layout, algorithm[0]))
    misuse("a product of [%d, %d] x [%d, %d] reaches outside its memory or is not aligned", product.m,
           product.k, product.k, product.n);
  return queue_product(&product, stream) == 0 ? SUCCESS : EXECUTION_FAILED;
}

static float element(const char *at, int type) {
  float value;
  uint16_t bits;
  memcpy(&value, at, type == FLOAT ? sizeof value : 0);
  memcpy(&bits, at, sizeof bits);
  return type == FLOAT ? value : type == HALF ? half_to_float(bits) : bfloat_to_float(bits);
}

static float rounded(float value, int type) {
  return type == HALF ? half_to_float(half_from_float(value)) : bfloat_to_float(bfloat_from_float(value));
}

/// op(matrix), [count, k] or [k, count], stored by columns, as out[k][count].
static float *unpack(uint64_t matrix, bool k_along_columns, size_t count, size_t k, size_t ld, int type) {
  const char *from = (const char *)(uintptr_t)matrix;
  float *out = calloc(count * k, sizeof *out);
  if (out == NULL) abort();
  for (size_t j = 0; j < k; j++)
    for (size_t i = 0; i < count; i++)
      out[j * count + i] = element(from + (k_along_columns ? i * ld + j : j * ld + i) * size_of(type), type);
  return out;
}

enum { AT_ONCE = 4 };

/// sums[cols][m] = Σ a[k][m] · b[k][cols], for cols up to AT_ONCE; size = {m, columns of b, k}.
static void sum_columns(double *restrict sums, const float *restrict a, const float *restrict b, size_t cols,
                        const size_t size[3]) {
  size_t m = size[0];
  memset(sums, 0, AT_ONCE * m * sizeof *sums);
  for (size_t j = 0; j < size[2]; j++) {
    double factor[AT_ONCE] = {0};
    for (size_t i = 0; i < cols; i++) factor[i] = (double)b[j * size[1] + i];
    for (size_t row = 0; row < m; row++) {
      double value = (double)a[j * m + row];
      sums[row] += value * factor[0];
      sums[m + row] += value * factor[1];
      sums[2 * m + row] += value * factor[2];
      sums[3 * m + row] += value * factor[3];
    }
  }
}

void run_product(const Product *p) {
  size_t m = (size_t)p->m, n = (size_t)p->n, k = (size_t)p->k;
  float *a = unpack(p->a, p->transpose_a, m, k, (size_t)p->lda, p->type);
  float *b = unpack(p->b, !p->transpose_b, n, k, (size_t)p->ldb, p->type);
  float *c = (float *)(uintptr_t)p->c;
  bool rounds = is_told(p->type, "rounded");
  double *sums = calloc(m, AT_ONCE * sizeof *sums);
  if (sums == NULL) abort();
  for (size_t col = 0; col < n; col += AT_ONCE) {
    size_t cols = n - col < AT_ONCE ? n - col : AT_ONCE;
    sum_columns(sums, a, b + col, cols, (size_t[]){m, n, k});
    for (size_t i = 0; i < cols * m; i++) {
      float *to = &c[(col + i / m) * (size_t)p->ldc + i % m];
      // Where beta is 0, cuBLAS does not read C.
      *to = (float)(p->alpha * sums[i] + (p->beta != 0 ? p->beta * *to : 0));
      if (rounds) *to = rounded(*to, p->type);
    }
  }
  free(sums);
  free(a);
  free(b);
}
