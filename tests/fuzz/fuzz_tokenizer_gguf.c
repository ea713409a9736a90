// The tokenizer in a GGUF file's metadata, its chat template, and its export as Hugging Face's files.
#include "fuzz_tokens.h"

#include "io/file.h"
#include "text/chat.h"
#include "text/export.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static const char text[] = "Hello  world, 12345 <|im_start|>naïve\r\n\t漢字\xff's <s>";
  const char *path = fuzz_file("in.gguf", bytes, size);
  Tokenizer *tokenizer = NULL;
  ChatTemplate *chat = NULL;
  if (fuzz_accepted(chat_open(path, NULL, &(ChatOptions){0}, &chat))) chat_free(chat);
  if (!fuzz_accepted(tokenizer_load(path, &tokenizer))) return 0;
  fuzz_encode(tokenizer, text, sizeof text - 1);
  tokenizer_free(tokenizer);
  const char *exported = fuzz_path("exported");
  if (directory_create(exported) != STATUS_OK) abort();
  if (fuzz_accepted(tokenizer_export(path, exported))) {
    FUZZ_CHECK(tokenizer_load(exported, &tokenizer) == STATUS_OK);
    fuzz_encode(tokenizer, text, sizeof text - 1);
    tokenizer_free(tokenizer);
  }
  return 0;
}
