// A column of a Parquet file as records. Rule: a column is taken only where its shape in the schema is one of these,
// told by levels and never by the annotations, which differ between writers:
//
//   string                 optional|required binary <column>                    (also inside structs, as "outer.inner")
//   chat, three levels     optional group <column> { repeated group list { optional group element { role, content }}}
//   chat, older forms      optional group <column> { repeated group array { role, content }}
//                          repeated group <column> { role, content }
#include "parquet.h"

#include "record_list.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

/// Where the text of a column lies: one leaf, or the leaves `role` and `content` of one repeated struct.
typedef struct Place {
  const ParquetNode *content;
  const ParquetNode *role;   // NULL: a string column
  const ParquetNode *parent; // the struct that holds both
} Place;

// ---- finding the column ----

/// True where `node`'s path from the root, joined with dots, is `path`.
static bool has_path(const ParquetMeta *meta, size_t node, const char *path) {
  size_t end = strlen(path);
  for (; node != 0; node = meta->nodes[node].parent) {
    const char *name = meta->nodes[node].name;
    size_t size = strlen(name);
    if (size > end || memcmp(path + end - size, name, size) != 0) return false;
    end -= size;
    if (meta->nodes[node].parent == 0) break;
    if (end == 0 || path[end - 1] != '.') return false;
    end--;
  }
  return end == 0;
}

static bool lies_below(const ParquetMeta *meta, size_t node, size_t ancestor) {
  while (node > ancestor) node = meta->nodes[node].parent; // a parent lies before its children
  return node == ancestor;
}

static Status fail_missing(const ParquetMeta *meta, const char *path, const char *column) {
  Str names = {0};
  Status status = STATUS_OK;
  for (size_t i = 1; status == STATUS_OK && i < meta->node_count && names.size < 600; i++) {
    if (meta->nodes[i].parent == 0)
      status = str_append_format(&names, "%s%s", names.size > 0 ? ", " : "", meta->nodes[i].name);
  }
  if (status == STATUS_OK) {
    status = status_fail(STATUS_INPUT, "%s: no column \"%s\"; there are: %s", path, column,
                         names.size > 0 ? str_text(&names) : "none");
  }
  str_free(&names);
  return status;
}

static Status fail_shape(const ParquetMeta *meta, size_t node, const char *path, const char *column) {
  static const char *const types[] = {"booleans", "32-bit integers", "64-bit integers", "96-bit integers",
                                      "floats",   "doubles",         "byte strings",    "fixed-size bytes"};
  int type = meta->nodes[node].type;
  const char *found = type == PARQUET_GROUP ? "nested values"
                      : type >= 0 && (size_t)type < sizeof types / sizeof types[0]
                          ? types[type]
                          : "values of an unknown type";
  return status_fail(
      STATUS_INPUT,
      "%s: column \"%s\" holds %s%s; wanted strings, or a list of structs with role and content", path,
      column, meta->nodes[node].repeats > 0 ? "lists of " : "", found);
}

static bool is_text(const ParquetNode *node) {
  return node->children == 0 && node->type == PARQUET_BYTE_ARRAY;
}

/// Looks below `top` for two text leaves "role" and "content" of one struct that is repeated once.
static bool find_chat(const ParquetMeta *meta, size_t top, Place *out) {
  for (size_t i = top + 1; i < meta->node_count && lies_below(meta, i, top); i++) {
    const ParquetNode *node = &meta->nodes[i];
    bool is_role = strcmp(node->name, "role") == 0, is_content = strcmp(node->name, "content") == 0;
    if (!is_text(node) || node->repeats != 1 || node->repetition == PARQUET_REPEATED ||
        (!is_role && !is_content))
      continue;
    const ParquetNode *parent = &meta->nodes[node->parent];
    if (out->parent != parent) *out = (Place){.parent = parent};
    if (is_role)
      out->role = node;
    else
      out->content = node;
    if (out->role != NULL && out->content != NULL) return true;
  }
  return false;
}

static Status find_place(const ParquetMeta *meta, const char *path, const char *column, Place *out) {
  *out = (Place){0};
  size_t node = 1;
  while (node < meta->node_count && !has_path(meta, node, column)) node++;
  if (node >= meta->node_count) return fail_missing(meta, path, column);
  if (is_text(&meta->nodes[node]) && meta->nodes[node].repeats == 0) {
    out->content = &meta->nodes[node];
    return STATUS_OK;
  }
  return find_chat(meta, node, out) ? STATUS_OK : fail_shape(meta, node, path, column);
}

// ---- assembling rows ----

static Status add_strings(RecordList *list, const ParquetColumn *content, uint8_t present) {
  const ByteSpan *value = content->values;
  for (size_t i = 0; i < content->entries; i++) {
    if (content->definition[i] != present) continue;
    TRY(status_context(record_add(list, NULL, 0, (const char *)value->bytes, value->size), "row %zu", i));
    TRY(record_end(list));
    value++;
  }
  return STATUS_OK;
}

/// Walks both leaves in step. An entry with repetition 0 starts a row; one whose definition is below the struct's is
/// an empty list, a null list or a null struct. A message without role or content is left out.
static Status add_chats(RecordList *list, const Place *place, const ParquetColumn *role,
                        const ParquetColumn *content, size_t *rows) {
  const ByteSpan *role_value = role->values, *content_value = content->values;
  if (role->entries != content->entries)
    return status_fail(STATUS_INPUT, "%zu roles for %zu contents; the file is damaged", role->entries,
                       content->entries);
  for (size_t i = 0; i < content->entries; i++) {
    bool has_role = role->definition[i] == place->role->definition;
    bool has_content = content->definition[i] == place->content->definition;
    if (role->repetition[i] != content->repetition[i] || (i == 0 && role->repetition[i] != 0))
      return status_fail(STATUS_INPUT, "roles and contents do not lie in step; the file is damaged");
    if (content->repetition[i] == 0) {
      TRY(record_end(list));
      (*rows)++;
    }
    if (has_role && has_content) {
      TRY(status_context(record_add(list, (const char *)role_value->bytes, role_value->size,
                                    (const char *)content_value->bytes, content_value->size),
                         "row %zu", *rows - 1));
    }
    if (has_role) role_value++; // not += has_role: a column of nulls has no values, and NULL + 0 is undefined
    if (has_content) content_value++;
  }
  return record_end(list);
}

static Status read_group(const MappedFile *file, const ParquetMeta *meta, const ParquetGroup *group,
                         const Place *place, RecordList *list) {
  Status status = STATUS_OK;
  ParquetColumn role = {0}, content = {0};
  const ParquetNode *leaf = place->content;
  TRY_CLEAN(parquet_column_read(file, meta, leaf, &group->chunks[leaf->leaf], &content));
  size_t rows = content.entries;
  if (place->role == NULL) {
    TRY_CLEAN(add_strings(list, &content, leaf->definition));
  } else {
    rows = 0;
    TRY_CLEAN(parquet_column_read(file, meta, place->role, &group->chunks[place->role->leaf], &role));
    TRY_CLEAN(add_chats(list, place, &role, &content, &rows));
  }
  if (rows != group->rows)
    status = status_fail(STATUS_INPUT, "has %zu rows, but the footer says %zu; the file is damaged", rows,
                         group->rows);

cleanup:
  parquet_column_free(&role);
  parquet_column_free(&content);
  return status;
}

/// What the footer claims of a leaf over all row groups: no more entries than the limit, and chunks that have bytes of
/// their own. Without the latter a small file could have one chunk read any number of times.
static Status check_claims(const ParquetMeta *meta, const ParquetNode *leaf, const char *path,
                           const char *column) {
  size_t entries = 0, bytes = 0;
  for (size_t i = 0; i < meta->group_count; i++) {
    const ParquetChunk *chunk = &meta->groups[i].chunks[leaf->leaf];
    if (chunk->values > PARQUET_ENTRY_LIMIT - entries) {
      return status_fail(STATUS_INPUT, "%s: column \"%s\" has more than %zu values; take a part of it", path,
                         column, PARQUET_ENTRY_LIMIT);
    }
    entries += chunk->values;
    if (chunk->values == 0) continue;
    if (chunk->bytes > meta->data_size - bytes)
      return status_fail(STATUS_INPUT,
                         "%s: row groups of column \"%s\" share their bytes; the file is damaged", path,
                         column);
    bytes += chunk->bytes;
  }
  return STATUS_OK;
}

Status parquet_read(const MappedFile *file, const char *column, RecordList *list) {
  Status status = STATUS_OK;
  ParquetMeta meta = {0};
  Place place;
  TRY_CLEAN(parquet_meta_read(file, &meta));
  TRY_CLEAN(find_place(&meta, file->path, column, &place));
  TRY_CLEAN(check_claims(&meta, place.content, file->path, column));
  if (place.role != NULL) TRY_CLEAN(check_claims(&meta, place.role, file->path, column));
  for (size_t i = 0; i < meta.group_count; i++) {
    TRY_CLEAN(status_context(read_group(file, &meta, &meta.groups[i], &place, list),
                             "%s: column \"%s\", row group %zu", file->path, column, i));
  }

cleanup:
  parquet_meta_free(&meta);
  return status;
}
