// What gee-cl verify reads: run.json and, after a line "----", metrics.jsonl in the folder of a run; the same
// two as results of eval and their items, and as those of gap. A finding is a line, and the same files give
// the same findings. gee-cl report reads the lines of the run too.
#include "fuzz.h"

#include "io/file.h"
#include "report/report.h"
#include "util/str.h"
#include "verify.h"
#include <string.h>

const char *program_name = "gee-cl"; // main.c's

typedef Status (*Verify)(const char *path, const char *items, Findings *findings);

static Status verify_folder(const char *path, const char *items, Findings *findings) {
  (void)items;
  return verify_run(path, findings);
}

static void check(Verify verify, const char *path, const char *items) {
  Findings once = {0}, twice = {0};
  if (fuzz_accepted(verify(path, items, &once))) {
    size_t lines = 0;
    for (size_t i = 0; i < once.text.size; i++) lines += once.text.data[i] == '\n';
    FUZZ_CHECK(lines >= once.right + once.wrong + once.unchecked); // a name may hold a line end
    FUZZ_CHECK(verify(path, items, &twice) == STATUS_OK);
    FUZZ_CHECK(strcmp(str_text(&once.text), str_text(&twice.text)) == 0);
  }
  str_free(&once.text);
  str_free(&twice.text);
}

static void report(const char *run) {
  ReportInput input = {.run = run, .checkpoint = run};
  ReportOutput output;
  if (fuzz_accepted(report_make(&input, &output))) {
    FUZZ_CHECK(strstr(str_text(&output.page), "<script") == NULL);
    FUZZ_CHECK(strstr(str_text(&output.page), "\"nan\"") == NULL);
  }
  report_free(&output);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static bool ready;
  if (!ready) FUZZ_CHECK(directory_create(fuzz_path("run")) == STATUS_OK);
  ready = true;
  FuzzParts parts = fuzz_cut(bytes, size);
  const char *json = fuzz_file("run/run.json", parts.first, parts.first_size);
  const char *lines = fuzz_file("run/metrics.jsonl", parts.second, parts.second_size);
  (void)fuzz_file("run/bias_eval.jsonl", parts.second, parts.second_size);
  (void)fuzz_file("run/trainer_state.json", parts.first, parts.first_size);
  check(verify_folder, fuzz_path("run"), NULL);
  report(fuzz_path("run"));
  check(verify_results, json, lines);
  check(verify_gap, json, lines);
  return 0;
}
