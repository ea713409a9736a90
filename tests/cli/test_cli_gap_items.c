// gee-cl gap --items: every printed gap can be computed again from the lines, by what docs/METRICS.md says.
#include "support/process.h"
#include "support/tiny_model.h"

#include "io/file.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *config, *trained;
enum { SETS = 9, GROUPS = 2 };

static int set_up(void **state) {
  char text[1024];
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  config = in_folder(folder, "config.ini");
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s/model\n[data]\nuse_test_data = true\nheld_out = 0.5\neval_sets = %d\n"
                 "eval_answers = 2\n[sampling]\nmax_new_tokens = 5\n[loss]\npairing = paired\n[train]\n"
                 "max_steps = 2\neffective_batch = 4\nlearning_rate = 1e-2\n[output]\nsave_root = %s/runs\n"
                 "run_name = run\nsave_steps = 0\n",
                 folder, SETS, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  trained = in_folder(folder, "runs/run/final");
  return 0;
}

/// Sums of H by set and group, and their counts.
typedef struct Table {
  double sum[SETS][GROUPS], count[SETS][GROUPS];
} Table;

static void table_add(Table *table, const cJSON *line, double H) {
  size_t set = (size_t)cJSON_GetObjectItem(line, "set")->valuedouble;
  bool male = strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(line, "read_under")), "male") == 0;
  assert_true(set < SETS);
  table->sum[set][male] += H;
  table->count[set][male]++;
}

static void assert_gap(const Table *table, const cJSON *model, const char *kind, double answers) {
  double gap = 0;
  for (size_t set = 0; set < SETS; set++) {
    for (size_t g = 0; g < GROUPS; g++) assert_true(fabs(table->count[set][g] - answers) < 0.5);
    gap += (table->sum[set][1] / answers - table->sum[set][0] / answers) / SETS;
  }
  double printed = cJSON_GetObjectItem(cJSON_GetObjectItem(model, kind), "gap")->valuedouble;
  if (!(fabs(gap - printed) <= 1e-12)) fail_msg("%s gap %.17g, printed %.17g", kind, gap, printed);
}

/// H is the mean of the entropies, each of a token, and the tokens of all readings of an answer are the same.
static double check_line(const cJSON *line) {
  const cJSON *entropy = cJSON_GetObjectItem(line, "entropy"), *value = NULL;
  double sum = 0, H = cJSON_GetObjectItem(line, "H")->valuedouble;
  int count = cJSON_GetArraySize(entropy);
  cJSON_ArrayForEach(value, entropy) sum += (double)(float)value->valuedouble;
  assert_true(count > 0 && count == cJSON_GetArraySize(cJSON_GetObjectItem(line, "tokens")));
  assert_true(fabs(sum / count - H) <= 1e-12);
  return H;
}

/// The lines of one model, against what was printed of it.
static void check_model(const char *text, const char *name, const cJSON *model) {
  Table paired = {0}, total = {0};
  for (const char *at = text; *at != '\0'; at = strchr(at, '\n') + 1) {
    cJSON *line = cJSON_ParseWithOpts(at, NULL, false);
    assert_non_null(line);
    if (strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(line, "model")), name) == 0) {
      double H = check_line(line);
      const char *of = cJSON_GetStringValue(cJSON_GetObjectItem(line, "answer_of"));
      const char *under = cJSON_GetStringValue(cJSON_GetObjectItem(line, "read_under"));
      const char *prompt = cJSON_GetStringValue(cJSON_GetObjectItem(line, "prompt"));
      assert_true(str_starts(prompt, strcmp(under, "male") == 0 ? "He " : "She "));
      table_add(&paired, line, H);
      if (strcmp(of, under) == 0) table_add(&total, line, H);
    }
    cJSON_Delete(line);
  }
  assert_gap(&paired, model, "paired", 4);
  assert_gap(&total, model, "total", 2);
}

static void the_gaps_again(void **state) {
  (void)state;
  const char *items = in_folder(folder, "items.jsonl");
  Ran ran = GEE("gap", config, "--adapter", trained, "--json", "--items", items);
  assert_code(ran, 0);
  cJSON *root = cJSON_Parse(ran.out);
  char *text = read_file(items, NULL);
  check_model(text, in_folder(folder, "model"), cJSON_GetObjectItem(root, "base"));
  check_model(text, trained, cJSON_GetArrayItem(cJSON_GetObjectItem(root, "adapters"), 0));
  ran = GEE("gap", config, "--adapter", trained, "--json");
  assert_code(ran, 0);
  cJSON *without = cJSON_Parse(ran.out);
  assert_true(cJSON_Compare(cJSON_GetObjectItem(root, "base"), cJSON_GetObjectItem(without, "base"), true));
  assert_true(
      cJSON_Compare(cJSON_GetObjectItem(root, "adapters"), cJSON_GetObjectItem(without, "adapters"), true));
  free(text);
  cJSON_Delete(root);
  cJSON_Delete(without);
}

static void wrong_use(void **state) {
  (void)state;
  const char *file = in_folder(folder, "same.json");
  ASSERT_ERROR(GEE("gap", config, "--items", "-"), 2, "--items needs the name of a file");
  ASSERT_ERROR(GEE("gap", config, "--items", file, "--output", file), 2, "are both", "name two files");
  Ran ran = GEE("gap", config, "--items", in_folder(folder, "none/items.jsonl"));
  assert_code(ran, 2);
  assert_true(test_contains(ran.err, "--items") && !test_contains(ran.err, "measuring"));
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_gaps_again), cmocka_unit_test(wrong_use)};
  return cmocka_run_group_tests(tests, set_up, NULL);
}
