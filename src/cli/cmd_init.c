// gee-cl init: a model with random weights, as a Hugging Face folder.
#include "cli.h"
#include "io/file.h"
#include "model/random.h"
#include "terminal.h"
#include "text/export.h"
#include "util/log.h"
#include "visible.h"

#include <stdio.h>
#include <sys/statvfs.h>

static const char *config_path, *output, *dtype, *tokenizer_path;
static uint64_t seed = 15;
static const Option options[] = {
    {"config", OPTION_TEXT, &config_path, "FILE", "A config.json, or a folder with one. Required.", 0, 0},
    {"output", OPTION_TEXT, &output, "DIR", "The folder to write. Required.", 0, 0},
    {"tokenizer", OPTION_TEXT, &tokenizer_path, "PATH",
     "A Hugging Face folder or a .gguf file to take the tokenizer of.", 0, 0},
    {"seed", OPTION_SEED, &seed, "S", "Random seed (15): the same seed gives the same bytes.", 0, 0},
    {"dtype", OPTION_TEXT, &dtype, "TYPE", "f32, f16 or bf16; without it the config's, else bf16.", 0, 0},
    {0}};
static const Usage usage = {
    "init", "Write a model with random weights.", NULL, options,
    "Makes a model of any size that knows nothing, to see whether a run fits this machine and how long it "
    "takes, "
    "or to train\n"
    "one from the start. Weights are as transformers makes them: matrices normal with initializer_range, "
    "norms "
    "1, biases 0.\n"
    "The folder appears whole or not at all, and needs little memory to write. Training on text needs a "
    "tokenizer too, with\n"
    "no more tokens than vocab_size.\n\n"
    "  gee-cl init --config configs/shapes/qwen2.5-1.5b.json --tokenizer "
    "models/SmolLM2-135M-Instruct.Q4_1.gguf --output random\n"
    "  gee-cl train configs/quickstart.ini --set model.path=random --set model.quantise=nf4 "
    "--dry-run\n\n"
    "A config.json needs little more than the sizes. These are Qwen2.5-7B's "
    "(configs/shapes/qwen2.5-7b.json), "
    "15 GB in bf16, of\n"
    "which model.quantise = nf4 (--quantise nf4) keeps 6 GB when it is loaded:\n\n"
    "  {\"model_type\": \"qwen2\", \"hidden_size\": 3584, \"intermediate_size\": 18944,\n"
    "   \"num_hidden_layers\": 28, \"num_attention_heads\": 28, \"num_key_value_heads\": 4,\n"
    "   \"vocab_size\": 152064, \"max_position_embeddings\": 32768,\n"
    "   \"rope_theta\": 1000000.0, \"rms_norm_eps\": 1e-06, \"tie_word_embeddings\": false,\n"
    "   \"dtype\": \"bfloat16\"}\n\n"
    "For a config to train with: gee-cl train --help-config."};

static Status choose_type(DType *type) {
  if (dtype != NULL) {
    if (!dtype_from_name(dtype, type) || (*type != DTYPE_F32 && !dtype_is_half(*type)))
      return status_fail(STATUS_INPUT, "--dtype is \"%.100s\"; it must be one of f32, f16, bf16", dtype);
  }
  if (*type == DTYPE_STORED) *type = DTYPE_BF16;
  return STATUS_OK;
}

/// Refuses a tokenizer with more tokens than the model, and gives a config without an end token its own.
static Status fit_tokenizer(ModelConfig *config) {
  Tokenizer *tokenizer = NULL;
  Status status = STATUS_OK;
  if (tokenizer_path == NULL) return STATUS_OK;
  TRY(tokenizer_load(tokenizer_path, &tokenizer));
  const size_t tokens = tokenizer_vocab_size(tokenizer);
  const int32_t eos = tokenizer_eos(tokenizer);
  if (tokens > config->vocab) {
    status = status_fail(STATUS_INPUT, "%s has %zu tokens, more than the \"vocab_size\" %zu of %s",
                         tokenizer_path, tokens, config->vocab, config_path);
  } else if (config->eos_count == 0 && eos >= 0) {
    config->eos[config->eos_count++] = eos;
  }
  for (size_t i = 0; status == STATUS_OK && i < config->eos_count; i++) {
    if ((size_t)config->eos[i] < tokens) continue;
    log_say(LOG_WARNING,
            "the end token %d of %s is none of the %zu tokens of %s; without \"eos_token_id\" the "
            "tokenizer's is taken",
            config->eos[i], config_path, tokens, tokenizer_path);
  }
  tokenizer_free(tokenizer);
  return status;
}

static Status check_space(const InitConfig *config, const char *folder) {
  struct statvfs info;
  uint64_t needed = random_weights_bytes(&config->model, config->type);
  if (statvfs(folder, &info) != 0) return STATUS_OK; // then a full disk shows when it is full
  uint64_t there = (uint64_t)info.f_bavail * info.f_frsize;
  if (needed <= there) return STATUS_OK;
  char needs[32], has[32];
  format_bytes(needs, needed);
  format_bytes(has, there);
  return status_fail(STATUS_INPUT, "%s: the weights need %s, but the disk has %s free", output, needs, has);
}

enum { PART = 1000 * 1000 }; // weights of a part of the progress

static uint64_t parts(uint64_t weights) {
  return (weights + PART - 1) / PART;
}

typedef struct Writing {
  Progress *progress;
  uint64_t shown; // parts
} Writing;

static Status show_written(void *user, uint64_t weights) {
  Writing *writing = user;
  if (stop_requested)
    return status_fail(STATUS_INTERRUPTED, "the writing was stopped; nothing is left of it");
  if (parts(weights) == writing->shown) return STATUS_OK;
  writing->shown = parts(weights);
  progress_update(writing->progress, writing->shown);
  return STATUS_OK;
}

static Status write_model(const InitConfig *config, const char *folder) {
  Writing writing = {.progress = screen_progress()};
  if (tokenizer_path != NULL) TRY(tokenizer_export(tokenizer_path, folder));
  progress_begin(writing.progress, "writing", "million weight", 0, parts(random_weights(&config->model)));
  Status status = model_write_random(config, seed, folder, show_written, &writing);
  progress_end(writing.progress);
  return status;
}

static Status say_written(const InitConfig *config) {
  char bytes[32];
  format_bytes(bytes, random_weights_bytes(&config->model, config->type));
  TRY(visible_print_name(stdout, output));
  printf(": %s with %llu random weights of seed %llu, %s in %s\n", config->model.family->class_name,
         (unsigned long long)random_weights(&config->model), (unsigned long long)seed, bytes,
         dtype_name(config->type));
  if (tokenizer_path == NULL) {
    printf(
        "it has no tokenizer, which text needs: copy a tokenizer.json and tokenizer_config.json into it, or "
        "write it again with --tokenizer\n");
    return STATUS_OK;
  }
  printf("next: %s train CONFIG.ini --set model.path=", program_name);
  TRY(visible_print_name(stdout, output));
  printf(" --dry-run\n");
  return STATUS_OK;
}

Status cmd_init(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, config_path, "--config"));
  TRY(args_need(&usage, output, "--output"));
  TRY(args_check_new_folder(output));
  InitConfig config;
  AtomicDir folder = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(init_config_read(config_path, &config));
  TRY_CLEAN(choose_type(&config.type));
  TRY_CLEAN(fit_tokenizer(&config.model));
  stop_on_signals();
  TRY_CLEAN(atomic_dir_begin(output, &folder));
  TRY_CLEAN(args_check_new_folder(output)); // another command may just have ended
  TRY_CLEAN(check_space(&config, folder.partial));
  TRY_CLEAN(write_model(&config, folder.partial));
  TRY_CLEAN(atomic_dir_commit(&folder));
  status = say_written(&config);
cleanup:
  atomic_dir_abort(&folder);
  return status;
}
