// What the parser, the compiler and the matcher of regular expressions share: the tree, and the program.
#pragma once

#include "regex.h"

typedef enum NodeKind {
  NODE_EMPTY,
  NODE_SET,       // one character of `set`
  NODE_SEQUENCE,  // children one after the other
  NODE_CHOICE,    // the first child that leads to a match
  NODE_REPEAT,    // the child `min` to `max` times
  NODE_LOOK,      // the child, as `look` says
  NODE_ASSERTION, // a place in the text
} NodeKind;

typedef enum Greed { GREEDY, LAZY, POSSESSIVE } Greed;
typedef enum Look { LOOK_ATOMIC, LOOK_AHEAD, LOOK_NOT_AHEAD, LOOK_BEHIND, LOOK_NOT_BEHIND } Look;
typedef enum Assertion {
  AT_LINE_START,
  AT_LINE_END,
  AT_TEXT_START,
  AT_TEXT_END,
  AT_LAST_LINE_END,
  AT_LOOK_END, // where a look-behind began
  AT_WORD_EDGE,
  AT_NO_WORD_EDGE,
} Assertion;

enum { NO_NODE = -1, UNLIMITED = INT32_MAX, REGEX_MAX_DEPTH = 32 };

typedef struct Node {
  NodeKind kind;
  int32_t child, next; // the first child; the next sibling. NO_NODE: none
  uint32_t set;        // index into Tree.sets
  int32_t min, max;    // of NODE_REPEAT
  Greed greed;
  Look look;
  Assertion assertion;
} Node;

/// A parsed pattern. Free with tree_free.
typedef struct Tree {
  Node *nodes;
  size_t count, capacity;
  Charset *sets;
  size_t set_count, set_capacity;
} Tree;

void tree_free(Tree *tree);
/// *out = the index of a new node.
STATUS_CHECKED Status tree_add(Tree *tree, Node node, int32_t *out);
/// *out = the index of a new NODE_SET. Takes the set's ranges.
STATUS_CHECKED Status tree_add_set(Tree *tree, Charset *set, int32_t *out);

/// True if the tree below `index` can match the empty text.
bool tree_can_be_empty(const Tree *tree, int32_t index);

/// Where a pattern is being read.
typedef struct Parser {
  const char *pattern; // whole, for messages
  const char *at, *end;
  const char *name; // the file, for messages
  Tree *tree;
  int depth;
  bool ignore_case, dot_all;
} Parser;

/// STATUS_INPUT: the pattern has `what`.
STATUS_CHECKED Status parser_refuse(const Parser *parser, const char *what);
/// *root = the tree of the whole pattern.
STATUS_CHECKED Status regex_parse(Parser *parser, int32_t *root);
/// Reads a class at "[" into `out`.
STATUS_CHECKED Status parse_class(Parser *parser, Charset *out);
/// Adds the class of an escape (\d \p{L} …) at "\", `inside` of [ ] or not, and moves past it. *found is
/// false, and nothing moved, if the escape is no class.
STATUS_CHECKED Status parse_class_escape(Parser *parser, bool inside, Charset *out, bool *found);
/// Reads one character at parser->at, escaped or not. STATUS_INPUT if an escape is not a character's.
STATUS_CHECKED Status parse_character(Parser *parser, uint32_t *out);
/// Adds what \w and \b take for a character of a word.
STATUS_CHECKED Status charset_add_word(Charset *set);
/// Adds an ASCII letter's other cases, which include ſ and the Kelvin sign.
STATUS_CHECKED Status charset_add_cases(Charset *set, uint32_t code);

typedef enum OpCode {
  OP_SET,        // one character of `set`
  OP_RUN,        // `min` to `max` characters of `set`
  OP_SPLIT,      // continue at the next; if that fails at `target`
  OP_SPLIT_LAZY, // continue at `target`; if that fails at the next
  OP_JUMP,       // continue at `target`
  OP_LOOK,       // run what follows up to OP_END as `look` says, then continue at `target`
  OP_ASSERTION,  // a place in the text
  OP_END,        // a match
} OpCode;

typedef struct Op {
  OpCode code;
  uint32_t target;
  uint32_t set;     // index into Regex.tables
  int32_t min, max; // of OP_RUN, and in characters of OP_LOOK behind
  Greed greed;
  Look look;
  Assertion assertion;
} Op;

struct Regex {
  Op *ops;
  size_t count, capacity;
  CharTable **tables;
  size_t table_count;
  CharTable *word;   // of \b; NULL if there is none
  bool can_be_empty; // it can match the empty text
};
