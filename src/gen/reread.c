// Reading answers under other prompts. Rule: nothing that sampling has computed is computed again: neither
// the prompts, nor the distribution after a prompt's last token, from which every answer to that prompt drew
// its first token.
//
//   cache rows   prompt 0 | prompt 1 | … | reading 0 | reading 1 | …     in place of the answers' rows
#include "gen/reread.h"

#include "ops/profile.h"
#include "row_list.h"
#include "util/memory.h"
#include <stdlib.h>

typedef struct Rereader {
  Pass *pass;
  const RereadJob *job;
  size_t *prompt_begin; // [prompts + 1] first cache row of each prompt, then of the readings
  size_t *sampled;      // [prompts] an answer that was sampled from each prompt; SIZE_MAX if there is none
  size_t max_rows;      // of a forward; also fits the cache behind the prompts
  RowList rows;
  int32_t *head_row;      // [max_rows] 0, 1, 2, …: the statistics of every row are wanted
  float *entropy, *log_z; // [max_rows] of a forward's rows
} Rereader;

/// Fills `sampled` and checks all readings. Afterwards every reading has at least one token and a prompt with
/// a sampled answer.
static Status check_readings(Rereader *r) {
  const GenerateJob *generated = r->job->generated;
  for (size_t p = 0; p < generated->prompt_count; p++) r->sampled[p] = SIZE_MAX;
  for (size_t i = 0; i < generated->request_count; i++) r->sampled[generated->requests[i].prompt] = i;
  for (size_t i = 0; i < r->job->count; i++) {
    const Reading *reading = &r->job->readings[i];
    if (reading->answer >= generated->request_count || r->job->answers[reading->answer].count == 0 ||
        reading->prompt >= generated->prompt_count || r->sampled[reading->prompt] == SIZE_MAX)
      return status_fail(STATUS_FAILED, "reading %zu names answer %zu and prompt %zu, which were not sampled",
                         i, reading->answer, reading->prompt);
  }
  return STATUS_OK;
}

static Status rereader_create(Pass *pass, const RereadJob *job, Rereader *r) {
  const GenerateJob *generated = job->generated;
  const PassOptions *options = pass_options(pass);
  *r = (Rereader){.pass = pass, .job = job};
  TRY(mem_array(&r->prompt_begin, generated->prompt_count + 1, "cache rows of prompts"));
  TRY(mem_array(&r->sampled, generated->prompt_count, "answers to prompts"));
  TRY(check_readings(r));
  prompt_cache_rows(generated, r->prompt_begin);
  size_t prompt_rows = r->prompt_begin[generated->prompt_count];
  size_t rows_left = options->cache_rows > prompt_rows ? options->cache_rows - prompt_rows : 0;
  r->max_rows = options->max_rows < rows_left ? options->max_rows : rows_left;
  TRY(row_list_create(r->max_rows, &r->rows));
  TRY(mem_array(&r->head_row, r->max_rows, "rows"));
  TRY(mem_array(&r->entropy, r->max_rows, "entropies"));
  TRY(mem_array(&r->log_z, r->max_rows, "entropies"));
  for (size_t row = 0; row < r->max_rows; row++) r->head_row[row] = (int32_t)row;
  return STATUS_OK;
}

static void rereader_free(Rereader *r) {
  row_list_free(&r->rows);
  free(r->prompt_begin);
  free(r->sampled);
  free(r->head_row);
  free(r->entropy);
  free(r->log_z);
}

/// The rows of a reading. The answer's last token needs none, because nothing is predicted from it.
static size_t rows_of(const Rereader *r, size_t reading) {
  return r->job->answers[r->job->readings[reading].answer].count - 1;
}

static void add_rows(Rereader *r, size_t reading) {
  size_t prompt = r->job->readings[reading].prompt, rows = rows_of(r, reading);
  const Answer *answer = &r->job->answers[r->job->readings[reading].answer];
  size_t begin = r->prompt_begin[prompt], end = r->prompt_begin[prompt + 1];
  size_t own = r->prompt_begin[r->job->generated->prompt_count] + r->rows.count;
  for (size_t t = 0; t < rows; t++)
    row_list_add(&r->rows, answer->tokens[t], end - begin + t, own + t,
                 (const size_t[]){begin, end, own, own + t + 1});
}

/// Lays out the readings [first, *end) that fit one forward, at least one.
static Status gather(Rereader *r, size_t first, size_t *end) {
  size_t i = first;
  r->rows.count = 0;
  for (; i < r->job->count && r->rows.count + rows_of(r, i) <= r->max_rows; i++) add_rows(r, i);
  *end = i;
  if (i > first) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "an answer of %zu tokens does not fit a pass of %zu rows: lower sampling.max_new_tokens",
                     rows_of(r, first) + 1, r->max_rows);
}

/// Runs the rows that are laid out and computes the statistics of each.
static Status measure(Rereader *r) {
  if (r->rows.count == 0) return STATUS_OK; // all answers have one token
  Batch all = {.rows = r->rows.count, .head_rows = r->rows.count, .head_row = r->head_row};
  TRY(row_list_forward(&r->rows, r->pass));
  return pass_statistics(r->pass, &all, r->job->generated->entropy_tau, r->entropy, r->log_z, NULL);
}

Status reread_answers(Pass *pass, const RereadJob *job, float *entropy, float *log_z) {
  Rereader r;
  Status status = STATUS_OK;
  OPS_PHASE(model_ops(pass_model(pass)), "reread");
  TRY_CLEAN(rereader_create(pass, job, &r));
  for (size_t first = 0, end = 0, out = 0; first < job->count; first = end) {
    TRY_CLEAN(gather(&r, first, &end));
    TRY_CLEAN(measure(&r));
    for (size_t i = first, row = 0; i < end; i++) {
      const Answer *sampled = &job->answers[r.sampled[job->readings[i].prompt]];
      entropy[out] = sampled->entropy[0];
      log_z[out++] = sampled->log_z[0];
      for (size_t t = 0; t < rows_of(&r, i); t++, row++) {
        entropy[out] = r.entropy[row];
        log_z[out++] = r.log_z[row];
      }
    }
    if (job->on_read != NULL) job->on_read(job->user, end);
  }
cleanup:
  rereader_free(&r);
  return status;
}
