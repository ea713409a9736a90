// What the subcommands share: their declarations, the terminal (terminal.h), and opening what a run needs.
// Rule: only this room prints, reads the command line or exits.
#pragma once

#include "args.h"
#include "config.h"
#include "profile.h"
#include "terminal.h"
#include "text/chat.h"

typedef Status (*CommandRun)(int argc, char **argv);

/// How the program was called: "build/gee-cl".
extern const char *program_name;

Status cmd_train(int argc, char **argv);
Status cmd_generate(int argc, char **argv);
Status cmd_score(int argc, char **argv);
Status cmd_export(int argc, char **argv);
Status cmd_init(int argc, char **argv);
Status cmd_data(int argc, char **argv);
Status cmd_gap(int argc, char **argv);
Status cmd_report(int argc, char **argv);
Status cmd_eval(int argc, char **argv);
Status cmd_compare(int argc, char **argv);
Status cmd_verify(int argc, char **argv);
Status cmd_devices(int argc, char **argv);
Status cmd_selftest(int argc, char **argv);
Status cmd_bench(int argc, char **argv);
Status cmd_tune(int argc, char **argv);
Status cmd_doctor(int argc, char **argv);

// ---- what a run needs (runtime.c) ----

/// --model and the options that go with it, which several commands take.
typedef struct ModelArgs {
  const char *model, *adapter, *dtype, *quantise, *compute, *device, *gemm, *chat_template, *chat_date;
  bool force;
} ModelArgs;

// Rows of an Option table that several commands have.
#define FORCE_OPTION(force)                                                                                  \
  { "force", OPTION_FLAG, &(force), NULL, "Take an adapter that was made for another model.", 0, 0 }
#define QUANTISE_OPTION(type)                                                                                \
  { "quantise", OPTION_TEXT, &(type), "TYPE", "Quantise the layers' matrices: q8_0, q4_k or nf4.", 0, 0 }
#define COMPUTE_OPTION(type)                                                                                 \
  {                                                                                                          \
    "compute", OPTION_TEXT, &(type), "TYPE",                                                                 \
        "Products with frozen weights: f32 (default), bf16, f16, int8.", 0, 0                                \
  }
#define CHAT_TEMPLATE_OPTION(name)                                                                           \
  { "chat-template", OPTION_TEXT, &(name), "NAME", "The chat template to use, not the model's own.", 0, 0 }
#define CHAT_DATE_OPTION(date)                                                                               \
  { "chat-date", OPTION_TEXT, &(date), "DATE", "What a template prints as today's date (26 Jul 2024).", 0, 0 }

#define KEPT_TYPE "Keep weights as stored (default: as the file has them), f32, f16 or bf16."

// Rows of an Option table for a ModelArgs; more rows and {0} follow them. `dtype_help` says what --dtype is.
#define MODEL_OPTIONS(args, dtype_help)                                                                      \
  {"model", OPTION_TEXT, &(args).model, "PATH", "A Hugging Face folder or a .gguf file. Required.", 0, 0},   \
      {"adapter", OPTION_TEXT, &(args).adapter, "DIR", "A PEFT adapter to apply to the model.", 0, 0},       \
      FORCE_OPTION((args).force), CHAT_TEMPLATE_OPTION((args).chat_template),                                \
      {"dtype", OPTION_TEXT, &(args).dtype, "TYPE", dtype_help, 0, 0}, QUANTISE_OPTION((args).quantise),     \
      {"device", OPTION_TEXT, &(args).device, "NAME", "auto, cpu, gpu, an index or part of a name.", 0, 0},  \
  {                                                                                                          \
    "gemm", OPTION_TEXT, &(args).gemm, "NAME", "Matrix products: auto (default), own or vendor.", 0, 0       \
  }

typedef struct Runtime {
  ModelFiles *files;
  Tokenizer *tokenizer;
  ChatTemplate *chat;
  ModelIdentity identity; // after runtime_identify
  Device *device;
  Ops *ops;
  Model *model;
  DType dtype;              // of the model's matrices
  Compute compute;          // model.compute, set before the ops are opened
  const char *profile_path; // --profile, set before the device is opened; NULL: none
  ProfileReport *profile;
} Runtime;

/// Opens a model's files, tokenizer and chat template, so that faults in them show before a device is
/// touched. `quantise` is for model_files_quantise. `chat` may leave out what is usual for the model.
STATUS_CHECKED Status runtime_open_files(Runtime *runtime, const char *path, DType quantise,
                                         ChatOptions chat);
/// *out = the type that --dtype names; DTYPE_STORED for NULL.
STATUS_CHECKED Status runtime_parse_dtype(const char *name, DType *out);
/// *out = the type that --quantise names; DTYPE_STORED for NULL and "none".
STATUS_CHECKED Status runtime_parse_quantise(const char *name, DType *out);
/// *out = what --compute names; float32 for NULL.
STATUS_CHECKED Status runtime_parse_compute(const char *name, Compute *out);
STATUS_CHECKED Status runtime_open_model(Runtime *runtime, const ModelArgs *args);
/// Reads every weight, the first time, and finds which model and tokenizer they are.
STATUS_CHECKED Status runtime_identify(Runtime *runtime);
STATUS_CHECKED Status runtime_open_device(Runtime *runtime, const DeviceOptions *options);
/// Compiles the kernels, runs the self-test, and begins the profile if there is to be one.
STATUS_CHECKED Status runtime_open_ops(Runtime *runtime, const char *gemm);
/// An Ops that counts the memory of what runtime_open_ops's would compute.
STATUS_CHECKED Status runtime_create_plan(const Runtime *runtime, Ops **out);
/// STATUS_INPUT if the device does not offer what the runtime is to compute in, which a plan does not ask.
STATUS_CHECKED Status runtime_check_compute(const Runtime *runtime, const char *gemm);
/// Gives *model the adapter adapters->items[index] after those before it, on `ops` (a plan's or the
/// runtime's). An adapter may bring weights of its own in place of the model's, so all but the first load the
/// model anew.
STATUS_CHECKED Status runtime_take_adapter(const Runtime *runtime, Ops *ops, DType dtype,
                                           const TextList *adapters, size_t index, Model **model);
/// out = the SHA-256 of a file of an adapter; "" if it has none of that name.
STATUS_CHECKED Status runtime_hash_adapter(const char *adapter, const char *name, char out[SHA256_TEXT]);
/// Refuses an adapter that is there twice, which would look like two that agree, and those that were made for
/// another model, unless `force`.
STATUS_CHECKED Status runtime_check_adapters(Runtime *runtime, const TextList *adapters, bool force);
/// Loads the weights, and `adapter` unless it is NULL. An adapter that was made for another model is refused,
/// unless `force`.
STATUS_CHECKED Status runtime_load_model(Runtime *runtime, DType dtype, const char *adapter, bool force);
/// Warns of options in ModelArgs that have no effect: of templates if no `chat` is rendered, and --force
/// without an adapter.
void model_args_warn_unused(const ModelArgs *args, bool chat);
/// All of these, for commands that take ModelArgs. Files that are open already stay open.
STATUS_CHECKED Status runtime_open(Runtime *runtime, const ModelArgs *args);
/// Appends the tokens a model sees before its answer. With `chat`: `text` in the chat template (`system`
/// NULL: the template's default). Without: `text` alone, or a start token if that is empty. STATUS_INPUT if
/// the model has no template.
STATUS_CHECKED Status runtime_encode_prompt(const Runtime *runtime, const char *text, bool chat,
                                            const char *system, Tokens *out);
/// Ends the profile with what came of the work, `status`, and returns that: an interrupted one has a profile
/// too, a failed one none.
STATUS_CHECKED Status runtime_end_profile(Runtime *runtime, Status status);
/// Safe on a zeroed struct and twice.
void runtime_close(Runtime *runtime);

// ---- memory (memory_plan.c) ----

/// The memory that the host can still give: free and reclaimable, or less if a control group (a container)
/// limits it; UINT64_MAX if the system does not say.
uint64_t host_memory_available(void);
/// Prints what is planned, before the work, or what it took: a line for each kind, and on a CPU, whose memory
/// is the machine's, one for the program with its driver, tokenizer and data.
void memory_print_planned(const MemoryUse *use, const DeviceInfo *info);
void memory_print_peak(const MemoryUse *use, const DeviceInfo *info);
/// What the memory is for, which decides what to change.
typedef enum MemoryWork { MEMORY_OF_TRAINING, MEMORY_OF_GAP, MEMORY_OF_EVAL } MemoryWork;
/// STATUS_INPUT if `planned` does not fit the device, or the host memory that a CPU device uses; says which
/// keys to lower.
STATUS_CHECKED Status memory_check(const MemoryUse *planned, const DeviceInfo *info, MemoryWork work);
/// A plan computes nothing, so it fails only if a single buffer is larger than the device allows. That is the
/// config's fault: STATUS_FAILED becomes STATUS_INPUT, with the keys to lower.
STATUS_CHECKED Status memory_plan_error(Status status, MemoryWork work);

// ---- config and data (config_command.c) ----

/// Reads `path`, applies `sets` and --chat-template (NULL: not given), and checks the result. Call
/// config_free in any case, also after a failure.
STATUS_CHECKED Status config_open(const char *path, const TextList *sets, const char *chat_template,
                                  Config *out);
/// The config's keys about the chat template.
ChatOptions config_chat(const Config *config);
/// The prompts to train on or, with `held_out`, those to measure the gap on.
STATUS_CHECKED Status config_dataset(const Config *config, const Runtime *runtime, bool held_out,
                                     Dataset *out);
/// Warns of the sets that were left out because the model cannot tell their prompts apart.
void warn_equal_sets(const Dataset *dataset);
/// Notes how many prompts that the gap is to be measured on make no set, and why.
STATUS_CHECKED Status note_left_out(const Config *config, const Dataset *held_out);
/// Appends the names of the groups: "female, male".
STATUS_CHECKED Status group_names(const GroupFile *groups, Str *out);
