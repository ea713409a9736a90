// Any text through the tokenizers of three byte-level families and of SentencePiece. Well-formed UTF-8
// decodes to itself, except with tokenizers that normalise.
#include "fuzz_tokens.h"

#include "util/utf8.h"

enum { COUNT = 4 };

static Tokenizer *tokenizers[COUNT];

static void load_all(void) {
  static const char *const folders[] = {"tests/text/bpe_llama3", "tests/text/bpe_qwen2",
                                        "tests/text/bpe_smollm", "tests/text/spm.gguf"};
  for (size_t i = 0; i < COUNT; i++) {
    if (tokenizer_load(fuzz_source(folders[i]), &tokenizers[i]) != STATUS_OK)
      fuzz_broken("loads", folders[i], 0);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (tokenizers[0] == NULL) load_all();
  for (size_t i = 0; i < COUNT; i++) fuzz_encode(tokenizers[i], (const char *)bytes, size);
  return 0;
}
