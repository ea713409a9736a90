// Which distributions a step compares. Rule: one that serves several predictions is compared once. The row
// after a prompt predicts the first token of each of its answers; so all of them are one link, whose weight
// is the sum of theirs.
#include "divergence.h"

#include "util/memory.h"
#include <stdlib.h>

/// A prediction of a sequence, compared with a kept row.
typedef struct Comparison {
  size_t row, kept;        // as in HeadLink
  size_t order;            // of the list, so that sums do not depend on how ties are sorted
  size_t sequence;         // its index in the batch
  bool base;               // else with a partner
  double share;            // of this KL in the sequence's mean
  double forward, reverse; // dL/dKL(p‖q), dL/dKL(q‖p)
  size_t link;             // that compares it
} Comparison;

size_t divergence_rows(Divergences which, size_t sequences, size_t micro, size_t new_tokens) {
  return (which.partners ? sequences * new_tokens : 0) + (which.base ? micro * new_tokens : 0);
}

/// The first kept row of the base model.
static size_t base_begin(Divergences which, const StepBatch *all) {
  return which.partners ? all->predictions : 0;
}

Status divergence_keep_partners(Pass *pass, const StepBatch *all, MicroBatch micro, const Batch *batch) {
  int32_t *rows = NULL;
  TRY(mem_array(&rows, batch->predictions, "rows of partners"));
  for (size_t i = 0; i < batch->predictions; i++) rows[i] = batch->head_row[batch->pred_head[i]];
  Status status = pass_keep_rows(pass, rows, batch->predictions, all->sequences[micro.begin].first_token);
  free(rows);
  return status;
}

Status divergence_keep_base(Pass *pass, Divergences which, const StepBatch *all, const Batch *batch) {
  TRY(pass_forward_base(pass, batch));
  return pass_keep_rows(pass, batch->head_row, batch->head_rows, base_begin(which, all));
}

// ---- the list ----

/// The kept row of token `token` of a sequence. All sequences of a prompt share the first one's first row.
static size_t partner_row(const StepBatch *all, size_t sequence, size_t token) {
  const Sequence *partner = &all->sequences[sequence];
  if (token == 0) return all->sequences[all->first_of[partner->prompt]].first_token;
  return partner->first_token + token;
}

static Comparison *next_comparison(DivergenceList *list, size_t sequence, size_t row) {
  Comparison *next = &list->comparisons[list->comparison_count];
  *next = (Comparison){.row = row, .sequence = sequence, .order = list->comparison_count++};
  return next;
}

/// Compares token `token` of sequence s, whose head row is `row`, with the same token of the answer's other
/// sequences. Its link has both directions of the pair, because p is in both; the partner's link has them
/// too, for its own logits.
static void add_partners(const StepBatch *all, size_t s, size_t token, size_t row, DivergenceList *list) {
  const Sequence *sequence = &all->sequences[s];
  size_t groups = all->shape.groups, first = sequence->answer * groups;
  double share = 1 / ((double)sequence->tokens * (double)(groups - 1));
  for (size_t g = 0; g < groups; g++) {
    size_t other = all->sequence_of[first + g];
    if (other == s) continue;
    Comparison *next = next_comparison(list, s, row);
    next->kept = partner_row(all, other, token);
    next->share = share;
    next->forward = share * all->partner_slope * all->samples[s].weight;
    next->reverse = share * all->partner_slope * all->samples[other].weight;
  }
}

static void add_base(const StepBatch *all, size_t s, size_t kept, size_t row, DivergenceList *list) {
  Comparison *next = next_comparison(list, s, row);
  next->base = true;
  next->kept = kept;
  next->share = 1 / (double)all->sequences[s].tokens;
  next->forward = next->share * all->kl_slope;
}

static int by_row(const void *a, const void *b) {
  const Comparison *x = a, *y = b;
  if (x->row != y->row) return x->row < y->row ? -1 : 1;
  if (x->kept != y->kept) return x->kept < y->kept ? -1 : 1;
  return x->order < y->order ? -1 : x->order > y->order;
}

/// Makes one link of all comparisons between the same two rows.
static void make_links(DivergenceList *list) {
  double forward = 0, reverse = 0;
  qsort(list->comparisons, list->comparison_count, sizeof *list->comparisons, by_row);
  for (size_t i = 0; i < list->comparison_count; i++) {
    Comparison *this = &list->comparisons[i];
    if (i == 0 || this->row != this[-1].row || this->kept != this[-1].kept) {
      list->links[list->link_count++] = (HeadLink){.row = this->row, .kept = this->kept};
      forward = reverse = 0;
    }
    forward += this->forward;
    reverse += this->reverse;
    this->link = list->link_count - 1;
    list->links[this->link].forward = (float)forward;
    list->links[this->link].reverse = (float)reverse;
  }
}

Status divergence_list(Divergences which, const StepBatch *all, MicroBatch micro, const Batch *batch,
                       DivergenceList *list) {
  size_t each = (which.partners ? all->shape.groups - 1 : 0) + which.base, count = 0;
  *list = (DivergenceList){0};
  if (each == 0) return STATUS_OK;
  TRY(mem_product(batch->predictions, each, &count, "divergences"));
  TRY(mem_array(&list->comparisons, count, "divergences"));
  TRY(mem_array(&list->links, count, "divergences"));
  for (size_t s = micro.begin, prediction = 0; s < micro.end; s++) {
    for (size_t token = 0; token < all->sequences[s].tokens; token++, prediction++) {
      size_t row = (size_t)batch->pred_head[prediction];
      if (which.partners) add_partners(all, s, token, row, list);
      if (which.base) add_base(all, s, base_begin(which, all) + row, row, list);
    }
  }
  make_links(list);
  return STATUS_OK;
}

void divergence_collect(const DivergenceList *list, StepBatch *all, MicroBatch micro) {
  for (size_t s = micro.begin; s < micro.end; s++) all->sequences[s].kl = all->sequences[s].partner_kl = 0;
  for (size_t i = 0; i < list->comparison_count; i++) {
    const Comparison *this = &list->comparisons[i];
    Sequence *sequence = &all->sequences[this->sequence];
    *(this->base ? &sequence->kl : &sequence->partner_kl) += this->share * (double)list->links[this->link].kl;
  }
}

void divergence_free(DivergenceList *list) {
  free(list->comparisons);
  free(list->links);
  *list = (DivergenceList){0};
}
