// Showing text from models, files and command lines. Rule: on a terminal such text only shows, whatever it
// holds; files and pipes get it byte for byte.
#include "visible.h"

#include "columns.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <string.h>
#include <unistd.h>

/// The characters that have an escape of two letters, which JSON has too, and where they are escaped.
static const char NAME_ESCAPES[] = "\n\t", QUOTED_ESCAPES[] = "\n\t\"\\";

static char escape_letter(char c) {
  return c == '\n' ? 'n' : c == '\t' ? 't' : c;
}

static Status append_text(Str *out, const char *text, size_t size, const char *escaped) {
  for (size_t at = 0, bytes; at < size; at += bytes) {
    Utf8Char c = utf8_read(text + at, size - at);
    bytes = c.size;
    if (text[at] != '\0' && strchr(escaped, text[at]) != NULL) {
      TRY(str_append_format(out, "\\%c", escape_letter(text[at])));
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
  return append_text(out, text, size, "");
}

Status visible_append_quoted(Str *out, const char *text, size_t size) {
  TRY(str_append_text(out, "\""));
  TRY(append_text(out, text, size, QUOTED_ESCAPES));
  return str_append_text(out, "\"");
}

/// Appends what fits of a name.
static Status append_cut(Str *out, const Str *name, size_t columns) {
  static const char rest[] = "...";
  const char *text = str_text(name);
  if (text_columns(text, name->size) <= columns) return str_append(out, text, name->size);
  TRY(str_append(out, text, text_bytes(text, name->size, columns - size_min(columns, strlen(rest)))));
  return str_append_text(out, rest);
}

Status visible_append_name(FILE *stream, Str *out, const char *name, size_t columns) {
  Str shown = {0};
  if (isatty(fileno(stream)) != 1) return str_append_text(out, name);
  Status status = append_text(&shown, name, strlen(name), NAME_ESCAPES);
  if (status == STATUS_OK) status = append_cut(out, &shown, columns);
  str_free(&shown);
  return status;
}

Status visible_append_for(FILE *stream, Str *out, const char *text, size_t size) {
  return isatty(fileno(stream)) == 1 ? visible_append(out, text, size) : str_append(out, text, size);
}

static Status write_all(FILE *stream, Status status, Str *text) {
  if (status == STATUS_OK && fwrite(str_text(text), 1, text->size, stream) != text->size)
    status = status_fail(STATUS_FAILED, "cannot write the output");
  str_free(text);
  return status;
}

Status visible_print_name(FILE *stream, const char *name) {
  Str shown = {0};
  return write_all(stream, visible_append_name(stream, &shown, name, SIZE_MAX), &shown);
}

Status visible_print(FILE *stream, const char *text, size_t size) {
  Str shown = {0};
  return write_all(stream, visible_append_for(stream, &shown, text, size), &shown);
}
