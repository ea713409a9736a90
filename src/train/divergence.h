// The two divergences of a step: of the trained model from the base model (loss.kl_weight), and between an
// answer's sequences (loss.form = symmetric_kl). The rows that distributions are compared with are kept in
// the training pass:
//
//   kept rows   partners: a row per prediction of the whole batch | the base model's: a row per head row of
//                                                                   the micro batch
#pragma once

#include "step_batch.h"

/// Which of them the loss has.
typedef struct Divergences {
  bool base, partners;
} Divergences;

/// The kept rows that a step needs at most. `sequences` are those of the batch, `micro` of a micro batch.
size_t divergence_rows(Divergences which, size_t sequences, size_t micro, size_t new_tokens);

/// Keeps the rows of a micro batch that its partners in other micro batches will be compared with. Call it
/// for every micro batch, after its forward, before the first divergence_list.
STATUS_CHECKED Status divergence_keep_partners(Pass *pass, const StepBatch *all, MicroBatch micro,
                                               const Batch *batch);
/// Runs the base model on a micro batch and keeps its rows. Call it before the micro batch's own forward,
/// whose activations serve the backward.
STATUS_CHECKED Status divergence_keep_base(Pass *pass, Divergences which, const StepBatch *all,
                                           const Batch *batch);

/// What the head compares in the backward of a micro batch, and to which sequences each result belongs.
typedef struct DivergenceList {
  HeadLink *links; // [link_count] for HeadGradient
  size_t link_count;
  struct Comparison *comparisons; // [comparison_count]
  size_t comparison_count;
} DivergenceList;

/// Call divergence_free in any case, also after a failure.
STATUS_CHECKED Status divergence_list(Divergences which, const StepBatch *all, MicroBatch micro,
                                      const Batch *batch, DivergenceList *list);
/// After the backward: sets the kl and partner_kl of the micro batch's sequences.
void divergence_collect(const DivergenceList *list, StepBatch *all, MicroBatch micro);
/// Safe on a zeroed struct and twice.
void divergence_free(DivergenceList *list);
