// The spread of repeated measurements.
#include "support/test.h"
#include "util/spread.h"

static void a_spread_is_of_sorted_values(void **state) {
  (void)state;
  double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2}, one[] = {7};
  Spread spread = spread_of(odd, 3);
  assert_true(spread.minimum == 1 && spread.median == 2 && spread.maximum == 3 && spread.count == 3);
  spread = spread_of(even, 4);
  assert_true(spread.minimum == 1 && spread.median == 2.5 && spread.maximum == 4);
  spread = spread_of(one, 1);
  assert_true(spread.minimum == 7 && spread.median == 7 && spread.maximum == 7);
  spread = spread_of(NULL, 0);
  assert_true(spread.minimum == 0 && spread.median == 0 && spread.maximum == 0 && spread.count == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_spread_is_of_sorted_values)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
