// The command line without a model: help, suggestions for unknown words, configs and their keys.
#include "support/process.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder;

static const char *config(const char *text) {
  write_text(in_folder(folder, "config.ini"), text);
  return in_folder(folder, "config.ini");
}

static void every_subcommand_teaches(void **state) {
  (void)state;
  static const char *const names[] = {"train",   "gap",    "generate", "score",   "export", "data",
                                      "devices", "doctor", "selftest", "version", "report", "eval",
                                      "bench",   "init",   "tune",     "compare", "verify"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    Ran ran = GEE(names[i], "--help");
    assert_code(ran, 0);
    char example[64];
    (void)snprintf(example, sizeof example, "  gee-cl %s", names[i]);
    assert_true(test_contains(ran.out, "Usage: gee-cl"));
    assert_true(test_contains(ran.out, example));
    Ran other = GEE("help", names[i]);
    assert_string_equal(other.out, ran.out);
  }
  Ran ran = GEE("help");
  assert_code(ran, 0);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) assert_true(test_contains(ran.out, names[i]));
  Ran version = GEE("--version");
  assert_code(version, 0);
  char number[32], revision[64];
  assert_int_equal(sscanf(version.out, "gee-cl %31s %63s", number, revision), 2);
}

static void unknown_words_name_the_nearest(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("trian"), 2, "trian", "did you mean train?");
  ASSERT_ERROR(GEE("xyzzy"), 2, "xyzzy", "gee-cl help");
  ASSERT_ERROR(GEE("train", "--resum"), 2, "--resum", "did you mean --resume?");
  ASSERT_ERROR(GEE("generate", "--max-new-token=3"), 2, "did you mean --max-new-tokens?");
  ASSERT_ERROR(GEE("generate", "--temperature", "warm"), 2, "--temperature", "warm", "number");
  ASSERT_ERROR(GEE("generate", "--max-new-tokens", "-3"), 2, "--max-new-tokens", "-3", "whole number");
  ASSERT_ERROR(GEE("generate", "--prompt"), 2, "--prompt needs a value");
  ASSERT_ERROR(GEE("generate", "--prompt", "x"), 2, "--model is needed");
  ASSERT_ERROR(GEE("train"), 2, "CONFIG.ini is needed");
  ASSERT_ERROR(GEE("train", "a.ini", "b.ini"), 2, "b.ini", "unexpected argument");
  assert_code(run_words((const char *const[]){NULL}), 2);
}

/// Words of other programs, keys of the config given as options, options given twice.
static void what_is_meant_is_suggested(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("evaluate", "x"), 2, "no subcommand \"evaluate\"", "gee-cl gap");
  ASSERT_ERROR(GEE("Diff"), 2, "gee-cl compare");
  ASSERT_ERROR(GEE("plot"), 2, "gee-cl report");
  ASSERT_ERROR(GEE("chat"), 2, "gee-cl generate --chat");
  ASSERT_ERROR(GEE("train", "--lambda_weight", "3"), 2, "--set loss.lambda_weight=3");
  ASSERT_ERROR(GEE("gap", "--lambda-weight=3"), 2, "--set loss.lambda_weight=3");
  ASSERT_ERROR(GEE("train", "--train.max_steps", "9"), 2, "--set train.max_steps=9");
  ASSERT_ERROR(GEE("train", "--micro_batch_size", "--resume"), 2, "--set train.micro_batch_size=VALUE");
  ASSERT_ERROR(GEE("generate", "--lambda_weight", "3"), 2,
               "unknown option --lambda_weight"); // takes no --set
  ASSERT_ERROR(GEE("generate", "-p", "hi"), 2, "unknown option -p;", "did you mean --prompt?");
  ASSERT_ERROR(GEE("generate", "-z"), 2, "unknown option -z;", "gee-cl generate --help");
  ASSERT_ERROR(GEE("generate", "--prompt", "a", "--prompt=b"), 2, "--prompt is given twice");
}

/// A path that a script left empty is not a file without a name.
static void empty_paths_are_named(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("generate", "--model=", "--prompt", "a"), 2, "--model is empty; give a path");
  ASSERT_ERROR(GEE("generate", "--model", "x", "--prompt", "a", "--adapter", ""), 2,
               "--adapter is empty; give a folder");
  ASSERT_ERROR(GEE("gap", "a.ini", "--adapter=x", "--adapter="), 2, "--adapter is empty; give a folder");
  ASSERT_ERROR(GEE("score", "--model", "x", "--input", ""), 2, "--input is empty; give a path");
}

/// Help is wrapped at the width of the screen, 80 columns where there is none. Examples stay whole.
static void help_fits_the_screen(void **state) {
  (void)state;
  static const char *const names[] = {"train", "gap",     "generate", "score",   "export",
                                      "data",  "devices", "doctor",   "report",  "init",
                                      "bench", "tune",    "verify",   "compare", "eval"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    Ran ran = GEE(names[i], "--help");
    for (const char *line = ran.out; *line != '\0'; line += strcspn(line, "\n") + 1) {
      bool example = strncmp(line, "  gee-cl", 8) == 0 || strncmp(line, "  {", 3) == 0;
      if (!example && strcspn(line, "\n") > 80) fail_msg("%s --help: %.100s", names[i], line);
    }
  }
}

/// On a terminal; a file gets one line, as every other test of an error sees.
static void messages_fit_the_screen(void **state) {
  (void)state;
  assert_int_equal(setenv("TERM", "xterm", 1) | setenv("NO_COLOR", "1", 1), 0);
  Ran ran = TERMINAL_ERR("evaluate");
  assert_code(ran, 2);
  assert_string_equal(ran.err,
                      "gee-cl: error: there is no subcommand \"evaluate\"; gee-cl eval runs benchmarks,\n"
                      "  and gee-cl gap measures the entropy gap\n");
  assert_int_equal(unsetenv("TERM"), 0);
}

static void a_full_disk_is_told(void **state) {
  (void)state;
  if (access("/dev/full", W_OK) != 0) skip();
  char command[1200];
  (void)snprintf(command, sizeof command, "%s train --help-config > /dev/full 2> %s", GEE_BINARY,
                 in_folder(folder, "full"));
  int code = system(command);
  assert_int_equal(WEXITSTATUS(code), 1);
  char *text = read_file(in_folder(folder, "full"), NULL);
  assert_true(test_contains(text, "cannot write the output"));
  free(text);
}

static void broken_configs_name_file_line_and_key(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("train", in_folder(folder, "none.ini")), 2, "none.ini", "No such file");
  ASSERT_ERROR(GEE("train", config("[loss]\nlamda_weight = 3\n")), 2, "config.ini:2",
               "did you mean loss.lambda_weight?");
  ASSERT_ERROR(GEE("train", config("[los]\nlambda_weight = 3\n")), 2, "[los]", "did you mean [loss]?");
  ASSERT_ERROR(GEE("train", config("[model]\nmax_steps = 3\n")), 2, "train.max_steps");
  ASSERT_ERROR(GEE("train", config("[train]\nmax_steps = many\n")), 2, "config.ini:2", "many",
               "whole number");
  ASSERT_ERROR(GEE("train", config("[train]\nmax_steps = 2.5\n")), 2, "2.5", "whole number");
  ASSERT_ERROR(GEE("train", config("[loss]\n\nlambda_weight = heavy\n")), 2, "config.ini:3", "heavy",
               "number");
  ASSERT_ERROR(GEE("train", config("[sampling]\ntop_p = 1.5\n")), 2, "sampling.top_p", "1.5", "to 1");
  ASSERT_ERROR(GEE("train", config("[loss]\nuse_l1 = maybe\n")), 2, "loss.use_l1", "maybe", "true or false");
  ASSERT_ERROR(GEE("train", config("[loss]\npairing = all\n")), 2, "loss.pairing", "own, paired");
  ASSERT_ERROR(GEE("train", config("[train]\nseed = 1\nseed = 2\n")), 2, "config.ini:3", "set twice",
               "line 2");
  ASSERT_ERROR(GEE("train", config("[train]\nseed\n")), 2, "config.ini:2", "neither");
  ASSERT_ERROR(GEE("train", config("seed = 1\n")), 2, "before any [section]");
  ASSERT_ERROR(GEE("train", config("[task_weights]\nopen = -1\n")), 2, "task_weights.open", "-1");
  char *line = calloc(70001, 1);
  assert_non_null(line);
  memset(line, 'x', 70000);
  memcpy(line, "[model]\npath = ", 15);
  ASSERT_ERROR(GEE("train", config(line)), 2, "config.ini:2", "the line is longer than 65536 bytes");
  line[40000] = '\0';
  ASSERT_ERROR(GEE("train", config(line)), 2, "config.ini:2", "at most 32000 bytes");
  free(line);
  ASSERT_ERROR(GEE("train", config("[data]\nuse_test_data = yes\n")), 2, "model.path is not set");
  ASSERT_ERROR(GEE("train", config("[model]\npath = x\n")), 2, "data.train is not set");
}

static void set_overrides_and_is_checked(void **state) {
  (void)state;
  const char *path = config("[data]\nuse_test_data = yes\n");
  ASSERT_ERROR(GEE("train", path, "--set", "model.path=/nowhere/model.gguf"), 2, "/nowhere/model.gguf");
  ASSERT_ERROR(GEE("train", path, "--set", "model.pth=x"), 2, "--set", "did you mean model.path?");
  ASSERT_ERROR(GEE("train", path, "--set", "train.max_steps"), 2, "section.key=value");
  ASSERT_ERROR(GEE("train", path, "--set", "train.max_steps=0"), 2, "--set", "from 1");
  ASSERT_ERROR(GEE("train", path, "--set=lora.targets=", "--set", "model.path=x"), 2,
               "lora.targets is empty");
  ASSERT_ERROR(GEE("train", "/dev/zero"), 2, "/dev/zero: is not a regular file");
  ASSERT_ERROR(GEE("train", path, "--set=output.run_name=a/b", "--set", "model.path=x"), 2, "output.run_name",
               "a/b");
}

/// Some readers would take an indented key for more of the value before it.
static void an_indented_key_is_a_key(void **state) {
  (void)state;
  const char *path = config("[data]\n  use_test_data = yes\n\tmax_prompt_tokens = 0\n");
  ASSERT_ERROR(GEE("train", path), 2, "config.ini:3", "data.max_prompt_tokens", "from 1");
}

/// Before the work, not after it.
static void an_output_that_cannot_be_written_is_refused(void **state) {
  (void)state;
  const char *path = config("[data]\nuse_test_data = yes\n");
  ASSERT_ERROR(GEE("gap", path, "--output", path), 2, "overwrite the config");
  ASSERT_ERROR(GEE("gap", path, "--output", "/tmp"), 2, "is a folder");
  ASSERT_ERROR(GEE("gap", path, "--output", "/no/such/gap.json"), 2, "there is no folder /no/such");
}

static void values_that_no_key_takes_are_refused(void **state) {
  (void)state;
  const char *path = config("[data]\nuse_test_data = yes\n");
  ASSERT_ERROR(GEE("train", path, "--set=model.path=a\nb"), 2, "model.path", "one line");
  static const char *const names[] = {"", "a;b", "[a", " a"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    char set[64];
    (void)snprintf(set, sizeof set, "--set=task_weights.%s=1", names[i]);
    ASSERT_ERROR(GEE("train", path, set), 2, "task_weights", "cannot be a prompt type");
  }
}

/// Nothing of a line is dropped without a word.
static void half_lines_are_refused(void **state) {
  (void)state;
  static const char *const cases[][2] = {
      {"[data]\nsystem = \"Be # good\n", "config.ini:2: the value \"Be # good has no closing quote"},
      {"[data]\nsystem = \"Be \\\n", "no closing quote"},
      {"[data]\nsystem = \"\n", "no closing quote"},
      {"[data]\nsystem = \"Be\" good\n", "config.ini:2: text after the closing quote: \"good\""},
      {"[data]\nsystem = 'Be good'\n", "a value is quoted with \", not with '"},
      {"[data]\nsystem = \"C:\\models\"\n", "\"\\m\" in quotes: known are"},
      {"[track] samples=true\n",
       "config.ini:1: text after the section [track]: \"samples=true\"; put it on a line"},
      {"[track\n", "config.ini:1: the section [track has no \"]\""},
      {"[nosuch]\n", "config.ini:1: unknown section [nosuch]"},
      {"[model]\npath = x\n[trian]\n", "config.ini:3: unknown section [trian]; did you mean [train]?"},
      {"[data]\nsystem\n", "config.ini:2: this is neither [section] nor key = value"},
      {"[data]\n= 3\n", "config.ini:2: unknown key data."},
      {"[train]\nmax_steps = \"3\n", "no closing quote"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
    ASSERT_ERROR(GEE("train", config(cases[i][0])), 2, cases[i][1]);
  char nul[] = "[data]\nsystem = a\0b\n";
  assert_ok(file_write_atomic(in_folder(folder, "nul.ini"), nul, sizeof nul - 1));
  ASSERT_ERROR(GEE("train", in_folder(folder, "nul.ini")), 2, "nul.ini:2: a NUL byte, so it is not text");
}

static void help_config_is_a_config(void **state) {
  (void)state;
  Ran ran = GEE("train", "--help-config");
  assert_code(ran, 0);
  static const char *const keys[] = {"lambda_weight = 3.0",
                                     "use_l1 = false",
                                     "auto_anneal = ",
                                     "balance_dataset = ",
                                     "target_size = ",
                                     "use_test_data = ",
                                     "effective_batch = 64",
                                     "micro_batch_size = 2",
                                     "temperature = 1.0",
                                     "learning_rate = 2e-5",
                                     "max_steps = 50",
                                     "log_steps = ",
                                     "save_steps = ",
                                     "bias_eval_steps = ",
                                     "sample_temp = 0.5",
                                     "run_name = ",
                                     "save_root = ",
                                     "seed = 15",
                                     "repetition_penalty = 1.15",
                                     "top_p = 0.95"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    if (!test_contains(ran.out, keys[i])) fail_msg("\"%s\" is not in --help-config", keys[i]);
  }
  write_text(in_folder(folder, "help.ini"), ran.out);
  ASSERT_ERROR(GEE("train", in_folder(folder, "help.ini")), 2,
               "model.path is not set"); // all keys were taken
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  return folder != NULL ? 0 : -1;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_subcommand_teaches),
      cmocka_unit_test(unknown_words_name_the_nearest),
      cmocka_unit_test(what_is_meant_is_suggested),
      cmocka_unit_test(empty_paths_are_named),
      cmocka_unit_test(help_fits_the_screen),
      cmocka_unit_test(messages_fit_the_screen),
      cmocka_unit_test(a_full_disk_is_told),
      cmocka_unit_test(broken_configs_name_file_line_and_key),
      cmocka_unit_test(set_overrides_and_is_checked),
      cmocka_unit_test(an_indented_key_is_a_key),
      cmocka_unit_test(an_output_that_cannot_be_written_is_refused),
      cmocka_unit_test(values_that_no_key_takes_are_refused),
      cmocka_unit_test(half_lines_are_refused),
      cmocka_unit_test(help_config_is_a_config),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
