// Answers from rows. Rule: how many there are is what the task asks, and never what a row says, as a task
// decides on them without counting.
#include "recall.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

void recalled_free(Recalled *recalled) {
  for (size_t g = 0; g < recalled->answers.generation_count && recalled->generations != NULL; g++) {
    free(recalled->generations[g].text);
    free(recalled->generations[g].ids);
  }
  free(recalled->generations);
  free(recalled->numbers);
  free(recalled->tokens);
  *recalled = (Recalled){0};
}

/// A log-likelihood that is the sum of several answers' is taken as the first one's; the others are 0.
static Status recall_scores(const TaskType *type, const ScoreRequest *scores, size_t count,
                            const TaskItem *item, Recalled *out) {
  const size_t each = type->summed > 0 ? type->summed : 1;
  double *sums = NULL;
  Status status = STATUS_OK;
  if (count == 0) return STATUS_OK;
  TRY_CLEAN(mem_array(&sums, count / each, "loglikelihoods"));
  TRY_CLEAN(mem_array(&out->numbers, count, "loglikelihoods"));
  TRY_CLEAN(mem_array(&out->tokens, count, "loglikelihoods"));
  TRY_CLEAN(item_numbers(item, "loglikelihoods", sums, count / each));
  for (size_t i = 0; i < count; i++) {
    out->numbers[i] = i % each == 0 ? sums[i / each] : 0;
    out->tokens[i] = scores[i].tokens.count;
  }
  out->answers.loglikelihoods = out->numbers;
  out->answers.tokens = out->tokens;
  out->answers.count = count;
cleanup:
  free(sums);
  return status;
}

static Status make_generations(Recalled *out, size_t count) {
  TRY(mem_array(&out->generations, count, "answers"));
  out->answers.generations = out->generations;
  out->answers.generation_count = count;
  return STATUS_OK;
}

static Status take_text(const char *text, TaskGeneration *out) {
  out->size = strlen(text);
  return str_copy(&out->text, text, out->size);
}

/// "generation" and "ids".
static Status recall_write(const TaskItem *item, Recalled *out) {
  const char *text = NULL;
  const cJSON *ids = NULL, *id = NULL;
  TRY(json_get_string(item->row, "generation", item->name, &text));
  TRY(json_get_array(item->row, "ids", item->name, &ids));
  TRY(make_generations(out, 1));
  TaskGeneration *written = &out->generations[0];
  TRY(take_text(text, written));
  TRY(mem_array(&written->ids, (size_t)cJSON_GetArraySize(ids), "ids"));
  cJSON_ArrayForEach(id, ids) {
    if (!cJSON_IsNumber(id) || id->valuedouble != (double)id->valueint)
      return status_fail(STATUS_INPUT, "%s: \"ids\" must be whole numbers", item->name);
    written->ids[written->count++] = (int32_t)id->valueint;
  }
  return STATUS_OK;
}

/// Place `at` of a list of lists; NULL if it is not there.
static const cJSON *place_of(const cJSON *list, size_t at, size_t size) {
  return (size_t)cJSON_GetArraySize(list) == size ? cJSON_GetArrayItem(list, (int)at) : NULL;
}

/// "answers"[own prompt][answer] and "H"[own prompt][answer][prompt it was read under].
static Status recall_readings(const TaskItem *item, size_t groups, size_t each, Recalled *out) {
  const cJSON *texts = cJSON_GetObjectItemCaseSensitive(item->row, "answers");
  const cJSON *entropies = cJSON_GetObjectItemCaseSensitive(item->row, "H");
  TRY(make_generations(out, groups * each));
  TRY(mem_array(&out->numbers, groups * each * groups, "entropies"));
  for (size_t a = 0; a < groups * each; a++) {
    const cJSON *text = place_of(place_of(texts, a / each, groups), a % each, each);
    const cJSON *row = place_of(place_of(entropies, a / each, groups), a % each, each);
    if (!cJSON_IsString(text))
      return status_fail(STATUS_INPUT, "%s: \"answers\" does not have %zu texts for each of %zu groups",
                         item->name, each, groups);
    TRY(take_text(text->valuestring, &out->generations[a]));
    for (size_t g = 0; g < groups; g++) {
      const cJSON *number = place_of(row, g, groups);
      if (!cJSON_IsNumber(number))
        return status_fail(STATUS_INPUT, "%s: \"H\" does not have %zu numbers for each answer", item->name,
                           groups);
      out->numbers[a * groups + g] = number->valuedouble;
    }
  }
  out->answers.entropies = out->numbers;
  return STATUS_OK;
}

Status recall_answers(const TaskType *type, const TaskRequests *requests, size_t index, const TaskItem *item,
                      Recalled *out) {
  const RequestStart *from = &requests->starts[index], *to = from + 1;
  if (to->reading > from->reading)
    return recall_readings(item, requests->readings[from->reading].count, requests->gap->answers, out);
  if (to->write > from->write) return recall_write(item, out);
  return recall_scores(type, &requests->scores[from->score], to->score - from->score, item, out);
}
