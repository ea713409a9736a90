// Which modules an adapter_config.json is about, by PEFT's rules (peft 0.21: check_target_module_exists,
// get_pattern_key and _set_trainable). A module is named as in Hugging Face's code:
// "model.layers.0.self_attn.q_proj". Private to this room.
#pragma once

#include "io/json.h"

typedef struct LoraRules LoraRules;

/// Reads the keys. `json` must outlive the rules; `path` is the file in messages.
STATUS_CHECKED Status lora_rules_read(const cJSON *json, const char *path, LoraRules **out);
void lora_rules_free(LoraRules *rules);

/// *out = whether the module gets an adapter. `in_layer` says that it is a matrix of a layer, which is what
/// "all-linear" means.
STATUS_CHECKED Status lora_rules_adapt(const LoraRules *rules, const char *module, bool in_layer, bool *out);
/// *rank and *alpha of an adapted module.
STATUS_CHECKED Status lora_rules_sizes(const LoraRules *rules, const char *module, double *rank,
                                       double *alpha);
/// True if the file holds the module's weights themselves (modules_to_save).
bool lora_rules_save(const LoraRules *rules, const char *module);
