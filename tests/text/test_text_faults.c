// Failing allocations while a tokenizer or a chat template is loaded, used and exported.
#include "io/file.h"
#include "support/alloc_faults.h"
#include "support/tokenizer_gguf.h"
#include "text/chat.h"
#include "text/export.h"
#include "text/tokenizer.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SMOLLM GEE_SOURCE_DIR "/tests/text/bpe_smollm"
#define LLAMA3 GEE_SOURCE_DIR "/tests/text/bpe_llama3"
#define SPM    GEE_SOURCE_DIR "/tests/text/spm.gguf"

static char gguf[600];

static int make_gguf(void **state) {
  (void)state;
  (void)snprintf(gguf, sizeof gguf, "%s/model.gguf", test_folder());
  tokenizer_gguf_write("llama3", "llama-bpe", true, gguf);
  return 0;
}

static void sweep(const char *name, Status (*run)(void *), void *user) {
  FaultSweep job = {.name = name, .run = run, .user = user};
  faults_sweep(&job);
}

static Status load(void *user) {
  Tokenizer *tokenizer = NULL;
  Status status = tokenizer_load(user, &tokenizer);
  if (status != STATUS_OK) assert_null(tokenizer);
  tokenizer_free(tokenizer);
  return status;
}

static void loads(void **state) {
  (void)state;
  sweep("loading tokenizer.json", load, (void *)(uintptr_t)LLAMA3);
  sweep("loading a GGUF's tokenizer", load, gguf);
  sweep("loading a SentencePiece tokenizer", load, (void *)(uintptr_t)SPM);
}

/// Writes an input of the fuzz target tokenizer_hf, whose parts are tokenizer.json and tokenizer_config.json,
/// as a folder.
static void write_folder(const char *name, const char *folder) {
  static const char cut[] = "\n----\n";
  char path[600];
  MappedFile file = {0};
  (void)snprintf(path, sizeof path, GEE_SOURCE_DIR "/tests/fuzz/corpus/tokenizer_hf/%s", name);
  assert_ok(file_map(path, &file));
  const char *bytes = (const char *)file.bytes, *second = memmem(bytes, file.size, cut, sizeof cut - 1);
  size_t first = second != NULL ? (size_t)(second - bytes) : file.size;
  (void)snprintf(path, sizeof path, "%s/tokenizer.json", folder);
  assert_ok(file_write_atomic(path, bytes, first));
  if (second != NULL) {
    (void)snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
    assert_ok(file_write_atomic(path, second + sizeof cut - 1, file.size - first - sizeof cut + 1));
  }
  file_unmap(&file);
}

// ---- use ----

static Status encode(void *user) {
  static const char text[] = "He said:  \"It's 1,234.5 \xc3\xa9t\xc3\xa9s\"\n\xff<|im_start|>";
  Tokens tokens = {0};
  Str words = {0};
  Status status = tokenizer_encode(user, text, sizeof text - 1, true, &tokens);
  if (status == STATUS_OK) status = tokenizer_decode(user, tokens.ids, tokens.count, false, &words);
  tokens_free(&tokens);
  str_free(&words);
  return status;
}

static void encodes_and_decodes(void **state) {
  static const char *const folders[] = {SMOLLM, LLAMA3, GEE_SOURCE_DIR "/tests/text/bpe_qwen2"};
  (void)state;
  for (size_t i = 0; i < 3; i++) {
    Tokenizer *tokenizer = NULL;
    assert_ok(tokenizer_load(folders[i], &tokenizer));
    sweep("encoding and decoding", encode, tokenizer);
    tokenizer_free(tokenizer);
  }
}

/// Tokenizers with every kind of part.
static void all_parts(void **state) {
  static const char *const names[] = {"cuts", "pieces", "metaspace", "tokens"};
  (void)state;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    char folder[500];
    Tokenizer *tokenizer = NULL;
    (void)snprintf(folder, sizeof folder, "%s", test_folder());
    write_folder(names[i], folder);
    sweep(names[i], load, folder);
    assert_ok(tokenizer_load(folder, &tokenizer));
    sweep("encoding and decoding", encode, tokenizer);
    tokenizer_free(tokenizer);
  }
}

static Status render(void *user) {
  static const ChatMessage messages[] = {{"system", "Be short."}, {"user", "Hello "}};
  ChatTemplate *chat = NULL;
  Str text = {0};
  TRY(chat_open(user, NULL, &(ChatOptions){0}, &chat));
  Status status = chat_render(chat, messages, 2, &text);
  str_free(&text);
  chat_free(chat);
  return status;
}

static void renders_chats(void **state) {
  (void)state;
  char folder[600], path[700];
  static const char text[] = "{\"chat_template\": [{\"name\": \"default\", \"template\": \"{% for message in "
                             "messages %}{{'<|im_start|>' + "
                             "message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}{% endfor "
                             "%}{% if add_generation_prompt %}"
                             "{{ '<|im_start|>assistant\\n' }}{% endif %}\"}]}";
  (void)snprintf(folder, sizeof folder, "%s", test_folder());
  (void)snprintf(path, sizeof path, "%s/tokenizer_config.json", folder);
  assert_ok(file_write_atomic(path, text, strlen(text)));
  sweep("a chat template", render, folder);
}

// ---- export ----

typedef struct Export {
  const char *model, *path;
} Export;

static Status export(void *user) {
  const Export *job = user;
  AtomicDir dir = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(atomic_dir_begin(job->path, &dir));
  TRY_CLEAN(tokenizer_export(job->model, dir.partial));
  TRY_CLEAN(atomic_dir_commit(&dir));
cleanup:
  atomic_dir_abort(&dir);
  return status;
}

/// The folder is whole or not there; after a single failure nothing else is left.
static void check_export(void *user, bool failed, FaultMode mode) {
  const Export *job = user;
  char path[900];
  (void)snprintf(path, sizeof path, "%s/tokenizer.json", job->path);
  if (file_exists(job->path)) {
    Tokenizer *tokenizer = NULL;
    assert_ok(tokenizer_load(job->path, &tokenizer));
    tokenizer_free(tokenizer);
  }
  (void)snprintf(path, sizeof path, "%s" PARTIAL_END, job->path);
  if (!failed) assert_true(file_exists(job->path));
  if (mode == FAULT_ONCE) assert_false(file_exists(path));
  assert_ok(directory_remove(job->path));
}

static void exports(void **state) {
  (void)state;
  char path[600];
  (void)snprintf(path, sizeof path, "%s/exported", test_folder());
  const char *const models[] = {LLAMA3, gguf};
  for (size_t i = 0; i < 2; i++) {
    Export job = {models[i], path};
    FaultSweep all = {"exporting a tokenizer", export, check_export, &job};
    faults_sweep(&all);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(loads),     cmocka_unit_test(encodes_and_decodes),
      cmocka_unit_test(all_parts), cmocka_unit_test(renders_chats),
      cmocka_unit_test(exports),
  };
  return cmocka_run_group_tests(tests, make_gguf, NULL);
}
