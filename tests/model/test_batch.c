// Packing of prompts and answers into rows: the picture of batch.h, number by number.
#include "support/test.h"

#include "model/batch.h"
#include <string.h>

static const int32_t first_prompt[] = {10, 11, 12, 13};
static const int32_t second_prompt[] = {20, 21, 22};
static const TokenSpan prompts[] = {{first_prompt, 4}, {second_prompt, 3}};
static const int32_t answer_a[] = {30, 31, 32};
static const int32_t answer_b[] = {40, 41, 42, 43};
static const int32_t answer_c[] = {50, 51};
static const BatchAnswer answers[] = {
    {.prompt = 0, .tokens = {answer_a, 3}, .row_id = 7},
    {.prompt = 0, .tokens = {answer_b, 4}, .row_id = 8},
    {.prompt = 1, .tokens = {answer_c, 2}, .row_id = 9},
};

static void assert_numbers(const int32_t *found, const int32_t *expected, size_t count) {
  for (size_t i = 0; i < count; i++) assert_int_equal(found[i], expected[i]);
}

static void test_shared_prompts(void **state) {
  (void)state;
  Batch batch;
  assert_ok(batch_build(prompts, 2, answers, 3, true, &batch));
  assert_int_equal(batch.rows, 13);
  assert_int_equal(batch_rows(prompts, 2, answers, 3, true), 13);
  assert_numbers(batch.ids, (int32_t[]){10, 11, 12, 13, 20, 21, 22, 30, 31, 40, 41, 42, 50}, 13);
  assert_numbers(batch.positions, (int32_t[]){0, 1, 2, 3, 0, 1, 2, 4, 5, 4, 5, 6, 3}, 13);
  assert_numbers(batch.spans + 4 * 2, (int32_t[]){0, 0, 0, 3}, 4);
  assert_numbers(batch.spans + 4 * 5, (int32_t[]){0, 0, 4, 6}, 4);
  assert_numbers(batch.spans + 4 * 8, (int32_t[]){0, 4, 7, 9}, 4);
  assert_numbers(batch.spans + 4 * 12, (int32_t[]){4, 7, 12, 13}, 4);
  assert_numbers(batch.key_spans + 4 * 2, (int32_t[]){2, 4, 7, 12}, 4);
  assert_numbers(batch.key_spans + 4 * 4, (int32_t[]){4, 7, 12, 13}, 4);
  assert_numbers(batch.key_spans + 4 * 10, (int32_t[]){10, 12, 0, 0}, 4);
  assert_int_equal(batch.head_rows, 8);
  assert_numbers(batch.head_row, (int32_t[]){3, 6, 7, 8, 9, 10, 11, 12}, 8);
  assert_int_equal(batch.predictions, 9);
  assert_numbers(batch.pred_head, (int32_t[]){0, 2, 3, 0, 4, 5, 6, 1, 7}, 9);
  assert_numbers(batch.pred_target, (int32_t[]){30, 31, 32, 40, 41, 42, 43, 50, 51}, 9);
  assert_int_equal(batch.answer_start[1], 3);
  assert_int_equal(batch.answer_start[3], 9);
  batch_free(&batch);
}

/// An answer that goes on with a turn of the user: its rows are there, but nothing is predicted from them.
static void test_scored(void **state) {
  (void)state;
  static const int32_t ids[6] = {30, 31, 32, 33, 34, 35};
  static const bool scored[6] = {true, true, false, false, true, true}, late[2] = {false, true};
  BatchAnswer chats[2] = {{.prompt = 0, .tokens = {ids, 6}, .scored = scored},
                          {.prompt = 0, .tokens = {ids, 2}}};
  Batch batch;
  assert_ok(batch_build(prompts, 1, chats, 2, true, &batch));
  assert_int_equal(batch.rows, 4 + 5 + 1);
  assert_int_equal(batch.predictions, 6);
  assert_int_equal(batch.head_rows, 5);
  assert_numbers(batch.head_row, (int32_t[]){3, 4, 7, 8, 9}, 5);
  assert_numbers(batch.pred_head, (int32_t[]){0, 1, 2, 3, 0, 4}, 6);
  assert_numbers(batch.pred_target, (int32_t[]){30, 31, 34, 35, 30, 31}, 6);
  assert_int_equal(batch.answer_start[1], 4);
  assert_int_equal(batch.answer_start[2], 6);
  batch_free(&batch);
  chats[1].scored = late;
  assert_fails(batch_build(prompts, 1, chats, 2, true, &batch), STATUS_FAILED, "answer 1");
}

static void test_unshared(void **state) {
  (void)state;
  Batch batch;
  assert_ok(batch_build(prompts, 2, answers, 3, false, &batch));
  assert_int_equal(batch.rows, 4 + 4 + 3 + 2 + 3 + 1);
  assert_int_equal(batch_rows(prompts, 2, answers, 3, false), batch.rows);
  assert_numbers(batch.ids + 4, first_prompt, 4);
  assert_numbers(batch.spans + 4 * 13, (int32_t[]){4, 8, 13, 14}, 4);
  assert_numbers(batch.pred_head, (int32_t[]){0, 3, 4, 1, 5, 6, 7, 2, 8}, 9);
  batch_free(&batch);
}

// The answers begin with tokens that the prompt ends with: b with two, c with one. So the rows of these
// predict too, and each answer has the fewer rows.
static const int32_t ending_prompt[] = {10, 40, 41};
static const int32_t answer_d[] = {41, 60, 61};
static const TokenSpan ending[] = {{ending_prompt, 3}, {second_prompt, 3}};
static const BatchAnswer begun[] = {
    {.prompt = 0, .tokens = {answer_b, 4}, .row_id = 8, .in_prompt = 2},
    {.prompt = 0, .tokens = {answer_d, 3}, .row_id = 9, .in_prompt = 1},
    {.prompt = 1, .tokens = {answer_c, 2}, .row_id = 10},
};

static void test_begun_in_the_prompt(void **state) {
  (void)state;
  Batch batch;
  assert_ok(batch_build(ending, 2, begun, 3, true, &batch));
  assert_int_equal(batch.rows, 9);
  assert_int_equal(batch_rows(ending, 2, begun, 3, true), 9);
  assert_numbers(batch.ids, (int32_t[]){10, 40, 41, 20, 21, 22, 42, 60, 50}, 9);
  assert_numbers(batch.positions, (int32_t[]){0, 1, 2, 0, 1, 2, 3, 3, 3}, 9);
  assert_numbers(batch.spans + 4 * 7, (int32_t[]){0, 3, 7, 8}, 4);
  assert_int_equal(batch.head_rows, 7);
  assert_numbers(batch.head_row, (int32_t[]){0, 1, 2, 5, 6, 7, 8}, 7);
  assert_int_equal(batch.predictions, 9);
  assert_numbers(batch.pred_head, (int32_t[]){0, 1, 2, 4, 1, 2, 5, 3, 6}, 9);
  assert_numbers(batch.pred_target, (int32_t[]){40, 41, 42, 43, 41, 60, 61, 50, 51}, 9);
  assert_int_equal(batch.answer_start[2], 7);
  batch_free(&batch);
}

// Each key row is seen by exactly the query rows in its key_spans.
static void test_spans_agree(void **state) {
  (void)state;
  for (int share = 0; share < 2; share++) {
    Batch batch;
    assert_ok(batch_build(prompts, 2, answers, 3, share == 1, &batch));
    for (int32_t q = 0; q < (int32_t)batch.rows; q++) {
      for (int32_t k = 0; k < (int32_t)batch.rows; k++) {
        const int32_t *s = batch.spans + 4 * q;
        const int32_t *t = batch.key_spans + 4 * k;
        bool sees = (k >= s[0] && k < s[1]) || (k >= s[2] && k < s[3]);
        bool seen = (q >= t[0] && q < t[1]) || (q >= t[2] && q < t[3]);
        assert_int_equal(sees, seen);
      }
    }
    batch_free(&batch);
  }
}

// The row ids that dropout uses depend neither on what else is in the batch nor on sharing.
static void test_row_ids(void **state) {
  (void)state;
  Batch whole;
  Batch part;
  Batch apart;
  BatchAnswer last = answers[2];
  last.prompt = 0;
  assert_ok(batch_build(prompts, 2, answers, 3, true, &whole));
  assert_ok(batch_build(prompts + 1, 1, &last, 1, true, &part));
  assert_ok(batch_build(prompts, 2, answers, 3, false, &apart));
  assert_numbers(part.row_ids, whole.row_ids + 4, 3);
  assert_int_equal(part.row_ids[3], whole.row_ids[12]);
  assert_numbers(apart.row_ids, whole.row_ids, 4);
  assert_numbers(apart.row_ids + 4, whole.row_ids, 4);
  for (size_t i = 0; i < whole.rows; i++) {
    for (size_t j = 0; j < i; j++) assert_int_not_equal(whole.row_ids[i], whole.row_ids[j]);
  }
  batch_free(&whole);
  batch_free(&part);
  batch_free(&apart);
}

static void test_prompt_without_answers(void **state) {
  (void)state;
  Batch batch;
  assert_ok(batch_build(prompts, 2, answers, 2, true, &batch));
  assert_int_equal(batch.rows, 4 + 3 + 2 + 3);
  assert_int_equal(batch.head_row[0], 3);
  assert_int_equal(batch.head_row[1], 7);
  batch_free(&batch);
}

static void test_refused(void **state) {
  (void)state;
  Batch batch;
  const TokenSpan empty_prompt[] = {{first_prompt, 0}};
  const BatchAnswer empty_answer[] = {{.prompt = 0, .tokens = {answer_a, 0}}};
  const BatchAnswer disordered[] = {answers[2], answers[0]};
  assert_fails(batch_build(empty_prompt, 1, answers, 1, true, &batch), STATUS_INPUT, "prompt 0");
  assert_fails(batch_build(prompts, 2, empty_answer, 1, true, &batch), STATUS_INPUT, "answer 0");
  assert_fails(batch_build(prompts, 2, disordered, 2, true, &batch), STATUS_FAILED, "out of order");
  assert_fails(batch_build(prompts, 1, answers, 3, true, &batch), STATUS_FAILED, "prompt 1");
  const BatchAnswer other = {.tokens = {answer_a, 3}, .in_prompt = 1};
  const BatchAnswer all = {.tokens = {answer_d, 1}, .in_prompt = 1};
  const BatchAnswer first = {.tokens = {ending_prompt, 3}, .in_prompt = 3};
  assert_fails(batch_build(ending, 1, &other, 1, true, &batch), STATUS_FAILED, "begin in its prompt");
  assert_fails(batch_build(ending, 1, &all, 1, true, &batch), STATUS_FAILED, "begin in its prompt");
  assert_fails(batch_build(ending, 1, &first, 1, true, &batch), STATUS_FAILED, "begin in its prompt");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_shared_prompts),
      cmocka_unit_test(test_scored),
      cmocka_unit_test(test_unshared),
      cmocka_unit_test(test_begun_in_the_prompt),
      cmocka_unit_test(test_spans_agree),
      cmocka_unit_test(test_row_ids),
      cmocka_unit_test(test_prompt_without_answers),
      cmocka_unit_test(test_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
