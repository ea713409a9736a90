// The config as JSON, a section at a time, for trackers. Rule: the table of keys decides which type a value
// has.
#include "config_value.h"

#include "io/json_write.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

/// A number or a text, from the one spelling that values have: 0.7, where the float32 nearest to it is
/// 0.699999988.
static Status write_spelling(const Config *config, const ConfigKey *key, JsonWriter *json) {
  Str text = {0};
  Status status = config_print_value(config, key, &text);
  if (status == STATUS_OK && key->type == KEY_NUMBER)
    json_number(json, key->name, strtod(str_text(&text), NULL));
  else if (status == STATUS_OK)
    json_bytes(json, key->name, str_text(&text), text.size);
  str_free(&text);
  return status;
}

static Status write_value(const Config *config, const ConfigKey *key, JsonWriter *json) {
  const void *field = (const char *)config + key->offset;
  switch (key->type) {
  case KEY_BOOL:
    json_bool(json, key->name, *(const bool *)field);
    return STATUS_OK;
  case KEY_SIZE:
    json_integer(json, key->name, (int64_t) * (const size_t *)field);
    return STATUS_OK;
  case KEY_SEED:
    if (*(const uint64_t *)field > INT64_MAX) break; // JSON's readers would round it
    json_integer(json, key->name, (int64_t) * (const uint64_t *)field);
    return STATUS_OK;
  case KEY_NUMBER:
  case KEY_CHOICE:
  case KEY_TEXT:
  case KEY_LINES:
    break;
  }
  return write_spelling(config, key, json);
}

/// Finishes the object in `json` as the section `name`.
static Status add_section(ConfigSections *out, const char *name, JsonWriter *json) {
  Str text = {0};
  json_object_end(json);
  TRY(json_finish(json, name, &text));
  Status status = mem_reserve(&out->list, &out->capacity, out->count + 1, "the sections of the config");
  if (status == STATUS_OK)
    out->list[out->count++] = (TrackedSection){name, text.data};
  else
    str_free(&text);
  return status;
}

/// Adds the section of `*key`, and moves it to the next one's first key.
static Status add_keys(const Config *config, const ConfigKey **key, ConfigSections *out) {
  const char *name = (*key)->section;
  JsonWriter json = {0};
  Status status = STATUS_OK;
  json_object_begin(&json, NULL);
  for (; (*key)->section != NULL && strcmp((*key)->section, name) == 0; (*key)++)
    TRY_CLEAN(write_value(config, *key, &json));
  TRY_CLEAN(add_section(out, name, &json));
cleanup:
  json_free(&json);
  return status;
}

Status config_sections(const Config *config, ConfigSections *out) {
  for (const ConfigKey *key = config_keys; key->section != NULL;) TRY(add_keys(config, &key, out));
  if (config->task_weight_count == 0) return STATUS_OK;
  JsonWriter json = {0};
  json_object_begin(&json, NULL);
  for (size_t i = 0; i < config->task_weight_count; i++)
    json_number(&json, config->task_weights[i].type, config->task_weights[i].weight);
  Status status = add_section(out, TASK_WEIGHTS, &json);
  json_free(&json);
  return status;
}

void config_sections_free(ConfigSections *sections) {
  for (size_t i = 0; i < sections->count; i++) free((void *)(uintptr_t)sections->list[i].json);
  free(sections->list);
  *sections = (ConfigSections){0};
}
