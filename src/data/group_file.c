// Reading group files. Rule: loading checks the whole file, so code that uses it later checks nothing again;
// every message names the file and the key.
#include "group_read.h"

#include "configs.h"
#include "io/json.h"
#include "scripts.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_LISTS = 64, MAX_TEMPLATES = 256 };

static const char *const KEYS[] = {"attribute", "language", "groups",       "swaps", "names",
                                   "words",     "neutral",  "doubtful",     "lists", "articles",
                                   "templates", "comment",  "proper_names", "joins", NULL};
static const char *const ARTICLE_KEYS[] = {"plain", "vowel", "vowel_pattern", NULL};

Status group_check_keys(const GroupFile *g, const cJSON *object, const char *where,
                        const char *const *known) {
  for (const cJSON *child = object->child; child != NULL; child = child->next) {
    bool found = false;
    for (const char *const *k = known; *k != NULL; k++) found = found || strcmp(child->string, *k) == 0;
    if (found) continue;
    const char *near = str_nearest(child->string, known);
    return status_fail(STATUS_INPUT, "%s: %s has no key \"%.64s\"%s%s%s; docs/GROUPS.md has the format",
                       g->path, where, child->string, near != NULL ? "; did you mean \"" : "",
                       near != NULL ? near : "", near != NULL ? "\"" : "");
  }
  return STATUS_OK;
}

Status group_text(const GroupFile *g, const cJSON *value, const char *where, size_t limit, const char **out) {
  if (!cJSON_IsString(value) || value->valuestring[0] == '\0')
    return status_fail(STATUS_INPUT, "%s: %s must be a text and not empty", g->path, where);
  if (strlen(value->valuestring) > limit)
    return status_fail(STATUS_INPUT, "%s: %s: \"%.40s…\" is longer than %zu bytes", g->path, where,
                       value->valuestring, limit);
  *out = value->valuestring;
  return STATUS_OK;
}

int group_index(const GroupFile *g, const char *name) {
  for (size_t i = 0; i < g->count; i++)
    if (strcmp(g->names[i], name) == 0) return (int)i;
  return -1;
}

/// A language, and what may follow it in a BCP 47 tag: "zh", "pt-BR", "zh-Hant".
static bool is_language_tag(const char *tag) {
  size_t letters = strspn(tag, "abcdefghijklmnopqrstuvwxyz");
  if (letters < 2 || letters > 3) return false;
  if (tag[letters] == '\0') return true;
  static const char rest[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
  return tag[letters] == '-' && strspn(tag + letters, rest) == strlen(tag + letters) && strlen(tag) <= 35;
}

static Status read_language(GroupFile *g) {
  if (!json_has(g->json, "language")) return STATUS_OK;
  TRY(json_get_string(g->json, "language", g->path, &g->language));
  if (is_language_tag(g->language)) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s: \"language\": \"%.40s\" is not a language tag such as \"en\", \"zh\" or \"pt-BR\"",
                     g->path, g->language);
}

static Status read_groups(GroupFile *g) {
  TRY(json_get_string(g->json, "attribute", g->path, &g->attribute));
  const cJSON *names = NULL;
  TRY(json_get_array(g->json, "groups", g->path, &names));
  int count = cJSON_GetArraySize(names);
  if (count < 2 || count > DATA_MAX_GROUPS)
    return status_fail(STATUS_INPUT, "%s: \"groups\" lists %d groups; 2 to %d can be compared", g->path,
                       count, DATA_MAX_GROUPS);
  for (const cJSON *name = names->child; name != NULL; name = name->next) {
    const char *text = NULL;
    TRY(group_text(g, name, "\"groups\"", MAX_WORD_BYTES, &text));
    if (utf8_has_control(text))
      return status_fail(STATUS_INPUT, "%s: a name of \"groups\" has a control character", g->path);
    if (group_index(g, text) >= 0)
      return status_fail(STATUS_INPUT, "%s: \"groups\" names \"%s\" twice", g->path, text);
    g->names[g->count++] = text;
  }
  return STATUS_OK;
}

static int by_text(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static Status read_lists(GroupFile *g) {
  if (!json_has(g->json, "lists")) return STATUS_OK;
  const cJSON *lists = NULL;
  TRY(json_get_object(g->json, "lists", g->path, &lists));
  int count = cJSON_GetArraySize(lists);
  if (count > MAX_LISTS) return status_fail(STATUS_INPUT, "%s: more than %d \"lists\"", g->path, MAX_LISTS);
  TRY(mem_array(&g->lists, (size_t)count, "word lists"));
  for (const cJSON *item = lists->child; item != NULL; item = item->next) {
    WordList *list = &g->lists[g->list_count++];
    list->name = item->string;
    int words = cJSON_GetArraySize(item);
    if (!cJSON_IsArray(item) || words == 0 || words > MAX_WORDS)
      return status_fail(STATUS_INPUT, "%s: \"lists\": \"%.64s\" must be a list of 1 to %d words", g->path,
                         item->string, MAX_WORDS);
    TRY(mem_array(&list->words, (size_t)words, "word list"));
    for (const cJSON *word = item->child; word != NULL; word = word->next) {
      const char *text = NULL;
      TRY(group_text(g, word, "a word of \"lists\"", MAX_WORD_BYTES, &text));
      TRY(status_context(word_fold(text, strlen(text), &list->words[list->count]), "%s: \"lists\"", g->path));
      list->count++;
    }
    qsort(list->words, list->count, sizeof *list->words, by_text);
  }
  return STATUS_OK;
}

Status group_list(const GroupFile *g, const cJSON *name, const char *where, const WordList **out) {
  const char *text = NULL;
  TRY(group_text(g, name, where, MAX_WORD_BYTES, &text));
  for (size_t i = 0; i < g->list_count; i++) {
    *out = &g->lists[i];
    if (strcmp((*out)->name, text) == 0) return STATUS_OK;
  }
  return status_fail(STATUS_INPUT, "%s: %s names the list \"%s\", which is not in \"lists\"", g->path, where,
                     text);
}

Status group_add_word(GroupFile *g, const char *word, WordKind kind, int group, const SwapRow *row) {
  if (g->entry_count >= MAX_WORDS)
    return status_fail(STATUS_INPUT, "%s: more than %d words", g->path, MAX_WORDS);
  TRY(mem_reserve(&g->entries, &g->entry_capacity, g->entry_count + 1, "group words"));
  WordEntry *entry = &g->entries[g->entry_count];
  TRY(status_context(word_fold(word, strlen(word), &entry->key), "%s: the word \"%s\"", g->path, word));
  *entry = (WordEntry){entry->key, word, g->entry_count, kind, group, row};
  g->entry_count++;
  return STATUS_OK;
}

/// The words of a list, which has the key `where`.
static Status read_word_list(GroupFile *g, const cJSON *list, const char *where, WordKind kind, int group) {
  for (const cJSON *word = list->child; word != NULL; word = word->next) {
    const char *text = NULL;
    TRY(group_text(g, word, where, MAX_WORD_BYTES, &text));
    TRY(group_add_word(g, text, kind, group, NULL));
  }
  return STATUS_OK;
}

static Status read_words(GroupFile *g) {
  if (!json_has(g->json, "words")) return STATUS_OK;
  const cJSON *words = NULL;
  TRY(json_get_object(g->json, "words", g->path, &words));
  for (const cJSON *list = words->child; list != NULL; list = list->next) {
    int group = group_index(g, list->string);
    if (group < 0 || !cJSON_IsArray(list))
      return status_fail(STATUS_INPUT, "%s: \"words\": \"%.64s\" must be one of the \"groups\", with a list",
                         g->path, list->string);
    TRY(read_word_list(g, list, "a word of \"words\"", WORD_NAMES, group));
  }
  return STATUS_OK;
}

static Status read_groupless_words(GroupFile *g, const char *key, const char *where, WordKind kind) {
  if (!json_has(g->json, key)) return STATUS_OK;
  const cJSON *list = NULL;
  TRY(json_get_array(g->json, key, g->path, &list));
  return read_word_list(g, list, where, kind, -1);
}

static int by_key(const void *a, const void *b) {
  const WordEntry *x = a, *y = b;
  int order = strcmp(x->key, y->key);
  return order != 0 ? order : (x->order > y->order) - (x->order < y->order);
}

static bool has_group_words(const GroupFile *g) {
  for (size_t i = 0; i < g->entry_count; i++)
    if (g->entries[i].group >= 0) return true;
  return false;
}

/// What a word stands for, for a message.
static const char *meaning(const GroupFile *g, const WordEntry *entry) {
  if (entry->group >= 0) return g->names[entry->group];
  return entry->kind == WORD_NEUTRAL ? "neutral" : "doubtful";
}

/// Adds the words that rows with "from" swap to, unless a word of the file is in them.
static Status add_partners(GroupFile *g) {
  for (size_t r = 0; r < g->row_count; r++) {
    const SwapRow *row = &g->rows[r];
    for (size_t group = 0; group < g->count && row->from >= 0 && !row->keep; group++) {
      bool known = false;
      TRY(pattern_matches(g->pattern, row->words[group], strlen(row->words[group]), &known));
      if (!known) TRY(group_add_word(g, row->words[group], WORD_PARTNER, -1, row));
    }
  }
  return STATUS_OK;
}

static Status index_words(GroupFile *g) {
  if (!has_group_words(g))
    return status_fail(STATUS_INPUT, "%s: no word names a group: give \"swaps\", \"names\" or \"words\"",
                       g->path);
  qsort(g->entries, g->entry_count, sizeof *g->entries, by_key);
  for (size_t i = 1; i < g->entry_count; i++) {
    const WordEntry *a = &g->entries[i - 1], *b = &g->entries[i];
    if (strcmp(a->key, b->key) == 0 && strcmp(meaning(g, a), meaning(g, b)) != 0)
      return status_fail(STATUS_INPUT, "%s: the word \"%s\" names both \"%s\" and \"%s\"", g->path, b->as,
                         meaning(g, a), meaning(g, b));
  }
  size_t own = g->entry_count;
  TRY(word_pattern(g->entries, g->entry_count, g->path, &g->pattern));
  TRY(add_partners(g));
  if (g->entry_count == own) return STATUS_OK;
  qsort(g->entries, g->entry_count, sizeof *g->entries, by_key);
  pcre2_code_free(g->pattern);
  g->pattern = NULL;
  return word_pattern(g->entries, g->entry_count, g->path, &g->pattern);
}

static Status read_articles(GroupFile *g) {
  if (!json_has(g->json, "articles")) return STATUS_OK;
  const cJSON *articles = NULL;
  const char *pattern = NULL;
  TRY(json_get_object(g->json, "articles", g->path, &articles));
  TRY(group_check_keys(g, articles, "\"articles\"", ARTICLE_KEYS));
  TRY(json_get_string(articles, "plain", g->path, &g->article));
  TRY(json_get_string(articles, "vowel", g->path, &g->vowel_article));
  TRY(json_get_string(articles, "vowel_pattern", g->path, &pattern));
  Str where = {0};
  Status status = str_append_format(&where, "%s: \"vowel_pattern\"", g->path);
  if (status == STATUS_OK) status = pattern_compile(pattern, PCRE2_CASELESS, str_text(&where), &g->vowel);
  str_free(&where);
  return status;
}

/// Groups with the same text would get the same prompt, and a gap of 0 whatever the model does.
static Status check_template_differs(const GroupFile *g, const TemplateList *list, size_t group) {
  const char *const *row = &list->texts[list->count * g->count];
  for (size_t other = 0; other < group; other++)
    if (strcmp(row[other], row[group]) == 0)
      return status_fail(STATUS_INPUT,
                         "%s: template %zu of \"%s\", \"%.60s\", is the same for \"%s\" and \"%s\"; it must "
                         "tell every group from the others",
                         g->path, list->count + 1, list->type, row[group], g->names[other], g->names[group]);
  return STATUS_OK;
}

static Status read_template_list(GroupFile *g, const cJSON *item, TemplateList *list) {
  int count = cJSON_GetArraySize(item);
  if (!cJSON_IsArray(item) || count < 1 || count > MAX_TEMPLATES)
    return status_fail(STATUS_INPUT, "%s: \"templates\": \"%.64s\" must list 1 to %d templates", g->path,
                       item->string, MAX_TEMPLATES);
  list->type = item->string;
  TRY(mem_array(&list->texts, (size_t)count * g->count, "templates"));
  for (const cJSON *row = item->child; row != NULL; row = row->next, list->count++) {
    if (!cJSON_IsArray(row) || cJSON_GetArraySize(row) != (int)g->count)
      return status_fail(STATUS_INPUT, "%s: template %zu of \"%s\" must list %zu texts, one per group",
                         g->path, list->count + 1, list->type, g->count);
    size_t group = 0;
    for (const cJSON *text = row->child; text != NULL; text = text->next, group++) {
      const char **slot = &list->texts[list->count * g->count + group];
      TRY(group_text(g, text, "a template", 4096, slot));
      const char *first = strstr(*slot, "{prompt}");
      if (first == NULL || strstr(first + 1, "{prompt}") != NULL)
        return status_fail(STATUS_INPUT, "%s: the template \"%.60s\" must have {prompt} once", g->path,
                           *slot);
      TRY(check_template_differs(g, list, group));
    }
  }
  return STATUS_OK;
}

static Status read_templates(GroupFile *g) {
  const cJSON *templates = NULL;
  TRY(json_get_object(g->json, "templates", g->path, &templates));
  int count = cJSON_GetArraySize(templates);
  if (count > DATA_MAX_TYPES + 1)
    return status_fail(STATUS_INPUT, "%s: \"templates\" has %d types; at most %d", g->path, count,
                       DATA_MAX_TYPES + 1);
  TRY(mem_array(&g->templates, (size_t)count, "templates"));
  for (const cJSON *item = templates->child; item != NULL; item = item->next)
    TRY(read_template_list(g, item, &g->templates[g->template_count++]));
  if (templates_for(g, "default") == NULL)
    return status_fail(STATUS_INPUT, "%s: \"templates\" must have \"default\"", g->path);
  return STATUS_OK;
}

static Status read_list_name(GroupFile *g, const char *key, const WordList **out) {
  const cJSON *name = cJSON_GetObjectItemCaseSensitive(g->json, key);
  return name != NULL ? group_list(g, name, key, out) : STATUS_OK;
}

/// Adds the scripts of `text` to the file's.
static Status add_scripts(GroupFile *g, const char *text) {
  size_t counts[SCRIPT_COUNT] = {0};
  TRY(scripts_count(g->script_runs, text, strlen(text), counts));
  for (size_t s = 0; s < SCRIPT_COUNT; s++)
    if (counts[s] > 0) g->scripts |= (uint64_t)1 << s;
  return STATUS_OK;
}

/// The placeholder {prompt} of a template is no text of its language.
static Status add_template_scripts(GroupFile *g, const char *text) {
  Str plain = {0};
  Status status = STATUS_OK;
  const char *slot = strstr(text, "{prompt}");
  TRY_CLEAN(str_append(&plain, text, (size_t)(slot - text)));
  TRY_CLEAN(str_append_text(&plain, slot + strlen("{prompt}")));
  TRY_CLEAN(add_scripts(g, str_text(&plain)));
cleanup:
  str_free(&plain);
  return status;
}

static Status find_scripts(GroupFile *g) {
  TRY(scripts_compile(&g->script_runs));
  for (size_t i = 0; i < g->entry_count; i++) TRY(add_scripts(g, g->entries[i].as));
  for (size_t i = 0; i < g->template_count; i++) {
    const TemplateList *list = &g->templates[i];
    for (size_t t = 0; t < list->count * g->count; t++) TRY(add_template_scripts(g, list->texts[t]));
  }
  return STATUS_OK;
}

static Status read_group_file(GroupFile *g) {
  if (!cJSON_IsObject(g->json))
    return status_fail(STATUS_INPUT, "%s: a group file is a JSON object", g->path);
  TRY(group_check_keys(g, g->json, "a group file", KEYS));
  TRY(read_language(g));
  TRY(read_groups(g));
  TRY(read_lists(g));
  TRY(read_list_name(g, "proper_names", &g->common));
  TRY(read_list_name(g, "joins", &g->joins));
  TRY(group_read_rows(g));
  TRY(read_words(g));
  TRY(read_groupless_words(g, "neutral", "a word of \"neutral\"", WORD_NEUTRAL));
  TRY(read_groupless_words(g, "doubtful", "a word of \"doubtful\"", WORD_DOUBTFUL));
  TRY(index_words(g));
  TRY(read_articles(g));
  TRY(read_templates(g));
  return find_scripts(g);
}

enum { MAX_BUILT_IN = 64 };

/// No file of that name is built in: says which are, and which of them is meant.
static Status fail_built_in(const char *name) {
  char *names[MAX_BUILT_IN + 1] = {NULL};
  size_t count = 0;
  Str known = {0};
  Status status = STATUS_OK;
  for (const EmbeddedConfig *c = embedded_configs; c->name != NULL && count < MAX_BUILT_IN; c++) {
    if (!str_starts(c->name, "groups/")) continue;
    const char *start = c->name + strlen("groups/");
    TRY_CLEAN(str_copy(&names[count++], start, strlen(start) - strlen(".json")));
    TRY_CLEAN(str_append_format(&known, "%s%s", known.size > 0 ? ", " : "", names[count - 1]));
  }
  const char *nearest = str_nearest(name, (const char *const *)names);
  status = status_fail(
      STATUS_INPUT,
      "groups.file = %s: built in are %s%s%s%s; for a file of your own give its path, ending in .json", name,
      str_text(&known), nearest != NULL ? " (did you mean " : "", nearest != NULL ? nearest : "",
      nearest != NULL ? "?)" : "");
cleanup:
  for (size_t i = 0; i < count; i++) free(names[i]);
  str_free(&known);
  return status;
}

static Status parse_group_file(GroupFile *g) {
  char *name = NULL;
  TRY(str_format(&name, "groups/%s.json", g->path));
  const char *text = config_find(name);
  free(name);
  g->built_in = text != NULL;
  if (g->built_in) return json_parse(text, strlen(text), g->path, &g->json);
  if (strchr(g->path, '/') == NULL && !str_ends(g->path, ".json")) return fail_built_in(g->path);
  return json_parse_file(g->path, &g->json);
}

Status groups_load(const char *name_or_path, GroupFile **out) {
  GroupFile *g = NULL;
  Status status = STATUS_OK;
  *out = NULL;
  if (name_or_path == NULL || name_or_path[0] == '\0')
    return status_fail(
        STATUS_INPUT,
        "groups.file is empty: set gender, race, age, gender-zh, ... or the path of a group file");
  TRY(mem_array(&g, 1, "group file"));
  TRY_CLEAN(str_copy(&g->path, name_or_path, strlen(name_or_path)));
  TRY_CLEAN(parse_group_file(g));
  TRY_CLEAN(read_group_file(g));
  *out = g;
  return STATUS_OK;
cleanup:
  groups_free(g);
  return status;
}

void groups_free(GroupFile *g) {
  if (g == NULL) return;
  for (size_t i = 0; i < g->list_count; i++) {
    for (size_t j = 0; j < g->lists[i].count; j++) free(g->lists[i].words[j]);
    free(g->lists[i].words);
  }
  for (size_t i = 0; i < g->entry_count; i++) free(g->entries[i].key);
  for (size_t i = 0; i < g->template_count; i++) free(g->templates[i].texts);
  free(g->lists);
  free(g->rows);
  free(g->entries);
  free(g->templates);
  pcre2_code_free(g->vowel);
  pcre2_code_free(g->pattern);
  pcre2_code_free(g->script_runs);
  cJSON_Delete(g->json);
  free(g->path);
  free(g);
}
