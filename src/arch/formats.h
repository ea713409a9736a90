// What the files of this room share: the readers of each format, the checks, and numbers as text.
#pragma once

#include "arch/files.h"
#include "io/tensors.h"

/// Fills `config` from folder/config.json and folder/generation_config.json. If they do not say whether the
/// head is tied, `tensors` decides.
STATUS_CHECKED Status model_config_read_hf(const char *folder, const TensorFile *tensors,
                                           ModelConfig *config);
STATUS_CHECKED Status model_config_read_gguf(const TensorFile *tensors, ModelConfig *config);
/// Refuses sizes that contradict each other or are out of range. `name` is the file in messages.
STATUS_CHECKED Status model_config_check(const ModelConfig *config, const char *name);
/// FORMAT_HF for safetensors.
static inline ModelFormat tensors_format(const TensorFile *file) {
  return tensors_is_gguf(file) ? FORMAT_GGUF : FORMAT_HF;
}
/// The optional tensor of a GGUF file with the divisors of the rotary frequencies.
#define GGUF_ROPE_DIVISORS "rope_freqs.weight"

/// Checks that the file has every weight with the right shape, and no tensor that this program would ignore.
STATUS_CHECKED Status weights_check(const ModelConfig *config, const TensorFile *file);
/// `value` rounded to 7 decimal digits: 0.05, not 0.0500000007.
double hf_decimal(float value);
