// Loading a tokenizer from Hugging Face's files: what its sources share.
#pragma once

#include "internal.h"
#include "io/json.h"

bool json_is_true(const cJSON *object, const char *key);
/// A boolean that is true if it is missing, as in Hugging Face.
bool json_is_not_false(const cJSON *object, const char *key);
/// The text under `key`; NULL if there is none.
const char *json_text(const cJSON *object, const char *key);
/// True if the `type` of a component is `type`.
bool has_type(const cJSON *component, const char *type);
/// STATUS_INPUT: `what` with the value `value` is not supported.
STATUS_CHECKED Status fail_unsupported(const char *name, const char *what, const char *value);
/// The same of a component: its `type` is the value.
STATUS_CHECKED Status fail_component(const char *name, const char *what, const cJSON *component);

/// True if a step of the pre_tokenizer is ByteLevel.
bool uses_byte_level(const cJSON *root);
STATUS_CHECKED Status load_normalizer(Tokenizer *tokenizer, const cJSON *root, const char *name);
/// `prefix_space`: what add_prefix_space of ByteLevel is instead; NULL: as the file says.
STATUS_CHECKED Status load_pre_tokenizer(Tokenizer *tokenizer, const cJSON *root, const bool *prefix_space,
                                         const char *name);
STATUS_CHECKED Status load_post_processor(Tokenizer *tokenizer, const cJSON *root, const char *name);
STATUS_CHECKED Status load_decoder(Tokenizer *tokenizer, const cJSON *root, const char *name);

/// What config.json, tokenizer_config.json, special_tokens_map.json and added_tokens.json say.
/// Zero-initialise; free with hf_config_free.
typedef struct HfConfig {
  cJSON *tokenizer; // tokenizer_config.json, with what special_tokens_map.json has instead where that counts
  cJSON *added;     // added_tokens.json where it counts; NULL if it does not
  char *name;       // of tokenizer_config.json, for messages
  const struct HfClass *kind;
  bool sets_prefix_space; // ByteLevel's add_prefix_space is prefix_space, whatever tokenizer.json says
  bool prefix_space;
} HfConfig;

/// `root` is the content of tokenizer.json; what contradicts it is refused.
STATUS_CHECKED Status hf_config_read(const char *directory, const cJSON *root, HfConfig *out);
void hf_config_free(HfConfig *config);
/// Adds the tokens that stand in the config, with the ids and flags that transformers gives them, and finds
/// BOS and EOS. Call it when those of tokenizer.json are there.
STATUS_CHECKED Status hf_config_add_tokens(const HfConfig *config, Tokenizer *tokenizer);
