// Numbers that are checked while they are converted: NaN, infinities, overflow in either 16-bit type, and
// tensors that are too small for F16.
#include "support/test.h"

#include "util/half.h"
#include "util/rounding.h"
#include <float.h>
#include <math.h>

enum { COUNT = 100 };

/// Checks values[COUNT] in two pieces, as they become `type`.
static Status check(DType type, const float *values) {
  RoundingCheck check = {.type = type};
  uint16_t halves[COUNT];
  const uint16_t *narrow = type == DTYPE_F32 ? NULL : halves;
  if (narrow != NULL) halves_from_floats(type, values, COUNT, halves);
  TRY(rounding_add(&check, values, narrow, 40));
  TRY(rounding_add(&check, values + 40, narrow != NULL ? narrow + 40 : NULL, COUNT - 40));
  return rounding_finish(&check);
}

/// The same with values[at] = `value`.
static Status check_with(DType type, size_t at, float value) {
  float values[COUNT];
  test_random(values, COUNT, 3);
  values[at] = value;
  return check(type, values);
}

static void broken_numbers_are_named(void **state) {
  (void)state;
  const DType types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
  for (size_t i = 0; i < 3; i++) {
    assert_ok(check_with(types[i], 0, 0));
    assert_fails(check_with(types[i], 0, NAN), STATUS_INPUT,
                 "element 0 is nan; every element must be a finite number");
    assert_fails(check_with(types[i], 99, -INFINITY), STATUS_INPUT, "element 99 is -inf");
  }
}

static void overflow_is_named(void **state) {
  (void)state;
  assert_ok(check_with(DTYPE_F16, 50, 65519.0f)); // rounds to 65504
  assert_fails(check_with(DTYPE_F16, 50, -65520.0f), STATUS_INPUT,
               "element 50 is -65520, too large for F16; use bf16 or f32");
  assert_ok(check_with(DTYPE_BF16, 39, 3.38e38f));
  assert_fails(check_with(DTYPE_BF16, 39, FLT_MAX), STATUS_INPUT,
               "element 39 is 3.40282e+38, too large for BF16; use f32");
  assert_ok(check_with(DTYPE_F32, 39, FLT_MAX));
}

static void tensors_too_small_for_f16(void **state) {
  (void)state;
  float values[COUNT];
  test_random(values, COUNT, 3);
  for (size_t i = 0; i < COUNT; i++) values[i] *= 1e-4f;
  assert_ok(check(DTYPE_F16, values)); // steps of 6e-8 among numbers of 6e-5
  for (size_t i = 0; i < COUNT; i++) values[i] *= 1e-3f;
  assert_fails(check(DTYPE_F16, values), STATUS_INPUT, "rounding to F16 takes ");
  for (size_t i = 0; i < COUNT; i++) values[i] *= 1e-3f;
  assert_fails(check(DTYPE_F16, values), STATUS_INPUT, "rounding to F16 takes 100 % of its numbers away");
  assert_ok(check(DTYPE_BF16, values));
  values[0] = 1; // beside it, they do not matter
  assert_ok(check(DTYPE_F16, values));
  for (size_t i = 0; i < COUNT; i++) values[i] = 0;
  assert_ok(check(DTYPE_F16, values));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(broken_numbers_are_named),
      cmocka_unit_test(overflow_is_named),
      cmocka_unit_test(tensors_too_small_for_f16),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
