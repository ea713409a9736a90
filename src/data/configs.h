// The files of configs/ that the program carries, embedded by cmake/embed.cmake: group files, types, built-in
// prompts.
#pragma once

typedef struct EmbeddedConfig {
  const char *name; // relative to configs/: "groups/gender.json"
  const char *text; // NUL-terminated
} EmbeddedConfig;

/// Ends with {NULL, NULL}.
extern const EmbeddedConfig embedded_configs[];

/// The text of the file of that name; NULL where there is none.
const char *config_find(const char *name);
