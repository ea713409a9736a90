// GGUF files that are no model, or not one that is known here: each is refused by what it is.
#include "support/gguf_bytes.h"

#include "arch/files.h"
#include "io/file.h"
#include <stdio.h>
#include <string.h>

#define GOLDEN GEE_SOURCE_DIR "/tests/golden/llama.gguf"

static const char *model_path(void) {
  static char path[600];
  static const char *folder;
  if (folder == NULL) folder = test_folder();
  (void)snprintf(path, sizeof path, "%s/model.gguf", folder);
  return path;
}

static void assert_refused(const char *part) {
  ModelFiles *files = NULL;
  assert_fails(model_files_open(model_path(), &files), STATUS_INPUT, part);
  assert_true(test_contains(status_message(), "model.gguf"));
  assert_null(strchr(status_message(), '\n'));
  assert_null(files);
}

/// The same model with general.type, as llama.cpp's converters write it.
static void tells_the_general_type(void **state) {
  (void)state;
  static const struct {
    const char *type, *message; // NULL: read
  } cases[] = {{"model", NULL},
               {"adapter", "is a LoRA adapter of llama.cpp"},
               {"mmproj", "is the projector of a model"},
               {"imatrix", "is an importance matrix"},
               {"vocab", "general.type is \"vocab\""},
               {"", "general.type is \"\""}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Str values = {0};
    ModelFiles *files = NULL;
    gguf_put_text(&values, "general.type", cases[i].type);
    gguf_add_values(GOLDEN, model_path(), &values, 1);
    str_free(&values);
    if (cases[i].message != NULL) {
      assert_refused(cases[i].message);
      continue;
    }
    assert_ok(model_files_open(model_path(), &files));
    model_files_close(files);
  }
}

/// Files with a few values and no tensors: what tells them must be said before what they lack.
static void tells_the_architecture(void **state) {
  (void)state;
  static const struct {
    const char *key, *value, *message;
  } cases[] = {{"general.architecture", "clip", "is the projector of a model"},
               {"general.type", "imatrix", "is an importance matrix"},
               {"general.name", "x", "general.architecture is missing"},
               {"general.architecture", "gemma3", "gemma3"},
               {"general.architecture", "LLAMA", "LLAMA"},
               {"general.architecture", "llama", "llama.block_count\" is missing"}};
  Str str = {0};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    gguf_put_start(&str, 3, 0, 1);
    gguf_put_text(&str, cases[i].key, cases[i].value);
    assert_ok(file_write_atomic(model_path(), str.data, str.size));
    assert_refused(cases[i].message);
  }
  gguf_put_start(&str, 3, 0, 1);
  gguf_put_number(&str, "general.architecture", 7);
  assert_ok(file_write_atomic(model_path(), str.data, str.size));
  assert_refused("must be a string");
  str_free(&str);
}

/// Settings of llama.cpp's relatives of Llama: off is read, on is refused by name.
static void refuses_settings_of_relatives(void **state) {
  (void)state;
  static const char *const keys[] = {"llama.expert_count", "llama.nextn_predict_layers", "llama.logit_scale",
                                     "llama.attention.scale", "llama.attention.sliding_window"};
  for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
    for (uint32_t value = 0; value < 2; value++) {
      Str values = {0};
      ModelFiles *files = NULL;
      gguf_put_number(&values, keys[i], value);
      gguf_add_values(GOLDEN, model_path(), &values, 1);
      str_free(&values);
      if (value > 0) {
        assert_refused(keys[i]);
      } else {
        assert_ok(model_files_open(model_path(), &files));
        model_files_close(files);
      }
    }
  }
}

/// A tensor that the model has no place for, in the place of one that it may lack.
static void names_foreign_tensors(void **state) {
  (void)state;
  static const char optional[] = "rope_freqs.weight";
  static const char *const names[] = {"cls.output.weight", "blk.9.attn_q.bias", "blk.0.ffn_up_exps",
                                      "v.patch_emb.weigh"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    MappedFile file;
    Str copy = {0};
    assert_ok(file_map(GOLDEN, &file));
    assert_ok(str_append(&copy, (const char *)file.bytes, file.size));
    file_unmap(&file);
    char *place = memmem(copy.data, copy.size, optional, strlen(optional));
    assert_non_null(place);
    assert_int_equal(strlen(names[i]), strlen(optional));
    memcpy(place, names[i], strlen(optional));
    assert_ok(file_write_atomic(model_path(), copy.data, copy.size));
    assert_refused(names[i]);
    str_free(&copy);
  }
}

/// What people give in place of a model's file.
static void tells_other_files(void **state) {
  (void)state;
  static const struct {
    const char *bytes, *message;
  } cases[] = {{"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 105\n", "Git LFS pointer"},
               {"PK\x03\x04 archive/data.pkl", "the archive is damaged or cut off"},
               {"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9", "a file of PyTorch before 1.6"},
               {"<!DOCTYPE html><html>Not found", "is a web page"},
               {"tjgg\x03", "used before GGUF"},
               {"lmgg", "used before GGUF"},
               {"fmgg\x01", "used before GGUF"},
               {"algg\x01", "an adapter in a format"},
               {"FUGG", "not a model file"},
               {"GGU", "not a model file"},
               {"", "not a model file"}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    assert_ok(file_write_atomic(model_path(), cases[i].bytes, strlen(cases[i].bytes)));
    assert_refused(cases[i].message);
  }
}

/// The token that ends a turn in the chat template is an end token though no key names it, as in llama.cpp:
/// if it is a control token, and the template writes it.
static void stops_where_the_template_ends_a_turn(void **state) {
  (void)state;
  enum { ARRAY = 9, STRING = 8, INT32 = 5, COUNT = 7 };
  static const char *const tokens[] = {"a", "b", "c", "<|im_start|>", "<|im_end|>", "<|eot_id|>", "<|end|>"};
  static const uint32_t types[] = {1, 1, 1, 3, 3, 3, 1};
  static const struct {
    const char *template;
    size_t more;
    int32_t id;
  } cases[] = {{"{{ '<|im_start|>' + message['content'] + '<|im_end|>' }}", 1, 4},
               {"{{ message['content'] + '<|eot_id|>' }}", 1, 5},
               {"{{ message['content'] + '<|end|>' }}", 0, 0}, // an ordinary token
               {"{{ message['content'] }}", 0, 0},
               {NULL, 0, 0}};
  ModelFiles *files = NULL;
  assert_ok(model_files_open(GOLDEN, &files));
  size_t before = model_files_config(files)->eos_count;
  model_files_close(files);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    Str values = {0};
    if (cases[i].template != NULL) gguf_put_text(&values, "tokenizer.chat_template", cases[i].template);
    gguf_put_string(&values, "tokenizer.ggml.tokens");
    gguf_put_u32(&values, ARRAY);
    gguf_put_u32(&values, STRING);
    gguf_put_u64(&values, COUNT);
    for (size_t t = 0; t < COUNT; t++) gguf_put_string(&values, tokens[t]);
    gguf_put_string(&values, "tokenizer.ggml.token_type");
    gguf_put_u32(&values, ARRAY);
    gguf_put_u32(&values, INT32);
    gguf_put_u64(&values, COUNT);
    for (size_t t = 0; t < COUNT; t++) gguf_put_u32(&values, types[t]);
    gguf_add_values(GOLDEN, model_path(), &values, cases[i].template != NULL ? 3 : 2);
    str_free(&values);
    assert_ok(model_files_open(model_path(), &files));
    const ModelConfig *config = model_files_config(files);
    assert_int_equal(config->eos_count, before + cases[i].more);
    if (cases[i].more > 0) assert_int_equal(config->eos[before], cases[i].id);
    model_files_close(files);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(tells_the_general_type),
      cmocka_unit_test(tells_the_architecture),
      cmocka_unit_test(refuses_settings_of_relatives),
      cmocka_unit_test(names_foreign_tensors),
      cmocka_unit_test(tells_other_files),
      cmocka_unit_test(stops_where_the_template_ends_a_turn),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
