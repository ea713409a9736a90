// How wide a text is, and how it is made to fit. Rule: widths come from a table (of DejaVu Sans, one of the
// widest fonts in use), so that a layout is the same on every machine and a narrower font leaves some room.
#pragma once

#include "picture.h"

/// In units; an upper bound for most fonts.
double typeset_width(const char *text, TextStyle style);

/// Lines of a wrapped text.
typedef struct Typeset {
  char **lines; // [count], owned
  size_t count, capacity;
} Typeset;
/// Breaks a text at spaces and after _ - / : of names, or within a word that is wider than a line, into at
/// most `most` lines of `width`. If that is not enough, the last one ends with "…". An empty text has one
/// empty line.
STATUS_CHECKED Status typeset_wrap(const char *text, double width, size_t most, TextStyle style,
                                   Typeset *out);
/// Safe on a zeroed struct and twice.
void typeset_free(Typeset *words);
