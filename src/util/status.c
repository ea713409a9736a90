// The per-thread message behind Status. Rule: a message is always terminated, never grows past its buffer,
// and is one line without control characters: names in it may come from hostile files, and it goes to a
// terminal.
#include "util/status.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024];

/// Stores `text` as the message.
static void store(const char text[sizeof message]) {
  size_t i = 0;
  for (; text[i] != '\0'; i++) message[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
  message[i] = '\0';
}

Status status_fail(Status code, const char *format, ...) {
  char text[sizeof message] = "";
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); // into a copy: an argument may be the message itself
  va_end(args);
  store(text);
  return code;
}

Status status_context(Status code, const char *format, ...) {
  if (code == STATUS_OK) return code;
  char text[sizeof message];
  va_list args;
  va_start(args, format);
  int used = vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (used < 0) return code;
  size_t at = (size_t)used < sizeof text ? (size_t)used : sizeof text - 1;
  const char *parts[] = {": ", message};
  for (size_t i = 0; i < 2; i++) { // what does not fit is cut
    size_t length = strnlen(parts[i], sizeof text - 1 - at);
    memcpy(text + at, parts[i], length);
    at += length;
  }
  text[at] = '\0';
  store(text);
  return code;
}

const char *status_message(void) {
  return message[0] != '\0' ? message : "no error recorded";
}
