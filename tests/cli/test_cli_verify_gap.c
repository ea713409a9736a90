// `gee-cl verify` of what `gee-cl gap` wrote: every figure follows from the items, and a byte that is changed
// in any file that the figures depend on is found.
#include "support/process.h"
#include "support/tiny_model.h"

#include "eval/gap_record.h"
#include "io/file.h"
#include "util/str.h"
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *folder;
static char config[512], gap[512], items[512]; // kept: what in_folder gives is used again after 256 calls

static int set_up(void **state) {
  char text[2048];
  (void)state;
  folder = test_folder();
  if (folder == NULL) return -1;
  (void)snprintf(config, sizeof config, "%s/config.ini", folder);
  (void)snprintf(gap, sizeof gap, "%s/gap.json", folder);
  (void)snprintf(items, sizeof items, "%s/items.jsonl", folder);
  assert_ok(directory_create(in_folder(folder, "model")));
  tiny_model_write(in_folder(folder, "model"));
  write_text(
      in_folder(folder, "prompts.txt"),
      "She works as a pilot.\nHe works as a baker.\nShe is a nurse.\nHe is a judge.\nShe sings.\n"
      "He paints.\nShe works as a clerk.\nHe works as a miner.\nShe repairs her car.\nHe cooks his soup.\n");
  char *groups = read_file(GEE_SOURCE_DIR "/configs/groups/gender.json", NULL);
  write_text(in_folder(folder, "groups.json"), groups);
  free(groups);
  (void)snprintf(text, sizeof text,
                 "[model]\npath = %s/model\n[data]\ntrain = %s/prompts.txt\nheld_out = 0.8\nchat = off\n"
                 "eval_answers = 2\n[groups]\nfile = %s/groups.json\n[sampling]\nmax_new_tokens = 5\n"
                 "sample_temp = 1\n[loss]\npairing = paired\n[train]\nmax_steps = 2\neffective_batch = 4\n"
                 "learning_rate = 1e-2\n[output]\nsave_root = %s/runs\nrun_name = run\nsave_steps = 0\n",
                 folder, folder, folder, folder);
  write_text(config, text);
  assert_code(GEE("train", config), 0);
  assert_code(
      GEE("gap", config, "--adapter", in_folder(folder, "runs/run/final"), "--output", gap, "--items", items),
      0);
  return 0;
}

static void a_gap_holds(void **state) {
  (void)state;
  Ran ran = GEE("verify", gap);
  assert_code(ran, 0);
  static const char *const right[] = {"/model: every figure",
                                      "/runs/run/final: every figure",
                                      "items.jsonl: its SHA-256",
                                      "prompts.txt: its SHA-256",
                                      "groups.json: its SHA-256",
                                      "built-in types.json",
                                      "weights of ",
                                      "tokenizer of ",
                                      "sizes and constants of ",
                                      "adapter_config.json: its",
                                      "adapter_model.safetensors: its",
                                      "settings: they are those",
                                      "the sets: all 8 that config and data give"};
  for (size_t i = 0; i < sizeof right / sizeof *right; i++)
    if (!test_contains(ran.out, right[i])) fail_msg("%s is not among\n%s", right[i], ran.out);
  assert_true(test_contains(ran.out, "14 right, 0 wrong, 2 not checked"));
}

/// Everything fits together but the data.
static void sets_that_were_left_out_are_seen(void **state) {
  (void)state;
  char hash[SHA256_TEXT], other[SHA256_TEXT];
  const char *few = in_folder(folder, "few.json"), *lines = in_folder(folder, "few.jsonl");
  assert_code(GEE("gap", config, "--set=data.eval_sets=3", "--output", few, "--items", lines), 0);
  Ran ran = GEE("verify", few);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "the sets: all 3 that config and data give"));
  copy_changed(folder, "few.json", "whole.json", "\\neval_sets = 3", "\\neval_sets = 4");
  ran = GEE("verify", in_folder(folder, "whole.json"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "WRONG        the sets: "));
  assert_true(test_contains(ran.out, " 1 wrong"));
  // words that were never asked
  copy_changed(folder, "few.jsonl", "asked.jsonl", "\"prompt\":\"", "\"prompt\":\"Now: ");
  assert_ok(file_sha256(lines, hash));
  assert_ok(file_sha256(in_folder(folder, "asked.jsonl"), other));
  copy_changed(folder, "few.json", "asked.json", hash, other);
  ran = GEE("verify", in_folder(folder, "asked.json"), "--items", in_folder(folder, "asked.jsonl"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "asked.jsonl:1: \"prompt\" is not what the data say"));
}

static void a_changed_setting_is_found(void **state) {
  (void)state;
  static const char *const keys[] = {"temperature",        "top_p", "top_k",
                                     "repetition_penalty", "seed",  "max_drift"};
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    char key[40], other[60], said[80];
    (void)snprintf(key, sizeof key, "\"%s\":", keys[i]);
    (void)snprintf(other, sizeof other, "\"%s\": 0.125, \"x\":", keys[i]);
    (void)snprintf(said, sizeof said, "WRONG        settings: %s is not what", keys[i]);
    copy_changed(folder, "gap.json", "changed.json", key, other);
    Ran ran = GEE("verify", in_folder(folder, "changed.json"));
    assert_code(ran, 1);
    if (!test_contains(ran.out, said)) fail_msg("%s is not among\n%s", said, ran.out);
  }
}

/// More than two groups, a single model, a seed that no double holds, and no items.
static void other_gaps_hold(void **state) {
  (void)state;
  const char *race = in_folder(folder, "race.json"), *lines = in_folder(folder, "race.jsonl");
  assert_code(GEE("gap", config, "--set=groups.file=race", "--set=groups.counterfactual=template",
                  "--set=train.seed=18446744073709551615", "--output", race, "--items", lines),
              0);
  Ran ran = GEE("verify", race);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "/model: every figure"));
  assert_code(
      GEE("gap", config, "--no-base", "--adapter", in_folder(folder, "runs/run/final"), "--output", race), 0);
  ran = GEE("verify", race);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "not checked  the figures: no items are named"));
  // the items of another measurement do not belong to it
  ran = GEE("verify", race, "--items", lines);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "WRONG        ") && test_contains(ran.out, "race.jsonl:1"));
}

// ---- figures ----

/// Whether the items show that `json` is not what they give.
static bool is_found(const cJSON *json, const char *figure) {
  char *text = cJSON_PrintUnformatted(json);
  const char *path = in_folder(folder, "changed.json");
  GapRecord record = {0};
  Str differences = {0};
  write_text(path, text);
  free(text);
  assert_ok(gap_record_open(path, &record));
  Status status = gap_record_compute(&record, NULL);
  for (size_t m = 0; status == STATUS_OK && m < record.count; m++)
    assert_ok(gap_record_differences(&record.models[m], &differences));
  bool found =
      status == STATUS_INPUT || (differences.size > 0 && strstr(str_text(&differences), figure) != NULL);
  str_free(&differences);
  gap_record_free(&record);
  return found;
}

/// Changes every figure below `tree` in turn.
static size_t change_figures(const cJSON *root, cJSON *tree) {
  static const char *const untold[] = {"distinct_sets", "trained_on", "first_step_H", "adapter", "sha256"};
  size_t count = 0;
  for (cJSON *member = tree->child; member != NULL; member = member->next) {
    bool told = true;
    for (size_t i = 0; i < sizeof untold / sizeof *untold; i++)
      told = told && (member->string == NULL || strcmp(member->string, untold[i]) != 0);
    if (!told) continue;
    double value = member->valuedouble;
    if (cJSON_IsNumber(member)) {
      (void)cJSON_SetNumberHelper(member, value + (strcmp(member->string, "sets") == 0 ? 1 : 1e-6));
      if (!is_found(root, member->string)) fail_msg("%s was changed, and it is not found", member->string);
      (void)cJSON_SetNumberHelper(member, value);
      count++;
    } else if (cJSON_IsString(member)) {
      char *word = member->valuestring, other[] = "otherwise";
      member->valuestring = other;
      if (!is_found(root, member->string)) fail_msg("%s was changed, and it is not found", member->string);
      member->valuestring = word;
      count++;
    } else {
      count += change_figures(root, member);
    }
  }
  return count;
}

static void every_changed_figure_is_found(void **state) {
  (void)state;
  char *text = read_file(gap, NULL);
  cJSON *root = cJSON_Parse(text);
  assert_false(is_found(root, ""));
  size_t count = change_figures(root, cJSON_GetObjectItem(root, "base"));
  count += change_figures(root, cJSON_GetArrayItem(cJSON_GetObjectItem(root, "adapters"), 0));
  assert_true(count > 50);
  cJSON *change = cJSON_GetObjectItem(cJSON_GetArrayItem(cJSON_GetObjectItem(root, "adapters"), 0), "change");
  assert_true(cJSON_AddNumberToObject(cJSON_GetObjectItem(change, "paired"), "extra", 1) != NULL);
  assert_true(is_found(root, "change.paired.extra: the items give no such figure"));
  cJSON_DeleteItemFromObject(cJSON_GetObjectItem(change, "paired"), "extra");
  cJSON_DeleteItemFromObject(cJSON_GetObjectItem(change, "total"), "p");
  assert_true(is_found(root, "change.total.p: it is not there"));
  cJSON_Delete(root);
  free(text);
}

// ---- items ----

/// Writes the items with `from` replaced, and a gap.json that is bound to them.
static Ran verify_items(const char *from, const char *to) {
  char hash[SHA256_TEXT], other[SHA256_TEXT];
  copy_changed(folder, "items.jsonl", "other.jsonl", from, to);
  assert_ok(file_sha256(items, hash));
  assert_ok(file_sha256(in_folder(folder, "other.jsonl"), other));
  copy_changed(folder, "gap.json", "bound.json", hash, other);
  return GEE("verify", in_folder(folder, "bound.json"), "--items", in_folder(folder, "other.jsonl"));
}

static void changed_items_are_found(void **state) {
  (void)state;
  char hash[SHA256_TEXT];
  assert_ok(file_sha256(items, hash));
  copy_changed(folder, "items.jsonl", "other.jsonl", "\"entropy\":[", "\"entropy\":[1");
  Ran ran = GEE("verify", gap, "--items", in_folder(folder, "other.jsonl"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "other.jsonl is not the file that") && test_contains(ran.out, hash));
  static const struct {
    const char *from, *to, *said;
  } changes[] = {{"\"entropy\":[", "\"entropy\":[1", "other.jsonl:1: \"H\" is "},
                 {"\"H\":", "\"H\":1", "and the mean of \"entropy\" is"},
                 {"\"set\":1,", "\"set\":0,", "twice"},
                 {"\"answer\":1,", "\"answer\":7,", "other.jsonl:2"},
                 {"\"answer_of\":\"female\"", "\"answer_of\":\"nobody\"", "which is no group"},
                 {"\"ids\":[", "\"ids\":[1,", "another length"},
                 {"\"kl\":", "\"kl\":1", "the mean of \"divergence\" is"},
                 {"\"divergence\"", "\"left_out\"", "\"divergence\" is missing of some answers"},
                 {"{\"model\":\"", "{\"model\":\"x", "is not in"},
                 {"\"prompt\":\"", "\"prompt\":\x01\"", "other.jsonl:1"}};
  for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
    ran = verify_items(changes[i].from, changes[i].to);
    assert_code(ran, 1);
    if (!test_contains(ran.out, changes[i].said)) fail_msg("%s is not in\n%s", changes[i].said, ran.out);
  }
}

/// Writes a copy of the gap that names no items.
static void write_without_items(const char *name) {
  char *whole = read_file(gap, NULL), *member = strstr(whole, "\"items\":{");
  assert_non_null(member);
  char *end = strchr(member, '}') + 2; // behind the comma
  memmove(member, end, strlen(end) + 1);
  write_text(in_folder(folder, name), whole);
  free(whole);
}

/// What no figure follows from is read by people all the same.
static void members_that_were_made_up_are_named(void **state) {
  (void)state;
  static const char *const changed[][3] = {
      {"\"format\":", "\"fair\":true,\"format\":", "the gap: \"fair\" is nothing that gap writes"},
      {"\"base\":{", "\"base\":{\"rank\":1,", "base: \"rank\" is nothing that gap writes"},
      {"\"adapter\":", "\"rank\":1,\"adapter\":", "adapters: \"rank\" is nothing that gap writes"},
      {"\"platform\":", "\"watts\":1,\"platform\":", "device: \"watts\" is nothing that gap writes"},
      {"\"started\":\"2", "\"started\":\"x", "\"started\" is no time"},
      {"\"seconds\":", "\"seconds\":-", "\"seconds\" is no number of seconds"}};
  for (size_t i = 0; i < sizeof changed / sizeof *changed; i++) {
    copy_changed(folder, "gap.json", "changed.json", changed[i][0], changed[i][1]);
    Ran ran = GEE("verify", in_folder(folder, "changed.json"));
    assert_code(ran, 1);
    if (!test_contains(ran.out, changed[i][2])) fail_msg("%s is not among\n%s", changed[i][2], ran.out);
  }
}

/// Without its last line, or with it twice.
static void lines_too_few_or_too_many_are_found(void **state) {
  (void)state;
  char *text = read_file(items, NULL), *last = strrchr(text, '{');
  Str twice = {0};
  write_without_items("unbound.json");
  const char *unbound = in_folder(folder, "unbound.json"), *other = in_folder(folder, "other.jsonl");
  assert_ok(str_append_format(&twice, "%s%s", text, last));
  write_text(other, str_text(&twice));
  Ran ran = GEE("verify", unbound, "--items", other);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, " twice"));
  write_file(other, text, (size_t)(last - text));
  ran = GEE("verify", unbound, "--items", other);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "readings of") && test_contains(ran.out, "and not "));
  write_text(other, text);
  ran = GEE("verify", unbound, "--items", other);
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "not checked  ") && test_contains(ran.out, "no SHA-256 of the items"));
  str_free(&twice);
  free(text);
}

// ---- files ----

/// Changes the byte in the middle of a file, and puts it back.
static void flip(const char *path) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  bytes[size / 2] ^= 1;
  write_file(path, bytes, size);
  free(bytes);
}

static void a_changed_byte_is_found_in_every_file(void **state) {
  (void)state;
  static const char *const files[] = {"prompts.txt", "groups.json",
                                      "runs/run/final/adapter_model.safetensors",
                                      "runs/run/final/adapter_config.json", "model/model.safetensors"};
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    const char *file = in_folder(folder, files[i]);
    bool weights = strstr(files[i], "model/model") != NULL; // whose hash is that of the tensors
    char was[SHA256_TEXT], is[SHA256_TEXT];
    assert_ok(file_sha256(file, was));
    flip(file);
    assert_ok(file_sha256(file, is));
    Ran ran = GEE("verify", gap);
    assert_code(ran, 1);
    assert_true(test_contains(ran.out, "1 wrong") &&
                test_contains(ran.out, weights ? "weights of " : files[i]));
    if (!weights) assert_true(test_contains(ran.out, was) && test_contains(ran.out, is));
    flip(file);
  }
  // constants that the weights do not show
  copy_changed(folder, "model/config.json", "kept.json", "{", "{");
  copy_changed(folder, "model/config.json", "model/config.json", "\"rope_theta\": 1", "\"rope_theta\": 2");
  Ran ran = GEE("verify", gap);
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "WRONG        sizes and constants of") &&
              test_contains(ran.out, "and were"));
  copy_changed(folder, "kept.json", "model/config.json", "{", "{");
  assert_code(GEE("verify", gap), 0);
}

static void what_is_not_there_is_named(void **state) {
  (void)state;
  static const char *const files[] = {"prompts.txt", "groups.json", "items.jsonl", "model",
                                      "runs/run/final/adapter_model.safetensors"};
  const char *away = in_folder(folder, "away");
  for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
    assert_int_equal(rename(in_folder(folder, files[i]), away), 0);
    Ran ran = GEE("verify", gap);
    assert_code(ran, 0);
    assert_true(test_contains(ran.out, "not checked  ") && test_contains(ran.out, "not "));
    // where there is no .safetensors, the .bin is what would be read
    assert_true(test_contains(ran.out, strstr(files[i], "adapter") != NULL ? "adapter_model.bin" : files[i]));
    assert_int_equal(rename(away, in_folder(folder, files[i])), 0);
  }
}

static void an_adapter_of_torch_is_checked(void **state) {
  (void)state;
  char config_hash[SHA256_TEXT], weights[SHA256_TEXT];
  const char *adapter = in_folder(folder, "torch"), *bin = in_folder(adapter, "adapter_model.bin");
  assert_ok(directory_create(adapter));
  write_text(in_folder(adapter, "adapter_config.json"), "{}");
  write_text(bin, "weights as torch.save writes them");
  assert_ok(file_sha256(in_folder(adapter, "adapter_config.json"), config_hash));
  assert_ok(file_sha256(bin, weights));
  Str text = {0};
  assert_ok(str_append_format(
      &text,
      "{\"format\": \"gee-cl gap 1\", \"started\": \"2026-01-01T00:00:00Z\", \"finished\": "
      "\"2026-01-01T00:00:00Z\", \"seconds\": 1, \"model_path\": \"nowhere\", \"adapters\": [{\"adapter\": "
      "\"%s\", \"sha256\": {\"adapter_config\": \"%s\", \"adapter\": \"%s\"}}]}",
      adapter, config_hash, weights));
  write_text(in_folder(folder, "torch.json"), str_text(&text));
  str_free(&text);
  Ran ran = GEE("verify", in_folder(folder, "torch.json"));
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "adapter_model.bin: its SHA-256"));
  assert_true(test_contains(ran.out, "not checked  nowhere: the model is not here"));
  flip(bin);
  ran = GEE("verify", in_folder(folder, "torch.json"));
  assert_code(ran, 1);
  assert_true(test_contains(ran.out, "adapter_model.bin: its SHA-256 is ") &&
              test_contains(ran.out, weights));
}

static void what_is_no_gap_is_refused(void **state) {
  (void)state;
  static const char *const broken[][2] = {{"\"format\":\"gee-cl gap 1\"", "\"format\":\"gee-cl gap 9\""},
                                          {"\"model_path\":\"", "\"model_path\":1,\"x\":\""},
                                          {"\"adapters\":[", "\"adapters\":[1,"}};
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
    copy_changed(folder, "gap.json", "broken.json", broken[i][0], broken[i][1]);
    ASSERT_ERROR(GEE("verify", in_folder(folder, "broken.json")), 2, "broken.json");
  }
  static const char *const odd[][2] = {{"\"seed\":15", "\"seed\":-1"},
                                       {"\"sets\":", "\"sets\":1e9,\"x\":"},
                                       {"\"answers\":2", "\"answers\":0"},
                                       {"\"max_drift\":", "\"max_drift\":{},\"x\":"}};
  for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
    copy_changed(folder, "gap.json", "broken.json", odd[i][0], odd[i][1]);
    Ran ran = GEE("verify", in_folder(folder, "broken.json"));
    assert_code(ran, 1);
    assert_true(test_contains(ran.out, "WRONG"));
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_gap_holds),
      cmocka_unit_test(sets_that_were_left_out_are_seen),
      cmocka_unit_test(a_changed_setting_is_found),
      cmocka_unit_test(other_gaps_hold),
      cmocka_unit_test(every_changed_figure_is_found),
      cmocka_unit_test(changed_items_are_found),
      cmocka_unit_test(lines_too_few_or_too_many_are_found),
      cmocka_unit_test(members_that_were_made_up_are_named),
      cmocka_unit_test(a_changed_byte_is_found_in_every_file),
      cmocka_unit_test(what_is_not_there_is_named),
      cmocka_unit_test(an_adapter_of_torch_is_checked),
      cmocka_unit_test(what_is_no_gap_is_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
