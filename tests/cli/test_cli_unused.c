// Settings and options that have no effect beside others: refused or warned of by name, never ignored.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder, *model, *prompts;

static const char *config(const char *more) {
  static char text[1500];
  const char *path = in_folder(folder, "config.ini");
  (void)snprintf(text, sizeof text, "[model]\npath = %s\n[data]\n%s", model, more);
  write_text(path, text);
  return path;
}

static void contradictions_are_refused(void **state) {
  (void)state;
  char both[600];
  (void)snprintf(both, sizeof both, "use_test_data = true\ntrain = %s\n", prompts);
  ASSERT_ERROR(GEE("data", config(both)), 2, "data.train = ", "data.use_test_data", "leave one of them out");
  ASSERT_ERROR(GEE("data", config("use_test_data = true\neval_column = text\n")), 2,
               "data.eval_column = text", "data.eval,", "not set");
  ASSERT_ERROR(GEE("train", config("use_test_data = true\n[loss]\ndebias_only = true\nlambda_weight = 0\n"),
                   "--dry-run"),
               2, "loss.lambda_weight = 0", "loss.debias_only");
}

/// A line of a config, and the key and reason of the warning it gets; NULL: none.
static const struct {
  const char *lines, *key, *why;
} idle[] = {
    {"chat = off\n[model]\nchat_template = chatml\n", "model.chat_template", "data.chat = off"},
    {"balance_dataset = false\n", "data.balance_dataset", "a prompt of every group"},
    {"balance_dataset = false\n[groups]\ncounterfactual = off\n", NULL, NULL},
    {"eval_answers = 3\n[sampling]\nsample_temp = 0\n", "data.eval_answers", "the same answer"},
    {"[sampling]\nsample_temp = 0.0\ntop_p = 0.5\n", "sampling.top_p", "the likeliest token"},
    {"[sampling]\nsample_temp = 0\ntop_k = 5\n", "sampling.top_k", "the likeliest token"},
    {"[sampling]\nsample_temp = 0\ntop_p = 0.950\n", NULL, NULL}, // the default, spelled otherwise
    {"[sampling]\ntop_k = 5\n", NULL, NULL},
    {"[loss]\nanneal_min = 0.5\n", "loss.anneal_min", "loss.auto_anneal = false"},
    {"[loss]\nanneal_max = 2\n", "loss.anneal_max", "loss.auto_anneal = false"},
    {"[loss]\nanneal_max = 2\nauto_anneal = true\n", NULL, NULL},
    {"[loss]\nauto_anneal = true\nlambda_weight = 0\n", "loss.auto_anneal", "loss.lambda_weight = 0"},
    {"[loss]\ntarget_gap = 0.1\n", "loss.target_gap", "loss.debias_only"},
    {"[loss]\ntarget_evals = 2\n", "loss.target_evals", "loss.debias_only"},
    {"[loss]\ntask_weights_em = true\n", "loss.task_weights_em", "[task_weights]"},
    {"[loss]\ntask_weights_em = true\n[task_weights]\nmath = 2\n", NULL, NULL},
    {"[train]\nmode = full\n[lora]\nrank = 4\n", "lora.rank", "train.mode = full"},
    {"[train]\nmode = full\n[lora]\nalpha = 4\n", "lora.alpha", "train.mode = full"},
    {"[train]\nmode = full\n[lora]\ndropout = 0.1\n", "lora.dropout", "train.mode = full"},
    {"[train]\nmode = full\n[lora]\ntargets = all\n", "lora.targets", "train.mode = full"},
    {"[lora]\nrank = 4\n", NULL, NULL},
    {"[track]\nwandb_project = p\n", "track.wandb_project", "track.wandb = false"},
    {"[track]\nwandb_name = n\n", "track.wandb_name", "track.wandb = false"},
    {"[track]\nwandb_name = n\nwandb = true\nwandb_project =\n", NULL, NULL},
};

static void idle_keys_are_named(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof idle / sizeof *idle; i++) {
    char lines[400];
    (void)snprintf(lines, sizeof lines, "use_test_data = true\n%s", idle[i].lines);
    Ran ran = GEE("data", config(lines), "--limit", "0");
    assert_code(ran, 0);
    bool warned = test_contains(ran.err, "has no effect");
    if (warned != (idle[i].key != NULL)) fail_msg("%s: %s", idle[i].lines, ran.err);
    if (!warned) continue;
    if (!test_contains(ran.err, idle[i].key) || !test_contains(ran.err, idle[i].why))
      fail_msg("%s: %s", idle[i].lines, ran.err);
  }
}

static void held_out_is_idle_beside_a_file(void **state) {
  (void)state;
  char lines[600];
  (void)snprintf(lines, sizeof lines, "use_test_data = true\nheld_out = 0.5\neval = %s\n", prompts);
  Ran ran = GEE("data", config(lines));
  assert_code(ran, 0);
  assert_true(test_contains(ran.err, "data.held_out has no effect: data.eval"));
}

static void idle_options_are_named(void **state) {
  (void)state;
  Ran ran = GEE("generate", "--model", model, "--prompt", "a", "--max-new-tokens", "1", "--seed", "4",
                "--top-p", "0.5", "--chat-template", "chatml", "--force");
  assert_code(ran, 0);
  static const char *const options[] = {"--seed", "--top-p", "--chat-template", "--force"};
  for (size_t i = 0; i < 4; i++) {
    char text[64];
    (void)snprintf(text, sizeof text, "%s has no effect", options[i]);
    assert_true(test_contains(ran.err, text));
  }
  ran = GEE("generate", "--model", model, "--prompt", "a", "--max-new-tokens", "1", "--seed", "4",
            "--temperature", "1");
  assert_false(test_contains(ran.err, "no effect"));
  ran = GEE("data", config("use_test_data = true\n"), "--json", "--limit", "3");
  assert_true(test_contains(ran.err, "--limit has no effect: --json"));
  ASSERT_ERROR(GEE("train", config("use_test_data = true\n"), "--help-config"), 2, "--help-config",
               "config.ini");
}

/// What a command reads from `path` as its standard input.
static Ran score_from(const char *path, const char *output) {
  int kept = dup(STDIN_FILENO), file = open(path, O_RDONLY);
  assert_true(kept >= 0 && file >= 0);
  assert_int_equal(dup2(file, STDIN_FILENO), STDIN_FILENO);
  Ran ran = GEE("score", "--model", model, "--input", "-", "--output", output);
  assert_int_equal(dup2(kept, STDIN_FILENO), STDIN_FILENO);
  (void)close(kept);
  (void)close(file);
  return ran;
}

static void score_reads_the_standard_input(void **state) {
  (void)state;
  static const struct {
    const char *text;
    int code;
  } inputs[] = {
      {"{\"prompt\": \"ab\", \"answer\": \"cd\"}\n{\"prompt\": \"b\", \"answer\": \"a\"}\n", 0},
      {"[{\"prompt\": \"ab\", \"answer\": \"cd\"}, {\"prompt\": \"b\", \"answer\": \"a\"}]", 0},
      {"prompt,answer\nab,cd\nb,a\n", 0},
      {"answer\tprompt\ncd\tab\na\tb\n", 0},
      {"answer;prompt\ncd;ab\na;b\n", 0},
      {"ab\ncd\n", 2}, // no kind that can be told
      {"{\"prompt\": \"ab\"}\n", 2},
      {"", 2},
  };
  const char *path = in_folder(folder, "piped"), *named = in_folder(folder, "named.jsonl"),
             *expected = in_folder(folder, "expected.jsonl"), *found = in_folder(folder, "found.jsonl");
  write_text(named, inputs[0].text);
  assert_code(GEE("score", "--model", model, "--input", named, "--output", expected), 0);
  for (size_t i = 0; i < sizeof inputs / sizeof *inputs; i++) {
    write_text(path, inputs[i].text);
    Ran ran = score_from(path, found);
    assert_code(ran, inputs[i].code);
    if (inputs[i].code == 0)
      assert_same_file(found, expected);
    else
      assert_true(test_contains(ran.err, "the standard input"));
  }
}

/// Folders where a config, an adapter or a model is expected: what to give is said.
static void folders_of_a_run(void **state) {
  (void)state;
  const char *run = in_folder(folder, "run"), *final = in_folder(run, "final"),
             *none = in_folder(folder, "none");
  assert_ok(directory_create(final));
  assert_ok(directory_create(none));
  write_text(in_folder(final, "config.ini"), "");
  write_text(in_folder(final, "adapter_config.json"), "{}");
  ASSERT_ERROR(GEE("gap", run), 2, "is a folder", "/run/final/config.ini");
  ASSERT_ERROR(GEE("gap", final), 2, "is a folder", "/run/final/config.ini");
  ASSERT_ERROR(GEE("gap", none), 2, "is a folder; give a config");
  ASSERT_ERROR(GEE("generate", "--model", final, "--prompt", "a"), 2, "--adapter");
  // one line: nothing is said of the model of what is no adapter
  ASSERT_ERROR(GEE("generate", "--model", model, "--adapter", none, "--prompt", "a"), 2,
               "no adapter_config.json");
  ASSERT_ERROR(GEE("generate", "--model", model, "--prompt", "a", "--seed", "x"), 2, "from 0 to 2^64 - 1");
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  model = in_folder(folder, "model");
  assert_ok(directory_create(model));
  tiny_model_write(model);
  prompts = in_folder(folder, "prompts.txt");
  write_text(prompts, "She runs.\nHe sings.\n");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(contradictions_are_refused),
      cmocka_unit_test(idle_keys_are_named),
      cmocka_unit_test(held_out_is_idle_beside_a_file),
      cmocka_unit_test(idle_options_are_named),
      cmocka_unit_test(folders_of_a_run),
      cmocka_unit_test(score_reads_the_standard_input),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
