// Readings as lines of JSON. Rule: a line's entropies are the float32 bits that the gap was computed from.
#include "gap_items.h"
#include "io/json_write.h"

/// The text of each token; that of a character in several tokens is with the last of them.
static Status write_tokens(const Tokenizer *tokenizer, const Answer *answer, JsonWriter *json) {
  DecodeStream stream = {0};
  Str text = {0};
  Status status = STATUS_OK;
  json_array_begin(json, "tokens");
  for (size_t i = 0; i < answer->count; i++) {
    str_clear(&text);
    TRY_CLEAN(decode_stream_push(tokenizer, &stream, answer->tokens[i], false, &text));
    if (i + 1 == answer->count) TRY_CLEAN(decode_stream_end(&stream, &text));
    json_bytes(json, NULL, str_text(&text), text.size);
  }
  json_array_end(json);
cleanup:
  str_free(&text);
  return status;
}

/// Adds a number of each token as the member `list`, and their mean.
static void write_numbers(const float *values, size_t count, const char *list, const char *mean,
                          JsonWriter *json) {
  double sum = 0;
  json_array_begin(json, list);
  for (size_t i = 0; i < count; i++) {
    json_float(json, NULL, values[i]);
    sum += (double)values[i];
  }
  json_array_end(json);
  json_number(json, mean, sum / (double)count);
}

static Status write_reading(const GapItems *items, const GapReading *reading, JsonWriter *json) {
  const Answer *answer = reading->answer;
  json_object_begin(json, NULL);
  json_string(json, "model", items->model);
  json_integer(json, "set", (int64_t)reading->own->set);
  json_integer(json, "index", (int64_t)reading->own->source);
  json_integer(json, "answer", (int64_t)reading->number);
  json_string(json, "answer_of", groups_name(items->groups, (size_t)reading->own->group));
  json_string(json, "read_under", groups_name(items->groups, (size_t)reading->under->group));
  json_string(json, "prompt", reading->under->text);
  TRY(write_tokens(items->tokenizer, answer, json));
  json_integers(json, "ids", answer->tokens, answer->count);
  json_bool(json, "ended", answer->ended);
  write_numbers(reading->entropy, answer->count, "entropy", "H", json);
  if (reading->kl != NULL) write_numbers(reading->kl, answer->count, "divergence", "kl", json);
  json_object_end(json);
  return STATUS_OK;
}

Status gap_items_add(void *user, const GapReading *reading) {
  GapItems *items = user;
  JsonWriter json = {.layout = JSON_COMPACT};
  Str line = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(write_reading(items, reading, &json));
  TRY_CLEAN(json_finish(&json, "an item of the gap", &line));
  TRY_CLEAN(str_append(&items->text, line.data, line.size));
  TRY_CLEAN(str_append_text(&items->text, "\n"));
cleanup:
  json_free(&json);
  str_free(&line);
  return status;
}
