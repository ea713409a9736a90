// Characters and classes of a pattern: escapes, \p{…}, [[:posix:]], nested sets, &&. Rule: a form whose
// meaning in Oniguruma is not certain is refused.
#include "regex_parts.h"

#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

#define BIT(name)     (1u << CATEGORY_##name)
#define CASED_LETTERS (BIT(LU) | BIT(LL) | BIT(LT))
#define LETTERS       (CASED_LETTERS | BIT(LM) | BIT(LO))
#define MARKS         (BIT(MN) | BIT(MC) | BIT(ME))
#define NUMBERS       (BIT(ND) | BIT(NL) | BIT(NO))
#define PUNCTUATION   (BIT(PC) | BIT(PD) | BIT(PS) | BIT(PE) | BIT(PI) | BIT(PF) | BIT(PO))
#define SYMBOLS       (BIT(SM) | BIT(SC) | BIT(SK) | BIT(SO))
#define SEPARATORS    (BIT(ZS) | BIT(ZL) | BIT(ZP))
#define OTHERS        (BIT(CC) | BIT(CF) | BIT(CO) | BIT(CN))

static Status add_chars(Charset *set, const char *chars) {
  for (; *chars != '\0'; chars++) TRY(charset_add(set, (uint8_t)*chars, (uint8_t)*chars));
  return STATUS_OK;
}

Status charset_add_cases(Charset *set, uint32_t code) {
  uint32_t lower = code | 0x20;
  if (lower < 'a' || lower > 'z') return STATUS_OK;
  TRY(charset_add(set, lower, lower));
  TRY(charset_add(set, lower - 0x20, lower - 0x20));
  if (lower == 'k') return charset_add(set, 0x212A, 0x212A);
  return lower == 's' ? charset_add(set, 0x17F, 0x17F) : STATUS_OK;
}

/// [[:word:]], and \w inside of [ ]. \w elsewhere and \p{Word} also have the numbers of Latin-1.
static Status add_posix_word(Charset *set) {
  TRY(charset_add_alphabetic(set));
  return charset_add_categories(set, MARKS | BIT(ND) | BIT(PC));
}

static Status add_latin_numbers(Charset *set) {
  TRY(charset_add(set, 0xB2, 0xB3));
  TRY(charset_add(set, 0xB9, 0xB9));
  return charset_add(set, 0xBC, 0xBE);
}

Status charset_add_word(Charset *set) {
  TRY(add_posix_word(set));
  return add_latin_numbers(set);
}

static Status add_alnum(Charset *set) {
  TRY(charset_add_alphabetic(set));
  return charset_add_categories(set, BIT(ND));
}
static Status add_ascii(Charset *set) {
  return charset_add(set, 0, 0x7F);
}
static Status add_any(Charset *set) {
  return charset_add(set, 0, 0x10FFFF);
}
static Status add_blank(Charset *set) {
  TRY(charset_add(set, '\t', '\t'));
  return charset_add_categories(set, BIT(ZS));
}
static Status add_lower(Charset *set) {
  TRY(charset_add_categories(set, BIT(LL)));
  return charset_add_table(set, &UNICODE_OTHER_LOWERCASE);
}
static Status add_upper(Charset *set) {
  TRY(charset_add_categories(set, BIT(LU)));
  return charset_add_table(set, &UNICODE_OTHER_UPPERCASE);
}
static Status add_xdigit(Charset *set) {
  return add_chars(set, "0123456789abcdefABCDEF");
}
/// What is neither a control nor without a character; without the spaces.
static Status add_graph(Charset *set) {
  Charset others = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(charset_add_categories(&others, BIT(CC) | BIT(CN)));
  TRY_CLEAN(charset_add_space(&others));
  TRY_CLEAN(charset_negate(&others));
  status = charset_add_all(set, &others);
cleanup:
  charset_free(&others);
  return status;
}
static Status add_print(Charset *set) {
  TRY(add_graph(set));
  return charset_add_categories(set, BIT(ZS));
}

/// Names of [[:name:]] and \p{name}. What `add` does not add is in `categories`.
typedef struct ClassName {
  const char *name;
  uint32_t categories;
  Status (*add)(Charset *set);
} ClassName;

static const ClassName POSIX_NAMES[] = {
    {"alnum", 0, add_alnum},
    {"alpha", 0, charset_add_alphabetic},
    {"ascii", 0, add_ascii},
    {"blank", 0, add_blank},
    {"cntrl", BIT(CC), NULL},
    {"digit", BIT(ND), NULL},
    {"graph", 0, add_graph},
    {"lower", 0, add_lower},
    {"print", 0, add_print},
    {"punct", PUNCTUATION | SYMBOLS, NULL},
    {"space", 0, charset_add_space},
    {"upper", 0, add_upper},
    {"word", 0, add_posix_word},
    {"xdigit", 0, add_xdigit},
    {NULL, 0, NULL},
};

/// Names of \p{…}, in lower case and without blanks, hyphens and underscores. Where one is in POSIX_NAMES
/// too, this one counts.
static const ClassName PROPERTY_NAMES[] = {
    {"any", 0, add_any},
    {"punct", PUNCTUATION, NULL},
    {"punctuation", PUNCTUATION, NULL},
    {"alphabetic", 0, charset_add_alphabetic},
    {"whitespace", 0, charset_add_space},
    {"l", LETTERS, NULL},
    {"letter", LETTERS, NULL},
    {"lu", BIT(LU), NULL},
    {"uppercaseletter", BIT(LU), NULL},
    {"ll", BIT(LL), NULL},
    {"lowercaseletter", BIT(LL), NULL},
    {"lt", BIT(LT), NULL},
    {"titlecaseletter", BIT(LT), NULL},
    {"lm", BIT(LM), NULL},
    {"modifierletter", BIT(LM), NULL},
    {"lo", BIT(LO), NULL},
    {"otherletter", BIT(LO), NULL},
    {"m", MARKS, NULL},
    {"mark", MARKS, NULL},
    {"mn", BIT(MN), NULL},
    {"nonspacingmark", BIT(MN), NULL},
    {"mc", BIT(MC), NULL},
    {"spacingmark", BIT(MC), NULL},
    {"me", BIT(ME), NULL},
    {"enclosingmark", BIT(ME), NULL},
    {"n", NUMBERS, NULL},
    {"number", NUMBERS, NULL},
    {"nd", BIT(ND), NULL},
    {"decimalnumber", BIT(ND), NULL},
    {"nl", BIT(NL), NULL},
    {"letternumber", BIT(NL), NULL},
    {"no", BIT(NO), NULL},
    {"othernumber", BIT(NO), NULL},
    {"p", PUNCTUATION, NULL},
    {"pc", BIT(PC), NULL},
    {"pd", BIT(PD), NULL},
    {"ps", BIT(PS), NULL},
    {"pe", BIT(PE), NULL},
    {"pi", BIT(PI), NULL},
    {"pf", BIT(PF), NULL},
    {"po", BIT(PO), NULL},
    {"s", SYMBOLS, NULL},
    {"symbol", SYMBOLS, NULL},
    {"sm", BIT(SM), NULL},
    {"sc", BIT(SC), NULL},
    {"sk", BIT(SK), NULL},
    {"so", BIT(SO), NULL},
    {"z", SEPARATORS, NULL},
    {"separator", SEPARATORS, NULL},
    {"zs", BIT(ZS), NULL},
    {"zl", BIT(ZL), NULL},
    {"zp", BIT(ZP), NULL},
    {"c", OTHERS, NULL},
    {"cc", BIT(CC), NULL},
    {"cf", BIT(CF), NULL},
    {"co", BIT(CO), NULL},
    {"cn", BIT(CN), NULL},
    {NULL, 0, NULL},
};

static Status add_named(Charset *set, const ClassName *names, const char *name, bool *found) {
  for (; names->name != NULL && !*found; names++) {
    if (strcmp(names->name, name) != 0) continue;
    *found = true;
    TRY(names->add != NULL ? names->add(set) : charset_add_categories(set, names->categories));
  }
  return STATUS_OK;
}

static Status add_property(Charset *set, const char *name, bool *found) {
  TRY(add_named(set, PROPERTY_NAMES, name, found));
  TRY(add_named(set, POSIX_NAMES, name, found));
  for (const UnicodeScript *script = UNICODE_SCRIPTS; script->name != NULL && !*found; script++) {
    if (strcmp(script->name, name) != 0) continue;
    *found = true;
    TRY(charset_add_table(set, &script->table));
  }
  return STATUS_OK;
}

/// Adds `members`, or with `negated` all others.
static Status add_or_negate(Charset *set, Charset *members, bool negated) {
  if (negated) TRY(charset_negate(members));
  return charset_add_all(set, members);
}

// ---- \p{…} and the other escapes ----

/// Copies a name up to `close` without what names may be written with. False if it is too long or unclosed.
static bool read_name(Parser *parser, char close, char *name, size_t capacity) {
  size_t count = 0;
  for (; parser->at < parser->end && *parser->at != close; parser->at++) {
    char c = *parser->at;
    if (c == ' ' || c == '-' || c == '_') continue;
    if (count + 1 == capacity) return false;
    name[count++] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
  }
  name[count] = '\0';
  if (parser->at == parser->end) return false;
  parser->at++;
  return true;
}

static Status parse_property(Parser *parser, bool inside, Charset *out) {
  char name[32];
  bool negated = parser->at[1] == 'P', found = false;
  parser->at += 2;
  if (parser->at == parser->end || *parser->at != '{') return parser_refuse(parser, "\\p without {");
  parser->at++;
  if (parser->at < parser->end && *parser->at == '^') {
    negated = !negated;
    parser->at++;
  }
  const char *start = parser->at;
  if (!read_name(parser, '}', name, sizeof name)) return parser_refuse(parser, "\\p without a known name");
  Charset members = {0};
  Status status = add_property(&members, name, &found);
  if (status == STATUS_OK && !found) {
    char what[64] = "the property ";
    (void)strncat(what, start, (size_t)(parser->at - 1 - start) > 32 ? 32 : (size_t)(parser->at - 1 - start));
    status = parser_refuse(parser, what);
  }
  if (status == STATUS_OK && !inside && strcmp(name, "word") == 0) status = add_latin_numbers(&members);
  if (status == STATUS_OK) status = add_or_negate(out, &members, negated);
  charset_free(&members);
  return status;
}

static Status add_digit(Charset *set) {
  return charset_add_categories(set, BIT(ND));
}

static Status add_line_feed(Charset *set) {
  return charset_add(set, '\n', '\n');
}

Status parse_class_escape(Parser *parser, bool inside, Charset *out, bool *found) {
  static const struct {
    char letter;
    bool negated;
    Status (*add)(Charset *set);
  } escapes[] = {
      {'d', false, add_digit},       {'D', true, add_digit},          {'w', false, charset_add_word},
      {'W', true, charset_add_word}, {'s', false, charset_add_space}, {'S', true, charset_add_space},
      {'h', false, add_xdigit},      {'H', true, add_xdigit},         {'N', true, add_line_feed},
      {'O', false, add_any},
  };
  *found = false;
  if (parser->end - parser->at < 2 || parser->at[0] != '\\') return STATUS_OK;
  char letter = parser->at[1];
  if (letter == 'p' || letter == 'P') {
    *found = true;
    return parse_property(parser, inside, out);
  }
  for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
    if (escapes[i].letter != letter) continue;
    Charset members = {0};
    bool word = inside && escapes[i].add == charset_add_word;
    Status status = word ? add_posix_word(&members) : escapes[i].add(&members);
    if (status == STATUS_OK) status = add_or_negate(out, &members, escapes[i].negated);
    charset_free(&members);
    parser->at += 2;
    *found = true;
    return status;
  }
  return STATUS_OK;
}

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// Reads up to `most` hexadecimal digits. False if there are less than `least`.
static bool read_hex(Parser *parser, int least, int most, uint32_t *out) {
  int count = 0;
  *out = 0;
  for (; count < most && parser->at < parser->end && hex_digit(*parser->at) >= 0; count++) {
    *out = *out << 4 | (uint32_t)hex_digit(*parser->at++);
  }
  return count >= least;
}

/// \xHH, \x{H…}, \uHHHH, with parser->at behind the letter.
static Status parse_hex(Parser *parser, char letter, uint32_t *out) {
  bool braced = letter == 'x' && parser->at < parser->end && *parser->at == '{', good;
  if (braced) {
    parser->at++;
    good = read_hex(parser, 1, 8, out) && parser->at < parser->end && *parser->at == '}';
    if (good) parser->at++;
  } else if (letter == 'x') {
    good = read_hex(parser, 1, 2, out);
    if (good && *out >= 0x80) return parser_refuse(parser, "a byte above \\x7f");
  } else {
    good = read_hex(parser, 4, 4, out);
  }
  if (!good) return parser_refuse(parser, "\\x or \\u without its digits");
  if (*out > 0x10FFFF || (*out >= 0xD800 && *out <= 0xDFFF)) {
    return parser_refuse(parser, "\\x or \\u of no character");
  }
  return STATUS_OK;
}

Status parse_character(Parser *parser, uint32_t *out) {
  static const char letters[] = "tnrfvae", values[] = "\t\n\r\f\v\a\x1b";
  if (*parser->at != '\\') {
    Utf8Char c = utf8_read(parser->at, (size_t)(parser->end - parser->at));
    if (!c.valid) return parser_refuse(parser, "bytes that are not UTF-8");
    *out = c.code;
    parser->at += c.size;
    return STATUS_OK;
  }
  parser->at++;
  if (parser->at == parser->end) return parser_refuse(parser, "a \\ at its end");
  char letter = *parser->at;
  bool alphanumeric = hex_digit(letter) >= 0 || ((letter | 0x20) >= 'a' && (letter | 0x20) <= 'z');
  const char *known = strchr(letters, letter);
  if (!alphanumeric) { // a quoted character
    Utf8Char c = utf8_read(parser->at, (size_t)(parser->end - parser->at));
    if (!c.valid) return parser_refuse(parser, "bytes that are not UTF-8");
    *out = c.code;
    parser->at += c.size;
    return STATUS_OK;
  }
  parser->at++;
  if (letter == 'x' || letter == 'u') return parse_hex(parser, letter, out);
  if (known != NULL) {
    *out = (uint8_t)values[known - letters];
    return STATUS_OK;
  }
  char what[] = "the escape \\?";
  what[sizeof what - 2] = letter;
  return parser_refuse(parser, what);
}

// ---- […] ----

static bool next_is(const Parser *parser, const char *text) {
  size_t size = strlen(text);
  return (size_t)(parser->end - parser->at) >= size && memcmp(parser->at, text, size) == 0;
}

/// [:name:] or [:^name:] inside of a class.
static Status parse_posix(Parser *parser, Charset *out) {
  char name[16];
  bool found = false;
  parser->at += 2;
  bool negated = next_is(parser, "^");
  if (negated) parser->at++;
  Charset members = {0};
  Status status = STATUS_OK;
  if (!read_name(parser, ':', name, sizeof name) || !next_is(parser, "]"))
    return parser_refuse(parser, "[: without :]");
  parser->at++;
  TRY_CLEAN(add_named(&members, POSIX_NAMES, name, &found));
  if (!found) {
    status = parser_refuse(parser, "an unknown [[:class:]]");
    goto cleanup;
  }
  status = add_or_negate(out, &members, negated);
cleanup:
  charset_free(&members);
  return status;
}

/// A character or a range.
static Status parse_range(Parser *parser, Charset *out) {
  uint32_t low = 0, high = 0;
  bool hyphen = next_is(parser, "-"), is_class;
  TRY(parse_character(parser, &low));
  if (!next_is(parser, "-") || next_is(parser, "-]") || hyphen) {
    if (next_is(parser, "-") && !next_is(parser, "-]")) return parser_refuse(parser, "a misplaced - in [ ]");
    return charset_add(out, low, low);
  }
  parser->at++;
  Charset unused = {0};
  Status status = parse_class_escape(parser, true, &unused, &is_class);
  charset_free(&unused);
  TRY(status);
  if (is_class || parser->at == parser->end || next_is(parser, "[") || next_is(parser, "&&"))
    return parser_refuse(parser, "a range in [ ] without an end");
  TRY(parse_character(parser, &high));
  if (high < low) return parser_refuse(parser, "a range in [ ] whose end is before its start");
  // "a-c-e" is read in several ways.
  if (next_is(parser, "-") && !next_is(parser, "-]")) return parser_refuse(parser, "a misplaced - in [ ]");
  return charset_add(out, low, high);
}

/// One member; `first`: it follows "[", "[^" or "&&", where a hyphen is a character.
static Status parse_member(Parser *parser, bool first, Charset *out) {
  bool found;
  TRY(parse_class_escape(parser, true, out, &found));
  if (found) {
    if (next_is(parser, "-") && !next_is(parser, "-]")) return parser_refuse(parser, "a misplaced - in [ ]");
    return STATUS_OK;
  }
  if (next_is(parser, "[:")) return parse_posix(parser, out);
  if (next_is(parser, "[")) return parse_class(parser, out);
  if (next_is(parser, "-") && !first && !next_is(parser, "-]"))
    return parser_refuse(parser, "a misplaced - in [ ]");
  return parse_range(parser, out);
}

/// The members up to "]" or "&&".
static Status parse_members(Parser *parser, Charset *out) {
  bool first = true;
  while (parser->at < parser->end && *parser->at != ']' && !next_is(parser, "&&")) {
    TRY(parse_member(parser, first, out));
    first = false;
  }
  if (parser->at == parser->end) return parser_refuse(parser, "[ without ]");
  return first ? parser_refuse(parser, "an empty [ ] or side of &&") : STATUS_OK;
}

/// `combined`: the class has other classes in it, or &&.
static Status fold_cases(Parser *parser, bool negated, bool combined, Charset *set) {
  if (!parser->ignore_case) return STATUS_OK;
  if (negated || combined || (set->count > 0 && set->ranges[set->count - 1].high >= 0x80))
    return parser_refuse(parser, "under (?i) a [ ] that is more than ASCII letters");
  Charset copy = {0};
  Status status = charset_add_all(&copy, set);
  for (uint32_t code = 0; code < 0x80 && status == STATUS_OK; code++) {
    bool member = false;
    for (size_t i = 0; i < copy.count; i++)
      member |= code >= copy.ranges[i].low && code <= copy.ranges[i].high;
    if (member) status = charset_add_cases(set, code);
  }
  charset_free(&copy);
  return status;
}

/// The intersection of the sides of "&&", up to "]".
static Status parse_sides(Parser *parser, Charset *out) {
  TRY(parse_members(parser, out));
  while (next_is(parser, "&&")) {
    Charset side = {0};
    parser->at += 2;
    Status status = parse_members(parser, &side);
    if (status == STATUS_OK) status = charset_intersect(out, &side);
    charset_free(&side);
    TRY(status);
  }
  return STATUS_OK;
}

Status parse_class(Parser *parser, Charset *out) {
  if (parser->depth == REGEX_MAX_DEPTH) return parser_refuse(parser, "too many [ in each other");
  parser->depth++;
  parser->at++;
  bool negated = next_is(parser, "^");
  if (negated) parser->at++;
  const char *start = parser->at;
  Charset members = {0};
  Status status = parse_sides(parser, &members);
  size_t size = (size_t)(parser->at - start);
  bool combined = memchr(start, '[', size) != NULL || memchr(start, '&', size) != NULL;
  if (status == STATUS_OK) status = fold_cases(parser, negated, combined, &members);
  if (status == STATUS_OK) status = add_or_negate(out, &members, negated);
  charset_free(&members);
  TRY(status);
  parser->at++; // "]"
  parser->depth--;
  return STATUS_OK;
}
