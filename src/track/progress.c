// The live line. Rule: a terminal shows one line that is redrawn in place and never wraps, below the lines that stay; a file
// or pipe gets whole lines, no control characters, seldom.
//
//    3/10  loss 0.0915  gap 0.0297 (1.3 %)
//    4/10  loss 0.0812  gap 0.0210 (0.9 %)
//   sampling ━━━━━━━━━━━╸                4/10  1 min 05 s left
#include "track/track.h"

#include "util/clock.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static const double terminal_interval = 0.1; // seconds between drawings
static const double line_interval = 5;       // seconds between lines where there is no terminal
static const double guess_seconds = 10;      // after which the time left is guessed even from very little

enum { SHORTEST_BAR = 8, LONGEST_BAR = 24, FACTS_COLUMNS = 32 };

struct Progress {
  FILE *stream;
  char *label;
  char phase[32];              // stands in the label's place while it is set
  uint64_t total, first, done; // done ≥ first
  bool started, drawn;         // drawn: the terminal shows our line now
  bool said_all;               // what was done last has been written
  bool terminal, colour, utf8;
  double start, last; // seconds of the clock
};

static bool set(const char *variable) {
  const char *value = getenv(variable);
  return value != NULL && value[0] != '\0';
}

/// A terminal that says it is not UTF-8 gets ASCII; one that says nothing most likely is.
static bool terminal_is_utf8(void) {
  static const char *const variables[] = {"LC_ALL", "LC_CTYPE", "LANG"};
  for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
    if (!set(variables[i])) continue;
    const char *value = getenv(variables[i]);
    return strcasestr(value, "utf-8") != NULL || strcasestr(value, "utf8") != NULL;
  }
  return true;
}

static size_t terminal_width(const Progress *progress) {
  struct winsize size;
  if (ioctl(fileno(progress->stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

Status progress_create(FILE *stream, const char *label, uint64_t total, Progress **out) {
  *out = NULL;
  Progress *progress = NULL;
  TRY(mem_array(&progress, 1, "a progress line"));
  Status status = str_copy(&progress->label, label, strlen(label));
  if (status != STATUS_OK) {
    progress_free(progress);
    return status;
  }
  const char *term = getenv("TERM");
  progress->stream = stream;
  progress->total = total;
  progress->said_all = true;
  progress->terminal =
      stream != NULL && isatty(fileno(stream)) == 1 && (term == NULL || strcmp(term, "dumb") != 0);
  progress->colour = progress->terminal && !set("NO_COLOR");
  progress->utf8 = terminal_is_utf8();
  *out = progress;
  return STATUS_OK;
}

/// Columns that UTF-8 text takes: its characters, for the letters and signs that stand here.
static size_t columns(const char *text) {
  size_t count = 0;
  for (; *text != '\0'; text++) count += ((unsigned char)*text & 0xC0) != 0x80;
  return count;
}

/// Bytes of the first `count` characters.
static size_t cut_columns(const char *text, size_t count) {
  size_t at = 0;
  while (text[at] != '\0') {
    if (((unsigned char)text[at] & 0xC0) != 0x80 && count-- == 0) break;
    at++;
  }
  return at;
}

static double share_done(const Progress *progress) {
  if (progress->total == 0) return 1;
  double share = (double)progress->done / (double)progress->total;
  return share < 1 ? share : 1;
}

/// The first of thousands took what comes before them all: no guess from so few, so soon.
static bool can_guess(uint64_t made, uint64_t left, double elapsed) {
  return made > 0 && (made >= left / 100 || elapsed >= guess_seconds);
}

/// "4/10  1 min 05 s left"
static Status say_facts(const Progress *progress, double now, Str *out) {
  TRY(str_append_format(out, "%llu/%llu", (unsigned long long)progress->done,
                        (unsigned long long)progress->total));
  char duration[32];
  double elapsed = now - progress->start;
  if (progress->done >= progress->total) {
    format_duration(duration, elapsed);
    return str_append_format(out, "  %s", duration);
  }
  uint64_t made = progress->done - progress->first, left = progress->total - progress->done;
  if (can_guess(made, left, elapsed)) {
    format_duration(duration, elapsed / (double)made * (double)left);
    TRY(str_append_format(out, "  %s left", duration));
  }
  return STATUS_OK;
}

/// The phase, or the label where there is none, as wide as the label at least.
static Status say_title(const Progress *progress, Str *out) {
  const char *title = progress->phase[0] != '\0' ? progress->phase : progress->label;
  TRY(str_append_text(out, title));
  for (size_t i = columns(title); i < columns(progress->label); i++) TRY(str_append_text(out, " "));
  return STATUS_OK;
}

/// Half cells make the bar move smoothly: ━ full, ╸ half.
static Status draw_bar(const Progress *progress, size_t width, Str *out) {
  size_t halves = (size_t)(share_done(progress) * (double)(2 * width));
  if (progress->colour) TRY(str_append_text(out, "\x1b[32m"));
  for (size_t i = 0; i < halves / 2; i++) TRY(str_append_text(out, progress->utf8 ? "━" : "="));
  size_t drawn = halves / 2;
  if (halves % 2 == 1 && progress->utf8) {
    TRY(str_append_text(out, "╸"));
    drawn++;
  }
  if (progress->colour) TRY(str_append_text(out, "\x1b[0m"));
  for (; drawn < width; drawn++) TRY(str_append_text(out, progress->utf8 ? " " : "."));
  return STATUS_OK;
}

static Status draw(const Progress *progress, double now, Str *out) {
  Str facts = {0}, title = {0};
  Status status = STATUS_OK;
  size_t width = terminal_width(progress) - 1; // the last column would wrap on some terminals
  TRY_CLEAN(say_title(progress, &title));
  TRY_CLEAN(say_facts(progress, now, &facts));
  size_t wanted = columns(str_text(&title)) + 2 + FACTS_COLUMNS;
  // of the terminal's width alone: a bar that followed the facts would tremble
  size_t bar = width <= wanted + SHORTEST_BAR  ? SHORTEST_BAR
               : width >= wanted + LONGEST_BAR ? LONGEST_BAR
                                               : width - wanted;
  TRY_CLEAN(str_append_format(out, "\r\x1b[2K%s ", str_text(&title)));
  TRY_CLEAN(draw_bar(progress, bar, out));
  size_t used = columns(str_text(&title)) + 2 + bar;
  size_t room = width > used ? width - used : 0;
  TRY_CLEAN(str_append_format(out, " %.*s", (int)cut_columns(str_text(&facts), room), str_text(&facts)));
cleanup:
  str_free(&title);
  str_free(&facts);
  return status;
}

/// Writes the live line with, where `text` is not NULL, a line that stays before it. A line that cannot be made for want of
/// memory is left out: a run must not end for that.
static void show(Progress *progress, double now, const char *text) {
  Str line = {0};
  Status status = STATUS_OK;
  if (progress->terminal) {
    int digits = snprintf(NULL, 0, "%llu", (unsigned long long)progress->total);
    if (text != NULL)
      status =
          str_append_format(&line, "\r\x1b[2K  %*llu/%llu  %s\n", digits, (unsigned long long)progress->done,
                            (unsigned long long)progress->total, text);
    if (status == STATUS_OK) status = draw(progress, now, &line);
  } else {
    status = str_append_format(&line, "%s ", progress->label);
    if (status == STATUS_OK) status = say_facts(progress, now, &line);
    if (status == STATUS_OK && text != NULL) status = str_append_format(&line, "  %s", text);
    if (status == STATUS_OK) status = str_append_text(&line, "\n");
  }
  if (status == STATUS_OK) {
    (void)fputs(str_text(&line), progress->stream);
    (void)fflush(progress->stream);
    progress->drawn = progress->terminal;
    progress->said_all = true;
    progress->last = now;
  }
  str_free(&line);
}

/// True for the first call of all.
static bool set_done(Progress *progress, uint64_t done, double now) {
  bool first = !progress->started;
  if (first) {
    progress->started = true;
    progress->first = done;
    progress->start = now;
  }
  progress->done = done;
  progress->said_all = false;
  return first;
}

void progress_update(Progress *progress, uint64_t done) {
  if (progress == NULL || progress->stream == NULL) return;
  double now = clock_seconds();
  bool first = set_done(progress, done, now);
  double interval = progress->terminal ? terminal_interval : line_interval;
  if ((first && progress->terminal) || now - progress->last >= interval || done >= progress->total)
    show(progress, now, NULL);
}

void progress_line(Progress *progress, uint64_t done, const char *text) {
  if (progress == NULL || progress->stream == NULL) return;
  double now = clock_seconds();
  (void)set_done(progress, done, now);
  show(progress, now, text);
}

void progress_phase(Progress *progress, const char *phase) {
  if (progress == NULL || !progress->terminal || !progress->started) return;
  (void)snprintf(progress->phase, sizeof progress->phase, "%s", phase);
  show(progress, clock_seconds(), NULL);
}

void progress_clear(Progress *progress) {
  if (progress == NULL || !progress->drawn) return;
  (void)fputs("\r\x1b[2K", progress->stream);
  (void)fflush(progress->stream);
  progress->drawn = false;
}

void progress_free(Progress *progress) {
  if (progress == NULL) return;
  if (progress->started && !progress->said_all) show(progress, clock_seconds(), NULL);
  if (progress->drawn) {
    (void)fputc('\n', progress->stream);
    (void)fflush(progress->stream);
  }
  free(progress->label);
  free(progress);
}
