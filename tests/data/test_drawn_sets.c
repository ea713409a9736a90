// Sets drawn from more, as for data.eval_sets.
#include "support/test.h"

#include "data/data.h"

static void draw(uint64_t seed, size_t max_sets, Dataset *out) {
  DataOptions options = {.use_test_data = true,
                         .groups_file = "gender",
                         .counterfactual = COUNTERFACTUAL_AUTO,
                         .max_sets = max_sets,
                         .seed = seed};
  assert_ok(dataset_build(&options, NULL, NULL, out));
}

// A file may be sorted, so its first sets are not like the rest.
static void test_drawn_by_the_seed(void **state) {
  (void)state;
  Dataset sets, again, other;
  draw(15, 20, &sets);
  draw(15, 20, &again);
  draw(16, 20, &other);
  assert_int_equal(sets.sets, 20);
  assert_int_equal(sets.available, 80);
  bool differs = false;
  for (size_t i = 0; i < sets.count; i++) {
    if (i >= 2) assert_true(sets.prompts[i].source > sets.prompts[i - 2].source);
    assert_int_equal(sets.prompts[i].source, again.prompts[i].source);
    differs = differs || sets.prompts[i].source != other.prompts[i].source;
  }
  assert_true(differs);
  // The chance that 20 of 80 are all in the first half is 1e-7.
  assert_true(sets.prompts[39].source >= 40 && sets.prompts[0].source < 40);
  dataset_free(&sets);
  dataset_free(&again);
  dataset_free(&other);
}

static void test_no_more_than_there_are(void **state) {
  (void)state;
  Dataset all, most;
  draw(15, 0, &all);
  draw(15, 100, &most);
  assert_int_equal(all.sets, 80);
  assert_int_equal(most.sets, 80);
  assert_int_equal(most.available, 80);
  for (size_t i = 0; i < all.count; i++) assert_string_equal(all.prompts[i].text, most.prompts[i].text);
  dataset_free(&all);
  dataset_free(&most);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_drawn_by_the_seed),
      cmocka_unit_test(test_no_more_than_there_are),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
