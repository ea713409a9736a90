// Chat templates: recognised by their text, rendered as transformers does (chat_golden.json from
// make_chat_golden.py; shared/golden/chat_template.json with the real SmolLM2), and refused if they are not
// known.
#include "support/test.h"

#include "io/file.h"
#include "io/json.h"
#include "text/chat.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_MESSAGES = 8 };

static const char *text_at(const cJSON *object, const char *key) {
  const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
  assert_non_null(text);
  return text;
}

static size_t read_messages(const cJSON *list, ChatMessage *out) {
  size_t count = 0;
  const cJSON *message;
  cJSON_ArrayForEach(message, list) {
    assert_true(count < MAX_MESSAGES);
    out[count++] = (ChatMessage){text_at(message, "role"), text_at(message, "content")};
  }
  return count;
}

static void expect_rendering(ChatFamily family, const cJSON *list, bool prompt, const char *expected) {
  ChatMessage messages[MAX_MESSAGES];
  size_t count = read_messages(list, messages);
  Str text = {0};
  assert_ok(chat_render(family, messages, count, prompt, &text));
  assert_string_equal(str_text(&text), expected);
  str_free(&text);
}

static cJSON *load_golden(void) {
  cJSON *golden;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/text/chat_golden.json", &golden));
  return golden;
}

static void test_golden(void **state) {
  (void)state;
  cJSON *golden = load_golden();
  const cJSON *conversations = cJSON_GetObjectItem(golden, "conversations"), *entry;
  int checked = 0;
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "templates")) {
    ChatFamily family;
    assert_ok(chat_recognise(text_at(entry, "template"), text_at(entry, "family"), NULL, &family));
    assert_string_equal(chat_family_name(family), text_at(entry, "family"));
    const cJSON *pair = cJSON_GetObjectItem(entry, "renderings")->child;
    for (const cJSON *chat = conversations->child; chat != NULL; chat = chat->next, pair = pair->next) {
      for (int prompt = 0; prompt < 2; prompt++, checked++) {
        expect_rendering(family, chat, prompt, cJSON_GetArrayItem(pair, prompt)->valuestring);
      }
    }
  }
  assert_int_equal(checked, 10 * 7 * 2);
  cJSON_Delete(golden);
}

/// A template that prints something else must not be recognised.
static void test_changed_templates(void **state) {
  (void)state;
  static const char *const changes[][2] = {
      {"assistant", "Assistant"},
      {"<|im_end|>", "<|im_end|> "},
      {"<|eot_id|>", "<|eot_id|>\n"},
      {"You are a ", "You were a "},
      {"answer within", "answer in"},
      {" | trim", ""},
      {"26 Jul 2024", "27 Jul 2024"},
      {"Cutting", "Knowledge"},
      {"{%- endfor %}\n{%-", "{%- endfor %}\n\n{%"},
      {"{% endfor %}", "{% endfor %}."},
      {"add_generation_prompt", "true"},
      {"messages[1:]", "messages"},
  };
  cJSON *golden = load_golden();
  const cJSON *entry;
  int refused = 0;
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "templates")) {
    for (size_t i = 0; i < sizeof changes / sizeof *changes; i++) {
      const char *at = text_at(entry, "template"), *found;
      if (strstr(at, changes[i][0]) == NULL) continue;
      Str changed = {0};
      for (; (found = strstr(at, changes[i][0])) != NULL; at = found + strlen(changes[i][0])) {
        assert_ok(str_append(&changed, at, (size_t)(found - at)));
        assert_ok(str_append_text(&changed, changes[i][1]));
      }
      assert_ok(str_append_text(&changed, at));
      ChatFamily family;
      if (chat_recognise(changed.data, "changed", NULL, &family) == STATUS_OK) {
        fail_msg("%s with \"%s\" for \"%s\" is taken for %s", text_at(entry, "family"), changes[i][1],
                 changes[i][0], chat_family_name(family));
      }
      refused++;
      str_free(&changed);
    }
  }
  assert_true(refused > 40);
  cJSON_Delete(golden);
}

static void test_unknown(void **state) {
  (void)state;
  static const char *const unknown[] = {
      "{{ bos_token }}{% for message in messages %}[INST] {{ message.content }} [/INST]{% endfor %}",
      "plain text",
      "{%",
      "{{ 'open",
      "{# never closed",
      "{{",
      "\"",
      "{{ \"\\",
  };
  ChatFamily family;
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    assert_fails(
        chat_recognise(unknown[i], "model.gguf", NULL, &family), STATUS_INPUT,
        "model.chat_template to chatml, smollm2, qwen2.5, qwen2, qwen2.5-math, llama3, llama3.1 or none");
  }
  assert_fails(chat_recognise("plain", "model.gguf", "qwen2.5", &family), STATUS_INPUT,
               "llama3.1 or none (qwen2.5 is usual");
}

static void write_file(const char *folder, const char *name, const char *text) {
  char *path;
  assert_ok(path_join(&path, folder, name));
  assert_ok(file_write_atomic(path, text, strlen(text)));
  free(path);
}

static void test_detect(void **state) {
  (void)state;
  static const char chatml[] =
      "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content "
      "+ '<|im_end|>\\n' }}{% endfor %}\n{% if add_generation_prompt %}\n"
      "{{ '<|im_start|>assistant\\n' }}{% endif %}\n";
  const char *folder = test_folder();
  ChatFamily family = CHAT_LLAMA3;
  assert_ok(chat_detect(folder, NULL, NULL, &family));
  assert_int_equal(family, CHAT_NONE);
  write_file(folder, "tokenizer_config.json", "{\"chat_template\": null}");
  assert_ok(chat_detect(folder, "auto", NULL, &family));
  assert_int_equal(family, CHAT_NONE);
  write_file(folder, "tokenizer_config.json", "{\"chat_template\": \"mine\"}");
  assert_fails(chat_detect(folder, NULL, NULL, &family), STATUS_INPUT, "tokenizer_config.json");
  assert_ok(chat_detect(folder, "qwen2.5-math", NULL, &family));
  assert_int_equal(family, CHAT_QWEN25_MATH);
  assert_fails(chat_detect(folder, "alpaca", NULL, &family), STATUS_INPUT, "alpaca");
  cJSON *config = cJSON_CreateObject();
  cJSON *list = cJSON_AddArrayToObject(config, "chat_template");
  for (int i = 0; i < 2; i++) {
    cJSON *named = cJSON_CreateObject();
    cJSON_AddStringToObject(named, "name", i == 0 ? "tool_use" : "default");
    cJSON_AddStringToObject(named, "template", i == 0 ? "mine" : chatml);
    cJSON_AddItemToArray(list, named);
  }
  char *text = cJSON_PrintUnformatted(config);
  write_file(folder, "tokenizer_config.json", text);
  cJSON_free(text);
  cJSON_Delete(config);
  assert_ok(chat_detect(folder, NULL, NULL, &family));
  assert_int_equal(family, CHAT_CHATML);
  write_file(folder, "chat_template.jinja", "mine");
  assert_fails(chat_detect(folder, NULL, NULL, &family), STATUS_INPUT, "chat_template.jinja");
  assert_fails(chat_detect("no/such/model.gguf", NULL, NULL, &family), STATUS_INPUT, "no/such/model.gguf");
}

static void test_refused_chats(void **state) {
  (void)state;
  Str text = {0};
  ChatMessage tool[] = {{"user", "?"}, {"tool", "4"}};
  assert_fails(chat_render(CHAT_CHATML, tool, 0, true, &text), STATUS_INPUT, "without messages");
  assert_fails(chat_render(CHAT_NONE, tool, 1, true, &text), STATUS_INPUT, "no chat template");
  assert_fails(chat_render(CHAT_QWEN25, tool, 2, true, &text), STATUS_INPUT, "\"tool\"");
  assert_fails(chat_render(CHAT_LLAMA31, tool, 2, true, &text), STATUS_INPUT, "\"tool\"");
  assert_ok(chat_render(CHAT_CHATML, tool, 2, false, &text));
  assert_string_equal(str_text(&text), "<|im_start|>user\n?<|im_end|>\n<|im_start|>tool\n4<|im_end|>\n");
  str_free(&text);
}

static void test_real_smollm2(void **state) {
  (void)state;
  if (test_shared() == NULL || test_smollm2() == NULL) {
    print_message("not checked with the real model: needs shared/golden and GEE_SMOLLM2\n");
    skip();
  }
  char path[1100];
  (void)snprintf(path, sizeof path, "%s/golden/chat_template.json", test_shared());
  cJSON *golden;
  Tokenizer *tokenizer;
  ChatFamily family;
  assert_ok(json_parse_file(path, &golden));
  assert_ok(tokenizer_load(test_smollm2(), &tokenizer));
  assert_ok(chat_detect(test_smollm2(), "auto", NULL, &family));
  assert_int_equal(family, CHAT_SMOLLM2);
  const cJSON *entry, *id;
  cJSON_ArrayForEach(entry, golden) {
    bool prompt = cJSON_IsTrue(cJSON_GetObjectItem(entry, "add_generation_prompt"));
    const char *text = text_at(entry, "text");
    expect_rendering(family, cJSON_GetObjectItem(entry, "messages"), prompt, text);
    Tokens tokens = {0};
    assert_ok(tokenizer_encode(tokenizer, text, strlen(text), false, &tokens));
    size_t i = 0;
    cJSON_ArrayForEach(id, cJSON_GetObjectItem(entry, "ids")) {
      assert_true(i < tokens.count);
      assert_int_equal(tokens.ids[i++], id->valueint);
    }
    assert_int_equal(i, tokens.count);
    tokens_free(&tokens);
  }
  tokenizer_free(tokenizer);
  cJSON_Delete(golden);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),        cmocka_unit_test(test_changed_templates),
      cmocka_unit_test(test_unknown),       cmocka_unit_test(test_detect),
      cmocka_unit_test(test_refused_chats), cmocka_unit_test(test_real_smollm2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
