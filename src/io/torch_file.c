// Reading what torch.save writes of a dict of tensors: a ZIP archive (zip.c) with a pickle, NAME/data.pkl
// (torch_pickle.c), and a storage of plain numbers for each NAME/data/KEY. Rule: every element of a tensor
// lies in its storage.
#include "torch_pickle.h"

#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

static bool text_is(const Unpickler *u, const Value *value, const char *text) {
  return value->kind == TEXT && value->count == strlen(text) &&
         memcmp(u->bytes + value->first, text, value->count) == 0;
}

// ---- storages and tensors ----

static const ZipEntry *find_entry(const Unpickler *u, const char *folder, const char *key, size_t key_size) {
  size_t folder_size = strlen(folder);
  for (size_t i = 0; i < u->archive->count; i++) {
    const ZipEntry *entry = &u->archive->entries[i];
    if (entry->name_size == u->root_size + folder_size + key_size &&
        memcmp(entry->name, u->root, u->root_size) == 0 &&
        memcmp(entry->name + u->root_size, folder, folder_size) == 0 &&
        memcmp(entry->name + u->root_size + folder_size, key, key_size) == 0)
      return entry;
  }
  return NULL;
}

/// ('storage', torch.FloatStorage, KEY, 'cpu', elements)
Status torch_make_storage(Unpickler *u) {
  Value id = {0};
  TRY(unpickle_pop(u, &id));
  if (id.kind != TUPLE || id.count != 5)
    return unpickle_fail(u, "a storage has no description of five parts");
  const Value *item = u->items + id.first;
  bool known = text_is(u, &item[0], "storage") && item[1].kind == GLOBAL &&
               torch_globals[item[1].number].role == GLOBAL_STORAGE && item[2].kind == TEXT &&
               item[4].kind == INTEGER;
  if (!known) return unpickle_fail(u, "a storage is described in a way that is not known");
  const ZipEntry *entry = find_entry(u, "data/", (const char *)u->bytes + item[2].first, item[2].count);
  if (entry == NULL) return unpickle_fail(u, "the archive does not have a storage that it names");
  DType type = torch_globals[item[1].number].type;
  if (item[4].number < 0 || entry->size % dtype_bytes(type, 1) != 0 ||
      entry->size / dtype_bytes(type, 1) != (uint64_t)item[4].number)
    return unpickle_fail(u, "a storage has another size than it says");
  return unpickle_push(
      u, (Value){.kind = STORAGE, .number = item[1].number, .first = (size_t)(entry - u->archive->entries)});
}

/// The elements of a tensor in its storage: element [i, j, …] is number offset + i · stride[0] + j ·
/// stride[1] …
typedef struct Strided {
  const uint8_t *bytes;
  size_t stored; // elements of the storage
  size_t offset, stride[STORED_MAX_RANK];
} Strided;

static Status read_sizes(const Unpickler *u, const Value *tuple, size_t *out, size_t *rank) {
  if (tuple->kind != TUPLE || tuple->count > STORED_MAX_RANK)
    return unpickle_fail(u, "a tensor has a shape that is not known");
  for (size_t i = 0; i < tuple->count; i++) {
    const Value *size = &u->items[tuple->first + i];
    if (size->kind != INTEGER || size->number < 0)
      return unpickle_fail(u, "a tensor's shape is not of numbers");
    out[i] = (size_t)size->number;
  }
  *rank = tuple->count;
  return STATUS_OK;
}

/// Fails unless every element lies in the storage. *in_order = whether they follow each other there.
static Status check_strides(const Unpickler *u, const StoredTensor *tensor, const Strided *from,
                            bool *in_order) {
  size_t last = from->offset, expected = 1;
  bool fits = true;
  *in_order = true;
  for (size_t i = tensor->rank; i-- > 0 && tensor->elements > 0;) {
    size_t reach = 0;
    fits = fits && !__builtin_mul_overflow(tensor->shape[i] - 1, from->stride[i], &reach) &&
           !__builtin_add_overflow(last, reach, &last);
    if (tensor->shape[i] > 1 && from->stride[i] != expected) *in_order = false;
    expected *= tensor->shape[i];
  }
  if (tensor->elements == 0) return STATUS_OK;
  if (!fits || last >= from->stored) return unpickle_fail(u, "a tensor reaches beyond its storage");
  // With a stride of 0 a few bytes would become any number of elements.
  return tensor->elements <= from->stored ? STATUS_OK
                                          : unpickle_fail(u, "a tensor has more elements than its storage");
}

/// Puts the elements in order, in memory that the file owns. All copies together are at most as long as it.
static Status copy_in_order(Unpickler *u, StoredTensor *tensor, const Strided *from) {
  size_t width = dtype_bytes(tensor->type, 1);
  if (tensor->size > u->file->maps[0].size - u->copied)
    return unpickle_fail(u, "its tensors have more elements than the file");
  u->copied += tensor->size;
  uint8_t *copy = NULL;
  TRY(tensors_add_copy(u->file, tensor->size, &copy));
  tensor->bytes = copy;
  for (size_t e = 0; e < tensor->elements; e++) {
    size_t rest = e, place = from->offset;
    for (size_t i = tensor->rank; i-- > 0; rest /= tensor->shape[i])
      place += rest % tensor->shape[i] * from->stride[i];
    memcpy(copy + e * width, from->bytes + place * width, width);
  }
  return STATUS_OK;
}

/// _rebuild_tensor_v2(storage, offset, shape, strides, requires_grad, hooks)
static Status rebuild_tensor(Unpickler *u, const Value *args) {
  const Value *item = u->items + args->first;
  if (args->count != 6 || item[0].kind != STORAGE || item[1].kind != INTEGER || item[1].number < 0)
    return unpickle_fail(u, "a tensor is described in a way that is not known");
  const ZipEntry *entry = &u->archive->entries[item[0].first];
  StoredTensor tensor = {.type = torch_globals[item[0].number].type};
  Strided from = {.bytes = entry->bytes,
                  .stored = entry->size / dtype_bytes(tensor.type, 1),
                  .offset = (size_t)item[1].number};
  size_t strides = 0;
  bool in_order = false;
  TRY(read_sizes(u, &item[2], tensor.shape, &tensor.rank));
  TRY(read_sizes(u, &item[3], from.stride, &strides));
  if (strides != tensor.rank) return unpickle_fail(u, "a tensor has a stride too few or too many");
  TRY(status_context(tensor_measure(tensor.type, tensor.rank, tensor.shape, &tensor.elements, &tensor.size),
                     "%s: a tensor", u->path));
  TRY(check_strides(u, &tensor, &from, &in_order));
  tensor.bytes =
      tensor.elements > 0 ? entry->bytes + from.offset * dtype_bytes(tensor.type, 1) : entry->bytes;
  if (!in_order) TRY(copy_in_order(u, &tensor, &from));
  TRY(mem_reserve(&u->tensors, &u->tensor_capacity, u->tensor_count + 1, "a pickle"));
  u->tensors[u->tensor_count] = tensor;
  return unpickle_push(u, (Value){.kind = TENSOR, .number = (int64_t)u->tensor_count++});
}

/// Calls one of torch_globals.
Status torch_call(Unpickler *u) {
  Value args = {0}, function = {0};
  TRY(unpickle_pop(u, &args));
  TRY(unpickle_pop(u, &function));
  if (args.kind != TUPLE || function.kind != GLOBAL)
    return unpickle_fail(u, "it calls something that is not known");
  const Value *first = u->items + args.first;
  switch (torch_globals[function.number].role) {
  case GLOBAL_REBUILD:
    return rebuild_tensor(u, &args);
  case GLOBAL_PARAMETER: // (tensor, requires_grad, hooks)
    if (args.count == 3 && first->kind == TENSOR) return unpickle_push(u, *first);
    return unpickle_fail(u, "a parameter is described in a way that is not known");
  case GLOBAL_DICT:
    if (args.count == 0) return unpickle_push_dict(u);
    return unpickle_fail(u, "a dict is made in a way that is not known");
  default:
    return unpickle_fail(u, "it calls something that is not known");
  }
}

// ---- the archive ----

static Status find_pickle(Unpickler *u) {
  static const char name[] = "/data.pkl";
  const size_t size = sizeof name - 1;
  const ZipEntry *pickle = NULL;
  for (size_t i = 0; i < u->archive->count; i++) {
    const ZipEntry *entry = &u->archive->entries[i];
    if (entry->name_size < size || memcmp(entry->name + entry->name_size - size, name, size) != 0) continue;
    if (pickle != NULL) return status_fail(STATUS_INPUT, "%s: the archive has two data.pkl", u->path);
    pickle = entry;
  }
  if (pickle == NULL)
    return status_fail(STATUS_INPUT, "%s: a ZIP archive without data.pkl; it is no file of PyTorch's",
                       u->path);
  u->bytes = pickle->bytes;
  u->size = pickle->size;
  u->root = pickle->name;
  u->root_size = pickle->name_size - size + 1;
  const ZipEntry *order = find_entry(u, "byteorder", "", 0);
  if (order == NULL || (order->size == 6 && memcmp(order->bytes, "little", 6) == 0)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: its numbers are big-endian, which is not read", u->path);
}

Status torch_read(TensorFile *file) {
  ZipArchive archive = {0};
  Unpickler u = {.path = file->path, .archive = &archive, .file = file};
  Status status = STATUS_OK;
  TRY_CLEAN(zip_read(&file->maps[0], &archive));
  TRY_CLEAN(find_pickle(&u));
  TRY_CLEAN(unpickle(&u));
cleanup:
  free(u.stack);
  free(u.items);
  free(u.memo);
  free(u.tensors);
  free(u.members);
  free(u.odd);
  zip_free(&archive);
  return status;
}
