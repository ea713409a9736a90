// The per-thread message behind Status. Rule: a message is always terminated, never exceeds its buffer, and
// is one line without control characters, because names in it may come from hostile files and it is printed
// to a terminal.
#include "util/status.h"
#undef status_fail
#undef status_context

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char message[1024];

/// Makes `text` the message. `text` is terminated, so the loop ends within both arrays, which have the same
/// size.
static void store(const char text[sizeof message]) {
  size_t i = 0;
  for (; text[i] != '\0'; i++) message[i] = (unsigned char)text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i];
  message[i] = '\0';
}

Status status_fail(Status code, const char *format, ...) {
  char text[sizeof message] = "";
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args); // not into `message`, which may be an argument
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
  // size ≤ sizeof text − 1 throughout, so there is always room for the terminator; what does not fit is cut.
  size_t size = (size_t)used < sizeof text ? (size_t)used : sizeof text - 1;
  const char *parts[] = {": ", message};
  for (size_t i = 0; i < 2; i++) {
    size_t length = strnlen(parts[i], sizeof text - 1 - size);
    memcpy(text + size, parts[i], length);
    size += length;
  }
  text[size] = '\0';
  store(text);
  return code;
}

const char *status_message(void) {
  return message[0] != '\0' ? message : "no error recorded";
}
