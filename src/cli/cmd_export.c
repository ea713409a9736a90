// gee-cl export: a model with its adapter merged in, as a Hugging Face folder.
#include "cli.h"
#include "io/file.h"
#include "terminal.h"
#include "text/export.h"

#include <stdio.h>

static ModelArgs model_args;
static const char *output;
static const Option options[] = {
    MODEL_OPTIONS(model_args, "Write weights as f32 (default), f16 or bf16."),
    {"output", OPTION_TEXT, &output, "DIR", "The folder to write. Required.", 0, 0},
    {0}};
static const Usage usage = {"export", "Merge an adapter into a Hugging Face folder.", NULL, options,
                            "Writes config, weights, tokenizer and generation config, so that transformers' "
                            "from_pretrained loads the\n"
                            "folder. It appears whole or not at all. Weights are float32, or 16-bit with "
                            "--dtype f16 or bf16. Without\n"
                            "--adapter it turns a .gguf into a Hugging Face folder.\n\n"
                            "  gee-cl export --model models/SmolLM2-135M-Instruct.Q4_1.gguf --adapter "
                            "runs/quickstart/final --output merged"};

Status cmd_export(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, model_args.model, "--model"));
  TRY(args_need(&usage, output, "--output"));
  TRY(args_check_new_folder(output));
  model_args_warn_unused(&model_args, false);
  if (model_args.dtype == NULL) model_args.dtype = "f32"; // a folder holds no quantised weights
  Runtime runtime = {0};
  AtomicDir folder = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_open_model(&runtime, &model_args));
  stop_on_signals();
  TRY_CLEAN(atomic_dir_begin(output, &folder)); // fails here, and not after the work
  TRY_CLEAN(args_check_new_folder(output));     // another export may just have ended
  TRY_CLEAN(runtime_open(&runtime, &model_args));
  if (runtime.dtype == DTYPE_STORED) {
    status = status_fail(STATUS_INPUT, "--dtype stored: an exported folder has f32, f16 or bf16");
    goto cleanup;
  }
  stop_on_signals(); // again: pocl's LLVM may have set handlers of its own
  TRY_CLEAN(
      model_export_merged(runtime.model, runtime.files, runtime.dtype, folder.partial, &stop_requested));
  TRY_CLEAN(tokenizer_export(model_args.model, folder.partial));
  TRY_CLEAN(atomic_dir_commit(&folder));
  printf(
      "%s: a Hugging Face folder; transformers loads it with AutoModelForCausalLM.from_pretrained(\"%s\")\n",
      output, output);
cleanup:
  atomic_dir_abort(&folder);
  runtime_close(&runtime);
  return status;
}
