// The live line. Rule: a terminal shows one line that is redrawn in place and never wraps, below the lines
// that stay; a file or pipe gets whole lines, no control characters, seldom.
//
//    3/10  loss 0.0915  gap 0.0297 (1.3 %)
//    4/10  loss 0.0812  gap 0.0210 (0.9 %)
//   sampling ━━━━━━━━━━━╸                4/10  1 min 05 s left
#include "live_line.h"

#include "util/clock.h"
#include "util/str.h"

static const double terminal_interval = 0.1; // seconds between drawings
static const double line_interval = 5;       // seconds between lines where there is no terminal
static const double guess_seconds = 10;      // after which the time left is guessed even from very little

enum { SHORTEST_BAR = 8, LONGEST_BAR = 24, FACTS_COLUMNS = 32 };

/// A line that stays.
typedef struct KeptLine {
  const char *text;
  bool is_result; // it stands out
} KeptLine;

/// The innermost task; NULL where there is none, or it is too deep to be shown.
static LiveTask *innermost(LiveLine *line) {
  return line->depth > 0 && line->depth <= LIVE_LINE_TASKS ? &line->tasks[line->depth - 1] : NULL;
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

static double share_done(const LiveTask *task) {
  if (task->total == 0) return 1;
  double share = (double)task->done / (double)task->total;
  return share < 1 ? share : 1;
}

/// The first of thousands took what comes before them all: no guess from so few, so soon.
static bool can_guess(uint64_t made, uint64_t left, double elapsed) {
  return made > 0 && (made >= left / 100 || elapsed >= guess_seconds);
}

/// "4/10  1 min 05 s left"
static Status say_facts(const LiveTask *task, double now, Str *out) {
  TRY(str_append_format(out, "%llu/%llu", (unsigned long long)task->done, (unsigned long long)task->total));
  char duration[32];
  double elapsed = now - task->start;
  if (task->done >= task->total) {
    format_duration(duration, elapsed);
    return str_append_format(out, "  %s", duration);
  }
  uint64_t made = task->done - task->first, left = task->total - task->done;
  if (can_guess(made, left, elapsed)) {
    format_duration(duration, elapsed / (double)made * (double)left);
    TRY(str_append_format(out, "  %s left", duration));
  }
  return STATUS_OK;
}

/// The phase, or the label where there is none, as wide as the label at least.
static Status say_title(const LiveTask *task, Str *out) {
  const char *title = task->phase[0] != '\0' ? task->phase : task->label;
  TRY(str_append_text(out, title));
  for (size_t i = columns(title); i < columns(task->label); i++) TRY(str_append_text(out, " "));
  return STATUS_OK;
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

static Status draw(const LiveLine *line, const LiveTask *task, double now, Str *out) {
  Str facts = {0}, title = {0};
  Status status = STATUS_OK;
  size_t width = terminal_width(line->stream) - 1; // the last column would wrap on some terminals
  TRY_CLEAN(say_title(task, &title));
  TRY_CLEAN(say_facts(task, now, &facts));
  size_t wanted = columns(str_text(&title)) + 2 + FACTS_COLUMNS;
  // of the terminal's width alone: a bar that followed the facts would tremble
  size_t bar = width <= wanted + SHORTEST_BAR  ? SHORTEST_BAR
               : width >= wanted + LONGEST_BAR ? LONGEST_BAR
                                               : width - wanted;
  TRY_CLEAN(str_append_format(out, "\r\x1b[2K%s ", str_text(&title)));
  TRY_CLEAN(draw_bar(line, task, bar, out));
  size_t used = columns(str_text(&title)) + 2 + bar;
  size_t room = width > used ? width - used : 0;
  TRY_CLEAN(str_append_format(out, " %.*s", (int)cut_columns(str_text(&facts), room), str_text(&facts)));
cleanup:
  str_free(&title);
  str_free(&facts);
  return status;
}

/// On a terminal: the text as a line that stays, and the live line below it.
static Status write_terminal(const LiveLine *line, const LiveTask *task, double now, const KeptLine *kept,
                             Str *out) {
  int digits = snprintf(NULL, 0, "%llu", (unsigned long long)task->total);
  if (kept != NULL) {
    TRY(str_append_format(out, "\r\x1b[2K%s  %*llu/%llu%s  %s\n",
                          kept->is_result ? style(line->stream, STYLE_BOLD) : "", digits,
                          (unsigned long long)task->done, (unsigned long long)task->total,
                          kept->is_result ? style(line->stream, STYLE_PLAIN) : "", kept->text));
  }
  return draw(line, task, now, out);
}

/// In a file or pipe: one line.
static Status write_plain(const LiveTask *task, double now, const KeptLine *kept, Str *out) {
  TRY(str_append_format(out, "%s ", task->label));
  TRY(say_facts(task, now, out));
  if (kept != NULL) TRY(str_append_format(out, "  %s", kept->text));
  return str_append_text(out, "\n");
}

/// Writes the task and, unless `kept` is NULL, a line that stays. A line that cannot be made because
/// memory is out is left out: a run must not end for that.
static void show(LiveLine *line, LiveTask *task, const KeptLine *kept) {
  Str out = {0};
  double now = clock_seconds();
  Status status = line->terminal.redraws ? write_terminal(line, task, now, kept, &out)
                                         : write_plain(task, now, kept, &out);
  if (status == STATUS_OK) {
    (void)fputs(str_text(&out), line->stream);
    (void)fflush(line->stream);
    line->drawn = line->terminal.redraws;
    task->said = task->said_all = true;
    task->last = now;
  }
  str_free(&out);
}

// ---- tasks, with the lock held ----

/// Takes the live line off a terminal, so that others can write there; false where none was drawn.
static bool hide(LiveLine *line) {
  if (!line->drawn) return false;
  (void)fputs("\r\x1b[2K", line->stream);
  (void)fflush(line->stream);
  line->drawn = false;
  return true;
}

static void draw_again(LiveLine *line) {
  LiveTask *task = innermost(line);
  if (task != NULL) show(line, task, NULL);
}

/// Outside a terminal the first line of a task inside another waits as any other does, so that one that is
/// over at once (an evaluation that takes a second) writes nothing.
static void begin_task(LiveLine *line, const char *label, uint64_t done, uint64_t total) {
  line->depth++;
  LiveTask *task = innermost(line);
  if (task == NULL) return;
  double now = clock_seconds();
  *task = (LiveTask){.label = label,
                     .total = total,
                     .first = done,
                     .done = done,
                     .said_all = true,
                     .start = now,
                     .last = now};
  bool outermost = line->depth == 1;
  if (done < total && (outermost || line->terminal.redraws)) show(line, task, NULL);
}

static void update_task(LiveLine *line, uint64_t done) {
  LiveTask *task = innermost(line);
  if (task == NULL) return;
  task->done = done;
  task->said_all = false;
  double interval = line->terminal.redraws ? terminal_interval : line_interval;
  bool whole = done >= task->total && (task->said || line->terminal.redraws);
  if (whole || clock_seconds() - task->last >= interval) show(line, task, NULL);
}

static void keep_line(LiveLine *line, uint64_t done, const char *text, bool is_result) {
  LiveTask *task = innermost(line);
  if (task == NULL) return;
  task->done = done;
  show(line, task, &(KeptLine){text, is_result});
}

static void set_phase(LiveLine *line, const char *phase) {
  LiveTask *task = innermost(line);
  if (task == NULL || !line->terminal.redraws) return;
  (void)snprintf(task->phase, sizeof task->phase, "%s", phase);
  show(line, task, NULL);
}

static void end_task(LiveLine *line) {
  LiveTask *task = innermost(line);
  if (task != NULL && task->said && !task->said_all) show(line, task, NULL);
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

static void on_begin(Progress *progress, const char *label, uint64_t done, uint64_t total) {
  LiveLine *line = lock(progress);
  begin_task(line, label, done, total);
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
