// What torch_file.c and torch_pickle.c share: the machine that a pickle drives, and its values. Private to
// this room.
#pragma once

#include "tensor_file.h"
#include "zip.h"

typedef enum Kind { MARKER, NONE, BOOLEAN, INTEGER, TEXT, TUPLE, DICT, GLOBAL, STORAGE, TENSOR } Kind;

typedef struct Value {
  Kind kind;
  // INTEGER: the number. GLOBAL: its row of torch_globals. DICT: its number. TENSOR: its place in `tensors`.
  // STORAGE: its row of torch_globals.
  int64_t number;
  size_t first, count; // TEXT: bytes of the pickle. TUPLE: values of `items`. STORAGE: first is the entry.
} Value;

typedef enum GlobalRole { GLOBAL_STORAGE, GLOBAL_REBUILD, GLOBAL_PARAMETER, GLOBAL_DICT } GlobalRole;

/// A name that a pickle may use.
typedef struct Global {
  const char *name; // as in the pickle: module, line end, name, line end
  GlobalRole role;
  DType type; // GLOBAL_STORAGE: of its elements
} Global;
extern const Global torch_globals[];

/// A member of a dict whose value is a tensor.
typedef struct Member {
  int64_t dict;
  Value key;
  size_t tensor;
} Member;

typedef struct Unpickler {
  const char *path;
  const uint8_t *bytes;
  size_t size, at;
  const ZipArchive *archive;
  const char *root; // what names of entries start with: "adapter_model/"
  size_t root_size;
  Value *stack, *items, *memo;
  size_t depth, stack_capacity, item_count, item_capacity, memo_count, memo_capacity;
  StoredTensor *tensors;
  size_t tensor_count, tensor_capacity;
  Member *members;
  size_t member_count, member_capacity;
  Value *odd; // [dicts] the first key whose value is no tensor, MARKER if there is none
  size_t dict_count, odd_capacity;
  TensorFile *file; // owns the copies of tensors that are not stored in order
  size_t copied;    // their bytes
} Unpickler;

/// Runs the pickle in u->bytes and adds the tensors of its dict to u->file.
STATUS_CHECKED Status unpickle(Unpickler *u);

Status unpickle_fail(const Unpickler *u, const char *what);
STATUS_CHECKED Status unpickle_push(Unpickler *u, Value value);
STATUS_CHECKED Status unpickle_pop(Unpickler *u, Value *out);
STATUS_CHECKED Status unpickle_push_dict(Unpickler *u);

// ---- what the machine calls (torch_file.c) ----

/// The description of a storage on the stack becomes the storage.
STATUS_CHECKED Status torch_make_storage(Unpickler *u);
/// A function and its arguments on the stack become what it returns.
STATUS_CHECKED Status torch_call(Unpickler *u);
