// Writing config.json and generation_config.json.
#pragma once

#include "arch/files.h"
#include "io/tensors.h"

/// Both, into `directory`; `type` is that of the weights written beside them.
STATUS_CHECKED Status model_config_write(const ModelConfig *config, DType type, const char *directory);
/// A Hugging Face folder's own generation_config.json says more (temperature, …) than ModelConfig: copies it
/// over the one in `directory`, where `files` has one.
STATUS_CHECKED Status model_config_copy_generation(const ModelFiles *files, const char *directory);
