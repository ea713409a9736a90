// Prompt types. Rule: every prompt has a type, the default one if no pattern matches.
#include "types.h"

#include "configs.h"
#include "io/json.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_PATTERNS = 256, MAX_NAME_BYTES = 64 };

static const char BUILT_IN[] = "configs/types.json";

static Status add_rule(const char *path, const char *name, TypeRules *types) {
  if (utf8_has_control(name))
    return status_fail(STATUS_INPUT, "%s: the name of a type has a control character", path);
  if (name[0] == '\0' || strlen(name) > MAX_NAME_BYTES)
    return status_fail(STATUS_INPUT, "%s: the type \"%.64s\" needs a name of 1 to %d bytes", path, name,
                       MAX_NAME_BYTES);
  for (size_t i = 0; i < types->count; i++)
    if (strcmp(types->rules[i].name, name) == 0)
      return status_fail(STATUS_INPUT, "%s: the type \"%s\" is listed twice", path, name);
  if (types->count == DATA_MAX_TYPES)
    return status_fail(STATUS_INPUT, "%s: more than %d types", path, DATA_MAX_TYPES);
  return str_copy(&types->rules[types->count++].name, name, strlen(name));
}

static Status read_rule(const char *path, const cJSON *item, TypeRules *types) {
  const char *name = NULL;
  const cJSON *patterns = NULL;
  if (!cJSON_IsObject(item))
    return status_fail(STATUS_INPUT, "%s: \"types\" lists objects with name and patterns", path);
  TRY(json_get_string(item, "name", path, &name));
  TRY(json_get_array(item, "patterns", path, &patterns));
  TRY(add_rule(path, name, types));
  TypeRule *rule = &types->rules[types->count - 1];
  int count = cJSON_GetArraySize(patterns);
  if (count < 1 || count > MAX_PATTERNS)
    return status_fail(STATUS_INPUT, "%s: the type \"%s\" has %d patterns; 1 to %d", path, name, count,
                       MAX_PATTERNS);
  TRY(mem_array(&rule->patterns, (size_t)count, "patterns of a type"));
  for (const cJSON *pattern = patterns->child; pattern != NULL; pattern = pattern->next) {
    if (!cJSON_IsString(pattern))
      return status_fail(STATUS_INPUT, "%s: the patterns of the type \"%s\" must be texts", path, name);
    TRY(pattern_compile(pattern->valuestring, 0, path, &rule->patterns[rule->count].code));
    rule->count++;
  }
  return STATUS_OK;
}

Status types_load(const char *path, TypeRules *out) {
  if (path != NULL && path[0] == '\0') path = NULL;
  cJSON *json = NULL;
  const cJSON *types = NULL;
  const char *name = path != NULL ? path : BUILT_IN, *fallback = NULL;
  Status status = STATUS_OK;
  *out = (TypeRules){0};
  if (path != NULL) {
    TRY_CLEAN(json_parse_file(path, &json));
  } else {
    const char *text = config_find(DATA_BUILT_IN_TYPES);
    if (text == NULL) return status_fail(STATUS_FAILED, "the program was built without its types.json");
    TRY_CLEAN(json_parse(text, strlen(text), name, &json));
  }
  TRY_CLEAN(json_get_string(json, "default", name, &fallback));
  TRY_CLEAN(json_get_array(json, "types", name, &types));
  for (const cJSON *item = types->child; item != NULL; item = item->next)
    TRY_CLEAN(read_rule(name, item, out));
  TRY_CLEAN(add_rule(name, fallback, out));
cleanup:
  cJSON_Delete(json);
  if (status != STATUS_OK) types_free(out);
  return status;
}

void types_free(TypeRules *types) {
  for (size_t i = 0; i < types->count; i++) {
    for (size_t j = 0; j < types->rules[i].count; j++) pcre2_code_free(types->rules[i].patterns[j].code);
    free(types->rules[i].patterns);
    free(types->rules[i].name);
  }
  *types = (TypeRules){0};
}

Status types_match(const TypeRules *types, const char *text, size_t size, size_t *type) {
  for (*type = 0; *type + 1 < types->count; ++*type) {
    const TypeRule *rule = &types->rules[*type];
    for (size_t i = 0; i < rule->count; i++) {
      bool found = false;
      TRY(pattern_matches(rule->patterns[i].code, text, size, &found));
      if (found) return STATUS_OK;
    }
  }
  return STATUS_OK;
}

Status types_check_templates(const TypeRules *types, const char *path, const GroupFile *groups) {
  const char *names[DATA_MAX_TYPES + 2] = {"default"};
  for (size_t i = 0; i < types->count; i++) names[i + 1] = types->rules[i].name;
  for (size_t t = 0; t < groups->template_count && !groups->built_in; t++) {
    const char *type = groups->templates[t].type;
    bool known = false;
    for (size_t i = 0; names[i] != NULL; i++) known = known || strcmp(names[i], type) == 0;
    if (known) continue;
    const char *near = str_nearest(type, names);
    return status_fail(STATUS_INPUT, "%s: \"templates\" has the type \"%.64s\", which is not in %s%s%s%s",
                       groups->path, type, path != NULL && path[0] != '\0' ? path : BUILT_IN,
                       near != NULL ? "; did you mean \"" : "", near != NULL ? near : "",
                       near != NULL ? "\"?" : "");
  }
  return STATUS_OK;
}
