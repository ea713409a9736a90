// Matching by backtracking, with a stack of its own in place of recursion. Rule: the text is well-formed
// UTF-8; every step that a pattern can repeat is counted, so no pattern runs for ever.
#include "regex_parts.h"

#include "util/memory.h"
#include <stdlib.h>

/// Steps in one search, and places to go back to at a time. Patterns come from files.
static const uint64_t MAX_STEPS = 50 * 1000 * 1000;
enum { MAX_FRAMES = 4 * 1000 * 1000 };

/// A place to go back to: the operation `op` at `pos`. If it stands for a run, the operation behind it, at
/// each place from before `pos` down to `low`, or if the run is lazy, up to `more` characters behind `pos`.
typedef struct RegexFrame {
  uint32_t op;
  bool is_run;
  int32_t more;
  size_t pos, low;
} RegexFrame;

void regex_scratch_free(RegexScratch *scratch) {
  if (scratch == NULL) return;
  free(scratch->frames);
  *scratch = (RegexScratch){0};
}

typedef struct Matcher {
  const Regex *regex;
  RegexScratch *scratch;
  const uint8_t *text;
  size_t size;
  size_t edge; // where the look-behind that is being run must end
} Matcher;

/// The character at `pos`, which is inside of the text, and its bytes.
static inline uint32_t char_at(const Matcher *matcher, size_t pos, size_t *bytes) {
  const uint8_t *at = matcher->text + pos;
  if (at[0] < 0x80) {
    *bytes = 1;
    return at[0];
  }
  if (at[0] < 0xE0) {
    *bytes = 2;
    return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu);
  }
  if (at[0] < 0xF0) {
    *bytes = 3;
    return (at[0] & 0xFu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
  }
  *bytes = 4;
  return (at[0] & 7u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 | (at[3] & 0x3Fu);
}

/// Where the character before `pos` > 0 starts.
static inline size_t char_before(const Matcher *matcher, size_t pos) {
  pos--;
  while ((matcher->text[pos] & 0xC0) == 0x80) pos--;
  return pos;
}

static inline bool step(const Matcher *matcher, const CharTable *table, size_t *pos) {
  if (*pos == matcher->size) return false;
  size_t bytes;
  uint32_t code = char_at(matcher, *pos, &bytes);
  if (!char_table_has(table, code)) return false;
  *pos += bytes;
  return true;
}

static bool is_word(const Matcher *matcher, size_t pos) {
  return step(matcher, matcher->regex->word, &pos);
}

static bool assertion_holds(const Matcher *matcher, Assertion assertion, size_t pos) {
  const uint8_t *text = matcher->text;
  size_t size = matcher->size;
  switch (assertion) {
  case AT_LINE_START: // not behind a line feed that ends the text
    return pos == 0 || (text[pos - 1] == '\n' && pos < size);
  case AT_LINE_END:
    return pos == size || text[pos] == '\n';
  case AT_TEXT_START:
    return pos == 0;
  case AT_TEXT_END:
    return pos == size;
  case AT_LAST_LINE_END:
    return pos == size || (pos + 1 == size && text[pos] == '\n');
  case AT_LOOK_END:
    return pos == matcher->edge;
  case AT_WORD_EDGE:
  case AT_NO_WORD_EDGE:
    break;
  }
  bool before = pos > 0 && is_word(matcher, char_before(matcher, pos));
  return (before != is_word(matcher, pos)) == (assertion == AT_WORD_EDGE);
}

static Status fail_too_long(const Matcher *matcher) {
  return status_fail(STATUS_INPUT, "the tokenizer's pattern takes too long on a text of %zu bytes",
                     matcher->size);
}

static Status push(const Matcher *matcher, RegexFrame frame) {
  RegexScratch *scratch = matcher->scratch;
  if (scratch->count == MAX_FRAMES) return fail_too_long(matcher);
  TRY(mem_reserve(&scratch->frames, &scratch->capacity, scratch->count + 1, "matching a pattern"));
  scratch->frames[scratch->count++] = frame;
  return STATUS_OK;
}

static Status count_steps(const Matcher *matcher, uint64_t steps) {
  matcher->scratch->steps += steps;
  return matcher->scratch->steps <= MAX_STEPS ? STATUS_OK : fail_too_long(matcher);
}

static Status run(const Matcher *matcher, uint32_t op, size_t *pos, bool *matched);

/// True if the program at `op`, run from some place before `pos`, ends at `pos`.
static Status look_behind(const Matcher *matcher, const Op *look, uint32_t op, size_t pos, bool *matched) {
  Matcher behind = *matcher;
  behind.edge = pos;
  size_t start = pos;
  *matched = false;
  for (int32_t width = 0; width <= look->max; width++) {
    size_t stop = start;
    if (width >= look->min) TRY(run(&behind, op, &stop, matched));
    if (*matched || start == 0) break;
    start = char_before(matcher, start);
  }
  return STATUS_OK;
}

/// Runs the look at `op`. If it holds, *pos moves for an atomic group alone.
static Status run_look(const Matcher *matcher, uint32_t op, size_t *pos, bool *holds) {
  const Op *look = &matcher->regex->ops[op];
  size_t stop = *pos;
  bool behind = look->look == LOOK_BEHIND || look->look == LOOK_NOT_BEHIND;
  TRY(count_steps(matcher, 1));
  TRY(behind ? look_behind(matcher, look, op + 1, *pos, holds) : run(matcher, op + 1, &stop, holds));
  if (look->look == LOOK_NOT_AHEAD || look->look == LOOK_NOT_BEHIND) *holds = !*holds;
  if (look->look == LOOK_ATOMIC && *holds) *pos = stop;
  return STATUS_OK;
}

/// Moves *pos past the characters of the set and returns their number, at most `most`.
static int32_t skip_run(const Matcher *matcher, const CharTable *table, int32_t most, size_t *pos) {
  int32_t count = 0;
  size_t at = *pos;
  while (count < most && at < matcher->size) {
    uint8_t byte = matcher->text[at];
    if (byte < 0x80) {
      if ((table->ascii[byte >> 6] >> (byte & 63) & 1) == 0) break;
      at++;
    } else if (!step(matcher, table, &at)) {
      break;
    }
    count++;
  }
  *pos = at;
  return count;
}

/// As many characters as the run must or may have; false if there are too few.
static Status start_run(const Matcher *matcher, uint32_t index, size_t *pos, bool *good) {
  const Op *op = &matcher->regex->ops[index];
  const CharTable *table = matcher->regex->tables[op->set];
  size_t start = *pos;
  int32_t count = skip_run(matcher, table, op->min, pos);
  size_t low = *pos;
  if (op->greed != LAZY && count == op->min) count += skip_run(matcher, table, op->max - op->min, pos);
  *good = count >= op->min;
  TRY(count_steps(matcher, *pos - start));
  if (!*good || op->greed == POSSESSIVE) return STATUS_OK;
  RegexFrame frame = {.op = index, .is_run = true, .pos = *pos, .low = low, .more = op->max - count};
  bool more = op->greed == LAZY ? count < op->max : low < *pos;
  return more ? push(matcher, frame) : STATUS_OK;
}

/// Goes back to the place in the last frame. *good is false if that place does not fit any more.
static Status resume(const Matcher *matcher, uint32_t *op, size_t *pos, bool *good) {
  RegexScratch *scratch = matcher->scratch;
  RegexFrame *frame = &scratch->frames[scratch->count - 1];
  const Op *last = &matcher->regex->ops[frame->op];
  *good = true;
  TRY(count_steps(matcher, 1));
  *op = frame->op;
  if (!frame->is_run) {
    *pos = frame->pos;
    scratch->count--;
    return STATUS_OK;
  }
  *op += 1;
  if (last->greed == LAZY) {
    *pos = frame->pos;
    *good = step(matcher, matcher->regex->tables[last->set], pos);
    frame->pos = *pos;
    if (!*good || --frame->more == 0) scratch->count--;
  } else {
    *pos = frame->pos = char_before(matcher, frame->pos);
    if (frame->pos <= frame->low) scratch->count--;
  }
  return STATUS_OK;
}

/// False if the operation certainly does not fit at `pos`, so that there is no need to come back from it.
static inline bool can_start(const Matcher *matcher, const Op *op, size_t pos) {
  if (op->code != OP_SET && (op->code != OP_RUN || op->min == 0)) return true;
  return step(matcher, matcher->regex->tables[op->set], &pos);
}

/// Runs one operation at *pos and moves *op to the next. *good is false if it does not fit.
static inline Status run_op(const Matcher *matcher, uint32_t *op, size_t *pos, bool *good) {
  const Op *now = &matcher->regex->ops[*op];
  *good = true;
  switch (now->code) {
  case OP_SET:
    *good = step(matcher, matcher->regex->tables[now->set], pos);
    break;
  case OP_RUN:
    TRY(start_run(matcher, *op, pos, good));
    break;
  case OP_SPLIT:
    if (!can_start(matcher, now + 1, *pos)) {
      *op = now->target;
      return STATUS_OK;
    }
    TRY(push(matcher, (RegexFrame){.op = now->target, .pos = *pos}));
    break;
  case OP_SPLIT_LAZY:
    TRY(push(matcher, (RegexFrame){.op = *op + 1, .pos = *pos}));
    *op = now->target;
    return STATUS_OK;
  case OP_JUMP:
    *op = now->target;
    return STATUS_OK;
  case OP_LOOK:
    TRY(run_look(matcher, *op, pos, good));
    *op = now->target;
    return STATUS_OK;
  case OP_ASSERTION:
    *good = assertion_holds(matcher, now->assertion, *pos);
    break;
  case OP_END:
    return STATUS_OK;
  }
  *op += 1;
  return STATUS_OK;
}

/// Runs the program at `op` from *pos. If it matches, *pos is where the match ends. Recurses for looks alone,
/// which are nested at most REGEX_MAX_DEPTH deep.
static Status run(const Matcher *matcher, uint32_t op, size_t *pos, bool *matched) {
  RegexScratch *scratch = matcher->scratch;
  size_t base = scratch->count, at = *pos;
  *matched = true;
  while (*matched && matcher->regex->ops[op].code != OP_END) {
    TRY(run_op(matcher, &op, &at, matched));
    while (!*matched && scratch->count > base) TRY(resume(matcher, &op, &at, matched));
  }
  scratch->count = base;
  if (*matched) *pos = at;
  return STATUS_OK;
}

Status regex_next(const Regex *regex, RegexScratch *scratch, const char *text, size_t size,
                  RegexCursor *cursor, RegexMatch *out, bool *found) {
  Matcher matcher = {.regex = regex, .scratch = scratch, .text = (const uint8_t *)text, .size = size};
  scratch->steps = 0;
  for (size_t start = cursor->next; start <= size;) {
    size_t stop = start;
    scratch->count = 0;
    *found = false;
    if (can_start(&matcher, regex->ops, start)) TRY(run(&matcher, 0, &stop, found));
    scratch->steps++;
    if (*found && !(stop == start && cursor->matched && cursor->last == stop)) {
      *out = (RegexMatch){start, stop};
      *cursor = (RegexCursor){.next = stop, .last = stop, .matched = true};
      return STATUS_OK;
    }
    if (start == size) break;
    size_t bytes;
    (void)char_at(&matcher, start, &bytes);
    start += bytes;
  }
  *found = false;
  cursor->next = size + 1;
  return STATUS_OK;
}
