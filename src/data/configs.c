// Looking up embedded files. Rule: a built-in name is never looked up on disk, so a program moved away from
// its source tree behaves the same.
#include "configs.h"

#include <string.h>

const char *config_find(const char *name) {
  for (const EmbeddedConfig *c = embedded_configs; c->name != NULL; c++)
    if (strcmp(c->name, name) == 0) return c->text;
  return NULL;
}
