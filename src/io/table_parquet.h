// What the files of Parquet tables share. Private to this room.
#pragma once

#include "table_parts.h"

/// Whether `ancestor` is `node` or above it.
bool parquet_lies_below(const ParquetMeta *meta, size_t node, size_t ancestor);
/// The nearest repeated node at `node` or above.
const ParquetNode *parquet_repeated_above(const ParquetMeta *meta, const ParquetNode *node);
/// A leaf of strings.
bool parquet_is_text(const ParquetNode *node);

/// Looks below `top` for a chat whose contents are lists of parts: structs with the strings text and type.
bool parquet_find_parts(const ParquetMeta *meta, size_t top, ParquetPlace *out);
/// *out = the contents of messages, each joined from its parts, as a column whose leaf would be the list of
/// parts: its values are there at that list's definition level. `arena` has its memory. STATUS_INPUT for a
/// part that is not text.
STATUS_CHECKED Status parquet_join_parts(const ParquetPlace *place, const ParquetColumn *text,
                                         const ParquetColumn *type, Arena *arena, ParquetColumn *out);
