// Named tensors in files of any format: safetensors (one file or a sharded index), GGUF (one file or parts),
// and what PyTorch's torch.save writes of a dict of tensors. Every offset, count and size in a file is
// checked against the file before it is used.
#pragma once

#include "util/dtype.h"
#include "util/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { STORED_MAX_RANK = 4 };

/// A view into a mapped file, valid as long as its TensorFile. Row-major, outermost dimension first, as in
/// safetensors and PyTorch; GGUF's order is reversed on reading.
typedef struct StoredTensor {
  const char *name;
  DType type; // one that tensors_read_f32 can decode
  size_t rank;
  size_t shape[STORED_MAX_RANK];
  size_t elements;
  const uint8_t *bytes;
  size_t size; // of `bytes`
  bool mapped; // `bytes` are those of the file, and not a copy in another order
} StoredTensor;

typedef struct TensorFile TensorFile;

/// Opens a .safetensors file, a model.safetensors.index.json, a .gguf file or a .bin of PyTorch's. The
/// content tells which it is. The first part of a GGUF file in parts (…-00001-of-00003.gguf) opens all of
/// them.
STATUS_CHECKED Status tensors_open(const char *path, TensorFile **out);
void tensors_close(TensorFile *file);
const char *tensors_path(const TensorFile *file);
size_t tensors_count(const TensorFile *file);
const StoredTensor *tensors_at(const TensorFile *file, size_t index);
/// NULL if there is no tensor of that name.
const StoredTensor *tensors_find(const TensorFile *file, const char *name);

/// *out = another name for tensor `name`, in fresh memory; NULL keeps it.
typedef Status (*TensorRename)(void *user, const char *name, char **out);
/// Renames the tensors. STATUS_INPUT if two have the same name then.
STATUS_CHECKED Status tensors_rename(TensorFile *file, TensorRename rename, void *user);

/// out[count] = elements [first, first + count) as float32; both are multiples of the type's block.
STATUS_CHECKED Status tensors_read_f32(const StoredTensor *tensor, size_t first, size_t count, float *out);

/// These bytes of the tensor have been read: the pages of its file no longer count as this process's memory.
/// They can be read again.
void tensors_forget(const StoredTensor *tensor, size_t offset, size_t size);

// ---- GGUF metadata; a safetensors file has none ----

/// True for a GGUF file.
int tensors_is_gguf(const TensorFile *file);
/// Typed metadata. STATUS_INPUT if the type is another or the key is missing; the variants with a `fallback`
/// give that for a missing key.
STATUS_CHECKED Status gguf_get_integer(const TensorFile *file, const char *key, int64_t *out);
STATUS_CHECKED Status gguf_get_integer_or(const TensorFile *file, const char *key, int64_t fallback,
                                          int64_t *out);
STATUS_CHECKED Status gguf_get_number_or(const TensorFile *file, const char *key, double fallback,
                                         double *out);
/// *out is NUL-terminated and owned by the file; NULL if the key is missing.
STATUS_CHECKED Status gguf_get_string_or_null(const TensorFile *file, const char *key, const char **out);
/// *count = entries of an array of strings, which gguf_string_at reads. STATUS_INPUT if the key is missing.
STATUS_CHECKED Status gguf_get_strings(const TensorFile *file, const char *key, size_t *count);
/// Entry `index`, not NUL-terminated, of an array that gguf_get_strings has checked.
void gguf_string_at(const TensorFile *file, const char *key, size_t index, const char **bytes, size_t *size);
/// An array of integers of any width, widened into fresh memory (free()); NULL and *count = 0 if the key is
/// missing.
STATUS_CHECKED Status gguf_get_integers(const TensorFile *file, const char *key, int64_t **out,
                                        size_t *count);
/// The same of an array of numbers of any type.
STATUS_CHECKED Status gguf_get_numbers(const TensorFile *file, const char *key, double **out, size_t *count);

// ---- writing safetensors ----

/// A tensor to write. Its elements come from the caller's `fill`, in order and in pieces.
typedef struct TensorToWrite {
  const char *name;
  DType type; // F32, F16 or BF16
  size_t rank;
  size_t shape[STORED_MAX_RANK];
} TensorToWrite;

/// Fills out[count] with the float32 elements of tensor `index` from `first` on.
typedef Status (*TensorFill)(void *user, size_t index, size_t first, size_t count, float *out);

/// Writes `path` (not atomically: use it inside an AtomicDir), with the metadata {"format":"pt"}.
/// STATUS_INPUT names a tensor with a number that is not finite, or that its type does not hold
/// (util/rounding.h).
STATUS_CHECKED Status safetensors_write(const char *path, const TensorToWrite *tensors, size_t count,
                                        TensorFill fill, void *user);
