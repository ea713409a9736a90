// From a pattern to a tree. Rule: a form whose meaning in Oniguruma is not certain is refused.
#include "regex_parts.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_COUNT = 1000, MAX_NODES = 20000 };

void tree_free(Tree *tree) {
  if (tree == NULL) return;
  for (size_t i = 0; i < tree->set_count; i++) charset_free(&tree->sets[i]);
  free(tree->sets);
  free(tree->nodes);
  *tree = (Tree){0};
}

Status tree_add(Tree *tree, Node node, int32_t *out) {
  if (tree->count == MAX_NODES)
    return status_fail(STATUS_INPUT, "a pattern has more than %d parts", MAX_NODES);
  TRY(mem_reserve(&tree->nodes, &tree->capacity, tree->count + 1, "a pattern"));
  tree->nodes[tree->count] = node;
  *out = (int32_t)tree->count++;
  return STATUS_OK;
}

Status tree_add_set(Tree *tree, Charset *set, int32_t *out) {
  TRY(mem_reserve(&tree->sets, &tree->set_capacity, tree->set_count + 1, "a pattern"));
  Node node = {.kind = NODE_SET, .child = NO_NODE, .next = NO_NODE, .set = (uint32_t)tree->set_count};
  TRY(tree_add(tree, node, out));
  tree->sets[tree->set_count++] = *set;
  *set = (Charset){0};
  return STATUS_OK;
}

Status parser_refuse(const Parser *parser, const char *what) {
  return status_fail(STATUS_INPUT, "%s: the pattern \"%.200s\" has %s, which is not supported", parser->name,
                     parser->pattern, what);
}

static Status add_node(Parser *parser, NodeKind kind, int32_t child, int32_t *out) {
  return tree_add(parser->tree, (Node){.kind = kind, .child = child, .next = NO_NODE}, out);
}

static bool next_is(const Parser *parser, const char *text) {
  size_t size = strlen(text);
  return (size_t)(parser->end - parser->at) >= size && memcmp(parser->at, text, size) == 0;
}

static bool skip(Parser *parser, const char *text) {
  if (!next_is(parser, text)) return false;
  parser->at += strlen(text);
  return true;
}

static Status parse_choice(Parser *parser, int32_t *out);

// ---- groups ----

/// (?i), (?i:…), (?-i:…) … with parser->at at the first letter. A group of its own, up to the end of the
/// group around it where there is no ":".
static Status parse_options(Parser *parser, bool at_start, int32_t *out) {
  Parser outer = *parser;
  bool on = true;
  for (; parser->at < parser->end && *parser->at != ')' && *parser->at != ':'; parser->at++) {
    if (*parser->at == '-') {
      on = false;
    } else if (*parser->at == 'i') {
      parser->ignore_case = on;
    } else if (*parser->at == 'm') {
      parser->dot_all = on;
    } else {
      return parser_refuse(parser, "an unknown option after (?");
    }
  }
  bool scoped = next_is(parser, ":");
  if (parser->at == parser->end) return parser_refuse(parser, "( without )");
  if (!scoped && !at_start) return parser_refuse(parser, "options inside of a sequence, as in a(?i)b");
  parser->at++;
  TRY(parse_choice(parser, out));
  if (scoped && !skip(parser, ")")) return parser_refuse(parser, "( without )");
  parser->ignore_case = outer.ignore_case;
  parser->dot_all = outer.dot_all;
  return STATUS_OK;
}

/// (?<name>…), with parser->at behind "<": a group, because no reference to it is read.
static Status skip_name(Parser *parser) {
  const char *start = parser->at;
  while (parser->at < parser->end && *parser->at != '>' && *parser->at != ')') parser->at++;
  if (parser->at == start || !skip(parser, ">")) return parser_refuse(parser, "a group without a name");
  return STATUS_OK;
}

static Status parse_look(Parser *parser, Look look, int32_t *out) {
  int32_t child;
  TRY(parse_choice(parser, &child));
  if (!skip(parser, ")")) return parser_refuse(parser, "( without )");
  TRY(add_node(parser, NODE_LOOK, child, out));
  parser->tree->nodes[*out].look = look;
  return STATUS_OK;
}

/// A group, with parser->at behind "(". `at_start`: nothing stands before it in the group around it.
static Status parse_group(Parser *parser, bool at_start, int32_t *out) {
  static const struct {
    const char *text;
    Look look;
  } looks[] = {{"?=", LOOK_AHEAD},
               {"?!", LOOK_NOT_AHEAD},
               {"?<=", LOOK_BEHIND},
               {"?<!", LOOK_NOT_BEHIND},
               {"?>", LOOK_ATOMIC}};
  for (size_t i = 0; i < sizeof looks / sizeof *looks; i++) {
    if (skip(parser, looks[i].text)) return parse_look(parser, looks[i].look, out);
  }
  if (skip(parser, "?<")) {
    TRY(skip_name(parser));
  } else if (!skip(parser, "?:") && skip(parser, "?")) {
    return parse_options(parser, at_start, out);
  }
  TRY(parse_choice(parser, out));
  return skip(parser, ")") ? STATUS_OK : parser_refuse(parser, "( without )");
}

// ---- atoms ----

static Status add_assertion(Parser *parser, Assertion assertion, int32_t *out) {
  TRY(add_node(parser, NODE_ASSERTION, NO_NODE, out));
  parser->tree->nodes[*out].assertion = assertion;
  return STATUS_OK;
}

static Status parse_assertion(Parser *parser, int32_t *out) {
  static const struct {
    const char *text;
    Assertion assertion;
  } assertions[] = {{"^", AT_LINE_START},    {"$", AT_LINE_END},        {"\\A", AT_TEXT_START},
                    {"\\z", AT_TEXT_END},    {"\\Z", AT_LAST_LINE_END}, {"\\b", AT_WORD_EDGE},
                    {"\\B", AT_NO_WORD_EDGE}};
  for (size_t i = 0; i < sizeof assertions / sizeof *assertions; i++) {
    if (skip(parser, assertions[i].text)) return add_assertion(parser, assertions[i].assertion, out);
  }
  return STATUS_OK;
}

/// \R: a line end of any kind, "\r\n" as one.
static Status parse_line_break(Parser *parser, int32_t *out) {
  Parser inner = *parser;
  inner.at = "(?>\\r\\n|[\\n-\\r\\x{85}\\u2028\\u2029])";
  inner.end = inner.at + strlen(inner.at);
  inner.at++;
  TRY(parse_group(&inner, true, out));
  parser->at += 2;
  return STATUS_OK;
}

/// Letters that together are the fold of one character, so that (?i) matches that character too.
static bool folds_together(uint32_t before, uint32_t code) {
  static const char *const pairs[] = {"ss", "ff", "fi", "fl", "st"};
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    if ((before | 0x20) == (uint8_t)pairs[i][0] && (code | 0x20) == (uint8_t)pairs[i][1]) return true;
  }
  return false;
}

/// A character as itself. `before` is the one in front of it; 0 if that is no character.
static Status parse_literal(Parser *parser, uint32_t *before, Charset *set) {
  uint32_t code;
  TRY(parse_character(parser, &code));
  TRY(charset_add(set, code, code));
  if (parser->ignore_case) {
    if (code >= 0x80) return parser_refuse(parser, "a letter beyond ASCII under (?i)");
    if (folds_together(*before, code))
      return parser_refuse(parser, "letters under (?i) that a ligature or ß matches");
    TRY(charset_add_cases(set, code));
  }
  *before = code;
  return STATUS_OK;
}

static Status parse_set(Parser *parser, uint32_t *before, Charset *set) {
  bool found = false;
  uint32_t last = *before;
  *before = 0;
  if (next_is(parser, "[")) return parse_class(parser, set);
  if (skip(parser, ".")) {
    TRY(charset_add(set, 0, 0x10FFFF));
    if (parser->dot_all) return STATUS_OK;
    Charset line_feed = {0};
    Status status = charset_add(&line_feed, '\n', '\n');
    if (status == STATUS_OK) status = charset_negate(&line_feed);
    if (status == STATUS_OK) status = charset_intersect(set, &line_feed);
    charset_free(&line_feed);
    return status;
  }
  TRY(parse_class_escape(parser, false, set, &found));
  if (found) return STATUS_OK;
  *before = last;
  return parse_literal(parser, before, set);
}

static Status parse_atom(Parser *parser, bool at_start, uint32_t *before, int32_t *out) {
  *out = NO_NODE;
  TRY(parse_assertion(parser, out));
  if (*out == NO_NODE && skip(parser, "(")) {
    if (parser->depth == REGEX_MAX_DEPTH) return parser_refuse(parser, "too many groups in each other");
    parser->depth++;
    TRY(parse_group(parser, at_start, out));
    parser->depth--;
  } else if (*out == NO_NODE && next_is(parser, "\\R")) {
    TRY(parse_line_break(parser, out));
  }
  if (*out != NO_NODE) {
    *before = 0;
    return STATUS_OK;
  }
  if (next_is(parser, "*") || next_is(parser, "+") || next_is(parser, "?"))
    return parser_refuse(parser, "a repetition of nothing");
  Charset set = {0};
  Status status = parse_set(parser, before, &set);
  if (status == STATUS_OK) status = tree_add_set(parser->tree, &set, out);
  charset_free(&set);
  return status;
}

// ---- repetition ----

/// Reads digits; `fallback` if there are none.
static bool read_count(Parser *parser, int32_t fallback, int32_t *out) {
  const char *start = parser->at;
  *out = 0;
  for (; parser->at < parser->end && *parser->at >= '0' && *parser->at <= '9'; parser->at++) {
    if (*out <= MAX_COUNT) *out = *out * 10 + (*parser->at - '0');
  }
  if (parser->at > start) return true;
  *out = fallback;
  return false;
}

/// {n}, {n,}, {n,m} or {,m}. *found is false, and nothing moved, if "{" is only a character.
static Status parse_interval(Parser *parser, int32_t *min, int32_t *max, bool *found) {
  const char *start = parser->at++;
  bool low = read_count(parser, 0, min), high = low;
  *max = *min;
  if (skip(parser, ",")) high = read_count(parser, UNLIMITED, max);
  *found = (low || high) && skip(parser, "}");
  if (!*found) {
    parser->at = start;
    return STATUS_OK;
  }
  if (*min > MAX_COUNT || (*max > MAX_COUNT && *max != UNLIMITED)) {
    return parser_refuse(parser, "a repetition of more than 1,000 times");
  }
  return *max < *min ? parser_refuse(parser, "a repetition {n,m} with n above m") : STATUS_OK;
}

/// Reads how often the atom before is repeated. *found is false if it is not.
static Status parse_repetition(Parser *parser, Node *out, bool *found) {
  *found = true;
  bool interval = next_is(parser, "{");
  if (interval) {
    TRY(parse_interval(parser, &out->min, &out->max, found));
    if (!*found) return STATUS_OK;
  } else if (skip(parser, "*")) {
    out->max = UNLIMITED;
  } else if (skip(parser, "+")) {
    out->min = 1;
    out->max = UNLIMITED;
  } else if (skip(parser, "?")) {
    out->max = 1;
  } else {
    *found = false;
    return STATUS_OK;
  }
  if (interval && out->min == out->max && next_is(parser, "?"))
    return parser_refuse(parser, "{n}?, which is read in several ways");
  if (skip(parser, "?")) {
    out->greed = LAZY;
  } else if (!interval && skip(parser, "+")) {
    out->greed = POSSESSIVE;
  }
  return STATUS_OK;
}

bool tree_can_be_empty(const Tree *tree, int32_t index) {
  const Node *node = &tree->nodes[index];
  bool all = true, any = false;
  switch (node->kind) {
  case NODE_SET:
    return false;
  case NODE_EMPTY:
  case NODE_ASSERTION:
    return true;
  case NODE_LOOK:
    return node->look != LOOK_ATOMIC || tree_can_be_empty(tree, node->child);
  case NODE_REPEAT:
    return node->min == 0 || tree_can_be_empty(tree, node->child);
  case NODE_SEQUENCE:
  case NODE_CHOICE:
    break;
  }
  for (int32_t child = node->child; child != NO_NODE; child = tree->nodes[child].next) {
    bool empty = tree_can_be_empty(tree, child);
    all &= empty;
    any |= empty;
  }
  return node->kind == NODE_CHOICE ? any : all;
}

static Status parse_repeated(Parser *parser, bool at_start, uint32_t *before, int32_t *out) {
  TRY(parse_atom(parser, at_start, before, out));
  for (int count = 0;; count++) {
    Node repeat = {.kind = NODE_REPEAT, .child = *out, .next = NO_NODE};
    bool found;
    TRY(parse_repetition(parser, &repeat, &found));
    if (!found) return STATUS_OK;
    // "{n,m}+" repeats the repetition; other pairs have rules of their own.
    const Node *child = &parser->tree->nodes[*out];
    bool plus = repeat.min == 1 && repeat.max == UNLIMITED && repeat.greed == GREEDY;
    if (count > 0 && !(count == 1 && plus && child->greed == GREEDY && child->min > 0))
      return parser_refuse(parser, "a repetition of a repetition");
    if (repeat.max > 1 && tree_can_be_empty(parser->tree, *out))
      return parser_refuse(parser, "a repetition of what can be empty");
    *before = 0;
    TRY(tree_add(parser->tree, repeat, out));
  }
}

// ---- sequences and choices ----

static Status parse_sequence(Parser *parser, bool at_start, int32_t *out) {
  TRY(add_node(parser, NODE_SEQUENCE, NO_NODE, out));
  uint32_t before = 0;
  int32_t last = NO_NODE;
  while (parser->at < parser->end && *parser->at != '|' && *parser->at != ')') {
    int32_t child;
    if (skip(parser, "(?#")) {
      while (parser->at < parser->end && *parser->at != ')') parser->at++;
      if (!skip(parser, ")")) return parser_refuse(parser, "a comment without )");
      continue;
    }
    TRY(parse_repeated(parser, at_start && last == NO_NODE, &before, &child));
    *(last == NO_NODE ? &parser->tree->nodes[*out].child : &parser->tree->nodes[last].next) = child;
    last = child;
  }
  return STATUS_OK;
}

static Status parse_choice(Parser *parser, int32_t *out) {
  int32_t last;
  TRY(add_node(parser, NODE_CHOICE, NO_NODE, out));
  TRY(parse_sequence(parser, true, &last));
  parser->tree->nodes[*out].child = last;
  while (skip(parser, "|")) {
    int32_t next;
    TRY(parse_sequence(parser, false, &next));
    parser->tree->nodes[last].next = next;
    last = next;
  }
  return STATUS_OK;
}

Status regex_parse(Parser *parser, int32_t *root) {
  TRY(parse_choice(parser, root));
  return parser->at == parser->end ? STATUS_OK : parser_refuse(parser, ") without (");
}
