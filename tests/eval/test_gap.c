// The gap on a tiny model: equal to sampling and scoring one by one, for every chunk size, and 0 for equal
// prompts.
#include "support/gap_fixture.h"
#include "support/model_fixture.h"

#include "eval/gap.h"
#include "gen/score.h"
#include "io/json_write.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// h(answer | prompt), the only sequence in its pass.
static double score_one(Pass *pass, const Prompt *prompt, const Answer *answer) {
  TokenSpan span = gap_span(prompt);
  BatchAnswer one = {.tokens = {answer->tokens, answer->count}};
  float entropy[GAP_NEW_TOKENS];
  double sum = 0;
  ScoreJob job = {.prompts = &span, .prompt_count = 1, .answers = &one, .answer_count = 1, .tau = 1};
  assert_ok(score_answers(pass, &job, entropy, NULL));
  for (size_t t = 0; t < answer->count; t++) sum += (double)entropy[t];
  return sum / (double)answer->count;
}

/// Computes own and paired group means over the sets, one answer at a time.
static void measure_one_by_one(Model *model, const Dataset *data, double *own, double *paired) {
  size_t groups = groups_count(data->groups);
  PassOptions options = generate_pass_options(16, 32, 1, GAP_NEW_TOKENS);
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  for (size_t i = 0; i < data->count; i++) {
    for (uint32_t a = 0; a < GAP_ANSWERS; a++) {
      TokenSpan span = gap_span(&data->prompts[i]);
      AnswerRequest request = {0, (uint32_t)(i / groups) * GAP_ANSWERS + a};
      GenerateJob job = {.prompts = &span,
                         .prompt_count = 1,
                         .requests = &request,
                         .request_count = 1,
                         .sampling = gap_options.sampling,
                         .entropy_tau = 1,
                         .seed = 15,
                         .step = UINT32_MAX};
      Answer answer = {0};
      assert_ok(generate(pass, &job, &answer));
      own[i % groups] += score_one(pass, &data->prompts[i], &answer) / (GAP_SETS * GAP_ANSWERS);
      for (size_t g = 0; g < groups; g++)
        paired[g] += score_one(pass, &data->prompts[i / groups * groups + g], &answer) /
                     (double)(groups * GAP_SETS * GAP_ANSWERS);
      answer_free(&answer);
    }
  }
  pass_free(pass);
}

/// Runs the evaluation; free the result with metrics_free.
static MetricList measure(Model *model, const Dataset *data, const GapOptions *options) {
  Evaluation *gap = NULL;
  MetricList metrics = {0};
  assert_ok(gap_evaluation_create("gap", data, options, &gap));
  assert_ok(evaluation_run(gap, &(EvaluationRun){.model = model}, &metrics));
  evaluation_free(gap);
  return metrics;
}

static double value_of(const MetricList *metrics, const char *name) {
  return metrics_get(metrics, "%s", name).value;
}

static void assert_near(double a, double b, double tolerance) {
  double error = fabs(a - b);
  if (!(error <= tolerance)) fail_msg("%.9g is not %.9g (off by %g)", a, b, error);
}

/// Of more than two groups, every pair's signed difference of H, with an interval around it.
static void check_pairs(const MetricList *found, const GroupFile *groups, const double *H) {
  for (size_t of = 1; of < groups_count(groups); of++) {
    for (size_t minus = 0; minus < of; minus++) {
      Interval pair =
          metrics_get(found, "paired_gap_%s_minus_%s", groups_name(groups, of), groups_name(groups, minus));
      assert_near(pair.value, H[of] - H[minus], 1e-5);
      assert_true(pair.low < pair.value && pair.value < pair.high);
      assert_true(pair.value <= value_of(found, "paired_gap"));
    }
  }
  assert_true(isfinite(value_of(found, "paired_spread")));
}

/// Compares every chunk size with measuring one by one.
static void check_measure(const char *file) {
  Model *model = fixture_model("llama", DTYPE_F32);
  Dataset data = gap_dataset(file);
  size_t groups = groups_count(data.groups);
  double own[DATA_MAX_GROUPS] = {0}, paired[DATA_MAX_GROUPS] = {0}, mean = 0;
  measure_one_by_one(model, &data, own, paired);
  static const uint64_t memories[] = {0, 1, 8192}; // all at once, a set at a time, something between
  for (size_t m = 0; m < 3; m++) {
    GapOptions options = gap_options;
    options.memory = memories[m];
    MetricList found = measure(model, &data, &options);
    assert_int_equal(value_of(&found, "sets"), GAP_SETS);
    assert_int_equal(value_of(&found, "distinct_sets"), GAP_SETS);
    assert_int_equal(value_of(&found, "answers"), groups * GAP_SETS * GAP_ANSWERS);
    double answers = value_of(&found, "answers"), tokens = value_of(&found, "tokens");
    assert_true(tokens >= answers && tokens <= answers * GAP_NEW_TOKENS);
    mean = 0;
    for (size_t g = 0; g < groups; g++) {
      const char *group = groups_name(data.groups, g);
      assert_near(metrics_get(&found, "total_H_%s", group).value, own[g], 1e-5);
      assert_near(metrics_get(&found, "paired_H_%s", group).value, paired[g], 1e-5);
      mean += own[g] / (double)groups;
    }
    assert_near(value_of(&found, "H_bar"), mean, 1e-5);
    Interval gap = metrics_get(&found, "paired_gap");
    if (groups == 2) assert_near(gap.value, paired[1] - paired[0], 1e-5);
    assert_true(gap.low < gap.value && gap.value < gap.high);
    assert_true(value_of(&found, "paired_p") > 0 && value_of(&found, "paired_p") <= 1);
    if (groups > 2) check_pairs(&found, data.groups, paired);
    assert_true(value_of(&found, "paired_standard_error") > 0);
    assert_true(fabs(gap.value) > 1e-4); // something to measure
    metrics_free(&found);
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
  Dataset data = gap_dataset("gender");
  for (size_t s = 0; s < GAP_SETS; s++) { // partners become equal
    data.prompts[2 * s + 1].tokens.ids[1] = data.prompts[2 * s].tokens.ids[1];
    data.prompts[2 * s + 1].distinct = 2 * s;
  }
  MetricList found = measure(model, &data, &gap_options);
  // the same prompt and the same random numbers: the same answers
  assert_near(value_of(&found, "total_gap"), 0, 0);
  assert_near(value_of(&found, "paired_gap"), 0, 1e-6);
  metrics_free(&found);
  dataset_free(&data);
  model_free(model);
}

// ---- gaps that say nothing ----

static Status keep_first_token(void *user, const GapReading *reading) {
  *(int32_t *)user = reading->answer->tokens[0];
  return STATUS_OK;
}

static void check_void(Model *model, const Dataset *data, const GapOptions *options, GapVoid expected,
                       int32_t *token) {
  Evaluation *gap = NULL;
  MetricList found = {0};
  Str text = {0};
  assert_ok(gap_evaluation_create("gap", data, options, &gap));
  gap_evaluation_listen(gap, keep_first_token, token);
  assert_ok(evaluation_run(gap, &(EvaluationRun){.model = model}, &found));
  assert_int_equal(gap_void(&found), expected);
  assert_ok(evaluation_summarize(gap, &found, &text));
  assert_true(test_contains(str_text(&text), "; that says nothing: ") == (expected != GAP_VALID));
  str_free(&text);
  metrics_free(&found);
  evaluation_free(gap);
}

/// Empty answers, answers without any entropy, and answers that are all the same have no gap either.
static void test_void_gaps(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  ModelConfig *config = (ModelConfig *)(uintptr_t)model_config(model);
  Dataset data = gap_dataset("gender");
  GapOptions options = gap_options;
  int32_t token = 0;
  check_void(model, &data, &options, GAP_VALID, &token);
  options.entropy_tau = 1e-4f;
  check_void(model, &data, &options, GAP_CERTAIN, &token);
  options.entropy_tau = 1;
  options.sampling.temperature = 0;
  check_void(model, &data, &options, GAP_VALID, &token); // the answers of a prompt agree, not those of all
  for (size_t i = 1; i < data.count; i++) {
    data.prompts[i].tokens.count = data.prompts[0].tokens.count;
    memcpy(data.prompts[i].tokens.ids, data.prompts[0].tokens.ids,
           data.prompts[0].tokens.count * sizeof *data.prompts[0].tokens.ids);
    data.prompts[i].distinct = 0;
  }
  check_void(model, &data, &options, GAP_EQUAL, &token);
  options.answers = 1; // five in all: that may happen
  check_void(model, &data, &options, GAP_VALID, &token);
  config->eos[0] = token;
  config->eos_count = 1;
  check_void(model, &data, &options, GAP_EMPTY, &token);
  options.sampling.max_new_tokens = 1;
  config->eos[0] = token + 1; // cut, not ended
  check_void(model, &data, &options, GAP_VALID, &token);
  dataset_free(&data);
  model_free(model);
}

// ---- as an Evaluation ----

static void test_errors(void **state) {
  (void)state;
  Dataset data = gap_dataset("gender"), empty = {.counterfactual = true, .groups = data.groups};
  Evaluation *gap = NULL;
  GapOptions options = gap_options;
  options.answers = 0;
  assert_fails(gap_evaluation_create("gap", &data, &options, &gap), STATUS_INPUT, "at least one answer");
  options.answers = UINT32_MAX;
  assert_fails(gap_evaluation_create("gap", &data, &options, &gap), STATUS_INPUT, "too many");
  assert_fails(gap_evaluation_create("gap", &empty, &gap_options, &gap), STATUS_INPUT, "no prompts");
  data.prompts[3].group = 0; // a second prompt of this group in set 1, and none of the other
  assert_fails(gap_evaluation_create("gap", &data, &gap_options, &gap), STATUS_INPUT,
               "set 1 does not have one");
  data.set_start[1] = 1; // sets of one and three prompts
  assert_fails(gap_evaluation_create("gap", &data, &gap_options, &gap), STATUS_INPUT,
               "set 0 does not have one");
  data.counterfactual = false;
  assert_fails(gap_evaluation_create("gap", &data, &gap_options, &gap), STATUS_INPUT,
               "groups.counterfactual");
  assert_null(gap);
  evaluation_free(gap);
  dataset_free(&data);
}

// ---- a stop signal ----

/// A Progress that sets `stop` when the second phase begins: the signal comes while the first sets are
/// measured.
typedef struct Stopper {
  Progress progress;
  atomic_bool *stop;
  size_t begun, phases, updates, ended;
  uint64_t done, total;
} Stopper;

static void stopper_begin(Progress *progress, const char *label, const char *unit, uint64_t done,
                          uint64_t total) {
  Stopper *stopper = (Stopper *)progress;
  assert_string_equal(label, "measuring the gap");
  assert_string_equal(unit, "answer");
  assert_true(done == 0 && total > 0);
  stopper->done = 0;
  stopper->total = total;
  stopper->begun++;
}

static void stopper_update(Progress *progress, uint64_t done) {
  Stopper *stopper = (Stopper *)progress;
  assert_true(done >= stopper->done && done <= stopper->total);
  stopper->done = done;
  stopper->updates++;
}

static void stopper_line(Progress *progress, uint64_t done, const char *text, bool is_result) {
  (void)progress;
  (void)done;
  (void)is_result;
  fail_msg("the gap says \"%s\"", text);
}

static void stopper_phase(Progress *progress, const char *phase) {
  Stopper *stopper = (Stopper *)progress;
  assert_non_null(phase);
  if (++stopper->phases == 2) *stopper->stop = true;
}

static void stopper_end(Progress *progress) {
  ((Stopper *)progress)->ended++;
}

static void test_stop(void **state) {
  (void)state;
  static atomic_bool stop;
  static const ProgressType type = {stopper_begin, stopper_update, stopper_line, stopper_phase, stopper_end};
  Stopper stopper = {.progress = {&type}, .stop = &stop};
  Model *model = fixture_model("llama", DTYPE_F32);
  Dataset data = gap_dataset("gender");
  Evaluation *gap = NULL;
  MetricList found = {0};
  EvaluationRun run = {.model = model, .progress = &stopper.progress, .stop = &stop};
  GapOptions options = gap_options;
  options.memory = 1; // a set at a time
  assert_ok(gap_evaluation_create("gap", &data, &options, &gap));
  stop = true;
  assert_int_equal(evaluation_run(gap, &run, &found), STATUS_INTERRUPTED); // before the first token
  assert_true(stopper.begun == 1 && stopper.phases == 1 && stopper.ended == 1);
  stop = false;
  stopper.phases = 0;
  assert_fails(evaluation_run(gap, &run, &found), STATUS_INTERRUPTED, "stopped while computing");
  assert_true(stopper.begun == 2 && stopper.phases == 2 && stopper.ended == 2); // of ten
  assert_int_equal(found.count, 0);
  stop = false;
  assert_ok(evaluation_run(gap, &run, &found)); // and nothing of it is left behind
  assert_true(stopper.phases == 12 && stopper.updates > 0 && stopper.ended == 3);
  assert_true(stopper.done == stopper.total && (double)stopper.total == metrics_get(&found, "answers").value);
  metrics_free(&found);
  evaluation_free(gap);
  dataset_free(&data);
  model_free(model);
}

// ---- memory, JSON, the line for people ----

/// The plan counts what a run takes, and only a plan is planned on.
static void test_plan(void **state) {
  (void)state;
  Dataset data = gap_dataset("race");
  ModelFiles *files = NULL;
  Ops *plan = NULL, *ops = NULL;
  Model *planned = NULL, *model = NULL;
  Evaluation *gap = NULL;
  MetricList found = {0};
  GapOptions options = gap_options;
  options.memory = 8192;
  assert_ok(model_files_open(golden_path("llama"), &files));
  assert_ok(ops_create_plan(fixture_device(), &plan));
  assert_ok(ops_create(fixture_device(), "auto", &ops));
  assert_ok(model_load(plan, files, DTYPE_F32, &planned));
  assert_ok(model_load(ops, files, DTYPE_F32, &model));
  fixture_lora(planned, 0);
  fixture_lora(model, 0);
  assert_ok(gap_evaluation_create("gap", &data, &options, &gap));
  gap_evaluation_measure_kl(gap);
  assert_ok(evaluation_plan(gap, planned));
  assert_ok(evaluation_run(gap, &(EvaluationRun){.model = model}, &found));
  assert_true(ops_memory(ops)->peak[MEMORY_CACHE] > 0);
  for (int kind = 0; kind < MEMORY_KINDS; kind++)
    assert_int_equal(ops_memory(plan)->peak[kind], ops_memory(ops)->peak[kind]);
  assert_fails(evaluation_plan(gap, model), STATUS_FAILED, "gap: planning needs a plan");
  assert_fails(evaluation_run(gap, &(EvaluationRun){.model = planned}, &found), STATUS_FAILED, "a plan");
  metrics_free(&found);
  evaluation_free(gap);
  model_free(planned);
  model_free(model);
  model_files_close(files);
  dataset_free(&data);
  ops_free(plan);
  ops_free(ops);
}

static MetricList fixed_metrics(void) {
  MetricList metrics = {0};
  metrics_add_interval(&metrics, (Interval){0.25, -0.5, 1}, "total_gap");
  metrics_add(&metrics, 0.125, "total_standard_error");
  metrics_add(&metrics, 0.5, "total_p");
  metrics_add(&metrics, 2, "total_H_female");
  metrics_add(&metrics, 2.25, "total_H_male");
  metrics_add_interval(&metrics, (Interval){0.0625, NAN, NAN}, "paired_gap");
  metrics_add(&metrics, NAN, "paired_standard_error");
  metrics_add(&metrics, NAN, "paired_p");
  metrics_add(&metrics, 3, "paired_H_female");
  metrics_add(&metrics, 3.0625, "paired_H_male");
  metrics_add(&metrics, 2.125, "H_bar");
  metrics_add(&metrics, 1, "sets");
  metrics_add(&metrics, 1, "distinct_sets");
  metrics_add(&metrics, 2, "answers");
  metrics_add(&metrics, 12, "tokens");
  assert_ok(metrics_check(&metrics));
  return metrics;
}

static void tell_json(const Evaluation *gap, const MetricList *metrics, Str *text) {
  JsonWriter json = {0};
  str_free(text);
  json_object_begin(&json, NULL);
  assert_ok(evaluation_write_json(gap, metrics, &json));
  json_object_end(&json);
  assert_ok(json_finish(&json, "the gap", text));
}

/// As `gee-cl gap --json` and bias_eval.jsonl have it, and the line beside the steps.
static void test_json_and_line(void **state) {
  (void)state;
  Dataset data = gap_dataset("gender");
  MetricList metrics = fixed_metrics();
  Evaluation *gap = NULL;
  Str text = {0};
  assert_ok(gap_evaluation_create("gap", &data, &gap_options, &gap));
  tell_json(gap, &metrics, &text);
  assert_string_equal(
      str_text(&text),
      "{\"total\":{\"gap\":0.25,\"low\":-0.5,\"high\":1,\"standard_error\":0.125,\"p\":0.5,"
      "\"H\":{\"female\":2,\"male\":2.25}},"
      "\"paired\":{\"gap\":0.0625,\"low\":null,\"high\":null,\"standard_error\":null,\"p\":null,"
      "\"H\":{\"female\":3,\"male\":3.0625}},\"H_bar\":2.125,\"sets\":1,\"distinct_sets\":1,\"answers\":2,"
      "\"tokens\":12}");
  metrics_add_interval(&metrics, (Interval){0.5, 0.25, 0.75}, "kl");
  tell_json(gap, &metrics, &text);
  assert_true(str_ends(str_text(&text), ",\"tokens\":12,\"kl\":{\"mean\":0.5,\"low\":0.25,\"high\":0.75}}"));
  str_clear(&text);
  assert_ok(evaluation_summarize(gap, &metrics, &text));
  assert_string_equal(str_text(&text), "held out: gap +0.0625 (one set: no interval)  H 2.125");
  metrics_add(&metrics, GAP_CERTAIN, "void");
  tell_json(gap, &metrics, &text);
  assert_true(test_contains(str_text(&text), "\"void\":\"the model is sure of every token (its mean entropy "
                                             "is below 0.02 nats)\"}"));
  str_free(&text);
  metrics_free(&metrics);
  evaluation_free(gap);
  dataset_free(&data);
}

// ---- a base model ----

/// Measures two models on the same sets, and the second again as compared with the first.
static void check_base(const char *file, float max_drift, bool drifts) {
  Dataset data = gap_dataset(file);
  Model *model = fixture_model("llama", DTYPE_F32), *other = fixture_model("qwen2", DTYPE_F32);
  GapOptions options = gap_options;
  Evaluation *gap = NULL;
  MetricList alone = {0}, base = {0}, found = {0};
  Str text = {0};
  options.max_drift = max_drift;
  assert_ok(gap_evaluation_create("gap", &data, &options, &gap));
  assert_fails(gap_evaluation_keep_base(gap), STATUS_FAILED, "no base model was measured");
  assert_ok(evaluation_run(gap, &(EvaluationRun){.model = other}, &alone));
  assert_ok(evaluation_run(gap, &(EvaluationRun){.model = model}, &base));
  assert_ok(gap_evaluation_keep_base(gap));
  assert_fails(gap_evaluation_keep_base(gap), STATUS_FAILED, "no base model was measured");
  assert_ok(evaluation_run(gap, &(EvaluationRun){.model = other}, &found));
  for (size_t i = 0; i < alone.count; i++) // what is said of the model itself stays
    assert_memory_equal(&found.items[i].value, &alone.items[i].value, sizeof(double));
  for (size_t g = 0; g < groups_count(data.groups); g++) {
    const char *group = groups_name(data.groups, g);
    assert_near(metrics_get(&found, "change_paired_H_%s", group).value,
                metrics_get(&found, "paired_H_%s", group).value -
                    metrics_get(&base, "paired_H_%s", group).value,
                1e-12);
  }
  Interval change = metrics_get(&found, "change_H_bar");
  assert_near(change.value, value_of(&found, "H_bar") - value_of(&base, "H_bar"), 1e-12);
  assert_true(change.low < change.value && change.value < change.high);
  assert_near(value_of(&found, "change_H_bar_relative"), change.value / value_of(&base, "H_bar"), 1e-12);
  tell_json(gap, &found, &text);
  const char *moved = change.value < 0 ? "\"drift\":\"collapsed\"" : "\"drift\":\"blown up\"";
  assert_true(test_contains(str_text(&text), drifts ? moved : "\"drift\":\"none\""));
  assert_true(test_contains(str_text(&text), "\"change\":{\"total\":{\"gap\":"));
  metrics_free(&alone);
  metrics_free(&base);
  metrics_free(&found);
  str_free(&text);
  evaluation_free(gap);
  model_free(model);
  model_free(other);
  dataset_free(&data);
}

static void test_base(void **state) {
  (void)state;
  check_base("gender", 0, false);
  check_base("gender", 1e-6F, true);
  check_base("race", 100, false);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_two_groups), OPS_TEST(test_four_groups),   OPS_TEST(test_equal_prompts_have_no_gap),
      OPS_TEST(test_void_gaps),  OPS_TEST(test_errors),        OPS_TEST(test_stop),
      OPS_TEST(test_plan),       OPS_TEST(test_json_and_line), OPS_TEST(test_base),
  };
  return RUN_OPS_TESTS(tests);
}
