// Group words in other languages: scripts without blanks, the Chinese file on some hundred sentences, and
// prompts in a script that the group file has no words in.
#include "support/test.h"

#include "configs.h"
#include "data/data.h"
#include "group_file.h"
#include "io/file.h"
#include "scripts.h"
#include "util/memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NONE = -1, SEVERAL = -2 };

/// What a text names.
typedef struct Found {
  int group; // or NONE, or SEVERAL
  bool swappable;
} Found;

static Found find(const GroupFile *groups, const char *text) {
  WordHits hits = {0};
  assert_ok(words_find(groups, text, strlen(text), &hits));
  Found found = {NONE, false};
  for (size_t g = 0; g < groups->count; g++)
    if (hits.named[g]) found.group = found.group == NONE ? (int)g : SEVERAL;
  found.swappable = found.group >= 0 && !hits.unswappable;
  words_free(&hits);
  return found;
}

/// The text swapped to `target`; the caller frees it.
static char *swapped(const GroupFile *groups, const char *text, size_t target) {
  Str out = {0};
  WordHits hits = {0};
  assert_ok(words_find(groups, text, strlen(text), &hits));
  assert_ok(words_swap(groups, text, strlen(text), &hits, target, &out));
  words_free(&hits);
  return out.data;
}

static size_t failures;

static void complain(const char *text, const char *what, const char *got) {
  print_error("%s: %s, got %s\n", text, what, got);
  failures++;
}

static void expect_swap(const GroupFile *groups, const char *from, int group, const char *to) {
  Found found = find(groups, from);
  if (found.group != group || !found.swappable)
    complain(from, "must name one group and be swappable", "not so");
  char *text = swapped(groups, from, (size_t)(1 - group));
  if (strcmp(text, to) != 0) complain(from, to, text);
  Found other = find(groups, text);
  if (other.group == group || other.group == SEVERAL)
    complain(text, "must not name the first group", "it does");
  free(text);
}

static void expect_names(const GroupFile *groups, const char *text, int group) {
  if (find(groups, text).group != group)
    complain(text, group == NONE ? "names no group" : "names several groups", "another");
}

static void expect_left(const GroupFile *groups, const char *text) {
  Found found = find(groups, text);
  if (found.group < 0 || found.swappable) complain(text, "must name one group and not be swapped", "not so");
}

/// As if a doubtful word were in it: its other words may name one group.
static void expect_kept(const GroupFile *groups, const char *text) {
  Found found = find(groups, text);
  if (found.group >= 0 && found.swappable) complain(text, "must not be swapped", "swapped");
}

/// Takes the next of a line's columns; "\n" in it is a line end.
static char *column(char **at) {
  char *text = *at, *end = text + strcspn(text, "\t");
  *at = *end != '\0' ? end + 1 : end;
  *end = '\0';
  for (char *n = strstr(text, "\\n"); n != NULL; n = strstr(text, "\\n")) {
    *n = '\n';
    memmove(n + 1, n + 2, strlen(n + 2) + 1);
  }
  return text;
}

/// Checks a line and returns how many sentences it has. A line "file NAME" loads a group file for those after
/// it.
static size_t check_line(GroupFile **file, char *line) {
  char *kind = column(&line), *a = column(&line), *b = column(&line);
  if (strcmp(kind, "file") == 0) {
    groups_free(*file);
    assert_ok(groups_load(a, file));
    return 0;
  }
  const GroupFile *groups = *file;
  if (strcmp(kind, "pair") == 0) {
    expect_swap(groups, a, 0, b);
    expect_swap(groups, b, 1, a);
    return 2;
  }
  if (strcmp(kind, "to-male") == 0)
    expect_swap(groups, a, 0, b);
  else if (strcmp(kind, "to-female") == 0)
    expect_swap(groups, a, 1, b);
  else if (strcmp(kind, "none") == 0)
    expect_names(groups, a, NONE);
  else if (strcmp(kind, "several") == 0)
    expect_names(groups, a, SEVERAL);
  else if (strcmp(kind, "left") == 0)
    expect_left(groups, a);
  else if (strcmp(kind, "kept") == 0)
    expect_kept(groups, a);
  else
    fail_msg("there is a line of the unknown kind \"%s\"", kind);
  return 1;
}

/// Checks a file of at least 300 sentences.
static void check_sentences(const char *path) {
  GroupFile *groups = NULL;
  MappedFile map;
  char *text = NULL;
  size_t sentences = 0;
  assert_ok(file_map(path, &map));
  assert_ok(str_copy(&text, (const char *)map.bytes, map.size));
  file_unmap(&map);
  for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n"))
    if (line[0] != '#') sentences += check_line(&groups, line);
  print_message("%s: %zu sentences, %zu wrong\n", path, sentences, failures);
  assert_true(sentences >= 300);
  assert_int_equal(failures, 0);
  free(text);
  groups_free(groups);
}

static void test_chinese(void **state) {
  (void)state;
  check_sentences("tests/data/chinese.tsv");
}

static void test_english(void **state) {
  (void)state;
  check_sentences("tests/data/english.tsv");
}

static void test_pronouns(void **state) {
  (void)state;
  check_sentences("tests/data/pronouns.tsv");
}

// ---- borders of words ----

/// A group file whose groups a and b are named by the words of `swaps`, rows of a JSON list.
static GroupFile *own_file(const char *swaps, const char *more) {
  static char path[1200], text[2048];
  GroupFile *groups = NULL;
  (void)snprintf(path, sizeof path, "%s/own.json", test_folder());
  (void)snprintf(text, sizeof text,
                 "{\"attribute\":\"x\",\"groups\":[\"a\",\"b\"],\"swaps\":[%s]%s,"
                 "\"templates\":{\"default\":[[\"A: {prompt}\",\"B: {prompt}\"]]}}",
                 swaps, more);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  assert_ok(groups_load(path, &groups));
  return groups;
}

static void check_find(const GroupFile *groups, const char *text, int group) {
  if (find(groups, text).group != group) fail_msg("\"%s\" names %d", text, find(groups, text).group);
}

static void test_scripts_without_blanks(void **state) {
  (void)state;
  // Japanese, Thai, Lao and Khmer: "she" and "he", in sentences.
  GroupFile *groups = own_file(
      "[\"彼女\",\"彼\"],[\"お母さん\",\"お父さん\"],[\"ママ\",\"パパ\"],[\"แม่\",\"พ่อ\"],[\"ผู้หญิง\",\"ผู้ชาย\"],"
      "[\"ນາງ\",\"ທ້າວ\"],[\"ស្ត្រី\",\"បុរស\"]",
      ",\"neutral\":[\"パパイヤ\"]");
  check_find(groups, "彼女は看護師です。", 0); // the longest word: 彼 names the other group
  check_find(groups, "彼は看護師です。", 1);
  check_find(groups, "私のお母さんは医者です", 0);
  check_find(groups, "うちのママはパイロット", 0);
  check_find(groups, "パパイヤを食べる", NONE);
  check_find(groups, "แม่ทำงานที่โรงพยาบาล", 0);
  check_find(groups, "มีผู้หญิงและเด็ก", 0);
  check_find(groups, "ເດັກນາງ", 0);
  check_find(groups, "ជាស្ត្រី។", 0);
  expect_swap(groups, "彼女は彼女の犬と", 0, "彼は彼の犬と");
  expect_swap(groups, "พ่อทำงาน", 1, "แม่ทำงาน");
  assert_int_equal(failures, 0);
  groups_free(groups);
}

// A word ends and begins between whole characters: with their vowel signs, tone marks and joined consonants.
static void test_characters_stay_whole(void **state) {
  (void)state;
  GroupFile *groups = own_file("[\"มา\",\"กา\"],[\"ม\",\"ก\"],[\"か\",\"き\"],[\"ក\",\"ខ\"]", "");
  check_find(groups, "ม่า", NONE);             // a tone mark follows: another syllable
  check_find(groups, "แม", NONE);             // a vowel that is written before the consonant
  check_find(groups, "มะ", NONE);             // one that is written after it
  check_find(groups, "か\xe3\x82\x99", NONE); // a combining voiced sound mark: が
  check_find(groups, "ក\xe1\x9f\x92ក", NONE); // a joined consonant, and one that is joined
  check_find(groups, "มาก", SEVERAL);         // the words stand side by side
  groups_free(groups);
}

// The neighbours of a Latin word are the letters of scripts with blanks; Han letters are none.
static void test_mixed_scripts(void **state) {
  (void)state;
  GroupFile *groups = own_file("[\"she\",\"he\"],[\"她\",\"他\"],[\"T恤女\",\"T恤男\"],[\"T\",\"U\"]", "");
  check_find(groups, "问she吗", 0);
  check_find(groups, "她she", 0);
  check_find(groups, "sheé她", 0);
  check_find(groups, "shé", NONE);
  check_find(groups, "они_she_ж", NONE);
  check_find(groups, "穿T恤男", 1);
  check_find(groups, "穿T恤", 0);
  check_find(groups, "\xe5\xa5 \xe5\xa5", NONE); // bytes of 她, cut
  check_find(groups, "\xff她\xff", 0);
  groups_free(groups);
}

// "é" as one character in the file, as "e" and an accent in the text; and the other way round.
static void test_accents_behind_letters(void **state) {
  (void)state;
#define ACUTE "\xcc\x81"
#define GRAVE "\xcc\x80"
  GroupFile *groups = own_file("[\"fiancée\",\"fiancé\"],[\"me" GRAVE "re\",\"pe" GRAVE "re\"]", "");
  check_find(groups, "la fiance" ACUTE "e arrive", 0);
  check_find(groups, "le fiance" ACUTE " arrive", 1);
  check_find(groups, "sa mère", 0);
  check_find(groups, "sa me" GRAVE "re", 0);
  check_find(groups, "fiance", NONE);
  expect_swap(groups, "le fiance" ACUTE ".", 1, "le fiancée.");
  assert_int_equal(failures, 0);
  groups_free(groups);
#undef ACUTE
#undef GRAVE
}

static void test_neutral_and_doubtful(void **state) {
  (void)state;
  GroupFile *groups = own_file("[\"mother\",\"father\"],[\"king\",\"queen\"]",
                               ",\"neutral\":[\"mother board\",\"king-size\"],\"doubtful\":[\"parent\"]");
  check_find(groups, "A mother  BOARD and a king-size bed", NONE);
  expect_swap(groups, "The mother bought a mother board", 0, "The father bought a mother board");
  check_find(groups, "A parent", NONE);
  expect_left(groups, "The mother, a parent");
  assert_int_equal(failures, 0);
  groups_free(groups);
}

// ---- languages ----

static void refuse(const char *more, const char *part) {
  char path[1200], text[1024];
  GroupFile *groups = NULL;
  (void)snprintf(path, sizeof path, "%s/refused.json", test_folder());
  (void)snprintf(text, sizeof text,
                 "{\"attribute\":\"x\",\"groups\":[\"a\",\"b\"],%s,"
                 "\"templates\":{\"default\":[[\"A: {prompt}\",\"B: {prompt}\"]]}}",
                 more);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  assert_fails(groups_load(path, &groups), STATUS_INPUT, part);
}

static void test_refused_files(void **state) {
  (void)state;
  refuse("\"language\":\"English\",\"swaps\":[[\"p\",\"q\"]]", "\"English\" is not a language tag");
  refuse("\"language\":\"e\",\"swaps\":[[\"p\",\"q\"]]", "language tag");
  refuse("\"language\":\"en_US\",\"swaps\":[[\"p\",\"q\"]]", "language tag");
  refuse("\"language\":7,\"swaps\":[[\"p\",\"q\"]]", "language");
  refuse("\"neutral\":[\"p\"]", "no word names a group");
  refuse("\"neutral\":[\"p\"],\"swaps\":[[\"p\",\"q\"]]", "names both");
  refuse("\"neutral\":[\"n\"],\"doubtful\":[\"n\"],\"swaps\":[[\"p\",\"q\"]]", "\"neutral\"");
  refuse("\"neutral\":\"n\",\"swaps\":[[\"p\",\"q\"]]", "neutral");
  refuse("\"doubtful\":[7],\"swaps\":[[\"p\",\"q\"]]", "doubtful");
}

static void test_built_in_languages(void **state) {
  (void)state;
  static const char *const files[][2] = {{"gender", "en"},    {"race", "en"},
                                         {"age", "en"},       {"gender-zh", "zh-Hans"},
                                         {"gender-es", "es"}, {"gender-de", "de"},
                                         {"gender-fr", "fr"}, {"gender-it", "it"},
                                         {"gender-pt", "pt"}, {"gender-zh-hant", "zh-Hant"}};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    GroupFile *groups = NULL;
    assert_ok(groups_load(files[i][0], &groups));
    assert_string_equal(groups_language(groups), files[i][1]);
    assert_false(groups_swaps_break_agreement(groups));
    groups_free(groups);
  }
  GroupFile *groups = own_file("[\"ella\",\"él\"]", ",\"language\":\"es-MX\"");
  assert_true(groups_swaps_break_agreement(groups));
  groups_free(groups);
  groups = own_file("[\"ella\",\"él\"]", "");
  assert_null(groups_language(groups));
  assert_false(groups_swaps_break_agreement(groups));
  groups_free(groups);
}

static void build(const char *file, const char *prompts, Dataset *out) {
  char path[1200];
  (void)snprintf(path, sizeof path, "%s/prompts.jsonl", test_folder());
  assert_ok(file_write_atomic(path, prompts, strlen(prompts)));
  const DataOptions options = {
      .train = path, .groups_file = file, .counterfactual = COUNTERFACTUAL_AUTO, .column = "prompt"};
  assert_ok(dataset_build(&options, NULL, NULL, out));
}

// No adjective of a language with grammatical gender is left in disagreement: every prompt gets a template.
static void test_templates_where_words_agree(void **state) {
  (void)state;
  Dataset data;
  build("gender-es", "{\"prompt\":\"Ella es una enfermera cansada.\"}\n{\"prompt\":\"¿Qué hora es?\"}\n",
        &data);
  assert_string_equal(data.prompts[0].text, "Una mujer pregunta: Ella es una enfermera cansada.");
  assert_string_equal(data.prompts[1].text, "Un hombre pregunta: Ella es una enfermera cansada.");
  assert_string_equal(data.prompts[3].text, "Un usuario escribe: ¿Qué hora es?");
  assert_int_equal(data.stages[1].unswappable, 1);
  assert_int_equal(data.stages[1].foreign, 0);
  dataset_free(&data);
}

static void test_other_scripts_are_counted(void **state) {
  (void)state;
  static const char prompts[] = "{\"prompt\":\"她是一名护士。\"}\n"
                                "{\"prompt\":\"她在Google当CEO。\"}\n"
                                "{\"prompt\":\"She is a nurse.\"}\n"
                                "{\"prompt\":\"Она медсестра.\"}\n"
                                "{\"prompt\":\"とても忙しいですね。\"}\n"
                                "{\"prompt\":\"12 + 3 = ?\"}\n"
                                "{\"prompt\":\"她怀孕了。\"}\n";
  Dataset data;
  build("gender-zh", prompts, &data);
  assert_int_equal(data.stages[1].foreign, 3); // English, Russian, Japanese
  assert_int_equal(data.stages[1].unswappable, 1);
  assert_string_equal(data.prompts[1].text, "他是一名护士。");
  dataset_free(&data);
  build("gender", prompts, &data);
  assert_int_equal(data.stages[1].foreign, 5); // all but two: more of 她在Google当CEO is Han than Latin
  dataset_free(&data);
}

// Templates in another language are no remedy for prompts that the group file's words cannot fit.
static void test_a_group_file_of_another_script(void **state) {
  (void)state;
  char path[1200];
  static const char chinese[] = "她是医生。\n他在唱歌。\nA pilot sings.\n";
  static const char english[] = "A pilot sings.\n医生。\nA nurse.\n"; // most are in the file's script
  DataOptions options = {.train = path, .groups_file = "gender", .counterfactual = COUNTERFACTUAL_SWAP};
  Dataset data;
  (void)snprintf(path, sizeof path, "%s/prompts.txt", test_folder());
  assert_ok(file_write_atomic(path, chinese, strlen(chinese)));
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT,
               "2 of 3 prompts read are in a script that the group file has no words in; set groups.file to "
               "one of their language, such as gender-zh (docs/GROUPS.md lists them)");
  assert_false(test_contains(status_message(), "counterfactual = auto"));
  options.groups_file = "gender-zh";
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  dataset_free(&data);
  options.groups_file = "gender";
  assert_ok(file_write_atomic(path, english, strlen(english)));
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT, "groups.counterfactual = auto");
}

static void test_script_counts(void **state) {
  (void)state;
  pcre2_code *pattern = NULL;
  size_t counts[SCRIPT_COUNT] = {0}, total = 0, scripts = 0;
  assert_ok(scripts_compile(&pattern));
  static const char text[] = "don't e\xcc\x81t\xc3\xa9 \xff 12 漢字 ひら ไทย 𐌰𐌱 ж";
  assert_ok(scripts_count(pattern, text, sizeof text - 1, counts));
  for (size_t s = 0; s < SCRIPT_COUNT; s++) {
    total += counts[s];
    scripts += counts[s] > 0;
  }
  // don, t, été; 漢, 字; ひ, ら; ไ, ท, ย; Gothic; ж.
  assert_int_equal(counts[0], 3);
  assert_int_equal(counts[SCRIPT_COUNT - 1], 1);
  assert_int_equal(total, 12);
  assert_int_equal(scripts, 6);
  pcre2_code_free(pattern);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_chinese),
      cmocka_unit_test(test_english),
      cmocka_unit_test(test_pronouns),
      cmocka_unit_test(test_scripts_without_blanks),
      cmocka_unit_test(test_characters_stay_whole),
      cmocka_unit_test(test_mixed_scripts),
      cmocka_unit_test(test_accents_behind_letters),
      cmocka_unit_test(test_neutral_and_doubtful),
      cmocka_unit_test(test_refused_files),
      cmocka_unit_test(test_built_in_languages),
      cmocka_unit_test(test_templates_where_words_agree),
      cmocka_unit_test(test_other_scripts_are_counted),
      cmocka_unit_test(test_a_group_file_of_another_script),
      cmocka_unit_test(test_script_counts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
