// Cutting text into pieces. Rule: the same pieces as Hugging Face's pre-tokenizers, which are steps on a list
// of pieces; here each piece goes through the later steps as soon as it is cut, so no list is kept.
#include "pretokenize.h"

#include "util/memory.h"
#include "util/utf8.h"
#include "vocab.h"
#include <stdlib.h>
#include <string.h>

typedef enum StepKind {
  STEP_SPLIT,
  STEP_LENGTH,
  STEP_PREFIX,
  STEP_METASPACE,
  STEP_TO_TEXT,
  STEP_TO_BYTES
} StepKind;

typedef struct PreStep {
  StepKind kind;
  Regex *regex; // of STEP_SPLIT, and what follows to SPLIT's `invert`
  SplitBehavior behavior;
  bool invert;
  size_t length; // of STEP_LENGTH, in characters
  char *mark;    // of STEP_METASPACE
  PrependScheme scheme;
} PreStep;

static void free_step(PreStep *step) {
  regex_free(step->regex);
  free(step->mark);
}

/// Adds a step, and takes what it holds.
static Status add_step(PreTokenizer *pre, PreStep step, const char *name) {
  Status status = STATUS_OK;
  if (pre->count == PRETOKENIZE_MAX_STEPS) {
    status =
        status_fail(STATUS_INPUT, "%s: pre_tokenizer has more than %d steps", name, PRETOKENIZE_MAX_STEPS);
  } else if (pre->steps == NULL) {
    status = mem_array(&pre->steps, PRETOKENIZE_MAX_STEPS, "the pre-tokenizer");
  }
  if (status == STATUS_OK) {
    pre->steps[pre->count++] = step;
  } else {
    free_step(&step);
  }
  return status;
}

void pretokenizer_free(PreTokenizer *pre) {
  if (pre == NULL) return;
  for (size_t i = 0; i < pre->count; i++) free_step(&pre->steps[i]);
  free(pre->steps);
  *pre = (PreTokenizer){0};
}

// ---- adding steps ----

Status pretokenizer_add_split(PreTokenizer *pre, const char *pattern, SplitBehavior behavior, bool invert,
                              const char *name) {
  PreStep step = {.kind = STEP_SPLIT, .behavior = behavior, .invert = invert};
  TRY(regex_compile(pattern, name, &step.regex));
  return add_step(pre, step, name);
}

Status pretokenizer_add_text_split(PreTokenizer *pre, const char *text, SplitBehavior behavior, bool invert,
                                   const char *name) {
  if (text[0] == '\0') return STATUS_OK; // it is found nowhere
  PreStep step = {.kind = STEP_SPLIT, .behavior = behavior, .invert = invert};
  TRY(regex_compile_text(text, strlen(text), &step.regex));
  return add_step(pre, step, name);
}

/// A step that cuts at each character of the set.
static Status add_set_split(PreTokenizer *pre, const Charset *set, SplitBehavior behavior, const char *name) {
  PreStep step = {.kind = STEP_SPLIT, .behavior = behavior};
  TRY(regex_compile_set(set, &step.regex));
  return add_step(pre, step, name);
}

Status pretokenizer_add_digits(PreTokenizer *pre, bool individual, const char *name) {
  Charset set = {0};
  Status status = charset_add_categories(&set, 1u << CATEGORY_ND | 1u << CATEGORY_NL | 1u << CATEGORY_NO);
  if (status == STATUS_OK) status = charset_add_table(&set, &UNICODE_LATER_NUMBERS);
  if (status == STATUS_OK)
    status = add_set_split(pre, &set, individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, name);
  charset_free(&set);
  return status;
}

Status pretokenizer_add_punctuation(PreTokenizer *pre, SplitBehavior behavior, const char *name) {
  Charset set = {0};
  Status status = charset_add_table(&set, &UNICODE_PUNCTUATION);
  if (status == STATUS_OK) status = add_set_split(pre, &set, behavior, name);
  charset_free(&set);
  return status;
}

Status pretokenizer_add_whitespace_split(PreTokenizer *pre, const char *name) {
  Charset set = {0};
  Status status = charset_add_space(&set);
  if (status == STATUS_OK) status = add_set_split(pre, &set, SPLIT_REMOVED, name);
  charset_free(&set);
  return status;
}

Status pretokenizer_add_whitespace(PreTokenizer *pre, const char *name) {
  // Rust's \w, which unlike Oniguruma's has the joiners.
  static const char pattern[] = "[\\w\\x{200c}\\x{200d}]+|[^\\w\\x{200c}\\x{200d}\\s]+";
  return pretokenizer_add_split(pre, pattern, SPLIT_REMOVED, true, name);
}

Status pretokenizer_add_length(PreTokenizer *pre, size_t length, const char *name) {
  return add_step(pre, (PreStep){.kind = STEP_LENGTH, .length = length}, name);
}

Status pretokenizer_add_prefix_space(PreTokenizer *pre, const char *name) {
  return add_step(pre, (PreStep){.kind = STEP_PREFIX}, name);
}

Status pretokenizer_add_metaspace(PreTokenizer *pre, const char *mark, PrependScheme scheme,
                                  const char *name) {
  if (scheme == PREPEND_FIRST && pre->count > 0) {
    return status_fail(STATUS_INPUT,
                       "%s: pre_tokenizer Metaspace with prepend_scheme \"first\" behind another step is not "
                       "supported",
                       name);
  }
  PreStep step = {.kind = STEP_METASPACE, .scheme = scheme};
  TRY(str_copy(&step.mark, mark, strlen(mark)));
  return add_step(pre, step, name);
}

Status pretokenizer_add_byte_text(PreTokenizer *pre, bool back, const char *name) {
  return add_step(pre, (PreStep){.kind = back ? STEP_TO_BYTES : STEP_TO_TEXT}, name);
}

// ---- cutting ----

/// What all steps of one call share.
typedef struct Cut {
  const PreTokenizer *pre;
  RegexScratch *scratch;
  PieceSink sink;
  void *user;
  bool at_start;
} Cut;

static Status cut(const Cut *state, size_t step, const char *text, size_t size);

/// Joins matches and the texts between them into pieces, as the step's behavior says.
typedef struct Joiner {
  const Cut *state;
  size_t step;
  const char *text;
  RegexMatch pending; // the last part, which the next may join
  bool waiting;       // there is one
  bool was_match;     // of the last part
} Joiner;

static Status flush(Joiner *joiner) {
  if (!joiner->waiting) return STATUS_OK;
  joiner->waiting = false;
  RegexMatch piece = joiner->pending;
  return cut(joiner->state, joiner->step + 1, joiner->text + piece.start, piece.stop - piece.start);
}

/// True if a part joins the one before it.
static bool joins(const Joiner *joiner, bool match) {
  switch (joiner->state->pre->steps[joiner->step].behavior) {
  case SPLIT_MERGED_WITH_PREVIOUS:
    return match && !joiner->was_match;
  case SPLIT_MERGED_WITH_NEXT:
    return !match && joiner->was_match;
  case SPLIT_CONTIGUOUS:
    return match == joiner->was_match;
  case SPLIT_ISOLATED:
  case SPLIT_REMOVED:
    break;
  }
  return false;
}

static Status take_part(Joiner *joiner, RegexMatch part, bool match) {
  const PreStep *step = &joiner->state->pre->steps[joiner->step];
  match ^= step->invert;
  if (match && step->behavior == SPLIT_REMOVED) return STATUS_OK;
  if (joiner->waiting && joins(joiner, match)) {
    joiner->pending.stop = part.stop;
  } else {
    TRY(flush(joiner));
    joiner->pending = part;
    joiner->waiting = true;
  }
  joiner->was_match = match;
  return STATUS_OK;
}

static Status cut_matches(const Cut *state, size_t step, const char *text, size_t size) {
  Joiner joiner = {.state = state, .step = step, .text = text};
  RegexCursor cursor = {0};
  size_t edge = 0; // end of the last match
  for (;;) {
    RegexMatch match;
    bool found;
    TRY(regex_next(state->pre->steps[step].regex, state->scratch, text, size, &cursor, &match, &found));
    if (!found) break;
    if (edge < match.start) TRY(take_part(&joiner, (RegexMatch){edge, match.start}, false));
    TRY(take_part(&joiner, match, true));
    edge = match.stop;
  }
  if (edge < size) TRY(take_part(&joiner, (RegexMatch){edge, size}, false));
  return flush(&joiner);
}

static Status cut_lengths(const Cut *state, size_t step, const char *text, size_t size) {
  size_t start = 0, count = 0;
  for (size_t at = 0; at < size;) {
    at += utf8_read(text + at, size - at).size;
    if (++count < state->pre->steps[step].length && at < size) continue;
    TRY(cut(state, step + 1, text + start, at - start));
    start = at;
    count = 0;
  }
  return STATUS_OK;
}

static Status write_metaspace(const Cut *state, const PreStep *step, const char *text, size_t size,
                              Str *out) {
  size_t mark = strlen(step->mark);
  bool marked = text[0] == ' ' || (size >= mark && memcmp(text, step->mark, mark) == 0);
  bool prepends = step->scheme == PREPEND_ALWAYS || (step->scheme == PREPEND_FIRST && state->at_start);
  if (prepends && !marked) TRY(str_append_text(out, step->mark));
  for (size_t at = 0; at < size;) {
    const char *space = memchr(text + at, ' ', size - at);
    size_t stop = space != NULL ? (size_t)(space - text) : size;
    TRY(str_append(out, text + at, stop - at));
    if (space != NULL) TRY(str_append_text(out, step->mark));
    at = stop + 1;
  }
  return STATUS_OK;
}

static Status write_byte_text(const char *text, size_t size, Str *out) {
  for (size_t i = 0; i < size; i++) {
    char character[4];
    TRY(str_append(out, character, utf8_write(byte_to_char((uint8_t)text[i]), character)));
  }
  return STATUS_OK;
}

static Status write_bytes(const char *text, size_t size, Str *out) {
  for (size_t at = 0; at < size;) {
    Utf8Char c = utf8_read(text + at, size - at);
    char byte = (char)byte_from_char(c.code);
    TRY(str_append(out, &byte, 1));
    at += c.size;
  }
  return STATUS_OK;
}

/// Steps that change a piece without cutting it.
static Status cut_changed(const Cut *state, size_t step, const char *text, size_t size) {
  const PreStep *now = &state->pre->steps[step];
  Str changed = {0};
  Status status = STATUS_OK;
  switch (now->kind) {
  case STEP_METASPACE:
    TRY_CLEAN(write_metaspace(state, now, text, size, &changed));
    break;
  case STEP_TO_TEXT:
    TRY_CLEAN(write_byte_text(text, size, &changed));
    break;
  case STEP_TO_BYTES:
    TRY_CLEAN(write_bytes(text, size, &changed));
    break;
  default: // STEP_PREFIX
    if (text[0] != ' ') TRY_CLEAN(str_append(&changed, " ", 1));
    TRY_CLEAN(str_append(&changed, text, size));
  }
  status = cut(state, step + 1, changed.data, changed.size);
cleanup:
  str_free(&changed);
  return status;
}

/// Cuts a piece by the steps from `step` on. Recurses at most PRETOKENIZE_MAX_STEPS deep.
static Status cut(const Cut *state, size_t step, const char *text, size_t size) {
  if (size == 0) return STATUS_OK;
  if (step == state->pre->count) return state->sink(state->user, text, size);
  StepKind kind = state->pre->steps[step].kind;
  if (kind == STEP_SPLIT) return cut_matches(state, step, text, size);
  if (kind == STEP_LENGTH) return cut_lengths(state, step, text, size);
  return cut_changed(state, step, text, size);
}

Status pretokenize(const PreTokenizer *pre, RegexScratch *scratch, const char *text, size_t size,
                   bool at_start, PieceSink sink, void *user) {
  Cut state = {pre, scratch, sink, user, at_start};
  return cut(&state, 0, text, size);
}
