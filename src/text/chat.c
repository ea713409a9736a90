// Chat templates. Rule: a template is recognised when its canonical form (chat_template.h) matches one of the
// patterns below as a whole. In those, * stands only for branches that are taken with tools or set a date. A
// template that differs in any other character is unknown, which is an error, never a guess.
#include "text/chat.h"

#include "chat_template.h"
#include "io/file.h"
#include "io/json.h"
#include "io/tensors.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

// ---- the families ----

#define MESSAGE            "{{'<|im_start|>'+message.role+'\n'+message.content+'<|im_end|>\n'}}"
#define CHATML_PROMPT      "{%ifadd_generation_prompt%}{{'<|im_start|>assistant\n'}}{%endif%}"
#define CHATML_LOOP(first) "{%formessageinmessages%}" first MESSAGE "{%endfor%}" CHATML_PROMPT
#define DEFAULT_SYSTEM(text)                                                                                 \
  "{%ifloop.firstandmessages[0].role!='system'%}{{'<|im_start|>system\n" text "<|im_end|>\n'}}{%endif%}"
#define NO_PROMPT_BY_DEFAULT                                                                                 \
  "{%ifnotadd_generation_promptisdefined%}{%setadd_generation_prompt=false%}{%endif%}"

// Qwen2.5 and the templates made after it.
#define QWEN25(text)                                                                                         \
  "{%iftools%}*{%else%}"                                                                                     \
  "{%ifmessages[0].role=='system'%}{{'<|im_start|>system\n'+messages[0].content+'<|im_end|>\n'}}"            \
  "{%else%}{{'<|im_start|>system\n" text "<|im_end|>\n'}}{%endif%}{%endif%}"                                 \
  "{%formessageinmessages%}"                                                                                 \
  "{%if(message.role=='user')or(message.role=='system'andnotloop.first)"                                     \
  "or(message.role=='assistant'andnotmessage.tool_calls)%}" MESSAGE                                          \
  "{%elifmessage.role=='assistant'%}*{%elifmessage.role=='tool'%}*{%endif%}{%endfor%}" CHATML_PROMPT

#define LLAMA3_PROMPT                                                                                        \
  "{%ifadd_generation_prompt%}{{'<|start_header_id|>assistant<|end_header_id|>\n\n'}}{%endif%}"
#define LLAMA3_MESSAGE                                                                                       \
  "'<|start_header_id|>'+message.role+'<|end_header_id|>\n\n'+message.content|trim+'<|eot_id|>'"
#define LLAMA3                                                                                               \
  "{%setloop_messages=messages%}{%formessageinloop_messages%}{%setcontent=" LLAMA3_MESSAGE "%}"              \
  "{%ifloop.index0==0%}{%setcontent=bos_token+content%}{%endif%}{{content}}{%endfor%}" LLAMA3_PROMPT
#define LLAMA31                                                                                              \
  "{{bos_token}}{%ifcustom_toolsisdefined%}{%settools=custom_tools%}{%endif%}"                               \
  "{%ifnottools_in_user_messageisdefined%}*{%endif%}"                                                        \
  "{%ifnotdate_stringisdefined%}*{%setdate_string='26 Jul 2024'%}*{%endif%}"                                 \
  "{%ifnottoolsisdefined%}{%settools=none%}{%endif%}"                                                        \
  "{%ifmessages[0].role=='system'%}{%setsystem_message=messages[0].content|trim%}{%setmessages=messages[1:]" \
  "%}"                                                                                                       \
  "{%else%}{%setsystem_message=''%}{%endif%}"                                                                \
  "{{'<|start_header_id|>system<|end_header_id|>\n\n'}}{%if*toolsisnotnone%}*{%endif%}"                      \
  "{{'Cutting Knowledge Date: December 2023\n'}}{{'Today Date: '+date_string+'\n\n'}}"                       \
  "{%iftoolsisnotnoneandnottools_in_user_message%}*{%endif%}{{system_message}}{{'<|eot_id|>'}}"              \
  "{%iftools_in_user_messageandnottoolsisnone%}*{%endif%}"                                                   \
  "{%formessageinmessages%}{%ifnot(message.role=='ipython'ormessage.role=='tool'or'tool_calls'inmessage)%}"  \
  "{{" LLAMA3_MESSAGE "}}{%elif'tool_calls'inmessage%}*{%endif%}{%endfor%}" LLAMA3_PROMPT

#define SMOLLM2_TEXT "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
#define QWEN25_TEXT  "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."
#define QWEN2_TEXT   "You are a helpful assistant."
// \boxed with one backslash; in the canonical form of a template it is escaped.
#define MATH_TEXT(backslash)                                                                                 \
  "Please reason step by step, and put your final answer within " backslash "boxed{}."

enum { MAX_PATTERNS = 2 };

typedef struct Family Family;
typedef Status Render(const Family *family, const ChatMessage *messages, size_t count, bool prompt, Str *out);
static Render render_chatml, render_llama;

struct Family {
  const char *name;
  Render *render;             // at least one message
  const char *default_system; // the system message of chats without one; NULL: none
  bool dates;                 // begins with a system message with two dates; messages of tools are refused
  bool only_known_roles;      // the template drops roles other than system, user, assistant
  const char *patterns[MAX_PATTERNS]; // canonical templates
};

static const Family FAMILIES[] = {
    [CHAT_NONE] = {.name = "none"},
    [CHAT_CHATML] = {.name = "chatml",
                     .render = render_chatml,
                     .patterns = {CHATML_LOOP(""), NO_PROMPT_BY_DEFAULT CHATML_LOOP("")}},
    [CHAT_SMOLLM2] = {.name = "smollm2",
                      .render = render_chatml,
                      .default_system = SMOLLM2_TEXT,
                      .patterns = {CHATML_LOOP(DEFAULT_SYSTEM(SMOLLM2_TEXT))}},
    [CHAT_QWEN25] = {.name = "qwen2.5",
                     .render = render_chatml,
                     .default_system = QWEN25_TEXT,
                     .only_known_roles = true,
                     .patterns = {QWEN25(QWEN25_TEXT)}},
    [CHAT_QWEN2] = {.name = "qwen2",
                    .render = render_chatml,
                    .default_system = QWEN2_TEXT,
                    .only_known_roles = true,
                    .patterns = {CHATML_LOOP(DEFAULT_SYSTEM(QWEN2_TEXT)), QWEN25(QWEN2_TEXT)}},
    [CHAT_QWEN25_MATH] = {.name = "qwen2.5-math",
                          .render = render_chatml,
                          .default_system = MATH_TEXT("\\"),
                          .only_known_roles = true,
                          .patterns = {QWEN25(MATH_TEXT("\\\\"))}},
    [CHAT_LLAMA3] = {.name = "llama3", .render = render_llama, .patterns = {LLAMA3}},
    [CHAT_LLAMA31] = {.name = "llama3.1", .render = render_llama, .dates = true, .patterns = {LLAMA31}},
};
enum { FAMILY_COUNT = sizeof FAMILIES / sizeof *FAMILIES };

const char *chat_family_name(ChatFamily family) {
  return FAMILIES[family].name;
}

// ---- recognising ----

/// Appends "chatml, smollm2, … or none" for messages. CHAT_NONE, first in the table, comes last.
static Status append_names(Str *out) {
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    TRY(str_append_item(out, FAMILIES[(i + 1) % FAMILY_COUNT].name, i, FAMILY_COUNT, " or "));
  }
  return STATUS_OK;
}

static bool matches_family(const Family *family, const char *canonical) {
  for (size_t i = 0; i < MAX_PATTERNS && family->patterns[i] != NULL; i++) {
    if (chat_template_matches(family->patterns[i], canonical)) return true;
  }
  return false;
}

static Status fail_unknown_template(const char *name, const char *usual) {
  Str names = {0};
  Status status = append_names(&names);
  if (status == STATUS_OK && usual != NULL)
    status = str_append_format(&names, " (%s is usual for this kind of model)", usual);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "%s: its chat template is not known; set model.chat_template to %s",
                         name, str_text(&names));
  str_free(&names);
  return status;
}

Status chat_recognise(const char *template_text, const char *name, const char *usual, ChatFamily *out) {
  Str canonical = {0};
  Status status = chat_template_canonical(template_text, &canonical);
  bool found = false;
  for (int family = 0; family < FAMILY_COUNT && status == STATUS_OK && !found; family++) {
    found = matches_family(&FAMILIES[family], str_text(&canonical));
    if (found) *out = (ChatFamily)family;
  }
  str_free(&canonical);
  return status != STATUS_OK || found ? status : fail_unknown_template(name, usual);
}

static Status family_by_name(const char *name, ChatFamily *out) {
  for (int family = 0; family < FAMILY_COUNT; family++) {
    *out = (ChatFamily)family;
    if (strcmp(name, FAMILIES[family].name) == 0) return STATUS_OK;
  }
  Str names = {0};
  Status status = append_names(&names);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "model.chat_template = %.64s is not known; it is auto, %s", name,
                         str_text(&names));
  str_free(&names);
  return status;
}

// ---- finding the template's text; each function appends nothing if there is no template ----

static Status append_or_nothing(Str *out, const char *text) {
  return text != NULL ? str_append_text(out, text) : STATUS_OK;
}

/// chat_template is a text, or a list of {"name", "template"}, of which the one named "default" is used.
static Status read_config(const char *path, Str *out) {
  cJSON *config = NULL;
  TRY(json_parse_file(path, &config));
  const cJSON *chosen = cJSON_GetObjectItemCaseSensitive(config, "chat_template"), *entry;
  if (cJSON_IsArray(chosen)) {
    const cJSON *list = chosen;
    chosen = NULL;
    cJSON_ArrayForEach(entry, list) {
      const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"));
      if (name != NULL && strcmp(name, "default") == 0)
        chosen = cJSON_GetObjectItemCaseSensitive(entry, "template");
    }
  }
  Status status = append_or_nothing(out, cJSON_GetStringValue(chosen));
  cJSON_Delete(config);
  return status;
}

static Status read_jinja(const char *path, Str *out) {
  MappedFile file;
  TRY(file_map(path, &file));
  Status status = str_append(out, (const char *)file.bytes, file.size);
  file_unmap(&file);
  return status;
}

/// chat_template.jinja takes precedence over tokenizer_config.json, as in transformers. *path = the file read
/// (free()).
static Status read_folder(const char *folder, Str *out, char **path) {
  TRY(path_join(path, folder, "chat_template.jinja"));
  if (file_exists(*path)) return read_jinja(*path, out);
  free(*path);
  *path = NULL;
  TRY(path_join(path, folder, "tokenizer_config.json"));
  return file_exists(*path) ? read_config(*path, out) : STATUS_OK;
}

static Status read_gguf(const char *path, Str *out) {
  TensorFile *file = NULL;
  const char *text = NULL;
  TRY(tensors_open(path, &file));
  Status status = tensors_is_gguf(file)
                      ? gguf_get_string_or_null(file, "tokenizer.chat_template", &text)
                      : status_fail(STATUS_INPUT, "%s: neither a folder nor a GGUF file", path);
  if (status == STATUS_OK) status = append_or_nothing(out, text);
  tensors_close(file);
  return status;
}

Status chat_detect(const char *model, const char *override, const char *usual, ChatFamily *out) {
  if (override != NULL && override[0] != '\0' && strcmp(override, "auto") != 0)
    return family_by_name(override, out);
  Str text = {0};
  char *path = NULL; // of the file, if `model` is a folder
  Status status = file_is_directory(model) ? read_folder(model, &text, &path) : read_gguf(model, &text);
  *out = CHAT_NONE;
  if (status == STATUS_OK && str_text(&text)[0] != '\0')
    status = chat_recognise(str_text(&text), path != NULL ? path : model, usual, out);
  str_free(&text);
  free(path);
  return status;
}

// ---- rendering ----

static bool is_role(const ChatMessage *message, const char *role) {
  return strcmp(message->role, role) == 0;
}

static Status check_role(const Family *family, const ChatMessage *message) {
  bool known = is_role(message, "system") || is_role(message, "user") || is_role(message, "assistant");
  bool tool = is_role(message, "tool") || is_role(message, "ipython");
  bool refused = (family->only_known_roles && !known) || (family->dates && tool);
  if (!refused) return STATUS_OK;
  return status_fail(
      STATUS_INPUT, "a chat message of role \"%.64s\" cannot be rendered for %s; use system, user, assistant",
      message->role, family->name);
}

static Status render_chatml(const Family *family, const ChatMessage *messages, size_t count, bool prompt,
                            Str *out) {
  if (family->default_system != NULL && !is_role(&messages[0], "system")) {
    TRY(str_append_format(out, "<|im_start|>system\n%s<|im_end|>\n", family->default_system));
  }
  for (size_t i = 0; i < count; i++) {
    TRY(str_append_format(out, "<|im_start|>%s\n%s<|im_end|>\n", messages[i].role, messages[i].content));
  }
  return prompt ? str_append_text(out, "<|im_start|>assistant\n") : STATUS_OK;
}

/// The filter "| trim" of the templates.
static Status append_stripped(Str *out, const char *text) {
  size_t size = strlen(text);
  utf8_strip(&text, &size);
  return str_append(out, text, size);
}

static Status render_llama(const Family *family, const ChatMessage *messages, size_t count, bool prompt,
                           Str *out) {
  size_t next = 0;
  TRY(str_append_text(out, "<|begin_of_text|>"));
  if (family->dates) {
    TRY(str_append_text(out, "<|start_header_id|>system<|end_header_id|>\n\n"
                             "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"));
    if (is_role(&messages[0], "system")) TRY(append_stripped(out, messages[next++].content));
    TRY(str_append_text(out, "<|eot_id|>"));
  }
  for (; next < count; next++) {
    TRY(str_append_format(out, "<|start_header_id|>%s<|end_header_id|>\n\n", messages[next].role));
    TRY(append_stripped(out, messages[next].content));
    TRY(str_append_text(out, "<|eot_id|>"));
  }
  return prompt ? str_append_text(out, "<|start_header_id|>assistant<|end_header_id|>\n\n") : STATUS_OK;
}

Status chat_render(ChatFamily family, const ChatMessage *messages, size_t count, bool add_generation_prompt,
                   Str *out) {
  const Family *found = &FAMILIES[family];
  if (family == CHAT_NONE) {
    return status_fail(STATUS_INPUT,
                       "the model has no chat template; set model.chat_template, or use plain prompts");
  }
  if (count == 0) return status_fail(STATUS_INPUT, "a chat without messages cannot be rendered");
  for (size_t i = 0; i < count; i++) TRY(check_role(found, &messages[i]));
  return found->render(found, messages, count, add_generation_prompt, out);
}
