// What gap --output wrote, and after a line "----" what gap --items wrote; the first is taken for benchmark
// results too. Whatever they hold, the page has no markup of theirs.
#include "fuzz.h"

#include "report/report.h"
#include <string.h>

static GroupFile *groups;

static void check_page(const ReportOutput *output) {
  const char *page = str_text(&output->page);
  FUZZ_CHECK(output->page.size == strlen(page) && output->page.size < 8 << 20);
  FUZZ_CHECK(strstr(page, "<script") == NULL && strstr(page, "<img") == NULL &&
             strstr(page, "\"nan\"") == NULL);
  FUZZ_CHECK(str_ends(page, "</html>\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  if (groups == NULL) FUZZ_CHECK(groups_load("gender", &groups) == STATUS_OK);
  const char *gap = fuzz_file("gap.json", parts.first, parts.first_size);
  const char *items = fuzz_file("items.jsonl", parts.second, parts.second_size);
  const char *results[] = {gap, gap};
  ReportInput input = {.run = "run", .checkpoint = "none", .gap = gap, .items = items, .groups = groups};
  ReportOutput output;
  if (fuzz_accepted(report_make(&input, &output))) check_page(&output);
  report_free(&output);
  input.results = results;
  input.result_count = 2;
  if (fuzz_accepted(report_make(&input, &output))) check_page(&output);
  report_free(&output);
  return 0;
}
