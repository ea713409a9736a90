// The tensors of a Hugging Face folder under the names of the table, and whether its head is its embedding.
// Rule: a name is taken for another only if what remains is a name of the table, so nothing is guessed.
#include "formats.h"
#include "util/log.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

// ---- names ----

/// True if `name` is the entry's name in some layer, with its ending.
static bool is_name_of(const WeightName *weight, const char *name) {
  const char *pattern = weight->name[FORMAT_HF];
  for (; *pattern != '\0'; pattern++) {
    if (*pattern != '#') {
      if (*name++ != *pattern) return false;
      continue;
    }
    size_t digits = strspn(name, "0123456789");
    if (digits == 0) return false;
    name += digits;
  }
  return strcmp(name, weight->kind == WEIGHT_BIAS ? ".bias" : ".weight") == 0;
}

static bool is_known(const ModelFamily *family, const char *name) {
  for (size_t i = 0; i < family->weight_count; i++) {
    if (is_name_of(&family->weights[i], name)) return true;
  }
  return false;
}

/// True for a part of a name that a wrapper adds: torch.compile, FSDP and activation checkpointing around any
/// module, DataParallel around the whole.
static bool is_wrapper(const char *part, size_t size, bool first) {
  static const char *const wrappers[] = {"_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"};
  for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++) {
    if (size == strlen(wrappers[i]) && memcmp(part, wrappers[i], size) == 0) return true;
  }
  return first && size == strlen("module") && memcmp(part, "module", size) == 0;
}

Status append_unwrapped(Str *out, const char *name) {
  size_t start = out->size;
  while (true) {
    size_t size = strcspn(name, ".");
    if (!is_wrapper(name, size, out->size == start)) {
      if (out->size > start) TRY(str_append_text(out, "."));
      TRY(str_append(out, name, size));
    }
    if (name[size] == '\0') return STATUS_OK;
    name += size + 1;
  }
}

/// A TensorRename: the name of the table that transformers finds for `name`, which may lack the prefix of the
/// base model or have it once too often.
static Status resolve_name(void *user, const char *name, char **out) {
  static const char prefix[] = "model.";
  const ModelFamily *family = user;
  Str text = {0};
  Status status = STATUS_OK;
  *out = NULL;
  if (is_known(family, name)) return STATUS_OK;
  TRY_CLEAN(str_append_text(&text, prefix));
  TRY_CLEAN(append_unwrapped(&text, name));
  const char *with = str_text(&text), *bare = with + strlen(prefix);
  const char *without = str_starts(bare, prefix) ? bare + strlen(prefix) : bare;
  const char *candidates[] = {bare, without, with};
  for (size_t i = 0; i < 3 && *out == NULL; i++) {
    if (is_known(family, candidates[i])) TRY_CLEAN(str_format(out, "%s", candidates[i]));
  }
cleanup:
  str_free(&text);
  return status;
}

// ---- the head ----

/// The names of the embedding and the head.
typedef struct Ends {
  char embedding[WEIGHT_NAME_SIZE], head[WEIGHT_NAME_SIZE];
} Ends;

/// A TensorRename: the head becomes the embedding.
static Status head_to_embedding(void *user, const char *name, char **out) {
  const Ends *ends = user;
  *out = NULL;
  return strcmp(name, ends->head) == 0 ? str_format(out, "%s", ends->embedding) : STATUS_OK;
}

static bool same_values(const float *a, const float *b, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!(a[i] == b[i])) return false;
  }
  return true;
}

static Status compare(const StoredTensor *a, const StoredTensor *b, bool *same) {
  enum { PIECE = 1 << 14 };
  float *values = NULL;
  *same = a->rank == b->rank && memcmp(a->shape, b->shape, sizeof a->shape) == 0;
  if (!*same) return STATUS_OK;
  TRY(mem_array(&values, 2 * PIECE, "comparing the head"));
  Status status = STATUS_OK;
  for (size_t first = 0; *same && first < a->elements; first += PIECE) {
    size_t count = size_min(PIECE, a->elements - first);
    TRY_CLEAN(tensors_read_f32(a, first, count, values));
    TRY_CLEAN(tensors_read_f32(b, first, count, values + PIECE));
    *same = same_values(values, values + PIECE, count);
  }
cleanup:
  free(values);
  return status;
}

/// As transformers' tie_weights: of a tied pair in the file, one is enough, and two that differ are not tied.
static Status settle_head(ModelConfig *config, TensorFile *file) {
  Ends ends;
  weight_name(config->family, FORMAT_HF, WEIGHT_EMBEDDING, ends.embedding);
  weight_name(config->family, FORMAT_HF, WEIGHT_HEAD, ends.head);
  const StoredTensor *embedding = tensors_find(file, ends.embedding), *head = tensors_find(file, ends.head);
  if (!config->tied || head == NULL) return STATUS_OK;
  if (embedding == NULL) return tensors_rename(file, head_to_embedding, &ends);
  TRY(compare(embedding, head, &config->tied));
  if (!config->tied)
    log_say(LOG_NOTE, "%s: %s differs from %s and is used as it is, though config.json ties them",
            tensors_path(file), ends.head, ends.embedding);
  return STATUS_OK;
}

Status weights_resolve(ModelConfig *config, TensorFile *file) {
  TRY(tensors_rename(file, resolve_name, (void *)(uintptr_t)config->family));
  return settle_head(config, file);
}
