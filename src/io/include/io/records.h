// Prompt files: one column of a table, as rows of either one string or a chat.
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

/// Reads column `column` of a file as io/table.h knows it: a string or a list of {"role", "content"} a row. A
/// text file has a prompt a line, and `column` is unused. Left out: nulls, blank strings and lines, messages
/// without role or content, and rows that hold nothing then. At most 2^24 rows and 1 GiB of text. Errors are
/// STATUS_INPUT and name file, column, codec and row; a missing column lists those there are; text with a NUL
/// byte is refused.
STATUS_CHECKED Status records_read(const char *path, const char *column, Records *out);
/// The same of a file in memory; `name` stands in messages and tells the kind as a path does.
STATUS_CHECKED Status records_read_bytes(const char *name, const void *bytes, size_t size, const char *column,
                                         Records *out);
void records_free(Records *records);
