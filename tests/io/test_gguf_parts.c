// A GGUF model in parts. tests/golden/llama-0000N-of-00003.gguf were split by ggml's own writer; the parts
// that contradict each other are made here.
#include "support/gguf_bytes.h"

#include "io/file.h"
#include "io/tensors.h"
#include <stdio.h>
#include <string.h>

#define GOLDEN GEE_SOURCE_DIR "/tests/golden/"

// ---- parts as a writer leaves them ----

static void assert_same_tensor(const StoredTensor *a, const StoredTensor *b) {
  assert_non_null(b);
  assert_int_equal(a->type, b->type);
  assert_int_equal(a->rank, b->rank);
  assert_memory_equal(a->shape, b->shape, sizeof a->shape);
  assert_int_equal(a->size, b->size);
  assert_memory_equal(a->bytes, b->bytes, a->size);
}

static void reads_all_parts(void **state) {
  (void)state;
  TensorFile *whole = NULL, *parts = NULL;
  int64_t layers = 0;
  assert_ok(tensors_open(GOLDEN "llama.gguf", &whole));
  assert_ok(tensors_open(GOLDEN "llama-00001-of-00003.gguf", &parts));
  assert_int_equal(tensors_count(parts), tensors_count(whole));
  for (size_t i = 0; i < tensors_count(whole); i++) {
    const StoredTensor *tensor = tensors_at(whole, i);
    assert_same_tensor(tensor, tensors_find(parts, tensor->name));
  }
  assert_ok(gguf_get_integer(parts, "llama.block_count", &layers)); // metadata is in the first
  assert_int_equal(layers, 1);
  tensors_close(parts);
  tensors_close(whole);
}

static void names_the_first_part(void **state) {
  (void)state;
  TensorFile *file = NULL;
  assert_fails(tensors_open(GOLDEN "llama-00002-of-00003.gguf", &file), STATUS_INPUT,
               "is part 2 of 3; give the first, " GOLDEN "llama-00001-of-00003.gguf");
  assert_fails(tensors_open(GOLDEN "llama-00003-of-00003.gguf", &file), STATUS_INPUT, "is part 3 of 3");
}

// ---- parts made here: one tensor each, of one element ----

typedef struct Part {
  const char *name;                       // of the file
  const char *tensor;                     // NULL: none
  uint32_t no, count, tensors, alignment; // NONE: the key is missing
  const char *key, *value;                // more metadata; NULL: none
} Part;
enum { NONE = 99 };

static const char *folder;

static const char *path_of(const char *name) {
  static char path[600];
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static void write_part(const Part *part) {
  Str str = {0};
  const struct {
    const char *key;
    uint32_t value;
  } numbers[] = {{"split.no", part->no},
                 {"split.count", part->count},
                 {"split.tensors.count", part->tensors},
                 {"general.alignment", part->alignment}};
  uint64_t values = part->key != NULL;
  for (size_t i = 0; i < 4; i++) values += numbers[i].value != NONE;
  gguf_put_start(&str, 3, part->tensor != NULL, values);
  for (size_t i = 0; i < 4; i++) {
    if (numbers[i].value != NONE) gguf_put_number(&str, numbers[i].key, numbers[i].value);
  }
  if (part->key != NULL) gguf_put_text(&str, part->key, part->value);
  if (part->tensor != NULL) gguf_put_tensor(&str, part->tensor, 1, 0, 0);
  gguf_put_data(&str, 64);
  assert_ok(file_write_atomic(path_of(part->name), str.data, str.size));
  str_free(&str);
}

static const Part FIRST = {"m-00001-of-00002.gguf", "a", 0, 2, 2, NONE, NULL, NULL};
static const Part SECOND = {"m-00002-of-00002.gguf", "b", 1, 2, 2, NONE, NULL, NULL};

static Status open_pair(const Part *first, const Part *second, TensorFile **out) {
  write_part(first);
  write_part(second);
  return tensors_open(path_of(first->name), out);
}

static void accepts_what_llama_cpp_writes(void **state) {
  (void)state;
  Part first = FIRST, second = SECOND;
  TensorFile *file = NULL;
  assert_ok(open_pair(&first, &second, &file));
  assert_int_equal(tensors_count(file), 2);
  assert_non_null(tensors_find(file, "a"));
  assert_non_null(tensors_find(file, "b"));
  tensors_close(file);
  second.count = second.tensors = NONE; // only the first one's are needed
  assert_ok(open_pair(&first, &second, &file));
  tensors_close(file);
  first.tensor = NULL; // --no-tensor-first-split
  first.tensors = second.tensors = 1;
  assert_ok(open_pair(&first, &second, &file));
  assert_int_equal(tensors_count(file), 1);
  tensors_close(file);
  first = FIRST, second = SECOND; // metadata in both, if it is the same
  first.key = second.key = "general.architecture";
  first.value = second.value = "llama";
  assert_ok(open_pair(&first, &second, &file));
  tensors_close(file);
  first = (Part){"merged.gguf", "a", 0, 0, 1, NONE, NULL, NULL}; // llama-gguf-split --merge leaves count 0
  write_part(&first);
  assert_ok(tensors_open(path_of(first.name), &file));
  tensors_close(file);
}

static void assert_pair_refused(const Part *first, const Part *second, const char *message) {
  TensorFile *file = NULL;
  assert_fails(open_pair(first, second, &file), STATUS_INPUT, message);
  assert_null(file);
  assert_null(strchr(status_message(), '\n'));
}

static void refuses_parts_that_disagree(void **state) {
  (void)state;
  Part other = SECOND;
  other.no = 0;
  assert_pair_refused(&FIRST, &other, "m-00002-of-00002.gguf: split.no is 0, expected 1");
  other.no = NONE;
  assert_pair_refused(&FIRST, &other, "m-00002-of-00002.gguf: has no split.no");
  other = SECOND;
  other.count = 3;
  assert_pair_refused(&FIRST, &other, "split.count is 3, in the first part 2");
  other = SECOND;
  other.tensors = 5;
  assert_pair_refused(&FIRST, &other, "split.tensors.count is 5, in the first part 2");
  other = SECOND;
  other.tensor = "a";
  assert_pair_refused(&FIRST, &other, "\"a\" appears twice");
  other.tensor = NULL;
  assert_pair_refused(&FIRST, &other, "split.tensors.count is 2, but there are 1 tensors");
  Part more = FIRST;
  other = SECOND;
  more.tensors = other.tensors = 1;
  assert_pair_refused(&more, &other, "split.tensors.count is 1, but there are 2 tensors");
}

static void refuses_metadata_of_its_own(void **state) {
  (void)state;
  Part first = FIRST, other = SECOND;
  other.key = "llama.rope.scaling.type";
  other.value = "linear";
  assert_pair_refused(&first, &other, "\"llama.rope.scaling.type\" is not in the first part");
  first.key = other.key;
  first.value = "none";
  assert_pair_refused(&first, &other, "\"llama.rope.scaling.type\" is another in the first part");
  // gguf-py's own reader takes zeros for the weights of such a part that gguf-py wrote.
  first = FIRST, other = SECOND;
  first.alignment = 64;
  assert_pair_refused(&first, &other, "has no general.alignment, and the first part's is 64");
  other.alignment = 3;
  assert_pair_refused(&first, &other, "m-00002-of-00002.gguf: general.alignment is 3");
}

static void refuses_missing_and_misnamed_parts(void **state) {
  (void)state;
  Part part = FIRST;
  TensorFile *file = NULL;
  part.name = "alone-00001-of-00002.gguf";
  write_part(&part);
  assert_fails(tensors_open(path_of(part.name), &file), STATUS_INPUT, "has 2 parts: ");
  assert_true(test_contains(status_message(), "alone-00002-of-00002.gguf: cannot open: No such file"));
  assert_ok(file_write_atomic(path_of("alone-00002-of-00002.gguf"), "version https://git-lfs", 23));
  assert_fails(tensors_open(path_of(part.name), &file), STATUS_INPUT,
               "alone-00002-of-00002.gguf: is not a GGUF file");
  static const char *const names[] = {"joined.gguf", "m-00001-of-00003.gguf", "m-00001-of-00002.GGUF",
                                      "m-1-of-2.gguf", "-00001-of-00002.gguf.part"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) { // parts joined with cat have such names
    part.name = names[i];
    write_part(&part);
    assert_fails(tensors_open(path_of(part.name), &file), STATUS_INPUT,
                 "is the first of 2 parts, but its name does not end in -00001-of-00002.gguf");
  }
  part = SECOND;
  part.name = "second.gguf";
  write_part(&part);
  assert_fails(tensors_open(path_of(part.name), &file), STATUS_INPUT,
               "is part 2 of 2; give the first, whose name ends in -00001-of");
}

static void refuses_wild_numbers(void **state) {
  (void)state;
  static const uint32_t pairs[][2] = {{2, 2}, {1, 1}, {5, NONE}, {0, 4097}, {0, UINT32_MAX}, {UINT32_MAX, 2}};
  for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
    Part part = FIRST;
    TensorFile *file = NULL;
    part.no = pairs[i][0];
    part.count = pairs[i][1];
    write_part(&part);
    assert_fails(tensors_open(path_of(part.name), &file), STATUS_INPUT, "says it is part");
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_all_parts),
      cmocka_unit_test(names_the_first_part),
      cmocka_unit_test(accepts_what_llama_cpp_writes),
      cmocka_unit_test(refuses_parts_that_disagree),
      cmocka_unit_test(refuses_metadata_of_its_own),
      cmocka_unit_test(refuses_missing_and_misnamed_parts),
      cmocka_unit_test(refuses_wild_numbers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
