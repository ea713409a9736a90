// Asks a model what tasks want to know: the requests of some items at a time. Private to eval.
#pragma once

#include "eval/task.h"
#include "model/model.h"
#include "requests.h"
#include <stdatomic.h>

/// Some items, [begin, end), whose requests are computed together.
typedef struct ItemRange {
  size_t begin, end;
} ItemRange;

/// The end of a batch: as many items from `begin` on as are asked together, at least one. It depends only on
/// the requests and the shape of the model.
size_t responder_batch_end(const TaskRequests *requests, const ModelConfig *config, size_t begin);

typedef struct Responder Responder;
/// Creates a pass that is large enough for all requests; all is borrowed. With a model on a plan Ops, asking
/// only counts memory. Once *stop (may be NULL) is set, asking ends with STATUS_INTERRUPTED, in the middle of
/// a batch.
STATUS_CHECKED Status responder_create(Model *model, const TaskRequests *requests, const atomic_bool *stop,
                                       Responder **out);
/// Safe on NULL.
void responder_free(Responder *responder);
/// Asks all requests of a batch.
STATUS_CHECKED Status responder_ask(Responder *responder, ItemRange batch);
/// The answers to an item of the last batch; they belong to the responder.
TaskAnswers responder_answers(const Responder *responder, size_t item);
