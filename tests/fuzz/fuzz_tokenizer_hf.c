// tokenizer.json, and after a line "----" tokenizer_config.json; then a text that exercises the tokenizer.
#include "fuzz_tokens.h"

#include "text/chat.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char text[] = "Hello  world, 12345 <|im_start|>naïve\r\n\t漢字\xff's <s>";
  FuzzParts parts = fuzz_cut(bytes, size);
  (void)fuzz_file("tokenizer.json", parts.first, parts.first_size);
  (void)fuzz_file("tokenizer_config.json", parts.second, parts.second_size);
  const char *folder = fuzz_path("");
  Tokenizer *tokenizer = NULL;
  ChatTemplate *chat = NULL;
  if (fuzz_accepted(chat_open(folder, NULL, &(ChatOptions){0}, &chat))) chat_free(chat);
  if (!fuzz_accepted(tokenizer_load(folder, &tokenizer))) return 0;
  fuzz_encode(tokenizer, text, sizeof text - 1);
  tokenizer_free(tokenizer);
  return 0;
}
