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

/// A config for a file of prompts and the tiny model.
static const char *config_of(const char *file) {
  char text[1024];
  (void)snprintf(text, sizeof text, "[model]\npath = %s/model\n[data]\ntrain = %s\n", folder, file);
  write_text(in_folder(folder, "data.ini"), text);
  return in_folder(folder, "data.ini");
}

static Ran data_of(const char *file) {
  return GEE("data", config_of(file));
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
  ASSERT_ERROR(data_of(GEE_SOURCE_DIR "/tests/io/data/none_v2_plain.parquet"), 2, "none_v2_plain.parquet",
               "column");
  ASSERT_ERROR(data_of(in_folder(folder, "none.jsonl")), 2, "none.jsonl");
  write_text(in_folder(folder, "empty.jsonl"), "");
  ASSERT_ERROR(data_of(in_folder(folder, "empty.jsonl")), 2, "empty.jsonl");
  write_text(in_folder(folder, "blank.txt"), "\n\n  \n");
  ASSERT_ERROR(data_of(in_folder(folder, "blank.txt")), 2, "blank.txt: the stage \"read\" found no prompt");
  write_text(in_folder(folder, "plain.txt"), "He ran.\n");
  ASSERT_ERROR(GEE("data", config_of(in_folder(folder, "plain.txt")), "--set", "data.column=question"), 2,
               "plain.txt: has no columns, so no column \"question\"");
  write_text(in_folder(folder, "prompts"), "He ran.\nShe sat.\n");
  ASSERT_ERROR(data_of(in_folder(folder, "prompts")), 2, "prompts: is of a kind that is not recognised");
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

/// What was left out, what comes before a prompt, and how many prompts differ, on the screen and as JSON.
static void data_says_what_it_reads(void **state) {
  (void)state;
  static const char rows[] =
      "{\"m\": [{\"from\": \"system\", \"value\": \"Be kind.\"}, {\"from\": \"human\", \"value\": \"Hi.\"},"
      " {\"from\": \"gpt\", \"value\": \"Hello.\"}, {\"from\": \"human\", \"value\": \"He ran.\"},"
      " {\"from\": \"gpt\", \"value\": \"Why?\"}]}\n"
      "{\"m\": [\"She sat.\", \"So?\"]}\n{\"m\": \"He ran.\"}\n{\"m\": null}\n{\"m\": \" \"}\n"
      "{\"m\": [{\"role\": \"system\", \"content\": \"alone\"}, {\"role\": \"user\", \"content\": null}]}\n";
  static const char *const said[] = {"rows left out: 3 of 6 (without text: 2, without words of a user: 1)",
                                     "chats cut after the user's last words, for the model to answer: 2",
                                     "lists of texts, read as turns of user and assistant: 1",
                                     "messages without content, left out: 1",
                                     "before it, system: Be kind.",
                                     "before it, assistant: Hello.",
                                     "6 prompts, 6 of them distinct, in 3 counterfactual sets"};
  static const char *const json[] = {"\"distinct\":\t6", "\"empty\":\t2", "\"without_user\":\t1",
                                     "\"answered\":\t2", "\"role\":\t\"system\""};
  write_text(in_folder(folder, "chats.jsonl"), rows);
  const char *config = config_of(in_folder(folder, "chats.jsonl"));
  Ran ran = GEE("data", config, "--set", "data.column=m", "--set", "data.held_out=0");
  assert_code(ran, 0);
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++)
    if (!test_contains(ran.out, said[i])) fail_msg("\"%s\" is not in:\n%s", said[i], ran.out);
  ran = GEE("data", config, "--set", "data.column=m", "--set", "data.held_out=0", "--json");
  assert_code(ran, 0);
  for (size_t i = 0; i < sizeof json / sizeof json[0]; i++)
    if (!test_contains(ran.out, json[i])) fail_msg("\"%s\" is not in:\n%s", json[i], ran.out);
}

/// The examples of `data --help` work as they stand, but for the model, which may not be there.
static void the_examples_of_data_work(void **state) {
  (void)state;
  Ran ran = GEE("data", "--help");
  Str script = {0};
  assert_ok(str_append_text(&script, "set -e\ncd '" GEE_SOURCE_DIR "'\n"));
  size_t examples = 0;
  for (const char *at = ran.out; (at = strstr(at, "\n  gee-cl data ")) != NULL; examples++) {
    at += strlen("\n  gee-cl");
    assert_ok(str_append_format(&script, "'" GEE_BINARY "'%.*s --set 'model.path=%s/model'\n",
                                (int)strcspn(at, "\n"), at, folder));
  }
  assert_true(examples == 3);
  write_text(in_folder(folder, "examples.sh"), str_text(&script));
  str_free(&script);
  use_binary("/bin/sh");
  ran = GEE(in_folder(folder, "examples.sh"));
  use_binary(GEE_BINARY);
  if (ran.code != 0) fail_msg("%s", ran.err);
}

/// Prompts that the group file's words do not fit: what cannot be swapped, and another script.
static void data_says_what_the_groups_do_not_fit(void **state) {
  (void)state;
  write_text(
      in_folder(folder, "chinese.jsonl"),
      "{\"prompt\": \"她是一名护士。\"}\n{\"prompt\": \"她怀孕了。\"}\n{\"prompt\": \"She is a nurse.\"}\n");
  static const char *const said[] = {"no certain counterpart: 1", "(zh-Hans) has no words in: 1",
                                     "他是一名护士。"};
  const char *config = config_of(in_folder(folder, "chinese.jsonl"));
  Ran ran = GEE("data", config, "--set", "groups.file=gender-zh", "--set", "data.held_out=0");
  assert_code(ran, 0);
  for (size_t i = 0; i < sizeof said / sizeof said[0]; i++) {
    char flat[4000]; // without the line ends of wrapped lines
    (void)snprintf(flat, sizeof flat, "%s", ran.out);
    for (char *end = strstr(flat, "\n  "); end != NULL; end = strstr(end, "\n  "))
      memmove(end, end + 2, strlen(end + 2) + 1);
    if (!test_contains(flat, said[i])) fail_msg("\"%s\" is not in:\n%s", said[i], ran.out);
  }
  ran = GEE("data", config, "--set", "groups.file=gender-zh", "--set", "data.held_out=0", "--json");
  assert_true(test_contains(ran.out, "\"not_swappable\":\t1"));
  assert_true(test_contains(ran.out, "\"other_script\":\t1"));
}

static void the_file_to_measure_on_is_checked_first(void **state) {
  (void)state;
  write_text(in_folder(folder, "train.jsonl"), "{\"q\": \"He ran.\"}\n{\"q\": \"She sat.\"}\n");
  const char *config = config_of(in_folder(folder, "train.jsonl"));
  ASSERT_ERROR(GEE("train", config, "--dry-run", "--set", "data.column=q", "--set", "data.eval=none.jsonl"),
               2, "none.jsonl");
  write_text(in_folder(folder, "eval.txt"),
             "He sat.\nShe ran.\n"); // needs no column, though data.column is set
  char eval[700];
  (void)snprintf(eval, sizeof eval, "data.eval=%s", in_folder(folder, "eval.txt"));
  assert_code(GEE("data", config, "--held-out", "--set", "data.column=q", "--set", eval), 0);
  ASSERT_ERROR(GEE("data", config, "--held-out", "--set", "data.column=q", "--set", eval, "--set",
                   "data.eval_column=q"),
               2, "eval.txt: has no columns, so no column \"q\"");
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
               2, "score.jsonl: line 1");
  assert_false(file_exists(in_folder(folder, "out.jsonl")));
  free(text);
}

static void lines_that_cannot_be_scored(void **state) {
  (void)state;
  const char *model = in_folder(folder, "model"), *input = in_folder(folder, "lines.jsonl");
  const char *output = in_folder(folder, "scored.jsonl");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n{\"prompt\": \"a\"}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2, "lines.jsonl: line 2",
               "answer");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"\"}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2, "lines.jsonl: line 1",
               "empty");
  write_text(input, "{\"prompt\": \"a\", \"answer\": [\"b\"]}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2,
               "lines.jsonl: line 1: column \"answer\" is a list, but must be text");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\\u0000\"}\n"); // as data.train is refused
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2,
               "lines.jsonl: line 1: contains a NUL byte, as \\u0000, so it is not text");
  const char *latin = in_folder(folder, "latin.csv");
  write_text(latin, "prompt,answer\na,\xe9\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", latin, "--output", output), 2,
               "latin.csv: line 2: column \"answer\": not UTF-8");
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
  write_text(
      input,
      "{\"prompt\": \"[{\\\"role\\\": \\\"user\\\", \\\"content\\\": \\\"Hi\\\"}]\", \"answer\": \"b\"}\n");
  ASSERT_ERROR(GEE("score", "--model", model, "--input", input, "--output", output), 2,
               "a chat as JSON text");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n");
  if (!test_contains(GEE("devices").out, "*")) return; // no device to score on
  Ran ran = GEE("score", "--model", model, "--input", input, "--output", "-");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "{\"prompt_tokens\":"));
  assert_int_equal(access("-", F_OK), -1);
  const char *sheet = in_folder(folder, "score.csv");
  write_text(sheet, "answer,prompt\r\nb,a\r\n");
  Ran same = GEE("score", "--model", model, "--input", sheet, "--output", "-");
  assert_code(same, 0);
  assert_string_equal(same.out, ran.out);
  // a file that cannot be written once the work is done: the scores are printed
  ran = GEE("score", "--model", model, "--input", input, "--output", "/dev/full");
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "{\"prompt_tokens\":") && test_contains(ran.err, "printed instead"));
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
      cmocka_unit_test(models_missing_or_cut),
      cmocka_unit_test(a_safetensors_header_that_lies),
      cmocka_unit_test(a_gguf_with_absurd_counts),
      cmocka_unit_test(another_tokenizer_or_architecture),
      cmocka_unit_test(prompts_that_cannot_be_read),
      cmocka_unit_test(prompts_in_csv),
      cmocka_unit_test(data_says_what_it_reads),
      cmocka_unit_test(the_examples_of_data_work),
      cmocka_unit_test(data_says_what_the_groups_do_not_fit),
      cmocka_unit_test(the_file_to_measure_on_is_checked_first),
      cmocka_unit_test(a_cut_or_random_parquet),
      cmocka_unit_test(json_nested_200000_deep),
      cmocka_unit_test(lines_that_cannot_be_scored),
      cmocka_unit_test(a_device_that_is_not_there),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
