// Prompt files: one column of a table. Each row is a string or a chat.
#pragma once

#include "util/status.h"
#include <stddef.h>

typedef struct RecordMessage {
  char *role; // system, user or assistant
  char *content;
} RecordMessage;

/// One row. A plain string is one message with role NULL. Free with records_free.
typedef struct Record {
  RecordMessage *messages;
  size_t count;
  char *answer;           // with RecordSource.answer: its text, which is not blank; else NULL
  size_t row;             // of the file, from 1
  size_t without_content; // messages of it that are left out
} Record;

/// What was read, and what was left out.
typedef struct RecordCounts {
  size_t rows;            // of the file; blank lines of text files are none
  size_t empty;           // without text, which are left out
  size_t turns;           // lists of texts, read as turns of user and assistant
  size_t without_content; // messages that have none and are left out
} RecordCounts;

typedef struct Records {
  Record *rows;
  size_t count;
  RecordCounts counts;
} Records;

typedef struct RecordSource {
  const char *path;
  const void *bytes; // NULL: the file at `path`; else the file itself, and `path` is its name
  size_t size;
  const char *column;   // that was asked for; a file without columns is refused. NULL: none was
  const char *fallback; // the column if none was asked for and the file has columns; NULL: "prompt"
  const char *answer;   // the column with the answer to each row; NULL: none
} RecordSource;

/// Reads a column of any file that io/table.h can open. A row is a string; a list of {"role", "content"} or
/// {"from", "value"}, also as JSON text; or a list of strings, which are turns of user and assistant. The
/// roles become system, user and assistant; others are refused. Leaves out nulls, NaN, blank strings and
/// lines, messages without content, and rows with nothing left, and counts them; a row without an answer is
/// refused. Reads at most 2^24 rows and
/// 1 GiB of text and refuses text that is not UTF-8 or has a NUL byte. Errors are STATUS_INPUT and name file,
/// column, codec and row; if the column is missing, they list the columns of the file.
STATUS_CHECKED Status records_read(const RecordSource *source, Records *out);
void records_free(Records *records);
