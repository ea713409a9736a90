// The settings of a config that a resume compares. Rule: the table of keys decides, key by key; nothing is
// listed here.
#include "config_value.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/// *out = whether "section.name=a|b" holds; NULL always does.
static Status check_condition(const Config *config, const char *condition, bool *out) {
  *out = true;
  if (condition == NULL) return STATUS_OK;
  char section[32], name[32];
  const ConfigKey *key = NULL;
  if (sscanf(condition, "%31[^.].%31[^=]", section, name) == 2) key = config_find_key(section, name);
  if (key == NULL)
    return status_fail(STATUS_FAILED, "the condition \"%s\" in the table of keys names no key", condition);
  Str value = {0};
  Status status = config_print_value(config, key, &value);
  if (status == STATUS_OK) *out = config_word_index(strchr(condition, '=') + 1, str_text(&value)) >= 0;
  str_free(&value);
  return status;
}

static bool is_compared(const ConfigKey *key, SettingKind *kind) {
  switch (key->effect.kind) {
  case EFFECT_DECIDES:
    *kind = SETTING_DECIDES;
    return true;
  case EFFECT_EXTENDS:
    *kind = SETTING_EXTENDS;
    return true;
  case EFFECT_ROUNDS:
    *kind = SETTING_ROUNDS;
    return true;
  case EFFECT_LEADS:
  case EFFECT_FREE:
    break;
  }
  return false;
}

Status config_settings_add(const char *key, const char *value, SettingKind kind, ConfigSettings *out) {
  char *name = NULL, *text = NULL;
  Status status = str_copy(&name, key, strlen(key));
  if (status == STATUS_OK) status = str_copy(&text, value, strlen(value));
  if (status == STATUS_OK)
    out->list[out->count++] = (Setting){name, text, kind};
  else
    free(name);
  return status;
}

static Status add_setting(const Config *config, const ConfigKey *key, SettingKind kind, ConfigSettings *out) {
  Str value = {0}, name = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(config_print_value(config, key, &value));
  TRY_CLEAN(str_append_format(&name, "%s.%s", key->section, key->name));
  status = config_settings_add(str_text(&name), str_text(&value), kind, out);
cleanup:
  str_free(&value);
  str_free(&name);
  return status;
}

Status config_settings(const Config *config, ConfigSettings *out) {
  *out = (ConfigSettings){0};
  for (const ConfigKey *key = config_keys; key->section != NULL; key++) {
    SettingKind kind = SETTING_DECIDES;
    bool used = true;
    if (!is_compared(key, &kind)) continue;
    TRY(check_condition(config, key->effect.only, &used));
    if (used) TRY(add_setting(config, key, kind, out));
  }
  return STATUS_OK;
}

void config_settings_free(ConfigSettings *settings) {
  for (size_t i = 0; i < settings->count; i++) {
    free((void *)(uintptr_t)settings->list[i].key);
    free((void *)(uintptr_t)settings->list[i].value);
  }
  *settings = (ConfigSettings){0};
}
