// No output of a command replaces a file that the command reads: each is refused before the work, and the
// input stays as it was.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static const char *config, *model, *adapter, *task, *results, *other; // paths

static const char *in(const char *name) {
  return in_folder(folder, name);
}

static int set_up(void **state) {
  char text[1024];
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  config = in("config.ini"), model = in("model"), adapter = in("runs/run/final"), task = in("task.json");
  results = in("base.json"), other = in("base.run-final.json");
  assert_ok(directory_create(model));
  tiny_model_write(model);
  write_text(in("task.json"),
             "{\"name\": \"own\", \"kind\": \"choice\", \"description\": \"d\", \"limits\": \"l\","
             " \"data\": \"rows.jsonl\", \"context\": \"{question}\", \"choices_column\": \"choices\","
             " \"answer_index_column\": \"answer\"}");
  write_text(in("rows.jsonl"), "{\"question\": \"A\", \"choices\": [\" b\", \" c\"], \"answer\": 0}\n"
                               "{\"question\": \"D\", \"choices\": [\" e\", \" f\"], \"answer\": 1}\n");
  write_text(in("prompts.jsonl"), "{\"prompt\": \"He cooks.\", \"answer\": \" Well.\"}\n"
                                  "{\"prompt\": \"She sings.\", \"answer\": \" Well.\"}\n");
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\n[data]\ntrain = %s\neval = %s\n[sampling]\n"
                 "max_new_tokens = 2\n[train]\nmax_steps = 1\neffective_batch = 4\n[output]\nsave_root = %s\n"
                 "run_name = run\nsave_steps = 0\n",
                 model, in("prompts.jsonl"), in("prompts.jsonl"), in("runs"));
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  assert_code(GEE("eval", "--model", model, "--adapter", adapter, "--tasks", task, "--output", results,
                  "--items", in("items.jsonl")),
              0);
  return 0;
}

/// `ran` was to write to `path`, which held `bytes`; frees them.
static void assert_refused(Ran ran, const char *option, const char *path, char *bytes, size_t size) {
  size_t left = 0;
  assert_code(ran, 2); // a warning may stand before the error
  assert_true(test_contains(ran.err, option) &&
              test_contains(ran.err, "would overwrite a file that is read"));
  char *now = read_file(path, &left);
  assert_int_equal(left, size);
  assert_memory_equal(now, bytes, size);
  free(now);
  free(bytes);
}

/// Runs a command that ends with `option` and the path of the input `name`, and with another path to it.
#define REFUSED(name, option, ...)                                                                           \
  do {                                                                                                       \
    size_t size = 0;                                                                                         \
    const char *path = in(name), *link = in("link");                                                         \
    char *bytes = read_file(path, &size);                                                                    \
    assert_refused(GEE(__VA_ARGS__, option, path), option, path, bytes, size);                               \
    bytes = read_file(path, &size);                                                                          \
    assert_int_equal(symlink(path, link), 0);                                                                \
    assert_refused(GEE(__VA_ARGS__, option, link), option, path, bytes, size);                               \
    assert_int_equal(unlink(link), 0);                                                                       \
  } while (0)

static void of_gap(void **state) {
  (void)state;
  REFUSED("model/config.json", "--output", "gap", config);
  REFUSED("model/model.safetensors", "--items", "gap", config);
  REFUSED("prompts.jsonl", "--output", "gap", config);
  REFUSED("runs/run/final/adapter_model.safetensors", "--output", "gap", config, "--adapter", adapter);
  REFUSED("config.ini", "--profile", "gap", config);
}

static void of_eval(void **state) {
  (void)state;
  REFUSED("task.json", "--output", "eval", "--model", model, "--tasks", task);
  REFUSED("rows.jsonl", "--items", "eval", "--model", model, "--tasks", task, "--output", in("new.json"));
  REFUSED("runs/run/final/adapter_model.safetensors", "--output", "eval", "--model", model, "--adapter",
          adapter, "--no-base", "--tasks", task);
  REFUSED("model/config.json", "--profile", "eval", "--model", model, "--tasks", task, "--output",
          in("new.json"));
  assert_false(file_exists(in("new.json.unfinished")));
}

static void of_compare(void **state) {
  (void)state;
  REFUSED("items.jsonl", "--output", "compare", results, other);
  REFUSED("items.run-final.jsonl", "--output", "compare", results, other);
}

static void of_the_others(void **state) {
  (void)state;
  REFUSED("model/tokenizer.json", "--output", "score", "--model", model, "--input", in("prompts.jsonl"));
  REFUSED("runs/run/final/adapter_config.json", "--output", "score", "--model", model, "--adapter", adapter,
          "--input", in("prompts.jsonl"));
  REFUSED("model/config.json", "--json", "bench", "--model", model, "--quick", "--only", "gemm");
  REFUSED("config.ini", "--profile", "train", config, "--set", "output.run_name=other");
  REFUSED("model/config.json", "--profile", "generate", "--model", model, "--prompt", "a");
}

/// Two outputs of one command are two files, however their paths are written.
static void two_outputs_are_two_files(void **state) {
  (void)state;
  const char *one = in("one.json"), *same = in("model/../one.json");
  ASSERT_ERROR(GEE("gap", config, "--output", one, "--items", same), 2, "--output and --items are both");
  ASSERT_ERROR(GEE("gap", config, "--output", one, "--profile", same), 2, "--output and --profile are both");
  ASSERT_ERROR(GEE("gap", config, "--items", one, "--profile", one), 2, "--items and --profile are both");
  ASSERT_ERROR(GEE("eval", "--model", model, "--tasks", task, "--output", one, "--items", same), 2,
               "--output and --items are both");
  ASSERT_ERROR(GEE("eval", "--model", model, "--tasks", task, "--output", one, "--profile", one), 2,
               "--output and --profile are both");
  assert_false(file_exists(one));
}

/// An output of before is no input: the same command writes it again.
static void results_are_written_again(void **state) {
  (void)state;
  for (int i = 0; i < 2; i++) {
    assert_code(GEE("gap", config, "--output", in("gap.json"), "--items", in("gap.jsonl")), 0);
    assert_code(GEE("eval", "--model", model, "--tasks", task, "--output", in("again.json")), 0);
    assert_code(GEE("compare", results, other, "--output", in("table.txt")), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(of_gap),
                                     cmocka_unit_test(of_eval),
                                     cmocka_unit_test(of_compare),
                                     cmocka_unit_test(of_the_others),
                                     cmocka_unit_test(two_outputs_are_two_files),
                                     cmocka_unit_test(results_are_written_again)};
  return cmocka_run_group_tests(tests, set_up, NULL);
}
