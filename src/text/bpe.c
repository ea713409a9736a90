// Merging. Rule: of all neighbours that can merge, the pair with the lowest rank is merged first, and of
// equal ranks the leftmost.
//
// For a piece of up to SMALL bytes, as nearly all are, an array is searched for the lowest rank before each
// merge. For a longer piece the candidates are in a heap, so that a megabyte without a space costs n log n,
// not n².
#include "bpe.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

enum { SMALL = 64 };
static const uint32_t NO_RANK = UINT32_MAX;

/// A token of the piece in a doubly linked list; `next` and `previous` are indices, −1 at the ends.
typedef struct BpeSymbol {
  int32_t id; // −1: merged into its left neighbour
  int64_t previous, next;
} BpeSymbol;

/// `left` and its right neighbour can merge into `result`. Stale if they are no longer left_id and right_id.
typedef struct BpeCandidate {
  uint32_t rank;
  int64_t left; // index of the left symbol
  int32_t left_id, right_id, result;
} BpeCandidate;

Status bpe_reserve(Bpe *bpe, size_t merges) {
  size_t size = 64;
  while (size < merges * 2) size *= 2;
  TRY(mem_array(&bpe->slots, size, "the merges"));
  for (size_t i = 0; i < size; i++) bpe->slots[i].result = -1;
  bpe->size = size;
  return STATUS_OK;
}

/// The slot of the pair, or the empty slot where it belongs. At most half of the slots are full, so the loop
/// ends.
static size_t slot_of(const Bpe *bpe, int32_t left, int32_t right) {
  uint64_t hash =
      ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * UINT64_C(0x9E3779B97F4A7C15); // 2^64 / golden
  size_t slot = (size_t)(hash >> 32) & (bpe->size - 1);
  while (bpe->slots[slot].result >= 0 && (bpe->slots[slot].left != left || bpe->slots[slot].right != right)) {
    slot = (slot + 1) & (bpe->size - 1);
  }
  return slot;
}

void bpe_add_merge(Bpe *bpe, Merge merge) {
  bpe->slots[slot_of(bpe, merge.left, merge.right)] = merge;
}

void bpe_free(Bpe *bpe) {
  if (bpe == NULL) return;
  free(bpe->slots);
  bpe->slots = NULL;
}

void bpe_scratch_free(BpeScratch *scratch) {
  if (scratch == NULL) return;
  free(scratch->symbols);
  free(scratch->heap);
  *scratch = (BpeScratch){0};
}

/// Writes the tokens of the single bytes to ids[size] and returns their number.
static size_t byte_tokens(const Bpe *bpe, const char *bytes, size_t size, int32_t *ids) {
  size_t count = 0;
  bool after_unknown = false;
  for (size_t i = 0; i < size; i++) {
    int32_t id = bpe->byte_ids[(uint8_t)bytes[i]];
    bool unknown = id < 0;
    if (unknown) id = after_unknown && bpe->fuse_unknown ? -1 : bpe->unknown;
    if (id >= 0) ids[count++] = id;
    after_unknown = unknown;
  }
  return count;
}

/// Writes the tokens of a character's bytes; false if one has none.
static bool fall_back(const Bpe *bpe, const char *bytes, size_t size, int32_t *ids) {
  for (size_t i = 0; i < size; i++) {
    ids[i] = bpe->byte_ids[(uint8_t)bytes[i]];
    if (ids[i] < 0) return false;
  }
  return true;
}

/// Writes the tokens of the characters to ids[size] and returns their number. As in Hugging Face, an unknown
/// character is held back until the next known one, so bytes that stand in for others may come before it.
static size_t character_tokens(const Bpe *bpe, const char *text, size_t size, int32_t *ids) {
  size_t count = 0, bytes;
  bool held_back = false;
  for (size_t at = 0; at < size; at += bytes) {
    bytes = utf8_read(text + at, size - at).size;
    int32_t id = vocab_find_model(bpe->vocab, text + at, bytes);
    if (id >= 0) {
      if (held_back) ids[count++] = bpe->unknown;
      held_back = false;
      ids[count++] = id;
    } else if (bpe->byte_fallback && fall_back(bpe, text + at, bytes, ids + count)) {
      count += bytes;
    } else if (bpe->unknown >= 0) {
      if (held_back && !bpe->fuse_unknown) ids[count++] = bpe->unknown;
      held_back = true;
    }
  }
  if (held_back) ids[count++] = bpe->unknown;
  return count;
}

/// Writes the tokens that a piece starts as to ids[size] and returns their number.
static size_t start_tokens(const Bpe *bpe, const char *piece, size_t size, int32_t *ids) {
  return bpe->vocab == NULL ? byte_tokens(bpe, piece, size, ids) : character_tokens(bpe, piece, size, ids);
}

static uint32_t rank_of(const Bpe *bpe, int32_t left, int32_t right) {
  const Merge *merge = &bpe->slots[slot_of(bpe, left, right)];
  return merge->result >= 0 ? merge->rank : NO_RANK;
}

static Status encode_small(const Bpe *bpe, const char *piece, size_t size, Tokens *out) {
  int32_t ids[SMALL];
  uint32_t ranks[SMALL]; // of the pair (i, i + 1), for i < count - 1
  size_t count = start_tokens(bpe, piece, size, ids);
  for (size_t i = 0; i + 1 < count; i++) ranks[i] = rank_of(bpe, ids[i], ids[i + 1]);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; i++) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == NO_RANK) break;
    ids[best] = bpe->slots[slot_of(bpe, ids[best], ids[best + 1])].result;
    size_t tail = count - best - 2; // symbols after the pair
    memmove(&ids[best + 1], &ids[best + 2], tail * sizeof *ids);
    if (tail > 0) memmove(&ranks[best + 1], &ranks[best + 2], (tail - 1) * sizeof *ranks);
    count--;
    if (best > 0) ranks[best - 1] = rank_of(bpe, ids[best - 1], ids[best]);
    if (best + 1 < count) ranks[best] = rank_of(bpe, ids[best], ids[best + 1]);
  }
  for (size_t i = 0; i < count; i++) TRY(tokens_append(out, ids[i]));
  return STATUS_OK;
}

/// The order of merging: by rank, then from the left.
static bool before(const BpeCandidate *a, const BpeCandidate *b) {
  return a->rank != b->rank ? a->rank < b->rank : a->left < b->left;
}

static Status heap_push(BpeScratch *scratch, BpeCandidate candidate) {
  TRY(mem_reserve(&scratch->heap, &scratch->heap_capacity, scratch->heap_count + 1, "a long piece of text"));
  BpeCandidate *heap = scratch->heap;
  size_t hole = scratch->heap_count++;
  for (; hole > 0 && before(&candidate, &heap[(hole - 1) / 2]); hole = (hole - 1) / 2)
    heap[hole] = heap[(hole - 1) / 2];
  heap[hole] = candidate;
  return STATUS_OK;
}

/// Takes the first candidate of a heap that is not empty.
static BpeCandidate heap_pop(BpeScratch *scratch) {
  BpeCandidate *heap = scratch->heap;
  BpeCandidate first = heap[0], last = heap[--scratch->heap_count];
  size_t hole = 0, count = scratch->heap_count;
  for (;;) {
    size_t child = 2 * hole + 1;
    if (child >= count) break;
    if (child + 1 < count && before(&heap[child + 1], &heap[child])) child++;
    if (!before(&heap[child], &last)) break;
    heap[hole] = heap[child];
    hole = child;
  }
  heap[hole] = last;
  return first;
}

/// Pushes the pair of `left` and its right neighbour, if there is a merge for it.
static Status push_pair(const Bpe *bpe, BpeScratch *scratch, int64_t left) {
  const BpeSymbol *symbols = scratch->symbols;
  if (left < 0 || symbols[left].next < 0) return STATUS_OK;
  int32_t left_id = symbols[left].id, right_id = symbols[symbols[left].next].id;
  const Merge *merge = &bpe->slots[slot_of(bpe, left_id, right_id)];
  if (merge->result < 0) return STATUS_OK;
  return heap_push(scratch, (BpeCandidate){merge->rank, left, left_id, right_id, merge->result});
}

/// Merges until the heap is empty. Each merge removes a symbol and pushes at most two candidates, so the heap
/// stays below 3 · symbols.
static Status merge_all(const Bpe *bpe, BpeScratch *scratch) {
  BpeSymbol *symbols = scratch->symbols;
  while (scratch->heap_count > 0) {
    BpeCandidate top = heap_pop(scratch);
    BpeSymbol *left = &symbols[top.left];
    if (left->id != top.left_id || left->next < 0 || symbols[left->next].id != top.right_id) continue;
    BpeSymbol *right = &symbols[left->next];
    left->id = top.result;
    left->next = right->next;
    right->id = -1;
    if (left->next >= 0) symbols[left->next].previous = top.left;
    TRY(push_pair(bpe, scratch, left->previous));
    TRY(push_pair(bpe, scratch, top.left));
  }
  return STATUS_OK;
}

static Status encode_long(const Bpe *bpe, BpeScratch *scratch, const char *piece, size_t size, Tokens *out) {
  int32_t *ids = NULL;
  TRY(mem_array(&ids, size, "a long piece of text"));
  size_t count = start_tokens(bpe, piece, size, ids);
  Status status = mem_reserve(&scratch->symbols, &scratch->symbol_capacity, count, "a long piece of text");
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    scratch->symbols[i] = (BpeSymbol){ids[i], (int64_t)i - 1, i + 1 < count ? (int64_t)i + 1 : -1};
  }
  free(ids);
  TRY(status);
  scratch->heap_count = 0;
  for (size_t i = 0; i < count; i++) TRY(push_pair(bpe, scratch, (int64_t)i));
  TRY(merge_all(bpe, scratch));
  for (int64_t i = count > 0 ? 0 : -1; i >= 0; i = scratch->symbols[i].next) {
    TRY(tokens_append(out, scratch->symbols[i].id));
  }
  return STATUS_OK;
}

Status bpe_encode(const Bpe *bpe, BpeScratch *scratch, const char *piece, size_t size, Tokens *out) {
  return size <= SMALL ? encode_small(bpe, piece, size, out) : encode_long(bpe, scratch, piece, size, out);
}
