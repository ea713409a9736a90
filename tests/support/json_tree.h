// A value that cJSON has read, written by gee-cl's writer: so that the two can be compared.
#pragma once

#include "io/json_write.h"
#include <cjson/cJSON.h>

/// Adds the value as it is.
void json_tree_write(JsonWriter *json, const char *key, const cJSON *value);
