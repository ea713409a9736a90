// A model with random weights, as transformers makes one from a config.
#pragma once

#include "arch/init_config.h"

/// The numbers of a model's weights, and the bytes of their file or files in `type`, less their headers.
uint64_t random_weights(const ModelConfig *config);
uint64_t random_weights_bytes(const ModelConfig *config, DType type);

/// Hears how many weights are written. A failure that it returns ends the writing.
typedef Status (*RandomWritten)(void *user, uint64_t weights);

/// Writes config.json, generation_config.json and the weights into `directory` (inside an AtomicDir), in
/// config->type (F32, F16 or BF16): matrices normal with config->deviation, from `seed`, but zero for the
/// padding token's embedding; norms 1, biases 0. The same bytes on every machine. Needs memory for a piece of
/// a tensor, whatever the model's size. `written` may be NULL.
STATUS_CHECKED Status model_write_random(const InitConfig *config, uint64_t seed, const char *directory,
                                         RandomWritten written, void *user);
