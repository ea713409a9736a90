// A model's matrix products. Each call multiplies with the next of as many matrices as a model has layers, so
// they come from memory, as in a run.
#include "run.h"

#include "io/tensors.h"
#include "ops/ops.h"
#include "util/memory.h"
#include <stdlib.h>

static const size_t all_rows[] = {1, 8, 64, 256, 2048, 0}, quick_rows[] = {1, 64, 256, 0};
enum {
  LARGE = 10000000, // a matrix of more elements is a head: no cache holds it, and two are enough
  MOST_COPIES = 64,
};

const size_t *bench_rows(const BenchOptions *options) {
  return options->quick ? quick_rows : all_rows;
}

static void add_matrix(BenchMatrix *matrices, size_t *count, BenchMatrix one) {
  for (size_t i = 0; i < *count; i++) {
    const BenchMatrix *other = &matrices[i];
    if (other->n != one.n || other->k != one.k || other->type != one.type || other->head != one.head)
      continue;
    matrices[i].count++;
    return;
  }
  matrices[(*count)++] = one;
}

size_t bench_matrices(const ModelFiles *files, DType dtype, BenchMatrix out[MOST_MATRICES]) {
  const ModelConfig *config = model_files_config(files);
  WeightKind head = config->tied ? WEIGHT_EMBEDDING : WEIGHT_HEAD;
  size_t count = 0;
  for (size_t i = 0; i < weight_count(config); i++) {
    WeightSpec spec;
    const StoredTensor *stored = model_files_weight(files, i, &spec);
    if (spec.kind != WEIGHT_LINEAR && spec.kind != head) continue;
    DType type = dtype != DTYPE_STORED ? dtype : ops_can_read(stored->type) ? stored->type : DTYPE_F32;
    add_matrix(
        out, &count,
        (BenchMatrix){.n = spec.rows, .k = spec.cols, .count = 1, .type = type, .head = spec.kind == head});
  }
  return count;
}

typedef struct Product {
  BenchForm form;
  Tensor in, out, weights[MOST_COPIES];
  size_t copies, next;
} Product;

static Status multiply(void *user, double *seconds) {
  Product *p = user;
  const Tensor *weights = &p->weights[p->next++ % p->copies];
  (void)seconds;
  return p->form == BENCH_DX ? op_linear_dx(&p->out, &p->in, weights, 1.0f, 0.0f)
                             : op_linear_inference(&p->out, &p->in, weights, 1.0f, 0.0f);
}

static Status measure(const Bench *bench, const BenchMatrix *matrix, size_t rows, BenchForm form) {
  size_t n = matrix->n, k = matrix->k;
  Product p = {.form = form, .copies = n * k > LARGE ? 2 : size_min(bench->config->layers, MOST_COPIES)};
  Status status = STATUS_OK;
  TRY_CLEAN(
      tensor_create(bench->ops, "in", MEMORY_ACTIVATIONS, DTYPE_F32, rows, form == BENCH_DX ? n : k, &p.in));
  TRY_CLEAN(tensor_create(bench->ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, rows, form == BENCH_DX ? k : n,
                          &p.out));
  for (size_t i = 0; i < p.copies; i++)
    TRY_CLEAN(tensor_create(bench->ops, "weights", MEMORY_WEIGHTS, matrix->type, n, k, &p.weights[i]));
  BenchResult result = {
      .part = BENCH_GEMM, .name = "gemm", .form = form, .type = matrix->type, .m = rows, .n = n, .k = k};
  TRY_CLEAN(bench_repeat(bench, &(Repeated){.run = multiply, .user = &p}, &result));
cleanup:
  tensor_free(&p.in);
  tensor_free(&p.out);
  for (size_t i = 0; i < p.copies; i++) tensor_free(&p.weights[i]);
  return status;
}

Status bench_products(const Bench *bench) {
  BenchMatrix matrices[MOST_MATRICES];
  size_t count = bench_matrices(bench->files, bench->options->dtype, matrices);
  for (size_t i = 0; i < count; i++) {
    for (const size_t *rows = bench_rows(bench->options); *rows > 0; rows++) {
      if (matrices[i].head && *rows > HEAD_ROWS) continue; // logits are made in tiles
      TRY(measure(bench, &matrices[i], *rows, BENCH_FORWARD));
      TRY(measure(bench, &matrices[i], *rows, BENCH_DX));
    }
  }
  return STATUS_OK;
}
