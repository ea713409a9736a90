// What a config.json says of a model that has no weights yet.
#pragma once

#include "arch/model_config.h"
#include "util/dtype.h"

typedef struct InitConfig {
  ModelConfig model;
  float deviation; // initializer_range: the standard deviation of matrices
  size_t padding;  // pad_token_id, whose embedding is zero; SIZE_MAX: none
  DType type;      // dtype or torch_dtype; DTYPE_STORED: not said
} InitConfig;

/// Reads `path`, a config.json or a folder with one, and the end tokens of a generation_config.json beside
/// it. A setting that this program does not compute is refused, as it is where the model is read.
STATUS_CHECKED Status init_config_read(const char *path, InitConfig *out);
