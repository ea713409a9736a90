// What the subcommands share: their table, the terminal (terminal.h), and the objects a run needs opened in
// order. Rule: of all rooms only this one prints, reads the command line or exits.
#pragma once

#include "args.h"
#include "config.h"
#include "terminal.h"
#include "text/chat.h"

typedef Status (*CommandRun)(int argc, char **argv);

Status cmd_train(int argc, char **argv);
Status cmd_generate(int argc, char **argv);
Status cmd_score(int argc, char **argv);
Status cmd_export(int argc, char **argv);
Status cmd_data(int argc, char **argv);
Status cmd_gap(int argc, char **argv);
Status cmd_devices(int argc, char **argv);
Status cmd_selftest(int argc, char **argv);

// ---- what a run needs (runtime.c) ----

/// --model and its companions, as several commands take them.
typedef struct ModelArgs {
  const char *model, *adapter, *dtype, *device, *gemm;
} ModelArgs;

// Rows of an Option table for a ModelArgs; follow them by more rows and {0}.
#define MODEL_OPTIONS(args)                                                                                  \
  {"model", OPTION_TEXT, &(args).model, "PATH", "A Hugging Face folder or a .gguf file. Needed.", 0, 0},     \
      {"adapter",                                                                                            \
       OPTION_TEXT,                                                                                          \
       &(args).adapter,                                                                                      \
       "DIR",                                                                                                \
       "A PEFT adapter to put on it, as training saves one.",                                                \
       0,                                                                                                    \
       0},                                                                                                   \
      {"dtype", OPTION_TEXT, &(args).dtype, "TYPE", "Store weights as f32 (default), f16 or bf16.", 0, 0},   \
      {"device", OPTION_TEXT, &(args).device, "NAME", "auto, cpu, gpu, a number or part of a name.", 0, 0},  \
  {                                                                                                          \
    "gemm", OPTION_TEXT, &(args).gemm, "NAME", "auto, own or vendor (CLBlast).", 0, 0                        \
  }

typedef struct Runtime {
  ModelFiles *files;
  Tokenizer *tokenizer;
  ChatFamily chat;
  Device *device;
  Ops *ops;
  Model *model;
  DType dtype; // of the model's matrices
} Runtime;

/// Opens the files and the text side of a model: what can be wrong with them is told before a device is
/// touched.
STATUS_CHECKED Status runtime_open_files(Runtime *runtime, const char *path, const char *chat_template);
STATUS_CHECKED Status runtime_open_device(Runtime *runtime, const DeviceOptions *options);
/// Compiles the kernels and runs the self-test.
STATUS_CHECKED Status runtime_open_ops(Runtime *runtime, const char *gemm);
/// Loads the weights, and `adapter` unless NULL.
STATUS_CHECKED Status runtime_load_model(Runtime *runtime, DType dtype, const char *adapter);
/// All of it, for commands that take ModelArgs; files already open stay.
STATUS_CHECKED Status runtime_open(Runtime *runtime, const ModelArgs *args);
/// Appends the tokens a model sees before its answer: of `text` in the chat template (`chat`; `system` NULL:
/// the template's own), or of `text` alone, with a start token where it would be empty. STATUS_INPUT where
/// there is no template.
STATUS_CHECKED Status runtime_encode_prompt(const Runtime *runtime, const char *text, bool chat,
                                            const char *system, Tokens *out);
/// Safe on a zeroed struct and twice.
void runtime_close(Runtime *runtime);

// ---- memory (memory_plan.c) ----

/// Prints `use` by kind.
void memory_print(const MemoryUse *use, const char *title);
/// STATUS_INPUT where `planned` cannot fit the device, or the host that a CPU device shares; says which keys
/// to lower.
STATUS_CHECKED Status memory_check(const MemoryUse *planned, const DeviceInfo *info);

// ---- config and data (config_command.c) ----

/// Reads `path`, applies `sets`, checks the whole. Free with config_free whatever is returned.
STATUS_CHECKED Status config_open(const char *path, const TextList *sets, Config *out);
/// What is trained on, or with `held_out` what the gap is measured on.
STATUS_CHECKED Status config_dataset(const Config *config, const Runtime *runtime, bool held_out,
                                     Dataset *out);
/// "female, male", in memory of `out`.
STATUS_CHECKED Status group_names(const GroupFile *groups, Str *out);
