// Merges an adapter into its weight. Rule: only into float32, so that nothing is rounded but the result. A
// weight as stored is widened first.
#include "parts.h"
#include "util/memory.h"
#include <math.h>
#include <stdlib.h>

enum { STAGE_ELEMENTS = 1 << 20 };

bool adapter_is_merged(const Lora *lora, const WeightSpec *weight) {
  return weight->kind != WEIGHT_LINEAR || lora->magnitudes;
}

/// *out, whose rows and cols are set, = a matrix of the file, which has it turned if `transposed`.
static Status read_matrix(Ops *ops, const StoredTensor *stored, const char *path, bool transposed,
                          Tensor *out) {
  size_t rows = out->rows, cols = out->cols;
  Status status = STATUS_OK;
  float *values = NULL, *turned = NULL;
  TRY(stored_check_shape(stored, path, 2, transposed ? cols : rows, transposed ? rows : cols));
  TRY(tensor_create(ops, "adapter", MEMORY_ACTIVATIONS, DTYPE_F32, rows, cols, out));
  if (!transposed) return weight_read(stored, 0, out);
  TRY_CLEAN(mem_array(&values, stored->elements, "an adapter"));
  TRY_CLEAN(mem_array(&turned, stored->elements, "an adapter"));
  TRY_CLEAN(tensors_read_f32(stored, 0, stored->elements, values));
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < cols; c++) turned[r * cols + c] = values[c * rows + r];
  }
  TRY_CLEAN(tensor_write(out, 0, stored->elements, turned));
cleanup:
  free(values);
  free(turned);
  return status;
}

static void scale_row(float *row, size_t count, float length) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)row[i] * (double)row[i];
  double factor = (double)length / sqrt(sum);
  for (size_t i = 0; i < count; i++) row[i] = (float)((double)row[i] * factor);
}

static Status scale_rows(Tensor *weight, const AdapterParts *parts) {
  Status status = STATUS_OK;
  float *lengths = NULL, *values = NULL;
  size_t step = size_min(weight->rows, STAGE_ELEMENTS / weight->cols + 1);
  TRY(stored_check_shape(parts->magnitudes, parts->path, 1, 1, weight->rows));
  if (ops_is_plan(weight->ops)) return STATUS_OK;
  TRY_CLEAN(mem_array(&lengths, weight->rows, "magnitudes"));
  TRY_CLEAN(mem_array(&values, step * weight->cols, "magnitudes"));
  TRY_CLEAN(tensors_read_f32(parts->magnitudes, 0, weight->rows, lengths));
  for (size_t first = 0; first < weight->rows; first += step) {
    size_t rows = size_min(step, weight->rows - first);
    TRY_CLEAN(tensor_read(weight, first * weight->cols, rows * weight->cols, values));
    for (size_t r = 0; r < rows; r++) scale_row(values + r * weight->cols, weight->cols, lengths[first + r]);
    TRY_CLEAN(tensor_write(weight, first * weight->cols, rows * weight->cols, values));
  }
cleanup:
  free(lengths);
  free(values);
  return status;
}

Status adapter_merge(Model *model, const WeightSpec *weight, size_t rank, const AdapterParts *parts) {
  TRY(model_widen(model, weight));
  Tensor *value = &model_weight(model, weight)->value;
  if (value->dtype != DTYPE_F32) {
    return status_fail(STATUS_INPUT,
                       "%s: this adapter is merged into %s when it is read, which needs float32 weights; use "
                       "--dtype f32 or stored (model.dtype)",
                       parts->path, weight->name);
  }
  // An embedding's rows are what others have as columns: its A and B change places.
  bool turned = weight->kind == WEIGHT_EMBEDDING;
  Tensor a = {.rows = rank, .cols = weight->cols}, b = {.rows = weight->rows, .cols = rank};
  Status status = STATUS_OK;
  TRY_CLEAN(read_matrix(model->ops, turned ? parts->b : parts->a, parts->path, turned, &a));
  TRY_CLEAN(read_matrix(model->ops, turned ? parts->a : parts->b, parts->path, turned, &b));
  TRY_CLEAN(op_linear_dx(value, &b, &a, parts->scale, 1.0f));
  if (parts->magnitudes != NULL) TRY_CLEAN(scale_rows(value, parts));
cleanup:
  tensor_free(&a);
  tensor_free(&b);
  return status;
}
