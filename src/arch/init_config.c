// Reads the config of a model that is to be made. Rule: the sizes are read as those of a model that exists;
// only what matters once, at the start, is read here, with transformers' defaults.
#include "arch/init_config.h"

#include "formats.h"
#include "io/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static Status read_deviation(const cJSON *json, const char *name, float *out) {
  double deviation = 0.02;
  if (json_has(json, "initializer_range")) TRY(json_get_number(json, "initializer_range", name, &deviation));
  *out = (float)deviation;
  if (deviation > 0 && deviation <= 100) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"initializer_range\" is %g, expected a number above 0, at most 100",
                     name, deviation);
}

/// transformers takes "dtype" before the older "torch_dtype".
static Status read_type(const cJSON *json, const char *name, DType *out) {
  static const struct {
    const char *name;
    DType type;
  } types[] = {{"float32", DTYPE_F32}, {"float16", DTYPE_F16}, {"bfloat16", DTYPE_BF16}};
  const char *key = json_has(json, "dtype") ? "dtype" : "torch_dtype", *text = NULL;
  *out = DTYPE_STORED;
  if (!json_has(json, key)) return STATUS_OK;
  TRY(json_get_string(json, key, name, &text));
  for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
    if (strcmp(text, types[i].name) == 0) *out = types[i].type;
  }
  if (*out != DTYPE_STORED) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"%s\" is \"%.64s\"; it must be float32, float16 or bfloat16", name,
                     key, text);
}

static Status read_all(const char *path, const char *folder, InitConfig *out) {
  cJSON *json = NULL;
  Status status = STATUS_OK;
  TRY(json_parse_file(path, &json));
  TRY_CLEAN(model_config_parse_hf(json, path, folder, &out->model));
  TRY_CLEAN(model_config_check(&out->model, FORMAT_HF, path));
  TRY_CLEAN(read_deviation(json, path, &out->deviation));
  TRY_CLEAN(padding_read_hf(json, path, out->model.vocab, &out->padding));
  TRY_CLEAN(read_type(json, path, &out->type));
cleanup:
  cJSON_Delete(json);
  return status;
}

Status init_config_read(const char *path, InitConfig *out) {
  char *file = NULL, *folder = NULL;
  Status status = STATUS_OK;
  *out = (InitConfig){0};
  if (file_is_directory(path)) {
    TRY_CLEAN(path_join(&file, path, "config.json"));
    status = read_all(file, path, out);
  } else {
    const char *slash = strrchr(path, '/');
    TRY_CLEAN(slash == NULL ? str_copy(&folder, ".", 1)
                            : str_copy(&folder, path, (size_t)(slash - path) + 1));
    status = read_all(path, folder, out);
  }
cleanup:
  free(file);
  free(folder);
  return status;
}
