// The README.md of a finished model or adapter.
#pragma once

#include "train/train.h"
#include "util/str.h"

/// Appends it: what was trained, from what, how to use it. `steps` were done; `path` is its folder.
STATUS_CHECKED Status model_card_append(const TrainJob *job, size_t steps, const char *path, Str *out);
