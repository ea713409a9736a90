// Examples in a pass: packing into rows, and what the model gives their answers. Training and the held-out
// loss both use it.
#pragma once

#include "data/examples.h"
#include "model/model.h"

/// An example that goes through a pass with others.
typedef struct GivenRow {
  size_t example;
  uint32_t id; // identifies its answer to dropout, whatever the micro batch
} GivenRow;

/// Packs rows; free with batch_free. Rows with the same prompt stand side by side (given_sort), and if
/// `share` is true the prompt is packed once for them.
STATUS_CHECKED Status given_pack(const Examples *examples, const GivenRow *rows, size_t count, bool share,
                                 Batch *out);
/// Orders rows so that those with the same prompt stand side by side: by the first row of each prompt.
STATUS_CHECKED Status given_sort(const Examples *examples, GivenRow *rows, size_t count);
/// Rows that an example takes by itself.
size_t given_size(const Example *example);

/// Sums over tokens.
typedef struct GivenSum {
  double nll, entropy; // Σ −log p, Σ H in nats
  size_t tokens, likeliest;
} GivenSum;

/// Adds what is filled in for predictions [first, end) of the batch that the targets were listed of.
void given_add(const HeadTargets *targets, size_t first, size_t end, GivenSum *sum);
