// What a group file that is loaded says. Rule: nothing is checked here; loading did.
#include "group_file.h"

#include <string.h>

size_t groups_count(const GroupFile *groups) {
  return groups->count;
}
const char *groups_name(const GroupFile *groups, size_t group) {
  return groups->names[group];
}
const char *groups_attribute(const GroupFile *groups) {
  return groups->attribute;
}
const char *groups_language(const GroupFile *groups) {
  return groups->language;
}

bool groups_swaps_break_agreement(const GroupFile *groups) {
  // Languages whose adjectives, articles, participles or verbs agree with the gender of a person.
  static const char *const languages[] = {"ar", "be", "bg", "ca", "cs", "de", "el", "es", "fr", "gl", "he",
                                          "hi", "hr", "is", "it", "lt", "lv", "mk", "mr", "no", "pa", "pl",
                                          "pt", "ro", "ru", "sk", "sl", "sr", "uk", "ur", NULL};
  if (groups->language == NULL || groups->row_count == 0) return false;
  size_t size = strcspn(groups->language, "-");
  for (const char *const *l = languages; *l != NULL; l++)
    if (strlen(*l) == size && strncmp(*l, groups->language, size) == 0) return true;
  return false;
}

const TemplateList *templates_for(const GroupFile *groups, const char *type) {
  const TemplateList *fallback = NULL;
  for (size_t i = 0; i < groups->template_count; i++) {
    if (strcmp(groups->templates[i].type, type) == 0) return &groups->templates[i];
    if (strcmp(groups->templates[i].type, "default") == 0) fallback = &groups->templates[i];
  }
  return fallback;
}
