// Answers to the prompts of counterfactual sets, read under every prompt of their set. Rule: the answers are
// those that gap_measure.c samples: partners draw the numbers of one stream, which follows from set and
// answer.
#include "responder_parts.h"

#include "gap_measure.h"
#include "gen/reread.h"
#include "util/memory.h"
#include <stdlib.h>

/// The readings of a batch, all of sets with as many prompts.
typedef struct Sets {
  const ReadingRequest *list;
  size_t count, groups, each; // sets; prompts of a set; answers to a prompt
  TokenSpan *prompts;         // [count · groups]
  AnswerRequest *wanted;      // [count · groups · each]
  Answer *answers;            // the same
  Reading *readings;          // [count · groups · each · (groups − 1)]
} Sets;

static void sets_free(Sets *sets) {
  size_t answers = sets->count * sets->groups * sets->each;
  for (size_t i = 0; i < answers && sets->answers != NULL; i++) answer_free(&sets->answers[i]);
  free(sets->answers);
  free(sets->prompts);
  free(sets->wanted);
  free(sets->readings);
}

static Status sets_list(Sets *sets) {
  size_t prompts = sets->count * sets->groups, answers = prompts * sets->each;
  TRY(mem_array(&sets->prompts, prompts, "prompts"));
  TRY(mem_array(&sets->wanted, answers, "answers"));
  TRY(mem_array(&sets->answers, answers, "answers"));
  TRY(mem_array(&sets->readings, answers * (sets->groups - 1), "answers"));
  for (size_t i = 0; i < answers; i++) {
    size_t prompt = i / sets->each, set = prompt / sets->groups;
    const ReadingRequest *request = &sets->list[set];
    const Tokens *tokens = &request->prompts[prompt % sets->groups];
    sets->prompts[prompt] = (TokenSpan){tokens->ids, tokens->count};
    sets->wanted[i] = (AnswerRequest){prompt, (uint32_t)(request->set * sets->each + i % sets->each)};
  }
  return STATUS_OK;
}

/// The place of answer i, read under prompt `under` of its set.
static size_t place(const Sets *sets, size_t answer, size_t under) {
  return answer * sets->groups + under;
}

static double mean_of(const float *values, size_t count) {
  double sum = 0;
  for (size_t i = 0; i < count; i++) sum += (double)values[i];
  return sum / (double)count;
}

/// Reads the answers under the prompts that they were not sampled from.
static Status reread(Responder *responder, const Sets *sets, const GenerateJob *generated) {
  size_t answers = generated->request_count, count = 0, tokens = 0, offset = 0;
  float *entropy = NULL, *log_z = NULL;
  Status status = STATUS_OK;
  for (size_t i = 0; i < answers; i++) {
    size_t own = i / sets->each, first = own - own % sets->groups;
    for (size_t p = first; p < first + sets->groups; p++)
      if (p != own) sets->readings[count++] = (Reading){i, p};
    tokens += sets->answers[i].count * (sets->groups - 1);
  }
  RereadJob job = {
      .generated = generated, .answers = sets->answers, .readings = sets->readings, .count = count};
  TRY_CLEAN(mem_array(&entropy, tokens, "entropies"));
  TRY_CLEAN(mem_array(&log_z, tokens, "entropies"));
  TRY_CLEAN(reread_answers(responder->pass, &job, entropy, log_z));
  for (size_t i = 0; i < count; i++) {
    const Reading *reading = &sets->readings[i];
    size_t length = sets->answers[reading->answer].count;
    responder->entropies[place(sets, reading->answer, reading->prompt % sets->groups)] =
        mean_of(entropy + offset, length);
    offset += length;
  }
cleanup:
  free(entropy);
  free(log_z);
  return status;
}

static Status ask_sets(Responder *responder, Sets *sets) {
  const GapOptions *gap = responder->requests->gap;
  size_t answers = sets->count * sets->groups * sets->each;
  TRY(sets_list(sets));
  TRY(mem_array(&responder->entropies, answers * sets->groups, "entropies"));
  TRY(mem_array(&responder->generations, answers, "answers"));
  GenerateJob job = {.prompts = sets->prompts,
                     .prompt_count = sets->count * sets->groups,
                     .requests = sets->wanted,
                     .request_count = answers,
                     .sampling = gap->sampling,
                     .entropy_tau = gap->entropy_tau,
                     .seed = gap->seed,
                     .step = GAP_STEP,
                     .stop = responder->stop};
  TRY(generate(responder->pass, &job, sets->answers));
  for (size_t i = 0; i < answers; i++)
    responder->entropies[place(sets, i, i / sets->each % sets->groups)] =
        mean_of(sets->answers[i].entropy, sets->answers[i].count);
  TRY(reread(responder, sets, &job));
  for (size_t i = 0; i < answers; i++) TRY(responder_keep_text(responder, &sets->answers[i], NULL));
  return STATUS_OK;
}

Status responder_ask_readings(Responder *responder) {
  const TaskRequests *requests = responder->requests;
  size_t first = requests->starts[responder->batch.begin].reading;
  size_t end = requests->starts[responder->batch.end].reading;
  if (first == end) return STATUS_OK;
  Sets sets = {.list = &requests->readings[first],
               .count = end - first,
               .groups = requests->readings[first].count,
               .each = requests->gap->answers};
  for (size_t i = 0; i < sets.count; i++)
    if (sets.list[i].count != sets.groups)
      return status_fail(STATUS_INPUT, "the sets do not have the same groups");
  Status status = ask_sets(responder, &sets);
  sets_free(&sets);
  return status;
}

TaskAnswers responder_readings(const Responder *responder, size_t item) {
  const TaskRequests *requests = responder->requests;
  size_t index = requests->starts[item].reading - requests->starts[responder->batch.begin].reading;
  size_t groups = requests->readings[requests->starts[item].reading].count;
  size_t answers = groups * requests->gap->answers;
  return (TaskAnswers){.generations = responder->generations + index * answers,
                       .generation_count = answers,
                       .entropies = responder->entropies + index * answers * groups};
}
