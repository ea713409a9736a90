// Writing config.json and generation_config.json.
#pragma once

#include "arch/files.h"
#include "arch/init_config.h"
#include "io/tensors.h"

/// Writes both into `directory`. `type` is the type of the weights there.
STATUS_CHECKED Status model_config_write(const ModelConfig *config, DType type, const char *directory);
/// The same of a model that is to be made, with what its weights are made by.
STATUS_CHECKED Status init_config_write(const InitConfig *config, const char *directory);
/// Replaces generation_config.json in `directory` by that of `files`, if it has one: it says more than
/// ModelConfig, such as the temperature.
STATUS_CHECKED Status model_config_copy_generation(const ModelFiles *files, const char *directory);
