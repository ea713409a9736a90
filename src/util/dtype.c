// The table of element types, made from the list in util/dtype.h.
#include "util/dtype.h"

#include <strings.h>

static const DTypeInfo types[DTYPE_COUNT] = {
#define DTYPE_ROW(name, kind, elements, bytes, gguf) {#name, kind, elements, bytes, gguf},
    DTYPE_LIST(DTYPE_ROW)
#undef DTYPE_ROW
};

const DTypeInfo *dtype_info(DType type) {
  return &types[type];
}

const char *dtype_name(DType type) {
  return (unsigned)type < DTYPE_COUNT ? types[type].name : type == DTYPE_STORED ? "stored" : "unknown";
}

bool dtype_is_half(DType type) {
  return types[type].kind == DTYPE_HALF;
}

size_t dtype_bytes(DType type, size_t elements) {
  return elements / types[type].block_elements * types[type].block_bytes;
}

bool dtype_from_name(const char *name, DType *out) {
  for (unsigned i = 0; i < DTYPE_COUNT; i++) {
    if (strcasecmp(types[i].name, name) != 0) continue;
    *out = (DType)i;
    return true;
  }
  return false;
}

bool dtype_from_gguf(unsigned number, DType *out) {
  for (unsigned i = 0; i < DTYPE_COUNT; i++) {
    if (types[i].gguf == GGUF_NONE || (unsigned)types[i].gguf != number) continue;
    *out = (DType)i;
    return true;
  }
  return false;
}
