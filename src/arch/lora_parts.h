// What lora.c and lora_config.c share. Private to this room.
#pragma once

#include "arch/lora.h"

#define LORA_CONFIG_NAME "adapter_config.json"

/// No matrix has more rows and columns than this.
size_t lora_largest_rank(const ModelConfig *config);
STATUS_CHECKED Status lora_check_dropout(float dropout);
/// *out = weight `index` of the base as if it were untied: of lora_weight_count.
void lora_weight_spec(const ModelConfig *config, size_t index, WeightSpec *out);
