// gee-cl score: how a model rates given answers: a JSON line in, a JSON line out. Rule: the output file
// appears complete or not at all, and its numbers read back as the same float32 bits.
#include "cli.h"
#include "gen/score.h"
#include "io/file.h"
#include "io/json_write.h"
#include "io/table.h"
#include "util/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static ModelArgs model_args;
static const char *input, *output;
static bool chat;
static float temperature = 1;
static size_t batch_lines = 16;
static const Option options[] = {
    MODEL_OPTIONS(model_args, KEPT_TYPE),
    COMPUTE_OPTION(model_args.compute),
    {"input", OPTION_TEXT, &input, "FILE",
     "Prompts and answers, in columns of these names: JSON Lines, CSV, Parquet, ...; - reads the standard "
     "input. "
     "Required.",
     0, 0},
    {"output", OPTION_TEXT, &output, "FILE", "The file to write; - writes to the screen. Required.", 0, 0},
    {"chat", OPTION_FLAG, &chat, NULL, "Wrap each prompt in the model's chat template.", 0, 0},
    CHAT_DATE_OPTION(model_args.chat_date),
    {"temperature", OPTION_NUMBER, &temperature, "T", "Temperature of the scored softmax (1).", 1e-3, 1000},
    {"batch", OPTION_SIZE, &batch_lines, "N", "Lines scored at once (16).", 1, 4096},
    {0}};
static const Usage usage = {
    "score", "Compute log probabilities and entropies of given answers.", NULL, options,
    "Reads rows of \"prompt\" and \"answer\" from any file that data.train may be, and for each writes a "
    "line\n"
    "  {\"prompt_tokens\": [...], \"answer_tokens\": [...], \"logprob\": [...], \"entropy\": [...]}\n"
    "with, for each token of the answer, its natural log probability and the entropy (in nats) of the "
    "distribution\n"
    "that predicts it. Prompt and answer are tokenised separately; no end token is appended.\n\n"
    "  echo '{\"prompt\": \"The sky is\", \"answer\": \" blue\"}' > in.jsonl\n"
    "  gee-cl score --model models/SmolLM2-135M-Instruct.Q4_1.gguf --input in.jsonl --output out.jsonl\n"
    "  zcat answers.jsonl.gz | gee-cl score --model M --input - --output -"};

static bool is_standard_input(void) {
  return strcmp(input, "-") == 0;
}

/// For messages.
static const char *input_name(void) {
  return is_standard_input() ? "the standard input" : input;
}

typedef struct ScoreLine {
  Tokens prompt, answer;
} ScoreLine;

typedef struct ScoreLines {
  ScoreLine *lines;
  size_t count, capacity;
} ScoreLines;

static void lines_free(ScoreLines *lines) {
  for (size_t i = 0; i < lines->count; i++) {
    tokens_free(&lines->lines[i].prompt);
    tokens_free(&lines->lines[i].answer);
  }
  free(lines->lines);
}

static Status encode_line(const Runtime *runtime, const char *prompt, const char *answer, ScoreLine *out) {
  size_t longest = model_files_config(runtime->files)->max_positions;
  TRY(runtime_encode_prompt(runtime, prompt, chat, NULL, &out->prompt));
  TRY(tokenizer_encode(runtime->tokenizer, answer, strlen(answer), false, &out->answer));
  if (out->answer.count == 0) return status_fail(STATUS_INPUT, "\"answer\" is empty");
  if (longest == 0 || out->prompt.count + out->answer.count <= longest) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%zu tokens, but the model takes at most %zu",
                     out->prompt.count + out->answer.count, longest);
}

/// A prompt that is a whole chat, written as JSON, is none to be scored as it stands.
static Status refuse_chat(Table *table, size_t row) {
  TableChat messages = {0};
  bool found = false;
  TRY(table_chat_in_text(table, row, 0, &found, &messages));
  if (!found) return STATUS_OK;
  return table_context(status_fail(STATUS_INPUT,
                                   "\"prompt\" is a chat as JSON text; give the text of the prompt, "
                                   "with --chat to wrap it in the chat template"),
                       table, row);
}

static Status add_line(const Runtime *runtime, Table *table, size_t row, ScoreLines *out) {
  char *prompt = NULL, *answer = NULL;
  Status status = STATUS_OK;
  TRY(mem_reserve(&out->lines, &out->capacity, out->count + 1, "lines to score"));
  TRY_CLEAN(table_string(table, row, 0, &prompt));
  TRY_CLEAN(refuse_chat(table, row));
  TRY_CLEAN(table_string(table, row, 1, &answer));
  TRY_CLEAN(table_context(encode_line(runtime, prompt, answer, &out->lines[out->count++]), table, row));
cleanup:
  free(prompt);
  free(answer);
  return status;
}

/// The standard input is read whole, since a table is read from bytes that stay.
static Status read_standard_input(Str *out) {
  char part[65536];
  for (size_t size; (size = fread(part, 1, sizeof part, stdin)) > 0;) TRY(str_append(out, part, size));
  return ferror(stdin) == 0 ? STATUS_OK : file_fail(STATUS_INPUT, input_name(), "read");
}

/// `piped` keeps the bytes of the standard input as long as the table.
static Status open_input(const char *column, Str *piped, Table **out) {
  if (!is_standard_input()) return table_open(input, column, out);
  TRY(read_standard_input(piped));
  return table_open_bytes(input_name(), str_text(piped), piped->size, column, out);
}

static Status read_lines(const Runtime *runtime, ScoreLines *out) {
  static const char *const columns[] = {"prompt", "answer"};
  Str piped = {0};
  Table *table = NULL;
  Status status = STATUS_OK;
  size_t rows = 0;
  TRY_CLEAN(open_input(columns[0], &piped, &table));
  TRY_CLEAN(table_select(table, columns, 2));
  do {
    TRY_CLEAN(table_next_group(table, &rows));
    for (size_t i = 0; i < rows; i++) TRY_CLEAN(add_line(runtime, table, i, out));
  } while (rows > 0);
  if (out->count == 0)
    status =
        status_fail(STATUS_INPUT, "%s: no lines to score; write lines of {\"prompt\": ..., \"answer\": ...}",
                    input_name());
cleanup:
  table_close(table);
  str_free(&piped);
  return status;
}

static void add_floats(JsonWriter *json, const char *key, const float *values, size_t count) {
  json_array_begin(json, key);
  for (size_t i = 0; i < count; i++) json_float(json, NULL, values[i]);
  json_array_end(json);
}

static Status append_scores(Str *out, const ScoreLine *line, const float *logprob, const float *entropy) {
  JsonWriter json = {.layout = JSON_SPACED};
  Str text = {0};
  json_object_begin(&json, NULL);
  json_integers(&json, "prompt_tokens", line->prompt.ids, line->prompt.count);
  json_integers(&json, "answer_tokens", line->answer.ids, line->answer.count);
  add_floats(&json, "logprob", logprob, line->answer.count);
  add_floats(&json, "entropy", entropy, line->answer.count);
  json_object_end(&json);
  TRY(json_finish(&json, output, &text));
  Status status = str_append_text(&text, "\n");
  if (status == STATUS_OK) status = str_append(out, text.data, text.size);
  str_free(&text);
  return status;
}

/// Scores `count` lines; adjacent lines with the same prompt share its rows.
static Status score_batch(Pass *pass, const ScoreLine *lines, size_t count, Str *out) {
  TokenSpan *prompts = NULL;
  BatchAnswer *answers = NULL;
  float *entropy = NULL, *logprob = NULL;
  size_t prompt_count = 0, tokens = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(mem_array(&prompts, count, "prompts to score"));
  TRY_CLEAN(mem_array(&answers, count, "answers to score"));
  for (size_t i = 0; i < count; i++) {
    const Tokens *prompt = &lines[i].prompt, *before = i > 0 ? &lines[i - 1].prompt : NULL;
    bool same = before != NULL && before->count == prompt->count &&
                memcmp(before->ids, prompt->ids, prompt->count * sizeof *prompt->ids) == 0;
    if (!same) prompts[prompt_count++] = (TokenSpan){prompt->ids, prompt->count};
    answers[i] = (BatchAnswer){.prompt = prompt_count - 1,
                               .tokens = {lines[i].answer.ids, lines[i].answer.count},
                               .row_id = (uint32_t)i};
    tokens += lines[i].answer.count;
  }
  TRY_CLEAN(mem_array(&entropy, tokens, "entropies"));
  TRY_CLEAN(mem_array(&logprob, tokens, "log probabilities"));
  ScoreJob job = {.prompts = prompts,
                  .prompt_count = prompt_count,
                  .answers = answers,
                  .answer_count = count,
                  .tau = temperature};
  TRY_CLEAN(score_answers(pass, &job, entropy, logprob));
  for (size_t i = 0, offset = 0; i < count; offset += lines[i].answer.count, i++)
    TRY_CLEAN(append_scores(out, &lines[i], logprob + offset, entropy + offset));
cleanup:
  free(prompts);
  free(answers);
  free(entropy);
  free(logprob);
  return status;
}

/// Enough rows for the longest line; short lines share a pass.
static PassOptions pass_sizes(const ScoreLines *lines) {
  size_t rows = 1024;
  for (size_t i = 0; i < lines->count; i++) {
    size_t needed = lines->lines[i].prompt.count + lines->lines[i].answer.count;
    if (needed > rows) rows = needed;
  }
  return (PassOptions){.kind = PASS_INFERENCE, .max_rows = rows, .head_tile_rows = 128};
}

static Status score_all(const Runtime *runtime, const ScoreLines *lines, Str *out) {
  PassOptions sizes = pass_sizes(lines);
  Pass *pass = NULL;
  Progress *progress = screen_progress();
  Status status = STATUS_OK;
  TRY(pass_create(runtime->model, &sizes, &pass));
  progress_begin(progress, "scoring", "line", 0, lines->count);
  for (size_t first = 0; first < lines->count; first += batch_lines) {
    size_t left = lines->count - first, count = left < batch_lines ? left : batch_lines;
    TRY_CLEAN(score_batch(pass, lines->lines + first, count, out));
    progress_update(progress, first + count);
  }
cleanup:
  progress_end(progress);
  pass_free(pass);
  return status;
}

Status cmd_score(int argc, char **argv) {
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, model_args.model, "--model"));
  TRY(args_need(&usage, input, "--input"));
  TRY(args_need(&usage, output, "--output"));
  TRY(args_check_output("--output", output, input, "--input"));
  model_args_warn_unused(&model_args, chat);
  Runtime runtime = {0};
  ScoreLines lines = {0};
  Str text = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_open_model(&runtime, &model_args));
  TRY_CLEAN(read_lines(&runtime, &lines));
  TRY_CLEAN(runtime_open(&runtime, &model_args));
  TRY_CLEAN(args_check_unread("--output", output));
  TRY_CLEAN(score_all(&runtime, &lines, &text));
  TRY_CLEAN(args_write_output(output, str_text(&text), text.size));
  say("%zu line%s scored%s%s", lines.count, str_plural(lines.count), strcmp(output, "-") == 0 ? "" : ": ",
      strcmp(output, "-") == 0 ? "" : output);
cleanup:
  str_free(&text);
  lines_free(&lines);
  runtime_close(&runtime);
  return status;
}
