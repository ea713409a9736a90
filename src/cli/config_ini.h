// Lines of an .ini file. Rule: a line is read as it is meant or refused; nothing of it is dropped but
// comments.
//
//   [section]
//   key = value        or key: value; blanks around either are dropped, before a line too
//   key = "value"      quoted: blanks at its ends and comment signs are part of it; \" \\ \n \r \t stand for
//                      a quote, a backslash, a line end, a carriage return and a tab
//
// A comment begins with "#" or ";" at the start of a line or value, after a blank, or behind what is closed.
#pragma once

#include "util/status.h"
#include "util/str.h"
#include <stdbool.h>
#include <stdio.h>

/// Bytes of a line, and of a value, which fits a line even if each of its bytes is escaped.
enum { INI_MAX_LINE = 65536, INI_MAX_VALUE = 32000 };

typedef struct IniLine {
  enum { INI_NOTHING, INI_SECTION, INI_KEY } kind;
  char *name, *value; // in the line that was parsed; a section has no value
} IniLine;

/// *line = the next line without its end; *more = whether there was one. STATUS_INPUT if it is too long or
/// holds a NUL.
STATUS_CHECKED Status ini_read_line(FILE *file, Str *line, bool *more);
/// Parses a line, which it overwrites. STATUS_INPUT says what is wrong, without the file.
STATUS_CHECKED Status ini_parse_line(char *line, IniLine *out);
/// Appends `text` as a value that reads back the same, in quotes only if it needs them.
STATUS_CHECKED Status ini_append_value(const char *text, Str *out);
