// The text of a kernel file with its includes expanded, because a program is built from one string, on a
// machine without the source files. A file is included only the first time, so headers need no guards.
#include "launch.h"

#include "kernels.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

enum { FILES_MAX = 64 };

typedef struct Expansion {
  Str text;
  bool included[FILES_MAX];
} Expansion;

static Status expand(Expansion *expansion, const char *name, size_t name_size);

/// Appends `text`, replacing lines of the form #include "name".
static Status expand_lines(Expansion *expansion, const char *text) {
  static const char directive[] = "#include \"";
  while (*text != '\0') {
    const char *end = strchr(text, '\n');
    size_t size = end != NULL ? (size_t)(end - text) + 1 : strlen(text);
    if (str_starts(text, directive)) {
      const char *name = text + sizeof directive - 1;
      TRY(expand(expansion, name, strcspn(name, "\"\n")));
    } else {
      TRY(str_append(&expansion->text, text, size));
    }
    text += size;
  }
  return STATUS_OK;
}

static Status expand(Expansion *expansion, const char *name, size_t name_size) {
  for (size_t i = 0; i < FILES_MAX && kernel_sources[i].name != NULL; i++) {
    if (strlen(kernel_sources[i].name) != name_size || memcmp(kernel_sources[i].name, name, name_size) != 0)
      continue;
    if (expansion->included[i]) return STATUS_OK;
    expansion->included[i] = true;
    return expand_lines(expansion, kernel_sources[i].text);
  }
  return status_fail(STATUS_FAILED, "cl/%.*s is not in this binary", (int)name_size, name);
}

Status kernel_source(const char *name, char **out) {
  Expansion expansion = {0};
  *out = NULL;
  Status status = expand(&expansion, name, strlen(name));
  if (status == STATUS_OK) {
    *out = expansion.text.data;
    expansion.text = (Str){0};
  }
  str_free(&expansion.text);
  return status;
}
