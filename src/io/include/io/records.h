// Prompt files: Parquet, JSON Lines and plain text, as rows of either one string or a chat.
#pragma once

#include "util/status.h"
#include <stddef.h>

typedef struct RecordMessage {
  char *role;
  char *content;
} RecordMessage;

/// One row. A plain string is one message with role NULL. Free with records_free.
typedef struct Record {
  RecordMessage *messages;
  size_t count;
} Record;

typedef struct Records {
  Record *rows;
  size_t count;
} Records;

/// Reads column `column` of a file whose kind is told by content and name: Parquet ("PAR1"), .jsonl/.ndjson/.json
/// lines (a string member, or a list of {"role","content"}), else plain text, a prompt per line (`column` unused).
/// Blank lines are left out. Nulls are left out. Parquet: string columns and list<struct<role, content>>; plain and
/// dictionary pages, v1 and v2; uncompressed, snappy, gzip, zstd. Errors are STATUS_INPUT and name file, column,
/// codec and row; a missing column lists those there are.
STATUS_CHECKED Status records_read(const char *path, const char *column, Records *out);
void records_free(Records *records);
