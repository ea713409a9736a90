// Chat templates: recognised by their text, rendered as transformers does (chat_golden.json from
// make_chat_golden.py; shared/golden/chat_template.json with the real SmolLM2), and refused if they are not
// known.
#include "support/test.h"

#include "chat_families.h"
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

static void write_file(const char *folder, const char *name, const char *text) {
  char *path;
  assert_ok(path_join(&path, folder, name));
  assert_ok(file_write_atomic(path, text, strlen(text)));
  free(path);
}

/// A tokenizer of a few tokens, with the BOS and EOS of the golden renderings, or without.
static Tokenizer *tokenizer_with(bool bos, bool eos) {
  const char *folder = test_folder();
  char config[128];
  Tokenizer *tokenizer = NULL;
  write_file(
      folder, "tokenizer.json",
      "{\"added_tokens\": [{\"id\": 1, \"content\": \"<|bos|>\", \"special\": true}, {\"id\": 2, "
      "\"content\": \"<|eos|>\", \"special\": true}], \"normalizer\": null, \"pre_tokenizer\": {\"type\": "
      "\"ByteLevel\", \"add_prefix_space\": false, \"use_regex\": true}, \"post_processor\": null, "
      "\"decoder\": "
      "{\"type\": \"ByteLevel\"}, \"model\": {\"type\": \"BPE\", \"merges\": [], \"vocab\": {\"a\": 0, "
      "\"<|bos|>\": 1, \"<|eos|>\": 2}}}");
  (void)snprintf(config, sizeof config, "{\"bos_token\": %s, \"eos_token\": %s}",
                 bos ? "\"<|bos|>\"" : "null", eos ? "\"<|eos|>\"" : "null");
  write_file(folder, "tokenizer_config.json", config);
  assert_ok(tokenizer_load(folder, &tokenizer));
  return tokenizer;
}

/// The template of that name; free with chat_free.
static ChatTemplate *named(const char *name, const Tokenizer *tokenizer, const char *date) {
  ChatTemplate *chat = NULL;
  assert_ok(chat_open("", tokenizer, &(ChatOptions){.name = name, .date = date}, &chat));
  assert_string_equal(chat_name(chat), name);
  return chat;
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

/// Whether the chat is rendered. What is rendered must be `expected`; where that is null, nothing may be. A
/// chat may be refused that transformers renders without a part of it, unless it `must` be rendered.
static bool try_rendering(const ChatTemplate *chat, const cJSON *list, const cJSON *expected, bool must) {
  ChatMessage messages[MAX_MESSAGES];
  size_t count = read_messages(list, messages);
  Str text = {0};
  Status status = chat_render(chat, messages, count, &text);
  bool rendered = status == STATUS_OK;
  if (rendered && !cJSON_IsString(expected))
    fail_msg("%s rendered what transformers refuses", chat_name(chat));
  if (rendered) assert_string_equal(str_text(&text), expected->valuestring);
  if (!rendered) assert_int_equal(status, STATUS_INPUT);
  if (!rendered && must) fail_msg("%s: %s", chat_name(chat), status_message());
  str_free(&text);
  return rendered;
}

static cJSON *load_golden(void) {
  cJSON *golden;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/text/chat_golden.json", &golden));
  return golden;
}

static void test_golden(void **state) {
  (void)state;
  cJSON *golden = load_golden();
  Tokenizer *tokenizer = tokenizer_with(true, true);
  const cJSON *chats = cJSON_GetObjectItem(golden, "conversations"), *entry;
  int plain = cJSON_GetObjectItem(golden, "plain")->valueint, rendered = 0, templates = 0;
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "templates")) {
    const ChatFamily *family = NULL;
    assert_ok(chat_family_of(text_at(entry, "template"), &family));
    if (family == NULL) fail_msg("a template of %s is not recognised", text_at(entry, "family"));
    assert_string_equal(family->name, text_at(entry, "family"));
    ChatTemplate *chat = named(family->name, tokenizer, NULL);
    const cJSON *expected = cJSON_GetObjectItem(entry, "renderings")->child;
    int index = 0;
    for (const cJSON *list = chats->child; list != NULL;
         list = list->next, expected = expected->next, index++)
      rendered += try_rendering(chat, list, expected, index < plain && cJSON_IsString(expected));
    chat_free(chat);
    templates++;
  }
  assert_int_equal(templates, 33);
  assert_true(rendered > 330); // of 462
  tokenizer_free(tokenizer);
  cJSON_Delete(golden);
}

static void try_short(const cJSON *golden, const char *which, const Tokenizer *tokenizer, const char *date) {
  const cJSON *entry;
  int differ = 0;
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "templates")) {
    const cJSON *expected = cJSON_GetObjectItem(entry, which);
    bool dates = strcmp(text_at(entry, "family"), "llama3.1") == 0;
    ChatTemplate *chat = named(text_at(entry, "family"), tokenizer, dates ? date : NULL);
    differ += !try_rendering(chat, cJSON_GetObjectItem(golden, "short"), expected, cJSON_IsString(expected));
    differ += dates;
    chat_free(chat);
  }
  assert_true(differ > 1);
}

/// A tokenizer without BOS or EOS: {{ bos_token }} prints nothing, bos_token + … is an error. Another date.
static void test_tokens_and_dates(void **state) {
  (void)state;
  cJSON *golden = load_golden();
  Tokenizer *no_bos = tokenizer_with(false, true), *no_eos = tokenizer_with(true, false);
  Tokenizer *both = tokenizer_with(true, true);
  ChatTemplate *chat = NULL;
  try_short(golden, "no_bos", no_bos, NULL);
  try_short(golden, "no_eos", no_eos, NULL);
  try_short(golden, "dated", both, "3 Mar 2031");
  assert_fails(chat_open("", both, &(ChatOptions){.name = "chatml", .date = "today"}, &chat), STATUS_INPUT,
               "chatml prints none");
  tokenizer_free(no_bos);
  tokenizer_free(no_eos);
  tokenizer_free(both);
  cJSON_Delete(golden);
}

static void check_answers(const cJSON *golden, const cJSON *expected, const ChatTemplate *chat) {
  ChatMessage messages[MAX_MESSAGES];
  ChatSpan spans[MAX_MESSAGES];
  size_t count = read_messages(cJSON_GetObjectItem(golden, "chat"), messages);
  Str text = {0};
  assert_ok(chat_render_answers(chat, messages, count, &text, spans));
  const char *whole = text_at(expected, "text"), *name = chat_name(chat);
  for (size_t i = 1; i < count; i += 2) { // the answers
    const char *before = cJSON_GetArrayItem(cJSON_GetObjectItem(expected, "before"), (int)i / 2)->valuestring;
    if (spans[i].begin != strlen(before) || strncmp(whole, before, spans[i].begin) != 0)
      fail_msg("%s: message %zu does not begin where the model is asked for it", name, i);
    if (strncmp(whole, str_text(&text), spans[i].end) != 0)
      fail_msg("%s: %s is not the start of %s", name, str_text(&text), whole);
    if (text.data[spans[i].end - 1] != '>') fail_msg("%s: no <|im_end|> or the like ends %zu", name, i);
  }
  str_free(&text);
}

/// Answers lie where transformers has them: the text before each is what the model sees when it is asked for
/// it.
static void test_answers(void **state) {
  (void)state;
  cJSON *golden = NULL;
  Tokenizer *tokenizer = tokenizer_with(true, true);
  const cJSON *entry = NULL;
  assert_ok(json_parse_file(GEE_SOURCE_DIR "/tests/text/chat_answers.json", &golden));
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "texts")) {
    ChatTemplate *chat = named(entry->string, tokenizer, NULL);
    if (strcmp(entry->string, "deepseek-r1") != 0) check_answers(golden, entry, chat);
    chat_free(chat);
  }
  assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(golden, "texts")), 28);
  ChatTemplate *chat = named("deepseek-r1", tokenizer, NULL); // asks with <think>, and drops thoughts
  const ChatMessage messages[2] = {{"user", "A"}, {"assistant", "B"}};
  ChatSpan spans[2];
  Str text = {0};
  assert_fails(chat_render_answers(chat, messages, 2, &text, spans), STATUS_INPUT,
               "otherwise than it writes");
  assert_fails(chat_render_answers(chat, messages, 1, &text, spans), STATUS_INPUT, "not an answer");
  str_free(&text);
  chat_free(chat);
  tokenizer_free(tokenizer);
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
      {"raise_exception('tools')", "raise_exception('tools') }}{%- endif %}{{ 'x' }}{%- if true %}{{ ''"},
      {"raise_exception(\"tools\")", "raise_exception('tools') }}{%- endif %}{{ 'x' }}{%- if true %}{{ ''"},
      {"tool | tojson", "tool }}{%+ endfor %}{%+ endif %}x{%+ if x %}{%+ for x in y %}{{ x"},
      {"tool | tojson", "tool }}{% raw %}{% if %}{% for %}{% endraw %}{% endfor %}{% endif %}x{{ x"},
      {"[INST]", "[INST] "},
      {"bos_token", "eos_token"},
      {"eos_token", "bos_token"},
      {"'user'", "'human'"},
      {"system_message", "system_massage"},
      {"'system'", "'tool'"},
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
      const ChatFamily *family = NULL;
      assert_ok(chat_family_of(changed.data, &family));
      if (family != NULL) {
        fail_msg("%s with \"%s\" for \"%s\" is taken for %s", text_at(entry, "family"), changes[i][1],
                 changes[i][0], family->name);
      }
      refused++;
      str_free(&changed);
    }
  }
  assert_true(refused > 120);
  cJSON_Delete(golden);
}

/// The same templates with the line ends of other systems.
static void test_line_ends(void **state) {
  (void)state;
  static const char *const ends[] = {"\r\n", "\r"};
  cJSON *golden = load_golden();
  const cJSON *entry;
  cJSON_ArrayForEach(entry, cJSON_GetObjectItem(golden, "templates")) {
    for (size_t i = 0; i < 2; i++) {
      Str text = {0};
      const ChatFamily *family = NULL;
      for (const char *c = text_at(entry, "template"); *c != '\0'; c++)
        assert_ok(*c == '\n' ? str_append_text(&text, ends[i]) : str_append(&text, c, 1));
      assert_ok(chat_family_of(str_text(&text), &family));
      assert_non_null(family);
      assert_string_equal(family->name, text_at(entry, "family"));
      str_free(&text);
    }
  }
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
  for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++) {
    const ChatFamily *family = chat_family_at(0);
    assert_ok(chat_family_of(unknown[i], &family));
    assert_null(family);
  }
}

/// What the model in `folder` has: a name, or a part of why a chat is refused.
static void expect_found(const char *folder, const char *usual, const char *name, const char *refusal) {
  ChatTemplate *chat = NULL;
  Str text = {0};
  ChatMessage message = {"user", "?"};
  assert_ok(chat_open(folder, NULL, &(ChatOptions){.usual = usual}, &chat));
  assert_string_equal(chat_name(chat), name);
  assert_int_equal(chat_is_there(chat), strcmp(name, "none") != 0);
  if (refusal != NULL) {
    assert_fails(chat_render(chat, &message, 1, &text), STATUS_INPUT, refusal);
  } else {
    assert_ok(chat_render(chat, &message, 1, &text));
  }
  str_free(&text);
  chat_free(chat);
}

#define CHATML                                                                                               \
  "{% for message in messages %}{{ '<|im_start|>' + message.role + '\\n' + message.content + "               \
  "'<|im_end|>\\n' }}{% endfor %}\\n{% if add_generation_prompt %}\\n{{ '<|im_start|>assistant\\n' }}"       \
  "{% endif %}\\n"

/// What tokenizer_config.json may say.
static void test_configs(void **state) {
  (void)state;
  static const struct {
    const char *template, *name, *refusal;
  } cases[] = {
      {"null", "none", "no chat template; name one"},
      {"\"\"", "not recognised", "its chat template is not known"}, // which prints nothing at all
      {"\"mine\"", "not recognised",
       "tokenizer_config.json: its chat template is not known; name one that fits with model.chat_template "
       "or "
       "--chat-template: chatml, chatml-bos, smollm2, "},
      {"\"mine\"", "not recognised", "deepseek-r1-plain or none (qwen2.5 is usual"},
      {"\"" CHATML "\"", "chatml", NULL},
      {"[]", "not recognised", "several chat templates, and none of them is the default"},
      {"[{\"name\": \"rag\", \"template\": \"mine\"}]", "not recognised", "none of them is the default"},
      {"[{\"name\": \"rag\", \"template\": \"mine\"}, {\"name\": \"default\", \"template\": \"" CHATML "\"}]",
       "chatml", NULL},
      {"[{\"name\": \"default\", \"template\": \"mine\"}, {\"name\": \"default\", \"template\": \"" CHATML
       "\"}]",
       "chatml", NULL}, // of two, the last
      {"{\"rag\": \"mine\", \"default\": \"" CHATML "\"}", "chatml", NULL},
      {"{\"rag\": \"mine\"}", "not recognised", "none of them is the default"},
  };
  const char *folder = test_folder();
  ChatTemplate *chat = NULL;
  expect_found(folder, NULL, "none", "no chat template; name one"); // there is no file
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    char text[1024];
    (void)snprintf(text, sizeof text, "{\"chat_template\": %s}", cases[i].template);
    write_file(folder, "tokenizer_config.json", text);
    expect_found(folder, "qwen2.5", cases[i].name, cases[i].refusal);
  }
  write_file(folder, "tokenizer_config.json", "{\"chat_template\": 7}");
  assert_fails(chat_open(folder, NULL, &(ChatOptions){0}, &chat), STATUS_INPUT,
               "neither a text nor templates");
}

/// Which file counts.
static void test_files(void **state) {
  (void)state;
  const char *folder = test_folder();
  ChatTemplate *chat = NULL;
  char *others = NULL;
  write_file(folder, "tokenizer_config.json", "{\"chat_template\": \"" CHATML "\"}");
  write_file(folder, "chat_template.json",
             "{\"chat_template\": \"mine\"}"); // a processor's, not the tokenizer's
  expect_found(folder, NULL, "chatml", NULL);
  assert_ok(path_join(&others, folder, "additional_chat_templates"));
  assert_ok(directory_create(others));
  expect_found(folder, NULL, "chatml", NULL); // there is none in it
  write_file(others, "rag.jinja", "mine");    // transformers then takes the files alone
  expect_found(folder, NULL, "not recognised", "several chat templates");
  write_file(folder, "chat_template.jinja", "mine");
  expect_found(folder, NULL, "not recognised", "chat_template.jinja");
  assert_ok(chat_open(folder, NULL, &(ChatOptions){.name = "qwen2.5-math"}, &chat));
  assert_string_equal(chat_name(chat), "qwen2.5-math");
  chat_free(chat);
  assert_fails(chat_open(folder, NULL, &(ChatOptions){.name = "alpacca"}, &chat), STATUS_INPUT,
               "\"alpacca\" is not known; it is auto, chatml");
  assert_fails(chat_open("no/such/model.gguf", NULL, &(ChatOptions){0}, &chat), STATUS_INPUT,
               "no/such/model.gguf");
  free(others);
}

static void put(Str *out, uint64_t value, size_t size) {
  for (size_t i = 0; i < size; i++) assert_ok(str_append(out, &(char){(char)(value >> (8 * i))}, 1));
}

static void put_text(Str *out, const char *text) {
  put(out, strlen(text), 8);
  assert_ok(str_append_text(out, text));
}

/// A GGUF file of one key: a text, or a list of one text.
static void expect_in_gguf(const char *key, const char *value, bool list, const char *name,
                           const char *refusal) {
  char path[600];
  Str file = {0};
  (void)snprintf(path, sizeof path, "%s/model.gguf", test_folder());
  assert_ok(str_append_text(&file, "GGUF"));
  put(&file, 3, 4); // version
  put(&file, 0, 8); // tensors
  put(&file, 1, 8); // keys
  put_text(&file, key);
  put(&file, list ? 9 : 8, 4); // array or string
  if (list) put(&file, 8, 4);
  if (list) put(&file, 1, 8);
  put_text(&file, value);
  assert_ok(file_write_atomic(path, file.data, file.size));
  expect_found(path, NULL, name, refusal);
  str_free(&file);
}

static void test_gguf(void **state) {
  (void)state;
  expect_in_gguf("tokenizer.chat_template", "{{ messages }}", false, "not recognised",
                 "model.gguf: its chat template is not known");
  expect_in_gguf(
      "tokenizer.chat_template",
      "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + "
      "'<|im_end|>' + '\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
      "{% endif %}",
      false, "chatml", NULL);
  expect_in_gguf("tokenizer.chat_templates", "rag", true, "not recognised", "none of them is the default");
  expect_in_gguf("tokenizer.ggml.pre", "smollm", false, "none", "no chat template");
}

static void expect_refused(const char *name, const ChatMessage *messages, size_t count, const char *part) {
  ChatTemplate *chat = named(name, NULL, NULL);
  Str text = {0};
  assert_fails(chat_render(chat, messages, count, &text), STATUS_INPUT, part);
  str_free(&text);
  chat_free(chat);
}

static void test_refused_chats(void **state) {
  (void)state;
  ChatMessage tool[] = {{"user", "?"}, {"tool", "4"}}, late[] = {{"user", "?"}, {"system", "S"}};
  ChatMessage system[] = {{"system", "S"}, {"user", "?"}, {"assistant", "!"}}, first[] = {{"assistant", "!"}};
  expect_refused("chatml", tool, 0, "without messages");
  expect_refused("none", tool, 1, "no chat template");
  expect_refused("qwen2.5", tool, 2, "\"tool\"");
  expect_refused("llama3.1", tool, 2, "\"tool\"");
  expect_refused("gemma", system, 1, "\"system\"");
  expect_refused("gemma", first, 1, "the user first; message 1 is of role \"assistant\"");
  expect_refused("deepseek-coder", late, 2, "at the start of a chat only");
  expect_refused("mistral-v3", system, 3, "drops it here");
  expect_refused("mistral-v1", system, 1, "drops it here");
  expect_refused("llama3", tool, 1, "needs a BOS token");
  expect_refused("zephyr", tool, 1, "needs an EOS token");
  ChatTemplate *chat = named("chatml", NULL, NULL);
  Str text = {0};
  assert_ok(chat_render(chat, tool, 2, &text));
  assert_string_equal(str_text(&text), "<|im_start|>user\n?<|im_end|>\n<|im_start|>tool\n4<|im_end|>\n"
                                       "<|im_start|>assistant\n");
  str_free(&text);
  chat_free(chat);
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
  ChatTemplate *chat = NULL;
  assert_ok(json_parse_file(path, &golden));
  assert_ok(tokenizer_load(test_smollm2(), &tokenizer));
  assert_ok(chat_open(test_smollm2(), tokenizer, &(ChatOptions){.name = "auto"}, &chat));
  assert_string_equal(chat_name(chat), "smollm2");
  const cJSON *entry, *id;
  cJSON_ArrayForEach(entry, golden) {
    const char *text = text_at(entry, "text");
    if (cJSON_IsTrue(cJSON_GetObjectItem(entry, "add_generation_prompt")))
      assert_true(try_rendering(chat, cJSON_GetObjectItem(entry, "messages"),
                                cJSON_GetObjectItem(entry, "text"), true));
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
  chat_free(chat);
  tokenizer_free(tokenizer);
  cJSON_Delete(golden);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_golden),
      cmocka_unit_test(test_answers),
      cmocka_unit_test(test_tokens_and_dates),
      cmocka_unit_test(test_changed_templates),
      cmocka_unit_test(test_line_ends),
      cmocka_unit_test(test_unknown),
      cmocka_unit_test(test_configs),
      cmocka_unit_test(test_files),
      cmocka_unit_test(test_gguf),
      cmocka_unit_test(test_refused_chats),
      cmocka_unit_test(test_real_smollm2),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
