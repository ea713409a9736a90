// Looking numbers up in the page of gee-cl report.
#include "support/report_page.h"

#include "support/process.h"
#include <stdio.h>

void assert_shown(const char *page, const char *what, const cJSON *number) {
  char shown[64];
  assert_true(cJSON_IsNumber(number));
  (void)snprintf(shown, sizeof shown, "<data value=\"%.17g\">", number->valuedouble);
  if (!test_contains(page, shown)) fail_msg("%s: the page lacks %s", what, shown);
}
