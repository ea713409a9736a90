// A model on disk: a Hugging Face folder or a .gguf file, its tensors checked against its config.
#pragma once

#include "arch/model_config.h"
#include "arch/weights.h"
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
