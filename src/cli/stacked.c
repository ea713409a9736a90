// Rows of tables on narrow screens. Rule: nothing is left out; what is longer than a line goes on in the
// next.
#include "stacked.h"

#include "columns.h"
#include "wrap.h"

#include <string.h>

enum { LEAST_COLUMNS = 8, NAME_LEAD = 2, PART_LEAD = 4, PART_GAP = 2 };

static Status append_name(Str *out, const char *name, size_t width) {
  size_t left = strlen(name);
  while (left > 0) {
    size_t size = text_bytes(name, left, width - NAME_LEAD);
    TRY(str_append_format(out, "%*s", NAME_LEAD, ""));
    TRY(str_append(out, name, size));
    TRY(str_append_text(out, "\n"));
    name += size;
    left -= size;
  }
  return STATUS_OK;
}

/// Appends a part, behind others on the line if there is room. *used = the columns of the line, 0 at its
/// start.
static Status append_part(Str *out, const char *part, size_t width, size_t *used) {
  size_t columns = text_columns(part, strlen(part));
  bool fits = *used > 0 && *used + PART_GAP + columns <= width;
  if (*used > 0 && !fits) TRY(str_append_text(out, "\n"));
  TRY(str_append_format(out, "%*s", fits ? PART_GAP : PART_LEAD, ""));
  TRY(wrap_append(out, part, fits ? *used + PART_GAP : PART_LEAD, "      ", width));
  *used = fits ? *used + PART_GAP + columns : PART_LEAD + columns;
  return STATUS_OK;
}

Status stacked_append(Str *out, const char *name, const char *const *parts, size_t count, size_t width) {
  size_t used = 0;
  if (width < LEAST_COLUMNS) width = LEAST_COLUMNS;
  TRY(append_name(out, name, width));
  for (size_t i = 0; i < count; i++)
    if (*parts[i] != '\0') TRY(append_part(out, parts[i], width, &used));
  return used > 0 ? str_append_text(out, "\n") : STATUS_OK;
}
