// Opens what a run needs, cheap things first, so that most faults show early.
#include "cli.h"

#include "io/file.h"
#include "util/quantise.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

Status runtime_open_files(Runtime *runtime, const char *path, DType quantise, ChatOptions chat) {
  TRY(model_files_open(path, &runtime->files));
  TRY(model_files_quantise(runtime->files, quantise));
  TRY(tokenizer_load(path, &runtime->tokenizer));
  chat.usual = model_files_config(runtime->files)->family->chat;
  return chat_open(path, runtime->tokenizer, &chat, &runtime->chat);
}

Status runtime_open_device(Runtime *runtime, const DeviceOptions *options) {
  DeviceOptions timed = *options;
  timed.timed = runtime->profile_path != NULL;
  if (timed.timed) TRY(profile_check(runtime->profile_path));
  return device_open(&timed, &runtime->device);
}

Status runtime_open_ops(Runtime *runtime, const char *gemm) {
  TRY(ops_create(runtime->device, gemm, &runtime->ops));
  TRY(ops_use_compute(runtime->ops, runtime->compute));
  TRY(status_context(ops_selftest(runtime->ops, SELFTEST_DEEP, NULL, NULL), "%s fails the self-test",
                     device_info(runtime->device)->name));
  if (runtime->profile_path == NULL) return STATUS_OK;
  return profile_begin(runtime->ops, runtime->profile_path, &runtime->profile);
}

Status runtime_create_plan(const Runtime *runtime, Ops **out) {
  TRY(ops_create_plan(runtime->device, out));
  return ops_use_compute(*out, runtime->compute);
}

Status runtime_check_compute(const Runtime *runtime, const char *gemm) {
  Ops *ops = NULL;
  if (runtime->compute == COMPUTE_F32) return STATUS_OK;
  Status status = ops_create(runtime->device, gemm, &ops);
  if (status == STATUS_OK) status = ops_check_compute(ops, runtime->compute);
  ops_free(ops);
  return status;
}

Status runtime_end_profile(Runtime *runtime, Status status) {
  ProfileReport *profile = runtime->profile;
  if (status != STATUS_OK && status != STATUS_INTERRUPTED) return status; // runtime_close drops it
  runtime->profile = NULL;
  Status ended = profile_end(profile);
  return status != STATUS_OK ? status : ended;
}

Status runtime_hash_adapter(const char *adapter, const char *name, char out[SHA256_TEXT]) {
  char *path = NULL;
  out[0] = '\0';
  TRY(path_join(&path, adapter, name));
  Status status = file_exists(path) ? file_sha256(path, out) : STATUS_OK;
  free(path);
  return status;
}

/// *same = whether they are one folder, or equal byte for byte; not if they have no adapter.
static Status compare_adapters(const char *a, const char *b, bool *same) {
  static const char *const parts[] = {"adapter_config.json", "adapter_model.safetensors",
                                      "adapter_model.bin"};
  char hashes[2][SHA256_TEXT];
  *same = file_is_same(a, b);
  for (size_t i = 0; !*same && i < sizeof parts / sizeof parts[0]; i++) {
    TRY(runtime_hash_adapter(a, parts[i], hashes[0]));
    TRY(runtime_hash_adapter(b, parts[i], hashes[1]));
    if (strcmp(hashes[0], hashes[1]) != 0 || (i == 0 && hashes[0][0] == '\0')) return STATUS_OK;
  }
  *same = true;
  return STATUS_OK;
}

/// One adapter measured twice would look like two that agree.
static Status check_repeated(const TextList *adapters) {
  for (size_t i = 0; i < adapters->count; i++) {
    for (size_t j = 0; j < i; j++) {
      bool same = false;
      TRY(compare_adapters(adapters->items[j], adapters->items[i], &same));
      if (same)
        return status_fail(STATUS_INPUT, "--adapter %s and --adapter %s are the same adapter: give it once",
                           adapters->items[j], adapters->items[i]);
    }
  }
  return STATUS_OK;
}

Status runtime_identify(Runtime *runtime) {
  if (runtime->identity.weights[0] != '\0') return STATUS_OK;
  return identity_of(runtime->files, runtime->tokenizer, &runtime->identity);
}

Status runtime_check_adapters(Runtime *runtime, const TextList *adapters, bool force) {
  TRY(check_repeated(adapters));
  if (adapters->count > 0) TRY(runtime_identify(runtime));
  for (size_t i = 0; i < adapters->count; i++)
    TRY(identity_check_adapter(&runtime->identity, model_files_path(runtime->files), adapters->items[i],
                               force));
  return STATUS_OK;
}

Status runtime_take_adapter(const Runtime *runtime, Ops *ops, DType dtype, const TextList *adapters,
                            size_t index, Model **model) {
  if (index > 0) {
    model_free(*model);
    *model = NULL;
    TRY(model_load(ops, runtime->files, dtype, model));
  }
  return model_load_adapter(*model, adapters->items[index]);
}

Status runtime_load_model(Runtime *runtime, DType dtype, const char *adapter, bool force) {
  if (adapter != NULL) TRY(runtime_check_adapters(runtime, &(TextList){{adapter}, 1}, force));
  TRY(model_load(runtime->ops, runtime->files, dtype, &runtime->model));
  runtime->dtype = dtype;
  return adapter != NULL ? model_load_adapter(runtime->model, adapter) : STATUS_OK;
}

Status runtime_parse_dtype(const char *name, DType *out) {
  *out = DTYPE_STORED;
  if (name == NULL || strcasecmp(name, "stored") == 0) return STATUS_OK;
  if (dtype_from_name(name, out) && (*out == DTYPE_F32 || dtype_is_half(*out))) return STATUS_OK;
  return status_fail(STATUS_INPUT, "--dtype is \"%.100s\"; it must be one of stored, f32, f16, bf16", name);
}

Status runtime_parse_quantise(const char *name, DType *out) {
  *out = DTYPE_STORED;
  if (name == NULL || strcasecmp(name, "none") == 0) return STATUS_OK;
  if (dtype_from_name(name, out) && can_quantise(*out)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "--quantise is \"%.100s\"; it must be one of none, q8_0, q4_k, nf4", name);
}

Status runtime_parse_compute(const char *name, Compute *out) {
  *out = COMPUTE_F32;
  if (name == NULL) return STATUS_OK;
  for (Compute compute = COMPUTE_F32; compute <= COMPUTE_INT8; compute++) {
    *out = compute;
    if (strcasecmp(name, compute_name(compute)) == 0) return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "--compute is \"%.100s\"; it must be one of f32, bf16, f16, int8", name);
}

Status runtime_open_model(Runtime *runtime, const ModelArgs *args) {
  DType quantise = DTYPE_STORED;
  TRY(runtime_parse_quantise(args->quantise, &quantise));
  return runtime_open_files(runtime, args->model, quantise,
                            (ChatOptions){.name = args->chat_template, .date = args->chat_date});
}

Status runtime_open(Runtime *runtime, const ModelArgs *args) {
  DType dtype = DTYPE_STORED;
  TRY(runtime_parse_dtype(args->dtype, &dtype));
  TRY(runtime_parse_compute(args->compute, &runtime->compute));
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

void model_args_warn_unused(const ModelArgs *args, bool chat) {
  if (!chat) args_warn_unused("chat-template", "only a chat is rendered in a template");
  if (!chat) args_warn_unused("chat-date", "only a chat is rendered in a template");
  if (args->adapter == NULL) args_warn_unused("force", "there is no --adapter to check");
}

void runtime_close(Runtime *runtime) {
  profile_drop(runtime->profile);
  model_free(runtime->model);
  ops_free(runtime->ops);
  device_close(runtime->device);
  chat_free(runtime->chat);
  tokenizer_free(runtime->tokenizer);
  model_files_close(runtime->files);
  *runtime = (Runtime){0};
}
