// Breaking text into lines. Rule: a column is a character, so that text that is not ASCII wraps where it
// seems to.
#include "wrap.h"

#include <string.h>

/// Characters of `size` bytes of UTF-8.
static size_t columns(const char *text, size_t size) {
  size_t count = 0;
  for (size_t i = 0; i < size; i++) count += ((unsigned char)text[i] & 0xC0) != 0x80;
  return count;
}

Status wrap_append(Str *out, const char *text, size_t used, const char *lead, size_t width) {
  bool fresh = true; // nothing stands on this line but what was there
  for (text += strspn(text, " \n"); *text != '\0'; text += strspn(text, " \n")) {
    size_t size = strcspn(text, " \n"), word = columns(text, size);
    if (!fresh && used + 1 + word > width) {
      TRY(str_append_format(out, "\n%s", lead));
      used = columns(lead, strlen(lead));
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
