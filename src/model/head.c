// The head in tiles: final norm and logits of a few rows at a time, their entropies, and the backward. Rule:
// logits of more than head_tile_rows rows never exist.
#include "parts.h"

#include "util/memory.h"
#include <math.h>
#include <string.h>

// One tile: views of the head's buffers for its rows. Those of the backward are absent in an inference pass.
typedef struct Tile {
  Tensor rows, hidden, norm, rstd, logits, stats;
  Tensor weights, dnorm, dhidden;
} Tile;

// Sets up the tile of rows[count] of the last forward and computes its logits.
static Status tile_logits(Pass *pass, const int32_t *rows, size_t count, Tile *tile) {
  Model *model = pass->model;
  Head *head = &pass->head;
  *tile = (Tile){.rows = first_elements(&head->rows, count),
                 .hidden = first_rows(&head->hidden, count),
                 .norm = first_rows(&head->norm, count),
                 .rstd = first_elements(&head->rstd, count),
                 .logits = first_rows(&head->logits, count),
                 .stats = first_rows(&head->stats, count),
                 .weights = first_elements(&head->weights, count),
                 .dnorm = first_rows(&head->dnorm, count),
                 .dhidden = first_rows(&head->dhidden, count)};
  Tensor last = pass_input(pass, model->config.layers);
  TRY(tensor_write(&head->rows, 0, count, rows));
  TRY(op_gather_rows(&tile->hidden, &last, &tile->rows));
  TRY(op_rmsnorm(&tile->norm, &tile->rstd, &tile->hidden, &model->final_norm.value, model->config.rms_eps));
  return op_linear(&tile->logits, &tile->norm, &model_head(model)->value, 1.0f, 0.0f);
}

static Status check_forward(const Pass *pass, const Batch *batch, float tau) {
  if (pass->rows != batch->rows) {
    return status_fail(STATUS_FAILED, "the last forward ran another batch");
  }
  if (!(tau > 0.0f) || !isfinite(tau)) {
    return status_fail(STATUS_INPUT, "entropy temperature %g must be above 0", (double)tau);
  }
  return STATUS_OK;
}

// ---- statistics ----

Status pass_check_statistics(const float *stats, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (isfinite(stats[2 * i]) && isfinite(stats[2 * i + 1])) continue;
    return status_fail(STATUS_FAILED,
                       "an entropy is %g: the model's numbers are broken; lower train.learning_rate or "
                       "loss.lambda_weight, and if it is not trained, its weights are too large",
                       (double)stats[2 * i + 1]);
  }
  return STATUS_OK;
}

// Log probabilities of the `count` predictions of this tile that are listed in the head's host arrays.
static Status flush_picks(Pass *pass, const Tile *tile, size_t count, float tau, float *logprob) {
  Head *head = &pass->head;
  if (count == 0) return STATUS_OK;
  Tensor rows = first_elements(&head->pick_rows, count);
  Tensor targets = first_elements(&head->pick_targets, count);
  Tensor picked = first_elements(&head->picked, count);
  TRY(tensor_write(&rows, 0, count, head->host_rows));
  TRY(tensor_write(&targets, 0, count, head->host_targets));
  TRY(op_pick_logprob(&picked, &tile->logits, &tile->stats, &rows, &targets, tau));
  TRY(tensor_read(&picked, 0, count, head->host));
  for (size_t i = 0; i < count; i++) logprob[head->host_prediction[i]] = head->host[i];
  return STATUS_OK;
}

// Log probabilities of the predictions of head rows [first, first + rows). A prompt's last row predicts the
// first token of each of its answers, so a row may have many predictions; they are computed head_tile_rows at
// a time.
static Status pick_logprobs(Pass *pass, const Batch *batch, const Tile *tile, size_t first, size_t rows,
                            float tau, float *logprob) {
  Head *head = &pass->head;
  size_t count = 0;
  for (size_t p = 0; p < batch->predictions; p++) {
    size_t row = (size_t)batch->pred_head[p];
    if (row < first || row >= first + rows) continue;
    if (batch->pred_target[p] < 0 || (size_t)batch->pred_target[p] >= pass->model->config.vocab) {
      return status_fail(STATUS_INPUT, "token %d is outside the model's vocabulary of %zu",
                         batch->pred_target[p], pass->model->config.vocab);
    }
    head->host_rows[count] = (int32_t)(row - first);
    head->host_targets[count] = batch->pred_target[p];
    head->host_prediction[count++] = p;
    if (count < pass->options.head_tile_rows) continue;
    TRY(flush_picks(pass, tile, count, tau, logprob));
    count = 0;
  }
  return flush_picks(pass, tile, count, tau, logprob);
}

Status pass_statistics(Pass *pass, const Batch *batch, float tau, float *entropy, float *log_z,
                       float *logprob) {
  TRY(check_forward(pass, batch, tau));
  Head *head = &pass->head;
  size_t step = pass->options.head_tile_rows;
  for (size_t first = 0; first < batch->head_rows; first += step) {
    size_t count = size_min(step, batch->head_rows - first);
    Tile tile;
    TRY(tile_logits(pass, batch->head_row + first, count, &tile));
    TRY(op_entropy(&tile.stats, &tile.logits, tau));
    TRY(tensor_read(&tile.stats, 0, 2 * count, head->host));
    TRY(pass_check_statistics(head->host, count));
    for (size_t i = 0; i < count; i++) {
      if (log_z != NULL) log_z[first + i] = head->host[2 * i];
      if (entropy != NULL) entropy[first + i] = head->host[2 * i + 1];
    }
    if (logprob != NULL) TRY(pick_logprobs(pass, batch, &tile, first, count, tau, logprob));
  }
  return STATUS_OK;
}

Status pass_logits(Pass *pass, const int32_t *rows, size_t count, const Tensor **logits) {
  if (count == 0 || count > pass->options.head_tile_rows) {
    return status_fail(STATUS_FAILED, "logits of %zu rows requested from a pass with tiles of %zu", count,
                       pass->options.head_tile_rows);
  }
  Tile tile;
  TRY(tile_logits(pass, rows, count, &tile));
  pass->head.logits_out = tile.logits;
  *logits = &pass->head.logits_out;
  return STATUS_OK;
}

// ---- backward ----

// Uploads the tile's statistics if the caller has them, else computes them from the logits.
static Status tile_stats(Pass *pass, Tile *tile, float tau, const float *entropy, const float *log_z) {
  float *host = pass->head.host;
  size_t count = tile->logits.rows;
  if (entropy == NULL || log_z == NULL) return op_entropy(&tile->stats, &tile->logits, tau);
  for (size_t i = 0; i < count; i++) {
    host[2 * i] = log_z[i];
    host[2 * i + 1] = entropy[i];
  }
  return tensor_write(&tile->stats, 0, 2 * count, host);
}

// Adds the gradient of the tile's rows to now.dx, and to the gradients of the head's parameters.
static Status tile_backward(Pass *pass, Tile *tile, float tau, const float *weights) {
  Model *model = pass->model;
  Weight *matrix = model_head(model);
  Tensor *dfinal = weight_trained(&model->final_norm) ? &model->final_norm.grad : NULL;
  TRY(tensor_write(&tile->weights, 0, tile->logits.rows, weights));
  TRY(op_entropy_backward(&tile->logits, &tile->stats, &tile->weights, tau));
  TRY(op_linear_dx(&tile->dnorm, &tile->logits, &matrix->value, 1.0f, 0.0f));
  if (weight_trained(matrix)) TRY(op_linear_dw(&matrix->grad, &tile->logits, &tile->norm, 1.0f, 1.0f));
  TRY(tensor_zero(&tile->dhidden));
  TRY(op_rmsnorm_backward(&tile->dhidden, dfinal, &tile->dnorm, &tile->hidden, &model->final_norm.value,
                          &tile->rstd));
  return op_scatter_add_rows(&pass->now.dx, &tile->dhidden, &tile->rows);
}

static bool all_zero(const float *weights, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(weights[i] == 0.0f)) return false;
  }
  return true;
}

Status head_backward(Pass *pass, const Batch *batch, float tau, const float *weights, const float *entropy,
                     const float *log_z) {
  TRY(check_forward(pass, batch, tau));
  size_t step = pass->options.head_tile_rows;
  TRY(tensor_zero(&pass->now.dx));
  for (size_t first = 0; first < batch->head_rows; first += step) {
    size_t count = size_min(step, batch->head_rows - first);
    if (all_zero(weights + first, count)) continue;
    Tile tile;
    TRY(tile_logits(pass, batch->head_row + first, count, &tile));
    TRY(tile_stats(pass, &tile, tau, entropy == NULL ? NULL : entropy + first,
                   log_z == NULL ? NULL : log_z + first));
    TRY(tile_backward(pass, &tile, tau, weights + first));
  }
  return STATUS_OK;
}
