// Reads the weights of an adapter: A and B of each adapted matrix, and weights of the base that were trained
// or saved with it (an embedding, biases). Rule: the file holds exactly what adapter_config.json asks for, so
// a config that was understood in another way than it was meant cannot pass.
#include "io/file.h"
#include "parts.h"
#include "util/memory.h"
#include <stdlib.h>
#include <string.h>

/// A tensor of the file under its usual name.
typedef struct Entry {
  char *name;
  const StoredTensor *stored;
  bool used;
} Entry;

typedef struct AdapterFile {
  TensorFile *file;
  Entry *entries; // sorted by name
  size_t count;
} AdapterFile;

// ---- the file ----

/// *out = the path of the weights: PEFT takes the .bin only where there is no .safetensors.
static Status weights_path(const char *directory, char **out) {
  TRY(path_join(out, directory, ADAPTER_WEIGHTS));
  if (file_exists(*out)) return STATUS_OK;
  free(*out);
  TRY(path_join(out, directory, "adapter_model.bin"));
  if (file_exists(*out)) return STATUS_OK;
  free(*out);
  *out = NULL;
  return status_fail(STATUS_INPUT, "%s: the adapter has neither %s nor adapter_model.bin", directory,
                     ADAPTER_WEIGHTS);
}

static int compare_entries(const void *a, const void *b) {
  return strcmp(((const Entry *)a)->name, ((const Entry *)b)->name);
}

static Status list_entries(AdapterFile *adapter) {
  size_t count = tensors_count(adapter->file);
  TRY(mem_array(&adapter->entries, count, "the tensors of an adapter"));
  for (; adapter->count < count; adapter->count++) {
    Entry *entry = &adapter->entries[adapter->count];
    entry->stored = tensors_at(adapter->file, adapter->count);
    if (entry->stored->elements == 0) {
      return status_fail(STATUS_INPUT,
                         "%s: tensor %s is empty; the adapter was saved from a model that was cut into parts "
                         "(FSDP, DeepSpeed): save it again with the parts gathered",
                         tensors_path(adapter->file), entry->stored->name);
    }
    TRY(lora_usual_name(entry->stored->name, &entry->name));
  }
  qsort(adapter->entries, count, sizeof *adapter->entries, compare_entries);
  for (size_t i = 1; i < count; i++) {
    if (strcmp(adapter->entries[i - 1].name, adapter->entries[i].name) != 0) continue;
    return status_fail(STATUS_INPUT, "%s: tensors %s and %s are the same one", tensors_path(adapter->file),
                       adapter->entries[i - 1].stored->name, adapter->entries[i].stored->name);
  }
  return STATUS_OK;
}

static Status open_adapter(const char *directory, AdapterFile *out) {
  char *path = NULL;
  TRY(weights_path(directory, &path));
  Status status = tensors_open(path, &out->file);
  free(path);
  return status == STATUS_OK ? list_entries(out) : status;
}

static void close_adapter(AdapterFile *adapter) {
  for (size_t i = 0; adapter->entries != NULL && i < adapter->count; i++) free(adapter->entries[i].name);
  free(adapter->entries);
  tensors_close(adapter->file);
}

/// The tensor of this name, which counts as used from now on; NULL if there is none.
static const StoredTensor *take(AdapterFile *adapter, const char *name) {
  Entry key = {.name = (char *)(uintptr_t)name};
  Entry *found = bsearch(&key, adapter->entries, adapter->count, sizeof key, compare_entries);
  if (found == NULL) return NULL;
  found->used = true;
  return found->stored;
}

static Status fail_missing(const AdapterFile *adapter, const char *name) {
  return status_fail(STATUS_INPUT, "%s: tensor %s is missing, which adapter_config.json asks for",
                     tensors_path(adapter->file), name);
}

// ---- A and B ----

static Status read_matrices(Model *model, AdapterFile *adapter) {
  ParamSet *params = &model->params;
  for (size_t i = 0; i < params->count; i++) {
    const StoredTensor *stored = take(adapter, params->specs[i].name);
    if (stored == NULL) return fail_missing(adapter, params->specs[i].name);
    TRY(params_read(params, i, stored, tensors_path(adapter->file)));
  }
  return STATUS_OK;
}

// ---- weights of the base ----

/// *stored = what the file has of weight `index` of the base (lora_weight); NULL if nothing.
static Status take_weight(const Model *model, AdapterFile *adapter, size_t index, WeightSpec *spec,
                          const StoredTensor **stored) {
  char *name = NULL;
  TRY(lora_weight(&model->config, &model->lora, index, spec, &name));
  *stored = take(adapter, name);
  Status status = STATUS_OK;
  if (*stored == NULL && model->lora.brings[index]) status = fail_missing(adapter, name);
  free(name);
  return status;
}

static Status replace_weight(Model *model, const AdapterFile *adapter, const WeightSpec *spec,
                             const StoredTensor *stored) {
  model->changed = true;
  TRY(stored_check_shape(stored, tensors_path(adapter->file), spec->rank, spec->rows, spec->cols));
  TRY(model_widen(model, spec));
  return weight_read(stored, 0, &model_weight(model, spec)->value);
}

/// Gives a tied model a head of its own, equal to its embedding.
static Status untie(Model *model) {
  model->changed = true;
  const Tensor *embedding = &model->embedding.value;
  TRY(tensor_create(model->ops, "head", MEMORY_WEIGHTS, embedding->dtype, embedding->rows, embedding->cols,
                    &model->head.value));
  TRY(tensor_copy(&model->head.value, embedding));
  model->config.tied = false;
  return STATUS_OK;
}

static bool same_values(const StoredTensor *a, const StoredTensor *b) {
  return a->type == b->type && a->size == b->size && memcmp(a->bytes, b->bytes, a->size) == 0;
}

/// What the file has of embedding and head, and whether the config says that it brings them.
typedef struct Ends {
  WeightSpec spec[2];
  const StoredTensor *stored[2];
  bool brings[2];
} Ends;

/// In a tied model PEFT gives a module that was trained (modules_to_save) weights of its own; one that is
/// only saved with the adapter is loaded into the weights that both share.
static Status replace_tied_ends(Model *model, const AdapterFile *adapter, const Ends *ends) {
  const StoredTensor *embedding = ends->stored[0], *head = ends->stored[1];
  const StoredTensor *either = embedding != NULL ? embedding : head;
  if (either == NULL) return STATUS_OK;
  bool both = embedding != NULL && head != NULL;
  bool same = both && same_values(embedding, head);
  bool own = (ends->brings[0] || ends->brings[1]) && !same;
  if (model->lora.keeps_tied ? !same : both && !same && !(ends->brings[0] && ends->brings[1])) {
    return status_fail(STATUS_INPUT, "%s: the model's head is its embedding, but the adapter has %s",
                       tensors_path(adapter->file),
                       both ? "different ones for the two" : "a new one for only one of the two");
  }
  if (!own) return replace_weight(model, adapter, &ends->spec[0], either);
  TRY(untie(model));
  if (embedding != NULL) TRY(replace_weight(model, adapter, &ends->spec[0], embedding));
  return head != NULL ? replace_weight(model, adapter, &ends->spec[1], head) : STATUS_OK;
}

static Status replace_weights(Model *model, AdapterFile *adapter) {
  const bool tied = model->config.tied;
  size_t count = lora_weight_count(&model->config);
  Ends ends = {0};
  for (size_t i = 0; i < count; i++) {
    WeightSpec spec;
    const StoredTensor *stored = NULL;
    TRY(take_weight(model, adapter, i, &spec, &stored));
    if (tied && (spec.kind == WEIGHT_EMBEDDING || spec.kind == WEIGHT_HEAD)) {
      size_t end = spec.kind == WEIGHT_HEAD;
      ends.spec[end] = spec;
      ends.stored[end] = stored;
      ends.brings[end] = model->lora.brings[i];
    } else if (stored != NULL) {
      TRY(replace_weight(model, adapter, &spec, stored));
    }
  }
  return tied ? replace_tied_ends(model, adapter, &ends) : STATUS_OK;
}

// ---- adapters that are merged ----

/// *out = a part of a weight's adapter; it must be there.
static Status take_part(AdapterFile *adapter, const WeightSpec *spec, LoraPart part,
                        const StoredTensor **out) {
  char *name = NULL;
  TRY(lora_tensor_name(spec, part, &name));
  *out = take(adapter, name);
  Status status = *out != NULL ? STATUS_OK : fail_missing(adapter, name);
  free(name);
  return status;
}

static Status merge_weight(Model *model, AdapterFile *adapter, const WeightSpec *spec,
                           const LoraTarget *target) {
  model->changed = true;
  AdapterParts parts = {.path = tensors_path(adapter->file), .scale = target->scale};
  TRY(take_part(adapter, spec, LORA_A, &parts.a));
  TRY(take_part(adapter, spec, LORA_B, &parts.b));
  if (model->lora.magnitudes) TRY(take_part(adapter, spec, LORA_MAGNITUDES, &parts.magnitudes));
  return adapter_merge(model, spec, target->rank, &parts);
}

/// Each row of the file's tensor becomes one of the weight's.
static Status replace_rows(Model *model, AdapterFile *adapter, const WeightSpec *spec, const LoraRows *rows) {
  model->changed = true;
  const StoredTensor *stored = NULL;
  TRY(take_part(adapter, spec, LORA_ROWS, &stored));
  TRY(stored_check_shape(stored, tensors_path(adapter->file), 2, rows->count, spec->cols));
  TRY(model_widen(model, spec));
  for (size_t i = 0; i < rows->count; i++) {
    StoredTensor row = *stored;
    row.elements = spec->cols;
    row.size = stored->size / rows->count;
    row.bytes += i * row.size;
    Tensor place = tensor_rows(&model_weight(model, spec)->value, rows->rows[i], 1);
    TRY(weight_read(&row, 0, &place));
  }
  return STATUS_OK;
}

static Status merge_weights(Model *model, AdapterFile *adapter) {
  const Lora *lora = &model->lora;
  // PEFT changes one of the two and leaves the other as it was.
  bool apart = lora->embedding.rank > 0 || lora->head.rank > 0 || lora->head_rows.count > 0;
  if (model->config.tied && apart) TRY(untie(model));
  for (size_t i = 0; i < weight_count(&model->config); i++) {
    WeightSpec spec;
    weight_spec(&model->config, FORMAT_HF, i, &spec);
    const LoraTarget *target = lora_weight_target(lora, &spec);
    if (target != NULL && adapter_is_merged(lora, &spec)) TRY(merge_weight(model, adapter, &spec, target));
    const LoraRows *rows = spec.kind == WEIGHT_EMBEDDING ? &lora->embedding_rows
                           : spec.kind == WEIGHT_HEAD    ? &lora->head_rows
                                                         : NULL;
    if (rows != NULL && rows->count > 0) TRY(replace_rows(model, adapter, &spec, rows));
  }
  return STATUS_OK;
}

static Status check_all_used(const AdapterFile *adapter) {
  for (size_t i = 0; i < adapter->count; i++) {
    if (adapter->entries[i].used) continue;
    return status_fail(STATUS_INPUT, "%s: tensor %s is not one that adapter_config.json asks for",
                       tensors_path(adapter->file), adapter->entries[i].stored->name);
  }
  return STATUS_OK;
}

Status adapters_load(Model *model, const char *directory) {
  AdapterFile adapter = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(open_adapter(directory, &adapter));
  TRY_CLEAN(read_matrices(model, &adapter));
  if (model->lora.brings != NULL) {
    TRY_CLEAN(replace_weights(model, &adapter));
    TRY_CLEAN(merge_weights(model, &adapter));
  }
  TRY_CLEAN(check_all_used(&adapter));
cleanup:
  close_adapter(&adapter);
  return status;
}
