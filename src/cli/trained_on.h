// Whether a gap is measured on prompts that the model was trained on. Rule: a gap is held out only if the
// training's own config says so, as the config of the measurement may split the prompts otherwise.
#pragma once

#include "cli.h"

/// What the files that training leaves beside a model or an adapter say.
typedef struct TrainedOn {
  bool has_config;
  bool known;     // the config and its prompts could be read
  size_t prompts; // of the measured ones that were trained on
  double first_H; // mean entropy of the training's first step; NaN: not known
} TrainedOn;

/// Compares the prompts of `dataset` with those that the model or adapter in `folder` was
/// trained on, and warns if some are the same or that cannot be told.
STATUS_CHECKED Status trained_on_find(const char *folder, const Runtime *runtime, const Dataset *dataset,
                                      TrainedOn *out);
