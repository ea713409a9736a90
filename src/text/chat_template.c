// Jinja's rules for white space and little else. Rule: what is removed here never reaches the output, so
// templates with the same canonical form print the same.
#include "chat_template.h"

#include <ctype.h>
#include <string.h>

/// {{ … }}, {% … %} or {# … #}.
typedef struct Tag {
  const char *open;  // at "{%"
  const char *body;  // after "{%" and a dash
  const char *end;   // at the dash or at "%}"
  const char *close; // after "%}"
  char kind;         // '{', '%' or '#'
  bool trim_before, trim_after;
} Tag;

static bool is_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

/// The end of a literal that starts at `start`, a quote; NULL if it is not closed.
static const char *literal_end(const char *start) {
  const char *c = start + 1;
  for (; *c != '\0' && *c != *start; c++) {
    if (*c == '\\' && c[1] != '\0') c++;
  }
  return *c == *start ? c + 1 : NULL;
}

/// Reads the next tag from `at` on; false if there is none or it does not end.
static bool next_tag(const char *at, Tag *tag) {
  for (; *at != '\0'; at++) {
    if (at[0] == '{' && (at[1] == '{' || at[1] == '%' || at[1] == '#')) break;
  }
  if (*at == '\0') return false;
  tag->open = at;
  tag->kind = at[1];
  tag->trim_before = at[2] == '-';
  tag->body = at + 2 + tag->trim_before;
  const char last = tag->kind == '{' ? '}' : tag->kind;
  for (const char *end = tag->body; *end != '\0';) {
    if (end[0] == last && end[1] == '}') {
      tag->trim_after = end > tag->body && end[-1] == '-';
      tag->end = tag->trim_after ? end - 1 : end;
      tag->close = end + 2;
      return true;
    }
    if (tag->kind != '#' && (*end == '\'' || *end == '"')) {
      end = literal_end(end);
      if (end == NULL) return false;
    } else {
      end++;
    }
  }
  return false;
}

/// Appends the text between two tags: `previous` is the tag before it (NULL at the start), `next` the one
/// after it (NULL at the end).
static Status append_data(Str *out, const char *start, const char *stop, const Tag *previous,
                          const Tag *next) {
  bool line_start = previous == NULL;
  if (previous != NULL && previous->trim_after) {
    while (start < stop && is_space(*start)) start++;
    line_start = start[-1] == '\n';
  } else if (previous != NULL && previous->kind != '{' && start < stop && *start == '\n') { // trim_blocks
    start++;
    line_start = true;
  }
  if (next == NULL) {
    if (start < stop && stop[-1] == '\n') stop--; // keep_trailing_newline is off
  } else if (next->trim_before) {
    while (start < stop && is_space(stop[-1])) stop--;
  } else if (next->kind != '{') { // lstrip_blocks
    const char *end = stop;
    while (end > start && (end[-1] == ' ' || end[-1] == '\t')) end--;
    if (end == start ? line_start : end[-1] == '\n') stop = end;
  }
  return str_append(out, start, (size_t)(stop - start));
}

static bool is_identifier(const char *text, size_t size) {
  for (size_t i = 0; i < size; i++) {
    if (!isalnum((unsigned char)text[i]) && text[i] != '_') return false;
  }
  return size > 0 && !isdigit((unsigned char)text[0]);
}

static bool ends_with(const Str *out, size_t from, const char *text) {
  size_t size = strlen(text);
  return out->size - from >= size && memcmp(out->data + out->size - size, text, size) == 0;
}

static void cut_end(Str *out, size_t size) {
  out->size -= size;
  out->data[out->size] = '\0';
}

/// Appends one character of a literal, escaped or not, and moves *at past it.
static Status append_literal_char(Str *out, const char **at) {
  const char *c = *at;
  *at += 1;
  if (*c == '\'') return str_append_text(out, "\\'");
  if (*c != '\\') return str_append(out, c, 1);
  *at += 1;
  switch (c[1]) {
  case 'n':
    return str_append(out, "\n", 1);
  case 't':
    return str_append(out, "\t", 1);
  case '"':
    return str_append(out, "\"", 1);
  default: // \\ and \' stay, and so do other escapes
    return str_append(out, c, 2);
  }
}

/// Appends the literal [start, stop), quotes included, of a tag whose output begins at out[from]; *next is
/// where the tag continues.
static Status append_literal(Str *out, size_t from, const char *start, const char *stop, const char **next) {
  const char *after = stop;
  while (is_space(*after)) after++;
  size_t size = (size_t)(stop - start) - 2;
  *next = stop;
  if (ends_with(out, from, "[") && *after == ']' && is_identifier(start + 1, size)) { // x['name'] → x.name
    cut_end(out, 1);
    *next = after + 1;
    TRY(str_append(out, ".", 1));
    return str_append(out, start + 1, size);
  }
  if (ends_with(out, from, "'+")) { // 'a' + 'b' → 'ab'
    cut_end(out, 2);
  } else {
    TRY(str_append(out, "'", 1));
  }
  for (const char *at = start + 1; at < stop - 1;) TRY(append_literal_char(out, &at));
  return str_append(out, "'", 1);
}

static Status append_tag(Str *out, const Tag *tag) {
  if (tag->kind == '#') return STATUS_OK;
  TRY(str_append(out, tag->open, 2));
  size_t from = out->size;
  for (const char *at = tag->body; at < tag->end;) {
    if (*at == '\'' || *at == '"') {
      TRY(append_literal(out, from, at, literal_end(at), &at));
    } else {
      if (!is_space(*at)) TRY(str_append(out, at, 1));
      at++;
    }
  }
  return str_append(out, tag->close - 2, 2);
}

/// Jinja takes \r\n and \r for \n, in literals too.
static Status append_lines(Str *out, const char *text) {
  while (*text != '\0') {
    size_t size = strcspn(text, "\r");
    TRY(str_append(out, text, size));
    text += size;
    if (*text == '\r') TRY(str_append(out, "\n", 1));
    if (*text == '\r') text += text[1] == '\n' ? 2 : 1;
  }
  return STATUS_OK;
}

static Status append_canonical(Str *out, const char *text) {
  Tag tag, last = {0};
  const char *at = text;
  bool first = true;
  for (; next_tag(at, &tag); at = tag.close, last = tag, first = false) {
    TRY(append_data(out, at, tag.open, first ? NULL : &last, &tag));
    TRY(append_tag(out, &tag));
  }
  return append_data(out, at, at + strlen(at), first ? NULL : &last, NULL);
}

Status chat_template_canonical(const char *text, Str *out) {
  Str lines = {0};
  Status status = append_lines(&lines, text);
  if (status == STATUS_OK) status = append_canonical(out, str_text(&lines));
  str_free(&lines);
  return status;
}

// ---- matching ----

static bool tag_is(const Tag *tag, const char *word) {
  return tag->kind == '%' && str_starts(tag->body, word);
}

/// A tag that begins what a tag "end…" ends. "set" does so unless it assigns.
static bool opens_block(const Tag *tag) {
  static const char *const words[] = {"if",    "for",  "macro",      "call",      "filter",
                                      "block", "with", "autoescape", "generation"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
    if (tag_is(tag, words[i])) return true;
  }
  return tag_is(tag, "set") && memchr(tag->body, '=', (size_t)(tag->end - tag->body)) == NULL;
}

/// Where the branch that contains `text` ends: at its else, elif or end. The end of the text if a tag is not
/// understood.
static const char *branch_end(const char *text) {
  Tag tag;
  size_t depth = 0;
  for (const char *at = text; next_tag(at, &tag); at = tag.close) {
    bool ends = tag_is(&tag, "end"), plain = tag.kind != '%' || islower((unsigned char)*tag.body) != 0;
    if (!plain || tag_is(&tag, "raw")) break;
    if (depth == 0 && (ends || tag_is(&tag, "else") || tag_is(&tag, "elif"))) return tag.open;
    if (ends) depth--;
    if (opens_block(&tag)) depth++;
  }
  return text + strlen(text);
}

bool chat_template_matches(const char *pattern, const char *text) {
  for (; *pattern != '\0'; pattern++) {
    if (*pattern == '*') {
      text = branch_end(text);
    } else if (*pattern == *text) {
      text++;
    } else {
      return false;
    }
  }
  return *text == '\0';
}
