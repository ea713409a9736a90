// Writing config.json and generation_config.json.
#pragma once

#include "arch/files.h"
#include "io/tensors.h"

/// Writes both into `directory`. `type` is the type of the weights there.
STATUS_CHECKED Status model_config_write(const ModelConfig *config, DType type, const char *directory);
/// Replaces generation_config.json in `directory` by that of `files`, if it has one: it says more than
/// ModelConfig, such as the temperature.
STATUS_CHECKED Status model_config_copy_generation(const ModelFiles *files, const char *directory);
