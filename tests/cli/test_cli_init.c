// gee-cl init, as a user meets it: the same bytes for the same seed, weights as transformers makes them, a
// model that the other commands read, and nothing half written where it cannot be whole.
#include "support/process.h"
#include "support/tiny_model.h"

#include "arch/files.h"
#include "io/file.h"
#include "io/tensors.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;

#define SIZES                                                                                                \
  "\"hidden_size\": 64, \"intermediate_size\": 96, \"num_hidden_layers\": 3, \"num_attention_heads\": 4, "   \
  "\"num_key_value_heads\": 2, \"vocab_size\": 300"

static const char *config(const char *text) {
  write_text(in_folder(folder, "shape.json"), text);
  return in_folder(folder, "shape.json");
}

static const char *fresh(void) {
  static int count;
  char name[32];
  (void)snprintf(name, sizeof name, "model%d", count++);
  return in_folder(folder, name);
}

static void hash_of(const char *model, char out[SHA256_TEXT]) {
  assert_ok(file_sha256(in_folder(model, "model.safetensors"), out));
}

/// Both are folders of the same bytes, or their weights are not.
static void the_seed_decides_the_bytes(void **state) {
  (void)state;
  const char *shape = config("{\"model_type\": \"qwen2\", " SIZES "}"), *a = fresh(), *b = fresh(),
             *c = fresh();
  char hashes[3][SHA256_TEXT];
  assert_code(GEE("init", "--config", shape, "--output", a, "--seed", "7"), 0);
  assert_code(GEE("init", "--config", shape, "--output", b, "--seed", "7"), 0);
  assert_code(GEE("init", "--config", shape, "--output", c, "--seed", "4294967303"), 0); // 7 + 2^32
  hash_of(a, hashes[0]);
  hash_of(b, hashes[1]);
  hash_of(c, hashes[2]);
  assert_string_equal(hashes[0], hashes[1]);
  assert_string_not_equal(hashes[0], hashes[2]);
  // of every machine and compiler
  assert_string_equal(hashes[0], "5d29a3d65a1c34764e50b37b568d3a4023b7065543470ec448c69192aa160a2e");
}

static double deviation_of(const StoredTensor *tensor, double *mean) {
  float *values = malloc(tensor->elements * sizeof *values);
  assert_non_null(values);
  assert_ok(tensors_read_f32(tensor, 0, tensor->elements, values));
  double sum = 0, squares = 0, count = (double)tensor->elements;
  for (size_t i = 0; i < tensor->elements; i++) sum += (double)values[i];
  for (size_t i = 0; i < tensor->elements; i++) squares += pow((double)values[i] - sum / count, 2);
  free(values);
  *mean = sum / count;
  return sqrt(squares / count);
}

/// Five standard errors of a deviation and of a mean. The embedding of the padding token is zero.
static void check_weight(const StoredTensor *tensor, const WeightSpec *spec, double deviation) {
  double mean = 0, found = deviation_of(tensor, &mean), count = (double)tensor->elements;
  if (spec->rank == 1) {
    assert_true(found == 0 && mean == (spec->kind == WEIGHT_BIAS ? 0 : 1));
    return;
  }
  if (spec->kind == WEIGHT_EMBEDDING) deviation *= sqrt(299.0 / 300);
  if (!(fabs(found / deviation - 1) < 5 / sqrt(2 * count)) || !(fabs(mean) < 5 * deviation / sqrt(count)))
    fail_msg("%s has deviation %g and mean %g", spec->name, found, mean);
}

static void weights_are_as_transformers_makes_them(void **state) {
  (void)state;
  static const char *const types[] = {"f32", "f16", "bf16"};
  const char *shape = config("{\"model_type\": \"llama\", \"attention_bias\": true, \"mlp_bias\": true, "
                             "\"initializer_range\": 0.05, \"pad_token_id\": 298, " SIZES "}");
  for (size_t t = 0; t < 3; t++) {
    const char *model = fresh();
    ModelFiles *files = NULL;
    assert_code(GEE("init", "--config", shape, "--output", model, "--dtype", types[t]), 0);
    assert_ok(model_files_open(model, &files));
    size_t count = weight_count(model_files_config(files));
    assert_int_equal(count, 3 + 3 * 16); // embedding, norm, head; per layer 2 norms, 7 matrices and biases
    for (size_t i = 0; i < count; i++) {
      WeightSpec spec;
      const StoredTensor *tensor = model_files_weight(files, i, &spec);
      DType type;
      assert_true(dtype_from_name(types[t], &type) && tensor->type == type);
      check_weight(tensor, &spec, 0.05);
    }
    float row[3 * 64];
    WeightSpec spec;
    assert_ok(tensors_read_f32(model_files_weight(files, 0, &spec), 297 * 64, 3 * 64, row));
    for (size_t i = 0; i < 3 * 64; i++) assert_int_equal(row[i] == 0, i / 64 == 1);
    model_files_close(files);
  }
}

/// The type: --dtype, else the config's "dtype", else its "torch_dtype", else bf16.
static void the_type_is_the_configs(void **state) {
  (void)state;
  static const char *const says[][2] = {{"", "BF16"},
                                        {"\"torch_dtype\": \"float16\", ", "F16"},
                                        {"\"torch_dtype\": \"float16\", \"dtype\": \"float32\", ", "F32"}};
  for (size_t i = 0; i < 3; i++) {
    char text[512];
    const char *model = fresh();
    (void)snprintf(text, sizeof text, "{%s\"model_type\": \"llama\", %s}", says[i][0], SIZES);
    Ran ran = GEE("init", "--config", config(text), "--output", model);
    assert_code(ran, 0);
    char end[32];
    (void)snprintf(end, sizeof end, " in %s\n", says[i][1]);
    assert_true(test_contains(ran.out, end));
  }
}

/// A model from a folder's config with a tokenizer answers; without one, the last line says what is missing.
static void a_model_with_a_tokenizer_answers(void **state) {
  (void)state;
  const char *tiny = in_folder(folder, "tiny"), *model = fresh(), *bare = fresh();
  assert_ok(directory_create(tiny));
  tiny_model_write(tiny);
  assert_code(GEE("init", "--config", tiny, "--tokenizer", tiny, "--output", model), 0);
  assert_same_file(in_folder(model, "tokenizer.json"), in_folder(tiny, "tokenizer.json"));
  assert_code(GEE("generate", "--model", model, "--prompt", "hello", "--max-new-tokens", "3"), 0);
  Ran ran = GEE("init", "--config", in_folder(tiny, "config.json"), "--output", bare);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "it has no tokenizer") && test_contains(ran.out, "--tokenizer"));
}

static void a_tokenizer_must_fit(void **state) {
  (void)state;
  const char *tiny = in_folder(folder, "tiny"), *output = in_folder(folder, "none");
  ASSERT_ERROR(GEE("init", "--config",
                   config("{\"model_type\": \"llama\", \"hidden_size\": 64, "
                          "\"intermediate_size\": 96, \"num_hidden_layers\": 1, "
                          "\"num_attention_heads\": 4, \"vocab_size\": 9}"),
                   "--tokenizer", tiny, "--output", output),
               2, tiny, "tokens, more than the \"vocab_size\" 9");
  ASSERT_ERROR(GEE("init", "--config", config("{\"model_type\": \"llama\", " SIZES "}"), "--tokenizer",
                   in_folder(folder, "nowhere"), "--output", output),
               2, "nowhere");
  Ran ran = GEE("init", "--config", config("{\"model_type\": \"llama\", \"eos_token_id\": 299, " SIZES "}"),
                "--tokenizer", tiny, "--output", fresh());
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "warning: the end token 299"));
  ran = GEE("init", "--config", config("{\"model_type\": \"llama\", \"bos_token_id\": 300, " SIZES "}"),
            "--output", fresh());
  assert_code(ran, 0);
  assert_true(
      test_contains(ran.err, "shape.json: \"bos_token_id\" is 300, outside the vocabulary of 0 to 299"));
  assert_false(file_exists(output));
}

static void what_is_not_a_model_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *text, *part;
  } cases[] = {
      {"{\"model_type\": \"mamba\", " SIZES "}", "model_type \"mamba\" is not supported"},
      {"{" SIZES "}", "\"model_type\""},
      {"{\"model_type\": \"llama\"}", "\"num_hidden_layers\""},
      {"{\"model_type\": \"llama\", " SIZES ", \"head_dim\": 7}", "head size 7 is odd"},
      {"{\"model_type\": \"llama\", \"hidden_size\": 65, \"intermediate_size\": 96, \"num_hidden_layers\": "
       "3, "
       "\"num_attention_heads\": 4, \"vocab_size\": 300}",
       "\"hidden_size\" 65 is no multiple"},
      {"{\"model_type\": \"llama\", " SIZES ", \"head_dim\": 1000000}",
       "the head size (\"head_dim\") is 1000000, expected 2 to 1024"},
      {"{\"model_type\": \"llama\", " SIZES ", \"num_hidden_layers\": 5000}",
       "(\"num_hidden_layers\") is 5000, expected 1 to 1024"},
      {"{\"model_type\": \"llama\", " SIZES ", \"vocab_size\": 99999999999999}", "\"vocab_size\""},
      {"{\"model_type\": \"llama\", " SIZES ", \"vocab_size\": -1}", "\"vocab_size\""},
      {"{\"model_type\": \"llama\", " SIZES ", \"eos_token_id\": 300}",
       "\"eos_token_id\" has 300, outside the vocabulary of 0 to 299"},
      {"{\"model_type\": \"llama\", " SIZES ", \"pad_token_id\": 300}", "\"pad_token_id\""},
      {"{\"model_type\": \"llama\", " SIZES ", \"sliding_window\": -4}", "\"sliding_window\" is -4"},
      {"{\"model_type\": \"llama\", " SIZES ", \"initializer_range\": 0}", "\"initializer_range\" is 0"},
      {"{\"model_type\": \"llama\", " SIZES ", \"initializer_range\": 1e300}",
       "\"initializer_range\" is 1e+300"},
      {"{\"model_type\": \"llama\", " SIZES ", \"dtype\": \"float64\"}", "\"dtype\" is \"float64\""},
      {"{\"model_type\": \"llama\", " SIZES ", \"dtype\": 7}", "\"dtype\""},
      {"[]", "\"model_type\""},
      {"{", "shape.json"},
  };
  const char *output = in_folder(folder, "none");
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    ASSERT_ERROR(GEE("init", "--config", config(cases[i].text), "--output", output), 2, "shape.json",
                 cases[i].part);
    assert_false(file_exists(output));
  }
  const char *shape = config("{\"model_type\": \"llama\", " SIZES "}");
  ASSERT_ERROR(GEE("init", "--output", output), 2, "--config is needed");
  ASSERT_ERROR(GEE("init", "--config", shape), 2, "--output is needed");
  ASSERT_ERROR(GEE("init", "--config", folder, "--output", output), 2, "config.json");
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", folder), 2, folder, "already exists");
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", output, "--dtype", "stored"), 2,
               "--dtype is \"stored\"; it must be one of f32, f16, bf16");
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", output, "--dtype", "q4_k"), 2,
               "--dtype is \"q4_k\"");
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", output, "--seed", "x"), 2, "--seed");
}

/// Places where no new folder can be are refused before anything is written.
static void a_place_that_is_taken_is_refused(void **state) {
  (void)state;
  const char *shape = config("{\"model_type\": \"llama\", " SIZES "}"), *link = in_folder(folder, "link");
  assert_int_equal(symlink("nowhere", link), 0);
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", link), 2, "link: is a link to ",
               "nowhere, which is not there; remove the link");
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", in_folder(folder, "link/")), 2,
               "link: is a link to ");
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", in_folder(folder, "link/x")), 2,
               "link: is a link to ");
  assert_false(file_exists(in_folder(folder, "link" PARTIAL_END)));
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", in_folder(folder, "new/.")), 2,
               "without . at the end");
  assert_false(file_exists(in_folder(folder, "new")));
  ASSERT_ERROR(GEE("init", "--config", shape, "--output", in_folder(folder, "shape.json/x")), 2,
               "shape.json: is a file where a folder is needed");
}

/// What is beside the new folder stays, whatever its name.
static void neighbours_are_kept(void **state) {
  (void)state;
  static const char *const kept[] = {"made.partial", "made.old"};
  for (size_t i = 0; i < 2; i++) {
    assert_ok(directory_create(in_folder(folder, kept[i])));
    write_text(in_folder(in_folder(folder, kept[i]), "thesis.txt"), "precious");
  }
  const char *shape = config("{\"model_type\": \"llama\", " SIZES "}");
  assert_code(GEE("init", "--config", shape, "--output", in_folder(folder, "made")), 0);
  for (size_t i = 0; i < 2; i++)
    assert_true(file_exists(in_folder(in_folder(folder, kept[i]), "thesis.txt")));
}

/// A folder that init wrote is a config too, of the same weights.
static void a_folder_makes_its_like(void **state) {
  (void)state;
  const char *a = fresh(), *b = fresh();
  char hashes[2][SHA256_TEXT];
  assert_code(
      GEE("init", "--config",
          config("{\"model_type\": \"llama\", \"initializer_range\": 0.3, \"pad_token_id\": 5, " SIZES "}"),
          "--output", a),
      0);
  assert_code(GEE("init", "--config", a, "--output", b), 0);
  hash_of(a, hashes[0]);
  hash_of(b, hashes[1]);
  assert_string_equal(hashes[0], hashes[1]);
}

/// The number behind a title in what a run printed, "memory planned      512 MB", in MB.
static double megabytes(const char *text, const char *title) {
  const char *at = strstr(text, title);
  char unit[8] = "";
  double value = 0;
  assert_non_null(at);
  assert_int_equal(sscanf(at + strlen(title), "%lf %7s", &value, unit), 2);
  return strcmp(unit, "GB") == 0 ? 1000 * value : value;
}

/// What the process holds at most is what was planned, and not the model a second time as its file's pages.
/// The rest of the driver comes after the plan.
static void a_run_takes_what_was_planned(void **state) {
  (void)state;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  skip(); // which keep memory of their own
#endif
  const char *model = fresh(), *tiny = in_folder(folder, "tiny"), *ini = in_folder(folder, "run.ini");
  const char *shape =
      config("{\"model_type\": \"llama\", \"hidden_size\": 1024, \"intermediate_size\": 4096, "
             "\"num_hidden_layers\": 4, \"num_attention_heads\": 8, \"vocab_size\": 65536}");
  assert_code(GEE("init", "--config", shape, "--tokenizer", tiny, "--output", model), 0);
  write_text(in_folder(folder, "prompts.txt"), "he is a nurse\nhe is a pilot\n");
  char text[2048];
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s\ndtype = stored\n[data]\ntrain = %s\n[groups]\nfile = gender\n"
                 "counterfactual = swap\n[sampling]\nmax_new_tokens = 2\n[train]\nmax_steps = 1\n"
                 "effective_batch = 2\nmicro_batch_size = 2\n[device]\nname = cpu\n[output]\nsave_root = %s\n"
                 "run_name = planned\n",
                 model, in_folder(folder, "prompts.txt"), folder);
  write_text(ini, text);
  Ran ran = GEE("train", ini);
  assert_code(ran, 0);
  double planned = megabytes(ran.err, "memory planned"), peak = megabytes(ran.err, "memory at peak");
  double file = 2e-6 * (2 * 65536 + 4 * (2 * 1024 + 2 * 1024 + 3 * 4096)) * 1024; // 400 MB
  assert_true(planned > file && file > 350);
  if (!(fabs(peak - planned) < file / 4))
    fail_msg("planned %g MB, at peak %g MB, file %g MB", planned, peak, file);
}

static void assert_nothing(void) {
  assert_false(file_exists(in_folder(folder, "none")));
  assert_false(file_exists(in_folder(folder, "none" PARTIAL_END)));
}

/// A model of petabytes is refused before a byte is written; a disk that fills up leaves nothing.
static void a_full_disk_leaves_nothing(void **state) {
  (void)state;
  const char *output = in_folder(folder, "none");
  const char *huge =
      config("{\"model_type\": \"llama\", \"hidden_size\": 131072, \"intermediate_size\": 1048576, "
             "\"num_hidden_layers\": 1024, \"num_attention_heads\": 128, \"vocab_size\": "
             "16777216}");
  ASSERT_ERROR(GEE("init", "--config", huge, "--output", output), 2, "the weights need", "TB", "free");
  assert_nothing();
  const char *shape = config("{\"model_type\": \"llama\", " SIZES "}");
  limit_file_size(100000);
  Ran ran = GEE("init", "--config", shape, "--output", output);
  limit_file_size(0);
  assert_code(ran, 1);
  assert_true(test_contains(ran.err, "error: tensor ") && test_contains(ran.err, "cannot write"));
  assert_nothing();
}

static pid_t start_large(void) {
  const char *large =
      config("{\"model_type\": \"llama\", \"hidden_size\": 1024, \"intermediate_size\": 8192, "
             "\"num_hidden_layers\": 8, \"num_attention_heads\": 8, \"vocab_size\": 32768}");
  const char *weights = in_folder(folder, "none" PARTIAL_END "/model.safetensors");
  pid_t pid = START_GEE("init", "--config", large, "--output", in_folder(folder, "none"));
  for (int i = 0; i < 60000 && !file_exists(weights); i++) (void)usleep(1000);
  assert_true(file_exists(weights));
  return pid;
}

/// Ctrl-C leaves nothing. What a kill leaves, the next writer removes.
static void stopped_in_the_middle(void **state) {
  (void)state;
  pid_t pid = start_large();
  assert_int_equal(kill(pid, SIGINT), 0);
  Ran ran = finish_run(pid);
  assert_code(ran, 130);
  assert_true(test_contains(ran.err, "nothing is left of it"));
  assert_nothing();
  pid = start_large();
  assert_int_equal(kill(pid, SIGKILL), 0);
  assert_code(finish_run(pid), -SIGKILL);
  assert_false(file_exists(in_folder(folder, "none")));
  const char *shape = config("{\"model_type\": \"llama\", " SIZES "}");
  assert_code(GEE("init", "--config", shape, "--output", in_folder(folder, "none")), 0);
  assert_false(file_exists(in_folder(folder, "none" PARTIAL_END)));
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  return folder != NULL ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_seed_decides_the_bytes),
      cmocka_unit_test(weights_are_as_transformers_makes_them),
      cmocka_unit_test(the_type_is_the_configs),
      cmocka_unit_test(a_model_with_a_tokenizer_answers),
      cmocka_unit_test(a_tokenizer_must_fit),
      cmocka_unit_test(what_is_not_a_model_is_refused),
      cmocka_unit_test(a_place_that_is_taken_is_refused),
      cmocka_unit_test(neighbours_are_kept),
      cmocka_unit_test(a_folder_makes_its_like),
      cmocka_unit_test(a_run_takes_what_was_planned),
      cmocka_unit_test(a_full_disk_leaves_nothing),
      cmocka_unit_test(stopped_in_the_middle),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
