// gee-cl verify: whether what eval, gap and train left is what their files give. Rule: it says of everything
// that it could check whether it is right, and of everything else that it could not.
#include "eval/gap_record.h"
#include "eval/results.h"
#include "io/file.h"
#include "verify.h"
#include "visible.h"

#include <stdio.h>
#include <string.h>

static const char *items;
static const Option options[] = {
    {"items", OPTION_TEXT, &items, "FILE", "The items, if they are not where the result says.", 0, 0}, {0}};
static const Usage usage = {
    "verify", "Check results and runs against their files.", "RUN_OR_RESULT", options,
    "Takes what eval --output or gap --output wrote, or the folder of a training run. Compares the SHA-256 "
    "of "
    "every file that it names (items, data, groups, the model, adapters, checkpoints) and computes every "
    "figure "
    "and interval again from the items. Each check is a line: right, WRONG or \"not checked\", with the "
    "reason; "
    "a file that is not there is not checked. The exit code is 1 if anything is wrong.\n\n"
    "  gee-cl verify results.json\n"
    "  gee-cl verify runs/quickstart-gap.json\n"
    "  gee-cl verify runs/quickstart"};

static Status verify_json(const char *path, Findings *findings) {
  cJSON *json = NULL;
  const char *format = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(json_parse_file(path, &json));
  format = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "format"));
  if (format != NULL && strcmp(format, RESULTS_FORMAT) == 0)
    status = verify_results(path, items, findings);
  else if (format != NULL && strcmp(format, GAP_RECORD_FORMAT) == 0)
    status = verify_gap(path, items, findings);
  else
    status =
        status_fail(STATUS_INPUT,
                    "%s says nowhere that it is a result of this version of gee-cl; name what eval --output "
                    "or gap --output wrote, or the folder of a run",
                    path);
cleanup:
  cJSON_Delete(json);
  return status;
}

static Status say_findings(const char *path, const Findings *findings) {
  TRY(visible_print(stdout, str_text(&findings->text), findings->text.size));
  printf("%zu right, %zu wrong, %zu not checked\n", findings->right, findings->wrong, findings->unchecked);
  if (findings->wrong == 0) return STATUS_OK;
  return status_fail(STATUS_FAILED, "%s: %zu check%s failed, as the lines above say", path, findings->wrong,
                     str_plural(findings->wrong));
}

Status cmd_verify(int argc, char **argv) {
  const char *path = NULL;
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, &path, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, path, "RUN_OR_RESULT"));
  Findings findings = {0};
  Status status = file_is_directory(path) ? verify_run(path, &findings) : verify_json(path, &findings);
  if (status == STATUS_OK) status = say_findings(path, &findings);
  str_free(&findings.text);
  return status;
}
