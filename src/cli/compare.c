// Compares an adapter with its base model. Rule: both read the same tokens, so that only what they predict
// differs; two answers, which part at the first token that differs, could not be compared.
#include "compare.h"

#include "gen/score.h"
#include "visible.h"
#include <stdio.h>

Status compare_read_base(Runtime *runtime, const Tokens *prompt, const Answer *answer, float *entropy) {
  model_free(runtime->model);
  runtime->model = NULL;
  TRY(runtime_load_model(runtime, runtime->dtype, NULL, false));
  PassOptions sizes = {
      .kind = PASS_INFERENCE, .max_rows = prompt->count + answer->count, .head_tile_rows = 128};
  TokenSpan span = {prompt->ids, prompt->count};
  BatchAnswer given = {.prompt = 0, .tokens = {answer->tokens, answer->count}};
  ScoreJob job = {.prompts = &span, .prompt_count = 1, .answers = &given, .answer_count = 1, .tau = 1};
  Pass *pass = NULL;
  TRY(pass_create(runtime->model, &sizes, &pass));
  Status status = score_answers(pass, &job, entropy, NULL);
  pass_free(pass);
  return status;
}

/// Appends a token's text in quotes, so that blanks, line ends and the bytes of half a character can be seen.
static Status append_token(const Runtime *runtime, DecodeStream *stream, int32_t token, Str *out) {
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(decode_stream_bytes(runtime->tokenizer, stream, token, false, &text));
  TRY_CLEAN(visible_append_quoted(out, str_text(&text), text.size));
cleanup:
  str_free(&text);
  return status;
}

static Status append_row(double base, double adapter, Str *out) {
  return str_append_format(out, "  %8.3f %8.3f %+8.3f  ", base, adapter, adapter - base);
}

Status compare_print(const Runtime *runtime, const Answer *answer, const float *base) {
  Str out = {0};
  DecodeStream stream = {0};
  Status status = STATUS_OK;
  double sums[2] = {0}, count = (double)answer->count;
  TRY_CLEAN(str_append_format(&out, "\nentropy of each token, in nats\n  %8s %8s %8s  token\n", "base",
                              "adapter", "change"));
  for (size_t i = 0; i < answer->count; i++) {
    double with = (double)answer->entropy[i], without = (double)base[i];
    TRY_CLEAN(append_row(without, with, &out));
    TRY_CLEAN(append_token(runtime, &stream, answer->tokens[i], &out));
    TRY_CLEAN(str_append_text(&out, "\n"));
    sums[0] += without;
    sums[1] += with;
  }
  TRY_CLEAN(append_row(sums[0] / count, sums[1] / count, &out));
  TRY_CLEAN(str_append_format(&out, "mean of %zu token%s\n", answer->count, str_plural(answer->count)));
  (void)fputs(str_text(&out), stdout);
cleanup:
  str_free(&out);
  return status;
}
