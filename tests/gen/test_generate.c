// Sampling and scoring on the tiny models: an answer does not depend on the others, and the measured numbers
// are those of a whole forward pass.
#include "support/model_fixture.h"

#include "gen/generate.h"
#include "gen/reread.h"
#include "gen/score.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { NEW_TOKENS = 9, MAX_ANSWERS = 12, VOCAB = 67 };

static const SamplingOptions greedy = {
    .max_new_tokens = NEW_TOKENS, .temperature = 0, .top_p = 1, .repetition_penalty = 1};
static const SamplingOptions warm = {
    .max_new_tokens = NEW_TOKENS, .temperature = 1.5f, .top_p = 0.98f, .repetition_penalty = 1.15f};

/// Six answers to the prompts of the golden samples, in mixed order.
static const AnswerRequest requests[] = {{0, 0}, {2, 1}, {1, 2}, {0, 3}, {1, 4}, {0, 5}};
enum { REQUESTS = sizeof requests / sizeof *requests };

static GenerateJob job_of(const SamplingOptions *sampling, size_t first, size_t count) {
  const Samples *samples = golden_samples();
  return (GenerateJob){.prompts = samples->prompts,
                       .prompt_count = samples->prompt_count,
                       .requests = requests + first,
                       .request_count = count,
                       .sampling = *sampling,
                       .entropy_tau = 0.5f,
                       .seed = 15,
                       .step = 3};
}

static Pass *sampling_pass(Model *model, size_t rows_at_once, size_t tile) {
  PassOptions options = generate_pass_options(9, rows_at_once, MAX_ANSWERS, NEW_TOKENS);
  options.head_tile_rows = tile;
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  return pass;
}

static void free_answers(Answer *answers, size_t count) {
  for (size_t i = 0; i < count; i++) answer_free(&answers[i]);
}

static void expect_equal(const Answer *a, const Answer *b) {
  assert_int_equal(a->count, b->count);
  assert_int_equal(a->ended, b->ended);
  assert_memory_equal(a->tokens, b->tokens, a->count * sizeof *a->tokens);
  assert_memory_equal(a->entropy, b->entropy, a->count * sizeof *a->entropy);
  assert_memory_equal(a->log_z, b->log_z, a->count * sizeof *a->log_z);
}

/// Compares the entropies, log Z and, if greedy, the arg max of every prediction with a whole forward pass of
/// each answer alone.
static void expect_measured(Model *model, const GenerateJob *job, const Answer *answers, bool is_greedy) {
  PassOptions options = {.kind = PASS_INFERENCE, .max_rows = 5 + NEW_TOKENS, .head_tile_rows = 3};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  for (size_t i = 0; i < job->request_count; i++) {
    BatchAnswer answer = {.tokens = {answers[i].tokens, answers[i].count}};
    const TokenSpan *prompt = &job->prompts[job->requests[i].prompt];
    float entropy[NEW_TOKENS], log_z[NEW_TOKENS], scored[NEW_TOKENS], logits[VOCAB];
    Batch batch = {0};
    assert_ok(batch_build(prompt, 1, &answer, 1, true, &batch));
    assert_ok(pass_forward(pass, &batch, (DropoutDraw){0}));
    assert_ok(pass_statistics(pass, &batch, job->entropy_tau, entropy, log_z, NULL));
    for (size_t t = 0; t < answers[i].count; t++) {
      assert_true(fabsf(answers[i].entropy[t] - entropy[t]) <= 1e-5f);
      assert_true(fabsf(answers[i].log_z[t] - log_z[t]) <= 1e-5f * fmaxf(1, fabsf(log_z[t])));
      const Tensor *tensor = NULL;
      assert_ok(pass_logits(pass, &batch.head_row[t], 1, &tensor));
      assert_ok(tensor_read(tensor, 0, VOCAB, logits));
      size_t best = 0;
      for (size_t v = 1; v < VOCAB; v++) best = logits[v] > logits[best] ? v : best;
      if (is_greedy) assert_int_equal(answers[i].tokens[t], best);
    }
    ScoreJob one = {
        .prompts = prompt, .prompt_count = 1, .answers = &answer, .answer_count = 1, .tau = job->entropy_tau};
    assert_ok(score_answers(pass, &one, scored, NULL));
    assert_memory_equal(scored, entropy, answers[i].count * sizeof *scored);
    batch_free(&batch);
  }
  pass_free(pass);
}

static void test_entropies_and_greedy_tokens_match_the_forward_pass(void **state) {
  (void)state;
  static const char *const names[] = {"llama", "qwen2"};
  for (size_t m = 0; m < 2; m++) {
    Model *model = fixture_model(names[m], DTYPE_F32);
    for (int is_greedy = 0; is_greedy < 2; is_greedy++) {
      GenerateJob job = job_of(is_greedy ? &greedy : &warm, 0, REQUESTS);
      Answer answers[REQUESTS];
      Pass *pass = sampling_pass(model, 9, 5);
      assert_ok(generate(pass, &job, answers));
      expect_measured(model, &job, answers, is_greedy);
      free_answers(answers, REQUESTS);
      pass_free(pass);
    }
    model_free(model);
  }
}

/// Sampled together, alone, twice, with smaller pieces of prefill or smaller tiles of logits: the bits are
/// the same.
static void test_answers_do_not_depend_on_the_others(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  // 6 rows for 9 prompt tokens: the prefill takes more than one piece.
  PassOptions options = generate_pass_options(9, 5, REQUESTS, NEW_TOKENS);
  options.head_tile_rows = 1;
  Pass *small = NULL;
  assert_int_equal(options.max_rows, 6);
  assert_ok(pass_create(model, &options, &small));
  GenerateJob job = job_of(&warm, 0, REQUESTS);
  Answer together[REQUESTS], again[REQUESTS], alone;
  assert_ok(generate(pass, &job, together));
  assert_ok(generate(pass, &job, again));
  for (size_t i = 0; i < REQUESTS; i++) expect_equal(&together[i], &again[i]);
  free_answers(again, REQUESTS);
  assert_ok(generate(small, &job, again));
  for (size_t i = 0; i < REQUESTS; i++) expect_equal(&together[i], &again[i]);
  free_answers(again, REQUESTS);
  for (size_t i = 0; i < REQUESTS; i++) {
    GenerateJob one = job_of(&warm, i, 1);
    assert_ok(generate(pass, &one, &alone));
    expect_equal(&together[i], &alone);
    answer_free(&alone);
  }
  free_answers(together, REQUESTS);
  pass_free(pass);
  pass_free(small);
  model_free(model);
}

/// Answers that share a prompt's rows are the same as when each has its own copy of the prompt.
static void test_shared_prompts(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Model *model = fixture_model("qwen2", DTYPE_F32);
  PassOptions options = generate_pass_options(REQUESTS * 5, REQUESTS * 5, REQUESTS, NEW_TOKENS);
  Pass *pass = NULL;
  assert_ok(pass_create(model, &options, &pass));
  GenerateJob job = job_of(&warm, 0, REQUESTS), apart = job;
  TokenSpan prompts[REQUESTS];
  AnswerRequest own[REQUESTS];
  Answer shared[REQUESTS], unshared[REQUESTS];
  for (size_t i = 0; i < REQUESTS; i++) {
    prompts[i] = samples->prompts[requests[i].prompt];
    own[i] = (AnswerRequest){i, requests[i].stream};
  }
  apart.prompts = prompts;
  apart.prompt_count = REQUESTS;
  apart.requests = own;
  assert_ok(generate(pass, &job, shared));
  assert_ok(generate(pass, &apart, unshared));
  for (size_t i = 0; i < REQUESTS; i++) expect_equal(&shared[i], &unshared[i]);
  free_answers(shared, REQUESTS);
  free_answers(unshared, REQUESTS);
  pass_free(pass);
  model_free(model);
}

/// Equal streams of one prompt draw equal answers; other streams, seeds and steps draw other answers.
static void test_streams(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  AnswerRequest list[] = {{0, 7}, {0, 7}, {0, 8}};
  SamplingOptions hot = {
      .max_new_tokens = NEW_TOKENS, .temperature = 50, .top_p = 1, .repetition_penalty = 1};
  GenerateJob job = job_of(&hot, 0, 3);
  job.requests = list;
  Answer base[3], other[3];
  assert_ok(generate(pass, &job, base));
  expect_equal(&base[0], &base[1]);
  assert_true(memcmp(base[0].tokens, base[2].tokens, 2 * sizeof(int32_t)) != 0);
  for (int key = 0; key < 2; key++) {
    GenerateJob changed = job;
    if (key == 0) changed.seed++;
    if (key == 1) changed.step++;
    assert_ok(generate(pass, &changed, other));
    assert_true(memcmp(base[0].tokens, other[0].tokens, 2 * sizeof(int32_t)) != 0);
    free_answers(other, 3);
  }
  free_answers(base, 3);
  pass_free(pass);
  model_free(model);
}

/// With an overwhelming penalty no token is drawn twice, and none of the prompt's is drawn.
static void test_repetition_penalty_counts_the_prompt(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  SamplingOptions sampling = greedy;
  sampling.repetition_penalty = 1e5f; // seen tokens score z / 1e5, about 0, or −|z| · 1e5
  GenerateJob job = job_of(&sampling, 0, REQUESTS);
  Answer answers[REQUESTS];
  assert_ok(generate(pass, &job, answers));
  for (size_t i = 0; i < REQUESTS; i++) {
    bool seen[VOCAB] = {false};
    TokenSpan prompt = samples->prompts[requests[i].prompt];
    for (size_t t = 0; t < prompt.count; t++) seen[prompt.ids[t]] = true;
    for (size_t t = 0; t < answers[i].count; t++) {
      assert_false(seen[answers[i].tokens[t]]);
      seen[answers[i].tokens[t]] = true;
    }
  }
  free_answers(answers, REQUESTS);
  pass_free(pass);
  model_free(model);
}

/// An answer ends with its first EOS (2 or 5 in these models), which it includes; the other answers continue.
static void test_answers_end(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  SamplingOptions hot = {
      .max_new_tokens = NEW_TOKENS, .temperature = 100, .top_p = 1, .repetition_penalty = 1};
  size_t ended = 0, cut = 0;
  for (uint32_t step = 0; step < 20; step++) {
    AnswerRequest list[MAX_ANSWERS];
    Answer answers[MAX_ANSWERS];
    for (size_t i = 0; i < MAX_ANSWERS; i++) list[i] = (AnswerRequest){i % 3, (uint32_t)i};
    GenerateJob job = job_of(&hot, 0, MAX_ANSWERS);
    job.requests = list;
    job.step = step;
    assert_ok(generate(pass, &job, answers));
    for (size_t i = 0; i < MAX_ANSWERS; i++) {
      for (size_t t = 0; t < answers[i].count; t++) {
        bool eos = answers[i].tokens[t] == 2 || answers[i].tokens[t] == 5, last = t + 1 == answers[i].count;
        assert_int_equal(eos, last && answers[i].ended);
      }
      assert_true(answers[i].ended || answers[i].count == NEW_TOKENS);
      ended += answers[i].ended && answers[i].count < NEW_TOKENS;
      cut += !answers[i].ended;
    }
    free_answers(answers, MAX_ANSWERS);
  }
  assert_true(ended > 0 && cut > 0); // both cases occurred
  pass_free(pass);
  model_free(model);
}

typedef struct Stops {
  size_t calls;
  atomic_bool stop;
} Stops;

static bool stop_second(void *user, size_t request, int32_t token) {
  Stops *stops = user;
  (void)token;
  stops->calls++;
  if (stops->calls == 10) stops->stop = true;
  return request != 1;
}

static void test_stopping(void **state) {
  (void)state;
  Model *model = fixture_model("qwen2", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  Stops stops = {0};
  GenerateJob job = job_of(&warm, 0, REQUESTS);
  Answer answers[REQUESTS];
  job.on_token = stop_second;
  job.user = &stops;
  assert_ok(generate(pass, &job, answers));
  assert_int_equal(answers[1].count, 1);
  assert_false(answers[1].ended);
  free_answers(answers, REQUESTS);
  job.stop = &stops.stop;
  stops = (Stops){0};
  assert_fails(generate(pass, &job, answers), STATUS_INTERRUPTED, "interrupted");
  assert_true(stops.calls >= 10 && stops.calls < 20);
  free_answers(answers, REQUESTS);
  pass_free(pass);
  model_free(model);
}

static void test_jobs_that_do_not_fit(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  Answer answers[MAX_ANSWERS + 1];
  int32_t long_ids[130] = {0}, foreign[] = {67};
  struct {
    TokenSpan prompt;
    size_t requests, new_tokens;
    float top_p;
    const char *message;
  } cases[] = {{{long_ids, 13}, 1, 3, 1, "13 tokens"},        {{long_ids, 0}, 1, 3, 1, "no tokens"},
               {{foreign, 1}, 1, 3, 1, "token 67"},           {{long_ids, 2}, 13, 3, 1, "13 answers"},
               {{long_ids, 9}, 12, 50, 1, "keys and values"}, {{long_ids, 2}, 1, 127, 1, "128 positions"},
               {{long_ids, 2}, 1, 0, 1, "max_new_tokens"},    {{long_ids, 2}, 1, 3, 0, "top_p"}};
  AnswerRequest list[MAX_ANSWERS + 1] = {{0}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    SamplingOptions sampling = {cases[i].new_tokens, 1, cases[i].top_p, 0, 1};
    GenerateJob job = job_of(&sampling, 0, cases[i].requests);
    job.prompts = &cases[i].prompt;
    job.prompt_count = 1;
    job.requests = list;
    assert_fails(generate(pass, &job, answers), STATUS_INPUT, cases[i].message);
    free_answers(answers, cases[i].requests);
  }
  pass_free(pass);
  model_free(model);
}

/// Scoring in batches gives the numbers of one whole pass.
static void test_scoring_splits(void **state) {
  (void)state;
  const Samples *samples = golden_samples();
  Model *model = fixture_model("llama", DTYPE_F32);
  float whole[2][SAMPLES_TOKENS], parts[2][SAMPLES_TOKENS];
  size_t predictions = 0;
  ScoreJob job = {.prompts = samples->prompts,
                  .prompt_count = samples->prompt_count,
                  .answers = samples->answers,
                  .answer_count = samples->answer_count,
                  .tau = 1};
  for (size_t i = 0; i < samples->answer_count; i++) predictions += samples->answers[i].tokens.count;
  for (size_t rows = 64; rows >= 10; rows = rows == 64 ? 13 : rows - 3) {
    PassOptions options = {.kind = PASS_INFERENCE, .max_rows = rows, .head_tile_rows = 4};
    Pass *pass = NULL;
    float(*out)[SAMPLES_TOKENS] = rows == 64 ? whole : parts;
    assert_ok(pass_create(model, &options, &pass));
    assert_ok(score_answers(pass, &job, out[0], out[1]));
    for (size_t i = 0; i < predictions; i++) {
      assert_true(fabsf(out[0][i] - whole[0][i]) <= 1e-5f);
      assert_true(fabsf(out[1][i] - whole[1][i]) <= 1e-5f * fmaxf(1, fabsf(whole[1][i])));
    }
    pass_free(pass);
  }
  PassOptions tight = {.kind = PASS_INFERENCE, .max_rows = 9, .head_tile_rows = 4};
  Pass *pass = NULL;
  assert_ok(pass_create(model, &tight, &pass));
  assert_fails(score_answers(pass, &job, whole[0], NULL), STATUS_INPUT, "answer 1 takes 10 rows");
  pass_free(pass);
  model_free(model);
}

// ---- reading again ----

enum { PROMPTS = 3, READINGS = REQUESTS * PROMPTS };

static void note_read(void *user, size_t readings) {
  size_t *reported = user;
  assert_true(readings > *reported && readings <= READINGS);
  *reported = readings;
}

/// The entropies of `answer` under `prompt`, from a forward of its own.
static void score_under(Pass *pass, const GenerateJob *job, size_t prompt, const Answer *answer,
                        float *entropy) {
  BatchAnswer one = {.tokens = {answer->tokens, answer->count}};
  ScoreJob score = {.prompts = &job->prompts[prompt],
                    .prompt_count = 1,
                    .answers = &one,
                    .answer_count = 1,
                    .tau = job->entropy_tau};
  assert_ok(score_answers(pass, &score, entropy, NULL));
}

/// Every answer under every prompt, its own included, has the entropies that a separate forward measures.
static void test_reading_again_is_scoring(void **state) {
  (void)state;
  static const char *const names[] = {"llama", "qwen2"};
  for (size_t m = 0; m < 2; m++) {
    Model *model = fixture_model(names[m], DTYPE_F32);
    Pass *pass = sampling_pass(model, 20, 5), *alone = sampling_pass(model, 32, 5);
    GenerateJob job = job_of(&warm, 0, REQUESTS);
    Answer answers[REQUESTS];
    Reading readings[READINGS];
    float entropy[READINGS * NEW_TOKENS], log_z[READINGS * NEW_TOKENS], expected[NEW_TOKENS];
    size_t reported = 0, offset = 0;
    assert_int_equal(job.prompt_count, PROMPTS);
    assert_ok(generate(pass, &job, answers));
    for (size_t i = 0; i < READINGS; i++) readings[i] = (Reading){i * 5 % REQUESTS, i % PROMPTS};
    RereadJob reread = {.generated = &job,
                        .answers = answers,
                        .readings = readings,
                        .count = READINGS,
                        .on_read = note_read,
                        .user = &reported};
    assert_ok(reread_answers(pass, &reread, entropy, log_z));
    assert_int_equal(reported, READINGS);
    for (size_t i = 0; i < READINGS; i++) {
      const Answer *answer = &answers[readings[i].answer];
      bool own = job.requests[readings[i].answer].prompt == readings[i].prompt;
      score_under(alone, &job, readings[i].prompt, answer, expected);
      for (size_t t = 0; t < answer->count; t++, offset++) {
        float limit = 1e-5f * fmaxf(1, fabsf(log_z[offset]));
        assert_true(fabsf(entropy[offset] - expected[t]) <= 1e-5f);
        if (own) assert_true(fabsf(log_z[offset] - answer->log_z[t]) <= limit);
      }
    }
    free_answers(answers, REQUESTS);
    pass_free(alone);
    pass_free(pass);
    model_free(model);
  }
}

static void test_readings_that_are_refused(void **state) {
  (void)state;
  Model *model = fixture_model("llama", DTYPE_F32);
  Pass *pass = sampling_pass(model, 9, 5);
  GenerateJob job = job_of(&warm, 0, 2); // answers to prompts 0 and 2
  Answer answers[2];
  float entropy[4 * NEW_TOKENS], log_z[4 * NEW_TOKENS];
  assert_ok(generate(pass, &job, answers));
  // A prompt without an answer, an answer that does not exist, a prompt that does not exist.
  const Reading wrong[] = {{0, 1}, {2, 0}, {0, PROMPTS}};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
    RereadJob reread = {.generated = &job, .answers = answers, .readings = &wrong[i], .count = 1};
    assert_fails(reread_answers(pass, &reread, entropy, log_z), STATUS_FAILED, "which were not sampled");
  }
  Answer longer = {.count = 14, .tokens = (int32_t[14]){0}}; // its 13 rows exceed the pass's 12
  const Answer two[] = {longer, answers[1]};
  const Reading reading = {0, 2};
  RereadJob reread = {.generated = &job, .answers = two, .readings = &reading, .count = 1};
  assert_fails(reread_answers(pass, &reread, entropy, log_z), STATUS_INPUT, "14 tokens does not fit");
  free_answers(answers, 2);
  pass_free(pass);
  model_free(model);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(test_entropies_and_greedy_tokens_match_the_forward_pass),
      OPS_TEST(test_answers_do_not_depend_on_the_others),
      OPS_TEST(test_shared_prompts),
      OPS_TEST(test_streams),
      OPS_TEST(test_repetition_penalty_counts_the_prompt),
      OPS_TEST(test_answers_end),
      OPS_TEST(test_stopping),
      OPS_TEST(test_jobs_that_do_not_fit),
      OPS_TEST(test_scoring_splits),
      OPS_TEST(test_reading_again_is_scoring),
      OPS_TEST(test_readings_that_are_refused),
  };
  return RUN_OPS_TESTS(tests);
}
