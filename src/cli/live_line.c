// The live line. Rule: a terminal shows one line that is redrawn in place and never wraps, below the
// permanent lines. A file or pipe gets only whole lines without control characters, and few of them.
//
//    3/10  loss 0.0915  gap +0.0297
//    4/10  loss 0.0812  gap +0.0210
//   sampling ━━━━━━━━━━━╸                4/10 steps  about 1 min 05 s left
#include "live_line.h"

#include "columns.h"
#include "util/clock.h"
#include "util/str.h"
#include <string.h>

static const double terminal_interval = 0.1; // seconds between drawings
static const double line_interval = 5;       // seconds between lines outside a terminal
static const double estimate_seconds = 10;   // after which the time left is estimated even from very little

enum { SHORTEST_BAR = 8, LONGEST_BAR = 24, FACTS_COLUMNS = 36 };

/// A permanent line.
typedef struct KeptLine {
  const char *text;
  bool is_result; // drawn bold
} KeptLine;

/// The innermost task, or NULL if there is none or it is too deep to be shown.
static LiveTask *innermost_task(LiveLine *line) {
  return line->depth > 0 && line->depth <= LIVE_LINE_TASKS ? &line->tasks[line->depth - 1] : NULL;
}

static double share_done(const LiveTask *task) {
  if (task->total == 0) return 1;
  double share = (double)task->done / (double)task->total;
  return share < 1 ? share : 1;
}

/// A few parts of thousands say too little about the rest.
static bool can_estimate(uint64_t finished, uint64_t left, double elapsed) {
  return finished > 0 && (finished >= left / 100 || elapsed >= estimate_seconds);
}

/// "4/10 steps  about 1 min 05 s left"
static Status append_facts(const LiveTask *task, double now, Str *out) {
  TRY(str_append_format(out, "%llu/%llu %s%s", (unsigned long long)task->done,
                        (unsigned long long)task->total, task->unit, str_plural(task->total)));
  char duration[32];
  if (task->done >= task->total) {
    format_duration(duration, now - task->start);
    return str_append_format(out, "  %s", duration);
  }
  uint64_t finished = task->done - task->from, left = task->total - task->done;
  double elapsed = now - task->from_time;
  if (task->from > task->first && can_estimate(finished, left, elapsed)) {
    format_duration(duration, elapsed / (double)finished * (double)left);
    TRY(str_append_format(out, "  about %s left", duration));
  }
  return STATUS_OK;
}

/// Appends the phase, or the label if there is none, padded to the width of the label.
static Status append_title(const LiveTask *task, Str *out) {
  const char *title = task->phase[0] != '\0' ? task->phase : task->label;
  size_t columns = text_columns(task->label, strlen(task->label));
  return str_append_format(out, "%-*s", field_width(title, columns), title);
}

/// Half cells make the bar move smoothly: ━ full, ╸ half.
static Status draw_bar(const LiveLine *line, const LiveTask *task, size_t width, Str *out) {
  bool utf8 = line->terminal.utf8;
  size_t halves = (size_t)(share_done(task) * (double)(2 * width));
  TRY(str_append_text(out, style(line->stream, STYLE_GREEN)));
  for (size_t i = 0; i < halves / 2; i++) TRY(str_append_text(out, utf8 ? "━" : "="));
  size_t drawn = halves / 2;
  if (halves % 2 == 1 && utf8) {
    TRY(str_append_text(out, "╸"));
    drawn++;
  }
  TRY(str_append_text(out, style(line->stream, STYLE_PLAIN)));
  for (; drawn < width; drawn++) TRY(str_append_text(out, utf8 ? " " : "."));
  return STATUS_OK;
}

static Status append_live_line(const LiveLine *line, const LiveTask *task, double now, Str *out) {
  Str facts = {0}, title = {0};
  Status status = STATUS_OK;
  size_t width = terminal_width(line->stream) - 1; // the last column would wrap on some terminals
  TRY_CLEAN(append_title(task, &title));
  TRY_CLEAN(append_facts(task, now, &facts));
  size_t title_columns = text_columns(str_text(&title), title.size);
  size_t wanted = title_columns + 2 + FACTS_COLUMNS;
  // from the terminal's width alone: a bar that also followed the facts would jitter
  size_t bar = width <= wanted + SHORTEST_BAR  ? SHORTEST_BAR
               : width >= wanted + LONGEST_BAR ? LONGEST_BAR
                                               : width - wanted;
  TRY_CLEAN(str_append_format(out, "\r\x1b[2K%s ", str_text(&title)));
  TRY_CLEAN(draw_bar(line, task, bar, out));
  size_t used = title_columns + 2 + bar;
  size_t room = width > used ? width - used : 0;
  TRY_CLEAN(str_append_text(out, " "));
  TRY_CLEAN(str_append(out, str_text(&facts), text_bytes(str_text(&facts), facts.size, room)));
cleanup:
  str_free(&title);
  str_free(&facts);
  return status;
}

/// On a terminal: the kept line, if any, and the live line below it.
static Status write_terminal(const LiveLine *line, const LiveTask *task, double now, const KeptLine *kept,
                             Str *out) {
  int digits = snprintf(NULL, 0, "%llu", (unsigned long long)task->total);
  if (kept != NULL) {
    TRY(str_append_format(out, "\r\x1b[2K%s  %*llu/%llu%s  %s\n",
                          kept->is_result ? style(line->stream, STYLE_BOLD) : "", digits,
                          (unsigned long long)task->done, (unsigned long long)task->total,
                          kept->is_result ? style(line->stream, STYLE_PLAIN) : "", kept->text));
  }
  return append_live_line(line, task, now, out);
}

/// In a file or pipe: one line.
static Status write_plain(const LiveTask *task, double now, const KeptLine *kept, Str *out) {
  TRY(str_append_format(out, "%s ", task->label));
  TRY(append_facts(task, now, out));
  if (kept != NULL) TRY(str_append_format(out, "  %s", kept->text));
  return str_append_text(out, "\n");
}

/// Writes the task and, unless `kept` is NULL, a permanent line. If allocation fails, nothing is written: a
/// run must not end for that.
static void write_task(LiveLine *line, LiveTask *task, const KeptLine *kept) {
  Str out = {0};
  double now = clock_seconds();
  Status status = line->terminal.redraws ? write_terminal(line, task, now, kept, &out)
                                         : write_plain(task, now, kept, &out);
  if (status == STATUS_OK) {
    (void)fputs(str_text(&out), line->stream);
    (void)fflush(line->stream);
    line->drawn = line->terminal.redraws;
    task->was_written = task->is_current = true;
    task->last = now;
  }
  str_free(&out);
}

// ---- tasks, with the lock held ----

/// Removes the live line from a terminal, so that something else can be written. False if none was drawn.
static bool hide(LiveLine *line) {
  if (!line->drawn) return false;
  (void)fputs("\r\x1b[2K", line->stream);
  (void)fflush(line->stream);
  line->drawn = false;
  return true;
}

static void draw_again(LiveLine *line) {
  LiveTask *task = innermost_task(line);
  if (task != NULL) write_task(line, task, NULL);
}

/// Outside a terminal, the first line of a nested task waits like any other line. So a short task (an
/// evaluation that takes a second) writes nothing.
static void begin_task(LiveLine *line, const char *label, const char *unit, uint64_t done, uint64_t total) {
  line->depth++;
  LiveTask *task = innermost_task(line);
  if (task == NULL) return;
  double now = clock_seconds();
  *task = (LiveTask){.label = label,
                     .unit = unit,
                     .total = total,
                     .first = done,
                     .done = done,
                     .from = done,
                     .is_current = true,
                     .start = now,
                     .last = now};
  bool outermost = line->depth == 1;
  if (done < total && (outermost || line->terminal.redraws)) write_task(line, task, NULL);
}

static void set_done(LiveTask *task, uint64_t done) {
  task->done = done;
  if (task->from > task->first || done == task->first) return;
  task->from = done;
  task->from_time = clock_seconds();
}

static void update_task(LiveLine *line, uint64_t done) {
  LiveTask *task = innermost_task(line);
  if (task == NULL) return;
  set_done(task, done);
  task->is_current = false;
  double interval = line->terminal.redraws ? terminal_interval : line_interval;
  bool whole = done >= task->total && (task->was_written || line->terminal.redraws);
  if (whole || clock_seconds() - task->last >= interval) write_task(line, task, NULL);
}

static void keep_line(LiveLine *line, uint64_t done, const char *text, bool is_result) {
  LiveTask *task = innermost_task(line);
  if (task == NULL) return;
  set_done(task, done);
  write_task(line, task, &(KeptLine){text, is_result});
}

static void set_phase(LiveLine *line, const char *phase) {
  LiveTask *task = innermost_task(line);
  if (task == NULL || !line->terminal.redraws) return;
  (void)snprintf(task->phase, sizeof task->phase, "%s", phase);
  write_task(line, task, NULL);
}

static void end_task(LiveLine *line) {
  LiveTask *task = innermost_task(line);
  if (task != NULL && task->was_written && !task->is_current) write_task(line, task, NULL);
  if (line->depth > 0) line->depth--;
  if (!line->drawn) return;
  if (line->depth > 0) {
    draw_again(line); // the task around it
  } else {
    (void)fputc('\n', line->stream);
    (void)fflush(line->stream);
    line->drawn = false;
  }
}

// ---- the Progress, which takes the lock ----

static LiveLine *lock(Progress *progress) {
  LiveLine *line = (LiveLine *)progress;
  (void)pthread_mutex_lock(&line->lock);
  return line;
}

static void unlock(LiveLine *line) {
  (void)pthread_mutex_unlock(&line->lock);
}

static void on_begin(Progress *progress, const char *label, const char *unit, uint64_t done, uint64_t total) {
  LiveLine *line = lock(progress);
  begin_task(line, label, unit, done, total);
  unlock(line);
}

static void on_update(Progress *progress, uint64_t done) {
  LiveLine *line = lock(progress);
  update_task(line, done);
  unlock(line);
}

static void on_line(Progress *progress, uint64_t done, const char *text, bool is_result) {
  LiveLine *line = lock(progress);
  keep_line(line, done, text, is_result);
  unlock(line);
}

static void on_phase(Progress *progress, const char *phase) {
  LiveLine *line = lock(progress);
  set_phase(line, phase);
  unlock(line);
}

static void on_end(Progress *progress) {
  LiveLine *line = lock(progress);
  end_task(line);
  unlock(line);
}

void live_line_init(LiveLine *line, FILE *stream) {
  static const ProgressType type = {on_begin, on_update, on_line, on_phase, on_end};
  *line = (LiveLine){.progress = {&type}, .stream = stream, .terminal = terminal_of(stream)};
  (void)pthread_mutex_init(&line->lock, NULL);
}

void live_line_say(LiveLine *line, const char *format, va_list args) {
  (void)lock(&line->progress);
  bool drawn = hide(line);
  (void)vfprintf(line->stream, format, args);
  (void)fputc('\n', line->stream);
  if (drawn) draw_again(line);
  unlock(line);
}
