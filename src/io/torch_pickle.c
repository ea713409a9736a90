// The machine that a pickle drives (Python's Lib/pickletools.py has the steps).
//
// Rule: a pickle is a program, so only the steps that make a dict of tensors are known here. Each is checked,
// nothing is called by name, and any other step or name is refused by name.
#include "torch_pickle.h"

#include "util/memory.h"
#include <string.h>

const Global torch_globals[] = {{"torch\nFloatStorage\n", GLOBAL_STORAGE, DTYPE_F32},
                                {"torch\nHalfStorage\n", GLOBAL_STORAGE, DTYPE_F16},
                                {"torch\nBFloat16Storage\n", GLOBAL_STORAGE, DTYPE_BF16},
                                {"torch._utils\n_rebuild_tensor_v2\n", GLOBAL_REBUILD, DTYPE_F32},
                                {"torch._utils\n_rebuild_parameter\n", GLOBAL_PARAMETER, DTYPE_F32},
                                {"collections\nOrderedDict\n", GLOBAL_DICT, DTYPE_F32}};

Status unpickle_fail(const Unpickler *u, const char *what) {
  return status_fail(STATUS_INPUT,
                     "%s: data.pkl, byte %zu: %s; only a dict of plain tensors is read, as PEFT saves it",
                     u->path, u->at, what);
}

Status unpickle_push(Unpickler *u, Value value) {
  TRY(mem_reserve(&u->stack, &u->stack_capacity, u->depth + 1, "a pickle"));
  u->stack[u->depth++] = value;
  return STATUS_OK;
}

Status unpickle_pop(Unpickler *u, Value *out) {
  if (u->depth == 0) return unpickle_fail(u, "it takes more values than it made");
  *out = u->stack[--u->depth];
  return out->kind == MARKER ? unpickle_fail(u, "a mark stands where a value should be") : STATUS_OK;
}

static Status take_bytes(Unpickler *u, size_t count, const uint8_t **out) {
  if (count > u->size - u->at) return unpickle_fail(u, "it is cut off");
  *out = u->bytes + u->at;
  u->at += count;
  return STATUS_OK;
}

// ---- steps that make values ----

static Status push_integer(Unpickler *u, uint8_t code) {
  const uint8_t *bytes = NULL;
  size_t count = code == 'J' ? 4 : code == 'M' ? 2 : 1;
  TRY(take_bytes(u, count, &bytes));
  if (code == 0x8a) {
    count = bytes[0];
    if (count > 8) return unpickle_fail(u, "a number is longer than 8 bytes");
    TRY(take_bytes(u, count, &bytes));
  }
  uint64_t number = 0;
  for (size_t i = 0; i < count; i++) number |= (uint64_t)bytes[i] << 8 * i;
  bool is_signed = code == 'J' || code == 0x8a;
  if (is_signed && count > 0 && count < 8 && bytes[count - 1] >= 0x80) number |= UINT64_MAX << 8 * count;
  return unpickle_push(u, (Value){.kind = INTEGER, .number = (int64_t)number});
}

static Status push_text(Unpickler *u) {
  const uint8_t *bytes = NULL;
  TRY(take_bytes(u, 4, &bytes));
  size_t size = load_u32(bytes);
  TRY(take_bytes(u, size, &bytes));
  return unpickle_push(u, (Value){.kind = TEXT, .first = (size_t)(bytes - u->bytes), .count = size});
}

static Status push_global(Unpickler *u) {
  const uint8_t *start = u->bytes + u->at;
  size_t rest = u->size - u->at;
  for (size_t i = 0; i < sizeof torch_globals / sizeof *torch_globals; i++) {
    size_t size = strlen(torch_globals[i].name);
    if (size > rest || memcmp(start, torch_globals[i].name, size) != 0) continue;
    u->at += size;
    return unpickle_push(u, (Value){.kind = GLOBAL, .number = (int64_t)i});
  }
  const uint8_t *end = memchr(start, '\n', rest);
  size_t module = end != NULL ? (size_t)(end - start) : rest;
  const uint8_t *name = end != NULL ? end + 1 : start + rest;
  end = memchr(name, '\n', rest - (size_t)(name - start));
  size_t length = end != NULL ? (size_t)(end - name) : 0;
  return status_fail(STATUS_INPUT,
                     "%s: data.pkl uses \"%.*s.%.*s\", which is not read; save the adapter again with PEFT's "
                     "save_pretrained, as safetensors",
                     u->path, (int)size_min(module, 100), (const char *)start, (int)size_min(length, 100),
                     (const char *)name);
}

Status unpickle_push_dict(Unpickler *u) {
  TRY(mem_reserve(&u->odd, &u->odd_capacity, u->dict_count + 1, "a pickle"));
  u->odd[u->dict_count] = (Value){.kind = MARKER};
  return unpickle_push(u, (Value){.kind = DICT, .number = (int64_t)u->dict_count++});
}

/// *first = the place after the last mark.
static Status find_mark(const Unpickler *u, size_t *first) {
  size_t at = u->depth;
  while (at > 0 && u->stack[at - 1].kind != MARKER) at--;
  *first = at;
  return at > 0 ? STATUS_OK : unpickle_fail(u, "a mark is missing");
}

/// Replaces the values from `first` on, and `marks` marks before them, by one tuple.
static Status push_tuple(Unpickler *u, size_t first, size_t marks) {
  size_t count = u->depth - first;
  TRY(mem_reserve(&u->items, &u->item_capacity, u->item_count + count + 1, "a pickle"));
  for (size_t i = 0; i < count; i++) {
    if (u->stack[first + i].kind == MARKER) return unpickle_fail(u, "a mark stands where a value should be");
    u->items[u->item_count + i] = u->stack[first + i];
  }
  u->depth = first - marks;
  Value tuple = {.kind = TUPLE, .first = u->item_count, .count = count};
  u->item_count += count;
  return unpickle_push(u, tuple);
}

static Status push_small_tuple(Unpickler *u, size_t count) {
  if (count > u->depth) return unpickle_fail(u, "it takes more values than it made");
  return push_tuple(u, u->depth - count, 0);
}

// ---- dicts ----

static Status set_member(Unpickler *u, const Value *dict, const Value *key, const Value *value) {
  if (key->kind != TEXT) return unpickle_fail(u, "a key is not a text");
  if (value->kind != TENSOR) {
    if (u->odd[dict->number].kind == MARKER) u->odd[dict->number] = *key;
    return STATUS_OK;
  }
  TRY(mem_reserve(&u->members, &u->member_capacity, u->member_count + 1, "a pickle"));
  u->members[u->member_count++] = (Member){dict->number, *key, (size_t)value->number};
  return STATUS_OK;
}

/// The values from `first` on are keys and values, in turn; the dict stands below them and `marks` marks.
static Status set_members(Unpickler *u, size_t first, size_t marks) {
  size_t count = u->depth - first;
  if (count % 2 != 0 || first < marks + 1 || u->stack[first - marks - 1].kind != DICT)
    return unpickle_fail(u, "it puts members into something that is no dict");
  Value dict = u->stack[first - marks - 1];
  for (size_t i = first; i < u->depth; i += 2) TRY(set_member(u, &dict, &u->stack[i], &u->stack[i + 1]));
  u->depth = first - marks;
  return STATUS_OK;
}

/// An attribute of the dict: PyTorch's "_metadata", which says nothing about the tensors.
static Status build(Unpickler *u) {
  Value attributes = {0};
  TRY(unpickle_pop(u, &attributes));
  if (attributes.kind == DICT && u->depth > 0 && u->stack[u->depth - 1].kind == DICT) return STATUS_OK;
  return unpickle_fail(u, "it changes something that is no dict");
}

// ---- the machine ----

static Status remember(Unpickler *u, bool wide) {
  const uint8_t *bytes = NULL;
  TRY(take_bytes(u, wide ? 4 : 1, &bytes));
  size_t index = wide ? load_u32(bytes) : bytes[0];
  if (index > u->memo_count || u->depth == 0 || u->stack[u->depth - 1].kind == MARKER)
    return unpickle_fail(u, "it remembers something out of turn");
  TRY(mem_reserve(&u->memo, &u->memo_capacity, index + 1, "a pickle"));
  u->memo[index] = u->stack[u->depth - 1];
  if (index == u->memo_count) u->memo_count++;
  return STATUS_OK;
}

static Status recall(Unpickler *u, bool wide) {
  const uint8_t *bytes = NULL;
  TRY(take_bytes(u, wide ? 4 : 1, &bytes));
  size_t index = wide ? load_u32(bytes) : bytes[0];
  return index < u->memo_count ? unpickle_push(u, u->memo[index])
                               : unpickle_fail(u, "it recalls what it never had");
}

static Status check_protocol(Unpickler *u) {
  const uint8_t *bytes = NULL;
  TRY(take_bytes(u, 1, &bytes));
  return bytes[0] == 2 ? STATUS_OK : unpickle_fail(u, "its protocol is not PyTorch's, which is 2");
}

static Status step(Unpickler *u, uint8_t code) {
  size_t first = 0;
  switch (code) {
  case 0x80: // PROTO
    return check_protocol(u);
  case '(': // MARK
    return unpickle_push(u, (Value){.kind = MARKER});
  case 'N': // NONE
    return unpickle_push(u, (Value){.kind = NONE});
  case 0x88: // NEWTRUE, NEWFALSE
  case 0x89:
    return unpickle_push(u, (Value){.kind = BOOLEAN});
  case 'K': // BININT1, BININT2, BININT, LONG1
  case 'M':
  case 'J':
  case 0x8a:
    return push_integer(u, code);
  case 'X': // BINUNICODE
    return push_text(u);
  case ')': // EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3
    return push_small_tuple(u, 0);
  case 0x85:
  case 0x86:
  case 0x87:
    return push_small_tuple(u, code - 0x84u);
  case 't': // TUPLE
    TRY(find_mark(u, &first));
    return push_tuple(u, first, 1);
  case '}': // EMPTY_DICT
    return unpickle_push_dict(u);
  case 's': // SETITEM
    return u->depth < 2 ? unpickle_fail(u, "it takes more values than it made")
                        : set_members(u, u->depth - 2, 0);
  case 'u': // SETITEMS
    TRY(find_mark(u, &first));
    return set_members(u, first, 1);
  case 'c': // GLOBAL
    return push_global(u);
  case 'Q': // BINPERSID
    return torch_make_storage(u);
  case 'R': // REDUCE
    return torch_call(u);
  case 'b': // BUILD
    return build(u);
  case 'q': // BINPUT, LONG_BINPUT
  case 'r':
    return remember(u, code == 'r');
  case 'h': // BINGET, LONG_BINGET
  case 'j':
    return recall(u, code == 'j');
  default:
    return status_fail(STATUS_INPUT,
                       "%s: data.pkl, byte %zu: step 0x%02x is not read; save the adapter again with PEFT's "
                       "save_pretrained, as safetensors",
                       u->path, u->at - 1, (unsigned)code);
  }
}

/// Adds the members of the dict that the pickle ends with. Of two with one key the last counts.
static Status finish(Unpickler *u) {
  if (u->depth != 1 || u->stack[0].kind != DICT || u->at != u->size)
    return unpickle_fail(u, "it does not end with a dict");
  int64_t dict = u->stack[0].number;
  const Value *odd = &u->odd[dict];
  if (odd->kind == TEXT) {
    return status_fail(STATUS_INPUT, "%s: \"%.*s\" is no tensor; only a dict of tensors is read", u->path,
                       (int)size_min(odd->count, 100), (const char *)u->bytes + odd->first);
  }
  for (size_t i = 0; i < u->member_count; i++) {
    const Member *member = &u->members[i];
    const char *name = (const char *)u->bytes + member->key.first;
    if (member->dict != dict) continue;
    TRY(tensors_add(u->file, u->path, name, member->key.count, &u->tensors[member->tensor]));
  }
  return STATUS_OK;
}

Status unpickle(Unpickler *u) {
  while (u->at < u->size) {
    uint8_t code = u->bytes[u->at++];
    if (code == '.') return finish(u);
    TRY(step(u, code));
  }
  return unpickle_fail(u, "it is cut off");
}
