// Packs prompts and answers into rows (batch.h has the picture). Rule: what a row holds depends only on its
// own prompt and answer, so it is computed alike in any micro batch.
#include "model/batch.h"
#include "util/hash.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

// Where the rows of each prompt and answer begin. All prompts come first, then the answers in their order.
// Because answers are ordered by prompt, the rows of all answers to one prompt are one range, which is what
// the prompt's key_spans need.
typedef struct Layout {
  size_t *prompt_of;    // [answers] packed prompt of each answer; its own copy if not shared
  size_t *source;       // [prompts] the caller's index of each packed prompt
  size_t *prompt_begin; // [prompts + 1]
  size_t *prompt_head;  // [prompts] index into head_row of the last row of each prompt that has answers
  size_t *answer_begin; // [answers + 1]
  size_t prompts, answers;
} Layout;

// The number of answers to `prompt`; *next moves from the first of them past the last. Called for each prompt
// in order.
static size_t answers_of(const BatchAnswer *answers, size_t count, size_t *next, size_t prompt) {
  size_t first = *next;
  while (*next < count && answers[*next].prompt == prompt) (*next)++;
  return *next - first;
}

/// The rows of an answer itself; the last token has none.
static size_t own_rows(const BatchAnswer *answer) {
  return answer->tokens.count <= answer->in_prompt ? 0 : answer->tokens.count - answer->in_prompt - 1;
}

size_t batch_rows(const TokenSpan *prompts, size_t prompt_count, const BatchAnswer *answers,
                  size_t answer_count, bool share) {
  size_t rows = 0;
  size_t next = 0;
  for (size_t p = 0; p < prompt_count; p++) {
    size_t copies = answers_of(answers, answer_count, &next, p);
    rows += prompts[p].count * (share || copies == 0 ? 1 : copies);
  }
  for (size_t a = 0; a < answer_count; a++) rows += own_rows(&answers[a]);
  return rows;
}

/// Whether a prompt ends with the tokens that an answer says are in it, with one before and one after them.
static bool is_in_prompt(const BatchAnswer *answer, TokenSpan prompt) {
  size_t count = answer->in_prompt;
  return count == 0 ||
         (count < prompt.count && count < answer->tokens.count &&
          memcmp(prompt.ids + prompt.count - count, answer->tokens.ids, count * sizeof *prompt.ids) == 0);
}

static bool is_scored(const BatchAnswer *answer, size_t token) {
  return answer->scored == NULL || answer->scored[token];
}

static size_t count_scored(const BatchAnswer *answers, size_t count) {
  size_t scored = 0;
  for (size_t a = 0; a < count; a++)
    for (size_t t = 0; t < answers[a].tokens.count; t++) scored += is_scored(&answers[a], t);
  return scored;
}

static Status check_batch(const TokenSpan *prompts, size_t prompt_count, const BatchAnswer *answers,
                          size_t answer_count) {
  for (size_t p = 0; p < prompt_count; p++) {
    if (prompts[p].count == 0) return status_fail(STATUS_INPUT, "prompt %zu of the batch has no tokens", p);
  }
  for (size_t a = 0; a < answer_count; a++) {
    if (answers[a].tokens.count == 0)
      return status_fail(STATUS_INPUT, "answer %zu of the batch has no tokens", a);
    if (!is_scored(&answers[a], 0) || !is_scored(&answers[a], answers[a].tokens.count - 1))
      return status_fail(STATUS_FAILED, "answer %zu of the batch begins or ends with a token not scored", a);
    if (answers[a].scored != NULL && answers[a].in_prompt > 0)
      return status_fail(STATUS_FAILED, "answer %zu of the batch is scored in part and begins in its prompt",
                         a);
    if (answers[a].prompt >= prompt_count || (a > 0 && answers[a].prompt < answers[a - 1].prompt)) {
      return status_fail(STATUS_FAILED, "answer %zu of the batch names prompt %zu out of order", a,
                         answers[a].prompt);
    }
    if (!is_in_prompt(&answers[a], prompts[answers[a].prompt]))
      return status_fail(STATUS_FAILED, "answer %zu of the batch does not begin in its prompt", a);
  }
  if (batch_rows(prompts, prompt_count, answers, answer_count, false) > INT32_MAX / 2) {
    return status_fail(STATUS_INPUT, "the batch has too many tokens; lower train.micro_batch_size");
  }
  return STATUS_OK;
}

static void layout_free(Layout *layout) {
  free(layout->prompt_of);
  free(layout->source);
  free(layout->prompt_begin);
  free(layout->prompt_head);
  free(layout->answer_begin);
}

static Status layout_make(const TokenSpan *prompts, size_t prompt_count, const BatchAnswer *answers,
                          size_t answer_count, bool share, Layout *out) {
  TRY(mem_array(&out->prompt_of, answer_count, "batch layout"));
  TRY(mem_array(&out->source, prompt_count + answer_count, "batch layout"));
  TRY(mem_array(&out->prompt_begin, prompt_count + answer_count + 1, "batch layout"));
  TRY(mem_array(&out->prompt_head, prompt_count + answer_count, "batch layout"));
  TRY(mem_array(&out->answer_begin, answer_count + 1, "batch layout"));
  size_t next = 0;
  for (size_t p = 0; p < prompt_count; p++) {
    size_t first = next;
    size_t own = answers_of(answers, answer_count, &next, p);
    size_t copies = share || own == 0 ? 1 : own;
    for (size_t i = 0; i < own; i++) out->prompt_of[first + i] = out->prompts + (share ? 0 : i);
    for (size_t i = 0; i < copies; i++) {
      out->source[out->prompts] = p;
      out->prompt_begin[out->prompts + 1] = out->prompt_begin[out->prompts] + prompts[p].count;
      out->prompts++;
    }
  }
  out->answers = answer_count;
  out->answer_begin[0] = out->prompt_begin[out->prompts];
  for (size_t a = 0; a < answer_count; a++) {
    out->answer_begin[a + 1] = out->answer_begin[a] + own_rows(&answers[a]);
  }
  return STATUS_OK;
}

static Status batch_allocate(Batch *batch, size_t rows, size_t predictions, size_t answers) {
  batch->rows = rows;
  batch->predictions = predictions;
  batch->answers = answers;
  TRY(mem_array(&batch->ids, rows, "batch"));
  TRY(mem_array(&batch->positions, rows, "batch"));
  TRY(mem_array(&batch->spans, 4 * rows, "batch"));
  TRY(mem_array(&batch->key_spans, 4 * rows, "batch"));
  TRY(mem_array(&batch->row_ids, rows, "batch"));
  TRY(mem_array(&batch->head_row, rows, "batch"));
  TRY(mem_array(&batch->pred_head, predictions, "batch"));
  TRY(mem_array(&batch->pred_target, predictions, "batch"));
  return mem_array(&batch->answer_start, answers + 1, "batch");
}

// Two ranges of rows, [a, b) and [c, d). check_batch keeps all rows below 2^31.
static void set_span(int32_t *span, size_t a, size_t b, size_t c, size_t d) {
  span[0] = (int32_t)a;
  span[1] = (int32_t)b;
  span[2] = (int32_t)c;
  span[3] = (int32_t)d;
}

// Identifies row `token` of a text to dropout. `text` is a hash of a prompt's tokens, or of the row_id that
// the caller gave an answer, so neither depends on the micro batch.
static int32_t row_id(uint64_t text, size_t token) {
  uint64_t hash = hash_bytes(text, &token, sizeof token);
  return (int32_t)(uint32_t)(hash ^ (hash >> 32));
}

// Lists the rows of a prompt that predict something for the answers [first, end) to it.
static void add_prompt_heads(const BatchAnswer *answers, size_t first, size_t end, size_t prompt,
                             Layout *layout, Batch *batch) {
  size_t last = layout->prompt_begin[prompt + 1] - 1, before = 0;
  for (size_t a = first; a < end; a++)
    if (answers[a].in_prompt > before) before = answers[a].in_prompt;
  for (size_t r = last - before; first < end && r <= last; r++)
    batch->head_row[batch->head_rows++] = (int32_t)r;
  layout->prompt_head[prompt] = batch->head_rows - (first < end);
}

// Fills the rows of prompts, and prompt_head, which fill_answers needs.
static void fill_prompts(const TokenSpan *prompts, const BatchAnswer *answers, Layout *layout, Batch *batch) {
  size_t answer = 0;
  for (size_t p = 0; p < layout->prompts; p++) {
    TokenSpan tokens = prompts[layout->source[p]];
    uint64_t text = hash_bytes(HASH_START, tokens.ids, tokens.count * sizeof *tokens.ids);
    size_t begin = layout->prompt_begin[p];
    size_t end = layout->prompt_begin[p + 1];
    size_t first = answer;
    while (answer < layout->answers && layout->prompt_of[answer] == p) answer++;
    size_t answers_begin = layout->answer_begin[first];
    size_t answers_end = layout->answer_begin[answer];
    for (size_t r = begin; r < end; r++) {
      batch->ids[r] = tokens.ids[r - begin];
      batch->positions[r] = (int32_t)(r - begin);
      batch->row_ids[r] = row_id(text, r - begin);
      set_span(batch->spans + 4 * r, 0, 0, begin, r + 1);
      set_span(batch->key_spans + 4 * r, r, end, answers_begin, answers_end);
    }
    add_prompt_heads(answers, first, answer, p, layout, batch);
  }
}

// Fills the rows of answers and all predictions. The prompt's last rows predict the tokens that are in it and
// the next one; then each row of the answer's own predicts the token behind it, if that is scored.
static void fill_answers(const BatchAnswer *answers, const Layout *layout, Batch *batch) {
  size_t prediction = 0;
  for (size_t a = 0; a < layout->answers; a++) {
    size_t p = layout->prompt_of[a];
    size_t begin = layout->answer_begin[a];
    size_t end = layout->answer_begin[a + 1];
    size_t prompt_begin = layout->prompt_begin[p];
    size_t prompt_end = layout->prompt_begin[p + 1];
    size_t in_prompt = answers[a].in_prompt;
    uint64_t text = hash_bytes(HASH_START, &answers[a].row_id, sizeof answers[a].row_id);
    batch->answer_start[a] = prediction;
    for (size_t token = 0; token <= in_prompt; token++) {
      batch->pred_head[prediction] = (int32_t)(layout->prompt_head[p] - in_prompt + token);
      batch->pred_target[prediction++] = answers[a].tokens.ids[token];
    }
    for (size_t r = begin; r < end; r++) {
      size_t token = in_prompt + r - begin;
      batch->ids[r] = answers[a].tokens.ids[token];
      batch->positions[r] = (int32_t)(prompt_end - prompt_begin + r - begin);
      batch->row_ids[r] = row_id(text, token);
      set_span(batch->spans + 4 * r, prompt_begin, prompt_end, begin, r + 1);
      set_span(batch->key_spans + 4 * r, r, end, 0, 0);
      if (!is_scored(&answers[a], token + 1)) continue;
      batch->pred_head[prediction] = (int32_t)batch->head_rows;
      batch->pred_target[prediction++] = answers[a].tokens.ids[token + 1];
      batch->head_row[batch->head_rows++] = (int32_t)r;
    }
  }
  batch->answer_start[layout->answers] = prediction;
}

Status batch_build(const TokenSpan *prompts, size_t prompt_count, const BatchAnswer *answers,
                   size_t answer_count, bool share, Batch *out) {
  memset(out, 0, sizeof *out);
  TRY(check_batch(prompts, prompt_count, answers, answer_count));
  Status status = STATUS_OK;
  Layout layout = {0};
  TRY_CLEAN(layout_make(prompts, prompt_count, answers, answer_count, share, &layout));
  TRY_CLEAN(batch_allocate(out, layout.answer_begin[answer_count], count_scored(answers, answer_count),
                           answer_count));
  fill_prompts(prompts, answers, &layout, out);
  fill_answers(answers, &layout, out);
cleanup:
  layout_free(&layout);
  if (status != STATUS_OK) batch_free(out);
  return status;
}

void batch_free(Batch *batch) {
  free(batch->ids);
  free(batch->positions);
  free(batch->spans);
  free(batch->key_spans);
  free(batch->row_ids);
  free(batch->head_row);
  free(batch->pred_head);
  free(batch->pred_target);
  free(batch->answer_start);
  memset(batch, 0, sizeof *batch);
}
