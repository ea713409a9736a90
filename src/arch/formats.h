// What the files of this room share: the readers of each format, the checks, and numbers as text.
#pragma once

#include "arch/files.h"
#include "io/tensors.h"

/// Fills `config` from folder/config.json and folder/generation_config.json; config->tied is decided by
/// `tensors` where the file is silent.
STATUS_CHECKED Status model_config_read_hf(const char *folder, const TensorFile *tensors,
                                           ModelConfig *config);
STATUS_CHECKED Status model_config_read_gguf(const TensorFile *tensors, ModelConfig *config);
/// Refuses sizes that contradict each other or that no model has. `name` is the file for messages.
STATUS_CHECKED Status model_config_check(const ModelConfig *config, const char *name);
/// FORMAT_HF for safetensors.
static inline ModelFormat tensors_format(const TensorFile *file) {
  return tensors_is_gguf(file) ? FORMAT_GGUF : FORMAT_HF;
}
/// The divisors of the rotary frequencies in a GGUF file, where it has them.
#define GGUF_ROPE_DIVISORS "rope_freqs.weight"

/// Every weight is in the file with its shape, and nothing is in it that this program would leave out.
STATUS_CHECKED Status weights_check(const ModelConfig *config, const TensorFile *file);
/// `value` as its shortest decimal of 7 digits says it: 0.05, not 0.0500000007.
double hf_decimal(float value);
