// The model's tensors: created, filled from the file one by one, freed. Rule: weights go through a bounded
// buffer, so loading needs no more host memory than that, however large the model.
#include "io/file.h"
#include "parts.h"
#include "util/half.h"
#include "util/memory.h"
#include "util/rounding.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

enum { STAGE_ELEMENTS = 1 << 20 };

Weight *model_weight(Model *model, const WeightSpec *spec) {
  Layer *layer = &model->layers[spec->layer];
  switch (spec->kind) {
  case WEIGHT_EMBEDDING:
    return &model->embedding;
  case WEIGHT_FINAL_NORM:
    return &model->final_norm;
  case WEIGHT_HEAD:
    return &model->head;
  case WEIGHT_ATTENTION_NORM:
    return &layer->attention_norm;
  case WEIGHT_FFN_NORM:
    return &layer->ffn_norm;
  case WEIGHT_BIAS:
    return &layer->linears[spec->linear].bias;
  default:
    return &layer->linears[spec->linear].weight;
  }
}

void weight_free(Weight *weight) {
  tensor_free(&weight->value);
  tensor_free(&weight->grad);
}

// GGUF may store the two rows of a rotated pair next to each other; Hugging Face has them D/2 apart in the
// head:
//
//   file   0 D/2 1 D/2+1 2 …          row i < D/2 of the head is row 2i of the file, row i + D/2 is row 2i +
//   1 here   0 1 2 … D/2 D/2+1 …
//
// The row of the file that becomes `row`; it is in the same head. `head`: D, or 0 if rows are in order.
static size_t stored_row(size_t row, size_t head) {
  if (head == 0) return row;
  size_t start = row - row % head;
  size_t within = row % head;
  return start + (within < head / 2 ? 2 * within : 2 * (within - head / 2) + 1);
}

// Buffers for one step of weight_read: rows as stored, the same in our order, and rounded to 16 bits.
typedef struct Stage {
  float *stored, *ordered;
  uint16_t *narrow;
  RoundingCheck check;
} Stage;

static void stage_free(Stage *stage) {
  free(stage->stored);
  free(stage->ordered);
  free(stage->narrow);
}

static Status read_rows(const StoredTensor *stored, size_t permuted_head, size_t first, size_t rows,
                        size_t cols, Tensor *out, Stage *stage) {
  const float *source = stage->stored;
  TRY(tensors_read_f32(stored, first * cols, rows * cols, stage->stored));
  if (permuted_head > 0) {
    for (size_t r = 0; r < rows; r++) {
      size_t from = stored_row(first + r, permuted_head) - first;
      memcpy(stage->ordered + r * cols, stage->stored + from * cols, cols * sizeof(float));
    }
    source = stage->ordered;
  }
  if (out->dtype != DTYPE_F32) halves_from_floats(out->dtype, source, rows * cols, stage->narrow);
  const uint16_t *narrow = out->dtype == DTYPE_F32 ? NULL : stage->narrow;
  TRY(rounding_add(&stage->check, source, narrow, rows * cols));
  return tensor_write(out, first * cols, rows * cols, narrow != NULL ? (const void *)narrow : source);
}

Status weight_read(const StoredTensor *stored, size_t permuted_head, Tensor *out) {
  Status status = STATUS_OK;
  Stage stage = {.check = {.type = out->dtype}};
  // A step takes whole heads, because rows move within a head: every row that a step needs is in its buffer.
  // A vector that is permuted has rows of one element.
  size_t unit = permuted_head > 0 ? permuted_head : 1;
  size_t cols = permuted_head > 0 && stored->rank == 1 ? 1 : out->cols;
  size_t all = out->rows * out->cols / cols;
  size_t step = STAGE_ELEMENTS / (cols * unit) * unit;
  if (step == 0) step = unit;
  if (step > all) step = all;
  TRY_CLEAN(mem_array(&stage.stored, step * cols, "weight staging"));
  TRY_CLEAN(mem_array(&stage.ordered, permuted_head > 0 ? step * cols : 0, "weight staging"));
  TRY_CLEAN(mem_array(&stage.narrow, out->dtype == DTYPE_F32 ? 0 : step * cols, "weight staging"));
  for (size_t first = 0; first < all; first += step)
    TRY_CLEAN(read_rows(stored, permuted_head, first, size_min(step, all - first), cols, out, &stage));
  TRY_CLEAN(rounding_finish(&stage.check));
cleanup:
  stage_free(&stage);
  return status;
}

/// The type of a weight on the device. Norms and biases are never factors of a matrix product, so they stay
/// exact.
static DType weight_type(const WeightSpec *spec, DType matrices) {
  return spec->rank == 1 ? DTYPE_F32 : matrices;
}

static Status load_weights(Model *model, const ModelFiles *files, DType matrices) {
  size_t count = weight_count(&model->config);
  for (size_t i = 0; i < count; i++) {
    WeightSpec spec;
    const StoredTensor *stored = model_files_weight(files, i, &spec);
    Weight *weight = model_weight(model, &spec);
    TRY(tensor_create(model->ops, spec.name, MEMORY_WEIGHTS, weight_type(&spec, matrices), spec.rows,
                      spec.cols, &weight->value));
    if (ops_is_plan(model->ops)) continue;
    Status status = weight_read(stored, spec.permuted_head, &weight->value);
    if (status != STATUS_OK)
      return status_context(status, "%s: tensor %s", model_files_path(files), spec.stored);
  }
  return STATUS_OK;
}

static Status load_frequencies(Model *model) {
  Status status = STATUS_OK;
  size_t count = model->config.head_dim / 2;
  double *exact = NULL;
  float *rounded = NULL;
  TRY_CLEAN(mem_array(&exact, count, "rotary frequencies"));
  TRY_CLEAN(mem_array(&rounded, count, "rotary frequencies"));
  rope_inverse_frequencies(&model->config.rope, model->config.head_dim, exact);
  for (size_t i = 0; i < count; i++) rounded[i] = (float)exact[i];
  TRY_CLEAN(
      tensor_create(model->ops, "rotary frequencies", MEMORY_WEIGHTS, DTYPE_F32, 1, count, &model->inv_freq));
  TRY_CLEAN(tensor_write(&model->inv_freq, 0, count, rounded));
cleanup:
  free(exact);
  free(rounded);
  return status;
}

Status model_load(Ops *ops, const ModelFiles *files, DType matrices, Model **out) {
  *out = NULL;
  if (matrices != DTYPE_F32 && !dtype_is_half(matrices))
    return status_fail(STATUS_INPUT, "weights are stored as f32, f16 or bf16, not as %s",
                       dtype_name(matrices));
  Status status = STATUS_OK;
  Model *model = NULL;
  TRY(mem_array(&model, 1, "model"));
  model->ops = ops;
  model->config = *model_files_config(files);
  TRY_CLEAN(str_format(&model->path, "%s", model_files_path(files)));
  TRY_CLEAN(mem_array(&model->layers, model->config.layers, "layers"));
  for (size_t l = 0; l < model->config.layers; l++) {
    for (uint32_t role = 0; role < LINEARS; role++) {
      model->layers[l].linears[role].slot = (uint32_t)l * LINEARS + role;
    }
  }
  TRY_CLEAN(load_weights(model, files, matrices));
  TRY_CLEAN(load_frequencies(model));
  *out = model;
cleanup:
  if (status != STATUS_OK) model_free(model);
  return status;
}

void model_free(Model *model) {
  if (model == NULL) return;
  for (size_t l = 0; model->layers != NULL && l < model->config.layers; l++) {
    Layer *layer = &model->layers[l];
    weight_free(&layer->attention_norm);
    weight_free(&layer->ffn_norm);
    for (size_t role = 0; role < LINEARS; role++) {
      weight_free(&layer->linears[role].weight);
      weight_free(&layer->linears[role].bias);
      weight_free(&layer->linears[role].a);
      weight_free(&layer->linears[role].b);
    }
  }
  weight_free(&model->embedding);
  weight_free(&model->final_norm);
  weight_free(&model->head);
  tensor_free(&model->inv_freq);
  params_free(&model->params);
  lora_free(&model->lora);
  free(model->layers);
  free(model->path);
  free(model);
}

const ModelConfig *model_config(const Model *model) {
  return &model->config;
}

Ops *model_ops(const Model *model) {
  return model->ops;
}
