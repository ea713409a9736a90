// From a tree to a program for the matcher. Rule: a repetition becomes copies and one loop, so a program's
// size is bounded before it is made.
#include "regex_parts.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { MAX_OPS = 50000, MAX_BEHIND = 255 };

typedef struct Compiler {
  const Parser *parser; // for messages
  const Tree *tree;
  Regex *regex;
  bool behind; // inside of a look-behind
} Compiler;

/// The index of the next operation.
static uint32_t here(const Compiler *compiler) {
  return (uint32_t)compiler->regex->count;
}

static Status emit(Compiler *compiler, Op op) {
  Regex *regex = compiler->regex;
  if (regex->count == MAX_OPS) return parser_refuse(compiler->parser, "too many repetitions in each other");
  TRY(mem_reserve(&regex->ops, &regex->capacity, regex->count + 1, "a pattern"));
  regex->ops[regex->count++] = op;
  return STATUS_OK;
}

/// Lets a jump go to what comes next.
static void aim_here(Compiler *compiler, uint32_t index) {
  compiler->regex->ops[index].target = here(compiler);
}

static Status compile_node(Compiler *compiler, int32_t index);

/// The node itself, or its only member.
static const Node *only_member(const Tree *tree, const Node *node) {
  while ((node->kind == NODE_SEQUENCE || node->kind == NODE_CHOICE) && node->child != NO_NODE &&
         tree->nodes[node->child].next == NO_NODE) {
    node = &tree->nodes[node->child];
  }
  return node;
}

static Status compile_choice(Compiler *compiler, const Node *node) {
  uint32_t *jumps = NULL;
  size_t count = 0, capacity = 0;
  Status status = STATUS_OK;
  for (int32_t child = node->child; child != NO_NODE; child = compiler->tree->nodes[child].next) {
    bool last = compiler->tree->nodes[child].next == NO_NODE;
    uint32_t split = here(compiler);
    if (!last) TRY_CLEAN(emit(compiler, (Op){.code = OP_SPLIT}));
    TRY_CLEAN(compile_node(compiler, child));
    if (last) continue;
    TRY_CLEAN(mem_reserve(&jumps, &capacity, count + 1, "a pattern"));
    jumps[count++] = here(compiler);
    TRY_CLEAN(emit(compiler, (Op){.code = OP_JUMP}));
    aim_here(compiler, split);
  }
  for (size_t i = 0; i < count; i++) aim_here(compiler, jumps[i]);
cleanup:
  free(jumps);
  return status;
}

/// `max` − `min` more copies, each of which may be the last.
static Status compile_optional(Compiler *compiler, const Node *node, OpCode split) {
  uint32_t first = here(compiler);
  for (int32_t i = node->min; i < node->max; i++) {
    TRY(emit(compiler, (Op){.code = split, .target = UINT32_MAX}));
    TRY(compile_node(compiler, node->child));
  }
  for (size_t i = first; i < compiler->regex->count; i++) {
    if (compiler->regex->ops[i].target == UINT32_MAX) aim_here(compiler, (uint32_t)i);
  }
  return STATUS_OK;
}

static Status compile_copies(Compiler *compiler, const Node *node) {
  OpCode split = node->greed == LAZY ? OP_SPLIT_LAZY : OP_SPLIT;
  for (int32_t i = 0; i < node->min; i++) TRY(compile_node(compiler, node->child));
  if (node->max != UNLIMITED) return compile_optional(compiler, node, split);
  uint32_t loop = here(compiler);
  TRY(emit(compiler, (Op){.code = split}));
  TRY(compile_node(compiler, node->child));
  TRY(emit(compiler, (Op){.code = OP_JUMP, .target = loop}));
  aim_here(compiler, loop);
  return STATUS_OK;
}

static Status compile_repeat(Compiler *compiler, const Node *node) {
  if (compiler->behind && node->greed == POSSESSIVE)
    return parser_refuse(compiler->parser, "a possessive repetition inside of a look-behind");
  const Node *member = only_member(compiler->tree, &compiler->tree->nodes[node->child]);
  if (member->kind == NODE_SET) {
    Op run = {.code = OP_RUN, .set = member->set, .min = node->min, .max = node->max, .greed = node->greed};
    return emit(compiler, run);
  }
  if (node->greed != POSSESSIVE) return compile_copies(compiler, node);
  uint32_t look = here(compiler);
  TRY(emit(compiler, (Op){.code = OP_LOOK, .look = LOOK_ATOMIC}));
  TRY(compile_copies(compiler, node));
  TRY(emit(compiler, (Op){.code = OP_END}));
  aim_here(compiler, look);
  return STATUS_OK;
}

/// The fewest and most characters that the tree below `index` can match; more than MAX_BEHIND count as
/// MAX_BEHIND + 1.
static void measure(const Tree *tree, int32_t index, int32_t *min, int32_t *max) {
  const Node *node = &tree->nodes[index];
  int32_t low, high;
  *min = *max = node->kind == NODE_SET;
  if (node->kind == NODE_REPEAT || (node->kind == NODE_LOOK && node->look == LOOK_ATOMIC)) {
    measure(tree, node->child, &low, &high);
    bool repeat = node->kind == NODE_REPEAT;
    int64_t least = (int64_t)low * (repeat ? node->min : 1), most = (int64_t)high * (repeat ? node->max : 1);
    *min = least > MAX_BEHIND ? MAX_BEHIND + 1 : (int32_t)least;
    *max = most > MAX_BEHIND ? MAX_BEHIND + 1 : (int32_t)most;
  }
  if (node->kind != NODE_SEQUENCE && node->kind != NODE_CHOICE) return;
  for (int32_t child = node->child; child != NO_NODE; child = tree->nodes[child].next) {
    measure(tree, child, &low, &high);
    bool sum = node->kind == NODE_SEQUENCE, first = child == node->child;
    *min = sum ? *min + low : (first || low < *min ? low : *min);
    *max = sum ? *max + high : (high > *max ? high : *max);
    if (*min > MAX_BEHIND) *min = MAX_BEHIND + 1;
    if (*max > MAX_BEHIND) *max = MAX_BEHIND + 1;
  }
}

static Status compile_look(Compiler *compiler, const Node *node) {
  Op op = {.code = OP_LOOK, .look = node->look};
  bool behind = node->look == LOOK_BEHIND || node->look == LOOK_NOT_BEHIND;
  if (compiler->behind) return parser_refuse(compiler->parser, "a group (?…) inside of a look-behind");
  if (behind) {
    measure(compiler->tree, node->child, &op.min, &op.max);
    if (op.max > MAX_BEHIND) return parser_refuse(compiler->parser, "a look-behind without a limit");
  }
  uint32_t index = here(compiler);
  TRY(emit(compiler, op));
  compiler->behind = behind;
  TRY(compile_node(compiler, node->child));
  compiler->behind = false;
  if (behind) TRY(emit(compiler, (Op){.code = OP_ASSERTION, .assertion = AT_LOOK_END}));
  TRY(emit(compiler, (Op){.code = OP_END}));
  aim_here(compiler, index);
  return STATUS_OK;
}

static Status compile_node(Compiler *compiler, int32_t index) {
  const Node *node = &compiler->tree->nodes[index];
  switch (node->kind) {
  case NODE_SET:
    return emit(compiler, (Op){.code = OP_SET, .set = node->set});
  case NODE_ASSERTION:
    return emit(compiler, (Op){.code = OP_ASSERTION, .assertion = node->assertion});
  case NODE_REPEAT:
    return compile_repeat(compiler, node);
  case NODE_LOOK:
    return compile_look(compiler, node);
  case NODE_CHOICE:
    return compile_choice(compiler, node);
  case NODE_SEQUENCE:
  case NODE_EMPTY:
    break;
  }
  for (int32_t child = node->child; child != NO_NODE; child = compiler->tree->nodes[child].next)
    TRY(compile_node(compiler, child));
  return STATUS_OK;
}

/// The tables of the sets, and of \b.
static Status make_tables(Regex *regex, const Tree *tree) {
  TRY(mem_array(&regex->tables, tree->set_count, "a pattern"));
  for (; regex->table_count < tree->set_count; regex->table_count++) {
    TRY(char_table_create(&tree->sets[regex->table_count], &regex->tables[regex->table_count]));
  }
  bool words = false;
  for (size_t i = 0; i < tree->count; i++) {
    words |= tree->nodes[i].kind == NODE_ASSERTION && tree->nodes[i].assertion >= AT_WORD_EDGE;
  }
  if (!words) return STATUS_OK;
  Charset word = {0};
  Status status = charset_add_word(&word);
  if (status == STATUS_OK) status = char_table_create(&word, &regex->word);
  charset_free(&word);
  return status;
}

/// A greedy run that ends the match need not be able to give characters back.
static void relax_last_runs(Regex *regex) {
  for (size_t i = 0; i < regex->count; i++) {
    if (regex->ops[i].code != OP_RUN || regex->ops[i].greed != GREEDY) continue;
    size_t next = i + 1;
    while (regex->ops[next].code == OP_JUMP && regex->ops[next].target > next) next = regex->ops[next].target;
    if (regex->ops[next].code == OP_END) regex->ops[i].greed = POSSESSIVE;
  }
}

static Status compile_tree(const Parser *parser, const Tree *tree, int32_t root, Regex **out) {
  Regex *regex = NULL;
  TRY(mem_array(&regex, 1, "a pattern"));
  Compiler compiler = {.parser = parser, .tree = tree, .regex = regex};
  Status status = make_tables(regex, tree);
  if (status == STATUS_OK) status = compile_node(&compiler, root);
  if (status == STATUS_OK) status = emit(&compiler, (Op){.code = OP_END});
  if (status != STATUS_OK) {
    regex_free(regex);
    return status;
  }
  relax_last_runs(regex);
  regex->can_be_empty = tree_can_be_empty(tree, root);
  *out = regex;
  return STATUS_OK;
}

Status regex_compile(const char *pattern, const char *name, Regex **out) {
  Tree tree = {0};
  Parser parser = {
      .pattern = pattern, .at = pattern, .end = pattern + strlen(pattern), .name = name, .tree = &tree};
  int32_t root;
  Status status = regex_parse(&parser, &root);
  if (status == STATUS_OK) status = compile_tree(&parser, &tree, root, out);
  tree_free(&tree);
  return status;
}

Status regex_compile_text(const char *text, size_t size, Regex **out) {
  Tree tree = {0};
  Parser parser = {.pattern = text, .name = "tokenizer", .tree = &tree};
  Charset set = {0};
  int32_t root, last = NO_NODE;
  Status status = tree_add(&tree, (Node){.kind = NODE_SEQUENCE, .child = NO_NODE, .next = NO_NODE}, &root);
  for (size_t at = 0; at < size && status == STATUS_OK;) {
    Utf8Char c = utf8_read(text + at, size - at);
    int32_t node;
    TRY_CLEAN(charset_add(&set, c.code, c.code));
    TRY_CLEAN(tree_add_set(&tree, &set, &node));
    *(last == NO_NODE ? &tree.nodes[root].child : &tree.nodes[last].next) = node;
    last = node;
    at += c.size;
  }
  if (status == STATUS_OK) status = compile_tree(&parser, &tree, root, out);
cleanup:
  charset_free(&set);
  tree_free(&tree);
  return status;
}

Status regex_compile_set(const Charset *set, Regex **out) {
  Tree tree = {0};
  Parser parser = {.pattern = "", .name = "tokenizer", .tree = &tree};
  Charset copy = {0};
  int32_t root;
  Status status = charset_add_all(&copy, set);
  if (status == STATUS_OK) status = tree_add_set(&tree, &copy, &root);
  if (status == STATUS_OK) status = compile_tree(&parser, &tree, root, out);
  charset_free(&copy);
  tree_free(&tree);
  return status;
}

bool regex_can_be_empty(const Regex *regex) {
  return regex->can_be_empty;
}

void regex_free(Regex *regex) {
  if (regex == NULL) return;
  for (size_t i = 0; i < regex->table_count; i++) char_table_free(regex->tables[i]);
  free(regex->tables);
  char_table_free(regex->word);
  free(regex->ops);
  free(regex);
}
