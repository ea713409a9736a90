// The table of tokenizer.ggml.pre. Rule: a name that is not in it is refused, because a wrong pattern gives
// ids that look right and are not. The patterns are those of the models' own tokenizer.json; those of
// "default", "falcon" and "deepseek-llm" are llama.cpp's, which differ. Text is normalized where the model's
// own tokenizer does it, though llama.cpp does not.
#include "gguf_pre.h"

#include "pretokenize.h"
#include "util/str.h"
#include <string.h>

static const char llama3[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p"
    "{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen2[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]"
    "+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char qwen35[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L"
    "}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char tekken[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M"
    "}]+|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}"
    "\\p{M}]*|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char gpt4o[] =
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M"
    "}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p"
    "{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p"
    "{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char bloom[] = " ?[^(\\s|.,!?…。，、।۔،)]+";
static const char seed_coder[] =
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{"
    "N}\\r\\n]+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char bailing[] =
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r"
    "\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+";
static const char deepseek3[] =
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p"
    "{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";
static const char deepseek_letters[] =
    "\\s?[A-Za-z\\x{b5}\\x{c0}-\\x{d6}\\x{d8}-\\x{f6}\\x{f8}-\\x{1ba}\\x{1bc}-\\x{1bf}\\x{1c4}-\\x{293}"
    "\\x{295}-\\x{2af}\\x{370}-\\x{373}\\x{376}\\x{377}\\x{37b}-\\x{37d}\\x{37f}\\x{386}"
    "\\x{388}-\\x{38a}\\x{38c}\\x{38e}-\\x{3a1}\\x{3a3}-\\x{3f5}\\x{3f7}-\\x{481}\\x{48a}-\\x{52f}"
    "\\x{531}-\\x{556}\\x{10a0}-\\x{10c5}\\x{13a0}-\\x{13f5}\\x{13f8}-\\x{13fd}\\x{1c90}-\\x{1cba}"
    "\\x{1cbd}-\\x{1cbf}\\x{1d00}-\\x{1d2b}\\x{1d6b}-\\x{1d77}\\x{1d79}-\\x{1d9a}\\x{1e00}-\\x{1f15}"
    "\\x{1f18}-\\x{1f1d}\\x{1f20}-\\x{1f45}\\x{1f48}-\\x{1f4d}\\x{1f50}-\\x{1f57}\\x{1f59}\\x{1f5b}"
    "\\x{1f5d}\\x{1f5f}-\\x{1f7d}\\x{1f80}-\\x{1fb4}\\x{1fb6}-\\x{1fbc}\\x{1fbe}\\x{1fc2}-\\x{1fc4}"
    "\\x{1fc6}-\\x{1fcc}\\x{1fd0}-\\x{1fd3}\\x{1fd6}-\\x{1fdb}\\x{1fe0}-\\x{1fec}\\x{1ff2}-\\x{1ff4}"
    "\\x{1ff6}-\\x{1ffc}\\x{2102}\\x{2107}\\x{210a}-\\x{2113}\\x{2115}\\x{2119}-\\x{211d}\\x{2124}"
    "\\x{2126}\\x{2128}\\x{212a}-\\x{212d}\\x{212f}-\\x{2134}\\x{2139}\\x{213c}-\\x{213f}"
    "\\x{2145}-\\x{2149}\\x{214e}\\x{2183}\\x{2184}\\x{2c00}-\\x{2c7b}\\x{2c7e}-\\x{2ce4}"
    "\\x{2ceb}-\\x{2cee}\\x{2cf2}\\x{2cf3}\\x{a640}-\\x{a66d}\\x{a680}-\\x{a69b}\\x{a722}-\\x{a76f}"
    "\\x{a771}-\\x{a787}\\x{a78b}-\\x{a78e}\\x{ab70}-\\x{abbf}\\x{fb00}-\\x{fb06}\\x{fb13}-\\x{fb17}"
    "\\x{ff21}-\\x{ff3a}\\x{ff41}-\\x{ff5a}\\x{10400}-\\x{1044f}\\x{104b0}-\\x{104d3}"
    "\\x{104d8}-\\x{104fb}\\x{10c80}-\\x{10cb2}\\x{10cc0}-\\x{10cf2}\\x{118a0}-\\x{118df}"
    "\\x{1e900}-\\x{1e943}]+";

static const char *const gpt2_list[] = {PATTERN_GPT2, NULL};
static const char *const llama3_list[] = {llama3, NULL};
static const char *const qwen2_list[] = {qwen2, NULL};
static const char *const qwen35_list[] = {qwen35, NULL};
static const char *const tekken_list[] = {tekken, NULL};
static const char *const gpt4o_list[] = {gpt4o, NULL};
static const char *const bloom_list[] = {bloom, NULL};
static const char *const viking_list[] = {bloom, "\\p{N}", NULL};
static const char *const seed_coder_list[] = {seed_coder, NULL};
static const char *const bailing_list[] = {bailing, NULL};
static const char *const deepseek3_list[] = {"\\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", deepseek3, NULL};
static const char *const deepseek_llm_list[] = {
    "[\r\n]", deepseek_letters,           "\\s?[!-/:-~！-／：-～‘-‟　-。]+",
    "\\s+$",  "[一-龥ࠀ-一가-퟿]+", "\\p{N}+",
    NULL};
static const char *const deepseek_coder_list[] = {
    "[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[一-龥ࠀ-一가-퟿]+", "\\p{N}", NULL};
static const char *const falcon_list[] = {"[\\p{P}\\$\\+<=>\\^~\\|`]+", PATTERN_GPT2, "[0-9][0-9][0-9]",
                                          NULL};
static const char *const standard_list[] = {"[\\p{P}\\$\\+<=>\\^~\\|]+", PATTERN_GPT2, "\\p{N}+",
                                            "[0-9][0-9][0-9]", NULL};
static const char *const superbpe_list[] = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))", NULL};

static const struct {
  const char *name;
  PreFamily family;
} FAMILIES[] = {
    {"gpt-2", {.patterns = gpt2_list}},
    {"phi-2", {.patterns = gpt2_list}},
    {"jais", {.patterns = gpt2_list}},
    {"trillion", {.patterns = gpt2_list}},
    {"mpt", {.patterns = gpt2_list, .nfc = true}},
    {"olmo", {.patterns = gpt2_list, .nfc = true}},
    {"smollm", {.patterns = gpt2_list, .digits = true}},
    {"starcoder", {.patterns = gpt2_list, .digits = true}},
    {"refact", {.patterns = gpt2_list, .digits = true}},
    {"command-r", {.patterns = gpt2_list, .digits = true, .nfc = true}},
    {"codeshell", {.patterns = gpt2_list, .digits = true}},
    {"minerva-7b", {.patterns = gpt2_list, .digits = true}},
    {"default", {.patterns = standard_list}},
    {"falcon", {.patterns = falcon_list}},
    {"llama-bpe", {.patterns = llama3_list, .ignore_merges = true, .add_bos = true}},
    {"llama3", {.patterns = llama3_list, .ignore_merges = true, .add_bos = true}},
    {"llama-v3", {.patterns = llama3_list, .ignore_merges = true, .add_bos = true}},
    {"falcon3", {.patterns = llama3_list, .ignore_merges = true, .add_bos = true}},
    {"lfm2", {.patterns = llama3_list, .ignore_merges = true, .add_bos = true}},
    {"dbrx", {.patterns = llama3_list}},
    {"smaug-bpe", {.patterns = llama3_list}},
    {"chatglm-bpe", {.patterns = llama3_list}},
    {"glm4", {.patterns = llama3_list}},
    {"qwen2", {.patterns = qwen2_list, .nfc = true}},
    {"deepseek-r1-qwen", {.patterns = qwen2_list}},
    {"megrez", {.patterns = qwen2_list}},
    {"stablelm2", {.patterns = qwen2_list}},
    {"hunyuan", {.patterns = qwen2_list}},
    {"qwen35", {.patterns = qwen35_list, .nfc = true}},
    {"tekken", {.patterns = tekken_list, .ignore_merges = true, .add_bos = true}},
    {"gpt-4o", {.patterns = gpt4o_list}},
    {"llama4", {.patterns = gpt4o_list}},
    {"bloom", {.patterns = bloom_list}},
    {"poro-chat", {.patterns = bloom_list}},
    {"gpt3-finnish", {.patterns = bloom_list}},
    {"viking", {.patterns = viking_list}},
    {"deepseek-llm", {.patterns = deepseek_llm_list}},
    {"deepseek-coder", {.patterns = deepseek_coder_list}},
    {"deepseek-v3", {.patterns = deepseek3_list}},
    {"hunyuan-dense", {.patterns = deepseek3_list}},
    {"superbpe", {.patterns = superbpe_list}},
    {"seed-coder", {.patterns = seed_coder_list}},
    {"bailingmoe", {.patterns = bailing_list}},
};
enum { FAMILY_COUNT = sizeof FAMILIES / sizeof *FAMILIES };

static Status fail_unknown(const char *pre, const char *path) {
  Str known = {0};
  Status status = STATUS_OK;
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    TRY_CLEAN(str_append_item(&known, FAMILIES[i].name, i, FAMILY_COUNT, " and "));
  }
  status = status_fail(STATUS_INPUT, "%s: tokenizer.ggml.pre \"%.64s\" is not known; known are %s", path, pre,
                       str_text(&known));
cleanup:
  str_free(&known);
  return status;
}

Status gguf_pre_family(const TensorFile *file, const char *path, const PreFamily **out) {
  const char *pre;
  TRY(gguf_get_string_or_null(file, "tokenizer.ggml.pre", &pre));
  if (pre == NULL) {
    return status_fail(STATUS_INPUT,
                       "%s: tokenizer.ggml.pre is missing; convert the model again with a newer llama.cpp",
                       path);
  }
  for (size_t i = 0; i < FAMILY_COUNT; i++) {
    *out = &FAMILIES[i].family;
    if (strcmp(pre, FAMILIES[i].name) == 0) return STATUS_OK;
  }
  return fail_unknown(pre, path);
}
