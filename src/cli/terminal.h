// The terminal: what a stream can show, colours, lines on stderr, and Ctrl-C.
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
  bool redraws; // can redraw a line in place: a terminal, and not TERM=dumb
  bool colour;  // redraws, and NO_COLOR is unset or empty
  bool utf8;    // the locale is UTF-8, or not set
} Terminal;
Terminal terminal_of(FILE *stream);
/// Columns; 80 if the terminal does not say.
size_t terminal_width(FILE *stream);
/// Columns of a paragraph on the stream: its width, but no more than can be read with ease.
size_t text_width(FILE *stream);
/// Columns of a message: text_width on a terminal; no limit elsewhere, where a message is one line.
size_t message_width(FILE *stream);

typedef enum Style { STYLE_PLAIN, STYLE_BOLD, STYLE_DIM, STYLE_RED, STYLE_GREEN, STYLE_YELLOW } Style;
/// The escape sequence of a style, or "" if the stream has no colour. STYLE_PLAIN resets.
const char *style(FILE *stream, Style style);

/// Prints a line on stderr, above the progress line if there is one.
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
/// The progress line on stderr, for the work of a command.
Progress *screen_progress(void);

/// Finishes `json` and prints it as a line on stdout; `what` names it in messages.
STATUS_CHECKED Status print_json(JsonWriter *json, const char *what);

/// Set by SIGINT, SIGTERM and SIGHUP (unless that is ignored, as under nohup) after stop_on_signals. The
/// first signal asks for an orderly end; a second SIGINT or SIGTERM quits at once.
extern atomic_bool stop_requested;
void stop_on_signals(void);
/// Call it first of all: LLVM, which pocl brings along, sets handlers of its own, also for signals that were
/// ignored.
void remember_signals(void);

// ---- numbers for people (format.c) ----

/// 12.3 MB, 1.20 GB: powers of 1000, three digits.
void format_bytes(char out[32], uint64_t bytes);
/// 9.9 s, 12 s, 1 min 05 s, 25 h 00 min; "?" for anything that is not a duration.
void format_duration(char out[32], double seconds);
