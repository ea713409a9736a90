// Finding a model's chat template, and rendering. Rule: what a template would refuse, drop or keep for tools
// is refused by name; everything else is printed as transformers prints it.
#include "text/chat.h"

#include "chat_families.h"
#include "io/file.h"
#include "io/json.h"
#include "io/tensors.h"
#include "util/memory.h"
#include "util/utf8.h"
#include <stdlib.h>
#include <string.h>

struct ChatTemplate {
  const ChatFamily *family; // NULL: not recognised
  char *refusal;            // why a chat cannot be rendered, if it cannot
  char *bos, *eos;          // NULL: the tokenizer has none
  char *date;
};

static const char default_date[] = "26 Jul 2024";

// ---- names ----

const char *chat_name_at(size_t index) {
  const ChatFamily *family = chat_family_at(index);
  return family != NULL ? family->name : NULL;
}

const char *chat_name(const ChatTemplate *chat) {
  return chat->family != NULL ? chat->family->name : "not recognised";
}

bool chat_is_there(const ChatTemplate *chat) {
  return chat != NULL && chat->family != chat_family_at(0);
}

/// Appends "chatml, smollm2, … or none" for messages. "none", first in the table, comes last.
static Status append_names(Str *out) {
  size_t count = 0;
  while (chat_family_at(count) != NULL) count++;
  for (size_t i = 0; i < count; i++)
    TRY(str_append_item(out, chat_name_at((i + 1) % count), i, count, " or "));
  return STATUS_OK;
}

static Status family_by_name(const char *name, const ChatFamily **out) {
  for (size_t i = 0; (*out = chat_family_at(i)) != NULL; i++) {
    if (strcmp(name, (*out)->name) == 0) return STATUS_OK;
  }
  Str names = {0};
  Status status = append_names(&names);
  if (status == STATUS_OK)
    status = status_fail(STATUS_INPUT, "the chat template \"%.64s\" is not known; it is auto, %s", name,
                         str_text(&names));
  str_free(&names);
  return status;
}

// ---- finding the template's text ----

/// Notes why the template in `file` cannot be rendered.
static Status refuse(ChatTemplate *chat, const char *file, const char *what, const char *usual) {
  Str names = {0};
  Status status = append_names(&names);
  if (status == STATUS_OK && usual != NULL)
    status = str_append_format(&names, " (%s is usual for this kind of model)", usual);
  if (status == STATUS_OK)
    status = str_format(&chat->refusal,
                        "%s: %s; name one that fits with model.chat_template or --chat-template: %s", file,
                        what, str_text(&names));
  str_free(&names);
  return status;
}

/// A text that was found, or none.
typedef struct Found {
  char *file; // that holds the template, for messages
  Str text;
  bool there;  // it may be empty
  bool listed; // several templates are there, of which none is the default
} Found;

static Status take_text(Found *found, const char *text) {
  if (text == NULL) return STATUS_OK;
  found->there = true;
  return str_append_text(&found->text, text);
}

/// The template named "default" of a list of {"name", "template"}, or of an object of texts; NULL if there is
/// none. Of two of that name transformers keeps the last.
static const cJSON *find_default(const cJSON *several) {
  const cJSON *chosen = NULL, *entry;
  cJSON_ArrayForEach(entry, several) {
    const char *name = cJSON_IsArray(several)
                           ? cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(entry, "name"))
                           : entry->string;
    if (name != NULL && strcmp(name, "default") == 0)
      chosen = cJSON_IsArray(several) ? cJSON_GetObjectItemCaseSensitive(entry, "template") : entry;
  }
  return chosen;
}

static Status read_config(const char *path, Found *found) {
  cJSON *config = NULL;
  TRY(json_parse_file(path, &config));
  const cJSON *chosen = cJSON_GetObjectItemCaseSensitive(config, "chat_template");
  bool several = cJSON_IsArray(chosen) || cJSON_IsObject(chosen);
  if (several) chosen = find_default(chosen);
  found->listed = several && chosen == NULL;
  Status status = STATUS_OK;
  if (chosen != NULL && !cJSON_IsNull(chosen) && !cJSON_IsString(chosen))
    status = status_fail(STATUS_INPUT, "%s: chat_template is neither a text nor templates with names", path);
  if (status == STATUS_OK) status = take_text(found, cJSON_GetStringValue(chosen));
  cJSON_Delete(config);
  return status;
}

static Status read_jinja(const char *path, Found *found) {
  MappedFile file;
  TRY(file_map(path, &file));
  Status status = STATUS_OK;
  found->there = true;
  if (memchr(file.bytes, '\0', file.size) != NULL)
    status = status_fail(STATUS_INPUT, "%s: has a NUL byte; this is no template", path);
  if (status == STATUS_OK) status = str_append(&found->text, (const char *)file.bytes, file.size);
  file_unmap(&file);
  return status;
}

/// *out = whether the folder holds a template. A folder that is not there holds none.
static Status holds_templates(const char *folder, bool *out) {
  char **names = NULL;
  size_t count = 0;
  *out = false;
  if (!file_is_directory(folder)) return STATUS_OK;
  TRY(directory_list(folder, &names, &count));
  for (size_t i = 0; i < count; i++) *out = *out || str_ends(names[i], ".jinja");
  directory_free_list(names);
  return STATUS_OK;
}

static Status set_file(Found *found, const char *folder, const char *name) {
  free(found->file);
  found->file = NULL;
  return path_join(&found->file, folder, name);
}

/// chat_template.jinja takes precedence over tokenizer_config.json, and so do additional_chat_templates, of
/// which none is the default.
static Status read_folder(const char *folder, Found *found) {
  TRY(set_file(found, folder, "chat_template.jinja"));
  if (file_exists(found->file)) return read_jinja(found->file, found);
  TRY(set_file(found, folder, "additional_chat_templates"));
  TRY(holds_templates(found->file, &found->listed));
  if (found->listed) return STATUS_OK;
  TRY(set_file(found, folder, "tokenizer_config.json"));
  return file_exists(found->file) ? read_config(found->file, found) : STATUS_OK;
}

/// Other templates of a GGUF are tokenizer.chat_template.NAME, listed in tokenizer.chat_templates.
static Status read_gguf(const char *path, Found *found) {
  TensorFile *file = NULL;
  const char *text = NULL;
  size_t others = 0;
  TRY(tensors_open(path, &file));
  Status status = tensors_is_gguf(file)
                      ? gguf_get_string_or_null(file, "tokenizer.chat_template", &text)
                      : status_fail(STATUS_INPUT, "%s: neither a folder nor a GGUF file", path);
  if (status == STATUS_OK) status = take_text(found, text);
  if (status == STATUS_OK && text == NULL)
    found->listed = gguf_get_strings(file, "tokenizer.chat_templates", &others) == STATUS_OK && others > 0;
  tensors_close(file);
  return status == STATUS_OK ? str_copy(&found->file, path, strlen(path)) : status;
}

/// Sets the family of the model's own template.
static Status find_family(ChatTemplate *chat, const char *model, const char *usual) {
  Found found = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(file_is_directory(model) ? read_folder(model, &found) : read_gguf(model, &found));
  if (found.listed) {
    TRY_CLEAN(refuse(chat, found.file, "has several chat templates, and none of them is the default", usual));
  } else if (found.there) {
    TRY_CLEAN(chat_family_of(str_text(&found.text), &chat->family));
    if (chat->family == NULL) TRY_CLEAN(refuse(chat, found.file, "its chat template is not known", usual));
  } else {
    chat->family = chat_family_at(0);
  }
cleanup:
  str_free(&found.text);
  free(found.file);
  return status;
}

// ---- opening ----

/// *out = the text of a token, or NULL if `id` is none.
static Status copy_token(const Tokenizer *tokenizer, int32_t id, char **out) {
  Str text = {0};
  if (id < 0) return STATUS_OK;
  Status status = tokenizer_decode(tokenizer, &id, 1, false, &text);
  if (status == STATUS_OK) status = str_copy(out, str_text(&text), text.size);
  str_free(&text);
  return status;
}

static bool prints_date(const ChatFamily *family) {
  return family != NULL && family->first_system.before != NULL &&
         strstr(family->first_system.before, CHAT_DATE) != NULL;
}

static Status set_date(ChatTemplate *chat, const char *date) {
  bool given = date != NULL && date[0] != '\0';
  if (given && chat->family != NULL && !prints_date(chat->family))
    return status_fail(STATUS_INPUT, "a date is set for the chat template, but %s prints none: leave it out",
                       chat_name(chat));
  return str_copy(&chat->date, given ? date : default_date, strlen(given ? date : default_date));
}

Status chat_open(const char *model, const Tokenizer *tokenizer, const ChatOptions *options,
                 ChatTemplate **out) {
  ChatTemplate *chat = NULL;
  const char *name = options->name;
  bool named = name != NULL && name[0] != '\0' && strcmp(name, "auto") != 0;
  Status status = STATUS_OK;
  *out = NULL;
  TRY(mem_array(&chat, 1, "a chat template"));
  TRY_CLEAN(named ? family_by_name(name, &chat->family) : find_family(chat, model, options->usual));
  TRY_CLEAN(set_date(chat, options->date));
  if (tokenizer != NULL) {
    TRY_CLEAN(copy_token(tokenizer, tokenizer_bos(tokenizer), &chat->bos));
    TRY_CLEAN(copy_token(tokenizer, tokenizer_eos(tokenizer), &chat->eos));
  }
  *out = chat;
cleanup:
  if (status != STATUS_OK) chat_free(chat);
  return status;
}

void chat_free(ChatTemplate *chat) {
  if (chat == NULL) return;
  free(chat->refusal);
  free(chat->bos);
  free(chat->eos);
  free(chat->date);
  free(chat);
}

// ---- checking a chat ----

static bool is_role(const ChatMessage *message, const char *role) {
  return strcmp(message->role, role) == 0;
}

static const ChatTurn *turn_of(const ChatFamily *family, const ChatMessage *message) {
  if (is_role(message, "system")) return &family->system;
  if (is_role(message, "user")) return &family->user;
  return is_role(message, "assistant") ? &family->answer : &family->other;
}

static bool system_goes_into_a_turn(const ChatFamily *family) {
  return family->place == SYSTEM_IN_FIRST_TURN || family->place == SYSTEM_IN_LAST_TURN;
}

/// Refuses message `index` if the template refuses it, drops it, or keeps its role for tools.
static Status check_message(const ChatFamily *family, const ChatMessage *messages, size_t index) {
  const ChatMessage *message = &messages[index];
  bool tool = family->refuse_tools && (is_role(message, "tool") || is_role(message, "ipython"));
  if (tool || turn_of(family, message)->before == NULL)
    return status_fail(STATUS_INPUT,
                       "a chat message of role \"%.64s\" cannot be rendered for the template %s",
                       message->role, family->name);
  if (index > 0 && is_role(message, "system") && family->place != SYSTEM_ANYWHERE)
    return status_fail(STATUS_INPUT, "the template %s takes a system message at the start of a chat only",
                       family->name);
  size_t turn = index - (is_role(&messages[0], "system") ? 1 : 0);
  bool wrong =
      family->alternate && !is_role(message, "system") && is_role(message, "user") != (turn % 2 == 0);
  if (!wrong) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "the template %s takes user and assistant in turn, the user first; message %zu is of role "
      "\"%.64s\"",
      family->name, index + 1, message->role);
}

static Status check_chat(const ChatTemplate *chat, const ChatMessage *messages, size_t count) {
  const ChatFamily *family = chat->family;
  if (family == NULL) return status_fail(STATUS_INPUT, "%s", chat->refusal);
  if (!chat_is_there(chat))
    return status_fail(STATUS_INPUT, "the model has no chat template; name one with model.chat_template or "
                                     "--chat-template, or use plain prompts");
  if (count == 0) return status_fail(STATUS_INPUT, "a chat without messages cannot be rendered");
  for (size_t i = 0; i < count; i++) TRY(check_message(family, messages, i));
  const ChatMessage *host =
      family->place == SYSTEM_IN_LAST_TURN ? &messages[count - 1] : &messages[1 % count];
  if (system_goes_into_a_turn(family) && is_role(&messages[0], "system") && !is_role(host, "user"))
    return status_fail(
        STATUS_INPUT,
        "the template %s puts the system message into a message of the user, and drops it here: end the "
        "chat with one",
        family->name);
  return STATUS_OK;
}

// ---- rendering ----

/// Appends a text of the table, with what its marks stand for.
static Status append_marked(const ChatTemplate *chat, const char *text, const char *role, Str *out) {
  for (; *text != '\0'; text++) {
    const char *value = NULL;
    if (*text == CHAT_BOS[0]) value = chat->bos != NULL ? chat->bos : "";
    if (*text == CHAT_NEEDED_BOS[0]) value = chat->bos;
    if (*text == CHAT_EOS[0]) value = chat->eos;
    if (*text == CHAT_ROLE[0]) value = role;
    if (*text == CHAT_DATE[0]) value = chat->date;
    if ((unsigned char)*text > (unsigned char)CHAT_DATE[0]) {
      TRY(str_append(out, text, 1));
    } else if (value != NULL) {
      TRY(str_append_text(out, value));
    } else {
      return status_fail(STATUS_INPUT, "the chat template %s needs %s token, but the tokenizer has none",
                         chat_name(chat), *text == CHAT_EOS[0] ? "an EOS" : "a BOS");
    }
  }
  return STATUS_OK;
}

/// Appends a content as the template prints it.
static Status append_content(const ChatFamily *family, bool answer, const char *text, Str *out) {
  static const char thought[] = "</think>";
  if (answer && family->drop_thinking) {
    for (const char *at = text; (at = strstr(at, thought)) != NULL;) text = at = at + strlen(thought);
  }
  size_t size = strlen(text);
  if (family->strip == STRIP_ALL || (answer && family->strip == STRIP_ANSWERS)) utf8_strip(&text, &size);
  return str_append(out, text, size);
}

static Status append_turn(const ChatTemplate *chat, ChatTurn turn, const char *role, const char *content,
                          Str *out) {
  TRY(append_marked(chat, turn.before, role, out));
  TRY(append_content(chat->family, strcmp(role, "assistant") == 0, content, out));
  return append_marked(chat, turn.after, role, out);
}

/// A user's message with the system message in front of its content.
static Status append_host(const ChatTemplate *chat, const char *system, const ChatMessage *message,
                          Str *out) {
  const ChatFamily *family = chat->family;
  Str content = {0};
  Status status = str_append_format(&content, "%s%s%s%s", family->system.before, system, family->system.after,
                                    message->content);
  if (status == STATUS_OK) status = append_turn(chat, family->user, message->role, str_text(&content), out);
  str_free(&content);
  return status;
}

/// The system message at the start, given or the template's own.
static Status append_first_system(const ChatTemplate *chat, const char *given, Str *out) {
  const ChatFamily *family = chat->family;
  ChatTurn turn = family->first_system.before != NULL ? family->first_system : family->system;
  const char *content = given != NULL ? given : family->default_system;
  if (content == NULL || (family->skip_empty_system && content[0] == '\0')) return STATUS_OK;
  return append_turn(chat, turn, "system", content, out);
}

/// Refuses a template whose answers do not begin with the text that asks for them. `at`: where the turn
/// begins. *begin = where the text that asks for it ends.
static Status find_begin(const ChatTemplate *chat, const Str *text, size_t at, size_t *begin) {
  Str asks = {0};
  Status status = append_marked(chat, chat->family->prompt, "", &asks);
  *begin = at + asks.size;
  if (status == STATUS_OK &&
      (*begin > text->size || (asks.size > 0 && memcmp(text->data + at, asks.data, asks.size) != 0)))
    status = status_fail(STATUS_INPUT,
                         "the template %s asks for an answer otherwise than it writes one in a chat, so no "
                         "given answer can follow: name another one with model.chat_template",
                         chat_name(chat));
  str_free(&asks);
  return status;
}

/// Appends a turn of the assistant. *span = what of it the model is to write: white space behind the token
/// that ends the turn is the template's.
static Status append_answer(const ChatTemplate *chat, ChatTurn turn, const char *content, Str *out,
                            ChatSpan *span) {
  size_t at = out->size;
  TRY(append_marked(chat, turn.before, "assistant", out));
  TRY(find_begin(chat, out, at, &span->begin));
  TRY(append_content(chat->family, true, content, out));
  size_t least = out->size;
  TRY(append_marked(chat, turn.after, "assistant", out));
  span->end = out->size;
  while (span->end > least && strchr(" \n", out->data[span->end - 1]) != NULL) span->end--;
  return STATUS_OK;
}

/// Renders the messages; `spans` NULL: as they stand before the model answers. Else see chat_render_answers.
static Status render(const ChatTemplate *chat, const ChatMessage *messages, size_t count, Str *out,
                     ChatSpan *spans) {
  TRY(check_chat(chat, messages, count));
  const ChatFamily *family = chat->family;
  bool begins_with_system = is_role(&messages[0], "system");
  const char *system = begins_with_system ? messages[0].content : NULL;
  size_t first = begins_with_system ? 1 : 0, last = count - 1;
  bool inside = begins_with_system && system_goes_into_a_turn(family);
  size_t host = family->place == SYSTEM_IN_LAST_TURN ? last : first;
  TRY(append_marked(chat, family->start, "", out));
  if (!inside) TRY(append_first_system(chat, system, out));
  for (size_t i = first; i < count; i++) {
    const ChatMessage *message = &messages[i];
    ChatTurn turn = *turn_of(family, message);
    bool ends = i == last && is_role(message, "assistant") && family->last_answer_after != NULL;
    if (ends) turn.after = family->last_answer_after;
    if (family->skip_empty_system && is_role(message, "system") && message->content[0] == '\0') continue;
    if (inside && i == host)
      TRY(append_host(chat, system, message, out));
    else if (spans != NULL && is_role(message, "assistant"))
      TRY(append_answer(chat, turn, message->content, out, &spans[i]));
    else
      TRY(append_turn(chat, turn, message->role, message->content, out));
  }
  return spans != NULL ? STATUS_OK : append_marked(chat, family->prompt, "", out);
}

Status chat_render(const ChatTemplate *chat, const ChatMessage *messages, size_t count, Str *out) {
  return render(chat, messages, count, out, NULL);
}

Status chat_render_answers(const ChatTemplate *chat, const ChatMessage *messages, size_t count, Str *out,
                           ChatSpan *spans) {
  for (size_t i = 0; i < count; i++) spans[i] = (ChatSpan){0};
  if (count > 0 && !is_role(&messages[count - 1], "assistant"))
    return status_fail(STATUS_INPUT, "a chat whose last message is not an answer of the assistant");
  return render(chat, messages, count, out, spans);
}
