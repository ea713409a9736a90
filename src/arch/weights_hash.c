// The identity of a model's weights. Rule: the text that is hashed is the one arch/files.h describes,
// whatever the number of threads.
#include "arch/files.h"
#include "io/tensors.h"
#include "util/memory.h"
#include "util/str.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MAX_THREADS = 8 };

typedef struct HashedWeight {
  WeightSpec spec;
  const StoredTensor *stored;
  char sha256[SHA256_TEXT];
} HashedWeight;

typedef struct HashWork {
  HashedWeight *weights;
  size_t count;
  atomic_size_t next; // the first weight that no thread has taken
} HashWork;

static void *hash_some(void *user) {
  HashWork *work = user;
  for (size_t i; (i = atomic_fetch_add(&work->next, 1)) < work->count;) {
    HashedWeight *weight = &work->weights[i];
    hash_sha256(weight->stored->bytes, weight->stored->size, weight->sha256);
    tensors_forget(weight->stored, 0, weight->stored->size);
  }
  return NULL;
}

/// Hashes on this thread, and on as many others as can be had.
static void hash_all(HashWork *work) {
  pthread_t threads[MAX_THREADS];
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  size_t started = 0;
  while (started + 1 < MAX_THREADS && (long)started + 1 < processors &&
         pthread_create(&threads[started], NULL, hash_some, work) == 0)
    started++;
  (void)hash_some(work);
  while (started > 0) (void)pthread_join(threads[--started], NULL);
}

static int compare_names(const void *a, const void *b) {
  const HashedWeight *first = a, *second = b;
  return strcmp(first->spec.name, second->spec.name);
}

Status model_files_sha256(const ModelFiles *files, char out[SHA256_TEXT]) {
  HashWork work = {.count = weight_count(model_files_config(files))};
  Str text = {0};
  Status status = STATUS_OK;
  TRY(mem_array(&work.weights, work.count, "hashes of weights"));
  for (size_t i = 0; i < work.count; i++)
    work.weights[i].stored = model_files_weight(files, i, &work.weights[i].spec);
  hash_all(&work);
  qsort(work.weights, work.count, sizeof *work.weights, compare_names);
  for (size_t i = 0; i < work.count; i++) {
    const HashedWeight *weight = &work.weights[i];
    DType becomes = model_files_becomes(files, &weight->spec);
    bool quantised = becomes != DTYPE_STORED;
    TRY_CLEAN(str_append_format(&text, "%s %s %zux%zu %s%s%s\n", weight->spec.name,
                                dtype_name(weight->stored->type), weight->spec.rows, weight->spec.cols,
                                weight->sha256, quantised ? " as " : "",
                                quantised ? dtype_name(becomes) : ""));
  }
  hash_sha256(text.data, text.size, out);
cleanup:
  str_free(&text);
  free(work.weights);
  return status;
}
