// Reads, checks and renders a configuration by the table in config_keys.c. Rule: a value is checked when it
// is set, so a Config never holds what the table does not allow.
#include "config_ini.h"
#include "config_value.h"
#include "io/file.h"
#include "util/memory.h"
#include "wrap.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { WANDB_MAX_PROJECT = 128 };

static void *field_of(Config *config, const ConfigKey *key) {
  return (char *)config + key->offset;
}

/// Checks `text` and stores its value. The Config owns a copy of the text; a KEY_TEXT field points at it.
static Status set_value(Config *config, const ConfigKey *key, const char *text) {
  void *field = field_of(config, key);
  char *copy = NULL;
  TRY(config_parse_value(key, text, field));
  TRY(config_copy_value(key, text, &copy));
  size_t slot = (size_t)(key - config_keys);
  free(config->texts[slot]);
  config->texts[slot] = copy;
  if (key->type == KEY_TEXT || key->type == KEY_LINES) *(const char **)field = copy[0] != '\0' ? copy : NULL;
  return STATUS_OK;
}

// ---- finding a key ----

const ConfigKey *config_find_key(const char *section, const char *name) {
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    if (strcmp(key->section, section) == 0 && strcmp(key->name, name) == 0) return key;
  }
  return NULL;
}

static bool section_exists(const char *section) {
  if (strcmp(section, TASK_WEIGHTS) == 0) return true;
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    if (strcmp(key->section, section) == 0) return true;
  }
  return false;
}

static Status fail_section(const char *section) {
  const char *words[CONFIG_MAX_KEYS + 2] = {TASK_WEIGHTS};
  size_t count = 1;
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) words[count++] = key->section;
  const char *nearest = str_nearest(section, words);
  if (nearest == NULL)
    return status_fail(STATUS_INPUT, "unknown section [%.100s]; gee-cl train --help-config lists them",
                       section);
  return status_fail(STATUS_INPUT, "unknown section [%.100s]; did you mean [%s]?", section, nearest);
}

static Status fail_key(const char *section, const char *name) {
  const char *here[CONFIG_MAX_KEYS + 1] = {NULL}, *anywhere[CONFIG_MAX_KEYS + 1] = {NULL};
  size_t here_count = 0, count = 0;
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    if (strcmp(key->name, name) == 0)
      return status_fail(STATUS_INPUT, "unknown key %s.%s; %s is in section [%s]: %s.%s", section, name, name,
                         key->section, key->section, name);
    if (strcmp(key->section, section) == 0) here[here_count++] = key->name;
    anywhere[count++] = key->name;
  }
  const char *nearest = str_nearest(name, here);
  if (nearest != NULL)
    return status_fail(STATUS_INPUT, "unknown key %s.%.100s; did you mean %s.%s?", section, name, section,
                       nearest);
  nearest = str_nearest(name, anywhere);
  for (const ConfigKey *key = config_keys; nearest != NULL && key->section != NULL; key++) {
    if (strcmp(key->name, nearest) == 0)
      return status_fail(STATUS_INPUT, "unknown key %s.%.100s; did you mean %s.%s?", section, name,
                         key->section, nearest);
  }
  return status_fail(STATUS_INPUT, "unknown key %s.%.100s; gee-cl train --help-config lists them all",
                     section, name);
}

/// Whether an .ini reads the name back unchanged, in front of a "=".
static bool is_type_name(const char *type) {
  size_t size = strlen(type);
  if (size == 0 || size > 64 || strchr(" \t", type[0]) != NULL || strchr(" \t", type[size - 1]) != NULL)
    return false;
  for (const char *c = type; *c != '\0'; c++) {
    if ((unsigned char)*c < ' ' || strchr("=:;#[]", *c) != NULL) return false;
  }
  return true;
}

static Status set_task_weight(Config *config, const char *type, const char *text) {
  char *end = NULL;
  if (!is_type_name(type))
    return status_fail(STATUS_INPUT,
                       TASK_WEIGHTS
                       ": \"%.100s\" cannot be a prompt type; a name has 1 to 64 bytes, none of =:;#[] and "
                       "no blanks at its ends",
                       type);
  double weight = strtod(text, &end);
  if (end == text || *end != '\0' || !isfinite(weight) || weight < 0)
    return status_fail(STATUS_INPUT, TASK_WEIGHTS ".%.100s is \"%.200s\"; it must be a number from 0", type,
                       text);
  for (size_t i = 0; i < config->task_weight_count; i++) {
    if (strcmp(config->task_weights[i].type, type) == 0) {
      config->task_weights[i].weight = weight;
      return STATUS_OK;
    }
  }
  TRY(mem_reserve(&config->task_weights, &config->task_weight_capacity, config->task_weight_count + 1,
                  "the task weights"));
  char *name = NULL;
  TRY(str_copy(&name, type, strlen(type)));
  config->task_weights[config->task_weight_count++] = (TaskWeight){name, weight};
  return STATUS_OK;
}

/// `line` > 0: the text comes from a file, where each key may appear once; 0: from elsewhere.
static Status set_key(Config *config, const char *section, const char *name, const char *text, int line) {
  if (section[0] == '\0') return status_fail(STATUS_INPUT, "key \"%.100s\" comes before any [section]", name);
  if (!section_exists(section)) return fail_section(section);
  if (strcmp(section, TASK_WEIGHTS) == 0) return set_task_weight(config, name, text);
  const ConfigKey *key = config_find_key(section, name);
  if (key == NULL) return fail_key(section, name);
  int *first = &config->lines[key - config_keys];
  if (line > 0 && *first > 0)
    return status_fail(STATUS_INPUT, "%s.%s is set twice, first in line %d", section, name, *first);
  TRY(set_value(config, key, text));
  *first = line > 0 ? line : GIVEN_OUTSIDE;
  return STATUS_OK;
}

// ---- files ----

/// Files, and pipes as a shell's <(...) gives; a device may have no end.
static bool can_be_config(FILE *file) {
  struct stat info;
  return fstat(fileno(file), &info) == 0 && (S_ISREG(info.st_mode) || S_ISFIFO(info.st_mode));
}

/// Names the config that a run has left, if the path is the folder of a run or of one of its checkpoints.
static Status fail_no_config(const char *path) {
  static const char *const places[] = {"config.ini", "final/config.ini"};
  Status status = status_fail(STATUS_INPUT,
                              file_is_directory(path) ? "%s: is a folder; give a config, an .ini file"
                                                      : "%s: is not a regular file",
                              path);
  for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
    char *inside = NULL;
    TRY(path_join(&inside, path, places[i]));
    if (file_exists(inside))
      status = status_fail(STATUS_INPUT, "%s: is a folder; the config of its run is %s", path, inside);
    free(inside);
  }
  return status;
}

/// `line` is overwritten. section[INI_MAX_LINE + 1] = the section of the lines that follow.
static Status take_line(Config *config, char *line, int number, char *section) {
  IniLine parsed;
  TRY(ini_parse_line(line, &parsed));
  if (parsed.kind == INI_KEY) return set_key(config, section, parsed.name, parsed.value, number);
  if (parsed.kind == INI_NOTHING) return STATUS_OK;
  memcpy(section, parsed.name, strlen(parsed.name) + 1);
  return section_exists(section) ? STATUS_OK : fail_section(section);
}

static Status read_lines(Config *config, FILE *file, const char *path) {
  Str line = {0};
  char *section = NULL;
  bool more = true;
  Status status = STATUS_OK;
  TRY(mem_array(&section, INI_MAX_LINE + 1, "a section of the config"));
  for (int number = 1; status == STATUS_OK; number++) {
    status = ini_read_line(file, &line, &more);
    if (status == STATUS_OK && !more) break;
    // some editors begin a file with U+FEFF
    size_t mark = number == 1 && str_starts(str_text(&line), "\xEF\xBB\xBF") ? 3 : 0;
    if (status == STATUS_OK && line.size > 0) status = take_line(config, line.data + mark, number, section);
    status = status_context(status, "%s:%d", path, number);
  }
  str_free(&line);
  free(section);
  return status;
}

Status config_read(Config *config, const char *path) {
  FILE *file = fopen(path, "r");
  if (file == NULL)
    return status_fail(errno == ENOMEM ? STATUS_FAILED : STATUS_INPUT, "%s: cannot open the config: %s", path,
                       strerror(errno));
  if (!can_be_config(file)) {
    (void)fclose(file);
    return fail_no_config(path);
  }
  Status status = file_note_read(fileno(file));
  if (status == STATUS_OK) status = read_lines(config, file, path);
  if (status == STATUS_OK && ferror(file) != 0)
    status = status_fail(STATUS_INPUT, "%s: cannot read the config: %s", path, strerror(errno));
  (void)fclose(file);
  return status;
}

Status config_parse(Config *config, char *text, const char *name) {
  FILE *file = fmemopen(text, strlen(text), "r");
  if (file == NULL) return status_fail(STATUS_FAILED, "%s: no memory to read the config", name);
  Status status = read_lines(config, file, name);
  (void)fclose(file);
  return status;
}

Status config_set_by(Config *config, const char *option, const char *section, const char *name,
                     const char *value) {
  return status_context(set_key(config, section, name, value, 0), "%s", option);
}

Status config_set(Config *config, const char *assignment) {
  const char *dot = strchr(assignment, '.'), *equals = strchr(assignment, '=');
  if (dot == NULL || equals == NULL || dot > equals)
    return status_fail(STATUS_INPUT,
                       "--set %.200s: it must be section.key=value, as in --set train.max_steps=5",
                       assignment);
  char *section = NULL, *name = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(str_copy(&section, assignment, (size_t)(dot - assignment)));
  TRY_CLEAN(str_copy(&name, dot + 1, (size_t)(equals - dot - 1)));
  status = config_set_by(config, "--set", section, name, equals + 1);
cleanup:
  free(section);
  free(name);
  return status;
}

// ---- the whole ----

Status config_init(Config *config) {
  *config = (Config){0};
  for (const ConfigKey *key = config_keys; key->section != NULL; key++)
    TRY(set_value(config, key, key->fallback));
  return STATUS_OK;
}

void config_free(Config *config) {
  if (config == NULL) return;
  for (size_t i = 0; i < CONFIG_MAX_KEYS; i++) free(config->texts[i]);
  for (size_t i = 0; i < config->task_weight_count; i++)
    free((void *)(uintptr_t)config->task_weights[i].type);
  free(config->task_weights);
  *config = (Config){0};
}

static size_t count_characters(const char *text) {
  size_t count = 0;
  for (; *text != '\0'; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
  return count;
}

/// What W&B refuses, but only after the training, when the run is uploaded.
static Status check_wandb_project(const Config *config) {
  static const char refused[] = "/\\#?%:";
  const char *project = config->track.wandb_project;
  if (project == NULL ||
      (strpbrk(project, refused) == NULL && count_characters(project) <= WANDB_MAX_PROJECT))
    return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "track.wandb_project is \"%.200s\"; W&B takes a name of at most %d characters without "
                     "any of %s",
                     project, WANDB_MAX_PROJECT, refused);
}

Status config_finish(Config *config) {
  if (config->model.path == NULL)
    return status_fail(STATUS_INPUT, "model.path is not set; name a Hugging Face folder or a .gguf file");
  if (config->data.train == NULL && !config->data.use_test_data)
    return status_fail(STATUS_INPUT,
                       "data.train is not set; name a file of prompts, or set data.use_test_data = true");
  if (config->loss.anneal_min > config->loss.anneal_max)
    return status_fail(STATUS_INPUT, "loss.anneal_min is %g, above loss.anneal_max, which is %g",
                       (double)config->loss.anneal_min, (double)config->loss.anneal_max);
  const char *run = config->output.run_name;
  if (run == NULL || strchr(run, '/') != NULL || strcmp(run, ".") == 0 || strcmp(run, "..") == 0)
    return status_fail(STATUS_INPUT, "output.run_name is \"%s\"; it must be the plain name of a folder",
                       run != NULL ? run : "");
  if (config->output.save_root == NULL)
    return status_fail(STATUS_INPUT, "output.save_root is empty; name the folder of all runs, as in runs");
  if (config->mode == 0 && config->lora.targets == NULL)
    return status_fail(STATUS_INPUT, "lora.targets is empty; name matrices, as in q_proj,v_proj, or all");
  if (config->mode == 1 && config_dtype(config) != DTYPE_F32)
    return status_fail(STATUS_INPUT,
                       "train.mode = full trains the weights themselves, in float32: leave model.dtype out");
  if (config->mode == 1 && config_quantise(config) != DTYPE_STORED)
    return status_fail(STATUS_INPUT,
                       "train.mode = full trains the weights themselves and needs model.quantise = none");
  if (config->mode == 1 && config_compute(config) != COMPUTE_F32)
    return status_fail(STATUS_INPUT,
                       "train.mode = full leaves no weight frozen, for which model.compute = %s is: set "
                       "model.compute = f32",
                       compute_name(config_compute(config)));
  TRY(check_wandb_project(config));
  TRY(config_check_contradictions(config));
  config->train.full = config->mode == 1;
  config->data.seed = config->train.seed;
  if (config->loss.debias_only) config->loss.em_weight = 0;
  return STATUS_OK;
}

const char *config_given(const Config *config, const char *section, const char *name) {
  const ConfigKey *key = config_find_key(section, name);
  return key != NULL && config->lines[key - config_keys] != 0 ? config->texts[key - config_keys] : NULL;
}

Status config_render(const Config *config, Str *out) {
  const char *section = "";
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    if (strcmp(key->section, section) != 0)
      TRY(str_append_format(out, "%s[%s]\n", section[0] != '\0' ? "\n" : "", key->section));
    section = key->section;
    TRY(str_append_format(out, "%s = ", key->name));
    TRY(ini_append_value(config->texts[key - config_keys], out));
    TRY(str_append_text(out, "\n"));
  }
  if (config->task_weight_count > 0) TRY(str_append_text(out, "\n[" TASK_WEIGHTS "]\n"));
  for (size_t i = 0; i < config->task_weight_count; i++)
    TRY(str_append_format(out, "%s = %.17g\n", config->task_weights[i].type, config->task_weights[i].weight));
  return STATUS_OK;
}

/// Appends `text` as comment lines of at most TEXT_COLUMNS.
static Status append_comment(Str *out, const char *text) {
  TRY(str_append_text(out, "# "));
  TRY(wrap_append(out, text, 2, "# ", TEXT_COLUMNS));
  return str_append_text(out, "\n");
}

static Status append_allowed(Str *out, const ConfigKey *key) {
  if (key->choices != NULL) return str_append_format(out, "# one of: %s\n", key->choices);
  if (key->type == KEY_BOOL) return str_append_text(out, "# true or false\n");
  if (key->type != KEY_SIZE && key->type != KEY_NUMBER) return STATUS_OK;
  const char *kind = key->type == KEY_SIZE ? "whole number" : "number";
  return str_append_format(out, "# %s from %.10g to %.10g\n", kind, key->low, key->high);
}

/// Appends what --resume does if the value differs.
static Status append_effect(Str *out, const ConfigKey *key) {
  const KeyEffect *effect = &key->effect;
  const char *words[] = {[EFFECT_DECIDES] = "must stay the same",
                         [EFFECT_EXTENDS] = "must stay the same; --extend allows a larger value",
                         [EFFECT_LEADS] = "may change if this stays the same",
                         [EFFECT_ROUNDS] = "may change, but rounds differently",
                         [EFFECT_FREE] = "may change"};
  TRY(str_append_format(out, "# on --resume: %s", words[effect->kind]));
  if (effect->only != NULL) TRY(str_append_format(out, ", when %s", effect->only));
  return str_append_format(out, "%s%s\n", effect->note[0] != '\0' ? ": " : "", effect->note);
}

Status config_help(Str *out) {
  TRY(append_comment(
      out, "Every key of a gee-cl config, with its default. Paths are relative to the current folder. "
           "Text after \" #\" or \" ;\" is a comment; in a value in double quotes it is not, and \\n there "
           "is a line "
           "end, \\\" a quote, \\\\ a backslash. On the command line: --set section.key=value, without such "
           "quotes"));
  const char *section = "";
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    if (strcmp(key->section, section) != 0) TRY(str_append_format(out, "\n[%s]\n", key->section));
    section = key->section;
    TRY(append_comment(out, key->help));
    TRY(append_allowed(out, key));
    TRY(append_effect(out, key));
    TRY(str_append_format(out, "%s =%s%s\n", key->name, key->fallback[0] != '\0' ? " " : "", key->fallback));
  }
  TRY(str_append_text(out, "\n[" TASK_WEIGHTS "]\n"));
  return append_comment(
      out, "The weight of each prompt type in the gap, one line per type (`gee-cl data` names them): "
           "\"factual = 0.0\" leaves factual prompts out. The default is 1.");
}
