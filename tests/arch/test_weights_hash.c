// The identity of a model's weights: as Python's hashlib computes it (make_sha256.py), the same wherever the
// files are, and another for any other byte.
#include "support/model_fixture.h"
#include "support/process.h"

#include "arch/files.h"
#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void hash_of(const char *path, char out[SHA256_TEXT]) {
  ModelFiles *files = NULL;
  assert_ok(model_files_open(path, &files));
  assert_ok(model_files_sha256(files, out));
  model_files_close(files);
}

static void test_as_python_computes_it(void **state) {
  (void)state;
  static const struct {
    const char *folder, *sha256;
  } cases[] = {
      {"llama", "5f6ef9ce103b56b6d381dd38653bde379c002f3d5b88c5790d6af569c7ce0752"},
      {"qwen2", "4839f9fb5420d028955429638cca18add421316e3ebea43016bea05fbb950d8c"},
      {"qwen2_untied", "fd4aee2551ffc2e369dc44844a50dc0e3fa9196cf8903a1ac332910517f971fe"}, // in shards
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char sha256[SHA256_TEXT];
    hash_of(golden_path(cases[i].folder), sha256);
    assert_string_equal(sha256, cases[i].sha256);
  }
}

/// Changes each tensor of a copy in its middle, far from both ends.
static void test_every_tensor_counts(void **state) {
  (void)state;
  const char *folder = test_folder(), *copy = in_folder(folder, "model.safetensors");
  size_t size = 0, changed = 0;
  char *config = read_file(in_folder(golden_path("llama"), "config.json"), NULL), before[SHA256_TEXT];
  char *bytes = read_file(in_folder(golden_path("llama"), "model.safetensors"), &size);
  TensorFile *file = NULL;
  write_text(in_folder(folder, "config.json"), config);
  write_file(copy, bytes, size);
  hash_of(folder, before);
  assert_string_equal(before, "5f6ef9ce103b56b6d381dd38653bde379c002f3d5b88c5790d6af569c7ce0752");
  assert_ok(tensors_open(copy, &file));
  const uint8_t *start = tensors_at(file, 0)->bytes;
  for (size_t i = 0; i < tensors_count(file); i++) {
    if (tensors_at(file, i)->bytes < start) start = tensors_at(file, i)->bytes;
  }
  size_t header = 8 + (size_t)(unsigned char)bytes[0] + ((size_t)(unsigned char)bytes[1] << 8);
  for (size_t i = 0; i < tensors_count(file); i++) {
    const StoredTensor *tensor = tensors_at(file, i);
    size_t middle = header + (size_t)(tensor->bytes - start) + tensor->size / 2;
    char after[SHA256_TEXT];
    bytes[middle] ^= 1;
    write_file(copy, bytes, size);
    hash_of(folder, after);
    assert_string_not_equal(after, before);
    bytes[middle] ^= 1;
    changed++;
  }
  assert_true(changed > 20);
  tensors_close(file);
  free(config);
  free(bytes);
}

static void test_a_gguf_is_another_model(void **state) {
  (void)state;
  char folder[SHA256_TEXT], gguf[SHA256_TEXT];
  hash_of(golden_path("llama"), folder);
  hash_of(golden_path("llama.gguf"), gguf);
  assert_string_not_equal(folder, gguf);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_as_python_computes_it),
      cmocka_unit_test(test_every_tensor_counts),
      cmocka_unit_test(test_a_gguf_is_another_model),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
