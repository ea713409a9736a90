// safetensors: files of the format's own library, files that gee-cl writes, shards, and wrong headers.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "io/tensors.h"
#include "util/half.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *path_in(const char *folder, const char *name) {
  static char slots[8][600];
  static size_t next;
  char *slot = slots[next++ % 8];
  (void)snprintf(slot, sizeof slots[0], "%s/%s", folder, name);
  return slot;
}

static void reads_a_file_of_the_formats_library(void **state) {
  (void)state;
  TensorFile *file = NULL;
  float values[6], scalar = 0;
  assert_ok(tensors_open(GEE_SOURCE_DIR "/tests/io/data/peer.safetensors", &file));
  assert_int_equal(tensors_count(file), 4);
  assert_false(tensors_is_gguf(file));
  const StoredTensor *weight = tensors_find(file, "a.weight");
  assert_non_null(weight);
  assert_int_equal(weight->type, DTYPE_F32);
  assert_int_equal(weight->rank, 2);
  assert_int_equal(weight->shape[0], 2);
  assert_int_equal(weight->shape[1], 3);
  assert_ok(tensors_read_f32(weight, 0, 6, values));
  for (size_t i = 0; i < 6; i++) assert_true(values[i] == (float)i / 4);
  assert_ok(tensors_read_f32(weight, 4, 2, values));
  assert_true(values[0] == 1.0f && values[1] == 1.25f);
  assert_ok(tensors_read_f32(tensors_find(file, "half"), 0, 3, values));
  assert_true(values[0] == 1.5f && values[1] == -2.0f && values[2] == 65504.0f);
  assert_int_equal(tensors_find(file, "scalar")->rank, 0);
  assert_ok(tensors_read_f32(tensors_find(file, "scalar"), 0, 1, &scalar));
  assert_true(scalar == 7.0f);
  assert_int_equal(tensors_find(file, "nothing")->elements, 0);
  assert_null(tensors_find(file, "a.weigh"));
  assert_null(tensors_at(file, 4));
  assert_fails(tensors_read_f32(weight, 5, 2, values), STATUS_FAILED, "cannot be read");
  assert_fails(tensors_read_f32(weight, SIZE_MAX, 2, values), STATUS_FAILED, "cannot be read");
  tensors_close(file);
  tensors_close(NULL);
}

// ---- writing ----

/// Element `first + i` of tensor `index`: distinct everywhere, and not exact in 16 bits.
static float element(size_t index, size_t at_element) {
  return (float)(index + 1) + (float)(at_element % 5003) / 4099.0f;
}

static Status fill(void *user, size_t index, size_t first, size_t count, float *out) {
  size_t *asked = user;
  if (first != asked[index]) return status_fail(STATUS_FAILED, "asked out of order");
  asked[index] += count;
  for (size_t i = 0; i < count; i++) out[i] = element(index, first + i);
  return STATUS_OK;
}

static void writes_what_it_reads(void **state) {
  (void)state;
  static const TensorToWrite tensors[] = {{"x.f32", DTYPE_F32, 2, {129, 257}},
                                          {"y \"quoted\" \xc3\xa9", DTYPE_F16, 3, {3, 5, 7}},
                                          {"z.bf16", DTYPE_BF16, 1, {31}},
                                          {"scalar", DTYPE_F32, 0, {0}},
                                          {"none", DTYPE_F32, 2, {0, 3}}};
  size_t asked[5] = {0};
  const char *path = path_in(test_folder(), "w.safetensors");
  TensorFile *file = NULL;
  assert_ok(safetensors_write(path, tensors, 5, fill, asked));
  assert_ok(tensors_open(path, &file));
  assert_int_equal(tensors_count(file), 5);
  for (size_t t = 0; t < 5; t++) {
    const StoredTensor *tensor = tensors_find(file, tensors[t].name);
    assert_non_null(tensor);
    assert_int_equal(tensor->type, tensors[t].type);
    assert_int_equal(tensor->rank, tensors[t].rank);
    assert_memory_equal(tensor->shape, tensors[t].shape, tensor->rank * sizeof(size_t));
    assert_int_equal(asked[t], tensor->elements);
    float *values = calloc(tensor->elements + 1, sizeof *values);
    assert_non_null(values);
    assert_ok(tensors_read_f32(tensor, 0, tensor->elements, values));
    for (size_t i = 0; i < tensor->elements; i++) {
      float wanted = element(t, i);
      if (tensor->type == DTYPE_F16) wanted = half_to_float(half_from_float(wanted));
      if (tensor->type == DTYPE_BF16) wanted = bfloat_to_float(bfloat_from_float(wanted));
      assert_true(values[i] == wanted);
    }
    free(values);
  }
  tensors_close(file);
}

/// Pages of this process.
static long resident(void) {
  long size = 0, pages = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%ld %ld", &size, &pages) != 2) skip();
  (void)fclose(file);
  return pages;
}

/// What is forgotten takes no memory, and is read again as it was; its neighbour is left alone.
static void forgets_what_was_read(void **state) {
  (void)state;
  enum { ELEMENTS = 4 << 20, BYTES = 4 * ELEMENTS };
  static const TensorToWrite tensors[] = {{"a", DTYPE_F32, 1, {ELEMENTS}}, {"b", DTYPE_F32, 1, {1000}}};
  const char *path = path_in(test_folder(), "large.safetensors");
  size_t asked[2] = {0};
  char before[SHA256_TEXT], after[SHA256_TEXT];
  TensorFile *file = NULL;
  assert_ok(safetensors_write(path, tensors, 2, fill, asked));
  assert_ok(tensors_open(path, &file));
  const StoredTensor *a = tensors_find(file, "a"), *b = tensors_find(file, "b");
  float first = 0;
  hash_sha256(a->bytes, a->size, before);
  long held = resident(), pages = BYTES / sysconf(_SC_PAGESIZE);
  for (size_t at = 0; at < a->size; at += BYTES / 8) tensors_forget(a, at, BYTES / 8);
  assert_true(resident() < held - pages * 3 / 4);
  assert_ok(tensors_read_f32(b, 0, 1, &first));
  assert_true(first == element(1, 0));
  hash_sha256(a->bytes, a->size, after);
  assert_string_equal(before, after);
  tensors_close(file);
}

static void writes_an_aligned_header(void **state) {
  (void)state;
  const char *folder = test_folder();
  char name[16] = "n";
  for (size_t length = 1; length <= 9; length++) { // every remainder of the header's length
    name[length - 1] = 'n';
    TensorToWrite tensor = {name, DTYPE_F32, 1, {2}};
    size_t asked[1] = {0};
    MappedFile file;
    cJSON *header = NULL;
    assert_ok(safetensors_write(path_in(folder, "a.safetensors"), &tensor, 1, fill, asked));
    assert_ok(file_map(path_in(folder, "a.safetensors"), &file));
    uint64_t size = 0;
    memcpy(&size, file.bytes, 8);
    assert_int_equal(size % 8, 0);
    assert_int_equal(file.size, 8 + size + 8);
    assert_ok(json_parse((const char *)file.bytes + 8, (size_t)size, "header", &header));
    const cJSON *metadata = cJSON_GetObjectItem(header, "__metadata__");
    assert_string_equal(cJSON_GetObjectItem(metadata, "format")->valuestring, "pt");
    cJSON_Delete(header);
    file_unmap(&file);
  }
}

static Status fill_fails(void *user, size_t index, size_t first, size_t count, float *out) {
  (void)user, (void)index, (void)first, (void)count, (void)out;
  return status_fail(STATUS_FAILED, "no numbers today");
}

static void passes_on_failures_of_writing(void **state) {
  (void)state;
  TensorToWrite tensor = {"n", DTYPE_F32, 1, {200000}};
  size_t asked[1] = {0};
  assert_fails(safetensors_write(path_in(test_folder(), "a"), &tensor, 1, fill_fails, NULL), STATUS_FAILED,
               "today");
  assert_fails(safetensors_write("/dev/full", &tensor, 1, fill, asked), STATUS_FAILED, "No space left");
  tensor.type = DTYPE_Q4_0;
  assert_fails(safetensors_write(path_in(test_folder(), "a"), &tensor, 1, fill, asked), STATUS_FAILED,
               "Q4_0");
}

/// Element 150000 of "n" is the number that `user` points to.
static Status fill_with(void *user, size_t index, size_t first, size_t count, float *out) {
  const float *value = user;
  (void)index;
  for (size_t i = 0; i < count; i++) out[i] = first + i == 150000 ? *value : 1.0f;
  return STATUS_OK;
}

static void writes_no_broken_numbers(void **state) {
  (void)state;
  static const struct {
    DType type;
    float value;
    const char *part; // of the message; NULL: it is written
  } cases[] = {{DTYPE_F32, NAN, "tensor n: element 150000 is nan"},
               {DTYPE_BF16, -INFINITY, "tensor n: element 150000 is -inf"},
               {DTYPE_F16, 1e6f, "tensor n: element 150000 is 1e+06, too large for F16; use bf16 or f32"},
               {DTYPE_BF16, 1e6f, NULL},
               {DTYPE_F32, 3e38f, NULL}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TensorToWrite tensor = {"n", cases[i].type, 1, {200000}};
    float value = cases[i].value;
    Status status = safetensors_write(path_in(test_folder(), "a"), &tensor, 1, fill_with, &value);
    assert_int_equal(status, cases[i].part == NULL ? STATUS_OK : STATUS_INPUT);
    if (cases[i].part != NULL) assert_fails(status, STATUS_INPUT, cases[i].part);
  }
}

// ---- wrong headers ----

/// Writes a file with this header and `data` zero bytes, and opens it.
static Status open_header(const char *folder, const char *header, size_t data, TensorFile **out) {
  static uint8_t bytes[4096];
  uint64_t size = strlen(header);
  memset(bytes, 0, sizeof bytes);
  memcpy(bytes, &size, 8);
  memcpy(bytes + 8, header, size);
  assert_ok(file_write_atomic(path_in(folder, "h.safetensors"), bytes, 8 + size + data));
  return tensors_open(path_in(folder, "h.safetensors"), out);
}

#define ENTRY(shape, begin, end)                                                                             \
  "{\"dtype\":\"F32\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end "]}"

static void refuses_wrong_headers(void **state) {
  (void)state;
  static const struct {
    const char *header;
    size_t data;
    const char *part;
  } cases[] = {
      {"{\"t\":" ENTRY("[2]", 0, 16) "}", 8, "\"t\": \"data_offsets\" [0, 16] do not lie in the 8 bytes"},
      {"{\"t\":" ENTRY("[2]", -8, 0) "}", 8, "do not lie"},
      {"{\"t\":" ENTRY("[2]", 8, 0) "}", 8, "do not lie"},
      {"{\"t\":" ENTRY("[2]", 0.5, 8) "}", 8, "do not lie"},
      {"{\"t\":" ENTRY("[2]", 0, 1e300) "}", 8, "do not lie"},
      {"{\"t\":" ENTRY("[3]", 0, 8) "}", 8, "span 8 bytes, but its shape of F32 needs 12"},
      {"{\"t\":" ENTRY("[4294967296,4294967296,4294967296]", 0, 8) "}", 8, "more elements than memory"},
      {"{\"t\":" ENTRY("[9007199254740992]", 0, 8) "}", 8, "not a size"},
      {"{\"t\":" ENTRY("[-2]", 0, 8) "}", 8, "not a size"},
      {"{\"t\":" ENTRY("[\"2\"]", 0, 8) "}", 8, "not a size"},
      {"{\"t\":" ENTRY("[1,1,1,1,2]", 0, 8) "}", 8, "more than 4 dimensions"},
      {"{\"t\":" ENTRY("[2]", 0, 8) ",\"u\":" ENTRY("[2]", 4, 12) "}", 12, "overlaps"},
      {"{\"t\":" ENTRY("[2]", 0, 8) ",\"u\":" ENTRY("[2]", 12, 20) "}", 20,
       "\"u\" begins 4 bytes after the one before it ends"},
      {"{\"t\":" ENTRY("[2]", 0, 8) "}", 9, "the last tensor ends 1 byte before the file"},
      {"{\"t\":" ENTRY("[2]", 0, 8) ",\"t\":" ENTRY("[2]", 8, 16) "}", 16, "\"t\" appears twice"},
      {"{\"\":" ENTRY("[2]", 0, 8) "}", 8, "empty name"},
      {"{\"a\\nb\":" ENTRY("[2]", 0, 8) "}", 8, "control characters"},
      {"{\"t\":{\"dtype\":\"I64\",\"shape\":[1],\"data_offsets\":[0,8]}}", 8, "dtype I64 is not supported"},
      {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2]}}", 8, "\"data_offsets\" is missing"},
      {"{\"t\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0]}}", 8, "not a pair"},
      {"{\"a\\nb\":{}}", 8, "tensor \"a?b\": \"dtype\" is missing"},
      {"{\"t\":7}", 8, "not a JSON object"},
      {"[]", 0, "not a JSON object"},
      {"{\"t\":", 8, "not valid JSON"},
  };
  const char *folder = test_folder();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TensorFile *file = NULL;
    Status status = open_header(folder, cases[i].header, cases[i].data, &file);
    if (status != STATUS_INPUT || !test_contains(status_message(), cases[i].part))
      fail_msg("%s: status %d, \"%s\"", cases[i].header, (int)status, status_message());
    assert_true(test_contains(status_message(), "h.safetensors"));
    assert_null(file);
  }
}

static void refuses_other_files(void **state) {
  (void)state;
  static const struct {
    const char *name, *bytes;
    size_t size;
    const char *part;
  } cases[] = {
      {"a.safetensors", "", 0, "a file of 0 bytes is too short"},
      {"b.safetensors", "\xff\xff\xff\xff\xff\xff\xff\xff{}", 10, "header claims 18446744073709551615"},
      {"c.safetensors", "\x03\0\0\0\0\0\0\0{}", 10, "header claims 3 bytes"},
      {"d.bin", "plain text, long enough", 23, "not a model file"},
      {"e.bin", "", 0, "not a model file"}};
  const char *folder = test_folder();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    TensorFile *file = NULL;
    assert_ok(file_write_atomic(path_in(folder, cases[i].name), cases[i].bytes, cases[i].size));
    assert_fails(tensors_open(path_in(folder, cases[i].name), &file), STATUS_INPUT, cases[i].part);
  }
  TensorFile *file = NULL;
  assert_fails(tensors_open(path_in(folder, "missing.gguf"), &file), STATUS_INPUT, "No such file");
  assert_fails(tensors_open(folder, &file), STATUS_INPUT, "is a folder");
}

// ---- shards ----

static void put_shard(const char *folder, const char *name, const char *tensor) {
  TensorToWrite write = {tensor, DTYPE_F32, 1, {4}};
  size_t asked[1] = {0};
  assert_ok(safetensors_write(path_in(folder, name), &write, 1, fill, asked));
}

static Status open_index(const char *folder, const char *text, TensorFile **out) {
  assert_ok(file_write_atomic(path_in(folder, "model.safetensors.index.json"), text, strlen(text)));
  return tensors_open(path_in(folder, "model.safetensors.index.json"), out);
}

static void reads_shards(void **state) {
  (void)state;
  const char *folder = test_folder();
  TensorFile *file = NULL;
  float values[4];
  put_shard(folder, "m-1.safetensors", "a");
  put_shard(folder, "m-2.safetensors", "b");
  put_shard(folder, "m-3.safetensors", "a");
  assert_ok(open_index(
      folder, "{\"metadata\":{},\"weight_map\":{\"a\":\"m-1.safetensors\",\"b\":\"m-2.safetensors\"}}",
      &file));
  assert_int_equal(tensors_count(file), 2);
  assert_ok(tensors_read_f32(tensors_find(file, "b"), 0, 4, values));
  assert_true(values[1] == element(0, 1));
  tensors_close(file);
#define MAP(inside) "{\"weight_map\":{" inside "}}"
  assert_fails(open_index(folder, MAP("\"c\":\"m-1.safetensors\""), &file), STATUS_INPUT,
               "\"c\" is not in its shard");
  assert_fails(open_index(folder, MAP("\"a\":\"m-9.safetensors\""), &file), STATUS_INPUT,
               "m-9.safetensors: cannot open");
  assert_fails(open_index(folder, MAP("\"a\":\"../m-1.safetensors\""), &file), STATUS_INPUT,
               "not the file name");
  assert_fails(open_index(folder, MAP("\"a\":\"m-1.safetensors\",\"a\":\"m-3.safetensors\""), &file),
               STATUS_INPUT, "\"a\" appears twice");
  assert_fails(open_index(folder, MAP("\"a\":1"), &file), STATUS_INPUT, "not a file name");
  assert_fails(open_index(folder, "{}", &file), STATUS_INPUT,
               "(\"weight_map\" is missing); for a model give its folder");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_a_file_of_the_formats_library),
      cmocka_unit_test(writes_what_it_reads),
      cmocka_unit_test(forgets_what_was_read),
      cmocka_unit_test(writes_an_aligned_header),
      cmocka_unit_test(passes_on_failures_of_writing),
      cmocka_unit_test(writes_no_broken_numbers),
      cmocka_unit_test(refuses_wrong_headers),
      cmocka_unit_test(refuses_other_files),
      cmocka_unit_test(reads_shards),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
