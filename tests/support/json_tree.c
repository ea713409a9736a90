// cJSON's trees through the writer. Rule: nothing is left out and nothing put in order.
#include "support/json_tree.h"

void json_tree_write(JsonWriter *json, const char *key, const cJSON *value) {
  const cJSON *child;
  if (cJSON_IsObject(value)) {
    json_object_begin(json, key);
    cJSON_ArrayForEach(child, value) json_tree_write(json, child->string, child);
    json_object_end(json);
  } else if (cJSON_IsArray(value)) {
    json_array_begin(json, key);
    cJSON_ArrayForEach(child, value) json_tree_write(json, NULL, child);
    json_array_end(json);
  } else if (cJSON_IsString(value)) {
    json_string(json, key, value->valuestring);
  } else if (cJSON_IsNumber(value)) {
    json_number(json, key, value->valuedouble);
  } else if (cJSON_IsBool(value)) {
    json_bool(json, key, cJSON_IsTrue(value));
  } else {
    json_null(json, key);
  }
}
