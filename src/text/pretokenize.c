// Cutting by PCRE2. Rule: a pattern means the same here as in Hugging Face's engine, Oniguruma with
// Unicode 16.
//
// Two things differ and are corrected when a pattern is compiled. PCRE2's \s also matches U+180E, which is
// not White_Space since Unicode 6.3. And PCRE2 may know only an older Unicode (10.42: 14.0), without later
// letters and numbers. So \s, \S, \p{L} and \p{N} are rewritten.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "pretokenize.h"

#include "util/memory.h"
#include "util/str.h"
#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

const char *const PATTERN_GPT2 =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
const char *const PATTERN_LLAMA3 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}|"
                                   " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
const char *const PATTERN_QWEN2 = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}|"
                                  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

// Members of a character class.
#define WHITE_SPACE                                                                                          \
  "\\t-\\r\\x20\\x85\\xa0\\x{1680}\\x{2000}-\\x{200a}\\x{2028}\\x{2029}\\x{202f}\\x{205f}\\x{3000}"
// Letters of Unicode 15.0, 15.1 and 16.0.
#define NEW_LETTERS                                                                                          \
  "\\x{1c89}-\\x{1c8a}\\x{a7cb}-\\x{a7cd}\\x{a7da}-\\x{a7dc}\\x{105c0}-\\x{105f3}\\x{10d4a}-\\x{10d65}"      \
  "\\x{10d6f}-\\x{10d85}\\x{10ec2}-\\x{10ec4}\\x{1123f}-\\x{11240}\\x{11380}-\\x{11389}\\x{1138b}\\x{1138e}" \
  "\\x{11390}-\\x{113b5}\\x{113b7}\\x{113d1}\\x{113d3}\\x{11bc0}-\\x{11be0}\\x{11f02}\\x{11f04}-\\x{11f10}"  \
  "\\x{11f12}-\\x{11f33}\\x{1342f}\\x{13441}-\\x{13446}\\x{13460}-\\x{143fa}\\x{16100}-\\x{1611d}"           \
  "\\x{16d40}-\\x{16d6c}\\x{18cff}\\x{1b132}\\x{1b155}\\x{1df25}-\\x{1df2a}\\x{1e030}-\\x{1e06d}"            \
  "\\x{1e4d0}-\\x{1e4eb}\\x{1e5d0}-\\x{1e5ed}\\x{1e5f0}\\x{2b739}\\x{2ebf0}-\\x{2ee5d}\\x{31350}-\\x{323af}"
// Numbers of the same versions.
#define NEW_NUMBERS                                                                                          \
  "\\x{10d40}-\\x{10d49}\\x{116d0}-\\x{116e3}\\x{11bf0}-\\x{11bf9}\\x{11f50}-\\x{11f59}\\x{16130}-\\x{"      \
  "16139}"                                                                                                   \
  "\\x{16d70}-\\x{16d79}\\x{1ccf0}-\\x{1ccf9}\\x{1d2c0}-\\x{1d2d3}\\x{1e4f0}-\\x{1e4f9}\\x{1e5f1}-\\x{"      \
  "1e5fa}"
// Numbers of Unicode 17.0, which Rust's char::is_numeric already knows. Digits are cut apart by it.
#define NEWEST_NUMBERS "\\x{11de0}-\\x{11de9}\\x{16ff4}-\\x{16ff6}"

/// Limits on the cost of a pattern per piece of text, because patterns come from files.
enum { MATCH_LIMIT = 50 * 1000 * 1000, HEAP_LIMIT_KIB = 64 * 1024 };

typedef struct PreStep {
  pcre2_code *code; // NULL: the step that puts a space in front
} PreStep;

struct PreScratch {
  pcre2_match_data *match;
};

/// What an escape becomes inside and outside of a character class.
typedef struct Rewrite {
  const char *escape, *inside, *outside;
} Rewrite;

static const Rewrite REWRITES[] = {
    {"\\s", WHITE_SPACE, "[" WHITE_SPACE "]"},
    {"\\S", NULL, "[^" WHITE_SPACE "]"},
    {"\\p{L}", "\\p{L}" NEW_LETTERS, "[\\p{L}" NEW_LETTERS "]"},
    {"\\p{N}", "\\p{N}" NEW_NUMBERS, "[\\p{N}" NEW_NUMBERS "]"},
};

/// *text = what the escape at `at` becomes. Returns the length of the escape; 0 if there is nothing to
/// rewrite.
static size_t rewrite_escape(const char *at, bool inside, const char **text) {
  for (size_t i = 0; i < sizeof REWRITES / sizeof *REWRITES; i++) {
    *text = inside ? REWRITES[i].inside : REWRITES[i].outside;
    size_t length = strlen(REWRITES[i].escape);
    if (*text != NULL && strncmp(at, REWRITES[i].escape, length) == 0) return length;
  }
  return 0;
}

static Status rewrite_pattern(const char *pattern, Str *out) {
  bool inside = false;
  for (const char *at = pattern; *at != '\0';) {
    const char *text;
    size_t length = rewrite_escape(at, inside, &text);
    if (length > 0) {
      TRY(str_append_text(out, text));
    } else {
      length = at[0] == '\\' && at[1] != '\0' ? 2 : 1;
      if (*at == '[') inside = true;
      if (*at == ']') inside = false;
      TRY(str_append(out, at, length));
    }
    at += length;
  }
  return STATUS_OK;
}

static Status add_step(PreTokenizer *pre, pcre2_code *code, const char *name) {
  if (pre->count == PRETOKENIZE_MAX_STEPS) {
    return status_fail(STATUS_INPUT, "%s: pre_tokenizer has more than %d steps", name, PRETOKENIZE_MAX_STEPS);
  }
  if (pre->steps == NULL) TRY(mem_array(&pre->steps, PRETOKENIZE_MAX_STEPS, "the pre-tokeniser"));
  if (pre->limits == NULL) {
    pre->limits = pcre2_match_context_create(NULL);
    if (pre->limits == NULL) return status_fail(STATUS_FAILED, "out of memory for the pre-tokeniser");
    pcre2_set_match_limit(pre->limits, MATCH_LIMIT);
    pcre2_set_heap_limit(pre->limits, HEAP_LIMIT_KIB);
  }
  pre->steps[pre->count++].code = code;
  return STATUS_OK;
}

static Status compile(const char *pattern, const char *shown, const char *name, pcre2_code **out) {
  int error = 0;
  PCRE2_SIZE offset = 0;
  uint32_t options = PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C;
  pcre2_code *code =
      pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED, options, &error, &offset, NULL);
  if (code == NULL) {
    PCRE2_UCHAR text[128] = {0};
    (void)pcre2_get_error_message(error, text, sizeof text);
    if (error == PCRE2_ERROR_HEAP_FAILED)
      return status_fail(STATUS_FAILED, "%s: the pre_tokenizer's pattern: %s", name, (const char *)text);
    return status_fail(STATUS_INPUT, "%s: the pre_tokenizer's pattern \"%.200s\" is broken: %s", name, shown,
                       (const char *)text);
  }
  uint32_t matches_empty = 0;
  (void)pcre2_pattern_info(code, PCRE2_INFO_MATCHEMPTY, &matches_empty);
  if (matches_empty != 0) {
    pcre2_code_free(code);
    return status_fail(STATUS_INPUT, "%s: the pre_tokenizer's pattern \"%.200s\" matches the empty text",
                       name, shown);
  }
  (void)pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); // if it fails, matching is only slower
  *out = code;
  return STATUS_OK;
}

static Status add_pattern(PreTokenizer *pre, const char *pattern, const char *shown, const char *name) {
  pcre2_code *code = NULL;
  TRY(compile(pattern, shown, name, &code));
  Status status = add_step(pre, code, name);
  if (status != STATUS_OK) pcre2_code_free(code);
  return status;
}

Status pretokenizer_add_split(PreTokenizer *pre, const char *pattern, const char *name) {
  Str rewritten = {0};
  Status status = rewrite_pattern(pattern, &rewritten);
  if (status == STATUS_OK) status = add_pattern(pre, str_text(&rewritten), pattern, name);
  str_free(&rewritten);
  return status;
}

Status pretokenizer_add_digits(PreTokenizer *pre, bool individual, const char *name) {
  static const char one[] = "[\\p{N}" NEW_NUMBERS NEWEST_NUMBERS "]";
  static const char run[] = "[\\p{N}" NEW_NUMBERS NEWEST_NUMBERS "]+";
  return add_pattern(pre, individual ? one : run, "digits", name);
}

Status pretokenizer_add_prefix_space(PreTokenizer *pre, const char *name) {
  return add_step(pre, NULL, name);
}

void pretokenizer_free(PreTokenizer *pre) {
  if (pre == NULL) return;
  for (size_t i = 0; i < pre->count; i++) pcre2_code_free(pre->steps[i].code);
  free(pre->steps);
  pcre2_match_context_free(pre->limits);
  *pre = (PreTokenizer){0};
}

Status pre_scratch_create(PreScratch **out) {
  PreScratch *scratch = NULL;
  TRY(mem_array(&scratch, 1, "the pre-tokeniser"));
  scratch->match = pcre2_match_data_create(1, NULL);
  if (scratch->match == NULL) {
    free(scratch);
    return status_fail(STATUS_FAILED, "out of memory for the pre-tokeniser");
  }
  *out = scratch;
  return STATUS_OK;
}

void pre_scratch_free(PreScratch *scratch) {
  if (scratch == NULL) return;
  pcre2_match_data_free(scratch->match);
  free(scratch);
}

/// What all steps of one call share.
typedef struct Cut {
  const PreTokenizer *pre;
  PreScratch *scratch;
  PieceSink sink;
  void *user;
} Cut;

static Status cut(const Cut *state, size_t step, const char *text, size_t size);

static Status cut_matches(const Cut *state, size_t step, const char *text, size_t size) {
  const PreTokenizer *pre = state->pre;
  size_t at = 0, edge = 0; // edge: end of the last piece; text[0, edge) has been cut
  while (at < size) {
    int found = pcre2_match(pre->steps[step].code, (PCRE2_SPTR)text, size, at,
                            PCRE2_NO_UTF_CHECK | PCRE2_NOTEMPTY, state->scratch->match, pre->limits);
    if (found == PCRE2_ERROR_NOMATCH) break;
    if (found < 0) {
      PCRE2_UCHAR reason[128] = {0};
      (void)pcre2_get_error_message(found, reason, sizeof reason);
      return status_fail(found == PCRE2_ERROR_NOMEMORY ? STATUS_FAILED : STATUS_INPUT,
                         "the tokenizer's pattern fails on a text of %zu bytes: %s", size,
                         (const char *)reason);
    }
    const PCRE2_SIZE *range = pcre2_get_ovector_pointer(state->scratch->match);
    size_t start = range[0], stop = range[1]; // copied, because the next match overwrites them
    // With \K a match may begin before the last one ended, or end before it begins.
    if (stop <= start || stop > size || start < edge) {
      return status_fail(STATUS_INPUT, "the tokenizer's pattern gives a piece that ends before it starts");
    }
    TRY(cut(state, step + 1, text + edge, start - edge));
    TRY(cut(state, step + 1, text + start, stop - start));
    at = edge = stop;
  }
  return cut(state, step + 1, text + edge, size - edge);
}

static Status cut_with_space(const Cut *state, size_t step, const char *text, size_t size) {
  if (text[0] == ' ') return cut(state, step + 1, text, size);
  Str spaced = {0};
  Status status = str_append(&spaced, " ", 1);
  if (status == STATUS_OK) status = str_append(&spaced, text, size);
  if (status == STATUS_OK) status = cut(state, step + 1, spaced.data, spaced.size);
  str_free(&spaced);
  return status;
}

/// Cuts a piece by the steps from `step` on. Recurses at most PRETOKENIZE_MAX_STEPS deep.
static Status cut(const Cut *state, size_t step, const char *text, size_t size) {
  if (size == 0) return STATUS_OK;
  if (step == state->pre->count) return state->sink(state->user, text, size);
  if (state->pre->steps[step].code == NULL) return cut_with_space(state, step, text, size);
  return cut_matches(state, step, text, size);
}

Status pretokenize(const PreTokenizer *pre, PreScratch *scratch, const char *text, size_t size,
                   PieceSink sink, void *user) {
  Cut state = {pre, scratch, sink, user};
  return cut(&state, 0, text, size);
}
