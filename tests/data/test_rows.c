// Conditions of rows, words for two groups in one phrase, and texts without a blank for a quarter of a
// megabyte.
#include "support/test.h"

#include "data/data.h"
#include "group_file.h"
#include "io/file.h"
#include "pattern.h"
#include "scripts.h"
#include "types.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1, SEVERAL = -2, LONG_TEXT = 1 << 18 };

#define TEMPLATES "\"templates\":{\"default\":[[\"A: {prompt}\",\"B: {prompt}\"]]}"

static const char *write_groups(const char *body) {
  static char path[1200], text[4096];
  (void)snprintf(path, sizeof path, "%s/rows.json", test_folder());
  (void)snprintf(text, sizeof text, "{\"attribute\":\"x\",\"groups\":[\"a\",\"b\"],%s," TEMPLATES "}", body);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  return path;
}

static GroupFile *load(const char *body) {
  GroupFile *groups = NULL;
  assert_ok(groups_load(write_groups(body), &groups));
  return groups;
}

static void refuse(const char *body, const char *part) {
  GroupFile *groups = NULL;
  assert_fails(groups_load(write_groups(body), &groups), STATUS_INPUT, part);
}

/// The text swapped to the other group must be `to`; NULL: it must not be swappable.
static void expect(const GroupFile *groups, const char *text, const char *to) {
  WordHits hits = {0};
  Str out = {0};
  assert_ok(words_find(groups, text, strlen(text), &hits));
  bool one = hits.named[0] != hits.named[1], swappable = one && !hits.unswappable;
  if (swappable != (to != NULL)) fail_msg("\"%s\" is %s", text, swappable ? "swappable" : "not swappable");
  assert_ok(words_swap(groups, text, strlen(text), &hits, hits.named[0] ? 1 : 0, &out));
  if (to != NULL) assert_string_equal(str_text(&out), to);
  words_free(&hits);
  str_free(&out);
}

static int named(const GroupFile *groups, const char *text) {
  WordHits hits = {0};
  assert_ok(words_find(groups, text, strlen(text), &hits));
  int group = hits.named[0] && hits.named[1] ? SEVERAL : hits.named[0] ? 0 : hits.named[1] ? 1 : NONE;
  words_free(&hits);
  return group;
}

static void test_words_around(void **state) {
  (void)state;
  GroupFile *groups = load("\"lists\":{\"p\":[\"in\",\"an\"],\"n\":[\"*ly\",\"#\",\"red\"],\"end\":[\".\",\"&"
                           "\"],\"big\":[\"^us\"]},\"swaps\":["
                           "{\"words\":[\"p1\",\"q1\"],\"previous_in\":\"p\"},"
                           "{\"words\":[\"p2\",\"q2\"],\"previous_not_in\":\"p\"},"
                           "{\"words\":[\"p3\",\"q3\"],\"next_in\":[\"n\",\"end\"]},"
                           "{\"words\":[\"p4\",\"q4\"],\"second_in\":\"end\",\"next_in\":\"n\"},"
                           "{\"words\":[\"p5\",\"q5\"],\"second_not_in\":[\"n\",\"end\"]},"
                           "{\"words\":[\"pw\",\"qw\"],\"next_in\":\"big\"}]");
  expect(groups, "it is IN  p1", "it is IN  q1");
  expect(groups, "p1", NULL);
  expect(groups, "in. p1", NULL);
  expect(groups, "in\np1", NULL);
  expect(groups, "(in p1)", "(in q1)");
  expect(groups, "of p2", "of q2");
  expect(groups, "in p2", NULL);
  expect(groups, "p2", NULL); // no word is there
  expect(groups, "p3", "q3");
  expect(groups, "p3, so", "q3, so");
  expect(groups, "p3\nso", "q3\nso");
  expect(groups, "p3 so", NULL);
  expect(groups, "p3 badly", "q3 badly");
  expect(groups, "p3 \"badly\"", "q3 \"badly\"");
  expect(groups, "p3 ly", NULL); // an ending needs a word before it
  expect(groups, "p3 7 times", "q3 7 times");
  expect(groups, "p3 $7", "q3 $7");
  expect(groups, "p3 & so", "q3 & so");
  expect(groups, "p3/so", NULL);
  expect(groups, "p4 red.", "q4 red.");
  expect(groups, "p4 red's end", "q4 red's end");
  expect(groups, "p4 red cars", NULL);
  expect(groups, "p5 so much", "q5 so much");
  expect(groups, "p5 so sadly", NULL);
  expect(groups, "p5 so", NULL);
  expect(groups, "p5", NULL);
  expect(groups, "pw US law", "qw US law");
  expect(groups, "pw us", NULL);
  expect(groups, "PW US", NULL); // all is in capitals
  groups_free(groups);
}

// Where such a row applies, the word names its group; another row of the same word may swap it elsewhere.
static void test_words_that_are_kept(void **state) {
  (void)state;
  GroupFile *groups = load("\"lists\":{\"n\":[\"red\"]},\"swaps\":["
                           "{\"words\":[\"p\",\"q\"],\"next_in\":\"n\",\"keep\":true},[\"p\",\"r\"]]");
  expect(groups, "p so", "r so");
  expect(groups, "p red", NULL);
  assert_int_equal(named(groups, "p red"), 0);
  expect(groups, "p so, p red", NULL);
  groups_free(groups);
}

static void test_one_phrase_for_two_groups(void **state) {
  (void)state;
  GroupFile *groups =
      load("\"lists\":{\"n\":[\"people\"],\"and\":[\"and\",\"or\"]},\"joins\":\"and\",\"swaps\":["
           "{\"words\":[\"young\",\"old\"],\"next_in\":\"n\"},"
           "{\"words\":[\"actress\",\"actor\"],\"from\":\"a\"}]");
  expect(groups, "young people", "old people");
  expect(groups, "young people in old cars", "old people in old cars");
  expect(groups, "young and old people", NULL);
  assert_int_equal(named(groups, "young and old people"), SEVERAL);
  assert_int_equal(named(groups, "OLD or the very YOUNG people"), SEVERAL);
  assert_int_equal(named(groups, "old, young people"), SEVERAL);
  assert_int_equal(named(groups, "old/young people"), SEVERAL);
  assert_int_equal(named(groups, "young people and the old"), SEVERAL);
  assert_int_equal(named(groups, "old cars. And young people"), 0);
  expect(groups, "an old car that is and was and will be of young people",
         "an old car that is and was and will be of old people");
  expect(groups, "The actress won.", "The actor won.");
  assert_int_equal(named(groups, "The actor won."), NONE);
  expect(groups, "The actress met an actor.", NULL);
  expect(groups, "Actors met an actress.", "Actors met an actor.");
  expect(groups, "An actor, and an actress.", NULL);
  groups_free(groups);
}

// "Black person" is what "Latino" becomes, but "Black" is a word itself, and stays one.
static void test_partners_hide_no_word(void **state) {
  (void)state;
  GroupFile *groups =
      load("\"swaps\":[[\"black\",\"white\"],{\"words\":[\"black person\",\"latino\"],\"from\":\"b\"}]");
  expect(groups, "a black person", "a white person");
  expect(groups, "a latino", "a black person");
  groups_free(groups);
}

static void test_refused_rows(void **state) {
  (void)state;
  refuse("\"swaps\":[[\"alpha \",\"beta\"]]", "the word \"alpha \" begins or ends with a blank");
  refuse("\"swaps\":[[\"alpha\",\" beta\"]]", "the word \" beta\" begins or ends with a blank");
  refuse("\"swaps\":[{\"words\":[\"p\",\"\\u00a0q\"],\"from\":\"a\"}]", "begins or ends with a blank");
  refuse("\"swaps\":[{\"words\":[\"p\",\"q\"],\"previous_in\":\"l\"}]",
         "\"previous_in\" names the list \"l\"");
  refuse("\"lists\":{\"l\":[\"x\"]},\"swaps\":[{\"words\":[\"p\",\"q\"],\"second_in\":\"l\",\"second_not_"
         "in\":\"l\"}]",
         "both \"second_in\" and \"second_not_in\"");
  refuse("\"swaps\":[{\"words\":[\"p\",\"q\"],\"next_in\":[]}]", "\"next_in\" must name 1 to 8 lists");
  refuse("\"lists\":{\"l\":[\"x\"]},\"swaps\":[{\"words\":[\"p\",\"q\"],"
         "\"next_in\":[\"l\",\"l\",\"l\",\"l\",\"l\",\"l\",\"l\",\"l\",\"l\"]}]",
         "must name 1 to 8 lists");
  refuse("\"lists\":{\"l\":[\"x\"]},\"swaps\":[{\"words\":[\"p\",\"q\"],\"next_in\":[\"l\",7]}]", "next_in");
  refuse("\"swaps\":[{\"words\":[\"p\",\"q\"],\"keep\":1}]", "\"keep\" must be true or false");
  refuse("\"swaps\":[{\"words\":[\"p\",\"q\"],\"previous\":\"l\"}]", "did you mean");
  refuse("\"joins\":\"and\",\"swaps\":[[\"p\",\"q\"]]", "joins");
  refuse("\"joins\":7,\"swaps\":[[\"p\",\"q\"]]", "joins");
}

static void test_templates_of_no_type(void **state) {
  (void)state;
  static const char typo[] =
      "\"swaps\":[[\"p\",\"q\"]],\"templates\":{\"default\":[[\"{prompt} a\",\"{prompt} b\"]],"
      "\"maths\":[[\"{prompt} c\",\"{prompt} d\"]]}";
  char path[1200], prompts[1200], text[1024];
  Dataset data;
  (void)snprintf(path, sizeof path, "%s/typo.json", test_folder());
  (void)snprintf(text, sizeof text, "{\"attribute\":\"x\",\"groups\":[\"a\",\"b\"],%s}", typo);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  (void)snprintf(prompts, sizeof prompts, "%s/p.txt", test_folder());
  assert_ok(file_write_atomic(prompts, "p\n", 2));
  DataOptions options = {.train = prompts, .groups_file = path, .counterfactual = COUNTERFACTUAL_AUTO};
  assert_fails(
      dataset_build(&options, NULL, NULL, &data), STATUS_INPUT,
      "\"templates\" has the type \"maths\", which is not in configs/types.json; did you mean \"math\"?");
  static const char own[] = "{\"default\":\"x\",\"types\":[{\"name\":\"maths\",\"patterns\":[\"1\"]}]}";
  char types[1200];
  (void)snprintf(types, sizeof types, "%s/types.json", test_folder());
  assert_ok(file_write_atomic(types, own, strlen(own)));
  options.types_file = types;
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  dataset_free(&data);
  options.groups_file = "gender"; // its templates "math" and "factual" serve the built-in types
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  dataset_free(&data);
}

// ---- long texts ----

/// Fills a long text with copies of `unit`. The caller frees it.
static char *repeated(const char *unit) {
  char *text = malloc(LONG_TEXT + 1);
  assert_non_null(text);
  size_t size = strlen(unit);
  for (size_t i = 0; i < LONG_TEXT; i++) text[i] = unit[i % size];
  text[LONG_TEXT] = '\0';
  return text;
}

// Each of these once made a pattern give up, or took time that grows with the square of the length.
static void test_long_texts(void **state) {
  (void)state;
  static const char *const units[] = {
      "x",          "\xc3\xa9", "e\xcc\x81", "\xf0\x90\x8c\xb0", "她",   "A",
      "1",          " ",        "#",         "how many ",        "$=a ", "$ab",
      "mother ",    "her ",     "young, ",   "his/her ",         "\xff", "who what name ",
      "mother\t\n", "1 + "};
  static const char *const files[] = {"gender", "age", "gender-zh"};
  TypeRules types;
  assert_ok(types_load(NULL, &types));
  for (size_t f = 0; f < sizeof files / sizeof *files; f++) {
    GroupFile *groups = NULL;
    assert_ok(groups_load(files[f], &groups));
    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
      char *text = repeated(units[i]);
      WordHits hits = {0};
      size_t counts[SCRIPT_COUNT] = {0}, type = 0;
      assert_ok(words_find(groups, text, LONG_TEXT, &hits));
      assert_ok(scripts_count(groups->script_runs, text, LONG_TEXT, counts));
      if (f == 0) assert_ok(types_match(&types, text, LONG_TEXT, &type));
      words_free(&hits);
      free(text);
    }
    groups_free(groups);
  }
  types_free(&types);
}

static void test_more_than_the_stack_of_jit(void **state) {
  (void)state;
  pcre2_code *pattern = NULL;
  char *text = repeated("ab");
  bool found = false;
  memcpy(text + 20000, "c", 2);
  assert_ok(pattern_compile("(?:(a)|(b))*c", 0, "a test", &pattern));
  if (pcre2_jit_compile(pattern, PCRE2_JIT_COMPLETE) != 0) skip();
  assert_ok(pattern_matches(pattern, text, strlen(text), &found));
  assert_true(found);
  pcre2_code_free(pattern);
  free(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words_around),
      cmocka_unit_test(test_words_that_are_kept),
      cmocka_unit_test(test_one_phrase_for_two_groups),
      cmocka_unit_test(test_partners_hide_no_word),
      cmocka_unit_test(test_refused_rows),
      cmocka_unit_test(test_templates_of_no_type),
      cmocka_unit_test(test_long_texts),
      cmocka_unit_test(test_more_than_the_stack_of_jit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
