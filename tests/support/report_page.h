// What the page of gee-cl report shows.
#pragma once

#include "support/test.h"
#include <cjson/cJSON.h>

/// Fails unless the page has this number to the last bit, as <data value="…">.
void assert_shown(const char *page, const char *what, const cJSON *number);
