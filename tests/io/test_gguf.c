// GGUF: a file made by the format's own library (every metadata type; every tensor type, bit for bit), files
// with wrong counts and offsets, and the real model if it is there.
#include "support/gguf_bytes.h"

#include "io/file.h"
#include "tensor_file.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PEER GEE_SOURCE_DIR "/tests/io/data/peer.gguf"

static void reads_metadata(void **state) {
  (void)state;
  static const struct {
    const char *key;
    int64_t value;
  } integers[] = {{"n.u8", 200},
                  {"n.i8", -100},
                  {"n.u16", 60000},
                  {"n.i16", -30000},
                  {"n.u32", 4000000000},
                  {"n.i32", -2000000000},
                  {"n.u64", 9007199254740993},
                  {"n.i64", -9007199254740993},
                  {"n.bool", 1}};
  TensorFile *file = NULL;
  int64_t integer = 0;
  double number = 0;
  const char *text = NULL;
  assert_ok(tensors_open(PEER, &file));
  assert_true(tensors_is_gguf(file));
  for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++) {
    assert_ok(gguf_get_integer(file, integers[i].key, &integer));
    assert_true(integer == integers[i].value);
  }
  assert_ok(gguf_get_integer_or(file, "missing", 12, &integer));
  assert_int_equal(integer, 12);
  assert_ok(gguf_get_number_or(file, "n.f32", 0, &number));
  assert_true(number == (double)0.1f);
  assert_ok(gguf_get_number_or(file, "n.f64", 0, &number));
  assert_true(number == 0.1);
  assert_ok(gguf_get_number_or(file, "n.i16", 0, &number));
  assert_true(number == -30000);
  assert_ok(gguf_get_number_or(file, "missing", 2.5, &number));
  assert_true(number == 2.5);
  assert_ok(gguf_get_string_or_null(file, "s.text", &text));
  assert_string_equal(text, "gr\xc3\xbc\xc3\x9f dich");
  assert_ok(gguf_get_string_or_null(file, "missing", &text));
  assert_null(text);
  assert_fails(gguf_get_integer(file, "missing", &integer), STATUS_INPUT, "\"missing\" is missing");
  assert_fails(gguf_get_integer(file, "s.text", &integer), STATUS_INPUT, "is of type string");
  assert_fails(gguf_get_integer(file, "n.huge", &integer), STATUS_INPUT, "below 2^63");
  assert_fails(gguf_get_integer_or(file, "n.f32", 0, &integer), STATUS_INPUT, "is of type f32");
  assert_fails(gguf_get_number_or(file, "s.text", 0, &number), STATUS_INPUT, "must be a number");
  assert_fails(gguf_get_string_or_null(file, "n.u8", &text), STATUS_INPUT, "must be a string");
  tensors_close(file);
}

static void reads_arrays(void **state) {
  (void)state;
  static const char *const strings[] = {"", "one", "\xe6\xbc\xa2\xe5\xad\x97"};
  TensorFile *file = NULL;
  size_t count = 0, size = 0;
  const char *bytes = NULL;
  int64_t *integers = NULL;
  assert_ok(tensors_open(PEER, &file));
  assert_ok(gguf_get_strings(file, "a.strings", &count));
  assert_int_equal(count, 3);
  for (size_t i = 0; i < count; i++) {
    gguf_string_at(file, "a.strings", i, &bytes, &size);
    assert_int_equal(size, strlen(strings[i]));
    assert_memory_equal(bytes, strings[i], size);
  }
  gguf_string_at(file, "a.strings", 3, &bytes, &size);
  assert_int_equal(size, 0);
  gguf_string_at(file, "a.ints", 0, &bytes, &size);
  assert_int_equal(size, 0);
  assert_ok(gguf_get_integers(file, "a.ints", &integers, &count));
  assert_int_equal(count, 3);
  assert_true(integers[0] == 1 && integers[1] == -2 && integers[2] == 3);
  free(integers);
  assert_ok(gguf_get_integers(file, "missing", &integers, &count));
  assert_null(integers);
  assert_int_equal(count, 0);
  assert_fails(gguf_get_strings(file, "missing", &count), STATUS_INPUT, "missing");
  assert_fails(gguf_get_strings(file, "a.ints", &count), STATUS_INPUT, "array of strings");
  assert_fails(gguf_get_integers(file, "a.floats", &integers, &count), STATUS_INPUT, "array of integers");
  assert_fails(gguf_get_integers(file, "a.strings", &integers, &count), STATUS_INPUT, "array of integers");
  assert_fails(gguf_get_integers(file, "a.nested", &integers, &count), STATUS_INPUT, "array of integers");
  assert_null(integers);
  tensors_close(file);
}

/// peer.f32 has each tensor as the format's own library dequantises it, one after the other.
static void dequantises_to_the_bit(void **state) {
  (void)state;
  static const char *const names[] = {"t.F32", "t.F16", "t.BF16", "t.Q8_0", "t.Q4_0", "t.Q4_1"};
  enum { ROWS = 3, COLUMNS = 64, ELEMENTS = ROWS * COLUMNS };
  TensorFile *file = NULL;
  MappedFile wanted;
  float values[ELEMENTS];
  assert_ok(tensors_open(PEER, &file));
  assert_ok(file_map(GEE_SOURCE_DIR "/tests/io/data/peer.f32", &wanted));
  assert_int_equal(wanted.size, 6 * sizeof values);
  assert_int_equal(tensors_count(file), 6);
  for (size_t t = 0; t < 6; t++) {
    const StoredTensor *tensor = tensors_find(file, names[t]);
    assert_non_null(tensor);
    assert_string_equal(dtype_name(tensor->type), names[t] + 2);
    assert_int_equal(tensor->rank, 2);
    assert_int_equal(tensor->shape[0], ROWS);
    assert_int_equal(tensor->shape[1], COLUMNS);
    assert_ok(tensors_read_f32(tensor, 0, ELEMENTS, values));
    assert_memory_equal(values, wanted.bytes + t * sizeof values, sizeof values);
    assert_ok(tensors_read_f32(tensor, 96, 32, values)); // only the middle
    assert_memory_equal(values, wanted.bytes + t * sizeof values + 96 * 4, 32 * 4);
  }
  assert_fails(tensors_read_f32(tensors_find(file, "t.Q4_0"), 16, 32, values), STATUS_FAILED,
               "cannot be read");
  assert_fails(tensors_read_f32(tensors_find(file, "t.Q4_0"), 0, 16, values), STATUS_FAILED,
               "cannot be read");
  file_unmap(&wanted);
  tensors_close(file);
}

// ---- files with wrong numbers, built piece by piece ----

static void assert_refused(const Str *str, const char *part) {
  char path[600];
  TensorFile *file = NULL;
  static const char *folder;
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/lie.gguf", folder);
  assert_ok(file_write_atomic(path, str->data, str->size));
  assert_fails(tensors_open(path, &file), STATUS_INPUT, part);
  assert_true(test_contains(status_message(), "lie.gguf"));
  assert_null(file);
}

static void refuses_wrong_counts(void **state) {
  (void)state;
  Str str = {0};
  gguf_put_start(&str, 3, UINT64_MAX, 0);
  assert_refused(&str, "claims 18446744073709551615 tensors");
  gguf_put_start(&str, 3, 0, UINT64_C(1) << 60);
  assert_refused(&str, "claims 1152921504606846976 metadata values");
  gguf_put_start(&str, 1, 0, 0);
  assert_refused(&str, "GGUF version 1; versions 2 and 3 can be read");
  gguf_put_start(&str, 0x03000000, 0, 0);
  assert_refused(&str, "big-endian");
  gguf_put_start(&str, 3, 0, 1);
  gguf_put_u64(&str, UINT64_MAX); // length of the key
  gguf_put_u64(&str, 0);
  assert_refused(&str, "claims 18446744073709551615 bytes of a string");
  gguf_put_start(&str, 3, 0, 1);
  gguf_put_string(&str, "key");
  gguf_put_u32(&str, 77);
  assert_refused(&str, "unknown metadata type 77");
  for (uint32_t item = 0; item < 13; item++) { // an array of 2^61 items of any type
    gguf_put_start(&str, 3, 0, 1);
    gguf_put_string(&str, "key");
    gguf_put_u32(&str, 9);
    gguf_put_u32(&str, item);
    gguf_put_u64(&str, UINT64_C(1) << 61);
    assert_refused(&str, "array items");
  }
  gguf_put_start(&str, 3, 0, 1);
  gguf_put_string(&str, "key");
  gguf_put_u32(&str, 9);
  for (int depth = 0; depth < 100; depth++) { // arrays of one array each
    gguf_put_u32(&str, 9);
    gguf_put_u64(&str, 1);
  }
  assert_refused(&str, "nested deeper than 4");
  gguf_put_start(&str, 3, 0, 2);
  for (int i = 0; i < 2; i++) {
    gguf_put_string(&str, "key");
    gguf_put_u32(&str, 7);
    assert_ok(str_append(&str, "\1", 1));
  }
  assert_refused(&str, "\"key\" appears twice");
  str_free(&str);
}

static void refuses_wrong_tensors(void **state) {
  (void)state;
  Str str = {0};
  static const struct {
    const char *name;
    uint64_t columns;
    uint32_t type;
    uint64_t offset;
    const char *part;
  } cases[] = {{"t", 64, 0, 0, "does not lie in the 64 bytes"},
               {"t", 8, 0, 64, "does not lie"},
               {"t", 8, 0, UINT64_MAX - 31, "does not lie"},
               {"t", 8, 0, 8, "does not lie"}, // not aligned
               {"t", UINT64_C(1) << 62, 0, 0, "claims a dimension of 4611686018427387904"},
               {"t", UINT64_C(1) << 60, 0, 0, "does not lie"},
               {"t", 33, 2, 0, "do not fill the blocks of 32 of Q4_0"},
               {"t", 256, 15, 0, "stored as Q8_K (type 15), which is not supported"},
               {"t", 256, 9, 0, "stored as Q8_1 (type 9), which is not supported"},
               {"t", 8, 28, 0, "stored as F64 (type 28), which is not supported"},
               {"t", 8, 24, 0, "stored as I8 (type 24), which is not supported"},
               {"t", 64, 40, 0, "stored as NVFP4 (type 40), which is not supported"},
               {"t", 8, 99, 0, "an unknown type (type 99)"},
               {"t", 256, 31, 0, "stored as Q4_0_4_4 (type 31), which llama.cpp no longer reads"},
               {"t", 256, 38, 0, "in IQ4_NL"},
               {"t", 240, 14, 0, "rows of 240 elements do not fill the blocks of 256 of Q6_K"},
               {"a\nb", 8, 0, 0, "control characters"},
               {"", 8, 0, 0, "name near byte"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    gguf_put_start(&str, 3, 1, 0);
    gguf_put_tensor(&str, cases[i].name, cases[i].columns, cases[i].type, cases[i].offset);
    gguf_put_data(&str, 64);
    assert_refused(&str, cases[i].part);
  }
  gguf_put_start(&str, 3, 2, 0);
  gguf_put_tensor(&str, "t", 16, 0, 0);
  gguf_put_tensor(&str, "u", 8, 0, 32);
  gguf_put_data(&str, 64);
  assert_refused(&str, "\"u\" overlaps \"t\"");
  gguf_put_start(&str, 3, 2, 0);
  gguf_put_tensor(&str, "t", 8, 0, 0);
  gguf_put_tensor(&str, "t", 8, 0, 32);
  gguf_put_data(&str, 64);
  assert_refused(&str, "\"t\" appears twice");
  gguf_put_start(&str, 3, 1, 0);
  gguf_put_string(&str, "t");
  gguf_put_u32(&str, 5);
  gguf_put_data(&str, 64);
  assert_refused(&str, "has 5 dimensions");
  str_free(&str);
}

static void refuses_wrong_settings(void **state) {
  (void)state;
  Str str = {0};
  static const uint32_t alignments[] = {0, 3, 1u << 31};
  for (size_t i = 0; i < 3; i++) {
    gguf_put_start(&str, 2, 0, 1);
    gguf_put_string(&str, "general.alignment");
    gguf_put_u32(&str, 4);
    gguf_put_u32(&str, alignments[i]);
    assert_refused(&str, "general.alignment");
  }
  str_free(&str);
}

/// A string that C would cut: "llama" is not what a file says that goes on after a NUL.
static void refuses_cut_strings(void **state) {
  (void)state;
  static const char value[] = "llama\0two";
  Str str = {0};
  char path[600];
  TensorFile *file = NULL;
  const char *text = NULL;
  (void)snprintf(path, sizeof path, "%s/nul.gguf", test_folder());
  gguf_put_start(&str, 3, 0, 1);
  gguf_put_string(&str, "general.architecture");
  gguf_put_u32(&str, GGUF_TYPE_STRING);
  gguf_put_u64(&str, sizeof value - 1);
  assert_ok(str_append(&str, value, sizeof value - 1));
  assert_ok(file_write_atomic(path, str.data, str.size));
  assert_ok(tensors_open(path, &file));
  assert_fails(gguf_get_string_or_null(file, "general.architecture", &text), STATUS_INPUT,
               "\"general.architecture\" holds a NUL");
  tensors_close(file);
  str_free(&str);
}

/// Some writers give a vector as a matrix of one row.
static void drops_outer_ones(void **state) {
  (void)state;
  static const struct {
    uint64_t stored[4]; // innermost first
    size_t rank, shape[2];
  } cases[] = {
      {{4, 1, 1, 1}, 1, {4}}, {{2, 3, 1, 1}, 2, {3, 2}}, {{1, 5, 1, 1}, 2, {5, 1}}, {{1, 1, 1, 1}, 1, {1}}};
  char path[600];
  (void)snprintf(path, sizeof path, "%s/ones.gguf", test_folder());
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Str str = {0};
    TensorFile *file = NULL;
    gguf_put_start(&str, 3, 1, 0);
    gguf_put_string(&str, "t");
    gguf_put_u32(&str, 4);
    for (size_t d = 0; d < 4; d++) gguf_put_u64(&str, cases[i].stored[d]);
    gguf_put_u32(&str, 0);
    gguf_put_u64(&str, 0);
    gguf_put_data(&str, 64);
    assert_ok(file_write_atomic(path, str.data, str.size));
    assert_ok(tensors_open(path, &file));
    const StoredTensor *tensor = tensors_at(file, 0);
    assert_int_equal(tensor->rank, cases[i].rank);
    assert_memory_equal(tensor->shape, cases[i].shape, tensor->rank * sizeof tensor->shape[0]);
    tensors_close(file);
    str_free(&str);
  }
}

/// Other layouts than today's matter to quantised types alone.
static void checks_the_layouts(void **state) {
  (void)state;
  static const struct {
    uint32_t layouts, type, columns;
    bool read;
  } cases[] = {{2, 8, 32, true}, {1, 0, 8, true}, {1, 8, 32, false}, {0, 12, 256, false}, {3, 2, 32, false}};
  Str str = {0};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    gguf_put_start(&str, 3, 1, 1);
    gguf_put_number(&str, "general.quantization_version", cases[i].layouts);
    gguf_put_tensor(&str, "t", cases[i].columns, cases[i].type, 0);
    gguf_put_data(&str, 256);
    if (!cases[i].read) {
      assert_refused(&str, "its blocks have another layout than today's (2)");
      continue;
    }
    TensorFile *file = NULL;
    char path[600];
    (void)snprintf(path, sizeof path, "%s/layouts.gguf", test_folder());
    assert_ok(file_write_atomic(path, str.data, str.size));
    assert_ok(tensors_open(path, &file));
    tensors_close(file);
  }
  str_free(&str);
}

/// Shapes and metadata of the real file, and plausible values throughout its largest tensor.
static void reads_the_real_model(void **state) {
  (void)state;
  const char *path = test_smollm2();
  if (path == NULL) {
    print_message("reads_the_real_model: SmolLM2 is not there (GEE_SMOLLM2)\n");
    skip();
  }
  TensorFile *file = NULL;
  int64_t layers = 0;
  size_t tokens = 0;
  float values[576];
  assert_ok(tensors_open(path, &file));
  assert_int_equal(tensors_count(file), 272);
  assert_ok(gguf_get_integer(file, "llama.block_count", &layers));
  assert_int_equal(layers, 30);
  assert_ok(gguf_get_strings(file, "tokenizer.ggml.tokens", &tokens));
  assert_int_equal(tokens, 49152);
  const StoredTensor *embedding = tensors_find(file, "token_embd.weight");
  assert_non_null(embedding);
  assert_int_equal(embedding->shape[0], 49152);
  assert_int_equal(embedding->shape[1], 576);
  for (size_t row = 0; row < 49152; row += 4001) {
    assert_ok(tensors_read_f32(embedding, row * 576, 576, values));
    for (size_t i = 0; i < 576; i++) assert_true(fabsf(values[i]) < 10.0f);
  }
  tensors_close(file);
}

/// A row holds whole blocks, whatever its type.
static void measures_whole_rows(void **state) {
  (void)state;
  for (unsigned type = 0; type < DTYPE_COUNT; type++) {
    const DTypeInfo *info = dtype_info((DType)type);
    size_t block = info->block_elements, elements = 0, size = 0;
    size_t shape[3] = {3, 5, 2 * block};
    assert_ok(tensor_measure((DType)type, 3, shape, &elements, &size));
    assert_int_equal(elements, 30 * block);
    assert_int_equal(size, 30 * info->block_bytes);
    if (block == 1) continue;
    shape[1] = 2 * block; // the number of rows does not make up for a broken one
    for (shape[2] = block - 1; shape[2] <= block + 1; shape[2] += 2)
      assert_fails(tensor_measure((DType)type, 3, shape, &elements, &size), STATUS_INPUT, info->name);
    assert_fails(tensor_measure((DType)type, 0, shape, &elements, &size), STATUS_INPUT, info->name);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_metadata),         cmocka_unit_test(reads_arrays),
      cmocka_unit_test(dequantises_to_the_bit), cmocka_unit_test(refuses_wrong_counts),
      cmocka_unit_test(refuses_wrong_tensors),  cmocka_unit_test(refuses_wrong_settings),
      cmocka_unit_test(refuses_cut_strings),    cmocka_unit_test(drops_outer_ones),
      cmocka_unit_test(checks_the_layouts),     cmocka_unit_test(measures_whole_rows),
      cmocka_unit_test(reads_the_real_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
