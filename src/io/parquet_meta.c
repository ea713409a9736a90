// The footer of a Parquet file. Rule: after parquet_meta_read the schema is one tree, every row group has one
// chunk per leaf, and every chunk with values in this file lies between its first bytes and its footer.
//
//   "PAR1" | column chunks … | FileMetaData (Thrift) | its length: u32 | "PAR1"
#include "parquet.h"
#include "thrift_compact.h"

#include "tensor_file.h" // load_u32
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

enum { MAGIC_BYTES = 4, TAIL_BYTES = 8 };

// ---- schema ----

/// Sets what a leaf's values mean beyond numbers and text, from the older annotation, ConvertedType.
static void set_converted(ParquetNode *node, int64_t converted) {
  static const char *const meanings[] = {
      [5] = "decimals",   [6] = "dates",       [7] = "times", [8] = "times",
      [9] = "timestamps", [10] = "timestamps", [20] = "BSON", [21] = "intervals"};
  if (converted >= 11 && converted <= 14) node->is_unsigned = true; // UINT_8 to UINT_64
  if ((size_t)converted < sizeof meanings / sizeof meanings[0] && meanings[converted] != NULL)
    node->meaning = meanings[converted];
}

/// IntType: a width, which the leaf's type tells too, and whether it is signed.
static Status read_integer_type(ThriftReader *reader, ParquetNode *node) {
  ThriftField field = {0};
  bool is_signed = true;
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    if (field.id == 2)
      TRY(thrift_boolean(&field, &is_signed));
    else
      TRY(thrift_skip(reader, &field));
  }
  node->is_unsigned = !is_signed;
  return STATUS_OK;
}

/// Sets the same from the newer annotation, LogicalType: a union, whose only field tells the kind.
static Status read_logical(ThriftReader *reader, ParquetNode *node) {
  static const char *const meanings[] = {
      [5] = "decimals", [6] = "dates",  [7] = "times",         [8] = "timestamps",
      [13] = "BSON",    [14] = "UUIDs", [15] = "16-bit floats"};
  ThriftField kind = {0};
  for (;;) {
    TRY(thrift_next(reader, &kind));
    if (kind.type == THRIFT_STOP) return STATUS_OK;
    if (kind.id >= 0 && (size_t)kind.id < sizeof meanings / sizeof meanings[0] && meanings[kind.id] != NULL)
      node->meaning = meanings[kind.id];
    if (kind.id == 11) node->is_null = true; // UNKNOWN
    if (kind.id != 10) {                     // INTEGER
      TRY(thrift_skip(reader, &kind));
      continue;
    }
    TRY(thrift_struct(&kind));
    TRY(read_integer_type(reader, node));
  }
}

static Status read_node(ThriftReader *reader, ParquetNode *node) {
  ThriftField field = {0};
  int64_t number = 0;
  const uint8_t *name = NULL;
  size_t size = 0;
  node->type = PARQUET_GROUP;
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    if (field.id == 1) { // type
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &number));
      node->type = (int)number;
    } else if (field.id == 3) { // repetition_type
      TRY(thrift_integer(reader, &field, PARQUET_REQUIRED, PARQUET_REPEATED, &number));
      node->repetition = (ParquetRepetition)number;
    } else if (field.id == 4) { // name
      TRY(thrift_binary(reader, &field, &name, &size));
      free(node->name);
      TRY(str_copy(&node->name, (const char *)name, size));
    } else if (field.id == 5) { // num_children
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &number));
      node->children = (size_t)number;
    } else if (field.id == 6) { // converted_type
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &number));
      set_converted(node, number);
    } else if (field.id == 10) { // logicalType
      TRY(thrift_struct(&field));
      TRY(read_logical(reader, node));
    } else {
      TRY(thrift_skip(reader, &field));
    }
  }
  return node->name != NULL ? STATUS_OK : status_fail(STATUS_INPUT, "a column of the schema has no name");
}

static Status read_schema(ThriftReader *reader, const ThriftField *field, ParquetMeta *meta) {
  size_t count = 0;
  if (meta->nodes != NULL) return status_fail(STATUS_INPUT, "the schema appears twice");
  TRY(thrift_structs(reader, field, &count));
  TRY(mem_array(&meta->nodes, count, "a Parquet schema"));
  for (size_t i = 0; i < count; i++) {
    meta->node_count++; // counted first, so that it is freed if reading it fails
    TRY(read_node(reader, &meta->nodes[i]));
  }
  return STATUS_OK;
}

/// Sets parents, levels and leaf indices of the nodes, which come depth first with the number of their
/// children.
static Status link_schema(ParquetMeta *meta) {
  // The path from the root to the current group: each group on it, and how many of its children are still to
  // come.
  size_t open[PARQUET_DEPTH_LIMIT], left[PARQUET_DEPTH_LIMIT];
  size_t depth = 1;
  if (meta->node_count == 0) return status_fail(STATUS_INPUT, "the schema is missing");
  open[0] = 0;
  left[0] = meta->nodes[0].children;
  for (size_t i = 1; i < meta->node_count; i++) {
    while (depth > 0 && left[depth - 1] == 0) depth--;
    if (depth == 0) return status_fail(STATUS_INPUT, "the schema has more columns than its root");
    left[depth - 1]--;
    ParquetNode *node = &meta->nodes[i];
    const ParquetNode *parent = &meta->nodes[open[depth - 1]];
    node->parent = open[depth - 1];
    node->definition = (uint8_t)(parent->definition + (node->repetition != PARQUET_REQUIRED));
    node->repeats = (uint8_t)(parent->repeats + (node->repetition == PARQUET_REPEATED));
    if (node->children == 0) {
      if (node->type != PARQUET_GROUP) node->leaf = meta->leaf_count++; // an empty struct has no chunk
      continue;
    }
    node->type = PARQUET_GROUP;
    if (depth == PARQUET_DEPTH_LIMIT)
      return status_fail(STATUS_INPUT, "the schema is nested deeper than %d", PARQUET_DEPTH_LIMIT);
    open[depth] = i;
    left[depth++] = node->children;
  }
  while (depth > 0 && left[depth - 1] == 0) depth--;
  return depth == 0 ? STATUS_OK : status_fail(STATUS_INPUT, "the schema ends too early");
}

// ---- row groups ----

static Status read_chunk_meta(ThriftReader *reader, ParquetChunk *chunk) {
  ThriftField field = {0};
  int64_t number = 0, data = -1, dictionary = -1;
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    switch (field.id) {
    case 1:
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &number));
      chunk->type = (int)number;
      break;
    case 4:
      TRY(thrift_integer(reader, &field, 0, INT32_MAX, &number));
      chunk->codec = (int)number;
      break;
    case 5:
      TRY(thrift_integer(reader, &field, 0, INT64_MAX, &number));
      chunk->values = (size_t)number;
      break;
    case 7:
      TRY(thrift_integer(reader, &field, 0, INT64_MAX, &number));
      chunk->bytes = (size_t)number;
      break;
    case 9:
      TRY(thrift_integer(reader, &field, 0, INT64_MAX, &data));
      break;
    case 11:
      TRY(thrift_integer(reader, &field, 0, INT64_MAX, &dictionary));
      break;
    default:
      TRY(thrift_skip(reader, &field));
    }
  }
  if (data < 0) return status_fail(STATUS_INPUT, "a column chunk has no offset");
  // Some writers put 0 for "no dictionary".
  chunk->start = (size_t)(dictionary > 0 && dictionary < data ? dictionary : data);
  return STATUS_OK;
}

static Status read_chunk(ThriftReader *reader, ParquetChunk *chunk) {
  ThriftField field = {0};
  const uint8_t *path = NULL;
  size_t size = 0;
  bool found = false;
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    if (field.id == 1) { // file_path
      TRY(thrift_binary(reader, &field, &path, &size));
      chunk->in_other_file = true;
    } else if (field.id == 3) { // meta_data
      TRY(thrift_struct(&field));
      TRY(read_chunk_meta(reader, chunk));
      found = true;
    } else {
      TRY(thrift_skip(reader, &field));
    }
  }
  return found ? STATUS_OK
               : status_fail(STATUS_INPUT, "a column chunk has no metadata (is the file encrypted?)");
}

static Status read_group(ThriftReader *reader, size_t leaf_count, ParquetGroup *group) {
  ThriftField field = {0};
  int64_t rows = 0;
  size_t count = 0;
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    if (field.id == 1 && group->chunks == NULL) { // columns
      TRY(thrift_structs(reader, &field, &count));
      TRY(mem_array(&group->chunks, count, "Parquet column chunks"));
      for (size_t i = 0; i < count; i++) TRY(read_chunk(reader, &group->chunks[i]));
    } else if (field.id == 3) { // num_rows
      TRY(thrift_integer(reader, &field, 0, INT64_MAX, &rows));
    } else {
      TRY(thrift_skip(reader, &field));
    }
  }
  group->rows = (size_t)rows;
  if (count == leaf_count) return STATUS_OK;
  return status_fail(STATUS_INPUT, "a row group has %zu columns, but the schema %zu", count, leaf_count);
}

static Status read_groups(ThriftReader *reader, const ThriftField *field, ParquetMeta *meta) {
  size_t count = 0;
  if (meta->groups != NULL) return status_fail(STATUS_INPUT, "the row groups appear twice");
  TRY(link_schema(meta)); // fields come in order of number, so the schema was read
  TRY(thrift_structs(reader, field, &count));
  TRY(mem_array(&meta->groups, count, "Parquet row groups"));
  for (size_t i = 0; i < count; i++) {
    meta->group_count++;
    TRY(read_group(reader, meta->leaf_count, &meta->groups[i]));
  }
  return STATUS_OK;
}

// ---- footer ----

static Status read_footer(ThriftReader *reader, ParquetMeta *meta) {
  ThriftField field = {0};
  for (;;) {
    TRY(thrift_next(reader, &field));
    if (field.type == THRIFT_STOP) break;
    if (field.id == 2) {
      TRY(read_schema(reader, &field, meta));
    } else if (field.id == 4) {
      TRY(read_groups(reader, &field, meta));
    } else if (field.id == 8) {
      return status_fail(STATUS_INPUT, "the file is encrypted, which is not supported");
    } else {
      TRY(thrift_skip(reader, &field));
    }
  }
  return meta->groups != NULL ? STATUS_OK : status_fail(STATUS_INPUT, "the list of row groups is missing");
}

static Status check_chunks(const ParquetMeta *meta) {
  for (size_t g = 0; g < meta->group_count; g++) {
    for (size_t i = 0; i < meta->leaf_count; i++) {
      const ParquetChunk *chunk = &meta->groups[g].chunks[i];
      if (chunk->in_other_file || chunk->values == 0 ||
          (chunk->start >= MAGIC_BYTES && chunk->start <= meta->data_size &&
           chunk->bytes <= meta->data_size - chunk->start))
        continue;
      return status_fail(STATUS_INPUT,
                         "row group %zu: column chunk %zu (%zu bytes at %zu) does not lie in the file", g, i,
                         chunk->bytes, chunk->start);
    }
  }
  return STATUS_OK;
}

Status parquet_meta_read(const MappedFile *file, ParquetMeta *meta) {
  const char *path = file->path;
  if (file->size < MAGIC_BYTES + TAIL_BYTES)
    return status_fail(STATUS_INPUT, "%s: a file of %zu byte%s is too short for Parquet", path, file->size,
                       str_plural(file->size));
  const uint8_t *tail = file->bytes + file->size - TAIL_BYTES;
  if (memcmp(tail + 4, "PARE", MAGIC_BYTES) == 0)
    return status_fail(STATUS_INPUT, "%s: an encrypted Parquet file, which is not supported", path);
  if (memcmp(tail + 4, "PAR1", MAGIC_BYTES) != 0 || memcmp(file->bytes, "PAR1", MAGIC_BYTES) != 0)
    return status_fail(STATUS_INPUT,
                       "%s: a Parquet file has PAR1 at start and end; this one is cut off or damaged", path);
  size_t footer = load_u32(tail);
  if (footer > file->size - MAGIC_BYTES - TAIL_BYTES) {
    return status_fail(STATUS_INPUT,
                       "%s: the Parquet footer claims %zu of the file's %zu bytes; it is damaged", path,
                       footer, file->size);
  }
  meta->data_size = file->size - TAIL_BYTES - footer;
  ThriftReader reader = {file->bytes + meta->data_size, footer, 0};
  TRY(status_context(read_footer(&reader, meta), "%s: Parquet footer", path));
  return status_context(check_chunks(meta), "%s: Parquet footer", path);
}

void parquet_meta_free(ParquetMeta *meta) {
  for (size_t i = 0; i < meta->node_count; i++) free(meta->nodes[i].name);
  free(meta->nodes);
  for (size_t i = 0; i < meta->group_count; i++) free(meta->groups[i].chunks);
  free(meta->groups);
  *meta = (ParquetMeta){0};
}
