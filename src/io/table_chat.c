// Chats in JSON: lists of messages, as {"role", "content"} or as ShareGPT's {"from", "value"}, and such a
// list as the text of a cell. Rule: nothing that a model should see is left out without being counted; what
// cannot be shown to a model of text (images, calls of tools) is refused by its name.
#include "table_parts.h"

#include "io/json.h"
#include "util/memory.h"
#include <string.h>

// ---- content ----

Status table_check_part(TableText type) {
  static const char *const texts[] = {"text", "input_text", "output_text"};
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
    if (strlen(texts[i]) == type.size && memcmp(texts[i], type.bytes, type.size) == 0) return STATUS_OK;
  return status_fail(STATUS_INPUT, "a message has a part of type \"%.*s\"; only text can be read",
                     (int)size_min(type.size, 64), type.bytes);
}

/// Appends a part of a message: a string, or {"type": "text", "text": ...}.
static Status append_part(const cJSON *part, const char *name, Str *out) {
  const char *text = NULL, *type = "text";
  if (cJSON_IsString(part)) return str_append_text(out, part->valuestring);
  if (json_has(part, "type")) TRY(json_get_string(part, "type", name, &type));
  TRY(status_context(table_check_part((TableText){type, strlen(type)}), "%s", name));
  TRY(json_get_string(part, "text", name, &text));
  return str_append_text(out, text);
}

/// The parts of a message, joined without anything between them, as chat templates join them.
static Status join_parts(const cJSON *parts, const char *name, Arena *arena, TableText *out) {
  Str text = {0};
  Status status = STATUS_OK;
  const cJSON *part = NULL;
  cJSON_ArrayForEach(part, parts) TRY_CLEAN(append_part(part, name, &text));
  TRY_CLEAN(arena_copy(arena, str_text(&text), text.size, out));
cleanup:
  str_free(&text);
  return status;
}

// ---- messages ----

/// Fails if the message calls tools: what they answered could not be shown.
static Status refuse_tools(const cJSON *message, const char *name) {
  static const char *const keys[] = {"tool_calls", "function_call"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    const cJSON *calls = cJSON_GetObjectItemCaseSensitive(message, keys[i]);
    if (calls != NULL && !cJSON_IsNull(calls) && calls->child != NULL)
      return status_fail(STATUS_INPUT, "%s: a message has \"%s\"; chats with tools are not supported", name,
                         keys[i]);
  }
  return STATUS_OK;
}

/// *has = whether the message has content, which is then in *out.
static Status read_message(Arena *arena, const cJSON *message, const char *name, TableMessage *out,
                           bool *has) {
  bool is_share_gpt = !json_has(message, "role") && json_has(message, "from");
  const char *role = NULL, *text = NULL, *key = is_share_gpt ? "value" : "content";
  TRY(json_get_string(message, is_share_gpt ? "from" : "role", name, &role));
  TRY(refuse_tools(message, name));
  TRY(arena_copy(arena, role, strlen(role), &out->role));
  const cJSON *content = cJSON_GetObjectItemCaseSensitive(message, key);
  *has = !cJSON_IsNull(content);
  if (!*has) return STATUS_OK;
  if (cJSON_IsArray(content)) return join_parts(content, name, arena, &out->content);
  TRY(json_get_string(message, key, name, &text));
  return arena_copy(arena, text, strlen(text), &out->content);
}

Status json_chat(Arena *arena, const cJSON *list, const char *name, TableChat *out) {
  TableMessage *messages = NULL;
  const cJSON *item = NULL;
  TRY(arena_alloc(arena, (size_t)cJSON_GetArraySize(list), sizeof *messages, &messages));
  *out = (TableChat){.messages = messages};
  cJSON_ArrayForEach(item, list) {
    bool has = false;
    if (cJSON_IsNull(item)) continue;
    TRY(read_message(arena, item, name, &messages[out->count], &has));
    if (has)
      out->count++;
    else
      out->left_out++;
  }
  return STATUS_OK;
}

bool json_is_chat(const cJSON *list) {
  const cJSON *item = NULL;
  bool has_message = false;
  if (!cJSON_IsArray(list)) return false;
  cJSON_ArrayForEach(item, list) {
    if (cJSON_IsNull(item)) continue;
    if (!cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "role")) &&
        !cJSON_IsString(cJSON_GetObjectItemCaseSensitive(item, "from")))
      return false;
    has_message = true;
  }
  return has_message;
}

// ---- a chat as text ----

/// True for a list of messages as Python prints it, which pandas writes into CSV: [{'role': ...
static bool is_python_chat(TableText text) {
  static const char *const keys[] = {"'role'", "'content'", "'from'", "'value'"};
  size_t start = json_space(text.bytes, text.size);
  if (text.size < start + 2 || memcmp(text.bytes + start, "[{", 2) != 0) return false;
  start += 2 + json_space(text.bytes + start + 2, text.size - start - 2);
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    size_t size = strlen(keys[i]);
    if (text.size - start >= size && memcmp(text.bytes + start, keys[i], size) == 0) return true;
  }
  return false;
}

/// Fails if an object is a message, or holds a chat: read as plain text it would be a wrong prompt.
static Status refuse_wrapped_chat(const cJSON *object) {
  if (json_has(object, "role") && json_has(object, "content"))
    return status_fail(STATUS_INPUT, "a single message as JSON text; write a list of messages");
  for (const cJSON *member = object->child; member != NULL; member = member->next) {
    if (json_is_chat(member))
      return status_fail(STATUS_INPUT, "a chat in an object as JSON text; write the list \"%.64s\" alone",
                         member->string);
  }
  return STATUS_OK;
}

static Status parse_chat(Arena *arena, TableText text, bool *found, TableChat *out) {
  cJSON *value = NULL;
  Status status = json_parse(text.bytes, text.size, "a chat as JSON text", &value);
  if (status == STATUS_INPUT) return STATUS_OK; // a text that begins with a bracket
  TRY(status);
  *found = json_is_chat(value);
  if (*found)
    status = json_chat(arena, value, "a chat as JSON text", out);
  else if (cJSON_IsObject(value))
    status = refuse_wrapped_chat(value);
  cJSON_Delete(value);
  return status;
}

Status table_chat_in_text(Table *table, size_t row, size_t column, bool *found, TableChat *out) {
  TableText text = table_cell(table, row, column)->text;
  size_t start = json_space(text.bytes, text.size);
  *found = false;
  if (start == text.size || (text.bytes[start] != '[' && text.bytes[start] != '{')) return STATUS_OK;
  if (is_python_chat(text))
    return status_fail(STATUS_INPUT, "a chat as Python prints it; write it with json.dumps");
  return parse_chat(&table->arena, text, found, out);
}
