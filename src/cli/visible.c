// Showing text from models, files and command lines. Rule: on a terminal such text only shows, whatever it
// holds; files and pipes get it byte for byte.
#include "visible.h"

#include "util/utf8.h"
#include <unistd.h>

/// The escape of a character that stands for itself outside quotes; NULL if it does inside too.
static const char *quoted_escape(uint32_t code) {
  switch (code) {
  case '\n':
    return "\\n";
  case '\t':
    return "\\t";
  case '"':
    return "\\\"";
  case '\\':
    return "\\\\";
  default:
    return NULL;
  }
}

static Status append_text(Str *out, const char *text, size_t size, bool quoted) {
  for (size_t at = 0, bytes; at < size; at += bytes) {
    Utf8Char c = utf8_read(text + at, size - at);
    const char *escape = quoted && c.valid ? quoted_escape(c.code) : NULL;
    bytes = c.size;
    if (escape != NULL) {
      TRY(str_append_text(out, escape));
    } else if (!c.valid) {
      for (size_t i = 0; i < bytes; i++) TRY(str_append_format(out, "\\x%02X", (unsigned char)text[at + i]));
    } else if (utf8_is_control(c.code) && c.code != '\n' && c.code != '\t') {
      TRY(str_append_format(out, "\\u%04X", (unsigned)c.code));
    } else {
      TRY(str_append(out, text + at, bytes));
    }
  }
  return STATUS_OK;
}

Status visible_append(Str *out, const char *text, size_t size) {
  return append_text(out, text, size, false);
}

Status visible_append_quoted(Str *out, const char *text, size_t size) {
  TRY(str_append_text(out, "\""));
  TRY(append_text(out, text, size, true));
  return str_append_text(out, "\"");
}

Status visible_append_for(FILE *stream, Str *out, const char *text, size_t size) {
  return isatty(fileno(stream)) == 1 ? visible_append(out, text, size) : str_append(out, text, size);
}

Status visible_print(FILE *stream, const char *text, size_t size) {
  Str shown = {0};
  Status status = visible_append_for(stream, &shown, text, size);
  if (status == STATUS_OK && fwrite(str_text(&shown), 1, shown.size, stream) != shown.size)
    status = status_fail(STATUS_FAILED, "cannot write the output");
  str_free(&shown);
  return status;
}
