// Parsing options by a table. Rule: values are checked here, so a command sees only what its table allows.
#include "args.h"
#include "io/file.h"
#include "util/str.h"

#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_OPTIONS = 32, HELP_COLUMN = 30 };

static void print_help(const Usage *usage) {
  printf("%s\n\nUsage: gee-cl %s%s%s [options]\n\n%s\n", usage->summary, usage->command,
         usage->positional != NULL ? " " : "", usage->positional != NULL ? usage->positional : "",
         usage->text);
  printf("\nOptions\n");
  for (const Option *option = usage->options; option != NULL && option->name != NULL; option++) {
    int used = printf("  --%s%s%s", option->name, option->value != NULL ? " " : "",
                      option->value != NULL ? option->value : "");
    printf("%*s%s\n", used < HELP_COLUMN ? HELP_COLUMN - used : 1, "", option->help);
  }
  printf("  --help%*sPrint this help.\n", HELP_COLUMN - 8, "");
}

static Status fail_option(const Usage *usage, const char *given) {
  const char *words[MAX_OPTIONS + 2] = {"help"};
  size_t count = 1;
  for (const Option *option = usage->options; option != NULL && option->name != NULL && count <= MAX_OPTIONS;
       option++)
    words[count++] = option->name;
  const char *nearest = str_nearest(given, words);
  if (nearest == NULL)
    return status_fail(STATUS_INPUT, "unknown option --%.100s; see gee-cl %s --help", given, usage->command);
  return status_fail(STATUS_INPUT, "unknown option --%.100s; did you mean --%s?", given, nearest);
}

static Status set_option(const Option *option, const char *text) {
  char *end = NULL;
  errno = 0;
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
    bool fits =
        option->type == OPTION_SEED || ((double)value >= option->low && (double)value <= option->high);
    if (!whole || !fits)
      return status_fail(STATUS_INPUT, "--%s is \"%.100s\"; it must be a whole number from %.10g to %.10g",
                         option->name, text, option->low,
                         option->type == OPTION_SEED ? (double)UINT64_MAX : option->high);
    if (option->type == OPTION_SEED) {
      *(uint64_t *)option->out = value;
    } else {
      *(size_t *)option->out = (size_t)value;
    }
  }
  return STATUS_OK;
}

/// Takes the option argv[*index] and its value; *index ends at the last word taken.
static Status take_option(const Usage *usage, int argc, char **argv, int *index) {
  const char *word = argv[*index] + 2, *equals = strchr(word, '=');
  size_t length = equals != NULL ? (size_t)(equals - word) : strlen(word);
  for (const Option *option = usage->options; option != NULL && option->name != NULL; option++) {
    if (strlen(option->name) != length || strncmp(option->name, word, length) != 0) continue;
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
  char given[128];
  (void)snprintf(given, sizeof given, "%.*s", (int)(length < 100 ? length : 100), word);
  return fail_option(usage, given);
}

Status args_parse(const Usage *usage, int argc, char **argv, const char **positional, bool *helped) {
  *helped = false;
  if (positional != NULL) *positional = NULL;
  for (int i = 0; i < argc; i++) {
    if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
      print_help(usage);
      *helped = true;
      return STATUS_OK;
    }
    if (strncmp(argv[i], "--", 2) == 0) {
      TRY(take_option(usage, argc, argv, &i));
    } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
      return fail_option(usage, argv[i] + 1);
    } else if (positional == NULL || *positional != NULL) {
      return status_fail(STATUS_INPUT, "unexpected argument \"%.200s\"; see gee-cl %s --help", argv[i],
                         usage->command);
    } else {
      *positional = argv[i];
    }
  }
  return STATUS_OK;
}

Status args_need(const Usage *usage, const void *given, const char *what) {
  if (given != NULL) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s is needed; see gee-cl %s --help", what, usage->command);
}

Status args_check_output(const char *output, const char *input, const char *what) {
  if (file_is_directory(output))
    return status_fail(STATUS_INPUT, "--output = %s is a folder; name a file", output);
  if (file_is_same(input, output))
    return status_fail(STATUS_INPUT, "%s: --output would overwrite %s; name another file", output, what);
  const char *slash = strrchr(output, '/');
  if (slash == NULL || slash == output) return STATUS_OK;
  Str folder = {0};
  Status status = str_append(&folder, output, (size_t)(slash - output));
  if (status == STATUS_OK && !file_is_directory(str_text(&folder)))
    status = status_fail(STATUS_INPUT, "--output = %s: there is no folder %s; make it, or name another",
                         output, str_text(&folder));
  str_free(&folder);
  return status;
}
