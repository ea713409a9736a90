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

static Status open_folder(const char *path, TensorFile **out) {
  Status status = STATUS_OK;
  char *index = NULL;
  char *single = NULL;
  TRY_CLEAN(path_join(&index, path, "model.safetensors.index.json"));
  TRY_CLEAN(path_join(&single, path, "model.safetensors"));
  if (file_exists(index)) {
    TRY_CLEAN(tensors_open(index, out));
  } else if (file_exists(single)) {
    TRY_CLEAN(tensors_open(single, out));
  } else {
    status =
        status_fail(STATUS_INPUT,
                    "%s: the folder has neither model.safetensors nor model.safetensors.index.json; give a "
                    "Hugging Face folder or a .gguf file",
                    path);
  }
cleanup:
  free(index);
  free(single);
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
    TRY_CLEAN(open_folder(path, &files->tensors));
    TRY_CLEAN(model_config_read_hf(path, files->tensors, &files->config));
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
