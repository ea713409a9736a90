// Parquet as a table. Rule: levels and types tell what a column is, never list annotations, which differ
// between writers. A column can be read if its shape in the schema is one of these:
//
//   value        optional|required <type> <column>                  (inside structs as "outer.inner")
//   list         optional group <column> { repeated group list { optional <type> element }}
//     older      repeated <type> <column>, or a group with only such a leaf
//   chat         optional group <column> { repeated group list { optional group element { <chat> }}}
//     older      optional group <column> { repeated group array { <chat> }}
//                repeated group <column> { <chat> }
//                                    <chat>: the strings role and content, or from and value;
//                                            the content may be a list of structs with the strings text and
//                                            type
#include "table_parquet.h"

#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

// ---- finding columns ----

/// True if `path` is the names from below the root to `node`, joined with dots.
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

// Depth-first order: a parent has a lower index than its children.
bool parquet_lies_below(const ParquetMeta *meta, size_t node, size_t ancestor) {
  while (node > ancestor) node = meta->nodes[node].parent;
  return node == ancestor;
}

const ParquetNode *parquet_repeated_above(const ParquetMeta *meta, const ParquetNode *node) {
  while (node->repetition != PARQUET_REPEATED && node != meta->nodes) node = &meta->nodes[node->parent];
  return node;
}

bool parquet_is_text(const ParquetNode *node) {
  return node->children == 0 && node->type == PARQUET_BYTE_ARRAY && node->meaning == NULL;
}

/// Looks below `top` for two text leaves of these names in one struct in a list.
static bool find_pair(const ParquetMeta *meta, size_t top, const char *role, const char *content,
                      ParquetPlace *out) {
  const ParquetNode *parent = NULL;
  for (size_t i = top + 1; i < meta->node_count && parquet_lies_below(meta, i, top); i++) {
    const ParquetNode *node = &meta->nodes[i];
    bool is_role = strcmp(node->name, role) == 0, is_content = strcmp(node->name, content) == 0;
    if (!parquet_is_text(node) || node->repeats != 1 || node->repetition == PARQUET_REPEATED ||
        (!is_role && !is_content))
      continue;
    if (parent != &meta->nodes[node->parent]) *out = (ParquetPlace){0};
    parent = &meta->nodes[node->parent];
    if (is_role)
      out->role = node;
    else
      out->leaf = node;
    out->repeated = parquet_repeated_above(meta, node);
    if (out->role != NULL && out->leaf != NULL) return true;
  }
  return false;
}

static bool find_chat(const ParquetMeta *meta, size_t top, ParquetPlace *out) {
  return find_pair(meta, top, "role", "content", out) || find_pair(meta, top, "from", "value", out);
}

/// The only leaf below `top` if that is a list of plain values in one of the shapes above; else NULL.
static const ParquetNode *find_item(const ParquetMeta *meta, size_t top) {
  const ParquetNode *node = &meta->nodes[top];
  for (int depth = 0; depth < 2 && node->children == 1; depth++) node = &meta->nodes[++top];
  return node->children == 0 && node->repeats == 1 ? node : NULL;
}

static CellType value_type(const ParquetNode *leaf) {
  if (leaf->children > 0 || leaf->meaning != NULL) return CELL_OTHER;
  if (leaf->is_null) return CELL_NULL;
  switch (leaf->type) {
  case PARQUET_BOOLEAN:
    return CELL_BOOLEAN;
  case PARQUET_INT32:
  case PARQUET_INT64:
    return CELL_INTEGER;
  case PARQUET_FLOAT:
  case PARQUET_DOUBLE:
    return CELL_NUMBER;
  case PARQUET_BYTE_ARRAY:
    return CELL_TEXT;
  default:
    return CELL_OTHER;
  }
}

/// The type of column `node`, and its leaves; CELL_OTHER if it has none of the shapes above.
static CellType find_place(const ParquetMeta *meta, size_t node, ParquetPlace *out) {
  *out = (ParquetPlace){.leaf = &meta->nodes[node]};
  if (out->leaf->children == 0 && out->leaf->repeats == 0) return value_type(out->leaf);
  const ParquetNode *item = find_item(meta, node);
  if (item != NULL && value_type(item) != CELL_OTHER) {
    *out = (ParquetPlace){.leaf = item, .repeated = parquet_repeated_above(meta, item)};
    return CELL_LIST;
  }
  return find_chat(meta, node, out) || parquet_find_parts(meta, node, out) ? CELL_CHAT : CELL_OTHER;
}

/// Appends what is in a column, in words: "lists of 64-bit integers".
static Status describe_column(const ParquetMeta *meta, size_t node, CellType type, Str *out) {
  static const char *const types[] = {"booleans", "32-bit integers", "64-bit integers", "96-bit integers",
                                      "floats",   "doubles",         "byte strings",    "fixed-size bytes"};
  const ParquetNode *item = find_item(meta, node), *leaf = item != NULL ? item : &meta->nodes[node];
  const char *found = leaf->children > 0 ? "nested values" : "values of an unknown type";
  if (type == CELL_CHAT) return str_append_text(out, "chats");
  if (leaf->children == 0 && leaf->type >= 0 && (size_t)leaf->type < sizeof types / sizeof types[0])
    found = types[leaf->type];
  if (leaf->is_null) found = "nulls";
  if (leaf->meaning != NULL) found = leaf->meaning;
  return str_append_format(out, "%s%s", leaf->repeats > 0 ? "lists of " : "", found);
}

/// True for a struct whose members are columns: not a list, and not inside one.
static bool is_struct(const ParquetMeta *meta, size_t node) {
  const ParquetNode *group = &meta->nodes[node];
  return group->children > 0 && group->repeats == 0 &&
         !(group->children == 1 && meta->nodes[node + 1].repetition == PARQUET_REPEATED);
}

/// Adds column `node` under its path from the root.
static Status add_column(Table *table, size_t node, const char *path) {
  ParquetPlace place;
  Str holds = {0};
  CellType type = find_place(&table->meta, node, &place);
  Status status = describe_column(&table->meta, node, type, &holds);
  if (status == STATUS_OK) status = table_add_column(table, path, strlen(path), type, str_text(&holds));
  str_free(&holds);
  return status;
}

/// *out = the names from below the root to `node`, joined with dots. On failure the caller frees it too.
static Status path_of(const ParquetMeta *meta, size_t node, char **out) {
  TRY(str_copy(out, meta->nodes[node].name, strlen(meta->nodes[node].name)));
  for (size_t up = meta->nodes[node].parent; up != 0; up = meta->nodes[up].parent) {
    char *longer = NULL;
    Status status = str_format(&longer, "%s.%s", meta->nodes[up].name, *out);
    free(*out);
    *out = longer;
    TRY(status);
    if (strlen(longer) > TABLE_PATH_BYTES)
      return status_fail(STATUS_INPUT, "a column's path has more than %d bytes", TABLE_PATH_BYTES);
  }
  return STATUS_OK;
}

static Status open_parquet(Table *table) {
  const ParquetMeta *meta = &table->meta;
  TRY(parquet_meta_read(&table->file, &table->meta));
  for (size_t i = 1; i < meta->node_count; i++) {
    size_t parent = meta->nodes[i].parent;
    if ((parent != 0 && !is_struct(meta, parent)) || is_struct(meta, i)) continue;
    char *path = NULL;
    Status status = status_context(path_of(meta, i, &path), "%s", table->file.path);
    if (status == STATUS_OK) status = add_column(table, i, path);
    free(path);
    TRY(status);
  }
  return STATUS_OK;
}

// ---- selecting ----

/// Checks what the footer claims about a leaf in all row groups: at most PARQUET_ENTRY_LIMIT entries, and
/// chunks that together fit into the file. If chunks could share bytes, a small file could have one chunk
/// decoded over and over.
static Status check_claims(const Table *table, const ParquetNode *leaf, const char *column) {
  const ParquetMeta *meta = &table->meta;
  size_t entries = 0, bytes = 0;
  for (size_t i = 0; i < meta->group_count; i++) {
    const ParquetChunk *chunk = &meta->groups[i].chunks[leaf->leaf];
    if (chunk->values > PARQUET_ENTRY_LIMIT - entries) {
      return status_fail(STATUS_INPUT, "%s: column \"%s\" has more than %zu values; take a part of it",
                         table->file.path, column, PARQUET_ENTRY_LIMIT);
    }
    entries += chunk->values;
    if (chunk->values == 0) continue;
    if (chunk->bytes > meta->data_size - bytes)
      return status_fail(STATUS_INPUT,
                         "%s: row groups of column \"%s\" share their bytes; the file is damaged",
                         table->file.path, column);
    bytes += chunk->bytes;
  }
  return STATUS_OK;
}

static Status select_column(Table *table, size_t column) {
  TableColumn *selected = &table->selected[column];
  ParquetPlace *place = &table->places[column];
  const ParquetMeta *meta = &table->meta;
  size_t node = 0, found = 0;
  for (size_t i = 1; i < meta->node_count; i++) {
    bool in_list = meta->nodes[meta->nodes[i].parent].repeats > 0;
    if (in_list || !has_path(meta, i, selected->name)) continue;
    node = i;
    found++;
  }
  if (found == 0) return table_fail_missing(table, selected->name);
  if (found > 1)
    return status_fail(STATUS_INPUT, "%s: %zu columns have the name \"%s\"; rename all but one",
                       table->file.path, found, selected->name);
  Str holds = {0};
  selected->type = find_place(meta, node, place);
  Status status = describe_column(meta, node, selected->type, &holds);
  if (status == STATUS_OK) status = str_copy(&selected->holds, str_text(&holds), holds.size);
  str_free(&holds);
  TRY(status);
  if (selected->type == CELL_OTHER)
    return status_fail(STATUS_INPUT, "%s: column \"%s\" holds %s, which are not supported", table->file.path,
                       selected->name, selected->holds);
  if (place->role != NULL) TRY(check_claims(table, place->role, selected->name));
  if (place->part_type != NULL) TRY(check_claims(table, place->part_type, selected->name));
  return check_claims(table, place->leaf, selected->name);
}

// ---- a row group as cells ----

static Status value_cell(const ParquetNode *leaf, const ParquetValue *value, Cell *out) {
  out->type = value_type(leaf);
  if (out->type == CELL_TEXT) {
    out->text = (TableText){(const char *)value->bytes.bytes, value->bytes.size};
  } else if (out->type == CELL_NUMBER) {
    out->number = value->number;
  } else if (out->type == CELL_BOOLEAN) {
    out->boolean = value->integer != 0;
  } else {
    out->integer = value->integer;
    if (leaf->is_unsigned && leaf->type == PARQUET_INT32) out->integer = (uint32_t)value->integer;
    if (leaf->is_unsigned && out->integer < 0)
      return status_fail(STATUS_INPUT, "the integer %llu has more than 63 bits",
                         (unsigned long long)value->integer);
  }
  return STATUS_OK;
}

/// A selected column of the current group: where its cells go and what they are made of.
typedef struct ColumnCells {
  Table *table;
  Cell *cells; // that of row 0; the next is selected_count further
  const ParquetPlace *place;
  const ParquetColumn *leaf, *role;
} ColumnCells;

static Cell *cell_of_row(const ColumnCells *to, size_t row) {
  return to->cells + row * to->table->selected_count;
}

static Status fill_values(const ColumnCells *to) {
  const ParquetNode *leaf = to->place->leaf;
  const ParquetValue *value = to->leaf->values;
  for (size_t i = 0; i < to->leaf->entries; i++) {
    if (to->leaf->definition[i] != leaf->definition) continue;
    TRY(status_context(value_cell(leaf, value++, cell_of_row(to, i)), "row %zu", to->table->numbers[i]));
  }
  return STATUS_OK;
}

/// The end of the entries of the row that begins with entry `first`: a repetition level of 0 begins the next
/// row.
static size_t row_end(const ParquetColumn *column, size_t first) {
  size_t end = first + 1;
  while (end < column->entries && column->repetition[end] != 0) end++;
  return end;
}

/// CELL_NULL if the list of the row that begins with entry `first` is null, else `type`. The repeated node
/// adds 1 to the definition level of the list: a level below the list's own means null, the list's own an
/// empty list.
static CellType list_or_null(const ColumnCells *to, size_t first, CellType type) {
  return to->leaf->definition[first] + 1 < to->place->repeated->definition ? CELL_NULL : type;
}

/// A row's list, whose entries are [first, end). Takes its values from *value.
static Status list_cell(const ColumnCells *to, size_t first, size_t end, const ParquetValue **value,
                        Cell *out) {
  const ParquetNode *leaf = to->place->leaf;
  Cell *items = NULL;
  size_t count = 0;
  *out = (Cell){.type = list_or_null(to, first, CELL_LIST)};
  TRY(arena_alloc(&to->table->arena, end - first, sizeof *items, &items));
  for (size_t i = first; i < end; i++) {
    if (to->leaf->definition[i] < to->place->repeated->definition) continue;
    if (to->leaf->definition[i] == leaf->definition) TRY(value_cell(leaf, (*value)++, &items[count]));
    count++;
  }
  if (out->type == CELL_LIST) out->list = (CellList){items, count};
  return STATUS_OK;
}

static Status fill_lists(const ColumnCells *to) {
  const ParquetValue *value = to->leaf->values;
  for (size_t first = 0, end = 0, row = 0; first < to->leaf->entries; first = end, row++) {
    end = row_end(to->leaf, first);
    TRY(status_context(list_cell(to, first, end, &value, cell_of_row(to, row)), "row %zu",
                       to->table->numbers[row]));
  }
  return STATUS_OK;
}

static TableText text_of(const ParquetValue *value) {
  return (TableText){(const char *)value->bytes.bytes, value->bytes.size};
}

/// Walks roles and contents in step, which have the same repetition levels. A content is there at definition
/// level `level`. Leaves out messages without role or content, and counts those that have either.
static Status fill_chats(const ColumnCells *to, uint8_t level) {
  const ParquetColumn *role = to->role, *content = to->leaf;
  const ParquetValue *role_value = role->values, *content_value = content->values;
  if (role->entries != content->entries ||
      (role->entries > 0 && memcmp(role->repetition, content->repetition, role->entries) != 0))
    return status_fail(STATUS_INPUT, "roles and contents do not pair up; the file is damaged");
  for (size_t first = 0, end = 0, row = 0; first < content->entries; first = end, row++) {
    Cell *cell = cell_of_row(to, row);
    TableMessage *messages = NULL;
    size_t count = 0, left_out = 0;
    end = row_end(content, first);
    TRY(arena_alloc(&to->table->arena, end - first, sizeof *messages, &messages));
    for (size_t i = first; i < end; i++) {
      bool has_role = role->definition[i] == to->place->role->definition;
      bool has_content = content->definition[i] == level;
      if (has_role && has_content)
        messages[count++] = (TableMessage){text_of(role_value), text_of(content_value)};
      left_out += has_role != has_content;
      // Not `+= has_role`: in a column of nulls the pointer is NULL, and NULL + 0 is undefined.
      if (has_role) role_value++;
      if (has_content) content_value++;
    }
    *cell = (Cell){.type = list_or_null(to, first, CELL_CHAT)};
    if (cell->type == CELL_CHAT) cell->chat = (TableChat){messages, count, left_out};
  }
  return STATUS_OK;
}

static Status decode_leaf(Table *table, const ParquetGroup *group, const ParquetNode *leaf,
                          const ParquetColumn **out) {
  ParquetColumn *column = &table->decoded[table->decoded_count++]; // freed with the group
  TRY(parquet_column_read(&table->file, &table->meta, leaf, &group->chunks[leaf->leaf], column));
  *out = column;
  return STATUS_OK;
}

/// Checks that a decoded leaf has as many rows as the footer says; for the first one, makes room for their
/// cells.
static Status check_rows(Table *table, const ParquetGroup *group, const ParquetNode *leaf,
                         const ParquetColumn *column) {
  size_t rows = leaf->repeats == 0 ? column->entries : 0;
  if (leaf->repeats > 0 && column->entries > 0 && column->repetition[0] != 0)
    return status_fail(STATUS_INPUT, "begins inside a row; the file is damaged");
  for (size_t i = 0; leaf->repeats > 0 && i < column->entries; i++) rows += column->repetition[i] == 0;
  if (rows != group->rows)
    return status_fail(STATUS_INPUT, "has %zu row%s, but the footer says %zu; the file is damaged", rows,
                       str_plural(rows), group->rows);
  if (table->rows > 0) return STATUS_OK;
  TRY(table_add_rows(table, rows));
  for (size_t i = 0; i < rows; i++) table->numbers[i] = table->number++;
  return STATUS_OK;
}

/// Joins the parts, whose texts are in to->leaf, and fills the cells.
static Status fill_part_chats(const ColumnCells *to, const ParquetGroup *group) {
  const ParquetColumn *type = NULL;
  ParquetColumn contents;
  ColumnCells joined = *to;
  TRY(decode_leaf(to->table, group, to->place->part_type, &type));
  TRY(parquet_join_parts(to->place, to->leaf, type, &to->table->arena, &contents));
  joined.leaf = &contents;
  return fill_chats(&joined, (uint8_t)(to->place->parts->definition - 1));
}

static Status read_column(Table *table, const ParquetGroup *group, size_t column) {
  const ParquetPlace *place = &table->places[column];
  ColumnCells to = {.table = table, .place = place};
  if (place->role != NULL) TRY(decode_leaf(table, group, place->role, &to.role));
  TRY(decode_leaf(table, group, place->leaf, &to.leaf));
  TRY(check_rows(table, group, place->leaf, to.leaf));
  if (table->rows == 0) return STATUS_OK;
  to.cells = table->cells + column;
  if (place->role != NULL)
    return place->part_type != NULL ? fill_part_chats(&to, group) : fill_chats(&to, place->leaf->definition);
  return place->repeated != NULL ? fill_lists(&to) : fill_values(&to);
}

static Status next_parquet(Table *table) {
  const ParquetMeta *meta = &table->meta;
  TRY(mem_reserve(&table->decoded, &table->decoded_capacity, 3 * table->selected_count, "Parquet columns"));
  while (table->rows == 0 && table->row_group < meta->group_count) {
    const ParquetGroup *group = &meta->groups[table->row_group];
    for (size_t i = 0; i < table->selected_count; i++)
      TRY(status_context(read_column(table, group, i), "%s: column \"%s\", row group %zu", table->file.path,
                         table->selected[i].name, table->row_group));
    table->row_group++;
    if (table->rows == 0) table_drop_group(table);
  }
  return STATUS_OK;
}

const TableFormat table_parquet = {
    .row_name = "row", .is_typed = true, .open = open_parquet, .select = select_column, .next = next_parquet};
