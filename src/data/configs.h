// The files of configs/ that cmake/embed.cmake puts into the program: group files, types, built-in prompts.
#pragma once

typedef struct EmbeddedConfig {
  const char *name; // relative to configs/: "groups/gender.json"
  const char *text; // NUL-terminated
} EmbeddedConfig;

#define DATA_BUILT_IN_PROMPTS "prompts/occupations.jsonl"
#define DATA_BUILT_IN_TYPES   "types.json"

/// Ends with {NULL, NULL}.
extern const EmbeddedConfig embedded_configs[];

/// The text of the embedded file with this name; NULL if there is none.
const char *config_find(const char *name);
