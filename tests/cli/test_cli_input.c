// Bad input as a user meets it: one clear line that names the file, exit code 2, never a crash.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "util/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder; // holds model/, a whole tiny model

/// A fresh copy of the tiny model, for a test to damage.
static const char *spoilt_model(void) {
  static int count;
  char name[32];
  (void)snprintf(name, sizeof name, "spoilt%d", count++);
  const char *path = in_folder(folder, name);
  assert_ok(directory_create(path));
  tiny_model_write(path);
  return path;
}

static Ran generate(const char *model) {
  return GEE("generate", "--model", model, "--prompt", "x", "--max-new-tokens", "1");
}

/// `gee-cl data` on a file of prompts, with the tiny model.
static Ran data_of(const char *file) {
  char text[1024];
  (void)snprintf(text, sizeof text, "[model]\npath = %s/model\n[data]\ntrain = %s\ncolumn = prompt\n", folder,
                 file);
  write_text(in_folder(folder, "data.ini"), text);
  return GEE("data", in_folder(folder, "data.ini"));
}

/// Keeps `keep` bytes of a file, or overwrites `count` of them at `at`.
static void cut_file(const char *path, size_t keep) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  assert_true(keep < size);
  write_file(path, bytes, keep);
  free(bytes);
}

static void patch_file(const char *path, const char *from, const char *to) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  char *place = memmem(bytes, size, from, strlen(from));
  assert_non_null(place);
  assert_int_equal(strlen(from), strlen(to));
  memcpy(place, to, strlen(to));
  write_file(path, bytes, size);
  free(bytes);
}

static void models_missing_or_cut(void **state) {
  (void)state;
  assert_code(generate(in_folder(folder, "model")), 0); // the whole one works
  ASSERT_ERROR(generate(in_folder(folder, "nothing")), 2, "nothing");
  const char *model = spoilt_model();
  cut_file(in_folder(model, "model.safetensors"), 5000);
  ASSERT_ERROR(generate(model), 2, "model.safetensors");
  model = spoilt_model();
  cut_file(in_folder(model, "model.safetensors"), 4);
  ASSERT_ERROR(generate(model), 2, "model.safetensors");
  model = spoilt_model();
  cut_file(in_folder(model, "config.json"), 100);
  ASSERT_ERROR(generate(model), 2, "config.json");
}

static void a_safetensors_header_that_lies(void **state) {
  (void)state;
  const char *model = spoilt_model();
  patch_file(in_folder(model, "model.safetensors"), "\"data_offsets\":[0,32896]",
             "\"data_offsets\":[9,99999]");
  ASSERT_ERROR(generate(model), 2, "model.safetensors", "model.embed_tokens.weight");
  model = spoilt_model();
  patch_file(in_folder(model, "model.safetensors"), "[257,32]", "[999,99]");
  ASSERT_ERROR(generate(model), 2, "model.safetensors");
}

static void a_gguf_with_absurd_counts(void **state) {
  (void)state;
  unsigned char bytes[64] = {'G', 'G', 'U', 'F', 3};
  const char *path = in_folder(folder, "absurd.gguf");
  memset(bytes + 8, 0xff, 16); // counts of tensors and of metadata
  write_file(path, bytes, sizeof bytes);
  ASSERT_ERROR(generate(path), 2, "absurd.gguf");
  memset(bytes + 8, 0, 8);
  bytes[15] = 0x7f;
  write_file(path, bytes, sizeof bytes);
  ASSERT_ERROR(generate(path), 2, "absurd.gguf");
  write_file(path, bytes, 10);
  ASSERT_ERROR(generate(path), 2, "absurd.gguf");
}

static void another_tokenizer_or_architecture(void **state) {
  (void)state;
  const char *model = spoilt_model();
  patch_file(in_folder(model, "tokenizer.json"), "\"type\": \"BPE\"", "\"type\": \"XYZ\"");
  ASSERT_ERROR(generate(model), 2, "tokenizer.json", "XYZ");
  model = spoilt_model();
  patch_file(in_folder(model, "config.json"), "\"LlamaForCausalLM\"", "\"MambaForCausalLM\"");
  patch_file(in_folder(model, "config.json"), "\"llama\"", "\"mamba\"");
  ASSERT_ERROR(generate(model), 2, "config.json", "amba");
}

static void prompts_that_cannot_be_read(void **state) {
  (void)state;
  ASSERT_ERROR(data_of(GEE_SOURCE_DIR "/tests/io/data/brotli.parquet"), 2, "brotli");
  ASSERT_ERROR(data_of(GEE_SOURCE_DIR "/tests/io/data/none_v2_plain.parquet"), 2, "none_v2_plain.parquet",
               "column");
  ASSERT_ERROR(data_of(in_folder(folder, "none.jsonl")), 2, "none.jsonl");
  write_text(in_folder(folder, "empty.jsonl"), "");
  ASSERT_ERROR(data_of(in_folder(folder, "empty.jsonl")), 2, "empty.jsonl");
  write_text(in_folder(folder, "blank.txt"), "\n\n  \n");
  ASSERT_ERROR(data_of(in_folder(folder, "blank.txt")), 2, "blank.txt");
  write_text(in_folder(folder, "other.jsonl"), "{\"question\": \"x\"}\n");
  ASSERT_ERROR(data_of(in_folder(folder, "other.jsonl")), 2, "other.jsonl", "prompt", "question");
  write_text(in_folder(folder, "other.csv"), "id,question\n1,He ran.\n2,She ran.\n");
  ASSERT_ERROR(data_of(in_folder(folder, "other.csv")), 2, "other.csv", "no column \"prompt\"",
               "id, question");
  write_text(in_folder(folder, "ragged.csv"), "id,prompt\n1,He ran, he fell.\n");
  ASSERT_ERROR(data_of(in_folder(folder, "ragged.csv")), 2, "ragged.csv: line 2 has 3 cells");
  write_text(in_folder(folder, "sheet.xlsx"), "PK\3\4");
  ASSERT_ERROR(data_of(in_folder(folder, "sheet.xlsx")), 2, "sheet.xlsx", "Excel");
}

static void prompts_in_csv(void **state) {
  (void)state;
  static const char rows[] =
      "id,prompt\r\n1,\"He ran, and \"\"fell\"\".\"\r\n2,She ran.\r\n3,He sat.\r\n4,She sat.\r\n";
  write_text(in_folder(folder, "a.csv"), rows);
  assert_code(data_of(in_folder(folder, "a.csv")), 0);
}

static void a_cut_or_random_parquet(void **state) {
  (void)state;
  size_t size = 0;
  char *bytes = read_file(GEE_SOURCE_DIR "/tests/io/data/zstd_v1.parquet", &size);
  const char *path = in_folder(folder, "cut.parquet");
  static const size_t cuts[] = {5, 13, 100, 1000};
  for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
    write_file(path, bytes, size - cuts[i]);
    ASSERT_ERROR(data_of(path), 2, "cut.parquet");
  }
  float noise[1024];
  test_random(noise, 1024, 7);
  memcpy(noise, "PAR1", 4);
  memcpy((char *)noise + sizeof noise - 4, "PAR1", 4);
  write_file(path, noise, sizeof noise);
  ASSERT_ERROR(data_of(path), 2, "cut.parquet");
  free(bytes);
}

static void json_nested_200000_deep(void **state) {
  (void)state;
  enum { DEPTH = 200000 };
  char *text = malloc(DEPTH + 64);
  assert_non_null(text);
  int used = snprintf(text, 64, "{\"prompt\": ");
  memset(text + used, '[', DEPTH);
  write_file(in_folder(folder, "deep.jsonl"), text, (size_t)used + DEPTH);
  ASSERT_ERROR(data_of(in_folder(folder, "deep.jsonl")), 2, "deep.jsonl");
  const char *model = spoilt_model();
  write_file(in_folder(model, "config.json"), text, (size_t)used + DEPTH);
  ASSERT_ERROR(generate(model), 2, "config.json");
  write_file(in_folder(folder, "score.jsonl"), text, (size_t)used + DEPTH);
  ASSERT_ERROR(GEE("score", "--model", in_folder(folder, "model"), "--input",
                   in_folder(folder, "score.jsonl"), "--output", in_folder(folder, "out.jsonl")),
               2, "score.jsonl:1");
  assert_false(file_exists(in_folder(folder, "out.jsonl")));
  free(text);
}

static void lines_that_cannot_be_scored(void **state) {
  (void)state;
  const char *model = in_folder(folder, "model"), *input = in_folder(folder, "lines.jsonl");
  const char *output = in_folder(folder, "scored.jsonl");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": \"a\"}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2, "lines.jsonl:2",
               "answer");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"\"}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2, "lines.jsonl:1",
               "empty");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output, "--chat"), 2,
               "chat template");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", input), 2, "overwrite --input");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", in_folder(folder, "none/out")), 2,
               "no folder", "none");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", folder), 2, "is a folder");
  ASSERT_ERROR(GEE("generate", "--model", model, "--prompt", "a", "--system", "b"), 2,
               "--system needs --chat");
  assert_false(file_exists(output));
  if (!test_contains(GEE("devices").out, "*")) return; // no device to score on
  Ran ran = GEE("score", "--model", model, "--input", input, "--output", "-");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "{\"prompt_tokens\":"));
  assert_int_equal(access("-", F_OK), -1);
}

static void a_device_that_is_not_there(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("selftest", "--device", "no such device"), 2, "no such device");
  ASSERT_ERROR(GEE("generate", "--model", in_folder(folder, "model"), "--prompt", "x", "--device", "99"), 2,
               "99");
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL || directory_create(in_folder(folder, "model")) != STATUS_OK) return -1;
  tiny_model_write(in_folder(folder, "model"));
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(models_missing_or_cut),       cmocka_unit_test(a_safetensors_header_that_lies),
      cmocka_unit_test(a_gguf_with_absurd_counts),   cmocka_unit_test(another_tokenizer_or_architecture),
      cmocka_unit_test(prompts_that_cannot_be_read), cmocka_unit_test(prompts_in_csv),
      cmocka_unit_test(a_cut_or_random_parquet),     cmocka_unit_test(json_nested_200000_deep),
      cmocka_unit_test(lines_that_cannot_be_scored), cmocka_unit_test(a_device_that_is_not_there),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
