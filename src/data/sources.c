// The files that prompts are made from, with their hashes. Rule: what is built into the program is hashed as
// it is there, since another version may have other words.
#include "data/data.h"

#include "configs.h"
#include "io/file.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

Status data_source_sha256(const char *path, bool built_in, char out[SHA256_TEXT]) {
  if (!built_in) return file_sha256(path, out);
  const char *text = config_find(path);
  if (text == NULL) return status_fail(STATUS_INPUT, "this program has no %.200s built in", path);
  hash_sha256(text, strlen(text), out);
  return STATUS_OK;
}

static Status visit_source(DataSource source, DataSourceVisit visit, void *user) {
  TRY(data_source_sha256(source.path, source.built_in, source.sha256));
  return visit(user, &source);
}

/// A built-in name is looked up first, as groups_load does.
static Status visit_groups(const char *name_or_path, DataSourceVisit visit, void *user) {
  char *name = NULL;
  TRY(str_format(&name, "groups/%s.json", name_or_path));
  bool built_in = config_find(name) != NULL;
  Status status =
      visit_source((DataSource){"groups", built_in ? name : name_or_path, built_in, ""}, visit, user);
  free(name);
  return status;
}

Status data_list_sources(const DataOptions *options, DataSourceVisit visit, void *user) {
  bool own_types = options->types_file != NULL && options->types_file[0] != '\0';
  const char *prompts = options->use_test_data ? DATA_BUILT_IN_PROMPTS : options->train;
  // with data.eval alone there are none to train on
  if (prompts != NULL)
    TRY(visit_source((DataSource){"prompts", prompts, options->use_test_data, ""}, visit, user));
  TRY(visit_groups(options->groups_file, visit, user));
  return visit_source(
      (DataSource){"types", own_types ? options->types_file : DATA_BUILT_IN_TYPES, !own_types, ""}, visit,
      user);
}
