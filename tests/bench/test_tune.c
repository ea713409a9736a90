// What gee-cl tune chooses from times that are given.
#include "support/test.h"

#include "tune_choice.h"

/// Every candidate takes a second for every product; all are usable.
static TuneResult even(void) {
  TuneResult result = {0};
  for (size_t i = 0; i < TUNE_CANDIDATES; i++) {
    result.candidates[i].usable = true;
    for (size_t form = 0; form < PRODUCT_FORMS; form++)
      for (size_t size = 0; size < PRODUCT_SIZES; size++) result.seconds[form][size][i] = 1;
  }
  return result;
}

static const GemmChoice vendors = {.vendor = {true, true, true}}, own = {0};

static void what_is_usual_stays_where_nothing_is_faster(void **state) {
  (void)state;
  TuneResult result = even();
  tune_choose(&vendors, &result);
  assert_memory_equal(&result.choice, &vendors, sizeof vendors);
  tune_choose(&own, &result);
  assert_memory_equal(&result.choice, &own, sizeof own);
}

static void less_than_noise_changes_nothing(void **state) {
  (void)state;
  TuneResult result = even();
  for (size_t size = 0; size < PRODUCT_SIZES; size++) {
    result.seconds[PRODUCT_DX][size][3] = 0.97;
    result.seconds[PRODUCT_DW][size][TUNE_VENDOR] = 0.97;
  }
  tune_choose(&own, &result);
  assert_memory_equal(&result.choice, &own, sizeof own);
}

/// The sets follow the size; the vendor's GEMM computes a form as a whole.
static void the_fastest_is_chosen(void **state) {
  (void)state;
  TuneResult result = even();
  result.seconds[PRODUCT_FORWARD][PRODUCT_FEW][5] = 0.2;
  result.seconds[PRODUCT_FORWARD][PRODUCT_MANY][TUNE_VENDOR] = 0.3; // 2.3 s in all, own ones 2.2
  for (size_t size = 0; size < PRODUCT_SIZES; size++) result.seconds[PRODUCT_DX][size][TUNE_VENDOR] = 0.5;
  result.seconds[PRODUCT_DW][PRODUCT_SOME][2] = 0.5;
  result.seconds[PRODUCT_DW][PRODUCT_SOME][6] = 0.49; // faster than another that is not usual
  tune_choose(&own, &result);
  assert_int_equal(result.choice.set[PRODUCT_FORWARD][PRODUCT_FEW], 5);
  assert_int_equal(result.choice.set[PRODUCT_FORWARD][PRODUCT_MANY], 0);
  assert_false(result.choice.vendor[PRODUCT_FORWARD]);
  assert_true(result.choice.vendor[PRODUCT_DX]);
  assert_false(result.choice.vendor[PRODUCT_DW]);
  assert_int_equal(result.choice.set[PRODUCT_DW][PRODUCT_SOME], 6);
  tune_choose(&vendors, &result); // 2.2 s are less than 95 % of 2.3? No
  assert_true(result.choice.vendor[PRODUCT_FORWARD]);
  result.seconds[PRODUCT_FORWARD][PRODUCT_SOME][5] = 0.2; // 1.4 s are
  tune_choose(&vendors, &result);
  assert_false(result.choice.vendor[PRODUCT_FORWARD]);
}

static void another_set_may_be_usual(void **state) {
  (void)state;
  TuneResult result = even();
  const GemmChoice third = {.set = {{2, 2, 2}, {2, 2, 2}, {2, 2, 2}}};
  tune_choose(&third, &result);
  assert_memory_equal(&result.choice, &third, sizeof third);
  result.seconds[PRODUCT_DX][PRODUCT_MANY][0] = 0.5;
  tune_choose(&third, &result);
  assert_int_equal(result.choice.set[PRODUCT_DX][PRODUCT_MANY], 0);
}

static void what_is_not_usable_is_never_chosen(void **state) {
  (void)state;
  TuneResult result = even();
  for (size_t form = 0; form < PRODUCT_FORMS; form++)
    for (size_t size = 0; size < PRODUCT_SIZES; size++)
      result.seconds[form][size][0] = result.seconds[form][size][2] =
          result.seconds[form][size][TUNE_VENDOR] = 0;
  result.candidates[0].usable = result.candidates[2].usable = result.candidates[TUNE_VENDOR].usable = false;
  tune_choose(&vendors, &result);
  for (size_t form = 0; form < PRODUCT_FORMS; form++) {
    assert_false(result.choice.vendor[form]);
    for (size_t size = 0; size < PRODUCT_SIZES; size++) assert_int_equal(result.choice.set[form][size], 1);
  }
}

static void what_was_not_measured_stays_as_usual(void **state) {
  (void)state;
  TuneResult result = even();
  for (size_t i = 0; i < TUNE_CANDIDATES; i++) result.seconds[PRODUCT_DW][PRODUCT_SOME][i] = 0;
  tune_choose(&own, &result);
  assert_int_equal(result.choice.set[PRODUCT_DW][PRODUCT_SOME], 0);
  assert_false(result.choice.vendor[PRODUCT_DW]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_usual_stays_where_nothing_is_faster),
      cmocka_unit_test(less_than_noise_changes_nothing),
      cmocka_unit_test(the_fastest_is_chosen),
      cmocka_unit_test(another_set_may_be_usual),
      cmocka_unit_test(what_is_not_usable_is_never_chosen),
      cmocka_unit_test(what_was_not_measured_stays_as_usual),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
