// Quantises a step of a tensor. Rule: a thread takes some blocks at a time and sums what they lose; the sums
// are added in the blocks' order, so the number of threads changes nothing.
#include "blocks.h"

#include "util/dequant.h"
#include "util/memory.h"
#include "util/quantise.h"
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum { MAX_THREADS = 16, AT_ONCE = 4096 }; // elements that a thread takes: whole blocks of every type
static const double largest_loss = 0.5;    // of the tensor

typedef struct Work {
  Blocks *blocks;
  const float *values;
  size_t elements;
  atomic_size_t next; // the first piece that no thread has taken
} Work;

static void quantise_piece(const Work *work, size_t piece) {
  float again[AT_ONCE];
  const DTypeInfo *info = dtype_info(work->blocks->type);
  size_t first = piece * AT_ONCE, count = size_min(AT_ONCE, work->elements - first);
  size_t blocks = count / info->block_elements;
  uint8_t *bytes = work->blocks->bytes + dtype_bytes(work->blocks->type, first);
  const float *values = work->values + first;
  quantise(work->blocks->type, values, blocks, bytes);
  dequantise(work->blocks->type, bytes, blocks, again);
  double squares = 0, lost = 0;
  for (size_t i = 0; i < count; i++) {
    double value = (double)values[i], difference = value - (double)again[i];
    squares += value * value;
    lost += difference * difference;
  }
  work->blocks->sums[piece][0] = squares;
  work->blocks->sums[piece][1] = lost;
}

static void *quantise_some(void *user) {
  Work *work = user;
  for (size_t i; (i = atomic_fetch_add(&work->next, 1)) * AT_ONCE < work->elements;) quantise_piece(work, i);
  return NULL;
}

Status blocks_create(Blocks *blocks, DType type, size_t elements) {
  *blocks = (Blocks){.type = type};
  TRY(mem_array(&blocks->sums, elements / AT_ONCE + 1, "quantised weights"));
  return mem_array(&blocks->bytes, dtype_bytes(type, elements), "quantised weights");
}

void blocks_free(Blocks *blocks) {
  free(blocks->sums);
  free(blocks->bytes);
}

void blocks_fill(Blocks *blocks, const float *values, size_t elements) {
  Work work = {.blocks = blocks, .values = values, .elements = elements};
  pthread_t threads[MAX_THREADS];
  size_t started = 0, pieces = (elements + AT_ONCE - 1) / AT_ONCE;
  long processors = sysconf(_SC_NPROCESSORS_ONLN);
  while (started + 1 < MAX_THREADS && started + 1 < pieces && (long)started + 1 < processors &&
         pthread_create(&threads[started], NULL, quantise_some, &work) == 0)
    started++;
  (void)quantise_some(&work);
  while (started > 0) (void)pthread_join(threads[--started], NULL);
  for (size_t i = 0; i < pieces; i++) {
    blocks->squares += blocks->sums[i][0];
    blocks->lost += blocks->sums[i][1];
  }
}

Status blocks_finish(const Blocks *blocks) {
  if (blocks->bytes == NULL || blocks->squares == 0) return STATUS_OK;
  double loss = sqrt(blocks->lost / blocks->squares);
  if (loss <= largest_loss) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "quantising to %s takes %.3g %% of its numbers away, which are too small or too large for "
      "it; leave out model.quantise (--quantise)",
      dtype_name(blocks->type), 100 * loss);
}
