// Prompt types by rules: a prompt has the first type in the types file with a pattern that matches it.
#pragma once

#include "group_file.h"

typedef struct TypePattern {
  pcre2_code *code;
} TypePattern;

typedef struct TypeRule {
  char *name;
  TypePattern *patterns;
  size_t count;
} TypeRule;

/// The last rule is the default type and has no pattern.
typedef struct TypeRules {
  TypeRule rules[DATA_MAX_TYPES];
  size_t count;
} TypeRules;

/// `path` NULL or empty: the built-in types. STATUS_INPUT names file, key and pattern.
STATUS_CHECKED Status types_load(const char *path, TypeRules *out);
/// Safe on a zeroed struct.
void types_free(TypeRules *types);
/// *type = index of the first rule with a matching pattern, or of the default.
STATUS_CHECKED Status types_match(const TypeRules *types, const char *text, size_t size, size_t *type);
/// Refuses templates of `groups` for a type that there is not: no prompt would get them. The built-in group
/// files may have some, as they serve every types file. `path` as in types_load.
STATUS_CHECKED Status types_check_templates(const TypeRules *types, const char *path,
                                            const GroupFile *groups);
