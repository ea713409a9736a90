// A chat template's text, recognised or not, and messages rendered by every family: lines of "role content".
#include "fuzz.h"

#include "chat_families.h"
#include "text/chat.h"
#include <string.h>

enum { MAX_MESSAGES = 8 };

static size_t split_messages(char *text, ChatMessage messages[MAX_MESSAGES]) {
  char *at = NULL;
  size_t count = 0;
  for (char *line = strtok_r(text, "\n", &at); line != NULL && count < MAX_MESSAGES;
       line = strtok_r(NULL, "\n", &at)) {
    char *blank = strchr(line, ' ');
    if (blank != NULL) *blank = '\0';
    messages[count++] = (ChatMessage){line, blank != NULL ? blank + 1 : ""};
  }
  return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  FuzzParts parts = fuzz_cut(bytes, size);
  char *template_text = fuzz_text(parts.first, parts.first_size),
       *lines = fuzz_text(parts.second, parts.second_size);
  ChatMessage messages[MAX_MESSAGES];
  const ChatFamily *family = NULL;
  const char *name = NULL;
  (void)fuzz_accepted(chat_family_of(template_text, &family));
  size_t count = split_messages(lines, messages);
  for (size_t i = 0; (name = chat_name_at(i)) != NULL; i++) {
    Str text = {0};
    ChatTemplate *chat = NULL;
    FUZZ_CHECK(chat_open("", NULL, &(ChatOptions){.name = name}, &chat) == STATUS_OK);
    if (fuzz_accepted(chat_render(chat, messages, count, &text)))
      FUZZ_CHECK(strlen(str_text(&text)) == text.size);
    str_free(&text);
    chat_free(chat);
  }
  free(template_text);
  free(lines);
  return 0;
}
