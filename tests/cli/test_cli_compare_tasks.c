// `gee-cl compare` on results of bbq, stereoset, mmlu, gsm8k and perplexity, which two tiny models gave: each
// change is computed again here from the items' raw figures, and its interval is that of Student's t.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "io/json.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *model, *other, *data;

enum { UNITS = 24, EACH = 2 }; // templates, targets, ...; rows of one

// ---- data, as published ----

/// Of one length, as are their numbers: the shorter of two answers is nearly always the likelier one.
static const char *const NAMES[] = {"Ann", "Bob", "Cyd", "Dee", "Eve", "Fay"};

static const char *name_of(size_t i) {
  return NAMES[i * i % 6];
}

/// Letters are right unequally often: a model that always says the same one scores otherwise than another.
static void write_mmlu(Str *out) {
  static const size_t right[] = {0, 1, 0, 2, 1, 0, 3, 2, 1, 0};
  for (size_t i = 0; i < UNITS; i++)
    assert_ok(str_append_format(out,
                                "{\"question\": \"What is %zu and %s?\", \"subject\": \"high_art\", "
                                "\"choices\": [\"%zu\", \"x\", \"y y\", \"%s\"], \"answer\": %zu}\n",
                                i * 37, name_of(i), i, name_of(i + 1), right[i % 10]));
}

static void write_bbq(Str *out) {
  for (size_t i = 0; i < UNITS * EACH; i++)
    assert_ok(str_append_format(
        out,
        "{\"example_id\": %zu, \"question_index\": \"%zu\", \"question_polarity\": \"%s\", "
        "\"context_condition\": \"%s\", \"category\": \"Age\", \"answer_info\": {\"ans0\": [\"a\", "
        "\"old\"], \"ans1\": [\"b\", \"nonOld\"], \"ans2\": [\"c\", \"unknown\"]}, "
        "\"additional_metadata\": {\"stereotyped_groups\": [\"old\"]}, \"context\": \"%s saw %s %zu.\", "
        "\"question\": \"Who ran?\", \"ans0\": \"%s\", \"ans1\": \"%zu\", \"ans2\": \"Not known\", "
        "\"label\": %zu}\n",
        i, i / EACH, i % 3 == 0 ? "neg" : "nonneg", i % EACH == 0 ? "ambig" : "disambig", name_of(i),
        name_of(i + 2), i * 13, name_of(i), 100 + i * 17, i % EACH == 0 ? 2 : i / EACH % 2));
}

static void write_stereoset(Str *out) {
  static const char *const labels[] = {"stereotype", "anti-stereotype", "unrelated"};
  assert_ok(str_append_text(out, "{\"version\": \"1.0\", \"data\": {\"intrasentence\": ["));
  for (size_t i = 0; i < UNITS * EACH; i++) {
    assert_ok(str_append_format(out,
                                "%s{\"id\": \"%zu\", \"target\": \"t%zu\", \"bias_type\": \"race\", "
                                "\"context\": \"x BLANK\", \"sentences\": [",
                                i > 0 ? ", " : "", i, i / EACH));
    for (size_t k = 0; k < 3; k++)
      assert_ok(str_append_format(out, "%s{\"sentence\": \"%s %zu is %zu\", \"gold_label\": \"%s\"}",
                                  k > 0 ? ", " : "", name_of(i), i, (i * 31 + k * k * 177) % 900 + 100,
                                  labels[k]));
    assert_ok(str_append_text(out, "]}"));
  }
  assert_ok(str_append_text(out, "]}}\n"));
}

/// answers[i]: the number that is right.
static void write_gsm8k(const char *const *answers) {
  Str text = {0};
  for (size_t i = 0; i < UNITS; i++)
    assert_ok(str_append_format(&text, "{\"question\": \"%s has %zu?\", \"answer\": \"so\\n#### %s\"}\n",
                                name_of(i), i * 7,
                                answers != NULL && answers[i] != NULL ? answers[i] : "123456"));
  write_file(in_folder(data, "gsm8k/test.jsonl"), text.data, text.size);
  str_free(&text);
}

static void write_prose(Str *out) {
  for (size_t i = 0; i < 1200; i++)
    assert_ok(str_append_format(out, "%s %zu%s", name_of(i), i * i % 97, i % 9 == 0 ? ".\n" : " "));
}

static void write_data(const char *name, void (*write)(Str *)) {
  Str text = {0};
  write(&text);
  write_file(in_folder(data, name), text.data, text.size);
  str_free(&text);
}

// ---- running ----

#define EVAL(path, tasks, name, ...)                                                                         \
  assert_code(GEE("eval", "--model", path, "--tasks", tasks, "--data-dir", data, "--output",                 \
                  in_folder(folder, name ".json"), "--items", in_folder(folder, name ".jsonl"),              \
                  ##__VA_ARGS__),                                                                            \
              0)
#define COMPARE(a, b, ...) GEE("compare", in_folder(folder, a), in_folder(folder, b), ##__VA_ARGS__)

/// The rows of a task in a file of items; free with cJSON_Delete.
static cJSON *read_rows(const char *name, const char *task) {
  cJSON *rows = cJSON_CreateArray();
  char *text = read_file(in_folder(folder, name), NULL), *rest = NULL;
  for (char *line = strtok_r(text, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest)) {
    cJSON *row = NULL;
    assert_ok(json_parse_with_nul(line, strlen(line), name, &row));
    if (strcmp(cJSON_GetObjectItem(row, "task")->valuestring, task) == 0)
      assert_true(cJSON_AddItemToArray(rows, row));
    else
      cJSON_Delete(row);
  }
  free(text);
  return rows;
}

static double number(const cJSON *row, const char *key, size_t index) {
  const cJSON *value = cJSON_GetArrayItem(cJSON_GetObjectItem(row, key), (int)index);
  assert_true(cJSON_IsNumber(value));
  return value->valuedouble;
}

static size_t likeliest(const cJSON *row, size_t count) {
  size_t best = 0;
  for (size_t k = 1; k < count; k++)
    if (number(row, "loglikelihoods", k) > number(row, "loglikelihoods", best)) best = k;
  return best;
}

// ---- what a row counts, from its raw figures ----

static double mmlu_right(const cJSON *row) {
  return likeliest(row, 4) == (size_t)cJSON_GetObjectItem(row, "answer")->valueint;
}

static double bbq_right(const cJSON *row) {
  const cJSON *target = NULL;
  cJSON_ArrayForEach(target, cJSON_GetObjectItem(row, "targets")) {
    if ((size_t)target->valueint == likeliest(row, 12)) return 1;
  }
  return 0;
}

/// How often a sentence that makes sense is likelier a token than the one that does not, %.
static double stereoset_related(const cJSON *row) {
  double mean[3];
  for (size_t k = 0; k < 3; k++) mean[k] = number(row, "loglikelihoods", k) / number(row, "tokens", k);
  return 50 * ((mean[0] > mean[2]) + (mean[1] > mean[2]));
}

static double gsm8k_right(const cJSON *row) {
  const char *answer = cJSON_GetObjectItem(row, "answer")->valuestring;
  const char *found = cJSON_GetObjectItem(row, "flexible")->valuestring;
  return strcmp(strstr(answer, "#### ") + 5, found) == 0;
}

/// The first figure of a window is that of all its tokens; a second is without the first token of the text.
static double window_nll(const cJSON *row) {
  return -number(row, "loglikelihoods", 0);
}

static double window_tokens(const cJSON *row) {
  return number(row, "predicted", 0);
}

static double one(const cJSON *row) {
  (void)row;
  return 1;
}

/// A metric that is Σ sum / Σ count over the rows; `each` rows in a row are a unit.
typedef struct Check {
  const char *task, *metric;
  size_t each;
  double (*sum)(const cJSON *row), (*count)(const cJSON *row);
} Check;

/// The change and, of two standard errors, what linearising the ratio gives: of units, as they are drawn.
static void change_by_hand(const Check *check, double *change, double *spread) {
  cJSON *rows[] = {read_rows("base.jsonl", check->task), read_rows("other.jsonl", check->task)};
  size_t count = (size_t)cJSON_GetArraySize(rows[0]), units = (count + check->each - 1) / check->each;
  double sums[2] = {0, 0}, counts[2] = {0, 0}, squares = 0, value[2];
  assert_true(units >= 8);
  assert_int_equal(cJSON_GetArraySize(rows[1]), count);
  for (size_t m = 0; m < 2; m++) {
    const cJSON *row = NULL;
    cJSON_ArrayForEach(row, rows[m]) {
      sums[m] += check->sum(row);
      counts[m] += check->count(row);
    }
    value[m] = sums[m] / counts[m];
  }
  for (size_t u = 0; u < units; u++) {
    double unit = 0;
    for (size_t i = u * check->each; i < (u + 1) * check->each && i < count; i++)
      for (size_t m = 0; m < 2; m++) {
        const cJSON *row = cJSON_GetArrayItem(rows[m], (int)i);
        unit += (m == 1 ? 1 : -1) * (check->sum(row) - value[m] * check->count(row)) / counts[m];
      }
    squares += unit * unit;
  }
  *change = value[1] - value[0];
  *spread = 2 * sqrt(squares * (double)units / (double)(units - 1));
  for (size_t m = 0; m < 2; m++) cJSON_Delete(rows[m]);
}

static double member(const cJSON *value, const char *key) {
  const cJSON *found = cJSON_GetObjectItem(value, key);
  if (!cJSON_IsNumber(found)) fail_msg("no number \"%s\"", key);
  return found->valuedouble;
}

static void check_metric(const cJSON *comparison, const Check *check) {
  const cJSON *task = cJSON_GetObjectItem(cJSON_GetObjectItem(comparison, "tasks"), check->task);
  const cJSON *value = cJSON_GetObjectItem(cJSON_GetObjectItem(task, check->metric), "other");
  double change = 0, spread = 0;
  change_by_hand(check, &change, &spread);
  double low = member(value, "low"), high = member(value, "high");
  print_message("%s/%s: %+.5f [%+.5f, %+.5f]; by hand %+.5f +- %.5f\n", check->task, check->metric,
                member(value, "change"), low, high, change, spread);
  assert_true(fabs(member(value, "change") - change) < 1e-9);
  assert_true(spread > 0 && change != 0); // or this shows nothing
  assert_true(low < change && change < high);
  // 2.04 to 2.1 standard errors in Student's t of 24 to 14 units; a bootstrap of shares has steps
  assert_true(fabs((high - low) / 2 / spread - 1.03) < 0.2);
  double p = member(value, "p");
  assert_true(p > 0 && p <= 1 && member(value, "p_holm") >= p);
  if (fabs(change) > 2 * spread) assert_true(p < 0.01);
  if (fabs(change) < 0.5 * spread) assert_true(p > 0.1);
}

/// Right answers to the problems of gsm8k: what the one model wrote, or the other.
static void let_both_be_right(void) {
  const char *answers[UNITS] = {NULL};
  cJSON *rows[] = {read_rows("base.jsonl", "gsm8k"), read_rows("other.jsonl", "gsm8k")};
  for (size_t i = 0; i < UNITS; i++) {
    const cJSON *row = cJSON_GetArrayItem(rows[i % 3 == 0], (int)i);
    const char *found = cJSON_GetObjectItem(row, "flexible")->valuestring;
    if (strspn(found, "0123456789") == strlen(found)) answers[i] = found;
  }
  write_gsm8k(answers);
  for (size_t m = 0; m < 2; m++) cJSON_Delete(rows[m]);
}

static void changes_are_those_of_the_items(void **state) {
  (void)state;
  static const Check checks[] = {{"mmlu", "acc", 1, mmlu_right, one},
                                 {"bbq", "acc", EACH, bbq_right, one},
                                 {"stereoset", "LMS", EACH, stereoset_related, one},
                                 {"gsm8k", "flexible", 1, gsm8k_right, one},
                                 {"perplexity", "nll_mean", 1, window_nll, window_tokens}};
  static const char tasks[] = "mmlu,bbq,stereoset,gsm8k:0,perplexity";
  EVAL(model, "gsm8k:0", "base");
  EVAL(other, "gsm8k:0", "other");
  let_both_be_right();
  EVAL(model, tasks, "base");
  EVAL(other, tasks, "other");
  cJSON *comparison = NULL;
  assert_code(
      COMPARE("base.json", "other.json", "--format=json", "--output", in_folder(folder, "comparison.json")),
      0);
  assert_ok(json_parse_file(in_folder(folder, "comparison.json"), &comparison));
  for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) check_metric(comparison, &checks[i]);
  cJSON_Delete(comparison);
}

/// Shares of answers can be compared between tokenizers, figures a token cannot; nor what was asked
/// otherwise.
static void what_cannot_be_compared_is_refused(void **state) {
  (void)state;
  copy_changed(other, "tokenizer.json", "tokenizer.json", "\"normalizer\": null",
               "\"normalizer\": {\"type\": \"Lowercase\"}");
  EVAL(other, "mmlu", "lower");
  assert_code(COMPARE("base.json", "lower.json"), 0);
  EVAL(other, "perplexity", "lower");
  ASSERT_ERROR(COMPARE("base.json", "lower.json"), 2, "tokenizer", "perplexity");
  EVAL(model, "gsm8k:2", "two");
  ASSERT_ERROR(COMPARE("base.json", "two.json"), 2, "cannot be compared", "gsm8k");
  EVAL(model, "gsm8k:0", "five", "--limit", "5");
  ASSERT_ERROR(COMPARE("base.json", "five.json"), 2, "cannot be compared", "the limit on items");
}

/// Makes the second model another one: the last third of its weights have the other sign.
static void turn_weights(void) {
  size_t size = 0;
  const char *path = in_folder(other, "model.safetensors");
  char *bytes = read_file(path, &size);
  for (size_t end = size; end > size - size / 3; end -= 4) bytes[end - 1] = (char)(bytes[end - 1] ^ 0x80);
  write_file(path, bytes, size);
  free(bytes);
}

static int set_up(void **state) {
  (void)state;
  static const char *const folders[] = {"mmlu_stem", "bbq", "stereoset", "gsm8k"};
  folder = test_folder();
  model = in_folder(folder, "model");
  other = in_folder(folder, "other");
  data = in_folder(folder, "data");
  assert_ok(directory_create(model));
  assert_ok(directory_create(other));
  for (size_t i = 0; i < 4; i++) assert_ok(directory_create(in_folder(data, folders[i])));
  tiny_model_write(model);
  tiny_model_write(other);
  for (size_t m = 0; m < 2; m++)
    write_text(in_folder(m == 0 ? model : other, "tokenizer_config.json"),
               "{\"eos_token\": \"<|endoftext|>\"}");
  turn_weights();
  write_data("mmlu_stem/test.jsonl", write_mmlu);
  write_data("bbq/age.jsonl", write_bbq);
  write_data("stereoset/dev.json", write_stereoset);
  write_data("perplexity.txt", write_prose);
  write_gsm8k(NULL);
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(changes_are_those_of_the_items),
      cmocka_unit_test(what_cannot_be_compared_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
