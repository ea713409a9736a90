// What gee-cl gap wrote, read back with its items. Rule: the items are the truth. Every figure is computed
// again from them, by the code that measured it.
#pragma once

#include "io/json.h"
#include "util/str.h"
#include <stdbool.h>

#define GAP_RECORD_FORMAT "gee-cl gap 1"

/// A model that was measured.
typedef struct GapRecordModel {
  const char *name;     // its path, or the adapter's
  const cJSON *printed; // the object of its figures
  cJSON *computed;      // the same figures, from the items
} GapRecordModel;

typedef struct GapRecord {
  char *path, *items_path;
  cJSON *json;
  bool bound;             // the items' SHA-256 is in the file, and is right
  GapRecordModel *models; // the base first, if it was measured
  size_t count;
} GapRecord;

/// Reads the file. STATUS_INPUT if it is malformed. Zero-initialise `out`, and call gap_record_free in any
/// case.
STATUS_CHECKED Status gap_record_open(const char *path, GapRecord *out);
/// Computes the figures again. `items` is the items file, or NULL: the one that the record names, where it
/// says it is, or else beside it. STATUS_INPUT if there is no such file, and items_path is then NULL; or if
/// the items are malformed, or not those, or not all of those, that the figures were computed from.
STATUS_CHECKED Status gap_record_compute(GapRecord *record, const char *items);
/// Safe on a zeroed struct and twice.
void gap_record_free(GapRecord *record);

/// Appends a line for each figure of the model that the file gives otherwise than the items do. Numbers are
/// the same within 1e-9 of their size. How many sets are distinct, and what the model was trained on, the
/// items do not tell.
STATUS_CHECKED Status gap_record_differences(const GapRecordModel *model, Str *out);
