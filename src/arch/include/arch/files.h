// A model on disk: a Hugging Face folder or a .gguf file, its tensors checked against its config.
#pragma once

#include "arch/model_config.h"
#include "arch/weights.h"
#include "util/dtype.h"
#include "util/hash.h"
#include "util/status.h"

struct TensorFile;
struct StoredTensor;

typedef struct ModelFiles ModelFiles;

/// Opens a Hugging Face folder or a .gguf file and checks its architecture and the name, type and shape of
/// every tensor. Does not read weights. STATUS_INPUT names the file and what is wrong.
STATUS_CHECKED Status model_files_open(const char *path, ModelFiles **out);
void model_files_close(ModelFiles *files);
const ModelConfig *model_files_config(const ModelFiles *files);
/// The path given to model_files_open.
const char *model_files_path(const ModelFiles *files);
/// Owned by `files`.
const struct TensorFile *model_files_tensors(const ModelFiles *files);
/// *spec = entry `index` of the table of weights; returns that tensor of the file.
const struct StoredTensor *model_files_weight(const ModelFiles *files, size_t index, WeightSpec *spec);
/// From now on the matrices of the layers become `type` (one that can_quantise names) when they are loaded.
/// Where its blocks do not divide their rows they become Q8_0, and where those do not either they stay, both
/// of which is noted. DTYPE_STORED: none does. The embedding, the head, norms and biases never do, as in
/// QLoRA. STATUS_INPUT names a matrix that is quantised already; it is also the answer if all would stay.
STATUS_CHECKED Status model_files_quantise(ModelFiles *files, DType type);
/// The type that model_files_quantise was given, or DTYPE_STORED.
DType model_files_quantised(const ModelFiles *files);
/// The type that a weight is quantised to, or DTYPE_STORED.
DType model_files_becomes(const ModelFiles *files, const WeightSpec *spec);
/// out = what tells these weights from all others: the SHA-256 of a text that has a line for each weight,
/// sorted,
///
///   model.norm.weight F32 1x576 <SHA-256 of the bytes in the file>
///
/// with Hugging Face's name, the stored type, rows x columns, and " as Q4_K" behind those that are quantised
/// when they are loaded. So it does not change with the path, with how
/// the weights are spread over files, or with anything else in them; the same weights in another type or
/// format are others. Reads every byte, on up to eight threads: 15 GB take two seconds once they are in
/// memory.
STATUS_CHECKED Status model_files_sha256(const ModelFiles *files, char out[SHA256_TEXT]);
