// PEFT's matching of modules. Rule: the order of the questions is PEFT's, because the first answer counts.
#include "lora_rules.h"

#include "python_regex.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/// A key that is a list of names or one regular expression.
typedef struct NameSet {
  const cJSON *list;  // NULL: none
  PythonRegex *regex; // NULL: none
} NameSet;

typedef struct RegexList {
  PythonRegex **items;
  size_t count;
} RegexList;

/// rank_pattern or alpha_pattern: the first key that matches gives the value.
typedef struct PatternTable {
  RegexList keys;
  const cJSON *values; // an object, its members in the order of `keys`
  double usual;        // of modules that no key matches
} PatternTable;

struct LoraRules {
  const char *path;
  NameSet targets, excluded;
  bool all_linear;
  const cJSON *saved;    // list of names
  RegexList saved_regex; // the same names where PEFT takes them for regular expressions
  const cJSON *layers;   // a number or a list of numbers; NULL: all
  RegexList layer_patterns;
  PatternTable rank, alpha;
};

// ---- reading ----

static void regex_list_free(RegexList *list) {
  for (size_t i = 0; list->items != NULL && i < list->count; i++) python_regex_free(list->items[i]);
  free(list->items);
}

void lora_rules_free(LoraRules *rules) {
  if (rules == NULL) return;
  python_regex_free(rules->targets.regex);
  python_regex_free(rules->excluded.regex);
  regex_list_free(&rules->saved_regex);
  regex_list_free(&rules->layer_patterns);
  regex_list_free(&rules->rank.keys);
  regex_list_free(&rules->alpha.keys);
  free(rules);
}

/// *out = the value of `key`; NULL if it is missing, null or an empty list or text, which all mean "none".
static Status get_names(const cJSON *json, const char *key, const char *path, const cJSON **out) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, key);
  *out = NULL;
  if (value == NULL || cJSON_IsNull(value)) return STATUS_OK;
  bool known = cJSON_IsString(value) || cJSON_IsArray(value);
  const cJSON *item = cJSON_IsArray(value) ? value->child : NULL;
  for (; item != NULL; item = item->next) known = known && cJSON_IsString(item);
  if (!known)
    return status_fail(STATUS_INPUT, "%s: \"%s\" must be a list of names or a regular expression", path, key);
  bool empty = cJSON_IsString(value) ? value->valuestring[0] == '\0' : value->child == NULL;
  if (!empty) *out = value;
  return STATUS_OK;
}

static Status read_set(const cJSON *json, const char *key, const char *path, NameSet *out) {
  const cJSON *value = NULL;
  TRY(get_names(json, key, path, &value));
  if (value == NULL || cJSON_IsArray(value)) {
    out->list = value;
    return STATUS_OK;
  }
  PythonPattern pattern = {"", value->valuestring, "", true};
  return python_regex_compile(&pattern, path, &out->regex);
}

/// Compiles the texts of a list, or the keys of an object, or one text.
static Status read_regexes(const cJSON *value, const PythonPattern *frame, const char *path, RegexList *out) {
  if (value == NULL) return STATUS_OK;
  bool single = cJSON_IsString(value);
  const cJSON *item = single ? value : value->child;
  size_t count = single ? 1 : (size_t)cJSON_GetArraySize(value);
  TRY(mem_array(&out->items, count, "the patterns of an adapter"));
  for (; item != NULL && out->count < count; item = item->next) {
    PythonPattern pattern = *frame;
    pattern.pattern = cJSON_IsObject(value) ? item->string : item->valuestring;
    TRY(python_regex_compile(&pattern, path, &out->items[out->count]));
    out->count++;
  }
  return STATUS_OK;
}

static Status read_patterns(const cJSON *json, const char *key, const char *path, PatternTable *out) {
  static const PythonPattern frame = {"(.*\\.)?(", NULL, ")$", false};
  if (!json_has(json, key)) return STATUS_OK;
  const cJSON *item = NULL;
  TRY(json_get_object(json, key, path, &out->values));
  cJSON_ArrayForEach(item, out->values) {
    if (!cJSON_IsNumber(item))
      return status_fail(STATUS_INPUT, "%s: \"%s\" holds something that is not a number", path, key);
  }
  return read_regexes(out->values, &frame, path, &out->keys);
}

/// How the number of the layer is found in a module's name: PEFT's own pattern unless layers_pattern is
/// given.
static Status read_layer_patterns(const cJSON *json, LoraRules *rules) {
  static const PythonPattern frame = {"(?:^|.*?\\.)", NULL, "\\.(?P<idx>\\d+)\\.", false};
  static const PythonPattern usual = {".*?\\.", NULL, "\\.(?P<idx>\\d+)\\.", false};
  cJSON any = {.type = cJSON_String, .valuestring = (char[]){"[^.]*"}};
  const cJSON *patterns = NULL;
  TRY(get_names(json, "layers_pattern", rules->path, &patterns));
  if (patterns != NULL && !json_has(json, "layers_to_transform")) {
    return status_fail(STATUS_INPUT, "%s: \"layers_pattern\" means nothing without \"layers_to_transform\"",
                       rules->path);
  }
  if (rules->layers == NULL) return STATUS_OK;
  return read_regexes(patterns != NULL ? patterns : &any, patterns != NULL ? &frame : &usual, rules->path,
                      &rules->layer_patterns);
}

static Status read_layers(const cJSON *json, LoraRules *rules) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "layers_to_transform");
  if (value == NULL || cJSON_IsNull(value)) return read_layer_patterns(json, rules);
  bool known = cJSON_IsNumber(value) || cJSON_IsArray(value);
  const cJSON *item = cJSON_IsArray(value) ? value->child : NULL;
  for (; item != NULL; item = item->next) known = known && cJSON_IsNumber(item);
  if (!known) {
    return status_fail(STATUS_INPUT, "%s: \"layers_to_transform\" must be a number or a list of numbers",
                       rules->path);
  }
  if (rules->targets.regex != NULL || rules->all_linear) {
    return status_fail(
        STATUS_INPUT, "%s: \"layers_to_transform\" needs a list of names in \"target_modules\"", rules->path);
  }
  if (cJSON_IsNumber(value) || value->child != NULL) rules->layers = value;
  return read_layer_patterns(json, rules);
}

static Status read_targets(const cJSON *json, LoraRules *rules) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, "target_modules");
  rules->all_linear = cJSON_IsString(value) && strcasecmp(value->valuestring, "all-linear") == 0;
  if (rules->all_linear) return STATUS_OK;
  TRY(read_set(json, "target_modules", rules->path, &rules->targets));
  if (rules->targets.list != NULL || rules->targets.regex != NULL) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"target_modules\" names no module; list those that have adapters",
                     rules->path);
}

static Status read_saved(const cJSON *json, LoraRules *rules) {
  static const PythonPattern frame = {"(^|.*\\.)", NULL, "($|\\..*)", false};
  TRY(get_names(json, "modules_to_save", rules->path, &rules->saved));
  if (cJSON_IsString(rules->saved))
    return status_fail(STATUS_INPUT, "%s: \"modules_to_save\" must be a list of names", rules->path);
  return read_regexes(rules->saved, &frame, rules->path, &rules->saved_regex);
}

static Status read_all(const cJSON *json, LoraRules *rules) {
  int64_t rank = 0;
  TRY(json_get_integer(json, "r", rules->path, 1, INT32_MAX, &rank));
  rules->rank.usual = (double)rank;
  TRY(json_get_number(json, "lora_alpha", rules->path, &rules->alpha.usual));
  TRY(read_targets(json, rules));
  TRY(read_set(json, "exclude_modules", rules->path, &rules->excluded));
  TRY(read_saved(json, rules));
  TRY(read_layers(json, rules));
  TRY(read_patterns(json, "rank_pattern", rules->path, &rules->rank));
  return read_patterns(json, "alpha_pattern", rules->path, &rules->alpha);
}

Status lora_rules_read(const cJSON *json, const char *path, LoraRules **out) {
  *out = NULL;
  LoraRules *rules = NULL;
  TRY(mem_array(&rules, 1, "the rules of an adapter"));
  rules->path = path;
  Status status = read_all(json, rules);
  if (status == STATUS_OK) {
    *out = rules;
  } else {
    lora_rules_free(rules);
  }
  return status;
}

// ---- answering ----

static Status matches(const PythonRegex *regex, const char *module, bool *out) {
  return python_regex_match(regex, module, NULL, out, NULL, NULL);
}

static bool is_in_list(const cJSON *list, const char *module) {
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, list) {
    if (strcmp(item->valuestring, module) == 0) return true;
  }
  return false;
}

/// True if the module is an entry of the list, or ends with '.' and an entry.
static bool ends_in_list(const cJSON *list, const char *module) {
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, list) {
    size_t size = strlen(module), tail = strlen(item->valuestring);
    if (size > tail && module[size - tail - 1] == '.' && strcmp(module + size - tail, item->valuestring) == 0)
      return true;
  }
  return is_in_list(list, module);
}

static Status set_contains(const NameSet *set, const char *module, bool *out) {
  *out = ends_in_list(set->list, module);
  return set->regex == NULL ? STATUS_OK : matches(set->regex, module, out);
}

static Status any_matches(const RegexList *list, const char *module, bool *out) {
  *out = false;
  for (size_t i = 0; i < list->count && !*out; i++) TRY(matches(list->items[i], module, out));
  return STATUS_OK;
}

static Status is_chosen_layer(const LoraRules *rules, const char *module, bool *out) {
  const cJSON *layers = rules->layers;
  size_t start = 0, size = 0;
  bool numbered = false;
  *out = layers == NULL;
  if (layers == NULL) return STATUS_OK;
  for (size_t i = 0; i < rules->layer_patterns.count && !numbered; i++)
    TRY(python_regex_match(rules->layer_patterns.items[i], module, "idx", &numbered, &start, &size));
  if (!numbered) return STATUS_OK;
  double index = strtod(module + start, NULL);
  if (cJSON_IsNumber(layers)) *out = layers->valuedouble == index;
  const cJSON *item = cJSON_IsArray(layers) ? layers->child : NULL;
  for (; item != NULL && !*out; item = item->next) *out = item->valuedouble == index;
  return STATUS_OK;
}

Status lora_rules_adapt(const LoraRules *rules, const char *module, bool in_layer, bool *out) {
  bool excluded = false, saved = false;
  TRY(set_contains(&rules->excluded, module, &excluded));
  TRY(any_matches(&rules->saved_regex, module, &saved));
  *out = false;
  if (excluded || saved) return STATUS_OK;
  *out = rules->all_linear && in_layer;
  if (rules->all_linear) return STATUS_OK;
  TRY(set_contains(&rules->targets, module, out));
  // A name that is written whole is adapted whatever layers_to_transform says.
  if (!*out || is_in_list(rules->targets.list, module)) return STATUS_OK;
  return is_chosen_layer(rules, module, out);
}

static Status look_up(const PatternTable *table, const char *module, double *out) {
  const cJSON *value = table->values == NULL ? NULL : table->values->child;
  *out = table->usual;
  for (size_t i = 0; value != NULL && i < table->keys.count; i++, value = value->next) {
    bool found = false;
    TRY(matches(table->keys.items[i], module, &found));
    if (!found) continue;
    *out = value->valuedouble;
    return STATUS_OK;
  }
  return STATUS_OK;
}

Status lora_rules_sizes(const LoraRules *rules, const char *module, double *rank, double *alpha) {
  TRY(look_up(&rules->rank, module, rank));
  return look_up(&rules->alpha, module, alpha);
}

/// PEFT wraps every module whose name ends with an entry, even in the middle of a word, and saves all below
/// it.
bool lora_rules_save(const LoraRules *rules, const char *module) {
  const cJSON *item = NULL;
  cJSON_ArrayForEach(item, rules->saved) {
    size_t tail = strlen(item->valuestring);
    for (const char *end = module; end != NULL; end = strchr(end + 1, '.')) {
      if (end == module) continue;
      size_t size = (size_t)(end - module);
      if (size >= tail && strncmp(end - tail, item->valuestring, tail) == 0) return true;
    }
    if (str_ends(module, item->valuestring)) return true;
  }
  return false;
}
