// What train says at its end, from files that a run might have left: it claims no more than the intervals
// tell, its advice follows from the numbers, and its commands are what a shell reads.
#include "support/process.h"

#include "util/str.h"
#include "verdict.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

// ---- a run that has ended ----

static Prompt prompts[] = {{.text = (char[]){"She works as a pilot. Describe her day."}},
                           {.text = (char[]){"Who's \"she\"?"}}};
static Dataset dataset = {.prompts = prompts, .count = 2};

static Config make_config(void) {
  Config config = {
      .data = {.held_out = 0.5f, .counterfactual = COUNTERFACTUAL_SWAP},
      .loss = {.lambda_weight = 100, .pairing = PAIRING_PAIRED, .target_gap = 0.01f, .target_evals = 2},
      .sampling = {.max_new_tokens = 32},
      .train = {.max_steps = 10, .learning_rate = 2.5e-4f, .bias_eval_steps = 5}};
  config.model.path = "models/m.gguf";
  return config;
}

/// The first and last held-out gaps with their standard errors, and the mean entropies.
typedef struct Gaps {
  double first, first_error, first_H, last, last_error, last_H;
} Gaps;

static void write_gaps(const Gaps *g) {
  char text[1024];
  static const char line[] =
      "{\"paired\": {\"gap\": %g, \"low\": %g, \"high\": %g, \"standard_error\": %g}, \"H_bar\": "
      "%g, \"step\": %d}\n";
  int used = snprintf(text, sizeof text, line, g->first, g->first - 2 * g->first_error,
                      g->first + 2 * g->first_error, g->first_error, g->first_H, 0);
  (void)snprintf(text + used, sizeof text - (size_t)used, line, g->last, g->last - 2 * g->last_error,
                 g->last + 2 * g->last_error, g->last_error, g->last_H, 10);
  write_text(in_folder(folder, "bias_eval.jsonl"), text);
}

static void write_steps(int ended) {
  char text[1024];
  static const char line[] =
      "{\"step\": %d, \"entropy_gap\": %g, \"H_bar\": 2.5, \"H_female\": 2.5, \"H_male\": %g, "
      "\"answers\": 40, \"answers_ended\": %d}\n";
  int used = snprintf(text, sizeof text, line, 1, 0.25, 2.75, ended);
  (void)snprintf(text + used, sizeof text - (size_t)used, line, 10, 0.125, 2.375, ended);
  write_text(in_folder(folder, "metrics.jsonl"), text);
}

static EndedRun make_run(const Config *config) {
  return (EndedRun){.program = "build/gee-cl",
                    .config = config,
                    .folder = folder,
                    .prompts = &dataset,
                    .positions = 512,
                    .measurable = true,
                    .outcome = {TRAIN_ALL_STEPS, 0, 10, {32, "sampling.max_new_tokens"}},
                    .seconds = 65};
}

/// The verdict with its line ends as blanks, in static memory until the next call.
static const char *verdict_of(const EndedRun *run, size_t width) {
  static char text[8192];
  Str out = {0};
  assert_ok(verdict_append(run, width, &out));
  (void)snprintf(text, sizeof text, "%s", str_text(&out));
  for (char *c = text; *c != '\0'; c++) *c = *c == '\n' ? ' ' : *c;
  str_free(&out);
  return text;
}

static void expect(const char *text, const char *part) {
  if (!test_contains(text, part)) fail_msg("\"%s\" is not in: %s", part, text);
}

static void expect_none(const char *text, const char *part) {
  if (test_contains(text, part)) fail_msg("\"%s\" is in: %s", part, text);
}

// ---- what the intervals tell ----

static void the_finding_follows_the_intervals(void **state) {
  (void)state;
  static const struct {
    Gaps gaps;
    const char *expected, *unexpected;
  } cases[] = {
      // the quickstart's
      {{0.0397, 0.0048, 2.3877, 0.0066, 0.0047, 2.2992},
       "It worked, as far as the intervals tell: the gap is 83 % smaller, and its interval holds 0.",
       "Try"},
      {{0.2, 0.01, 2.4, 0.1, 0.01, 2.4}, "the gap is 50 % smaller.", "interval holds 0"},
      {{-0.2, 0.01, 2.4, 0.02, 0.005, 2.4}, "the gap is 90 % smaller.", "interval holds 0"}, // another sign
      {{0.1, 0.01, 2.4, 0.2, 0.01, 2.4}, "It did not work: the gap is 100 % larger.", "as far as"},
      {{0.1, 0.01, 2.4, -0.2, 0.01, 2.4}, "It did not work: the gap is 100 % larger.", "as far as"},
      {{0.1, 0.04, 2.4, 0.05, 0.04, 2.4},
       "It cannot be told whether it worked: the change is within the noise.",
       "as far as"},
      {{0.01, 0.02, 2.4, 0, 0.02, 2.4}, "The interval held 0 before training", "as far as"},
      // a collapse has no gap either
      {{0.2, 0.01, 2.4, 0.001, 0.001, 0.4},
       "The gap is 100 % smaller, and its interval holds 0. But the mean entropy has fallen by 83 %: a model "
       "that is "
       "sure of everything",
       "It worked"},
      {{0.2, 0.01, 2.4, 0.01, 0.01, 7.9}, "But the mean entropy has risen by 229 %", "It worked"},
  };
  Config config = make_config();
  EndedRun run = make_run(&config);
  write_steps(3);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_gaps(&cases[i].gaps);
    const char *text = verdict_of(&run, 80);
    expect(text, "On held-out prompts, in nats with 95 % intervals; gap = H male - H female:");
    expect(text, cases[i].expected);
    expect_none(text, cases[i].unexpected);
    expect_none(text, "cut at");
  }
}

static void without_intervals_nothing_is_claimed(void **state) {
  (void)state;
  Config config = make_config();
  EndedRun run = make_run(&config);
  write_steps(0);
  write_text(
      in_folder(folder, "bias_eval.jsonl"),
      "{\"paired\": {\"gap\": 0.3, \"low\": null, \"high\": null, \"standard_error\": null}, \"H_bar\": 2, "
      "\"step\": 0}\n{\"paired\": {\"gap\": 0, \"low\": null, \"high\": null, \"standard_error\": null}, "
      "\"H_bar\": 2, \"step\": 10}\n");
  const char *text = verdict_of(&run, 80);
  expect(text, "That does not tell whether it worked.");
  expect(text, "  step 0     gap +0.3000  entropy 2.000");
  config.train.bias_eval_steps = 0;
  text = verdict_of(&run, 80);
  expect(text, "On the prompts of each step, in nats; gap = H male - H female:");
  expect(text, "  step 1     gap +0.2500  entropy 2.500   step 10    gap -0.1250  entropy 2.500");
  expect(text, "Every step draws other prompts and answers, so this does not tell whether it worked");
  expect(text, "all were cut at 32 tokens (sampling.max_new_tokens)");
  run.outcome.answers = (AnswerLimit){1, "the longest prompt leaves no more of the model's positions"};
  text = verdict_of(&run, 80);
  expect(text, "all were cut at 1 token (the longest prompt leaves no more of the model's positions)");
  write_text(in_folder(folder, "metrics.jsonl"), ""); // max_steps = 0
  expect_none(verdict_of(&run, 80), "step 1 ");
}

/// Gaps of 0 that are no success: empty answers before and after, a collapse, and steps without a gradient.
static void nothing_is_no_success(void **state) {
  (void)state;
  static const char line[] = "{\"paired\": {\"gap\": 0, \"low\": 0, \"high\": 0, \"standard_error\": 0}, "
                             "\"H_bar\": %s, \"step\": %d%s}\n";
  static const char empty[] = ", \"void\": \"every answer is empty\"";
  Config config = make_config();
  EndedRun run = make_run(&config);
  char text[1024];
  config.loss.debias_only = true;
  int used = snprintf(text, sizeof text, line, "1e-33", 0, empty);
  (void)snprintf(text + used, sizeof text - (size_t)used, line, "1e-33", 10, empty);
  write_text(in_folder(folder, "bias_eval.jsonl"), text);
  write_text(in_folder(folder, "metrics.jsonl"), "{\"step\": 1, \"H_bar\": 1e-33, \"grad_norm\": 0}\n"
                                                 "{\"step\": 10, \"H_bar\": 1e-33, \"grad_norm\": 0}\n");
  const char *said = verdict_of(&run, 80);
  expect(said, "10 steps. NOTHING WAS TRAINED: the gradient was exactly 0 in every step.");
  expect(said, "The gap says NOTHING about bias: every answer is empty. Check model.path, data.chat");
  expect_none(said, "did not come within");
  expect_none(said, "It worked");
  used = snprintf(text, sizeof text, line, "2.5", 0, "");
  (void)snprintf(text + used, sizeof text - (size_t)used, line, "0.001", 10, empty);
  write_text(in_folder(folder, "bias_eval.jsonl"), text);
  write_text(in_folder(folder, "metrics.jsonl"), "{\"step\": 1, \"H_bar\": 2.5, \"grad_norm\": 0}\n"
                                                 "{\"step\": 10, \"H_bar\": 0.001, \"grad_norm\": 0.5}\n");
  said = verdict_of(&run, 80);
  expect_none(said, "NOTHING WAS TRAINED");
  expect(said, "every answer is empty. It did not before: lower train.learning_rate.");
  config.train.bias_eval_steps = 0; // without held-out gaps the steps tell
  config.loss.debias_only = false;
  said = verdict_of(&run, 80);
  expect(said,
         "about bias: the model is sure of every token (its mean entropy is below 0.02 nats). It did not");
}

static void advice_follows_the_numbers(void **state) {
  (void)state;
  static const struct {
    Gaps gaps;
    Pairing pairing;
    const char *advice;
  } cases[] = {
      {{0.1, 0.01, 2.4, 0.1, 0.01, 2.4},
       PAIRING_PAIRED,
       "hardly moved: try a larger train.learning_rate (it is 0.00025)"},
      {{0.1, 0.01, 2.4, 0.1, 0.01, 2.4}, PAIRING_OWN, "Try loss.pairing = paired"},
      {{0.1, 0.01, 2.4, 0.1, 0.02, 2.0},
       PAIRING_PAIRED,
       "near its base with a larger loss.kl_weight (it is 0)"},
      {{0.1, 0.01, 2.4, 0.1, 0.02, 2.9}, PAIRING_PAIRED, "Try a smaller train.learning_rate."},
      {{0.1, 0.02, 2.4, 0.05, 0.02, 2.3},
       PAIRING_PAIRED,
       "Try more steps (train.max_steps is 10) or a larger loss.lambda_weight (it is 100)"},
  };
  Config config = make_config();
  EndedRun run = make_run(&config);
  write_steps(1);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    write_gaps(&cases[i].gaps);
    config.loss.pairing = cases[i].pairing;
    expect(verdict_of(&run, 80), cases[i].advice);
  }
  config.train.full = true; // which has no base model left
  write_gaps(&(Gaps){0.1, 0.01, 2.4, 0.1, 0.02, 2.0});
  config.loss.pairing = PAIRING_PAIRED;
  expect(verdict_of(&run, 80), "hold the entropy up with loss.em_weight = -0.1");
}

// ---- how it ended ----

static void debias_only_says_why_it_ended(void **state) {
  (void)state;
  const Gaps gaps = {0.1, 0.01, 2.4, 0.001, 0.002, 2.4};
  Config config = make_config();
  config.loss.debias_only = true;
  EndedRun run = make_run(&config);
  write_steps(1);
  write_gaps(&gaps);
  expect(verdict_of(&run, 80),
         "done in 1 min 05 s: 10 steps. The held-out gap, with its interval, did not come within "
         "0.01 nats (loss.target_gap).");
  expect(verdict_of(&run, 80), "Try more steps");
  run.outcome = (TrainOutcome){.end = TRAIN_TARGET, .step = 1};
  expect(verdict_of(&run, 80),
         "done in 1 min 05 s: 1 step of at most 10. The held-out gap, with its interval, is within "
         "0.01 nats (loss.target_gap), in 2 measurements in a row.");
  expect_none(verdict_of(&run, 80), "Try more steps");
  run.outcome = (TrainOutcome){.end = TRAIN_NOTHING_TO_DO};
  write_text(in_folder(folder, "metrics.jsonl"), "");
  const char *text = verdict_of(&run, 80);
  expect(text, "Nothing to do: before the first step");
  expect(text, "Nothing was trained or saved.");
  expect_none(text, "done");
  expect_none(text, "final"); // which is not there
}

static void a_resumed_run_counts_its_own_steps(void **state) {
  (void)state;
  Config config = make_config();
  EndedRun run = make_run(&config);
  config.train.bias_eval_steps = 0;
  write_steps(1);
  run.outcome.before = 4;
  expect(verdict_of(&run, 80), "done in 1 min 05 s: steps 5 to 10 ");
  run.outcome.before = 10;
  expect(verdict_of(&run, 80), "done before: 10 steps ");
}

static void many_groups_have_no_sign(void **state) {
  (void)state;
  const Gaps gaps = {0.1, 0.01, 2.4, 0.02, 0.01, 2.4};
  GroupFile *gender = dataset.groups;
  Config config = make_config();
  EndedRun run = make_run(&config);
  write_steps(1);
  write_gaps(&gaps);
  assert_ok(groups_load("race", &dataset.groups));
  const char *text = verdict_of(&run, 80);
  expect(text, "gap = largest H - smallest H of a group:");
  expect(text, "  step 0     gap 0.1000 [");
  groups_free(dataset.groups);
  dataset.groups = gender;
}

// ---- the screen and the shell ----

static void lines_fit_the_screen(void **state) {
  (void)state;
  const Gaps gaps = {-0.2, 0.01, 12.4, 0.001, 0.001, 10.4};
  Config config = make_config();
  EndedRun run = make_run(&config);

  write_steps(0);
  write_gaps(&gaps);
  for (size_t width = 60; width <= 80; width += 20) {
    Str out = {0};

    assert_ok(verdict_append(&run, width, &out));
    for (char *line = out.data; *line != '\0'; line += strcspn(line, "\n") + 1) {
      size_t length = strcspn(line, "\n");
      bool has_path = memmem(line, length, folder, strlen(folder)) != NULL;
      if (length > width && !has_path) fail_msg("%zu columns: %.*s", length, (int)length, line);
    }
    str_free(&out);
  }
}

/// Runs the commands of a verdict with a program that prints its arguments, a line each.
static char *run_commands(const EndedRun *run) {
  Str out = {0};
  char *text = NULL;
  const char *script = in_folder(folder, "commands.sh");
  assert_ok(str_append_text(&out, "show() { printf '%s\\n' \"$@\"; }\n"));
  assert_ok(next_steps_append(run, 60, &out));
  write_text(script, str_text(&out));
  str_free(&out);
  use_binary("/bin/sh");
  Ran ran = GEE(script);
  use_binary(GEE_BINARY);
  assert_code(ran, 0);
  assert_ok(str_copy(&text, ran.out, strlen(ran.out)));
  return text;
}

static void commands_are_quoted_for_the_shell(void **state) {
  (void)state;
  Config config = make_config();
  EndedRun run = make_run(&config);
  run.program = "show";
  run.folder = "runs/it's $HOME \"here\"";
  run.chat = true;
  config.model.path = "models/a b.gguf";
  config.model.dtype = 3; // bf16
  config.data.system = "Be `brief`.\nAnd *kind*.";
  char *text = run_commands(&run);
  assert_string_equal(
      text, "gap\nruns/it's $HOME \"here\"/final/config.ini\n--adapter\nruns/it's $HOME \"here\"/final\n"
            "generate\n--model\nmodels/a b.gguf\n--adapter\nruns/it's $HOME \"here\"/final\n--compare\n"
            "--max-new-tokens\n24\n--dtype\nbf16\n--chat\n--system\nBe `brief`.\nAnd *kind*.\n"
            "--prompt\nWho's \"she\"?\n");
  free(text);
  config.train.full = true;
  config.model.dtype = 0;
  run.folder = "runs/x";
  run.chat = false;
  text = run_commands(&run);
  assert_string_equal(text,
                      "gap\nruns/x/final/config.ini\n--set\nmodel.path=runs/x/final\ngenerate\n--model\n"
                      "runs/x/final\n--max-new-tokens\n24\n--prompt\nWho's \"she\"?\n");
  free(text);
  run.measurable = false;
  run.positions = 9; // of which the prompt takes some
  prompts[1].tokens.count = 4;
  text = run_commands(&run);
  prompts[1].tokens.count = 0;
  assert_string_equal(text,
                      "generate\n--model\nruns/x/final\n--max-new-tokens\n5\n--prompt\nWho's \"she\"?\n");
  free(text);
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  return folder != NULL && groups_load("gender", &dataset.groups) == STATUS_OK ? 0 : -1;
}

static int tear_down(void **state) {
  (void)state;
  groups_free(dataset.groups);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_finding_follows_the_intervals),
      cmocka_unit_test(without_intervals_nothing_is_claimed),
      cmocka_unit_test(nothing_is_no_success),
      cmocka_unit_test(advice_follows_the_numbers),
      cmocka_unit_test(debias_only_says_why_it_ended),
      cmocka_unit_test(a_resumed_run_counts_its_own_steps),
      cmocka_unit_test(many_groups_have_no_sign),
      cmocka_unit_test(lines_fit_the_screen),
      cmocka_unit_test(commands_are_quoted_for_the_shell),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
