// The files of a checkpoint. Rule: a checkpoint is resumed from the very bytes that were saved together, or
// not at all. An adapter or a model that is used otherwise (gap, score, export) is what the user gives: other
// programs rewrite its files for good reasons, so there they are not compared.
#include "train/bound_files.h"

#include "io/file.h"
#include "util/log.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

/// What to do about a file that is not the one that was saved.
#define PUT_BACK                                                                                             \
  "put back the file that was saved with its checkpoint, delete its folder to resume the one before it, or " \
  "set another output.run_name"

/// A file that is missing is reported as such.
static Status hash_file(const char *folder, const char *name, char out[SHA256_TEXT]) {
  char *path = NULL;
  TRY(path_join(&path, folder, name));
  Status status = file_exists(path) ? file_sha256(path, out)
                                    : status_fail(STATUS_INPUT, "%s is missing: " PUT_BACK, path);
  free(path);
  return status;
}

Status bound_files_write(const char *folder, JsonWriter *json) {
  char **names = NULL, sha256[SHA256_TEXT];
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(directory_list(folder, &names, &count));
  json_object_begin(json, BOUND_FILES_MEMBER);
  for (size_t i = 0; i < count; i++) {
    TRY_CLEAN(hash_file(folder, names[i], sha256));
    json_string(json, names[i], sha256);
  }
  json_object_end(json);
cleanup:
  directory_free_list(names);
  return status;
}

// ---- checking ----

static Status check_file(const char *folder, const char *name, const char *was) {
  char is[SHA256_TEXT];
  if (was == NULL || strchr(name, '/') != NULL)
    return status_fail(STATUS_INPUT, "%s: \"%s\" of its trainer_state.json does not name the file %.80s",
                       folder, BOUND_FILES_MEMBER, name);
  TRY(hash_file(folder, name, is));
  if (strcmp(was, is) == 0) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s/%s is not the file that was saved there (SHA-256 %.12s..., it has %.12s...): " PUT_BACK, folder,
      name, was, is);
}

/// Whether a program that looks for weights may take a file of that name.
static bool may_hold_tensors(const char *name) {
  static const char *const endings[] = {".safetensors", ".safetensors.index.json", ".bin", ".bin.index.json"};
  for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
    if (str_ends(name, endings[i])) return true;
  }
  return false;
}

Status bound_files_check_surplus(const cJSON *files, const char *folder) {
  char **names = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(directory_list(folder, &names, &count));
  for (size_t i = 0; status == STATUS_OK && i < count; i++) {
    if (!may_hold_tensors(names[i]) || cJSON_GetObjectItemCaseSensitive(files, names[i]) != NULL) continue;
    status = status_fail(STATUS_INPUT,
                         "%s/%s does not belong to its checkpoint, and could be read in place of a file that "
                         "does: remove it",
                         folder, names[i]);
  }
  directory_free_list(names);
  return status;
}

Status bound_files_check(const cJSON *state, const char *folder) {
  const cJSON *files = NULL, *item = NULL;
  if (cJSON_GetObjectItemCaseSensitive(state, BOUND_FILES_MEMBER) == NULL) {
    log_say(LOG_NOTE,
            "%s does not say which files were saved with it (its trainer_state.json has no \"%s\"), so that "
            "is not checked",
            folder, BOUND_FILES_MEMBER);
    return STATUS_OK;
  }
  TRY(json_get_object(state, BOUND_FILES_MEMBER, folder, &files));
  cJSON_ArrayForEach(item, files) TRY(check_file(folder, item->string, cJSON_GetStringValue(item)));
  return bound_files_check_surplus(files, folder);
}
