// Prompt files: one column of a table. Each row is a string or a chat.
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

/// Reads column `column` of any file that io/table.h can open: each row is a string or a list of {"role",
/// "content"}. In a text file each line is a prompt and `column` is unused. Skips nulls, blank strings and
/// lines, messages without role or content, and rows with nothing left. Reads at most 2^24 rows and 1 GiB of
/// text and refuses text with a NUL byte. Errors are STATUS_INPUT and name file, column, codec and row; if
/// the column is missing, they list the columns of the file.
STATUS_CHECKED Status records_read(const char *path, const char *column, Records *out);
/// The same for a file in memory. `name` stands for the path: in messages, and its ending tells the kind.
STATUS_CHECKED Status records_read_bytes(const char *name, const void *bytes, size_t size, const char *column,
                                         Records *out);
void records_free(Records *records);
