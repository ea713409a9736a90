// Breaking text into lines. Rule: columns are counted, so that text that is not ASCII wraps where it seems
// to.
#include "wrap.h"

#include "columns.h"
#include <stdio.h>
#include <string.h>

Status wrap_append(Str *out, const char *text, size_t used, const char *lead, size_t width) {
  bool fresh = true; // nothing stands on this line but what was there
  for (text += strspn(text, " \n"); *text != '\0'; text += strspn(text, " \n")) {
    size_t size = strcspn(text, " \n"), word = text_columns(text, size);
    if (!fresh && used + 1 + word > width) {
      TRY(str_append_format(out, "\n%s", lead));
      used = text_columns(lead, strlen(lead));
      fresh = true;
    }
    if (!fresh) TRY(str_append(out, " ", 1));
    TRY(str_append(out, text, size));
    used += word + !fresh;
    fresh = false;
    text += size;
  }
  return STATUS_OK;
}

Status wrap_entry(Str *out, const char *head, const char *text, size_t column, size_t width) {
  char lead[ENTRY_COLUMNS + 1];
  bool narrow = width < 2 * column + 10;
  size_t used = strlen(head), first = narrow ? 6 : column;
  (void)snprintf(lead, sizeof lead, "%*s", (int)first, "");
  TRY(str_append_text(out, head));
  if (narrow || used >= column)
    TRY(str_append_format(out, "\n%s", lead));
  else
    TRY(str_append_format(out, "%*s", (int)(column - used), ""));
  TRY(wrap_append(out, text, first, lead, width));
  return str_append_text(out, "\n");
}
