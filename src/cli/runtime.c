// Opens what a run needs, cheap things first, so that most faults show early.
#include "cli.h"

#include <string.h>

Status runtime_open_files(Runtime *runtime, const char *path, ChatOptions chat) {
  TRY(model_files_open(path, &runtime->files));
  TRY(tokenizer_load(path, &runtime->tokenizer));
  chat.usual = model_files_config(runtime->files)->family->chat;
  return chat_open(path, runtime->tokenizer, &chat, &runtime->chat);
}

Status runtime_open_device(Runtime *runtime, const DeviceOptions *options) {
  return device_open(options, &runtime->device);
}

Status runtime_open_ops(Runtime *runtime, const char *gemm) {
  TRY(ops_create(runtime->device, gemm, &runtime->ops));
  return status_context(ops_selftest(runtime->ops, SELFTEST_DEEP, NULL, NULL), "%s fails the self-test",
                        device_info(runtime->device)->name);
}

static Status check_adapter(const Runtime *runtime, const char *adapter, bool force) {
  ModelIdentity identity;
  TRY(identity_of(runtime->files, runtime->tokenizer, &identity));
  return identity_check_adapter(&identity, model_files_path(runtime->files), adapter, force);
}

Status runtime_load_model(Runtime *runtime, DType dtype, const char *adapter, bool force) {
  if (adapter != NULL) TRY(check_adapter(runtime, adapter, force));
  TRY(model_load(runtime->ops, runtime->files, dtype, &runtime->model));
  runtime->dtype = dtype;
  return adapter != NULL ? model_load_adapter(runtime->model, adapter) : STATUS_OK;
}

static Status parse_dtype(const char *name, DType *out) {
  *out = DTYPE_F32;
  if (name == NULL) return STATUS_OK;
  if (dtype_from_name(name, out) && (*out == DTYPE_F32 || dtype_is_half(*out))) return STATUS_OK;
  return status_fail(STATUS_INPUT, "--dtype is \"%.100s\"; it must be one of f32, f16, bf16", name);
}

Status runtime_open_model(Runtime *runtime, const ModelArgs *args) {
  return runtime_open_files(runtime, args->model,
                            (ChatOptions){.name = args->chat_template, .date = args->chat_date});
}

Status runtime_open(Runtime *runtime, const ModelArgs *args) {
  DType dtype = DTYPE_F32;
  TRY(parse_dtype(args->dtype, &dtype));
  if (runtime->files == NULL) TRY(runtime_open_model(runtime, args));
  TRY(runtime_open_device(runtime, &(DeviceOptions){.name = args->device}));
  TRY(runtime_open_ops(runtime, args->gemm));
  return runtime_load_model(runtime, dtype, args->adapter, args->force);
}

/// The token to start from if a text has none.
static int32_t start_token(const Runtime *runtime) {
  const ModelConfig *config = model_files_config(runtime->files);
  int32_t bos = tokenizer_bos(runtime->tokenizer);
  if (bos < 0) bos = config->bos;
  return bos >= 0 || config->eos_count == 0 ? bos : config->eos[0];
}

Status runtime_encode_prompt(const Runtime *runtime, const char *text, bool chat, const char *system,
                             Tokens *out) {
  if (!chat) {
    TRY(tokenizer_encode(runtime->tokenizer, text, strlen(text), true, out));
    if (out->count > 0) return STATUS_OK;
    int32_t start = start_token(runtime);
    if (start < 0)
      return status_fail(STATUS_INPUT, "the prompt is empty and %s has no start token; give a prompt",
                         model_files_path(runtime->files));
    return tokens_append(out, start);
  }
  if (!chat_is_there(runtime->chat))
    return status_fail(STATUS_INPUT, "%s has no chat template; drop --chat, or name one with --chat-template",
                       model_files_path(runtime->files));
  ChatMessage messages[2] = {{"system", system}, {"user", text}};
  size_t skipped = system == NULL ? 1 : 0;
  Str rendered = {0};
  Status status = chat_render(runtime->chat, messages + skipped, 2 - skipped, &rendered);
  if (status == STATUS_OK)
    status = tokenizer_encode(runtime->tokenizer, str_text(&rendered), rendered.size, false, out);
  str_free(&rendered);
  return status;
}

void runtime_close(Runtime *runtime) {
  model_free(runtime->model);
  ops_free(runtime->ops);
  device_close(runtime->device);
  chat_free(runtime->chat);
  tokenizer_free(runtime->tokenizer);
  model_files_close(runtime->files);
  *runtime = (Runtime){0};
}
