// The list of records under construction, shared by the readers of prompt files. A row is built message by message
// and then ended; rows without text leave no trace.
#pragma once

#include "io/records.h"

/// Limits on a file of prompts: compressed formats can claim any number of equal rows in a few bytes.
#define RECORDS_ROW_LIMIT  ((size_t)1 << 24)
#define RECORDS_TEXT_LIMIT ((size_t)1 << 30)

typedef struct RecordList {
  Records records;
  size_t row_capacity, message_capacity;
  size_t text; // bytes so far
  Record row;  // being built
} RecordList;

/// Appends a message to the row being built; role NULL for a plain string. Blank plain strings are left out. Text
/// with a NUL byte is refused.
STATUS_CHECKED Status record_add(RecordList *list, const char *role, size_t role_size, const char *content,
                                 size_t content_size);
/// Ends the row; one without messages is left out.
STATUS_CHECKED Status record_end(RecordList *list);
void record_list_free(RecordList *list);
