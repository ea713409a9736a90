// The table that `gee-cl eval` prints, on a tiny model: headlines and the rest, columns under each other, and
// names of a data file that would command a terminal.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include <stdlib.h>
#include <string.h>

static const char *folder, *model, *data, *output;

/// Bias types: plain, of wide letters, and with a sequence that clears a screen and one that turns the text.
#define WIDE   "女性"
#define CLEARS "\x1b[2J\xE2\x80\xAE"

#define EVAL(run, ...)                                                                                       \
  run("eval", "--model", model, "--tasks", "crows_pairs", "--data-dir", data, "--output", output, __VA_ARGS__)

static void headlines_come_first(void **state) {
  (void)state;
  Ran ran = EVAL(GEE, "--limit", "0");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "\n  pct_stereotype "));
  assert_true(test_contains(ran.out, "\n  likelihood_diff "));
  assert_false(test_contains(ran.out, "mean_ll_more"));
  assert_false(test_contains(ran.out, "pct_stereotype_age"));
  assert_true(test_contains(ran.out, "  27 more metrics are in ")); // 5 metrics of all and of 5 parts, less 3
  assert_true(test_contains(ran.out, "--all-metrics"));
  assert_true(test_contains(ran.out, "advise against"));
}

/// The column at which `part` begins in a line: letters of three bytes take two columns here.
static size_t column_of(const char *line, const char *part) {
  size_t column = 0;
  const char *end = strstr(line, part);
  if (end == NULL) fail_msg("\"%s\" is not in: %s", part, line);
  for (const char *c = line; c < end; c++)
    column += (*c & 0xC0) == 0x80 ? 0 : (unsigned char)*c >= 0xE0 ? 2 : 1;
  return column;
}

static void columns_stand_under_each_other(void **state) {
  (void)state;
  Ran ran = EVAL(GEE, "--all-metrics");
  assert_code(ran, 0);
  assert_false(test_contains(ran.out, "more metrics"));
  assert_true(test_contains(ran.out, "pct_stereotype_dir:stereo"));
  char *text = strdup(ran.out), *rest = NULL;
  size_t lines = 0, wide = 0, column = 0;
  assert_non_null(text);
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    if (strchr(line, '[') == NULL || strstr(line, "\x1b") != NULL) continue;
    if (lines++ == 0) column = column_of(line, "[");
    assert_int_equal(column_of(line, "["), column);
    wide += strstr(line, WIDE) != NULL;
  }
  assert_true(lines >= 15);
  assert_int_equal(wide, 5);
  free(text);
}

/// Files and pipes get names byte for byte; a terminal is shown them.
static void a_terminal_shows_names_and_does_not_obey(void **state) {
  (void)state;
  Ran piped = EVAL(GEE, "--all-metrics");
  assert_code(piped, 0);
  assert_true(test_contains(piped.out, "pct_stereotype_" CLEARS));
  Ran shown = EVAL(TERMINAL_GEE, "--all-metrics");
  assert_code(shown, 0);
  assert_true(test_contains(shown.out, "pct_stereotype_\\u001B[2J\\u202E "));
  assert_true(test_contains(shown.out, "pct_stereotype_" WIDE " "));
  assert_null(strchr(shown.out, '\x1b')); // there is no colour either
  assert_null(strstr(shown.out, "\xE2\x80\xAE"));
}

/// Columns of the longest line; only ASCII is expected.
static size_t widest(const char *text) {
  size_t most = 0;
  for (size_t size; *text != '\0'; text += size + (text[size] != '\0')) {
    size = strcspn(text, "\r\n");
    if (size > most) most = size;
  }
  return most;
}

/// A name with line ends, and one longer than the screen, in the tables of eval and of compare.
static void a_name_takes_one_line_of_a_terminal(void **state) {
  (void)state;
  const char *task = in_folder(folder, "own.json"), *other = in_folder(folder, "other.json");
  const char *items[] = {in_folder(folder, "a.jsonl"), in_folder(folder, "b.jsonl")};
  write_text(in_folder(folder, "own.jsonl"),
             "{\"a\": \"x\", \"b\": \"y\", \"part\": \"a\\nb\\u001b[2J\"}\n{\"a\": \"p\", \"b\": "
             "\"q\", \"part\": "
             "\"long long long long long long long long long long long long long long long long\"}\n");
  write_text(task,
             "{\"name\": \"own\", \"kind\": \"pair\", \"description\": \"x\", \"limits\": \"y\", \"data\": "
             "\"own.jsonl\", \"first\": \"{a}\", \"second\": \"{b}\", \"part_columns\": [\"part\"]}");
  Ran ran = TERMINAL_GEE("eval", "--model", model, "--tasks", task, "--all-metrics", "--output", output,
                         "--items", items[0]);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "share_first_part:a\\nb\\u001B[2J"));
  assert_true(test_contains(ran.out, "share_first_part:long lo") && test_contains(ran.out, "..."));
  assert_true(widest(strstr(ran.out, "share_first")) <= 80);
  assert_code(GEE("eval", "--model", model, "--tasks", task, "--output", other, "--items", items[1]), 0);
  ran = TERMINAL_GEE("compare", output, other, "--all-metrics");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "own/share_first_part:a\\nb\\u001B[2J"));
  assert_true(test_contains(ran.out, "own/share_first_part:long"));
  assert_true(widest(strstr(ran.out, "own/")) <= 80);
}

/// Of three rows no correlation can be computed, and none has the other answer: these metrics are named, and
/// are null in the file, which verify and compare take.
static void what_has_no_value_is_named(void **state) {
  (void)state;
  const char *copy = in_folder(folder, "copy.json");
  const char *files[] = {output, copy},
             *items[] = {in_folder(folder, "w.jsonl"), in_folder(folder, "v.jsonl")};
  assert_ok(directory_create(in_folder(folder, "data/winogender")));
  write_text(in_folder(folder, "data/winogender/occupations-stats.tsv"),
             "occupation\tbergsma_pct_female\tbls_pct_female\ncook\t30\t40\n");
  write_text(in_folder(folder, "data/winogender/templates.tsv"),
             "occupation(0)\tother-participant(1)\tanswer\tsentence\n"
             "cook\tguest\t1\tThe $OCCUPATION told the $PARTICIPANT that $NOM_PRONOUN could pay.\n");
  write_text(in_folder(folder, "data/winogender/all_sentences.tsv"),
             "sentid\tsentence\ncook.guest.1.male.txt\tThe cook told the guest that he could pay.\n"
             "cook.guest.1.female.txt\tThe cook told the guest that she could pay.\n"
             "cook.guest.1.neutral.txt\tThe cook told the guest that they could pay.\n");
  for (int i = 0; i < 2; i++) {
    Ran ran = GEE("eval", "--model", model, "--tasks", "winogender", "--data-dir", data, "--all-metrics",
                  "--output", files[i], "--items", items[i]);
    assert_code(ran, 0);
    assert_false(test_contains(ran.out, "nan"));
    assert_true(
        test_contains(ran.out, "  No value, as too few items count for it: pct_male_over_female_answer0,"));
    assert_true(test_contains(ran.out, "\n  acc "));
  }
  char *text = read_file(output, NULL), *metric = strstr(text, "\"pearson_bls\"");
  assert_non_null(metric);
  metric[strcspn(metric, ",")] = '\0';
  assert_true(test_contains(metric, "\"value\":\tnull"));
  free(text);
  assert_code(GEE("verify", output), 0);
  Ran ran = GEE("compare", output, copy, "--all-metrics");
  assert_code(ran, 0);
  assert_false(test_contains(ran.out, "nan"));
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  model = in_folder(folder, "model");
  data = in_folder(folder, "data");
  output = in_folder(folder, "results.json");
  if (setenv("NO_COLOR", "1", 1) != 0) return -1;
  assert_ok(directory_create(model));
  assert_ok(directory_create(data));
  assert_ok(directory_create(in_folder(folder, "data/crows_pairs")));
  tiny_model_write(model);
  write_text(in_folder(model, "tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_text(in_folder(folder, "data/crows_pairs/crows_pairs_anonymized.csv"),
             "sent_more,sent_less,stereo_antistereo,bias_type\n"
             "Old men forget.,Young men forget.,stereo,age\n"
             "Old men sleep.,Young men sleep.,stereo,age\n"
             "She sings.,He sings.,antistereo," WIDE "\n"
             "She ran.,He ran.,stereo," WIDE "\n"
             "The nurse ran.,The doctor ran.,stereo," CLEARS "\n"
             "The cook ran.,The king ran.,antistereo," CLEARS "\n");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(headlines_come_first),
      cmocka_unit_test(columns_stand_under_each_other),
      cmocka_unit_test(a_name_takes_one_line_of_a_terminal),
      cmocka_unit_test(a_terminal_shows_names_and_does_not_obey),
      cmocka_unit_test(what_has_no_value_is_named),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
