// Files of torch.save: read as PyTorch reads them (make_torch.py), and refused by the name of what is in
// them.
#include "support/test.h"

#include "io/file.h"
#include "io/tensors.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TORCH GEE_SOURCE_DIR "/tests/io/data/torch/"

static void compare(const StoredTensor *found, const StoredTensor *wanted) {
  float a[64] = {0}, b[64] = {0};
  assert_non_null(found);
  assert_int_equal(found->type, wanted->type);
  assert_int_equal(found->rank, wanted->rank);
  for (size_t i = 0; i < wanted->rank; i++) assert_int_equal(found->shape[i], wanted->shape[i]);
  assert_in_range(wanted->elements, 0, 64);
  assert_ok(tensors_read_f32(found, 0, wanted->elements, a));
  assert_ok(tensors_read_f32(wanted, 0, wanted->elements, b));
  assert_memory_equal(a, b, sizeof a);
  tensors_forget(found, 0, found->size); // also of a copy, which no file brings back
  assert_ok(tensors_read_f32(found, 0, wanted->elements, a));
  assert_memory_equal(a, b, sizeof a);
}

static void reads_what_pytorch_writes(void **state) {
  (void)state;
  static const char *const names[] = {"plain.bin", "ordered.bin", "wide.bin"};
  TensorFile *wanted = NULL;
  assert_ok(tensors_open(TORCH "plain.safetensors", &wanted));
  assert_int_equal(tensors_count(wanted), 14);
  for (size_t n = 0; n < 3; n++) {
    char path[600];
    TensorFile *file = NULL;
    (void)snprintf(path, sizeof path, "%s%s", TORCH, names[n]);
    assert_ok(tensors_open(path, &file));
    assert_int_equal(tensors_count(file), tensors_count(wanted));
    assert_false(tensors_is_gguf(file));
    size_t copies = 0;
    for (size_t i = 0; i < tensors_count(wanted); i++) {
      compare(tensors_find(file, tensors_at(wanted, i)->name), tensors_at(wanted, i));
      copies += !tensors_at(file, i)->mapped;
    }
    assert_in_range(copies, 1, tensors_count(wanted) - 1); // those that are transposed
    tensors_close(file);
  }
  tensors_close(wanted);
}

static void refuses_by_name(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"no_double.bin", "\"torch.DoubleStorage\""},
      {"no_integers.bin", "\"torch.LongStorage\""},
      {"no_sparse.bin", "\"torch._utils._rebuild_sparse_tensor\""},
      {"no_system.bin", "\"posix.system\", which is not read"},
      {"no_eval.bin", "\"__builtin__.eval\""},
      {"no_expanded.bin", "a tensor has more elements than its storage"},
      {"no_list.bin", "step 0x5d is not read"},
      {"no_nested.bin", "\"model\" is no tensor"},
      {"no_number.bin", "\"step\" is no tensor"},
      {"no_number_key.bin", "a key is not a text"},
      {"no_dict.bin", "it does not end with a dict"},
      {"no_old_format.bin", "a file of PyTorch before 1.6"},
      {"no_deflate.bin", "is compressed or encrypted"},
      {"no_big_endian.bin", "big-endian"},
      {"no_short_storage.bin", "a storage has another size than it says"},
      {"no_protocol_4.bin", "its protocol is not PyTorch's"},
      {"no_pickle.bin", "without data.pkl"},
      {"no_two_pickles.bin", "two data.pkl"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char path[600];
    TensorFile *file = NULL;
    (void)snprintf(path, sizeof path, "%s%s", TORCH, cases[i][0]);
    assert_fails(tensors_open(path, &file), STATUS_INPUT, cases[i][1]);
  }
}

/// Opens small.bin with `bytes` put at a place: after the last "PK\5\6" or before it (a negative one).
static Status open_changed(long place, const void *bytes, size_t size) {
  MappedFile map;
  assert_ok(file_map(TORCH "small.bin", &map));
  uint8_t *copy = malloc(map.size);
  char path[600];
  assert_non_null(copy);
  memcpy(copy, map.bytes, map.size);
  memcpy(copy + (long)map.size - 22 + place, bytes, size);
  (void)snprintf(path, sizeof path, "%s/changed.bin", test_folder());
  assert_ok(file_write_atomic(path, copy, map.size));
  free(copy);
  file_unmap(&map);
  TensorFile *file = NULL;
  Status status = tensors_open(path, &file);
  tensors_close(file);
  return status;
}

// The end of an archive: count at 10, size of the directory at 12, its place at 16. What does not fit there
// is in the 64-bit end, 76 bytes before it, to which the locator, 20 bytes before, points.
static void checks_the_directory(void **state) {
  (void)state;
  static const uint8_t full[8] = {255, 255, 255, 255, 255, 255, 255, 255}, none[8] = {0};
  assert_ok(open_changed(0, "PK\5\6", 4));
  assert_ok(open_changed(10, full, 2)); // the 64-bit end says the same
  assert_ok(open_changed(12, full, 8));
  assert_fails(open_changed(16, "\xff\xff\xff\x7f", 4), STATUS_INPUT, "directory does not lie in the file");
  assert_fails(open_changed(12, "\xff\xff\xff\x7f", 4), STATUS_INPUT, "directory does not lie in the file");
  assert_fails(open_changed(10, "\xfe\xff", 2), STATUS_INPUT, "directory does not lie in the file");
  assert_fails(open_changed(10, "\x08\x00", 2), STATUS_INPUT, "ends early");
  assert_fails(open_changed(10, "\x06\x00", 2), STATUS_INPUT, "has more entries than it says");
  assert_fails(open_changed(16, none, 4), STATUS_INPUT, "ends early");
  assert_fails(open_changed(0, none, 4), STATUS_INPUT, "it has no directory");
  assert_fails(open_changed(20, "\1", 1), STATUS_INPUT, "it has no directory");
}

/// The length that a safetensors file starts with may look like the start of another kind of file.
static void tells_safetensors_by_its_length(void **state) {
  (void)state;
  static const size_t lengths[] = {0x0280 /* a pickle */, 0x013c /* a web page: '<' */};
  static const char header[] = "{\"a\": {\"dtype\": \"F32\", \"shape\": [1], \"data_offsets\": [0, 4]}}";
  static char bytes[0x300];
  for (size_t i = 0; i < 2; i++) {
    char path[600];
    TensorFile *file = NULL;
    memset(bytes, ' ', sizeof bytes);
    memset(bytes, 0, 8);
    bytes[0] = (char)(lengths[i] & 255);
    bytes[1] = (char)(lengths[i] >> 8);
    memcpy(bytes + 8, header, sizeof header - 1);
    (void)snprintf(path, sizeof path, "%s/length.bin", test_folder());
    assert_ok(file_write_atomic(path, bytes, 8 + lengths[i] + 4));
    assert_ok(tensors_open(path, &file));
    assert_int_equal(tensors_count(file), 1);
    tensors_close(file);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_what_pytorch_writes),
      cmocka_unit_test(refuses_by_name),
      cmocka_unit_test(checks_the_directory),
      cmocka_unit_test(tells_safetensors_by_its_length),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
