// gee-cl generate: a model's answer to one prompt, streamed as it is sampled.
#include "compare.h"
#include "config_value.h"
#include "io/json_write.h"
#include "util/clock.h"
#include "util/memory.h"
#include "visible.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ModelArgs model_args;
static const char *prompt_text, *system_text, *profile;
static bool chat, compare, as_json;
static SamplingOptions sampling = {
    .max_new_tokens = 256, .temperature = 0, .top_p = 1, .repetition_penalty = 1};
static uint64_t seed = 15;
static const Option options[] = {
    MODEL_OPTIONS(model_args, KEPT_TYPE),
    COMPUTE_OPTION(model_args.compute),
    {"prompt", OPTION_TEXT, &prompt_text, "TEXT", "What to answer or continue. Required.", 0, 0},
    {"chat", OPTION_FLAG, &chat, NULL, "Wrap the prompt in the model's chat template.", 0, 0},
    CHAT_DATE_OPTION(model_args.chat_date),
    {"system", OPTION_TEXT, &system_text, "TEXT", "System prompt for --chat (the template's default).", 0, 0},
    {"max-new-tokens", OPTION_SIZE, &sampling.max_new_tokens, "N", "Most tokens to generate (256).", 1, 1e6},
    {"temperature", OPTION_NUMBER, &sampling.temperature, "T",
     "Sampling temperature; 0 takes the likeliest token (0).", 0, 100},
    {"top-p", OPTION_NUMBER, &sampling.top_p, "P", "Nucleus sampling (1: off).", 1e-6, 1},
    {"top-k", OPTION_SIZE, &sampling.top_k, "K", "Keep the K likeliest tokens (0: off).", 0, 1e9},
    {"repetition-penalty", OPTION_NUMBER, &sampling.repetition_penalty, "R",
     "Above 1 makes tokens already seen less likely (1: off).", 1e-3, 100},
    {"seed", OPTION_SEED, &seed, "S", "Random seed (15): the same seed gives the same answer.", 0, 0},
    {"compare", OPTION_FLAG, &compare, NULL,
     "With --adapter: list the entropy of each token of the answer with and without the adapter.", 0, 0},
    PROFILE_OPTION(profile),
    {"json", OPTION_FLAG, &as_json, NULL, "Print one JSON object at the end, with tokens and entropies.", 0,
     0},
    {0}};
static const Usage usage = {
    "generate", "Let a model answer a prompt.", NULL, options,
    "Streams the answer to stdout, up to the model's end token or --max-new-tokens.\n\n"
    "  gee-cl generate --model models/SmolLM2-135M-Instruct.Q4_1.gguf --chat --prompt \"Why is the sky "
    "blue?\"\n"
    "  gee-cl generate --model M --adapter runs/quickstart/final --chat --prompt \"She works as a nurse.\" "
    "--temperature 0.7\n"
    "  gee-cl generate --model M --adapter runs/quickstart/final --chat --prompt \"She works as a nurse.\" "
    "--compare"};

/// What the token callback needs; the first failure ends the answer.
typedef struct Stream {
  const Tokenizer *tokenizer;
  DecodeStream decoder;
  Str text;
  Status status;
} Stream;

static bool show_token(void *user, size_t request, int32_t token) {
  (void)request;
  Stream *stream = user;
  str_clear(&stream->text);
  stream->status = decode_stream_push(stream->tokenizer, &stream->decoder, token, true, &stream->text);
  if (stream->status == STATUS_OK && stream->text.size > 0)
    stream->status = visible_print(stdout, str_text(&stream->text), stream->text.size);
  if (stream->status == STATUS_OK && fflush(stdout) != 0)
    stream->status = status_fail(STATUS_FAILED, "cannot write the answer to the output");
  return stream->status == STATUS_OK;
}

static Status end_stream(Stream *stream) {
  TRY(stream->status);
  str_clear(&stream->text);
  TRY(decode_stream_end(&stream->decoder, &stream->text));
  TRY(visible_print(stdout, str_text(&stream->text), stream->text.size));
  (void)fputc('\n', stdout);
  return STATUS_OK;
}

static void add_entropies(JsonWriter *json, const char *key, const float *entropy, size_t count) {
  json_array_begin(json, key);
  for (size_t i = 0; i < count; i++) json_number(json, NULL, (double)entropy[i]);
  json_array_end(json);
}

/// `base` is NULL without --compare.
static Status print_answer_json(const Runtime *runtime, const Tokens *prompt, const Answer *answer,
                                const float *base, double seconds) {
  Str text = {0};
  JsonWriter json = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(tokenizer_decode(runtime->tokenizer, answer->tokens, answer->count, true, &text));
  json_object_begin(&json, NULL);
  json_string(&json, "prompt", prompt_text);
  json_integers(&json, "prompt_tokens", prompt->ids, prompt->count);
  json_bytes(&json, "answer", text.data, text.size);
  json_integers(&json, "answer_tokens", answer->tokens, answer->count);
  add_entropies(&json, "entropy", answer->entropy, answer->count);
  if (base != NULL) add_entropies(&json, "entropy_base", base, answer->count);
  json_string(&json, "stopped_by", answer->ended ? "end token" : "max_new_tokens");
  json_number(&json, "seconds", seconds);
  json_object_end(&json);
  TRY_CLEAN(print_json(&json, "the answer"));
cleanup:
  str_free(&text);
  return status;
}

static Status answer_prompt(const Runtime *runtime, const Tokens *prompt, Stream *stream, Answer *answer) {
  PassOptions sizes = generate_pass_options(prompt->count, prompt->count, 1, sampling.max_new_tokens);
  const ModelConfig *config = model_config(runtime->model);
  if (config->max_positions > 0 && prompt->count + sampling.max_new_tokens > config->max_positions)
    return status_fail(
        STATUS_INPUT,
        "the prompt has %zu token%s and --max-new-tokens is %zu, but the model takes at most %zu together",
        prompt->count, str_plural(prompt->count), sampling.max_new_tokens, config->max_positions);
  Pass *pass = NULL;
  TRY(pass_create(runtime->model, &sizes, &pass));
  TokenSpan span = {prompt->ids, prompt->count};
  AnswerRequest request = {0, 0};
  GenerateJob job = {.prompts = &span,
                     .prompt_count = 1,
                     .requests = &request,
                     .request_count = 1,
                     .sampling = sampling,
                     .entropy_tau = 1,
                     .seed = seed,
                     .on_token = as_json ? NULL : show_token,
                     .user = stream,
                     .stop = &stop_requested};
  Status status = generate(pass, &job, answer);
  pass_free(pass);
  return status;
}

static Status print_answer(const Runtime *runtime, const Tokens *prompt, const Answer *answer,
                           const float *base, double seconds) {
  if (as_json) return print_answer_json(runtime, prompt, answer, base, seconds);
  if (base != NULL) TRY(compare_print(runtime, answer, base));
  (void)fflush(stdout); // before the line on stderr
  say("%s%zu token%s in %.1f s%s", style(stderr, STYLE_DIM), answer->count, str_plural(answer->count),
      seconds, style(stderr, STYLE_PLAIN));
  return STATUS_OK;
}

static void warn_unused(void) {
  static const char *const drawing[] = {"top-p", "top-k", "seed"};
  model_args_warn_unused(&model_args, chat);
  for (size_t i = 0; sampling.temperature == 0 && i < sizeof drawing / sizeof *drawing; i++)
    args_warn_unused(drawing[i], "--temperature 0 always takes the likeliest token");
}

Status cmd_generate(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, model_args.model, "--model"));
  TRY(args_need(&usage, prompt_text, "--prompt"));
  TRY(config_check_utf8(prompt_text, "--prompt"));
  if (system_text != NULL) TRY(config_check_utf8(system_text, "--system"));
  if (system_text != NULL && !chat)
    return status_fail(STATUS_INPUT, "--system needs --chat: without a template there is no system prompt");
  if (compare && model_args.adapter == NULL)
    return status_fail(STATUS_INPUT, "--compare needs --adapter: it shows what the adapter changes");
  warn_unused();
  Runtime runtime = {0};
  Tokens prompt = {0};
  float *base = NULL;
  Stream stream = {0};
  Answer answer = {0};
  Status status = STATUS_OK;
  runtime.profile_path = profile;
  TRY_CLEAN(runtime_open(&runtime, &model_args));
  TRY_CLEAN(runtime_encode_prompt(&runtime, prompt_text, chat, system_text, &prompt));
  stream.tokenizer = runtime.tokenizer;
  stop_on_signals();
  double start = clock_seconds();
  status = answer_prompt(&runtime, &prompt, &stream, &answer);
  double seconds = clock_seconds() - start;
  if (status == STATUS_OK && !as_json) status = end_stream(&stream);
  TRY_CLEAN(runtime_end_profile(&runtime, status));
  if (compare) {
    TRY_CLEAN(mem_array(&base, answer.count, "entropies"));
    TRY_CLEAN(compare_read_base(&runtime, &prompt, &answer, base));
  }
  TRY_CLEAN(print_answer(&runtime, &prompt, &answer, base, seconds));
cleanup:
  free(base);
  answer_free(&answer);
  str_free(&stream.text);
  tokens_free(&prompt);
  runtime_close(&runtime);
  return status;
}
