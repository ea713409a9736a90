// Looking up what the program carries. Rule: a name is looked up here and never on the disk, so a program
// moved away from its source behaves the same.
#include "configs.h"

#include <string.h>

const char *config_find(const char *name) {
  for (const EmbeddedConfig *c = embedded_configs; c->name != NULL; c++)
    if (strcmp(c->name, name) == 0) return c->text;
  return NULL;
}
