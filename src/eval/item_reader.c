// Items files. Rule: figures are only used together with the very items that they were computed from.
#include "item_reader.h"

#include "io/file.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

// ---- which file ----

/// *out = the file `named`, or the one of that name in the folder of `path`.
static Status find_beside(const char *path, const char *named, char **out) {
  const char *slash = strrchr(path, '/'), *name = strrchr(named, '/');
  if (file_exists(named)) return str_copy(out, named, strlen(named));
  TRY(str_format(out, "%.*s%s", slash != NULL ? (int)(slash + 1 - path) : 0, path,
                 name != NULL ? name + 1 : named));
  if (file_exists(*out)) return STATUS_OK;
  free(*out);
  *out = NULL;
  return status_fail(STATUS_INPUT, "%s: its items, %.200s, are not there; name the file with --items", path,
                     named);
}

static Status check_hash(const char *items, const char *path, const char *sha256) {
  char is[SHA256_TEXT];
  TRY(file_sha256(items, is));
  if (strcmp(is, sha256) == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT,
                     "%s is not the file that %s was computed from: its SHA-256 is %s, and was %.64s", items,
                     path, is, sha256);
}

Status items_find(const cJSON *json, const char *path, const char *given, char **out, bool *bound) {
  const cJSON *items = cJSON_GetObjectItemCaseSensitive(json, "items");
  const char *named = NULL, *sha256 = NULL;
  *bound = false;
  if (items == NULL && given == NULL)
    return status_fail(STATUS_INPUT,
                       "%s names no items: make it again with --items FILE, or name its file with --items",
                       path);
  if (items != NULL && !cJSON_IsObject(items))
    return status_fail(STATUS_INPUT, "%s: \"items\" must be an object with path and sha256", path);
  if (items != NULL) {
    TRY(json_get_string(items, "path", path, &named));
    TRY(json_get_string(items, "sha256", path, &sha256));
  }
  if (given != NULL && !file_exists(given)) return status_fail(STATUS_INPUT, "%s: no such file", given);
  TRY(given != NULL ? str_copy(out, given, strlen(given)) : find_beside(path, named, out));
  if (sha256 == NULL) return STATUS_OK;
  TRY(check_hash(*out, path, sha256));
  *bound = true;
  return STATUS_OK;
}

// ---- figures ----

bool figure_is(const cJSON *printed, double computed) {
  if (isnan(computed) || isinf(computed)) return cJSON_IsNull(printed);
  if (!cJSON_IsNumber(printed)) return false;
  return fabs(printed->valuedouble - computed) <= 1e-9 * fmax(1, fabs(computed));
}

Status figure_compare(const cJSON *printed, const char *name, double computed, Str *out) {
  if (figure_is(printed, computed)) return STATUS_OK;
  double said = cJSON_IsNumber(printed) ? printed->valuedouble : NAN;
  char there[STR_NUMBER], from_items[STR_NUMBER];
  return str_append_format(out, "%s is %s there, %s from the items\n", name, str_number(there, said),
                           str_number(from_items, computed));
}
