// The normalizer, pre_tokenizer, post_processor and decoder of a tokenizer.json. Rule: what is not known to
// give the same ids as Hugging Face is refused by name; nothing is passed over because it is not understood.
#include "load.h"

#include "util/memory.h"
#include "util/utf8.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// How deep Sequences may stand in each other.
enum { MAX_DEPTH = 4 };

bool json_is_true(const cJSON *object, const char *key) {
  return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, key));
}

bool json_is_not_false(const cJSON *object, const char *key) {
  return !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(object, key));
}

const char *json_text(const cJSON *object, const char *key) {
  return cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key));
}

/// The `type` of a component; "(none)" if it has none.
static const char *component_type(const cJSON *component) {
  const char *type = json_text(component, "type");
  return type != NULL ? type : "(none)";
}

bool has_type(const cJSON *component, const char *type) {
  return strcmp(component_type(component), type) == 0;
}

Status fail_unsupported(const char *name, const char *what, const char *value) {
  return status_fail(STATUS_INPUT, "%s: %s \"%.64s\" is not supported", name, what, value);
}

Status fail_component(const char *name, const char *what, const cJSON *component) {
  return fail_unsupported(name, what, component_type(component));
}

/// Loads one part; `state` is the caller's.
typedef Status (*LoadPart)(void *state, const cJSON *part, const char *name);

/// Calls `load` for the members of a Sequence, those of Sequences inside of it too, or for the component.
static Status each_part(const cJSON *component, const char *list, int depth, LoadPart load, void *state,
                        const char *name) {
  if (!has_type(component, "Sequence")) return load(state, component, name);
  if (depth == MAX_DEPTH) return fail_unsupported(name, "too deep in each other,", "Sequence");
  const cJSON *members, *member;
  TRY(json_get_array(component, list, name, &members));
  cJSON_ArrayForEach(member, members) {
    TRY(each_part(member, list, depth + 1, load, state, name));
  }
  return STATUS_OK;
}

// ---- normalizer ----

/// A "pattern": {"String": …} or {"Regex": …}.
static Status read_pattern(const cJSON *part, const char *name, const char **text, bool *is_regex) {
  const cJSON *pattern = cJSON_GetObjectItemCaseSensitive(part, "pattern");
  *text = json_text(pattern, "Regex");
  *is_regex = *text != NULL;
  if (*text == NULL) *text = json_text(pattern, "String");
  if (*text != NULL) return STATUS_OK;
  return status_fail(STATUS_INPUT, "%s: a pattern is neither a String nor a Regex", name);
}

static Status add_replace(Normalizer *normalizer, const cJSON *part, const char *name) {
  const char *pattern, *content;
  bool is_regex;
  TRY(read_pattern(part, name, &pattern, &is_regex));
  TRY(json_get_string(part, "content", name, &content));
  return normalizer_add_replace(normalizer, pattern, is_regex, content, name);
}

static Status load_normalizer_part(void *state, const cJSON *part, const char *name) {
  static const char *const forms[] = {
      [FORM_NFC] = "NFC", [FORM_NFD] = "NFD", [FORM_NFKC] = "NFKC", [FORM_NFKD] = "NFKD"};
  Normalizer *normalizer = state;
  for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
    if (has_type(part, forms[i])) return normalizer_add_form(normalizer, (NormalForm)i, name);
  }
  if (has_type(part, "Lowercase")) return normalizer_add_lowercase(normalizer, name);
  if (has_type(part, "Strip")) {
    return normalizer_add_strip(normalizer, json_is_true(part, "strip_left"),
                                json_is_true(part, "strip_right"), name);
  }
  if (has_type(part, "Prepend")) {
    const char *text;
    TRY(json_get_string(part, "prepend", name, &text));
    return normalizer_add_prepend(normalizer, text, name);
  }
  if (has_type(part, "Replace")) return add_replace(normalizer, part, name);
  return fail_component(name, "normalizer", part);
}

Status load_normalizer(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  if (!json_has(root, "normalizer")) return STATUS_OK;
  return each_part(cJSON_GetObjectItemCaseSensitive(root, "normalizer"), "normalizers", 0,
                   load_normalizer_part, &tokenizer->normalizer, name);
}

// ---- pre_tokenizer ----

/// Where the list of steps stands.
typedef struct PreState {
  PreTokenizer *pre;
  const Normalizer *normalizer;
  const bool *prefix_space; // see load_pre_tokenizer
  bool byte_level, as_text; // ByteLevel is behind; pieces are byte-level text
} PreState;

static Status read_behavior(const cJSON *part, const char *name, SplitBehavior *out) {
  static const char *const names[] = {
      [SPLIT_ISOLATED] = "Isolated",
      [SPLIT_REMOVED] = "Removed",
      [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
      [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext",
      [SPLIT_CONTIGUOUS] = "Contiguous",
  };
  const char *behavior = json_text(part, "behavior");
  for (size_t i = 0; i < sizeof names / sizeof *names && behavior != NULL; i++) {
    *out = (SplitBehavior)i;
    if (strcmp(behavior, names[i]) == 0) return STATUS_OK;
  }
  return fail_unsupported(name, "pre_tokenizer with behavior", behavior != NULL ? behavior : "(none)");
}

static Status add_split(PreTokenizer *pre, const cJSON *part, const char *name) {
  const char *pattern;
  bool is_regex, invert = json_is_true(part, "invert");
  SplitBehavior behavior;
  TRY(read_pattern(part, name, &pattern, &is_regex));
  TRY(read_behavior(part, name, &behavior));
  return is_regex ? pretokenizer_add_split(pre, pattern, behavior, invert, name)
                  : pretokenizer_add_text_split(pre, pattern, behavior, invert, name);
}

static Status read_scheme(const cJSON *part, const char *name, PrependScheme *out) {
  static const char *const names[] = {
      [PREPEND_NEVER] = "never", [PREPEND_FIRST] = "first", [PREPEND_ALWAYS] = "always"};
  const char *scheme = json_text(part, "prepend_scheme");
  bool prefix = json_is_not_false(part, "add_prefix_space"); // older files
  *out = prefix ? PREPEND_ALWAYS : PREPEND_NEVER;
  if (scheme == NULL) return STATUS_OK;
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    *out = (PrependScheme)i;
    if (strcmp(scheme, names[i]) == 0 && (prefix || *out == PREPEND_NEVER)) return STATUS_OK;
  }
  return fail_unsupported(name, "Metaspace with prepend_scheme", scheme);
}

/// The one character that stands for a space.
static Status read_mark(const cJSON *part, const char *name, const char **out) {
  TRY(json_get_string(part, "replacement", name, out));
  size_t size = strlen(*out);
  if (size > 0 && utf8_read(*out, size).size == size) return STATUS_OK;
  return fail_unsupported(name, "Metaspace with the replacement", *out);
}

static Status add_metaspace(PreState *state, const cJSON *part, const char *name) {
  PreTokenizer *pre = state->pre;
  const char *mark;
  PrependScheme scheme;
  TRY(read_mark(part, name, &mark));
  TRY(read_scheme(part, name, &scheme));
  if (scheme == PREPEND_FIRST && normalizer_moves_start(state->normalizer))
    return fail_unsupported(name, "behind a normalizer that takes the start away, prepend_scheme", "first");
  TRY(pretokenizer_add_metaspace(pre, mark, scheme, name));
  if (!json_is_not_false(part, "split")) return STATUS_OK;
  return pretokenizer_add_text_split(pre, mark, SPLIT_MERGED_WITH_NEXT, false, name);
}

static Status add_byte_level(PreState *state, const cJSON *part, const char *name) {
  if (state->byte_level) return fail_unsupported(name, "a second pre_tokenizer", "ByteLevel");
  state->byte_level = true;
  bool prefix =
      state->prefix_space != NULL ? *state->prefix_space : json_is_not_false(part, "add_prefix_space");
  if (prefix) TRY(pretokenizer_add_prefix_space(state->pre, name));
  if (!json_is_not_false(part, "use_regex")) return STATUS_OK;
  return pretokenizer_add_split(state->pre, PATTERN_GPT2, SPLIT_ISOLATED, false, name);
}

static Status add_length(PreTokenizer *pre, const cJSON *part, const char *name) {
  int64_t length;
  TRY(json_get_integer(part, "length", name, 1, INT32_MAX, &length));
  return pretokenizer_add_length(pre, (size_t)length, name);
}

/// The steps that only cut.
static Status add_cut(PreTokenizer *pre, const cJSON *part, const char *name) {
  SplitBehavior behavior;
  if (has_type(part, "Split")) return add_split(pre, part, name);
  if (has_type(part, "Digits"))
    return pretokenizer_add_digits(pre, json_is_true(part, "individual_digits"), name);
  if (has_type(part, "FixedLength")) return add_length(pre, part, name);
  if (has_type(part, "Punctuation")) {
    behavior = SPLIT_ISOLATED;
    if (json_has(part, "behavior")) TRY(read_behavior(part, name, &behavior));
    return pretokenizer_add_punctuation(pre, behavior, name);
  }
  if (has_type(part, "WhitespaceSplit")) return pretokenizer_add_whitespace_split(pre, name);
  if (has_type(part, "Whitespace")) return pretokenizer_add_whitespace(pre, name);
  if (has_type(part, "CharDelimiterSplit")) {
    const char *delimiter;
    TRY(json_get_string(part, "delimiter", name, &delimiter));
    return pretokenizer_add_text_split(pre, delimiter, SPLIT_REMOVED, false, name);
  }
  if (!has_type(part, "BertPreTokenizer")) return fail_component(name, "pre_tokenizer", part);
  TRY(pretokenizer_add_whitespace_split(pre, name));
  return pretokenizer_add_punctuation(pre, SPLIT_ISOLATED, name);
}

static Status load_pre_part(void *user, const cJSON *part, const char *name) {
  PreState *state = user;
  if (has_type(part, "ByteLevel")) return add_byte_level(state, part, name);
  if (has_type(part, "Metaspace")) {
    if (state->byte_level) return fail_component(name, "after ByteLevel, pre_tokenizer", part);
    return add_metaspace(state, part, name);
  }
  if (state->byte_level && !state->as_text) {
    state->as_text = true;
    TRY(pretokenizer_add_byte_text(state->pre, false, name));
  }
  return add_cut(state->pre, part, name);
}

Status load_pre_tokenizer(Tokenizer *tokenizer, const cJSON *root, const bool *prefix_space,
                          const char *name) {
  if (!json_has(root, "pre_tokenizer")) return STATUS_OK;
  PreState state = {
      .pre = &tokenizer->pre, .normalizer = &tokenizer->normalizer, .prefix_space = prefix_space};
  TRY(each_part(cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer"), "pretokenizers", 0, load_pre_part,
                &state, name));
  return state.as_text ? pretokenizer_add_byte_text(state.pre, true, name) : STATUS_OK;
}

static bool has_byte_level(const cJSON *component, int depth) {
  if (has_type(component, "ByteLevel")) return true;
  const cJSON *members = cJSON_GetObjectItemCaseSensitive(component, "pretokenizers"), *member;
  if (depth == MAX_DEPTH) return false;
  cJSON_ArrayForEach(member, members) {
    if (has_byte_level(member, depth + 1)) return true;
  }
  return false;
}

bool uses_byte_level(const cJSON *root) {
  return has_byte_level(cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer"), 0);
}

// ---- post_processor ----

static bool is_token(const Tokenizer *tokenizer, const cJSON *id) {
  return cJSON_IsNumber(id) && id->valuedouble >= 0 && id->valuedouble < (double)tokenizer->vocab.count &&
         id->valuedouble == floor(id->valuedouble) &&
         vocab_at(&tokenizer->vocab, (int32_t)id->valuedouble) != NULL;
}

/// Appends the ids of special token `special` of a TemplateProcessing.
static Status add_template_token(const Tokenizer *tokenizer, const cJSON *template, const char *special,
                                 const char *name, Tokens *out) {
  const cJSON *all = cJSON_GetObjectItemCaseSensitive(template, "special_tokens");
  const cJSON *ids = cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(all, special), "ids");
  if (!cJSON_IsArray(ids)) return fail_unsupported(name, "post_processor without ids for its token", special);
  const cJSON *id;
  cJSON_ArrayForEach(id, ids) {
    if (!is_token(tokenizer, id))
      return fail_unsupported(name, "post_processor: an id without a token, for", special);
    TRY(tokens_append(out, (int32_t)id->valuedouble));
  }
  return STATUS_OK;
}

static Status load_template(Tokenizer *tokenizer, const cJSON *template, const char *name) {
  const cJSON *single, *part;
  TRY(json_get_array(template, "single", name, &single));
  bool seen_text = false;
  cJSON_ArrayForEach(part, single) {
    const char *id = json_text(cJSON_GetObjectItemCaseSensitive(part, "SpecialToken"), "id");
    if (id != NULL) {
      Tokens *side = seen_text ? &tokenizer->suffix : &tokenizer->prefix;
      TRY(add_template_token(tokenizer, template, id, name, side));
    } else if (json_has(part, "Sequence") && !seen_text) {
      seen_text = true;
    } else {
      return fail_unsupported(name, "post_processor TemplateProcessing with", "several sequences");
    }
  }
  return STATUS_OK;
}

/// "cls" or "sep" of a RobertaProcessing or BertProcessing: [text, id].
static Status add_pair(const Tokenizer *tokenizer, const cJSON *part, const char *key, const char *name,
                       Tokens *out) {
  const cJSON *id = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(part, key), 1);
  if (!is_token(tokenizer, id))
    return fail_unsupported(name, "post_processor: an id without a token, for", key);
  return tokens_append(out, (int32_t)id->valuedouble);
}

static Status load_post_part(void *state, const cJSON *part, const char *name) {
  Tokenizer *tokenizer = state;
  if (has_type(part, "ByteLevel")) return STATUS_OK; // only trims offsets
  // A second one would go around what the first has added.
  bool first = tokenizer->prefix.count == 0 && tokenizer->suffix.count == 0;
  if (has_type(part, "TemplateProcessing") && first) return load_template(tokenizer, part, name);
  if ((!has_type(part, "RobertaProcessing") && !has_type(part, "BertProcessing")) || !first)
    return fail_component(name, "post_processor", part);
  TRY(add_pair(tokenizer, part, "cls", name, &tokenizer->prefix));
  return add_pair(tokenizer, part, "sep", name, &tokenizer->suffix);
}

Status load_post_processor(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  if (!json_has(root, "post_processor")) return STATUS_OK;
  return each_part(cJSON_GetObjectItemCaseSensitive(root, "post_processor"), "processors", 0, load_post_part,
                   tokenizer, name);
}

// ---- decoder ----

/// What the parts of a decoder add up to.
typedef struct DecoderState {
  const char *mark, *space; // Replace
  const char *drop_mark;    // Metaspace
  size_t strip;
  bool byte_level, byte_fallback, fused;
} DecoderState;

static Status load_decoder_part(void *user, const cJSON *part, const char *name) {
  DecoderState *state = user;
  const char *text;
  bool is_regex, first = state->mark == NULL && !state->byte_fallback && !state->fused;
  if (has_type(part, "ByteLevel")) {
    state->byte_level = true;
  } else if (has_type(part, "Replace") && first) {
    TRY(read_pattern(part, name, &state->mark, &is_regex));
    TRY(json_get_string(part, "content", name, &state->space));
    if (is_regex || state->mark[0] == '\0') return fail_unsupported(name, "decoder Replace with", "Regex");
  } else if (has_type(part, "Metaspace") && first) {
    PrependScheme scheme;
    TRY(read_mark(part, name, &state->mark));
    TRY(read_scheme(part, name, &scheme));
    state->space = " ";
    state->drop_mark = scheme != PREPEND_NEVER ? state->mark : NULL;
  } else if (has_type(part, "ByteFallback") && !state->fused) {
    state->byte_fallback = true;
  } else if (has_type(part, "Fuse")) {
    state->fused = true;
  } else if (has_type(part, "Strip") && state->fused && state->strip == 0) {
    int64_t start, stop;
    TRY(json_get_string(part, "content", name, &text));
    TRY(json_get_integer(part, "start", name, 0, 64, &start));
    TRY(json_get_integer(part, "stop", name, 0, 0, &stop));
    if (strcmp(text, " ") != 0) return fail_unsupported(name, "decoder Strip of", text);
    state->strip = (size_t)start;
  } else {
    return fail_component(name, "decoder", part);
  }
  return STATUS_OK;
}

Status load_decoder(Tokenizer *tokenizer, const cJSON *root, const char *name) {
  DecoderState state = {0};
  if (!json_has(root, "decoder")) return fail_unsupported(name, "decoder", "null");
  TRY(each_part(cJSON_GetObjectItemCaseSensitive(root, "decoder"), "decoders", 0, load_decoder_part, &state,
                name));
  bool changes = state.mark != NULL || state.byte_fallback;
  if (state.byte_level != tokenizer->vocab.byte_level || (state.byte_level && changes))
    return fail_unsupported(name, "decoder, which must be ByteLevel if and only if the pre_tokenizer is,",
                            "(other)");
  tokenizer->decoding.strip = state.strip;
  if (state.drop_mark != NULL)
    TRY(str_copy(&tokenizer->decoding.drop_mark, state.drop_mark, strlen(state.drop_mark)));
  if (!changes) return STATUS_OK;
  return tokenizer_set_decoding(tokenizer, state.mark != NULL ? state.mark : " ",
                                state.mark != NULL ? state.space : " ", state.byte_fallback);
}
