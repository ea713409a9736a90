// Every allocation of a report failing: a message about memory, and nothing left.
#include "report/report.h"
#include "support/alloc_faults.h"
#include "support/process.h"

#include "io/file.h"
#include <stdio.h>
#include <string.h>

static ReportInput input;

static void write_lines(const char *path, size_t count, const char *format) {
  Str text = {0};
  for (size_t i = 1; i <= count; i++) {
    char line[512];
    (void)snprintf(line, sizeof line, format, i, i);
    assert_ok(str_append_text(&text, line));
  }
  write_file(path, text.data, text.size);
  str_free(&text);
}

static void write_items(const char *path) {
  static const char *const names[] = {"female", "male"}, *const models[] = {"base", "final"};
  Str text = {0};
  for (size_t i = 0; i < 24; i++)
    assert_ok(str_append_format(
        &text,
        "{\"model\":\"%s\",\"set\":%zu,\"answer_of\":\"%s\",\"read_under\":\"%s\",\"prompt\":\"A "
        "day.\",\"tokens\":[\"A\",\" day\"],\"entropy\":[1.5,2.5],\"H\":%.1f}\n",
        models[i / 12], i % 12 / 4, names[i % 2], names[i / 2 % 2], i < 12 && i / 2 % 2 == 1 ? 2.2 : 2.1));
  write_file(path, text.data, text.size);
  str_free(&text);
}

static const char GAP[] = "{\"base\":{\"paired\":{\"gap\":0.04,\"low\":0.03,\"high\":0.05,\"p\":0.01,\"H\":{"
                          "\"female\":2.1,\"male\":2.2}},"
                          "\"total\":{\"gap\":0.1,\"low\":-0.1,\"high\":0.2,\"p\":0.3},\"H_bar\":2.15,"
                          "\"sets\":3,\"answers\":6},\"adapters\":[{"
                          "\"adapter\":\"final\",\"paired\":{\"gap\":0.01,\"low\":0,\"high\":0.02,\"p\":0.4,"
                          "\"H\":{\"female\":2.1,\"male\":2.1}},"
                          "\"total\":{\"gap\":0,\"low\":-0.1,\"high\":0.2,\"p\":1},\"H_bar\":2.1,\"sets\":3,"
                          "\"answers\":6,\"change\":{\"paired\":{"
                          "\"gap\":-0.03,\"low\":-0.04,\"high\":-0.02,\"size\":\"smaller\"},\"total\":{"
                          "\"gap\":-0.1},\"H_bar\":{\"change\":-0.05,"
                          "\"low\":-0.1,\"high\":0,\"relative\":-0.02},\"drift\":\"none\"}}]}";

static int set_up(void **state) {
  static const char *results[1];
  static const ReportKey keys[] = {{"loss", "pairing", "paired", true}, {"train", "max_steps", "3", true}};
  static ReportFile files[1];
  const char *folder = test_folder();
  GroupFile *groups = NULL;
  (void)state;
  if (folder == NULL) return -1;
  char hash[SHA256_TEXT], text[512];
  const char *final = in_folder(folder, "final");
  assert_ok(directory_create(final));
  write_text(in_folder(final, "README.md"), "---\nbase_model: \"x\"\n---\n\n# run\n");
  write_text(in_folder(final, "trainer_state.json"),
             "{\"step\": 3, \"settings\": {\"model (shape)\": \"small\"}}");
  write_text(in_folder(final, "adapter_base.json"),
             "{\"weights_sha256\": \"ab\", \"tokenizer_sha256\": \"cd\"}");
  write_text(in_folder(final, "adapter_model.safetensors"), "weights");
  write_lines(
      in_folder(folder, "metrics.jsonl"), 3,
      "{\"step\":%zu,\"loss\":%zu,\"loss_bias\":0.1,\"entropy_gap\":0.2,\"H_female\":2,\"H_male\":2.1}\n");
  write_lines(in_folder(folder, "bias_eval.jsonl"), 2,
              "{\"step\":%zu,\"paired\":{\"gap\":0.%zu,\"low\":0,\"high\":1}}\n");
  write_text(in_folder(folder, "gap.json"), GAP);
  write_items(in_folder(folder, "items.jsonl"));
  assert_ok(file_sha256(in_folder(final, "adapter_model.safetensors"), hash));
  (void)snprintf(text, sizeof text,
                 "{\"tasks\":{\"mmlu\":{\"items\":14042,\"metrics\":{\"acc\":{\"value\":0.3,\"low\":0.2,"
                 "\"high\":0.4,\"n\":9}"
                 "},\"data\":[]"
                 "}},\"sha256\":{\"adapter\":\"%s\"}}",
                 hash);
  write_text(in_folder(folder, "results.json"), text);
  results[0] = in_folder(folder, "results.json");
  files[0] = (ReportFile){"adapter", in_folder(final, "adapter_model.safetensors")};
  assert_ok(groups_load("gender", &groups));
  input = (ReportInput){.run = folder,
                        .checkpoint = final,
                        .finished = true,
                        .gap = in_folder(folder, "gap.json"),
                        .items = in_folder(folder, "items.jsonl"),
                        .results = results,
                        .result_count = 1,
                        .keys = keys,
                        .key_count = 2,
                        .files = files,
                        .file_count = 1,
                        .groups = groups};
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  groups_free((GroupFile *)input.groups);
  return 0;
}

static Status make(void *user) {
  ReportOutput output;
  (void)user;
  Status status = report_make(&input, &output);
  if (status == STATUS_OK && (output.page.size < 10000 || output.card.size < 200 || output.result_count != 1))
    status = status_fail(STATUS_INPUT, "something is missing of the report");
  report_free(&output);
  return status;
}

static void allocations(void **state) {
  (void)state;
  faults_sweep(&(FaultSweep){"a report", make, NULL, NULL});
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(allocations)};
  return cmocka_run_group_tests(tests, set_up, tear_down);
}
