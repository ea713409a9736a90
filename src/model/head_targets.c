// Given tokens: how likely each is, and the gradient of their cross-entropy. Rule: the loss is a sum over
// tokens with weights known beforehand, so the logits of a tile serve both, and are made once.
#include "head_tile.h"

#include "util/memory.h"
#include <stdlib.h>

// ---- listing ----

/// A prediction of a batch and its place there.
typedef struct Listed {
  HeadTarget target;
  size_t prediction;
} Listed;

static int compare(const HeadTarget *a, const HeadTarget *b) {
  if (a->row != b->row) return a->row < b->row ? -1 : 1;
  return (a->token > b->token) - (a->token < b->token);
}

static int by_row_and_token(const void *a, const void *b) {
  return compare(&((const Listed *)a)->target, &((const Listed *)b)->target);
}

Status targets_list(const Batch *batch, HeadTargets *out) {
  Listed *listed = NULL;
  Status status = STATUS_OK;
  *out = (HeadTargets){0};
  TRY_CLEAN(mem_array(&listed, batch->predictions, "predictions"));
  TRY_CLEAN(mem_array(&out->list, batch->predictions, "predictions"));
  TRY_CLEAN(mem_array(&out->of, batch->predictions, "predictions"));
  for (size_t i = 0; i < batch->predictions; i++)
    listed[i] = (Listed){{.row = (size_t)batch->pred_head[i], .token = batch->pred_target[i]}, i};
  if (batch->predictions > 0) qsort(listed, batch->predictions, sizeof *listed, by_row_and_token);
  for (size_t i = 0; i < batch->predictions; i++) {
    if (out->count == 0 || compare(&out->list[out->count - 1], &listed[i].target) != 0)
      out->list[out->count++] = listed[i].target;
    out->list[out->count - 1].times++;
    out->of[listed[i].prediction] = out->count - 1;
  }
cleanup:
  free(listed);
  return status;
}

void targets_free(HeadTargets *targets) {
  free(targets->list);
  free(targets->of);
  *targets = (HeadTargets){0};
}

static Status check_targets(const Pass *pass, const Batch *batch, const HeadTarget *targets, size_t count) {
  size_t vocab = pass->model->config.vocab;
  TRY(head_check_forward(pass, batch, 1.0f));
  if (!pass->options.targets) return status_fail(STATUS_FAILED, "this pass measures no given tokens");
  for (size_t i = 0; i < count; i++) {
    if (targets[i].token < 0 || (size_t)targets[i].token >= vocab)
      return status_fail(STATUS_INPUT, "token %d is outside the model's vocabulary of %zu", targets[i].token,
                         vocab);
    if (targets[i].row >= batch->head_rows || (i > 0 && compare(&targets[i - 1], &targets[i]) >= 0))
      return status_fail(STATUS_FAILED, "target %zu after head row %zu is out of range or order", i,
                         targets[i].row);
  }
  return STATUS_OK;
}

// ---- a tile ----

/// Up to head_tile_rows targets of a tile, uploaded: `row` counts from the tile's first.
typedef struct Round {
  Tensor rows, tokens;
} Round;

static Status upload_round(Pass *pass, size_t first, const HeadTarget *targets, size_t count, Round *round) {
  Head *head = &pass->head;
  *round = (Round){first_elements(&head->pick_rows, count), first_elements(&head->pick_targets, count)};
  for (size_t i = 0; i < count; i++) {
    head->host_rows[i] = (int32_t)(targets[i].row - first);
    head->host_targets[i] = targets[i].token;
  }
  TRY(tensor_write(&round->rows, 0, count, head->host_rows));
  return tensor_write(&round->tokens, 0, count, head->host_targets);
}

/// Fills in what the logits and statistics of the tile say.
static Status measure_tile(Pass *pass, Tile *tile, size_t first, HeadTarget *targets, size_t count) {
  Head *head = &pass->head;
  size_t rows = tile->logits.rows, step = pass->options.head_tile_rows;
  Tensor largest = first_elements(&head->largest, rows);
  TRY(op_entropy(&tile->stats, &tile->logits, 1.0f));
  TRY(tensor_read(&tile->stats, 0, 2 * rows, head->host));
  TRY(pass_check_statistics(head->host, rows));
  for (size_t i = 0; i < count; i++) targets[i].entropy = head->host[2 * (targets[i].row - first) + 1];
  TRY(op_largest_logprob(&largest, &tile->logits, &tile->stats));
  for (size_t done = 0, piece = 0; done < count; done += piece) {
    piece = size_min(step, count - done);
    Tensor picked = first_elements(&head->picked, piece);
    Round round;
    TRY(upload_round(pass, first, targets + done, piece, &round));
    TRY(op_pick_logprob(&picked, &tile->logits, &tile->stats, &round.rows, &round.tokens, 1.0f));
    TRY(tensor_read(&picked, 0, piece, head->host));
    for (size_t i = 0; i < piece; i++) targets[done + i].logprob = head->host[i];
  }
  TRY(tensor_read(&largest, 0, rows, head->host));
  for (size_t i = 0; i < count; i++)
    targets[i].likeliest = targets[i].logprob >= head->host[targets[i].row - first];
  return STATUS_OK;
}

/// Replaces the tile's logits by the gradient of −scale · Σ times · log p.
static Status differentiate_tile(Pass *pass, Tile *tile, size_t first, float scale, const HeadTarget *targets,
                                 size_t count) {
  Head *head = &pass->head;
  size_t rows = tile->logits.rows, step = pass->options.head_tile_rows;
  for (size_t r = 0; r < rows; r++) head->host[r] = 0;
  for (size_t i = 0; i < count; i++) head->host[targets[i].row - first] += (float)targets[i].times;
  for (size_t r = 0; r < rows; r++) head->host[r] *= scale;
  TRY(tensor_write(&tile->weights, 0, rows, head->host));
  TRY(op_cross_entropy_backward(&tile->logits, &tile->stats, &tile->weights));
  for (size_t done = 0, piece = 0; done < count; done += piece) {
    piece = size_min(step, count - done);
    Tensor weights = first_elements(&head->target_weights, piece);
    Round round;
    TRY(upload_round(pass, first, targets + done, piece, &round));
    for (size_t i = 0; i < piece; i++) head->host[i] = scale * (float)targets[done + i].times;
    TRY(tensor_write(&weights, 0, piece, head->host));
    TRY(op_subtract_targets(&tile->logits, &round.rows, &round.tokens, &weights));
  }
  return STATUS_OK;
}

// ---- all rows ----

/// The number of targets from `begin` on that follow rows below `end`.
static size_t targets_below(const HeadTarget *targets, size_t count, size_t begin, size_t end) {
  size_t below = begin;
  while (below < count && targets[below].row < end) below++;
  return below - begin;
}

/// `scale` NULL: measures only.
static Status walk_tiles(Pass *pass, const Batch *batch, const float *scale, const HeadTargets *all) {
  HeadTarget *targets = all->list;
  size_t step = pass->options.head_tile_rows, count = all->count;
  TRY(check_targets(pass, batch, targets, count));
  if (scale != NULL) TRY(tensor_zero(&pass->now.dx));
  for (size_t first = 0, done = 0, here = 0; first < batch->head_rows; first += step, done += here) {
    size_t rows = size_min(step, batch->head_rows - first);
    Tile tile;
    here = targets_below(targets, count, done, first + rows);
    if (here == 0) continue;
    TRY(tile_logits(pass, batch->head_row + first, rows, &tile));
    TRY(measure_tile(pass, &tile, first, targets + done, here));
    if (scale == NULL) continue;
    TRY(differentiate_tile(pass, &tile, first, *scale, targets + done, here));
    TRY(tile_input_backward(pass, &tile));
  }
  return STATUS_OK;
}

Status pass_targets(Pass *pass, const Batch *batch, HeadTargets *targets) {
  return walk_tiles(pass, batch, NULL, targets);
}

Status head_targets_backward(Pass *pass, const Batch *batch, float scale, HeadTargets *targets) {
  return walk_tiles(pass, batch, &scale, targets);
}
