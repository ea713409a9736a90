// SentencePiece's vocabulary as merges. Rule: the same merges in the same order as llama.cpp, which asks for
// each pair of neighbours whether together they are a token, and how high its score is.
#include "spm.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// A token and its score.
typedef struct Scored {
  double score;
  int32_t id;
} Scored;

/// By descending score.
static int compare_scored(const void *a, const void *b) {
  const Scored *x = a, *y = b;
  if (x->score != y->score) return x->score > y->score ? -1 : 1;
  return x->id < y->id ? -1 : x->id > y->id;
}

static Status read_scores(const TensorFile *file, const char *path, const Vocab *vocab, Scored **out) {
  static const char key[] = "tokenizer.ggml.scores";
  double *scores = NULL;
  size_t count;
  Status status = STATUS_OK;
  TRY(gguf_get_numbers(file, key, &scores, &count));
  if (count != vocab->count) {
    status = status_fail(STATUS_INPUT, "%s: %zu tokens but %zu in %s", path, vocab->count, count, key);
    goto cleanup;
  }
  TRY_CLEAN(mem_array(out, count, "the scores"));
  for (size_t i = 0; i < count; i++) {
    (*out)[i] = (Scored){scores[i], (int32_t)i};
    if (!isnan(scores[i])) continue;
    free(*out);
    *out = NULL;
    status = status_fail(STATUS_INPUT, "%s: %s has a NaN", path, key);
    goto cleanup;
  }
  qsort(*out, count, sizeof **out, compare_scored);
cleanup:
  free(scores);
  return status;
}

/// True if the token is cut out of a text before anything is merged, so that merges never make it. A text
/// with ▁ may still come from one with a space.
static bool is_cut_out(const Vocab *vocab, const VocabEntry *entry) {
  const char *text = str_text(&vocab->arena) + entry->text;
  return entry->special && entry->text_size > 0 &&
         memmem(text, entry->text_size, SPM_SPACE, strlen(SPM_SPACE)) == NULL;
}

/// Adds the merges that make the token.
static Status add_merges(const Vocab *vocab, int32_t id, uint32_t rank, SpmMerges *out) {
  const VocabEntry *entry = &vocab->entries[id];
  const char *text = str_text(&vocab->arena) + entry->text;
  if (is_cut_out(vocab, entry)) return STATUS_OK;
  for (size_t at = 0; at < entry->text_size;) {
    at += utf8_read(text + at, entry->text_size - at).size;
    if (at >= entry->text_size) break;
    int32_t left = vocab_find(vocab, text, at);
    int32_t right = left < 0 ? -1 : vocab_find(vocab, text + at, entry->text_size - at);
    if (right < 0) continue;
    TRY(mem_reserve(&out->list, &out->capacity, out->count + 1, "the merges"));
    out->list[out->count++] = (Merge){left, right, rank, id};
  }
  return STATUS_OK;
}

Status spm_merges_read(const TensorFile *file, const char *path, const Vocab *vocab, SpmMerges *out) {
  Scored *scored = NULL;
  Status status = STATUS_OK;
  TRY(read_scores(file, path, vocab, &scored));
  uint32_t rank = 0;
  for (size_t i = 0; i < vocab->count; i++) {
    if (i > 0 && scored[i].score != scored[i - 1].score) rank++;
    TRY_CLEAN(add_merges(vocab, scored[i].id, rank, out));
  }
cleanup:
  free(scored);
  return status;
}
