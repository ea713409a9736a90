// Chats in Parquet whose contents are lists of parts, {"type": "text", "text": ...}. Rule: a message has all
// of its parts or is refused. The parts are joined first, which gives a column of contents as other chats
// have.
#include "table_parquet.h"

#include <string.h>

// ---- finding the leaves ----

/// The first text leaf below `top` of this name inside `repeats` lists; NULL if there is none.
static const ParquetNode *find_leaf(const ParquetMeta *meta, size_t top, const char *name, uint8_t repeats) {
  for (size_t i = top + 1; i < meta->node_count && parquet_lies_below(meta, i, top); i++) {
    const ParquetNode *node = &meta->nodes[i];
    if (parquet_is_text(node) && node->repeats == repeats && node->repetition != PARQUET_REPEATED &&
        strcmp(node->name, name) == 0)
      return node;
  }
  return NULL;
}

/// *out = the parts of a message, whose role is `role`; false if its content has no parts of text and type.
static bool find_content(const ParquetMeta *meta, const ParquetNode *role, const char *name,
                         ParquetPlace *out) {
  for (size_t i = role->parent + 1; i < meta->node_count; i++) {
    if (meta->nodes[i].parent != role->parent || strcmp(meta->nodes[i].name, name) != 0) continue;
    const ParquetNode *text = find_leaf(meta, i, "text", 2), *type = find_leaf(meta, i, "type", 2);
    if (text == NULL || type == NULL || text->parent != type->parent) return false;
    *out = (ParquetPlace){.leaf = text,
                          .part_type = type,
                          .parts = parquet_repeated_above(meta, text),
                          .role = role,
                          .repeated = parquet_repeated_above(meta, role)};
    return true;
  }
  return false;
}

bool parquet_find_parts(const ParquetMeta *meta, size_t top, ParquetPlace *out) {
  const ParquetNode *role = find_leaf(meta, top, "role", 1), *from = find_leaf(meta, top, "from", 1);
  return (role != NULL && find_content(meta, role, "content", out)) ||
         (from != NULL && find_content(meta, from, "value", out));
}

// ---- joining ----

/// Where the values of the two leaves are.
typedef struct PartReader {
  const ParquetPlace *place;
  const ParquetColumn *text, *type;
  const ParquetValue *next_text, *next_type;
  size_t bytes; // joined so far
} PartReader;

/// Appends the text of entry `i`, if that is a part.
static Status append_part(PartReader *reader, size_t i, Str *out) {
  bool has_text = reader->text->definition[i] == reader->place->leaf->definition;
  bool has_type = reader->type->definition[i] == reader->place->part_type->definition;
  if (reader->text->definition[i] < reader->place->parts->definition) return STATUS_OK;
  if (has_type) {
    ByteSpan type = (reader->next_type++)->bytes;
    TRY(table_check_part((TableText){(const char *)type.bytes, type.size}));
  }
  if (!has_text) return status_fail(STATUS_INPUT, "a part of a message has no text");
  ByteSpan text = (reader->next_text++)->bytes;
  // Values of a dictionary are repeated at no cost in the file.
  if (text.size > PARQUET_CHUNK_LIMIT - reader->bytes)
    return status_fail(STATUS_INPUT, "more than %zu MiB of text in one row group; write smaller row groups",
                       PARQUET_CHUNK_LIMIT >> 20);
  reader->bytes += text.size;
  return str_append(out, (const char *)text.bytes, text.size);
}

/// Ends message number `out->entries`, whose first part is entry `first`.
static Status end_message(const PartReader *reader, size_t first, const Str *joined, Arena *arena,
                          ParquetColumn *out) {
  TableText copy = {0};
  uint8_t level = (uint8_t)(reader->place->parts->definition - 1); // of the list itself
  uint8_t own = reader->text->definition[first];
  out->repetition[out->entries] = reader->text->repetition[first];
  out->definition[out->entries++] = own < level ? own : level;
  if (own < level) return STATUS_OK; // there is no list
  TRY(arena_copy(arena, str_text(joined), joined->size, &copy));
  out->values[out->count++].bytes = (ByteSpan){(const uint8_t *)copy.bytes, copy.size};
  return STATUS_OK;
}

static Status join_all(PartReader *reader, Arena *arena, Str *joined, ParquetColumn *out) {
  const ParquetColumn *text = reader->text;
  for (size_t i = 0, first = 0; i < text->entries; i++) {
    TRY(append_part(reader, i, joined));
    if (i + 1 < text->entries && text->repetition[i + 1] > 1) continue; // more parts follow
    TRY(end_message(reader, first, joined, arena, out));
    str_clear(joined);
    first = i + 1;
  }
  return STATUS_OK;
}

Status parquet_join_parts(const ParquetPlace *place, const ParquetColumn *text, const ParquetColumn *type,
                          Arena *arena, ParquetColumn *out) {
  PartReader reader = {place, text, type, text->values, type->values, 0};
  Str joined = {0};
  *out = (ParquetColumn){0};
  if (type->entries != text->entries ||
      (text->entries > 0 && memcmp(type->repetition, text->repetition, text->entries) != 0))
    return status_fail(STATUS_INPUT, "texts and types of parts do not pair up; the file is damaged");
  TRY(arena_alloc(arena, text->entries, 1, &out->repetition));
  TRY(arena_alloc(arena, text->entries, 1, &out->definition));
  TRY(arena_alloc(arena, text->entries, sizeof *out->values, &out->values));
  Status status = join_all(&reader, arena, &joined, out);
  str_free(&joined);
  return status;
}
