// A model's matrix products. Each call multiplies with the next of as many matrices as a model has layers, so
// they come from memory, as in a run.
#include "run.h"

#include "io/tensors.h"
#include "ops/ops.h"
#include "util/memory.h"
#include <stdlib.h>

static const size_t all_rows[] = {1, 8, 64, 256, 2048, 0}, quick_rows[] = {1, 64, 256, 0};
enum { LARGE = 10000000 }; // a matrix of more elements is a head: no cache holds it, and two are enough

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

Status bench_product_create(Ops *ops, const BenchMatrix *matrix, size_t layers, size_t rows, BenchForm form,
                            BenchProduct *p) {
  size_t n = matrix->n, k = matrix->k;
  *p = (BenchProduct){.form = form, .copies = n * k > LARGE ? 2 : size_min(layers, BENCH_COPIES)};
  TRY(tensor_create(ops, "in", MEMORY_ACTIVATIONS, DTYPE_F32, rows, form == BENCH_DX ? n : k, &p->in));
  TRY(tensor_create(ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, rows, form == BENCH_DX ? k : n, &p->out));
  for (size_t i = 0; i < p->copies; i++) {
    TRY(tensor_create(ops, "weights", MEMORY_WEIGHTS, matrix->type, n, k, &p->weights[i]));
    TRY(op_measure_weights(&p->weights[i]));
  }
  return STATUS_OK;
}

Status bench_product_run(void *product, double *seconds) {
  BenchProduct *p = product;
  Tensor *weights = &p->weights[p->next++ % p->copies];
  (void)seconds;
  if (p->form == BENCH_DX) return op_linear_dx(&p->out, &p->in, weights, 1.0f, 0.0f);
  if (p->form == BENCH_DW) return op_linear_dw(weights, &p->out, &p->in, 1.0f, 0.0f);
  return op_linear_inference(&p->out, &p->in, weights, 1.0f, 0.0f);
}

void bench_product_free(BenchProduct *p) {
  tensor_free(&p->in);
  tensor_free(&p->out);
  for (size_t i = 0; i < p->copies; i++) tensor_free(&p->weights[i]);
}

static Status measure(const Bench *bench, const BenchMatrix *matrix, size_t rows, BenchForm form) {
  BenchProduct p;
  BenchResult result = {.part = BENCH_GEMM,
                        .name = "gemm",
                        .form = form,
                        .type = matrix->type,
                        .m = rows,
                        .n = matrix->n,
                        .k = matrix->k};
  Status status = bench_product_create(bench->ops, matrix, bench->config->layers, rows, form, &p);
  if (status == STATUS_OK)
    status = bench_repeat(bench, &(Repeated){.run = bench_product_run, .user = &p}, &result);
  bench_product_free(&p);
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
