// Opens a model's files and checks them against its config. Rule: model_files_open checks everything, so
// loading only copies and checks nothing again.
#include "formats.h"
#include "io/file.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>

struct ModelFiles {
  char *path; // as given
  TensorFile *tensors;
  ModelConfig config;
  DType quantised; // what matrices become, or DTYPE_STORED
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
  TRY(find_file(folder, "adapter_config.json", &path, &found));
  free(path);
  if (found)
    return status_fail(
        STATUS_INPUT,
        "%s: is the folder of an adapter; give it as --adapter, and as the model the one that it was "
        "made for",
        folder);
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
  files->quantised = DTYPE_STORED;
  TRY_CLEAN(str_format(&files->path, "%s", path));
  if (file_is_directory(path)) {
    TRY_CLEAN(open_folder(files));
  } else {
    TRY_CLEAN(open_file(path, &files->tensors));
    TRY_CLEAN(model_config_read_gguf(files->tensors, &files->config));
  }
  TRY_CLEAN(model_config_check(&files->config, tensors_format(files->tensors), path));
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

// ---- quantised when they are loaded ----

DType model_files_quantised(const ModelFiles *files) {
  return files->quantised;
}

/// True if blocks of the type divide the rows.
static bool fits(const WeightSpec *spec, DType type) {
  return spec->cols % dtype_info(type)->block_elements == 0;
}

DType model_files_becomes(const ModelFiles *files, const WeightSpec *spec) {
  if (files->quantised == DTYPE_STORED || spec->kind != WEIGHT_LINEAR) return DTYPE_STORED;
  if (fits(spec, files->quantised)) return files->quantised;
  return fits(spec, DTYPE_Q8_0) ? DTYPE_Q8_0 : DTYPE_STORED;
}

static Status check_floats(const ModelFiles *files, const WeightSpec *spec, const StoredTensor *stored) {
  if (dtype_info(stored->type)->kind != DTYPE_QUANTISED) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s: tensor %s is %s, and quantised again it would lose more: leave out model.quantise "
                     "(--quantise) and set model.dtype = stored, or give the model as f32, f16 or bf16",
                     files->path, spec->stored, dtype_name(stored->type));
}

Status model_files_quantise(ModelFiles *files, DType type) {
  size_t matrices = 0, kept = 0, fallen = 0;
  if (type == DTYPE_STORED) return STATUS_OK;
  files->quantised = type;
  for (size_t i = 0; i < weight_count(&files->config); i++) {
    WeightSpec spec;
    const StoredTensor *stored = model_files_weight(files, i, &spec);
    if (spec.kind != WEIGHT_LINEAR) continue;
    DType becomes = model_files_becomes(files, &spec);
    TRY(check_floats(files, &spec, stored));
    matrices++;
    kept += becomes == DTYPE_STORED;
    fallen += becomes != DTYPE_STORED && becomes != type;
  }
  if (kept == matrices)
    return status_fail(
        STATUS_INPUT,
        "%s: no matrix can be quantised, because blocks of 32 elements do not divide their rows: "
        "leave out model.quantise (--quantise)",
        files->path);
  if (fallen > 0)
    log_say(LOG_NOTE, "%zu of %zu matrices become Q8_0: their rows are no multiple of %zu, the block of %s",
            fallen, matrices, dtype_info(type)->block_elements, dtype_name(type));
  if (kept > 0)
    log_say(LOG_NOTE, "%zu of %zu matrices are not quantised: their rows are no multiple of 32", kept,
            matrices);
  return STATUS_OK;
}
