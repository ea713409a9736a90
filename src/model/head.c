// The head in tiles: final norm and logits of a few rows at a time, their entropies, and the backward. Rule:
// the logits of a tile are gone when the next one is made.
#include "head_tile.h"

#include "util/memory.h"
#include <math.h>
#include <string.h>

// ---- statistics ----

Status pass_check_statistics(const float *stats, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (isfinite(stats[2 * i]) && isfinite(stats[2 * i + 1])) continue;
    return status_fail(STATUS_FAILED,
                       "an entropy is %g: the model computes numbers that are not finite; lower "
                       "train.learning_rate or "
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
  TRY(head_check_forward(pass, batch, tau));
  Head *head = &pass->head;
  size_t step = pass->options.head_tile_rows;
  OPS_PHASE(pass->model->ops, "statistics");
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

// ---- links: rows compared with kept rows ----

Status pass_keep_rows(Pass *pass, const int32_t *rows, size_t count, size_t first) {
  Head *head = &pass->head;
  if (count > pass->options.kept_rows || first > pass->options.kept_rows - count)
    return status_fail(STATUS_FAILED, "%zu rows from %zu on do not fit %zu kept rows", count, first,
                       pass->options.kept_rows);
  for (size_t done = 0, piece = 0; done < count; done += piece) {
    piece = size_min(pass->options.head_tile_rows, count - done);
    Tensor to = first_elements(&head->link_kept, piece);
    Tile tile;
    for (size_t i = 0; i < piece; i++) head->host_rows[i] = (int32_t)(first + done + i);
    TRY(tensor_write(&to, 0, piece, head->host_rows));
    TRY(tile_norm(pass, rows + done, piece, &tile));
    TRY(op_store_rows(&head->kept, &tile.norm, &to));
  }
  return STATUS_OK;
}

/// The operands of the first `count` links that are listed in host_link: their rows in the tile, whose first
/// is head row `first`, and the logits and statistics of their kept rows.
typedef struct Round {
  Tensor rows, kept, norm, logits, stats, kl, weights;
} Round;

static Status round_logits(Pass *pass, float tau, size_t first, const HeadLink *links, size_t count,
                           Round *round) {
  Head *head = &pass->head;
  *round = (Round){.rows = first_elements(&head->link_rows, count),
                   .kept = first_elements(&head->link_kept, count),
                   .norm = first_rows(&head->other_norm, count),
                   .logits = first_rows(&head->other, count),
                   .stats = first_rows(&head->other_stats, count),
                   .kl = first_elements(&head->kl, count),
                   .weights = first_rows(&head->link_weights, count)};
  for (size_t i = 0; i < count; i++) {
    const HeadLink *link = &links[head->host_link[i]];
    head->host_rows[i] = (int32_t)(link->row - first);
    head->host_targets[i] = (int32_t)link->kept;
    head->host[2 * i] = link->forward;
    head->host[2 * i + 1] = link->reverse;
  }
  TRY(tensor_write(&round->rows, 0, count, head->host_rows));
  TRY(tensor_write(&round->kept, 0, count, head->host_targets));
  if (round->weights.ops != NULL) TRY(tensor_write(&round->weights, 0, 2 * count, head->host));
  TRY(op_gather_rows(&round->norm, &head->kept, &round->kept));
  TRY(pass_linear(pass, &round->logits, &round->norm, model_head(pass->model)));
  return op_entropy(&round->stats, &round->logits, tau);
}

/// Compares the links that are listed in host_link; with a `gradient`, adds to that of their rows.
static Status run_round(Pass *pass, const Tile *tile, float tau, size_t first, HeadLink *links, size_t count,
                        Tensor *gradient) {
  Head *head = &pass->head;
  Round round;
  TRY(round_logits(pass, tau, first, links, count, &round));
  Divergence pairs = {.logits = &tile->logits,
                      .stats = &tile->stats,
                      .rows = &round.rows,
                      .other = &round.logits,
                      .other_stats = &round.stats,
                      .tau = tau};
  TRY(op_divergence(&round.kl, &pairs));
  TRY(tensor_read(&round.kl, 0, count, head->host));
  for (size_t i = 0; i < count; i++) {
    HeadLink *link = &links[head->host_link[i]];
    link->kl = head->host[i];
    if (!isfinite(link->kl))
      return status_fail(STATUS_FAILED,
                         "a KL divergence is %g: the model computes numbers that are not finite; lower "
                         "train.learning_rate",
                         (double)link->kl);
  }
  return gradient != NULL ? op_divergence_backward(gradient, &round.kl, &round.weights, &pairs) : STATUS_OK;
}

/// Compares all links of a tile. A kernel adds to each row once, so the n-th links of all rows make a round.
static Status tile_links(Pass *pass, const Tile *tile, float tau, size_t first, HeadLink *links, size_t count,
                         Tensor *gradient) {
  for (size_t round = 0, done = 0; done < count; round++) {
    size_t listed = 0, place = 0;
    for (size_t i = 0; i < count; i++) {
      place = i > 0 && links[i].row == links[i - 1].row ? place + 1 : 0;
      if (place == round) pass->head.host_link[listed++] = i;
    }
    TRY(run_round(pass, tile, tau, first, links, listed, gradient));
    done += listed;
  }
  return STATUS_OK;
}

/// The number of links from `begin` on that are of rows below `end`.
static size_t links_below(const HeadLink *links, size_t count, size_t begin, size_t end) {
  size_t below = begin;
  while (below < count && links[below].row < end) below++;
  return below - begin;
}

static Status check_links(const Pass *pass, const Batch *batch, const HeadLink *links, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (links[i].row >= batch->head_rows || links[i].kept >= pass->options.kept_rows ||
        (i > 0 && links[i].row < links[i - 1].row))
      return status_fail(STATUS_FAILED, "link %zu from head row %zu to kept row %zu is out of range or order",
                         i, links[i].row, links[i].kept);
  }
  return STATUS_OK;
}

Status pass_divergences(Pass *pass, const Batch *batch, float tau, HeadLink *links, size_t count) {
  TRY(head_check_forward(pass, batch, tau));
  TRY(check_links(pass, batch, links, count));
  size_t step = pass->options.head_tile_rows;
  for (size_t first = 0, done = 0, linked = 0; first < batch->head_rows; first += step, done += linked) {
    size_t rows = size_min(step, batch->head_rows - first);
    linked = links_below(links, count, done, first + rows);
    if (linked == 0) continue;
    Tile tile;
    TRY(tile_logits(pass, batch->head_row + first, rows, &tile));
    TRY(op_entropy(&tile.stats, &tile.logits, tau));
    TRY(tile_links(pass, &tile, tau, first, links + done, linked, NULL));
  }
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

// Adds the gradient of the tile's rows to now.dx, and to the gradients of the head's parameters. `linked`:
// tile->gradient holds what links add to that of the logits.
static Status tile_backward(Pass *pass, Tile *tile, float tau, const float *weights, bool linked) {
  TRY(tensor_write(&tile->weights, 0, tile->logits.rows, weights));
  TRY(op_entropy_backward(&tile->logits, &tile->stats, &tile->weights, tau));
  if (linked) TRY(op_add(&tile->logits, &tile->logits, &tile->gradient));
  return tile_input_backward(pass, tile);
}

static bool all_zero(const float *weights, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(weights[i] == 0.0f)) return false;
  }
  return true;
}

Status head_backward(Pass *pass, const Batch *batch, const HeadGradient *g) {
  TRY(head_check_forward(pass, batch, g->tau));
  TRY(check_links(pass, batch, g->links, g->link_count));
  size_t step = pass->options.head_tile_rows;
  TRY(tensor_zero(&pass->now.dx));
  for (size_t first = 0, done = 0, linked = 0; first < batch->head_rows; first += step, done += linked) {
    size_t count = size_min(step, batch->head_rows - first);
    linked = links_below(g->links, g->link_count, done, first + count);
    if (linked == 0 && all_zero(g->weights + first, count)) continue;
    Tile tile;
    TRY(tile_logits(pass, batch->head_row + first, count, &tile));
    TRY(tile_stats(pass, &tile, g->tau, g->entropy == NULL ? NULL : g->entropy + first,
                   g->log_z == NULL ? NULL : g->log_z + first));
    if (linked > 0) {
      TRY(tensor_zero(&tile.gradient));
      TRY(tile_links(pass, &tile, g->tau, first, g->links + done, linked, &tile.gradient));
    }
    TRY(tile_backward(pass, &tile, g->tau, g->weights + first, linked > 0));
  }
  return STATUS_OK;
}
