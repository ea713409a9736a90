// The rotary embedding from config.json. Rule: keys take precedence as in transformers 5
// (RotaryEmbeddingConfigMixin): a rope_scaling that is not empty replaces rope_parameters as a whole.
#include "formats.h"
#include "io/json.h"
#include <string.h>

/// *out = rope_scaling or rope_parameters; NULL if there is neither.
static Status find_object(const cJSON *json, const char *name, const cJSON **out) {
  static const char *const keys[] = {"rope_scaling", "rope_parameters"};
  *out = NULL;
  for (size_t i = 0; i < 2 && *out == NULL; i++) {
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(json, keys[i]);
    bool empty = cJSON_IsObject(value) && value->child == NULL;
    if (json_has(json, keys[i]) && !empty) TRY(json_get_object(json, keys[i], name, out));
  }
  return STATUS_OK;
}

/// *out = the number, or `fallback` if the key is missing or null.
static Status number_or(const cJSON *object, const char *key, const char *name, double fallback,
                        double *out) {
  *out = fallback;
  return json_has(object, key) ? json_get_number(object, key, name, out) : STATUS_OK;
}

/// Refuses what is not computed: heads that rotate in part, and layers that rotate differently.
static Status check_whole(const cJSON *json, const cJSON *object, const char *name) {
  static const char key[] = "partial_rotary_factor";
  double share = 0;
  TRY(number_or(json, key, name, 1, &share));
  TRY(number_or(object, key, name, share, &share));
  if (share != 1)
    return status_fail(STATUS_INPUT, "%s: %s %g is not supported; supported is 1", name, key, share);
  const cJSON *member = NULL;
  cJSON_ArrayForEach(member, object) {
    if (!cJSON_IsObject(member)) continue;
    return status_fail(STATUS_INPUT, "%s: a rotary embedding of its own for \"%s\" is not supported", name,
                       member->string);
  }
  return STATUS_OK;
}

static Status read_type(const cJSON *object, const char *name, RopeType *out) {
  const char *type = rope_type_name(ROPE_DEFAULT);
  const char *key = json_has(object, "rope_type") ? "rope_type" : "type"; // `type` is the older name
  if (json_has(object, key)) TRY(json_get_string(object, key, name, &type));
  for (*out = ROPE_DEFAULT; *out < ROPE_TYPES; (*out)++) {
    if (strcmp(rope_type_name(*out), type) == 0) return STATUS_OK;
  }
  return status_fail(
      STATUS_INPUT,
      "%s: rope type \"%s\" is not supported; supported are default, linear, dynamic, llama3 and yarn", name,
      type);
}

/// A key at the top wins over the object's, and the model's positions stand in for both.
static Status read_original_positions(const cJSON *json, const cJSON *object, const char *name,
                                      size_t positions, double *out) {
  static const char key[] = "original_max_position_embeddings";
  TRY(number_or(object, key, name, (double)positions, out));
  return number_or(json, key, name, *out, out);
}

static Status read_llama3(const cJSON *object, const char *name, Rope *rope) {
  TRY(json_get_number(object, "factor", name, &rope->factor));
  TRY(json_get_number(object, "low_freq_factor", name, &rope->low));
  return json_get_number(object, "high_freq_factor", name, &rope->high);
}

/// As Python's truth: absent is true, null is false.
static Status read_truncate(const cJSON *object, const char *name, bool *out) {
  const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, "truncate");
  *out = value == NULL || cJSON_IsTrue(value);
  if (*out || cJSON_IsFalse(value) || cJSON_IsNull(value)) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: \"truncate\" must be true or false", name);
}

static Status read_yarn(const cJSON *object, const char *name, size_t positions, Rope *rope) {
  double mscale = 0, mscale_all = 0;
  TRY(number_or(object, "factor", name, (double)positions / rope->original_positions, &rope->factor));
  TRY(number_or(object, "beta_fast", name, 32, &rope->high));
  TRY(number_or(object, "beta_slow", name, 1, &rope->low));
  TRY(number_or(object, "mscale", name, 0, &mscale));
  TRY(number_or(object, "mscale_all_dim", name, 0, &mscale_all));
  TRY(read_truncate(object, name, &rope->truncate));
  double attention = rope_yarn_attention(rope->factor, 1);
  if (mscale != 0 && mscale_all != 0)
    attention = rope_yarn_attention(rope->factor, mscale) / rope_yarn_attention(rope->factor, mscale_all);
  return number_or(object, "attention_factor", name, attention, &rope->attention);
}

Status rope_read_hf(const cJSON *json, const char *name, size_t positions, Rope *out) {
  const cJSON *object = NULL;
  double theta = 0;
  TRY(find_object(json, name, &object));
  TRY(check_whole(json, object, name));
  TRY(number_or(json, "rope_theta", name, 10000, &theta));
  TRY(number_or(object, "rope_theta", name, theta, &theta));
  *out = rope_plain(theta);
  TRY(read_type(object, name, &out->type));
  TRY(read_original_positions(json, object, name, positions, &out->original_positions));
  switch (out->type) {
  case ROPE_DEFAULT: // a factor without a type does nothing, as in transformers
    return STATUS_OK;
  case ROPE_LLAMA3:
    return read_llama3(object, name, out);
  case ROPE_YARN:
    return read_yarn(object, name, positions, out);
  default:
    return json_get_number(object, "factor", name, &out->factor);
  }
}
