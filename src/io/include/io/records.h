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
/// lines (a string member, or a list of {"role","content"}; a .json file may also be one list of such objects), else
/// plain text, a prompt per line (`column` unused).
/// Left out: nulls, blank strings and lines, messages without role or content, and rows that hold nothing then.
/// Parquet: string columns (inside structs as "outer.inner") and list<struct<role, content>>; plain, dictionary and
/// delta pages, v1 and v2; uncompressed, snappy, gzip, zstd. At most 2^24 rows and 1 GiB of text.
/// Errors are STATUS_INPUT and name file, column, codec and row; a missing column lists those there are; text with a
/// NUL byte is refused.
STATUS_CHECKED Status records_read(const char *path, const char *column, Records *out);
void records_free(Records *records);
