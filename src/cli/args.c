// Parsing options by a table, and printing their help. Rule: values are checked here, so a command sees only
// what its table allows.
#include "args.h"
#include "config.h"
#include "io/file.h"
#include "terminal.h"
#include "util/log.h"
#include "util/str.h"
#include "wrap.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 32, HELP_COLUMN = 30 };

// ---- help ----

/// Appends the paragraph, if there is one, and empties it.
static Status append_paragraph(Str *out, Str *paragraph, size_t width) {
  if (paragraph->size == 0) return STATUS_OK;
  TRY(wrap_append(out, str_text(paragraph), 0, "", width));
  str_clear(paragraph);
  return str_append_text(out, "\n");
}

/// Appends the lines of `text`. Those that begin with a blank or a bracket are examples and stay as they are;
/// all others run on.
static Status append_text(Str *out, const char *text, size_t width) {
  Str paragraph = {0};
  Status status = STATUS_OK;
  for (size_t size; *text != '\0'; text += size + (text[size] == '\n')) {
    size = strcspn(text, "\n");
    bool prose = size > 0 && text[0] != ' ' && text[0] != '{';
    if (prose) {
      TRY_CLEAN(str_append_format(&paragraph, "%.*s ", (int)size, text));
      continue;
    }
    TRY_CLEAN(append_paragraph(out, &paragraph, width));
    TRY_CLEAN(str_append_format(out, "%.*s\n", (int)size, text));
  }
  TRY_CLEAN(append_paragraph(out, &paragraph, width));
cleanup:
  str_free(&paragraph);
  return status;
}

static Status append_option(Str *out, const char *name, const char *value, const char *help, size_t width) {
  Str head = {0};
  Status status =
      str_append_format(&head, "  --%s%s%s", name, value != NULL ? " " : "", value != NULL ? value : "");
  if (status == STATUS_OK) status = wrap_entry(out, str_text(&head), help, HELP_COLUMN, width);
  str_free(&head);
  return status;
}

static Status append_help(const Usage *usage, size_t width, Str *out) {
  TRY(str_append_format(out, "%s\n\nUsage: gee-cl %s%s%s [options]\n\n", usage->summary, usage->command,
                        usage->positional != NULL ? " " : "",
                        usage->positional != NULL ? usage->positional : ""));
  TRY(append_text(out, usage->text, width));
  TRY(str_append_text(out, "\nOptions\n"));
  for (const Option *option = usage->options; option != NULL && option->name != NULL; option++)
    TRY(append_option(out, option->name, option->value, option->help, width));
  return append_option(out, "help", NULL, "Print this help.", width);
}

static Status print_help(const Usage *usage) {
  Str text = {0};
  Status status = append_help(usage, text_width(stdout), &text);
  if (status == STATUS_OK) (void)fputs(str_text(&text), stdout);
  str_free(&text);
  return status;
}

// ---- options ----

/// The section of the config key that `given` spells, with - for _ or with its section in front; NULL if it
/// is none. *name = the key's name.
static const char *find_config_key(const char *given, const char **name) {
  char wanted[128];
  (void)snprintf(wanted, sizeof wanted, "%.127s", given);
  for (char *c = wanted; *c != '\0'; c++)
    if (*c == '-') *c = '_';
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    char full[128];
    (void)snprintf(full, sizeof full, "%s.%s", key->section, key->name);
    *name = key->name;
    if (strcmp(wanted, key->name) == 0 || strcmp(wanted, full) == 0) return key->section;
  }
  return NULL;
}

static bool has_option(const Usage *usage, const char *name) {
  for (const Option *option = usage->options; option != NULL && option->name != NULL; option++)
    if (strcmp(option->name, name) == 0) return true;
  return false;
}

/// For "-p": the first option that begins with the letter; NULL if none does.
static const char *first_with_letter(const Usage *usage, char letter) {
  for (const Option *option = usage->options; option != NULL && option->name != NULL; option++)
    if (option->name[0] == letter) return option->name;
  return NULL;
}

/// `dashes` and `given` are the option as it was written; `value` is what follows it, or NULL.
static Status fail_option(const Usage *usage, const char *dashes, const char *given, const char *value) {
  const char *words[MAX_OPTIONS + 2] = {"help"};
  size_t count = 1;
  for (const Option *option = usage->options; option != NULL && option->name != NULL && count <= MAX_OPTIONS;
       option++)
    words[count++] = option->name;
  const char *name = NULL, *section = has_option(usage, "set") ? find_config_key(given, &name) : NULL;
  if (section != NULL)
    return status_fail(STATUS_INPUT, "unknown option %s%.100s; it is a key of the config: --set %s.%s=%.100s",
                       dashes, given, section, name, value != NULL ? value : "VALUE");
  const char *nearest = strlen(given) == 1 ? first_with_letter(usage, given[0]) : str_nearest(given, words);
  if (nearest == NULL)
    return status_fail(STATUS_INPUT, "unknown option %s%.100s; see gee-cl %s --help", dashes, given,
                       usage->command);
  return status_fail(STATUS_INPUT, "unknown option %s%.100s; did you mean --%s?", dashes, given, nearest);
}

static bool is_path(const Option *option) {
  static const char *const words[] = {"PATH", "DIR", "FILE"};
  bool found = false;
  for (size_t i = 0; i < sizeof words / sizeof *words && option->value != NULL; i++)
    found = found || strcmp(option->value, words[i]) == 0;
  return found;
}

static Status set_option(const Option *option, const char *text) {
  char *end = NULL;
  errno = 0;
  if (text[0] == '\0' && is_path(option))
    return status_fail(STATUS_INPUT, "--%s is empty; give a %s", option->name,
                       strcmp(option->value, "DIR") == 0 ? "folder" : "path");
  if (option->type == OPTION_TEXT) {
    *(const char **)option->out = text;
  } else if (option->type == OPTION_LIST) {
    TextList *list = option->out;
    if (list->count == TEXT_LIST_MAX)
      return status_fail(STATUS_INPUT, "--%s is given more than %d times", option->name, TEXT_LIST_MAX);
    list->items[list->count++] = text;
  } else if (option->type == OPTION_NUMBER) {
    double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value) || value < option->low || value > option->high)
      return status_fail(STATUS_INPUT, "--%s is \"%.100s\"; it must be a number from %.10g to %.10g",
                         option->name, text, option->low, option->high);
    *(float *)option->out = (float)value;
  } else {
    unsigned long long value = strtoull(text, &end, 10);
    bool whole = text[0] >= '0' && text[0] <= '9' && *end == '\0' && errno == 0;
    char limit[32] = "2^64 - 1";
    if (option->type != OPTION_SEED) (void)snprintf(limit, sizeof limit, "%.10g", option->high);
    bool fits =
        option->type == OPTION_SEED || ((double)value >= option->low && (double)value <= option->high);
    if (!whole || !fits)
      return status_fail(STATUS_INPUT, "--%s is \"%.100s\"; it must be a whole number from %.10g to %s",
                         option->name, text, option->low, limit);
    if (option->type == OPTION_SEED) {
      *(uint64_t *)option->out = value;
    } else {
      *(size_t *)option->out = (size_t)value;
    }
  }
  return STATUS_OK;
}

/// What args_parse read last. Bit i of `given`: option i of the table was given.
static struct {
  const Usage *usage;
  uint32_t given;
} parsed;

bool args_given(const char *name) {
  for (const Option *option = parsed.usage->options; option->name != NULL; option++)
    if (strcmp(option->name, name) == 0) return (parsed.given >> (option - parsed.usage->options) & 1) != 0;
  return false;
}

void args_warn_unused(const char *name, const char *why) {
  if (args_given(name)) log_say(LOG_WARNING, "--%s has no effect: %s", name, why);
}

/// Takes the option argv[*index] and its value; *index ends at the last word taken.
static Status take_option(const Usage *usage, int argc, char **argv, int *index) {
  const char *word = argv[*index] + 2, *equals = strchr(word, '=');
  size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
  for (const Option *option = usage->options; option != NULL && option->name != NULL; option++) {
    if (strlen(option->name) != length || strncmp(option->name, word, length) != 0) continue;
    uint32_t bit = (uint32_t)1 << (option - usage->options);
    if ((parsed.given & bit) != 0 && option->type != OPTION_LIST && option->type != OPTION_FLAG)
      return status_fail(STATUS_INPUT, "--%s is given twice; give it once", option->name);
    parsed.given |= bit;
    if (option->type == OPTION_FLAG) {
      if (equals != NULL) return status_fail(STATUS_INPUT, "--%s takes no value", option->name);
      *(bool *)option->out = true;
      return STATUS_OK;
    }
    if (equals != NULL) return set_option(option, equals + 1);
    if (*index + 1 >= argc)
      return status_fail(STATUS_INPUT, "--%s needs a value: --%s %s", option->name, option->name,
                         option->value);
    return set_option(option, argv[++*index]);
  }
  char name[128];
  (void)snprintf(name, sizeof name, "%.*s", (int)(length < 100 ? length : 100), word);
  const char *next = *index + 1 < argc && argv[*index + 1][0] != '-' ? argv[*index + 1] : NULL;
  return fail_option(usage, "--", name, equals != NULL ? equals + 1 : next);
}

Status args_parse_words(const Usage *usage, int argc, char **argv, TextList *words, size_t most,
                        bool *helped) {
  parsed.usage = usage;
  parsed.given = 0;
  *helped = false;
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      *helped = true;
      return print_help(usage);
    }
    if (strncmp(argv[i], "--", 2) == 0) {
      TRY(take_option(usage, argc, argv, &i));
    } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
      return fail_option(usage, "-", argv[i] + 1, i + 1 < argc ? argv[i + 1] : NULL);
    } else if (words->count == most) {
      return status_fail(STATUS_INPUT, "unexpected argument \"%.200s\"; see gee-cl %s --help", argv[i],
                         usage->command);
    } else {
      words->items[words->count++] = argv[i];
    }
  }
  return STATUS_OK;
}

Status args_parse(const Usage *usage, int argc, char **argv, const char **positional, bool *helped) {
  TextList words = {0};
  Status status = args_parse_words(usage, argc, argv, &words, positional != NULL, helped);
  if (positional != NULL) *positional = words.count > 0 ? words.items[0] : NULL;
  return status;
}

Status args_need(const Usage *usage, const void *given, const char *what) {
  if (given != NULL) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s is needed; see gee-cl %s --help", what, usage->command);
}

static bool is_stdout(const char *output) {
  return strcmp(output, "-") == 0;
}

Status args_check_output(const char *option, const char *output, const char *input, const char *what) {
  if (is_stdout(output)) return STATUS_OK;
  if (file_is_directory(output))
    return status_fail(STATUS_INPUT, "%s = %s is a folder; name a file", option, output);
  if (file_is_same(input, output))
    return status_fail(STATUS_INPUT, "%s: %s would overwrite %s; name another file", output, option, what);
  char *folder = NULL;
  TRY(file_follow(output, &folder));
  char *slash = strrchr(folder, '/');
  Status status = STATUS_OK;
  if (slash != NULL) *slash = '\0';
  if (slash != NULL && slash != folder && !file_is_directory(folder))
    status = status_fail(STATUS_INPUT, "%s = %s: there is no folder %s; make it, or name another", option,
                         output, folder);
  free(folder);
  return status == STATUS_OK ? file_check_writable(output) : status;
}

Status args_check_unread(const char *option, const char *output) {
  if (output == NULL || is_stdout(output) || !file_was_read(output)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: %s would overwrite a file that is read here; name another file",
                     output, option);
}

/// `folder` has no slash at its end, which would follow a link.
static Status check_free(const char *folder) {
  TRY(file_check_link(folder));
  if (!file_is_there(folder)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s already exists; name a folder that does not", folder);
}

Status args_check_new_folder(const char *output) {
  const char *slash = strrchr(output, '/'), *last = slash != NULL ? slash + 1 : output;
  char *folder = NULL;
  if (strcmp(last, ".") == 0 || strcmp(last, "..") == 0)
    return status_fail(STATUS_INPUT, "--output %s: name the folder itself, without %s at the end", output,
                       last);
  TRY(path_trim(&folder, output));
  Status status = check_free(folder);
  free(folder);
  return status;
}

Status args_check_twice(const TextList *files) {
  for (size_t i = 0; i < files->count; i++)
    for (size_t j = 0; j < i; j++)
      if (strcmp(files->items[i], files->items[j]) == 0 || file_is_same(files->items[i], files->items[j]))
        return status_fail(STATUS_INPUT, "%s is there twice", files->items[i]);
  return STATUS_OK;
}

/// Whether two paths, of files that need not be there yet, lead to one place.
static Status find_one_place(const char *a, const char *b, bool *same) {
  char *folders[2] = {NULL, NULL}, *paths[2] = {NULL, NULL};
  const char *names[2];
  Status status = STATUS_OK;
  *same = strcmp(a, b) == 0 || file_is_same(a, b);
  if (*same) return STATUS_OK;
  for (int i = 0; i < 2; i++) {
    TRY_CLEAN(file_follow(i == 0 ? a : b, &paths[i]));
    const char *slash = strrchr(paths[i], '/');
    names[i] = slash != NULL ? slash + 1 : paths[i];
    TRY_CLEAN(slash != NULL ? str_copy(&folders[i], paths[i], (size_t)(names[i] - paths[i]))
                            : str_copy(&folders[i], ".", 1));
  }
  *same = strcmp(names[0], names[1]) == 0 && file_is_same(folders[0], folders[1]);
cleanup:
  for (int i = 0; i < 2; i++) {
    free(folders[i]);
    free(paths[i]);
  }
  return status;
}

Status args_check_apart(const char *option, const char *path, const char *other_option, const char *other) {
  bool same = false;
  if (path == NULL || other == NULL || is_stdout(path)) return STATUS_OK;
  TRY(find_one_place(path, other, &same));
  if (!same) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s and %s are both %s; name two files", option, other_option, path);
}

Status args_write_output(const char *output, const char *bytes, size_t size) {
  bool to_screen = is_stdout(output);
  if (!to_screen) stop_on_signals(); // Ctrl-C lets the file be finished, and leaves nothing half written
  Status status = to_screen ? STATUS_OK : file_write_atomic(output, bytes, size);
  if (status == STATUS_OK && !to_screen) return STATUS_OK;
  // the work is done: a file that cannot be written must not lose it
  if (fwrite(bytes, 1, size, stdout) != size) return status_fail(STATUS_FAILED, "cannot write the output");
  return to_screen ? STATUS_OK : status_fail(status, "%s; it was printed instead", status_message());
}
