// Normalizing text. Rule: the same result as Hugging Face's normalizers, whose normal forms know Unicode 9:
// characters that came later are left alone, and what stands around them is normalized by itself.
#include "normalize.h"

#include "regex.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

typedef enum StepKind { STEP_FORM, STEP_LOWERCASE, STEP_STRIP, STEP_PREPEND, STEP_REPLACE } StepKind;

typedef struct NormalStep {
  StepKind kind;
  NormalForm form;
  bool left, right; // of STEP_STRIP
  char *text;       // what is prepended, or what replaces
  Regex *regex;     // of STEP_REPLACE
} NormalStep;

static void free_step(NormalStep *step) {
  free(step->text);
  regex_free(step->regex);
}

/// Adds a step, and takes what it holds.
static Status add_step(Normalizer *normalizer, NormalStep step, const char *name) {
  Status status = STATUS_OK;
  if (normalizer->count == NORMALIZE_MAX_STEPS) {
    status = status_fail(STATUS_INPUT, "%s: normalizer has more than %d steps", name, NORMALIZE_MAX_STEPS);
  } else if (normalizer->steps == NULL) {
    status = mem_array(&normalizer->steps, NORMALIZE_MAX_STEPS, "the normalizer");
  }
  if (status == STATUS_OK) {
    normalizer->steps[normalizer->count++] = step;
  } else {
    free_step(&step);
  }
  return status;
}

Status normalizer_add_form(Normalizer *normalizer, NormalForm form, const char *name) {
  return add_step(normalizer, (NormalStep){.kind = STEP_FORM, .form = form}, name);
}

Status normalizer_add_lowercase(Normalizer *normalizer, const char *name) {
  return add_step(normalizer, (NormalStep){.kind = STEP_LOWERCASE}, name);
}

Status normalizer_add_strip(Normalizer *normalizer, bool left, bool right, const char *name) {
  return add_step(normalizer, (NormalStep){.kind = STEP_STRIP, .left = left, .right = right}, name);
}

Status normalizer_add_prepend(Normalizer *normalizer, const char *text, const char *name) {
  NormalStep step = {.kind = STEP_PREPEND};
  TRY(str_copy(&step.text, text, strlen(text)));
  return add_step(normalizer, step, name);
}

Status normalizer_add_replace(Normalizer *normalizer, const char *pattern, bool is_regex, const char *content,
                              const char *name) {
  if (!is_regex && pattern[0] == '\0') return STATUS_OK; // it is found nowhere
  NormalStep step = {.kind = STEP_REPLACE};
  TRY(is_regex ? regex_compile(pattern, name, &step.regex)
               : regex_compile_text(pattern, strlen(pattern), &step.regex));
  Status status = str_copy(&step.text, content, strlen(content));
  // Hugging Face then loses track of which characters stand where.
  if (status == STATUS_OK && regex_can_be_empty(step.regex)) {
    status = status_fail(STATUS_INPUT,
                         "%s: normalizer Replace: the pattern \"%.200s\" can match the empty text, "
                         "which is not supported",
                         name, pattern);
  }
  if (status != STATUS_OK) {
    free_step(&step);
    return status;
  }
  return add_step(normalizer, step, name);
}

void normalizer_free(Normalizer *normalizer) {
  if (normalizer == NULL) return;
  for (size_t i = 0; i < normalizer->count; i++) free_step(&normalizer->steps[i]);
  free(normalizer->steps);
  *normalizer = (Normalizer){0};
}

// ---- normal forms ----

static bool is_later(uint32_t code) {
  const UnicodeTable *table = &UNICODE_LATER_NORMAL;
  size_t low = 0, high = table->count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if (table->ranges[middle].high < code) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < table->count && table->ranges[low].low <= code;
}

static Status write_form(NormalForm form, const char *text, size_t size, Str *out) {
  static const utf8proc_option_t options[] = {
      [FORM_NFC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE,
      [FORM_NFD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE,
      [FORM_NFKC] = UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT,
      [FORM_NFKD] = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT,
  };
  if (size == 0) return STATUS_OK;
  utf8proc_uint8_t *normal = NULL;
  utf8proc_ssize_t length =
      utf8proc_map((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &normal, options[form]);
  if (length < 0) {
    return status_fail(STATUS_FAILED, "text of %zu bytes cannot be normalized: %s", size,
                       utf8proc_errmsg(length));
  }
  Status status = str_append(out, (const char *)normal, (size_t)length);
  free(normal);
  return status;
}

static Status apply_form(NormalForm form, const char *text, size_t size, Str *out) {
  size_t start = 0;
  for (size_t at = 0; at < size;) {
    if ((uint8_t)text[at] < 0x80) {
      at++;
      continue;
    }
    Utf8Char c = utf8_read(text + at, size - at);
    if (is_later(c.code)) {
      TRY(write_form(form, text + start, at - start, out));
      TRY(str_append(out, text + at, c.size));
      start = at + c.size;
    }
    at += c.size;
  }
  return write_form(form, text + start, size - start, out);
}

// ---- the other steps ----

/// Rust's to_lowercase, which knows more letters than some versions of utf8proc.
static uint32_t lower_case(uint32_t code) {
  static const struct {
    uint32_t low, high;
    int32_t shift;
  } later[] = {{0x1C89, 0x1C89, 1},      {0xA7CB, 0xA7CB, 0x264 - 0xA7CB},
               {0xA7CC, 0xA7CC, 1},      {0xA7CE, 0xA7CE, 1},
               {0xA7D2, 0xA7D2, 1},      {0xA7D4, 0xA7D4, 1},
               {0xA7DA, 0xA7DA, 1},      {0xA7DC, 0xA7DC, 0x19B - 0xA7DC},
               {0x10D50, 0x10D65, 0x20}, {0x16EA0, 0x16EB8, 0x1B}};
  for (size_t i = 0; i < sizeof later / sizeof *later; i++) {
    if (code >= later[i].low && code <= later[i].high) return (uint32_t)((int32_t)code + later[i].shift);
  }
  return (uint32_t)utf8proc_tolower((utf8proc_int32_t)code);
}

static Status apply_lowercase(const char *text, size_t size, Str *out) {
  for (size_t at = 0; at < size;) {
    Utf8Char c = utf8_read(text + at, size - at);
    char lower[4];
    if (c.code == 0x130) { // İ: i and a dot above
      TRY(str_append_text(out, "i\u0307"));
    } else {
      TRY(str_append(out, lower, utf8_write(lower_case(c.code), lower)));
    }
    at += c.size;
  }
  return STATUS_OK;
}

static Status apply_strip(const NormalStep *step, const char *text, size_t size, Str *out) {
  size_t start = step->left ? utf8_leading_space(text, size) : 0;
  size_t end = step->right ? utf8_trailing_space(text + start, size - start) : 0;
  return str_append(out, text + start, size - start - end);
}

static Status apply_prepend(const NormalStep *step, const char *text, size_t size, Str *out) {
  if (size == 0) return STATUS_OK;
  TRY(str_append_text(out, step->text));
  return str_append(out, text, size);
}

static Status apply_replace(const NormalStep *step, const char *text, size_t size, Str *out) {
  RegexScratch scratch = {0};
  RegexCursor cursor = {0};
  RegexMatch match;
  Status status = STATUS_OK;
  size_t edge = 0;
  bool found = size > 0;
  while (found) {
    TRY_CLEAN(regex_next(step->regex, &scratch, text, size, &cursor, &match, &found));
    if (!found) break;
    TRY_CLEAN(str_append(out, text + edge, match.start - edge));
    TRY_CLEAN(str_append_text(out, step->text));
    edge = match.stop;
  }
  status = str_append(out, text + edge, size - edge);
cleanup:
  regex_scratch_free(&scratch);
  return status;
}

static Status apply(const NormalStep *step, const char *text, size_t size, Str *out) {
  switch (step->kind) {
  case STEP_FORM:
    return apply_form(step->form, text, size, out);
  case STEP_LOWERCASE:
    return apply_lowercase(text, size, out);
  case STEP_STRIP:
    return apply_strip(step, text, size, out);
  case STEP_PREPEND:
    return apply_prepend(step, text, size, out);
  case STEP_REPLACE:
    break;
  }
  return apply_replace(step, text, size, out);
}

Status normalize(const Normalizer *normalizer, const char *text, size_t size, Str *out) {
  Str now = {0}, next = {0};
  Status status = str_append(&now, text, size);
  for (size_t i = 0; i < normalizer->count && status == STATUS_OK; i++) {
    str_clear(&next);
    status = apply(&normalizer->steps[i], str_text(&now), now.size, &next);
    Str swap = now;
    now = next;
    next = swap;
  }
  if (status == STATUS_OK) status = str_append(out, str_text(&now), now.size);
  str_free(&now);
  str_free(&next);
  return status;
}

bool normalizer_moves_start(const Normalizer *normalizer) {
  for (size_t i = 0; i < normalizer->count; i++) {
    const NormalStep *step = &normalizer->steps[i];
    if ((step->kind == STEP_STRIP && step->left) || (step->kind == STEP_REPLACE && step->text[0] == '\0'))
      return true;
  }
  return false;
}

bool normalize_keeps(const Normalizer *normalizer, const char *text, size_t size) {
  bool ascii = true;
  for (size_t i = 0; i < size && ascii && normalizer->count > 0; i++) ascii = (uint8_t)text[i] < 0x80;
  for (size_t i = 0; i < normalizer->count; i++) {
    if (!ascii || normalizer->steps[i].kind != STEP_FORM) return false;
  }
  return true;
}
