// gee-cl report as a user and an auditor see it: on a tiny run, with every file and without, with text that
// would be markup, and in headless Chromium where it is installed.
#include "support/process.h"
#include "support/report_page.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *folder, *config, *run, *page_path;
static char *page;

static const char HOSTILE[] =
    "{\"prompt\": \"She says <script>alert(1)</script> &amp; \\\"quotes\\\" | pipes.\"}\n"
    "{\"prompt\": \"He sings <img src=x onerror=alert(1)> all day.\"}\n"
    "{\"prompt\": \"She paints ']]> --> \\u202e walls.\"}\n"
    "{\"prompt\": \"He bakes bread for his town.\"}\n"
    "{\"prompt\": \"It rains.\"}\n"
    "{\"prompt\": \"He and she dance.\"}\n";

static void write_config(void) {
  char text[2048];
  write_text(in_folder(folder, "prompts.jsonl"), HOSTILE);
  (void)snprintf(
      text, sizeof text,
      "[model]\npath = %s/model\n[data]\ntrain = %s/prompts.jsonl\nheld_out = 0.5\neval_answers = 2\n"
      "[groups]\ncounterfactual = swap\n[sampling]\nmax_new_tokens = 6\n[loss]\npairing = paired\n[train]\n"
      "max_steps = 3\neffective_batch = 4\nlearning_rate = 1e-2\nbias_eval_steps = 2\n[output]\n"
      "save_root = %s/runs\nrun_name = run\nsave_steps = 0\n",
      folder, folder, folder);
  write_text(config, text);
}

static int set_up(void **state) {
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  config = in_folder(folder, "config.ini");
  run = in_folder(folder, "runs/run");
  page_path = in_folder(folder, "runs/run/report/report.html");
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_text(in_folder(folder, "model/tokenizer_config.json"), "{\"eos_token\": \"<|endoftext|>\"}");
  write_config();
  assert_code(GEE("train", config), 0);
  assert_code(GEE("gap", config, "--adapter", in_folder(run, "final"), "--output",
                  in_folder(folder, "runs/run-gap.json"), "--items",
                  in_folder(folder, "runs/run-items.jsonl")),
              0);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  free(page);
  return 0;
}

static const char *made(Ran ran) {
  assert_code(ran, 0);
  free(page);
  page = read_file(page_path, NULL);
  return page;
}

// ---- benchmark results, as gee-cl eval writes them ----

static void write_results(const char *path, const char *adapter, const char *data, double value) {
  char text[2048];
  (void)snprintf(
      text, sizeof text,
      "{\"format\": \"gee-cl results 1\", \"tasks\": {\"crows_pairs\": {\"metrics\": {\"pct_stereotype\": "
      "{\"value\": %.17g, \"low\": 0.5, \"high\": 0.625, \"n\": 1508}, \"likelihood_diff\": {\"value\": 4.6, "
      "\"low\": null, \"high\": null, \"n\": 1508}}, \"items\": 1508, \"data\": [{\"path\": \"x\", "
      "\"sha256\": "
      "\"%s\"}], \"limits\": \"Its authors <b>advise</b> against it.\"}, \"discrim_eval\": {\"metrics\": "
      "{\"selection_ratio_age\": {\"value\": 0.75, \"low\": 0.7, \"high\": 0.8, \"n\": 9}}, \"items\": 9, "
      "\"data\": []}}, \"model_path\": \"m<i>\", %s \"finished\": \"2026-11-26T20:00:00Z\"}",
      value, data, adapter);
  write_text(path, text);
}

static void write_both_results(const char *other_data) {
  char hash[SHA256_TEXT], adapter[256];
  assert_ok(file_sha256(in_folder(run, "final/adapter_model.safetensors"), hash));
  (void)snprintf(adapter, sizeof adapter, "\"adapter_path\": \"gee\", \"sha256\": {\"adapter\": \"%s\"},",
                 hash);
  write_results(in_folder(folder, "base.json"), "", "aa", 0.55703917771883287);
  write_results(in_folder(folder, "gee.json"), adapter, other_data, 0.51234567890123456);
}

// ---- the page ----

static void all_parts_are_there(void **state) {
  static const char *const parts[] = {"What was asked",
                                      "Data",
                                      "Method",
                                      "Results",
                                      "Before and after, set by set",
                                      "Training",
                                      "Benchmarks",
                                      "Answers side by side",
                                      "Limits",
                                      "How to repeat it"};
  (void)state;
  write_both_results("aa");
  const char *text = made(GEE("report", run, "--compare", in_folder(folder, "base.json"), "--compare",
                              in_folder(folder, "gee.json")));
  const char *at = text;
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char heading[128];
    (void)snprintf(heading, sizeof heading, ". %s</h2>", parts[i]);
    const char *found = strstr(at, heading);
    if (found == NULL) fail_msg("no \"%s\", or not in its place", parts[i]);
    at = found;
  }
  assert_false(test_contains(text, "Missing:"));
  assert_true(strlen(text) < 2000000);
  // who was left out, and the keys as run
  assert_true(test_contains(text, "1 prompt without a word that names a group") &&
              test_contains(text, "1 prompt with words that name several groups"));
  assert_true(test_contains(text, "data.eval_answers</code></th><td>2<"));
  assert_true(test_contains(text, "four fifths"));
}

/// Nothing is fetched: no address but those of namespaces, no script, no file but the page.
static void it_needs_no_network(void **state) {
  static const char *const never[] = {"<script", "src=",    "url(", "@import",
                                      "<iframe", "<object", "<img", "javascript:"};
  (void)state;
  const char *text = made(GEE("report", run));
  for (size_t i = 0; i < sizeof never / sizeof *never; i++) {
    if (test_contains(text, never[i])) fail_msg("the page has %s", never[i]);
  }
  for (const char *at = strstr(text, "http"); at != NULL; at = strstr(at + 1, "http")) {
    if (strncmp(at, "http-equiv", 10) != 0 && strncmp(at, "http://www.w3.org/2000/svg", 26) != 0)
      fail_msg("an address: %.60s", at);
  }
}

static void hostile_text_is_text(void **state) {
  (void)state;
  write_both_results("aa");
  const char *text = made(GEE("report", run, "--compare", in_folder(folder, "base.json")));
  assert_true(test_contains(text, "&lt;script&gt;alert(1)&lt;/script&gt;"));
  assert_true(test_contains(text, "&lt;img src=x onerror=") ||
              test_contains(text, "&lt;b&gt;advise&lt;/b&gt;"));
  assert_false(test_contains(text, "<b>advise") || test_contains(text, "<img") ||
               test_contains(text, "m<i>"));
  char *card = read_file(in_folder(run, "report/MODEL_CARD.md"), NULL);
  assert_false(test_contains(card, "<script"));
  free(card);
}

// ---- figures ----

static void assert_gap_shown(const char *text, const cJSON *measured) {
  static const char *const kinds[] = {"paired", "total"}, *const numbers[] = {"gap", "low", "high", "p"};
  for (size_t k = 0; k < 2; k++) {
    for (size_t n = 0; n < 4; n++)
      assert_shown(text, numbers[n],
                   cJSON_GetObjectItem(cJSON_GetObjectItem(measured, kinds[k]), numbers[n]));
  }
}

/// Every <data> of the page shows its value, rounded to the digits that are shown.
static size_t check_roundings(const char *text) {
  size_t count = 0;
  for (const char *at = strstr(text, "<data value=\""); at != NULL; at = strstr(at + 1, "<data value=\"")) {
    double value = strtod(at + strlen("<data value=\""), NULL), shown = 0;
    const char *words = strchr(at, '>') + 1;
    bool negative = strncmp(words, "\xe2\x88\x92", 3) == 0;
    if (negative) words += 3;
    char *end = NULL;
    shown = strtod(words, &end) * (negative ? -1 : 1);
    const char *point = memchr(words, '.', (size_t)(end - words));
    double last = pow(10, point != NULL ? -(double)(end - point - 1) : 0);
    if (!(fabs(shown - value) <= last * 0.500001)) fail_msg("%.17g is shown as %.12s", value, words);
    count++;
  }
  return count;
}

static void every_figure_is_the_json(void **state) {
  (void)state;
  write_both_results("aa");
  const char *text = made(GEE("report", run, "--compare", in_folder(folder, "base.json"), "--compare",
                              in_folder(folder, "gee.json")));
  char *bytes = read_file(in_folder(folder, "runs/run-gap.json"), NULL);
  cJSON *gap = cJSON_Parse(bytes);
  const cJSON *base = cJSON_GetObjectItem(gap, "base"),
              *after = cJSON_GetArrayItem(cJSON_GetObjectItem(gap, "adapters"), 0);
  assert_gap_shown(text, base);
  assert_gap_shown(text, after);
  assert_gap_shown(text, cJSON_GetObjectItem(after, "change"));
  assert_shown(text, "H_bar", cJSON_GetObjectItem(base, "H_bar"));
  assert_shown(text, "H_bar", cJSON_GetObjectItem(after, "H_bar"));
  assert_shown(text, "kl", cJSON_GetObjectItem(cJSON_GetObjectItem(after, "kl"), "mean"));
  assert_shown(text, "pct_stereotype", cJSON_AddNumberToObject(gap, "first", 0.55703917771883287));
  assert_shown(text, "pct_stereotype", cJSON_AddNumberToObject(gap, "second", 0.51234567890123456));
  assert_true(check_roundings(text) > 60);
  assert_true(test_contains(text, "No changes of gee:</strong> it was not compared item by item, since"));
  free(bytes);
  cJSON_Delete(gap);
}

/// Fails unless every pair of a measurement is shown.
static void assert_pairs_shown(const char *text, const cJSON *measured) {
  const cJSON *pairs = cJSON_GetObjectItem(cJSON_GetObjectItem(measured, "paired"), "pairs"), *pair = NULL;
  assert_int_equal(cJSON_GetArraySize(pairs), 6);
  cJSON_ArrayForEach(pair, pairs) {
    assert_shown(text, "gap", cJSON_GetObjectItem(pair, "gap"));
    assert_shown(text, "low", cJSON_GetObjectItem(pair, "low"));
  }
}

/// Of four groups every pair is shown, and one pair set by set; the largest difference has no change of its
/// own.
static void more_groups(void **state) {
  static const char *const race[] = {"--set=groups.file=race", "--set=groups.counterfactual=template",
                                     "--set=output.run_name=race"};
  const char *other = in_folder(folder, "runs/race"), *path = in_folder(folder, "runs/race-gap.json");
  (void)state;
  assert_code(GEE("train", config, race[0], race[1], race[2]), 0);
  assert_code(GEE("gap", config, race[0], race[1], "--adapter", in_folder(other, "final"), "--output", path,
                  "--items", in_folder(folder, "runs/race-items.jsonl")),
              0);
  assert_code(GEE("report", other), 0);
  char *text = read_file(in_folder(other, "report/report.html"), NULL), *bytes = read_file(path, NULL);
  cJSON *gap = cJSON_Parse(bytes);
  const cJSON *after = cJSON_GetArrayItem(cJSON_GetObjectItem(gap, "adapters"), 0);
  assert_pairs_shown(text, cJSON_GetObjectItem(gap, "base"));
  assert_pairs_shown(text, after);
  assert_pairs_shown(text, cJSON_GetObjectItem(after, "change"));
  assert_true(test_contains(text, "These two groups"));
  assert_false(test_contains(text, "<th scope=\"row\">change, set by set</th>"));
  assert_false(test_contains(text, "prompts without a word that names a group")); // they have got a template
  assert_true(check_roundings(text) > 60);
  cJSON_Delete(gap);
  free(bytes);
  free(text);
}

static void other_data_is_not_compared(void **state) {
  (void)state;
  write_both_results("bb");
  const char *text = made(GEE("report", run, "--compare", in_folder(folder, "base.json"), "--compare",
                              in_folder(folder, "gee.json")));
  assert_true(test_contains(text, "Not comparable:") &&
              test_contains(text, "gee was evaluated on other data"));
  assert_false(test_contains(text, "0.5123"));
}

/// A part of a benchmark and figures in eight bits say so; a task that the first file lacks is shown too.
static void parts_and_other_tasks_are_shown(void **state) {
  (void)state;
  write_both_results("aa");
  copy_changed(folder, "base.json", "other.json", "\"crows_pairs\"", "\"winobias\"");
  copy_changed(folder, "gee.json", "int8.json", "\"sha256\": {",
               "\"limit\": 40, \"sha256\": {\"compute\": \"int8\", ");
  const char *text = made(GEE("report", run, "--compare", in_folder(folder, "other.json"), "--compare",
                              in_folder(folder, "int8.json")));
  assert_true(test_contains(text, "<h3>winobias</h3>") && test_contains(text, "<h3>crows_pairs</h3>"));
  assert_true(test_contains(text, "<strong>A part:</strong> gee was asked the first "));
  assert_true(test_contains(text, "gee was computed with model.compute = int8"));
  char *card = read_file(in_folder(run, "report/MODEL_CARD.md"), NULL);
  assert_true(test_contains(card, "Of each task the first 40 items at most were asked"));
  assert_true(test_contains(card, "computed with model.compute = int8"));
  free(card);
}

static void the_hub(void **state) {
  (void)state;
  write_both_results("aa");
  assert_code(GEE("report", run, "--compare", in_folder(folder, "base.json"), "--compare",
                  in_folder(folder, "gee.json")),
              0);
  char *yaml = read_file(in_folder(run, "report/.eval_results/crows_pairs.yaml"), NULL);
  assert_true(test_contains(
      yaml, "- dataset:\n    id: nyu-mll/crows_pairs\n    task_id: crows_pairs\n  value: 0.5123"));
  assert_true(test_contains(yaml, "  date: \"2026-11-26T20:00:00Z\"\n  notes: \"pct_stereotype by gee-cl "));
  free(yaml);
  char *card = read_file(in_folder(run, "report/MODEL_CARD.md"), NULL);
  char *readme = read_file(in_folder(run, "final/README.md"), NULL);
  assert_true(strncmp(card, readme, strlen(readme)) == 0 && strncmp(card, "---\nbase_model:", 15) == 0);
  assert_true(test_contains(card, "## Evaluation") && test_contains(card, "| paired gap | "));
  assert_true(test_contains(card, "| crows\\_pairs | pct\\_stereotype | 0.5123 [0.5000, 0.6250] | 1508 |"));
  free(card);
  free(readme);
}

// ---- what is missing or wrong ----

static void missing_parts_are_said(void **state) {
  (void)state;
  const char *gap = in_folder(folder, "runs/run-gap.json"),
             *items = in_folder(folder, "runs/run-items.jsonl");
  const char *metrics = in_folder(run, "metrics.jsonl"), *base = in_folder(run, "final/adapter_base.json");
  const char *paths[] = {gap,
                         items,
                         metrics,
                         base,
                         in_folder(folder, "prompts.jsonl"),
                         in_folder(run, "final/trainer_state.json"),
                         in_folder(run, "final/README.md")};
  char away[7][600];
  for (size_t i = 0; i < 7; i++) {
    (void)snprintf(away[i], sizeof away[i], "%s.away", paths[i]);
    assert_int_equal(rename(paths[i], away[i]), 0);
  }
  Ran ran = GEE("report", run);
  const char *text = made(ran);
  for (size_t i = 0; i < 7; i++) assert_int_equal(rename(away[i], paths[i]), 0);
  assert_true(test_contains(ran.err, "the report says that the prompts are missing"));
  assert_true(test_contains(ran.err, "no MODEL_CARD.md"));
  static const char *const said[] = {"the gap before and after training",
                                     "adapter_base.json",
                                     "counts of the prompts",
                                     "a measurement of the gap",
                                     "the answers of the measurement",
                                     "metrics.jsonl",
                                     "benchmarks of bias"};
  for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
    char missing[128];
    (void)snprintf(missing, sizeof missing, "<strong>Missing:</strong> %s", said[i]);
    if (!test_contains(text, missing)) fail_msg("not said to be missing: %s", said[i]);
  }
  assert_true(test_contains(text, "not there now"));
}

static void wrong_files_are_named(void **state) {
  (void)state;
  const char *bad = in_folder(folder, "bad.json");
  ASSERT_ERROR(GEE("report", in_folder(folder, "nothing")), 2, "is no folder", "runs/quickstart");
  ASSERT_ERROR(GEE("report", in_folder(folder, "model")), 2, "neither final nor a step_N");
  ASSERT_ERROR(GEE("report", run, "--gap", in_folder(folder, "none.json")), 2, "none.json: no such file");
  write_text(bad, "{\"format\": \"gee-cl results 1\", \"tasks\": 5}");
  ASSERT_ERROR(GEE("report", run, "--compare", bad), 2, "bad.json", "no \"tasks\"");
  write_text(bad, "[1]");
  ASSERT_ERROR(GEE("report", run, "--gap", bad), 2, "bad.json", "not a JSON object");
  write_text(bad, "{\"set\": 1e300, \"read_under\": \"male\"}\n");
  ASSERT_ERROR(GEE("report", run, "--items", bad), 2, "line 1", "\"set\"");
  write_text(bad, "{\"set\": 0, \"answer_of\": \"male\", \"read_under\": \"other\"}\n{}\n");
  ASSERT_ERROR(GEE("report", run, "--items", bad), 2, "line 1", "\"other\", which is no group");
  write_text(bad, "{\"set\": 0, \"read_under\"\n");
  ASSERT_ERROR(GEE("report", run, "--items", bad), 2, "bad.json: line 1");
}

/// A measurement of an earlier run of that name is not taken for this one's.
static void an_older_measurement(void **state) {
  (void)state;
  const char *gap = in_folder(folder, "runs/run-gap.json"),
             *state_file = in_folder(run, "final/trainer_state.json");
  struct timespec old[2] = {{1000, 0}, {1000, 0}};
  assert_int_equal(utimensat(AT_FDCWD, gap, old, 0), 0);
  Ran ran = GEE("report", run);
  const char *text = made(ran);
  assert_true(test_contains(ran.err, "run-gap.json is older than ") && test_contains(ran.err, state_file));
  assert_true(test_contains(text, "<strong>Missing:</strong> the gap before and after training"));
  assert_false(test_contains(made(GEE("report", run, "--gap", gap)), "Missing:</strong> the gap before"));
  assert_int_equal(utimensat(AT_FDCWD, gap, NULL, 0), 0);
}

static void two_measurements_are_refused(void **state) {
  (void)state;
  const char *other = in_folder(folder, "other.json");
  assert_code(
      GEE("gap", config, "--adapter", in_folder(run, "final"), "--set=train.seed=3", "--output", other), 0);
  ASSERT_ERROR(GEE("report", run, "--gap", other), 2, "other.json",
               "run-items.jsonl are not of one measurement");
}

/// Types that nobody expects, and half a line: the page is made, and has no such figure.
static void odd_values(void **state) {
  (void)state;
  const char *gap = in_folder(folder, "odd.json"), *items = in_folder(folder, "odd.jsonl");
  write_text(
      gap,
      "{\"base\": {\"paired\": {\"gap\": \"<b>\", \"low\": null, \"H\": {\"<i>\": 1e400}}, \"sets\": -1}, "
      "\"adapters\": [{\"adapter\": 5, \"paired\": [], \"total\": {\"gap\": 1e300}, \"change\": {}}]}");
  write_text(items, "{\"model\": 7, \"set\": 0, \"answer_of\": \"male\", \"read_under\": \"male\", "
                    "\"tokens\": [\"a\\u0000\", null], "
                    "\"entropy\": {}}\n{\"set\"");
  const char *text = made(GEE("report", run, "--gap", gap, "--items", items));
  assert_true(test_contains(text, "not measured"));
  assert_false(test_contains(text, "<b>") || test_contains(text, "<i>") || test_contains(text, "nan<"));
}

static void pictures_as_files(void **state) {
  static const char *const names[] = {"gap",          "groups",        "sets",
                                      "training-gap", "tokens-before", "along-after"};
  (void)state;
  made(GEE("report", run, "--pictures"));
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char name[128];
    (void)snprintf(name, sizeof name, "report/pictures/%s.svg", names[i]);
    char *svg = read_file(in_folder(run, name), NULL);
    assert_true(strncmp(svg, "<svg ", 5) == 0 && test_contains(svg, "prefers-color-scheme:dark"));
    free(svg);
    (void)snprintf(name, sizeof name, "report/pictures/%s.png", names[i]);
    char *png = read_file(in_folder(run, name), NULL);
    assert_memory_equal(png, "\x89PNG", 4);
    free(png);
  }
}

static void an_unfinished_run(void **state) {
  (void)state;
  const char *final = in_folder(run, "final"), *step = in_folder(run, "step_3");
  assert_int_equal(rename(final, step), 0);
  const char *text = made(GEE("report", run));
  assert_int_equal(rename(step, final), 0);
  assert_true(test_contains(text, "<strong>Missing:</strong> the end of the run"));
}

static void the_same_bytes_again(void **state) {
  (void)state;
  made(GEE("report", run));
  char *first = read_file(page_path, NULL);
  assert_string_equal(first, made(GEE("report", run)));
  free(first);
}

/// A disk that is full, for which a limit on the size of files stands: no folder is left that was not there.
static void a_full_disk_leaves_nothing(void **state) {
  (void)state;
  char command[2048];
  const char *output = in_folder(folder, "new"), *said = in_folder(folder, "said.txt");
  (void)snprintf(command, sizeof command,
                 "trap '' XFSZ; ulimit -f 8; " GEE_BINARY " report %s --output %s > /dev/null 2> %s", run,
                 output, said);
  int status = system(command);
  assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 1);
  char *err = read_file(said, NULL);
  assert_true(test_contains(err, "report.html") && test_contains(err, "cannot write"));
  free(err);
  assert_false(file_is_there(output));
  assert_false(file_is_there(in_folder(folder, "new" PARTIAL_END)));
}

// ---- a browser ----

/// Opens the page in Chromium. The console has a line for every error, and for every request, since the
/// page's own policy forbids them all.
static void chromium_is_content(void **state) {
  (void)state;
  if (system("command -v chromium >/dev/null 2>&1") != 0) {
    print_message("chromium is not installed, so the page is not opened\n");
    skip();
  }
  write_both_results("aa");
  made(GEE("report", run, "--compare", in_folder(folder, "base.json"), "--compare",
           in_folder(folder, "gee.json")));
  char command[2048];
  (void)snprintf(command, sizeof command,
                 "timeout 120 chromium --headless --no-sandbox --disable-gpu --user-data-dir=%s/chromium "
                 "--enable-logging=stderr --v=0 --dump-dom file://%s >%s/dom.html 2>%s/log.txt",
                 folder, page_path, folder, folder);
  assert_int_equal(system(command), 0);
  char *dom = read_file(in_folder(folder, "dom.html"), NULL),
       *log = read_file(in_folder(folder, "log.txt"), NULL);
  assert_true(test_contains(dom, "How to repeat it") && test_contains(dom, "</html>"));
  if (test_contains(log, "CONSOLE")) fail_msg("the console is not empty: %s", strstr(log, "CONSOLE"));
  assert_true(test_contains(page, "default-src 'none'"));
  free(dom);
  free(log);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_parts_are_there),
      cmocka_unit_test(it_needs_no_network),
      cmocka_unit_test(hostile_text_is_text),
      cmocka_unit_test(every_figure_is_the_json),
      cmocka_unit_test(more_groups),
      cmocka_unit_test(other_data_is_not_compared),
      cmocka_unit_test(parts_and_other_tasks_are_shown),
      cmocka_unit_test(the_hub),
      cmocka_unit_test(missing_parts_are_said),
      cmocka_unit_test(wrong_files_are_named),
      cmocka_unit_test(odd_values),
      cmocka_unit_test(an_older_measurement),
      cmocka_unit_test(two_measurements_are_refused),
      cmocka_unit_test(an_unfinished_run),
      cmocka_unit_test(pictures_as_files),
      cmocka_unit_test(the_same_bytes_again),
      cmocka_unit_test(a_full_disk_leaves_nothing),
      cmocka_unit_test(chromium_is_content),
  };
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
