// What the files of this room share: the readers of each format, the checks, and numbers as text.
#pragma once

#include "arch/files.h"
#include "io/json.h"
#include "io/tensors.h"
#include "util/str.h"

/// Fills `config` from folder/config.json and folder/generation_config.json. `tied` is what config.json says;
/// weights_resolve compares it with the weights.
STATUS_CHECKED Status model_config_read_hf(const char *folder, ModelConfig *config);
/// The same from the text of a config.json, which `name` names in messages; end tokens are also looked for in
/// folder/generation_config.json.
STATUS_CHECKED Status model_config_parse_hf(const cJSON *json, const char *name, const char *folder,
                                            ModelConfig *config);
/// *out = the token of "pad_token_id", which PyTorch counts from the end where it is negative; SIZE_MAX:
/// none.
STATUS_CHECKED Status padding_read_hf(const cJSON *json, const char *name, size_t vocab, size_t *out);
/// Adds an end token that `key` of the file `name` gives, unless it is there. config->vocab must be set, as
/// STATUS_INPUT names a token outside it.
STATUS_CHECKED Status model_config_add_eos(ModelConfig *config, int64_t token, const char *name,
                                           const char *key);
/// Sets config->bos, −1 for none. One outside the vocabulary is warned of and taken for none: transformers
/// and llama.cpp go on too, and few models are asked for it.
void model_config_set_bos(ModelConfig *config, int64_t token, const char *name, const char *key);
STATUS_CHECKED Status model_config_read_gguf(const TensorFile *tensors, ModelConfig *config);
/// The rotary embedding of config.json. `positions` is the model's number of them.
STATUS_CHECKED Status rope_read_hf(const cJSON *json, const char *name, size_t positions, Rope *out);
/// That of a GGUF file; `sizes` has the head size and the number of positions.
STATUS_CHECKED Status rope_read_gguf(const TensorFile *file, const char *architecture,
                                     const ModelConfig *sizes, Rope *out);
enum { GGUF_KEY_SIZE = 128 };
/// key = "<architecture>.<name>", which it returns too.
const char *gguf_key(char key[GGUF_KEY_SIZE], const char *architecture, const char *name);

/// Refuses sizes that contradict each other or are out of range. `name` is the file in messages, whose format
/// decides what the sizes are called there.
STATUS_CHECKED Status model_config_check(const ModelConfig *config, ModelFormat format, const char *name);
/// FORMAT_HF for safetensors.
static inline ModelFormat tensors_format(const TensorFile *file) {
  return tensors_is_gguf(file) ? FORMAT_GGUF : FORMAT_HF;
}
/// The optional tensor of a GGUF file with the divisors of the rotary frequencies.
#define GGUF_ROPE_DIVISORS "rope_freqs.weight"

/// True if the file has a bias of the group in its first layer.
bool weights_have_biases(const ModelConfig *config, const TensorFile *file, const BiasGroup *group);
/// Gives the tensors of a Hugging Face folder the names of the table, as transformers finds them: without
/// what wrappers put in front, and with or without "model.". Then settles config->tied: a head that differs
/// from the embedding is kept, whatever config.json says.
STATUS_CHECKED Status weights_resolve(ModelConfig *config, TensorFile *file);
/// Appends a tensor's name without the parts that torch.compile, FSDP, activation checkpointing and
/// DataParallel put into it.
STATUS_CHECKED Status append_unwrapped(Str *out, const char *name);
/// Checks that the file has every weight with the right shape, and no tensor that this program would ignore.
STATUS_CHECKED Status weights_check(const ModelConfig *config, const TensorFile *file);
/// `value` rounded to 7 decimal digits: 0.05, not 0.0500000007.
double hf_decimal(float value);
