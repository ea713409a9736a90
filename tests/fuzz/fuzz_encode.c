// Any text through the tokenizers of three families. Well-formed UTF-8 decodes to itself, except with
// tokenizers that normalise.
#include "fuzz_tokens.h"

#include "util/utf8.h"

static Tokenizer *tokenizers[3];

static void load_all(void) {
  static const char *const folders[] = {"tests/text/bpe_llama3", "tests/text/bpe_qwen2",
                                        "tests/text/bpe_smollm"};
  for (size_t i = 0; i < 3; i++) {
    if (tokenizer_load(fuzz_source(folders[i]), &tokenizers[i]) != STATUS_OK)
      fuzz_broken("loads", folders[i], 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (tokenizers[0] == NULL) load_all();
  for (size_t i = 0; i < 3; i++) fuzz_encode(tokenizers[i], (const char *)bytes, size);
  return 0;
}
