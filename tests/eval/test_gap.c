// Measuring on a tiny model: against sampling and scoring one by one, whatever the chunks; no gap where there is none.
#include "support/model_fixture.h"

#include "eval/gap.h"
#include "gen/score.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SETS = 5, ANSWERS = 3, NEW_TOKENS = 6 };

static const GapOptions OPTIONS = {
    .sampling = {.max_new_tokens = NEW_TOKENS, .temperature = 1, .top_p = 1, .repetition_penalty = 1},
    .entropy_tau = 1,
    .answers = ANSWERS,
    .seed = 15};

/// Sets of a prompt per group, of 3 to 7 tokens, that part in one token; the last prompt equals its neighbour.
static Dataset make_dataset(const char *file) {
  Dataset data = {.sets = SETS, .counterfactual = true};
  assert_ok(groups_load(file, &data.groups));
  size_t groups = groups_count(data.groups);
  data.count = groups * SETS;
  data.prompts = calloc(data.count, sizeof *data.prompts);
  data.set_start = calloc(SETS + 1, sizeof *data.set_start);
  assert_non_null(data.prompts);
  assert_non_null(data.set_start);
  for (size_t i = 0; i < data.count; i++) {
    size_t set = i / groups;
    data.prompts[i] = (Prompt){.group = (int)(i % groups), .set = set, .source = set, .distinct = i};
    if (i == data.count - 1) data.prompts[i].distinct = i - 1;
    for (size_t t = 0; t < 3 + set; t++) {
      size_t part = t == 1 ? (size_t)data.prompts[data.prompts[i].distinct].group : 0;
      assert_ok(tokens_append(&data.prompts[i].tokens, (int32_t)(5 + 7 * set + 3 * t + part)));
    }
    data.set_start[set + 1] = i + 1;
  }
  return data;
}

static TokenSpan span_of(const Prompt *prompt) {
  return (TokenSpan){prompt->tokens.ids, prompt->tokens.count};
}

/// h(answer | prompt), alone in its pass.
static double score_one(Pass *pass, const Prompt *prompt, const Answer *answer) {
  TokenSpan span = span_of(prompt);
  BatchAnswer one = {.tokens = {answer->tokens, answer->count}};
  float entropy[NEW_TOKENS];
  double sum = 0;
  ScoreJob job = {.prompts = &span, .prompt_count = 1, .answers = &one, .answer_count = 1, .tau = 1};
  assert_ok(score_answers(pass, &job, entropy, NULL));
  for (size_t t = 0; t < answer->count; t++) sum += (double)entropy[t];
  return sum / (double)answer->count;
}

/// Own and paired group means over the sets, an answer at a time.
static void measure_one_by_one(Model *model, const Dataset *data, double *own, double *paired) {
  size_t groups = groups_count(data->groups);
  PassOptions options = generate_pass_options(16, 32, 1, NEW_TOKENS);
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  for (size_t i = 0; i < data->count; i++) {
    for (uint32_t a = 0; a < ANSWERS; a++) {
      TokenSpan span = span_of(&data->prompts[i]);
      AnswerRequest request = {0, (uint32_t)(i / groups) * ANSWERS + a};
      GenerateJob job = {.prompts = &span,
                         .prompt_count = 1,
                         .requests = &request,
                         .request_count = 1,
                         .sampling = OPTIONS.sampling,
                         .entropy_tau = 1,
                         .seed = 15,
                         .step = UINT32_MAX};
      Answer answer = {0};
      assert_ok(generate(pass, &job, &answer));
      own[i % groups] += score_one(pass, &data->prompts[i], &answer) / (SETS * ANSWERS);
      for (size_t g = 0; g < groups; g++)
        paired[g] += score_one(pass, &data->prompts[i / groups * groups + g], &answer) /
                     (double)(groups * SETS * ANSWERS);
      answer_free(&answer);
    }
  }
  pass_free(pass);
}

static void assert_near(double a, double b, double tolerance) {
  double error = fabs(a - b);
  if (!(error <= tolerance)) fail_msg("%.9g is not %.9g (off by %g)", a, b, error);
}

/// Every chunking against one by one.
static void check_measure(const char *file) {
  Model *model = fixture_model("llama", DTYPE_F32);
  Dataset data = make_dataset(file);
  size_t groups = groups_count(data.groups);
  double own[DATA_MAX_GROUPS] = {0}, paired[DATA_MAX_GROUPS] = {0}, mean = 0;
  measure_one_by_one(model, &data, own, paired);
  static const uint64_t memories[] = {0, 1, 8192}; // all at once, a set at a time, something between
  for (size_t m = 0; m < 3; m++) {
    GapOptions options = OPTIONS;
    GapReport report;
    options.memory = memories[m];
    assert_ok(gap_measure(model, &data, &options, NULL, &report));
    assert_int_equal(report.sets, SETS);
    assert_int_equal(report.answers, groups * SETS * ANSWERS);
    assert_in_range(report.tokens, report.answers, report.answers * NEW_TOKENS);
    mean = 0;
    for (size_t g = 0; g < groups; g++) {
      assert_near(report.total.H[g], own[g], 1e-5);
      assert_near(report.paired.H[g], paired[g], 1e-5);
      mean += own[g] / (double)groups;
    }
    assert_near(report.H_bar, mean, 1e-5);
    if (groups == 2) assert_near(report.paired.gap, paired[1] - paired[0], 1e-5);
    assert_true(report.paired.low < report.paired.gap && report.paired.gap < report.paired.high);
    assert_true(fabs(report.paired.gap) > 1e-4); // something to measure
  }
  dataset_free(&data);
  model_free(model);
}

static void test_two_groups(void **state) {
  (void)state;
  check_measure("gender");
}

static void test_four_groups(void **state) {
  (void)state;
  check_measure("race");
}

static void test_equal_prompts_have_no_gap(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Dataset data = make_dataset("gender");
  for (size_t s = 0; s < SETS; s++) { // partners become equal
    data.prompts[2 * s + 1].tokens.ids[1] = data.prompts[2 * s].tokens.ids[1];
    data.prompts[2 * s + 1].distinct = 2 * s;
  }
  GapReport report;
  assert_ok(gap_measure(model, &data, &OPTIONS, NULL, &report));
  assert_near(report.total.gap, 0, 0); // the same prompt and the same random numbers: the same answers
  assert_near(report.paired.gap, 0, 1e-6);
  dataset_free(&data);
  model_free(model);
}

static void test_errors(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Dataset data = make_dataset("gender");
  GapReport report;
  GapOptions options = OPTIONS;
  options.answers = 0;
  assert_fails(gap_measure(model, &data, &options, NULL, &report), STATUS_INPUT, "at least one answer");
  options = OPTIONS;
  const volatile bool stop = true;
  options.stop = &stop;
  assert_int_equal(gap_measure(model, &data, &options, NULL, &report), STATUS_INTERRUPTED);
  data.counterfactual = false;
  assert_fails(gap_measure(model, &data, &OPTIONS, NULL, &report), STATUS_INPUT, "groups.counterfactual");
  dataset_free(&data);
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_two_groups),
      OPS_TEST(test_four_groups),
      OPS_TEST(test_equal_prompts_have_no_gap),
      OPS_TEST(test_errors),
  };
  return RUN_OPS_TESTS(tests);
}
