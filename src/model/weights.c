// The model's tensors: created, filled from the file one by one, freed. Rule: weights go through a bounded
// buffer, so loading needs no more host memory than that, however large the model.
#include "blocks.h"
#include "io/file.h"
#include "parts.h"
#include "util/half.h"
#include "util/memory.h"
#include "util/quantise.h"
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

Status model_widen(Model *model, const WeightSpec *spec) {
  Tensor *value = &model_weight(model, spec)->value, wide;
  bool rounded = dtype_is_half(value->dtype) && !model->stored;
  if (rounded || value->dtype == DTYPE_F32) return STATUS_OK;
  TRY(tensor_create(model->ops, spec->name, MEMORY_WEIGHTS, DTYPE_F32, value->rows, value->cols, &wide));
  Status status = op_convert(&wide, value);
  if (status != STATUS_OK) {
    tensor_free(&wide);
    return status;
  }
  tensor_free(value);
  *value = wide;
  return STATUS_OK;
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

// Buffers for one step of weight_read: elements as float32, stored rows in our order, elements rounded to 16
// bits, and elements as blocks of another type than the file's.
typedef struct Stage {
  float *values;
  uint8_t *ordered;
  uint16_t *narrow;
  Blocks blocks;
  RoundingCheck check;
} Stage;

static void stage_free(Stage *stage) {
  free(stage->values);
  free(stage->ordered);
  free(stage->narrow);
  blocks_free(&stage->blocks);
}

/// *part = rows [first, first + rows) of `cols` elements; if they are permuted, copied in our order.
static void take_rows(const StoredTensor *stored, size_t permuted_head, size_t first, size_t rows,
                      size_t cols, Stage *stage, StoredTensor *part) {
  size_t size = dtype_bytes(stored->type, cols);
  *part = *stored;
  part->elements = rows * cols;
  part->size = rows * size;
  part->bytes = stored->bytes + first * size;
  if (permuted_head == 0) return;
  for (size_t r = 0; r < rows; r++) {
    size_t from = stored_row(first + r, permuted_head) - first;
    memcpy(stage->ordered + r * size, part->bytes + from * size, size);
  }
  part->bytes = stage->ordered;
}

static Status read_rows(const StoredTensor *stored, size_t permuted_head, size_t first, size_t rows,
                        size_t cols, Tensor *out, Stage *stage) {
  StoredTensor part;
  take_rows(stored, permuted_head, first, rows, cols, stage, &part);
  TRY(tensors_read_f32(&part, 0, part.elements, stage->values));
  const void *source = out->dtype == DTYPE_F32 ? (const void *)stage->values : part.bytes;
  const uint16_t *narrow = dtype_is_half(out->dtype) ? stage->narrow : NULL;
  if (narrow != NULL) {
    halves_from_floats(out->dtype, stage->values, part.elements, stage->narrow);
    source = narrow;
  }
  TRY(rounding_add(&stage->check, stage->values, narrow, part.elements));
  if (stage->blocks.bytes != NULL) {
    blocks_fill(&stage->blocks, stage->values, part.elements);
    source = stage->blocks.bytes;
  }
  return tensor_write(out, first * cols, part.elements, source);
}

/// True if float elements of the file become quantised ones.
static bool quantises(const StoredTensor *stored, const Tensor *out) {
  return dtype_info(stored->type)->kind != DTYPE_QUANTISED && can_quantise(out->dtype);
}

/// Blocks are copied as they are and rows are moved whole, so neither may change.
static Status check_type(const StoredTensor *stored, size_t permuted_head, size_t cols, const Tensor *out) {
  bool narrows = out->dtype == DTYPE_F32 || dtype_is_half(out->dtype) ||
                 (quantises(stored, out) && cols % dtype_info(out->dtype)->block_elements == 0);
  bool whole = permuted_head == 0 || cols % dtype_info(stored->type)->block_elements == 0;
  if (whole && (narrows || out->dtype == stored->type)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s of %zu columns cannot become %s here", dtype_name(stored->type), cols,
                     dtype_name(out->dtype));
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
  size_t ordered = permuted_head > 0 ? dtype_bytes(stored->type, step * cols) : 0;
  TRY_CLEAN(check_type(stored, permuted_head, cols, out));
  TRY_CLEAN(mem_array(&stage.values, step * cols, "weight staging"));
  TRY_CLEAN(mem_array(&stage.ordered, ordered, "weight staging"));
  TRY_CLEAN(mem_array(&stage.narrow, dtype_is_half(out->dtype) ? step * cols : 0, "weight staging"));
  if (quantises(stored, out)) TRY_CLEAN(blocks_create(&stage.blocks, out->dtype, step * cols));
  size_t size = dtype_bytes(stored->type, cols);
  for (size_t first = 0; first < all; first += step) {
    size_t rows = size_min(step, all - first);
    TRY_CLEAN(read_rows(stored, permuted_head, first, rows, cols, out, &stage));
    tensors_forget(stored, first * size, rows * size); // or the process would hold the model twice
  }
  TRY_CLEAN(rounding_finish(&stage.check));
  TRY_CLEAN(blocks_finish(&stage.blocks));
cleanup:
  stage_free(&stage);
  return status;
}

/// The type of a weight on the device. Norms and biases are never factors of a matrix product, so they stay
/// exact. A matrix as stored whose type no kernel reads is widened.
static DType weight_type(const ModelFiles *files, const WeightSpec *spec, const StoredTensor *stored,
                         DType matrices) {
  DType quantised = model_files_becomes(files, spec);
  if (spec->rank == 1) return DTYPE_F32;
  if (quantised != DTYPE_STORED) return quantised;
  if (matrices != DTYPE_STORED) return matrices;
  return ops_can_read(stored->type) ? stored->type : DTYPE_F32;
}

static Status load_weights(Model *model, const ModelFiles *files, DType matrices) {
  size_t count = weight_count(&model->config);
  for (size_t i = 0; i < count; i++) {
    WeightSpec spec;
    const StoredTensor *stored = model_files_weight(files, i, &spec);
    Weight *weight = model_weight(model, &spec);
    TRY(tensor_create(model->ops, spec.name, MEMORY_WEIGHTS, weight_type(files, &spec, stored, matrices),
                      spec.rows, spec.cols, &weight->value));
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
  OPS_PHASE(ops, "load");
  if (matrices != DTYPE_STORED && matrices != DTYPE_F32 && !dtype_is_half(matrices))
    return status_fail(STATUS_INPUT, "weights are kept as f32, f16, bf16 or as stored, not as %s",
                       dtype_name(matrices));
  Status status = STATUS_OK;
  Model *model = NULL;
  TRY(mem_array(&model, 1, "model"));
  model->ops = ops;
  model->config = *model_files_config(files);
  model->stored = matrices == DTYPE_STORED;
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
