// What a user's task file says. Private to eval.
#pragma once

#include "eval/user_task.h"

typedef enum UserKind { USER_CHOICE, USER_PAIR } UserKind;

enum { USER_COLUMNS = 64, USER_TEXTS = 64, USER_METRICS = 2 };

struct UserTask {
  TaskType type; // the first member: a type leads back to its task
  UserKind kind;
  cJSON *json; // owns the texts below
  char *path, *folder;
  const char *files[3];

  char *columns[USER_COLUMNS];           // that are read of the data, each once
  const char *column_keys[USER_COLUMNS]; // the member that named each first
  size_t column_count;
  // Texts with columns in braces.
  const char *context;           // NULL: none
  const char *texts[USER_TEXTS]; // the choices, or the two texts of a pair
  size_t text_count;             // 0: the choices are the list in a column
  const char *delimiter;         // between a context and what follows

  size_t choices_column, answer_column;
  bool answer_is_index;       // from 0; else the text of a choice
  size_t parts[USER_COLUMNS]; // columns whose values name parts
  size_t part_count;
  bool has_cluster;
  size_t cluster_column;
  // What the results call the metrics of the kind (user_metrics); NULL: not asked for.
  const char *metrics[USER_METRICS];
  TaskAim aims[USER_METRICS + 1];
  const char *headlines[USER_METRICS + 1];
};

/// Fills a zeroed task from its file; the caller frees it in any case.
STATUS_CHECKED Status user_definition_read(const char *path, UserTask *task);

/// A piece of a text with columns: characters as they are, or the name of a column.
typedef struct UserPiece {
  const char *text;
  size_t size;
  bool is_column;
} UserPiece;
/// Takes the next piece of what is left of a text. *text = NULL if it does not follow the rules.
UserPiece user_piece_next(const char **text);
/// The index of a column of that name; column_count if there is none.
size_t user_column(const UserTask *task, const char *name, size_t size);
