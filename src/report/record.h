// What the files of a run say. Rule: a file that is missing leaves its part empty; one that is there and is
// not understood is an error that names it.
#pragma once

#include "io/json.h"
#include "report/report.h"

/// A file of JSON lines; half a line at the end, which a killed run may leave, is not among them. Of a long
/// file that curves are drawn from, only every `stride`th line is read.
typedef struct Lines {
  cJSON **items; // [count], owned
  size_t count, capacity;
  size_t stride; // at least 1
} Lines;

typedef struct Record {
  cJSON *state;    // trainer_state.json; NULL: there is none
  cJSON *base;     // adapter_base.json
  cJSON *gap;      // what gap wrote
  cJSON **results; // [input->result_count] what eval wrote
  Lines metrics, measured, items;
  char *readme; // the checkpoint's README.md; NULL: there is none
} Record;

STATUS_CHECKED Status record_read(const ReportInput *input, Record *out);
/// Safe on a zeroed struct and twice.
void record_free(Record *record, const ReportInput *input);

/// The member at a NULL-ended path of keys; NULL if there is none.
const cJSON *json_at(const cJSON *root, const char *const *path);
/// Its number; NaN if it is none.
double number_at(const cJSON *root, const char *const *path);
/// Its text; NULL if it is none.
const char *text_at(const cJSON *root, const char *const *path);
#define JSON_AT(root, ...)   json_at((root), (const char *const[]){__VA_ARGS__, NULL})
#define NUMBER_AT(root, ...) number_at((root), (const char *const[]){__VA_ARGS__, NULL})
#define TEXT_AT(root, ...)   text_at((root), (const char *const[]){__VA_ARGS__, NULL})

/// A measurement's difference H of − H minus (paired) with its interval: the gap of two groups, or a member
/// of "pairs".
typedef struct Difference {
  double value, low, high; // NaN: not measured
} Difference;
Difference difference_at(const cJSON *measured, const char *of, const char *minus);

/// The model before training, and after: NULL where the gap was not measured on it.
const cJSON *record_before(const Record *record);
const cJSON *record_after(const Record *record, const ReportInput *input);
