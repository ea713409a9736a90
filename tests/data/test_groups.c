// Group words: finding and swapping them with the built-in files; broken group files are refused by name.
#include "support/test.h"

#include "configs.h"
#include "group_file.h"
#include "io/file.h"
#include "util/rng.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static GroupFile *gender, *race, *age;

/// The text swapped to `target`, in static memory that the next call overwrites. An empty text frees it.
static const char *swapped(const GroupFile *groups, const char *text, size_t target) {
  static Str out;
  WordHits hits = {0};
  str_clear(&out);
  assert_ok(words_find(groups, text, strlen(text), &hits));
  assert_ok(words_swap(groups, text, strlen(text), &hits, target, &out));
  words_free(&hits);
  if (text[0] == '\0') str_free(&out);
  return str_text(&out);
}

/// The one group that the text names; −1 none, −2 several.
static int named(const GroupFile *groups, const char *text) {
  WordHits hits = {0};
  int found = -1;
  assert_ok(words_find(groups, text, strlen(text), &hits));
  for (size_t g = 0; g < groups->count; g++)
    if (hits.named[g]) found = found == -1 ? (int)g : -2;
  words_free(&hits);
  return found;
}

typedef struct Pair {
  const char *female, *male;
} Pair;

static void test_gender_both_ways(void **state) {
  (void)state;
  static const Pair pairs[] = {
      {"She works as a nurse. Describe her day.", "He works as a nurse. Describe his day."},
      {"I gave her the book because it was hers.", "I gave him the book because it was his."},
      {"Ask her. The keys are hers, not yours.", "Ask him. The keys are his, not yours."},
      {"They saw her and her sister's old car", "They saw him and his brother's old car"},
      {"HER MOTHER said: \"she's late\"", "HIS FATHER said: \"he's late\""},
      {"Mary's mother-in-law met ALICE.", "John's father-in-law met BOB."},
      {"Ms. Smith, a businesswoman, helped herself.", "Mr. Smith, a businessman, helped himself."},
      {"her \"best\" friend; her 20 years; her (late) aunt",
       "his \"best\" friend; his 20 years; his (late) uncle"},
      {"The women told her to go, with her well-known wit.",
       "The men told him to go, with his well-known wit."},
      {"She", "He"},
      {"Über-Mutter: she's Ärztin", "Über-Mutter: he's Ärztin"},
  };
  for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
    assert_int_equal(named(gender, pairs[i].female), 0);
    assert_int_equal(named(gender, pairs[i].male), 1);
    assert_string_equal(swapped(gender, pairs[i].female, 1), pairs[i].male);
    assert_string_equal(swapped(gender, pairs[i].male, 0), pairs[i].female);
  }
}

static void test_words_inside_words(void **state) {
  (void)state;
  assert_int_equal(
      named(gender, "The theme of the shell here is human; ether, mandate, this, history, Hershey."), -1);
  assert_int_equal(named(gender, "Her_name and him2 are identifiers, 5 ms long, an MS; I miss it; will mark"),
                   -1);
  assert_int_equal(named(gender, "The man and his wife"), -2);
  assert_int_equal(named(gender, "h\xc3\xa9 she\xcc\x81"), -1); // letters with marks are other letters
  assert_int_equal(named(gender, "\xff\xfe she \xc3"), 0);      // invalid UTF-8 is no word and hides none
}

static void test_one_way_words(void **state) {
  (void)state;
  assert_string_equal(swapped(gender, "The actress thanked her fans.", 1), "The actor thanked his fans.");
  assert_int_equal(named(gender, "The actor spoke."), -1);
  WordHits hits = {0};
  assert_ok(words_find(gender, "She is pregnant.", 16, &hits));
  assert_true(hits.unswappable);
  words_free(&hits);
}

static void test_race(void **state) {
  (void)state;
  assert_int_equal(named(race, "The black car and the white house; Asian food."), -1);
  assert_int_equal(named(race, "A Black woman bought a white car."), 0);
  assert_string_equal(swapped(race, "A Black woman bought a white car.", 2),
                      "An Asian woman bought a white car.");
  assert_string_equal(swapped(race, "An Asian man and an Asian woman", 1), "A white man and a white woman");
  assert_string_equal(swapped(race, "Black people vote.", 1), "White people vote.");
  assert_string_equal(swapped(race, "Many white people vote.", 3), "Many Hispanic people vote.");
  assert_string_equal(swapped(race, "The Latina voted.", 0), "The Black woman voted.");
  assert_string_equal(swapped(race, "an African American engineer", 1), "a European American engineer");
}

static void test_age(void **state) {
  (void)state;
  assert_int_equal(named(age, "a two-year-old bridge, an old car, young wine"), -1);
  assert_string_equal(swapped(age, "An old man met an elderly woman.", 0), "A young man met a young woman.");
  assert_string_equal(swapped(age, "It is a 30-YEAR-OLD woman", 1), "It is an 80-YEAR-OLD woman");
  assert_string_equal(swapped(age, "The old people's home", 0), "The young people's home");
}

// ---- sentences of published data sets, written for each gender ----

static char *next_line(char **at) {
  char *line = *at, *end = strchr(line, '\n');
  if (*line == '\0') return NULL;
  *at = end != NULL ? end + 1 : line + strlen(line);
  if (end != NULL) *end = '\0';
  size_t size = strlen(line);
  if (size > 0 && line[size - 1] == '\r') line[size - 1] = '\0';
  return line;
}

static char *read_shared(const char *name) {
  char path[1200];
  MappedFile map;
  char *text = NULL;
  (void)snprintf(path, sizeof path, "%s/data/%s", test_shared(), name);
  assert_ok(file_map(path, &map));
  assert_ok(str_copy(&text, (const char *)map.bytes, map.size));
  file_unmap(&map);
  return text;
}

static void test_winogender(void **state) {
  (void)state;
  if (test_shared() == NULL) skip();
  char *text = read_shared("winogender/all_sentences.tsv"), *at = text, male[512] = "";
  size_t pairs = 0;
  (void)next_line(&at);
  for (char *line = next_line(&at); line != NULL; line = next_line(&at)) {
    const char *sentence = strchr(line, '\t') + 1;
    if (strstr(line, ".male.txt") != NULL) (void)snprintf(male, sizeof male, "%s", sentence);
    if (strstr(line, ".female.txt") == NULL) continue;
    assert_string_equal(swapped(gender, male, 0), sentence);
    assert_string_equal(swapped(gender, sentence, 1), male);
    pairs++;
  }
  assert_int_equal(pairs, 240);
  free(text);
}

/// Copies a line of WinoBias without its number and brackets.
static void plain_line(const char *line, char *out) {
  while (isdigit((unsigned char)*line)) line++;
  for (line++; *line != '\0'; line++)
    if (*line != '[' && *line != ']') *out++ = *line;
  *out = '\0';
}

static void test_winobias(void **state) {
  (void)state;
  if (test_shared() == NULL) skip();
  size_t same = 0, lines = 0;
  for (int type = 1; type <= 2; type++) {
    char name[80], a[1024], b[1024];
    (void)snprintf(name, sizeof name, "winobias/pro_stereotyped_type%d.txt.test", type);
    char *pro = read_shared(name), *pro_at = pro;
    (void)snprintf(name, sizeof name, "winobias/anti_stereotyped_type%d.txt.test", type);
    char *anti = read_shared(name), *anti_at = anti;
    for (char *line = next_line(&pro_at), *other = next_line(&anti_at); line != NULL && other != NULL;
         line = next_line(&pro_at), other = next_line(&anti_at)) {
      plain_line(line, a);
      plain_line(other, b);
      int group = named(gender, a);
      bool equal = group >= 0 && strcmp(swapped(gender, a, (size_t)(1 - group)), b) == 0;
      if (!equal && getenv("GEE_VERBOSE") != NULL)
        print_message("%s\n%s\n%s\n\n", a, swapped(gender, a, group == 0), b);
      same += equal;
      lines++;
    }
    free(pro);
    free(anti);
  }
  print_message("WinoBias: %zu of %zu lines swapped as its authors did\n", same, lines);
  assert_int_equal(lines, 792);
  assert_true(same >= 765);
}

// ---- files ----

static const char *write_group_file(const char *text) {
  static char path[1200];
  if (path[0] == '\0') (void)snprintf(path, sizeof path, "%s/own.json", test_folder());
  assert_ok(file_write_atomic(path, text, strlen(text)));
  return path;
}

static void refuse(const char *text, const char *part) {
  GroupFile *groups = NULL;
  const char *path = write_group_file(text);
  assert_fails(groups_load(path, &groups), STATUS_INPUT, part);
  if (!test_contains(status_message(), "own.json"))
    fail_msg("\"%s\" does not name the file", status_message());
  assert_null(groups);
}

#define HEAD "{\"attribute\":\"x\",\"groups\":[\"a\",\"b\"],"
#define TAIL "\"templates\":{\"default\":[[\"A: {prompt}\",\"B: {prompt}\"]]}}"

static void test_own_file(void **state) {
  (void)state;
  GroupFile *groups = NULL;
  assert_ok(groups_load(write_group_file(HEAD "\"swaps\":[[\"r\xc3\xa9"
                                              "d c++\",\"\xc3\xa9te\"]]," TAIL),
                        &groups));
  assert_int_equal(groups_count(groups), 2);
  assert_string_equal(groups_attribute(groups), "x");
  assert_string_equal(groups_name(groups, 1), "b");
  assert_string_equal(swapped(groups,
                              "A R\xc3\x89"
                              "D  C++!",
                              1),
                      "A \xc3\x89TE!");
  assert_string_equal(swapped(groups, "\xc3\x89te", 0), "R\xc3\xa9"
                                                        "d c++");
  groups_free(groups);
}

static void test_hostile_files(void **state) {
  (void)state;
  refuse("[]", "object");
  refuse("{", "JSON");
  refuse("{}", "attribute");
  refuse("{\"attribute\":1}", "attribute");
  refuse("{\"attribute\":\"x\"}", "groups");
  refuse("{\"attribute\":\"x\",\"groups\":[\"a\"]}", "2 to 16");
  refuse("{\"attribute\":\"x\",\"groups\":[\"a\",\"a\"]}", "twice");
  refuse("{\"attribute\":\"x\",\"groups\":[\"a\",7]}", "groups");
  refuse(HEAD TAIL, "no word");
  refuse(HEAD "\"swap\":[]," TAIL, "did you mean \"swaps\"");
  refuse(HEAD "\"swaps\":[[\"p\"]]," TAIL, "row 1 of \"swaps\"");
  refuse(HEAD "\"swaps\":[[\"p\",\"\"]]," TAIL, "not empty");
  refuse(HEAD "\"swaps\":[[\"p\",\" \"]]," TAIL, "blank");
  refuse(HEAD "\"swaps\":[[\"p\",\"\xff\"]]," TAIL, "UTF-8");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"],[\"q\",\"r\"]]," TAIL, "names both");
  refuse(HEAD "\"swaps\":[{\"words\":[\"p\",\"q\"],\"next_in\":\"l\"}]," TAIL, "list \"l\"");
  refuse(HEAD "\"swaps\":[{\"words\":[\"p\",\"q\"],\"from\":\"c\"}]," TAIL, "\"from\"");
  refuse(HEAD "\"swaps\":[{\"words\":[\"p\",\"q\"],\"unjoined\":1}]," TAIL, "unjoined");
  refuse(HEAD "\"swaps\":{\"p\":\"q\"}," TAIL, "swaps");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"]],\"lists\":{\"l\":[]}," TAIL, "lists");
  refuse(HEAD "\"words\":{\"c\":[\"p\"]}," TAIL, "\"words\"");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"]]}", "templates");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"]],\"templates\":{\"default\":[[\"A\",\"B: {prompt}\"]]}}",
         "{prompt} once");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"]],\"templates\":{\"math\":[[\"{prompt}\",\"B: {prompt}\"]]}}",
         "default");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"]],\"templates\":{\"default\":[[\"A: {prompt}\",\"B: {prompt}\"],"
              "[\"X: {prompt}\",\"X: {prompt}\"]]}}",
         "template 2 of \"default\", \"X: {prompt}\", is the same for \"a\" and \"b\"");
  refuse(HEAD "\"swaps\":[[\"p\",\"q\"]],\"articles\":{\"plain\":\"a\",\"vowel\":\"an\",\"vowel_pattern\":\"("
              "\"}," TAIL,
         "vowel_pattern");
}

static void test_deep_and_missing(void **state) {
  (void)state;
  GroupFile *groups = NULL;
  char *deep = malloc(200002);
  assert_non_null(deep);
  memset(deep, '[', 200000);
  deep[200000] = '\0';
  refuse(deep, "JSON");
  free(deep);
  assert_fails(groups_load("gendre", &groups), STATUS_INPUT,
               "age, gender-de, gender-es, gender-fr, gender-it, gender-pt, "
               "gender-zh-hant, gender-zh, gender, race");
  assert_fails(groups_load("/nowhere/own.json", &groups), STATUS_INPUT, "/nowhere/own.json");
  assert_fails(groups_load("", &groups), STATUS_INPUT, "groups.file");
}

// Cut and flipped copies of a built-in file: accepted or refused by name, never worse (the sanitizers watch).
static void test_mutated_files(void **state) {
  (void)state;
  const char *text = config_find("groups/age.json");
  size_t size = strlen(text);
  char *copy = malloc(size + 1);
  assert_non_null(copy);
  for (uint32_t i = 0; i < 400; i++) {
    memcpy(copy, text, size + 1);
    for (uint32_t k = 0; k < 1 + i % 4; k++)
      copy[rng_below((uint32_t)size, 3, RNG_DATA, i, k, 0)] =
          (char)(1 + rng_below(255, 3, RNG_DATA, i, k, 1));
    if (i % 5 == 0) copy[rng_below((uint32_t)size, 3, RNG_DATA, i, 0, 2)] = '\0';
    GroupFile *groups = NULL;
    Status status = groups_load(write_group_file(copy), &groups);
    assert_true(status == STATUS_OK || status == STATUS_INPUT);
    if (status == STATUS_OK) (void)swapped(groups, "An old man met \"young\" people, 30-year-old.", 0);
    groups_free(groups);
  }
  free(copy);
}

static int setup(void **state) {
  (void)state;
  return groups_load("gender", &gender) != STATUS_OK || groups_load("race", &race) != STATUS_OK ||
         groups_load("age", &age) != STATUS_OK;
}

static int teardown(void **state) {
  (void)state;
  (void)swapped(gender, "", 0);
  groups_free(gender);
  groups_free(race);
  groups_free(age);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_gender_both_ways),
      cmocka_unit_test(test_words_inside_words),
      cmocka_unit_test(test_one_way_words),
      cmocka_unit_test(test_race),
      cmocka_unit_test(test_age),
      cmocka_unit_test(test_winogender),
      cmocka_unit_test(test_winobias),
      cmocka_unit_test(test_own_file),
      cmocka_unit_test(test_hostile_files),
      cmocka_unit_test(test_deep_and_missing),
      cmocka_unit_test(test_mutated_files),
  };
  return cmocka_run_group_tests(tests, setup, teardown);
}
