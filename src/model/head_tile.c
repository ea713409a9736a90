// Tiles of the head. Rule: logits of more than head_tile_rows rows never exist.
#include "head_tile.h"

#include <math.h>

Status tile_norm(Pass *pass, const int32_t *rows, size_t count, Tile *tile) {
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
                 .dhidden = first_rows(&head->dhidden, count),
                 .gradient = first_rows(&head->gradient, count)};
  Tensor last = pass_input(pass, model->config.layers);
  TRY(tensor_write(&head->rows, 0, count, rows));
  TRY(op_gather_rows(&tile->hidden, &last, &tile->rows));
  return op_rmsnorm(&tile->norm, &tile->rstd, &tile->hidden, &model->final_norm.value, model->config.rms_eps);
}

Status tile_logits(Pass *pass, const int32_t *rows, size_t count, Tile *tile) {
  TRY(pass_check_stop(pass));
  TRY(tile_norm(pass, rows, count, tile));
  return pass_linear(pass, &tile->logits, &tile->norm, model_head(pass->model));
}

Status tile_input_backward(Pass *pass, Tile *tile) {
  Model *model = pass->model;
  Weight *matrix = model_head(model);
  Tensor *dfinal = weight_trained(&model->final_norm) ? &model->final_norm.grad : NULL;
  TRY(op_linear_dx(&tile->dnorm, &tile->logits, &matrix->value, 1.0f, 0.0f));
  if (weight_trained(matrix)) TRY(op_linear_dw(&matrix->grad, &tile->logits, &tile->norm, 1.0f, 1.0f));
  TRY(tensor_zero(&tile->dhidden));
  TRY(op_rmsnorm_backward(&tile->dhidden, dfinal, &tile->dnorm, &tile->hidden, &model->final_norm.value,
                          &tile->rstd));
  return op_scatter_add_rows(&pass->now.dx, &tile->dhidden, &tile->rows);
}

Status head_check_forward(const Pass *pass, const Batch *batch, float tau) {
  if (pass->rows != batch->rows) {
    return status_fail(STATUS_FAILED, "the last forward ran another batch");
  }
  if (!(tau > 0.0f) || !isfinite(tau)) {
    return status_fail(STATUS_INPUT, "entropy temperature %g must be above 0", (double)tau);
  }
  return STATUS_OK;
}
