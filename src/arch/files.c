// Opens a model's files and checks them against its config. Rule: model_files_open checks everything, so
// loading only copies and checks nothing again.
#include "formats.h"
#include "io/file.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>

struct ModelFiles {
  char *path; // as given
  TensorFile *tensors;
  ModelConfig config;
};

/// True if the folder has the file; *path = its path in fresh memory.
static Status find_file(const char *folder, const char *name, char **path, bool *found) {
  TRY(path_join(path, folder, name));
  *found = file_exists(*path);
  return STATUS_OK;
}

static Status fail_no_weights(const char *folder) {
  char *path = NULL;
  bool found = false;
  Status status = find_file(folder, "pytorch_model.bin.index.json", &path, &found);
  if (found)
    status = status_fail(STATUS_INPUT,
                         "%s: PyTorch's files in parts are not read; save the model with transformers' "
                         "save_pretrained, which writes safetensors",
                         path);
  free(path);
  TRY(status);
  return status_fail(STATUS_INPUT,
                     "%s: the folder has no model.safetensors, model.safetensors.index.json or "
                     "pytorch_model.bin; give a Hugging Face folder or a .gguf file",
                     folder);
}

/// *out = the path of the weights, in the order in which transformers takes them.
static Status find_weights(const char *folder, char **out) {
  static const char *const names[] = {"model.safetensors", "model.safetensors.index.json",
                                      "pytorch_model.bin"};
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    bool found = false;
    Status status = find_file(folder, names[i], out, &found);
    if (status == STATUS_OK && found) return STATUS_OK;
    free(*out);
    *out = NULL;
    TRY(status);
  }
  return fail_no_weights(folder);
}

static Status open_folder(ModelFiles *files) {
  Status status = STATUS_OK;
  char *weights = NULL;
  TRY(find_weights(files->path, &weights));
  TRY_CLEAN(model_config_read_hf(files->path, &files->config));
  TRY_CLEAN(tensors_open(weights, &files->tensors));
  TRY_CLEAN(weights_resolve(&files->config, files->tensors));
cleanup:
  free(weights);
  return status;
}

static Status open_file(const char *path, TensorFile **out) {
  TRY(tensors_open(path, out));
  if (tensors_is_gguf(*out)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: weights alone are not a model; give the folder with config.json",
                     path);
}

Status model_files_open(const char *path, ModelFiles **out) {
  *out = NULL;
  Status status = STATUS_OK;
  ModelFiles *files = NULL;
  TRY(mem_array(&files, 1, "model files"));
  TRY_CLEAN(str_format(&files->path, "%s", path));
  if (file_is_directory(path)) {
    TRY_CLEAN(open_folder(files));
  } else {
    TRY_CLEAN(open_file(path, &files->tensors));
    TRY_CLEAN(model_config_read_gguf(files->tensors, &files->config));
  }
  TRY_CLEAN(model_config_check(&files->config, path));
  TRY_CLEAN(weights_check(&files->config, files->tensors));
  *out = files;
cleanup:
  if (status != STATUS_OK) model_files_close(files);
  return status;
}

void model_files_close(ModelFiles *files) {
  if (files == NULL) return;
  tensors_close(files->tensors);
  free(files->path);
  free(files);
}

const ModelConfig *model_files_config(const ModelFiles *files) {
  return &files->config;
}

const char *model_files_path(const ModelFiles *files) {
  return files->path;
}

const TensorFile *model_files_tensors(const ModelFiles *files) {
  return files->tensors;
}

const StoredTensor *model_files_weight(const ModelFiles *files, size_t index, WeightSpec *spec) {
  weight_spec(&files->config, tensors_format(files->tensors), index, spec);
  return tensors_find(files->tensors, spec->stored);
}
