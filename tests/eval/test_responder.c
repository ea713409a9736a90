// Requests and their answers on a tiny model: the rules of tokens, log-likelihoods equal to those computed
// one by one, texts that stop where they should, whatever is asked together.
#include "support/model_fixture.h"
#include "support/tiny_model.h"

#include "gen/score.h"
#include "io/file.h"
#include "requests.h"
#include "responder.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Tokenizer *tokenizer;
static Model *model;

enum { END = 256 }; // the tiny tokenizer has a token a byte, and an end token

static TaskRequests new_requests(size_t max_positions) {
  return (TaskRequests){.tokenizer = tokenizer, .max_positions = max_positions};
}

static void expect_tokens(const Tokens *found, const char *text) {
  size_t size = strlen(text);
  if (found->count != size) fail_msg("%zu tokens, not those of \"%s\"", found->count, text);
  for (size_t i = 0; i < size; i++) assert_int_equal(found->ids[i], text[i]);
}

// ---- tokens ----

static void texts_have_a_start_token(void **state) {
  (void)state;
  TaskRequests requests = new_requests(0);
  assert_ok(request_text(&requests, "ab"));
  assert_int_equal(requests.context_count, 1);
  assert_int_equal(requests.contexts[0].count, 1);
  assert_int_equal(requests.contexts[0].ids[0], END); // no BOS: the EOS
  expect_tokens(&requests.scores[0].tokens, "ab");
  assert_ok(request_text(&requests, "<|endoftext|>cd")); // begins with it: not put in front again
  expect_tokens(&requests.scores[1].tokens, "cd");
  assert_int_equal(requests.context_count, 1);
  assert_fails(request_text(&requests, ""), STATUS_INPUT, "no tokens");
  assert_fails(request_text(&requests, "<|endoftext|>"), STATUS_INPUT, "no tokens");
  requests_free(&requests);
}

static void blanks_move_to_the_continuation(void **state) {
  (void)state;
  static const char *const choices[] = {"x", " y"};
  TaskRequests requests = new_requests(0);
  assert_ok(request_continuations(&requests, "ab \n", choices, 2));
  expect_tokens(&requests.contexts[0], "ab");
  expect_tokens(&requests.scores[0].tokens, " \nx");
  expect_tokens(&requests.scores[1].tokens, " \n y");
  assert_int_equal(requests.context_count, 1);
  assert_fails(request_continuations(&requests, " ", choices, 2), STATUS_INPUT, "a context has no tokens");
  static const char *const nothing[] = {""};
  assert_fails(request_continuations(&requests, "ab", nothing, 1), STATUS_INPUT, "no tokens of its own");
  requests_free(&requests);
}

static void long_contexts_lose_their_front(void **state) {
  (void)state;
  static const char *const choices[] = {"xyz"}, *const longer[] = {"123456789"};
  TaskRequests requests = new_requests(8);
  assert_ok(request_continuations(&requests, "abcdef", choices, 1)); // 9 tokens: the last is not read
  expect_tokens(&requests.contexts[0], "abcdef");
  assert_ok(request_continuations(&requests, "abcdefgh", choices, 1));
  expect_tokens(&requests.contexts[1], "cdefgh");
  assert_int_equal(requests.cut, 1);
  assert_fails(request_continuations(&requests, "a", longer, 1), STATUS_INPUT, "9 tokens");
  int32_t ids[] = {97, 98, 99, 100, 101};
  assert_ok(request_generation(&requests, (TokenSpan){ids, 5}, 4, NULL));
  assert_int_equal(requests.writes[0].prompt.count, 4);
  assert_int_equal(requests.writes[0].prompt.ids[0], 98);
  assert_fails(request_generation(&requests, (TokenSpan){ids, 5}, 8, NULL), STATUS_INPUT, "8 new tokens");
  requests_free(&requests);
}

// ---- as lm-evaluation-harness has them: requests.json (make_requests.py) ----

static Tokenizer *load_tokenizer(const cJSON *entry) {
  static const char *const kinds[] = {"bos", "eos"};
  const char *folder = test_folder();
  Tokenizer *loaded = NULL;
  char path[1100];
  (void)snprintf(path, sizeof path, GEE_SOURCE_DIR "/tests/text/%s", entry->string);
  assert_ok(file_copy(path, folder, "tokenizer.json", true));
  JsonWriter json = {0};
  json_object_begin(&json, NULL);
  for (size_t i = 0; i < 2; i++) {
    const cJSON *token = cJSON_GetObjectItem(entry, kinds[i]);
    (void)snprintf(path, sizeof path, "%s_token", kinds[i]);
    if (cJSON_IsString(token)) json_string(&json, path, token->valuestring);
  }
  json_object_end(&json);
  assert_ok(json_save(&json, folder, "tokenizer_config.json"));
  assert_ok(tokenizer_load(folder, &loaded));
  return loaded;
}

static void expect_ids(const Tokens *found, const cJSON *expected, const char *what, size_t pair) {
  bool same = found->count == (size_t)cJSON_GetArraySize(expected);
  for (size_t i = 0; same && i < found->count; i++)
    same = found->ids[i] == cJSON_GetArrayItem(expected, (int)i)->valueint;
  if (!same) fail_msg("pair %zu: another %s than lm-evaluation-harness's", pair, what);
}

static void check_pair(TaskRequests *requests, const cJSON *pair, const cJSON *expected, size_t index) {
  const char *context = cJSON_GetArrayItem(pair, 0)->valuestring;
  const char *continuation = cJSON_GetArrayItem(pair, 1)->valuestring;
  Status status = *context == '\0' ? request_text(requests, continuation)
                                   : request_continuations(requests, context, &continuation, 1);
  if (cJSON_IsNull(expected)) {
    if (status != STATUS_INPUT) fail_msg("pair %zu is not refused", index);
    return;
  }
  if (status != STATUS_OK) fail_msg("pair %zu: %s", index, status_message());
  const ScoreRequest *score = &requests->scores[requests->score_count - 1];
  expect_ids(&requests->contexts[score->context], cJSON_GetArrayItem(expected, 0), "context", index);
  expect_ids(&score->tokens, cJSON_GetArrayItem(expected, 1), "continuation", index);
  assert_ok(requests_next_item(requests));
}

static void tokens_are_those_of_lm_eval(void **state) {
  (void)state;
  cJSON *golden = NULL;
  const cJSON *entry = NULL, *row = NULL;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/eval/requests.json", &golden));
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "tokenizers")) {
    Tokenizer *loaded = load_tokenizer(entry);
    TaskRequests requests = {.tokenizer = loaded,
                             .max_positions = (size_t)cJSON_GetObjectItem(golden, "max_length")->valueint};
    size_t index = 0;
    cJSON_ArrayForEach(row, cJSON_GetObjectItem(entry, "rows")) {
      check_pair(&requests, cJSON_GetArrayItem(cJSON_GetObjectItem(golden, "pairs"), (int)index), row, index);
      index++;
    }
    print_message("%s: %zu pairs\n", entry->string, index);
    assert_true(index > 40);
    requests_free(&requests);
    tokenizer_free(loaded);
  }
  cJSON_Delete(golden);
}

// ---- what continuations begin with ----

static void expect_in_context(const TaskRequests *requests, size_t score, size_t count) {
  assert_int_equal(requests->scores[score].in_context, count);
}

/// The first sentence's tokens that the others share move behind the start token; every sentence keeps one.
static void a_common_beginning_moves_into_the_context(void **state) {
  (void)state;
  TaskRequests requests = new_requests(0);
  assert_ok(request_text(&requests, "He is old"));
  assert_ok(request_text(&requests, "He is")); // the whole of it is in the others: one token is left
  assert_ok(request_text(&requests, "He isn't"));
  assert_ok(requests_next_item(&requests));
  assert_int_equal(requests.context_count, 1);
  assert_int_equal(requests.contexts[0].count, 5);
  assert_int_equal(requests.contexts[0].ids[0], END);
  assert_memory_equal(&requests.contexts[0].ids[1], ((int32_t[]){'H', 'e', ' ', 'i'}), 4 * sizeof(int32_t));
  for (size_t s = 0; s < 3; s++) expect_in_context(&requests, s, 4);
  expect_tokens(&requests.scores[0].tokens, "He is old");
  static const char *const choices[] = {" ab", " ac"};
  assert_ok(request_continuations(&requests, "Long:", choices, 2)); // 2 tokens: less than the context has
  assert_ok(request_text(&requests, "alone"));
  assert_ok(requests_next_item(&requests));
  assert_int_equal(requests.contexts[1].count, 5);
  for (size_t s = 3; s < 6; s++) expect_in_context(&requests, s, 0);
  requests_free(&requests);
}

// ---- answers ----

enum { ITEMS = 40 };

/// Items of one to six requests; contexts repeat within and between items, and sentences begin alike.
static void ask_item(TaskRequests *requests, size_t item) {
  static const char *const words[] = {" red", " a very old house", "!", " yes and no"};
  char context[64];
  (void)snprintf(context, sizeof context, "Item %zu has a colour:", item / 3 * 7);
  if (item % 3 == 0) assert_ok(request_text(requests, context));
  assert_ok(request_continuations(requests, context, words, 1 + item % 4));
  if (item % 3 == 0) assert_ok(request_text(requests, item == 0 ? context : "Item? No"));
  assert_ok(requests_next_item(requests));
}

/// How many requests item i has.
static size_t request_count(size_t item) {
  return (item % 3 == 0 ? 3 : 1) + item % 4;
}

/// One request alone in its pass, with nothing of it in its context.
static double score_alone(Pass *pass, const TaskRequests *requests, size_t index) {
  const ScoreRequest *score = &requests->scores[index];
  const Tokens *context = &requests->contexts[score->context];
  TokenSpan prompt = {context->ids, context->count - score->in_context};
  BatchAnswer answer = {.tokens = {score->tokens.ids, score->tokens.count}};
  float logprob[64];
  double sum = 0;
  ScoreJob job = {.prompts = &prompt, .prompt_count = 1, .answers = &answer, .answer_count = 1, .tau = 1};
  assert_ok(score_answers(pass, &job, NULL, logprob));
  for (size_t t = 0; t < score->tokens.count; t++) sum += (double)logprob[t];
  return sum;
}

static void answers_are_those_of_each_request_alone(void **state) {
  (void)state;
  TaskRequests requests = new_requests(0);
  for (size_t i = 0; i < ITEMS; i++) ask_item(&requests, i);
  PassOptions options = {.kind = PASS_INFERENCE, .max_rows = 128, .head_tile_rows = 16};
  Pass *pass = NULL;
  Responder *responder = NULL;
  assert_ok(pass_create(model, &options, &pass));
  assert_ok(responder_create(model, &requests, NULL, &responder));
  size_t next = 0, batches = 0, shared = 0;
  for (size_t begin = 0, end = 0; begin < ITEMS; begin = end, batches++) {
    end = responder_batch_end(&requests, model_config(model), begin);
    assert_true(end > begin);
    assert_ok(responder_ask(responder, (ItemRange){begin, end}));
    for (size_t item = begin; item < end; item++) {
      TaskAnswers answers = responder_answers(responder, item);
      assert_int_equal(answers.count, request_count(item));
      for (size_t k = 0; k < answers.count; k++, next++) {
        assert_int_equal(answers.tokens[k], requests.scores[next].tokens.count);
        shared += requests.scores[next].in_context > 0;
        assert_true(fabs(answers.loglikelihoods[k] - score_alone(pass, &requests, next)) < 1e-5);
      }
    }
  }
  assert_int_equal(next, requests.score_count);
  assert_true(batches > 1);
  assert_true(shared > ITEMS / 4 && shared < next);
  responder_free(responder);
  pass_free(pass);
  requests_free(&requests);
}

/// Asks for one text; the caller frees the answer's responder.
static const TaskGeneration *write_one(TaskRequests *requests, Responder **responder) {
  assert_ok(responder_create(model, requests, NULL, responder));
  assert_ok(responder_ask(*responder, (ItemRange){0, requests->items}));
  return responder_answers(*responder, 0).generations;
}

static void a_text_stops_before_a_stop_string(void **state) {
  (void)state;
  static const int32_t prompt[] = {'T', 'h', 'e', ' '}, other[] = {'A', ' '};
  TaskRequests requests = new_requests(0);
  Responder *responder = NULL;
  assert_ok(request_generation(&requests, (TokenSpan){prompt, 4}, 12, NULL));
  assert_ok(requests_next_item(&requests));
  const TaskGeneration *whole = write_one(&requests, &responder);
  assert_true(whole->count >= 6 && whole->count <= 12);
  // the model writes any bytes: the stop string is the ASCII one that comes first, from the third token on
  size_t at = 2;
  while (at < whole->count && (whole->ids[at] < 32 || whole->ids[at] > 126)) at++;
  assert_true(at < whole->count);
  char stop[] = {(char)whole->ids[at], '\0'};
  size_t first = 0;
  while (whole->ids[first] != whole->ids[at]) first++;
  const char *const stops[] = {"not there", stop, NULL};
  TaskRequests again = new_requests(0);
  Responder *second = NULL;
  assert_ok(request_generation(&again, (TokenSpan){prompt, 4}, 12, stops));
  assert_ok(request_generation(&again, (TokenSpan){other, 2}, 5, NULL)); // another limit, asked together
  assert_ok(requests_next_item(&again));
  const TaskGeneration *cut = write_one(&again, &second);
  assert_int_equal(cut->count, first + 1);
  assert_memory_equal(cut->ids, whole->ids, cut->count * sizeof *cut->ids);
  assert_null(strchr(cut->text, stop[0]));
  assert_int_equal(strncmp(cut->text, whole->text, strlen(cut->text)), 0);
  assert_int_equal(responder_answers(second, 0).generation_count, 2);
  assert_true(cut[1].count <= 5);
  responder_free(responder);
  responder_free(second);
  requests_free(&requests);
  requests_free(&again);
}

/// Asking ends in the middle of a batch: before a layer, not only before the batch. Later it goes on.
static void a_stop_ends_a_batch(void **state) {
  (void)state;
  TaskRequests requests = new_requests(0);
  Responder *responder = NULL;
  atomic_bool stop = false;
  ask_item(&requests, 0);
  assert_ok(responder_create(model, &requests, &stop, &responder));
  stop = true;
  assert_fails(responder_ask(responder, (ItemRange){0, 1}), STATUS_INTERRUPTED, "stopped while computing");
  stop = false;
  assert_ok(responder_ask(responder, (ItemRange){0, 1}));
  assert_int_equal(responder_answers(responder, 0).count, request_count(0));
  responder_free(responder);
  requests_free(&requests);
}

enum { PROMPTS = 600 };

static void ask_prompt(TaskRequests *requests, size_t prompt, const char *const *stops) {
  int32_t tokens[] = {(int32_t)(prompt % 95 + 32), (int32_t)(prompt / 95 + 65), (int32_t)(prompt % 7 + 97)};
  assert_ok(request_generation(requests, (TokenSpan){tokens, 3}, 24, stops));
  assert_ok(requests_next_item(requests));
}

/// The place of a printable letter that first comes behind a NUL; 0: there is none.
static size_t letter_behind_nul(const TaskGeneration *text) {
  size_t nul = 0;
  while (nul < text->count && text->ids[nul] != 0) nul++;
  for (size_t at = nul + 1; at < text->count; at++) {
    size_t first = 0;
    while (text->ids[first] != text->ids[at]) first++;
    if (first == at && text->ids[at] > 32 && text->ids[at] < 127) return at;
  }
  return 0;
}

/// A text goes on behind a NUL, as in Python: it is kept, and a stop string behind it is found.
static void a_nul_does_not_end_a_text(void **state) {
  (void)state;
  TaskRequests all = new_requests(0), one = new_requests(0);
  Responder *responder = NULL;
  char stop[] = {'\0', '\0'};
  const char *const stops[] = {stop, NULL};
  size_t prompt = 0, at = 0;
  for (size_t p = 0; p < PROMPTS; p++) ask_prompt(&all, p, NULL);
  assert_ok(responder_create(model, &all, NULL, &responder));
  for (size_t begin = 0, end = 0; begin < PROMPTS && at == 0; begin = end) {
    end = responder_batch_end(&all, model_config(model), begin);
    assert_ok(responder_ask(responder, (ItemRange){begin, end}));
    for (prompt = begin; prompt < end; prompt++) {
      const TaskGeneration *text = responder_answers(responder, prompt).generations;
      at = letter_behind_nul(text);
      if (at == 0) continue;
      stop[0] = (char)text->ids[at];
      assert_true(text->size > strlen(text->text));
      break;
    }
  }
  assert_true(at > 0);
  responder_free(responder);
  requests_free(&all);
  ask_prompt(&one, prompt, stops);
  const TaskGeneration *cut = write_one(&one, &responder);
  assert_int_equal(cut->count, at + 1);
  assert_true(cut->size > strlen(cut->text));
  assert_null(memchr(cut->text, stop[0], cut->size));
  responder_free(responder);
  requests_free(&one);
}

static int set_up(void **state) {
  const char *folder = test_folder();
  char path[600];
  if (ops_fixture_open(state) != 0) return -1;
  tiny_model_write(folder);
  (void)snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  assert_true(fputs("{\"eos_token\": \"<|endoftext|>\"}", file) >= 0);
  assert_int_equal(fclose(file), 0);
  assert_ok(tokenizer_load(folder, &tokenizer));
  model = fixture_model(folder, DTYPE_F32);
  return 0;
}

static int tear_down(void **state) {
  model_free(model);
  tokenizer_free(tokenizer);
  return ops_fixture_close(state);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(texts_have_a_start_token),
      OPS_TEST(blanks_move_to_the_continuation),
      OPS_TEST(long_contexts_lose_their_front),
      OPS_TEST(tokens_are_those_of_lm_eval),
      OPS_TEST(a_common_beginning_moves_into_the_context),
      OPS_TEST(answers_are_those_of_each_request_alone),
      OPS_TEST(a_text_stops_before_a_stop_string),
      OPS_TEST(a_stop_ends_a_batch),
      OPS_TEST(a_nul_does_not_end_a_text),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
