// The table of widths, and breaking lines with it.
#include "typeset.h"
#include "util/memory.h"
#include "util/utf8.h"

#include <stdlib.h>
#include <string.h>

/// Advance widths of U+0020 … U+007E in DejaVu Sans, in thousandths of the font's size.
static const unsigned short WIDTHS[95] = {
    317, 400, 459, 837, 636, 950, 779, 274, 390, 390, 500, 837, 317, 360,  317, 336, 636, 636, 636,
    636, 636, 636, 636, 636, 636, 636, 336, 336, 837, 837, 837, 530, 1000, 684, 686, 698, 770, 631,
    575, 774, 751, 294, 294, 655, 557, 862, 748, 787, 603, 787, 694, 634,  610, 731, 684, 988, 685,
    610, 685, 390, 336, 390, 837, 500, 500, 612, 634, 549, 634, 615, 352,  634, 633, 277, 277, 579,
    277, 974, 633, 611, 634, 634, 411, 520, 392, 633, 591, 817, 591, 591,  524, 636, 336, 636, 837};
#define BOLD_FACTOR 1.12
#define MONO_WIDTH  0.602
#define OTHER_WIDTH 0.72 // Latin with marks, Greek, Cyrillic, Arabic: the wider ones
#define WIDE_WIDTH  1.05
#define ELLIPSIS    "\xe2\x80\xa6"

/// Marks that stand over or under the character before them, and characters that are not seen.
static bool is_narrow(uint32_t c) {
  return (c >= 0x300 && c <= 0x36f) || (c >= 0x483 && c <= 0x489) || (c >= 0x591 && c <= 0x5bd) ||
         (c >= 0x64b && c <= 0x65f) || (c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) ||
         (c >= 0x20d0 && c <= 0x20ff) || (c >= 0xfe00 && c <= 0xfe0f);
}

/// Chinese, Japanese, Korean, full-width forms and emoji: two columns on a terminal.
static bool is_wide(uint32_t c) {
  return (c >= 0x1100 && c <= 0x115f) || (c >= 0x2e80 && c <= 0xa4cf) || (c >= 0xac00 && c <= 0xd7a3) ||
         (c >= 0xf900 && c <= 0xfaff) || (c >= 0xfe30 && c <= 0xfe6f) || (c >= 0xff00 && c <= 0xff60) ||
         (c >= 0x1f000 && c <= 0x1faff) || (c >= 0x20000 && c <= 0x3fffd);
}

static double character_width(uint32_t c, TextStyle style) {
  if (is_narrow(c)) return 0;
  if (is_wide(c)) return WIDE_WIDTH * style.size;
  if (style.mono) return MONO_WIDTH * style.size;
  double width = c >= 0x20 && c < 0x7f ? WIDTHS[c - 0x20] / 1000.0 : OTHER_WIDTH;
  if (c == 0x2026) width = 1;                           // …
  if (c == 0x2212) width = WIDTHS['+' - 0x20] / 1000.0; // the minus sign
  return width * style.size * (style.bold ? BOLD_FACTOR : 1);
}

static double span_width(const char *text, size_t size, TextStyle style) {
  double width = 0;
  for (size_t at = 0; at < size;) {
    Utf8Char c = utf8_read(text + at, size - at);
    width += character_width(c.code, style);
    at += c.size;
  }
  return width;
}

double typeset_width(const char *text, TextStyle style) {
  return span_width(text, strlen(text), style);
}

/// The bytes of the longest beginning that is no wider than `width`; at least one character, and never
/// between a character and its marks.
static size_t fitting(const char *text, size_t size, double width, TextStyle style) {
  size_t at = 0;
  while (at < size) {
    Utf8Char c = utf8_read(text + at, size - at);
    double advance = character_width(c.code, style);
    if (at > 0 && advance > width) break;
    width -= advance;
    at += c.size;
  }
  return at;
}

/// Whether a line may end before byte `at`: at a space, or within a name such as "mean_ll_more".
static bool may_break(const char *text, size_t at) {
  bool letter = (text[at] >= 'a' && text[at] <= 'z') || (text[at] >= 'A' && text[at] <= 'Z');
  return text[at] == ' ' || (letter && strchr("_-/:", text[at - 1]) != NULL);
}

/// The bytes of the next line of `text`.
static size_t next_line(const char *text, size_t size, double width, TextStyle style) {
  size_t fits = fitting(text, size, width, style);
  if (fits == size) return size;
  for (size_t at = fits; at > 0; at--) {
    if (may_break(text, at)) return at;
  }
  return fits;
}

static Status add_line(Typeset *typeset, const char *text, size_t size, const char *end) {
  TRY(mem_reserve(&typeset->lines, &typeset->capacity, typeset->count + 1, "lines of a text"));
  char **line = &typeset->lines[typeset->count];
  TRY(str_format(line, "%.*s%s", (int)size, text, end));
  typeset->count++;
  return STATUS_OK;
}

static Status wrap(const char *text, double width, size_t most, TextStyle style, Typeset *out) {
  size_t size = strlen(text);
  if (size > 4096) size = 4096; // no picture has room for more
  do {
    size_t line = next_line(text, size, width, style);
    if (line < size && out->count + 1 == most) {
      line = fitting(text, size, width - span_width(ELLIPSIS, strlen(ELLIPSIS), style), style);
      while (line > 0 && text[line - 1] == ' ') line--;
      return add_line(out, text, line, ELLIPSIS);
    }
    TRY(add_line(out, text, line, ""));
    while (line < size && text[line] == ' ') line++;
    text += line;
    size -= line;
  } while (size > 0);
  return STATUS_OK;
}

Status typeset_wrap(const char *text, double width, size_t most, TextStyle style, Typeset *out) {
  *out = (Typeset){0};
  Status status = wrap(text, width, most, style, out);
  if (status != STATUS_OK) typeset_free(out);
  return status;
}

void typeset_free(Typeset *typeset) {
  for (size_t i = 0; i < typeset->count; i++) free(typeset->lines[i]);
  free(typeset->lines);
  *typeset = (Typeset){0};
}
