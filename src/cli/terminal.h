// The terminal: the one place that decides what a stream can show, its colours, lines on stderr, and Ctrl-C.
#pragma once

#include "io/json_write.h"
#include "track/progress.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/// What can be shown on a stream.
typedef struct Terminal {
  bool redraws; // a line can be drawn again in place: a terminal, and not TERM=dumb
  bool colour;  // it redraws, and NO_COLOR is unset or empty
  bool utf8;    // the locale says UTF-8, or nothing
} Terminal;
Terminal terminal_of(FILE *stream);
/// Columns; 80 where the terminal does not say.
size_t terminal_width(FILE *stream);

typedef enum Style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW } Style;
/// The escape that turns a style on, or "" where the stream has no colour. STYLE_PLAIN turns all off.
const char *style(FILE *stream, Style style);

/// A line on stderr, above the progress line where one is drawn there.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// The progress line on stderr, for work that a command starts.
Progress *screen_progress(void);

/// Prints the finished text as a line of stdout; `what` stands in the message of a failure.
STATUS_CHECKED Status print_json(JsonWriter *json, const char *what);

/// Set by SIGINT and SIGTERM after stop_on_signals: a first one asks to finish, a second one quits at once.
extern atomic_bool stop_requested;
void stop_on_signals(void);

// ---- numbers for people (format.c) ----

/// 12.3 MB, 1.20 GB: powers of 1000, three digits.
void format_bytes(char out[32], uint64_t bytes);
/// 9.9 s, 12 s, 1 min 05 s, 25 h 00 min; "?" for what is no duration.
void format_duration(char out[32], double seconds);
