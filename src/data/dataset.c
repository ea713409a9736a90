// The pipeline from a file to a Dataset. Rule: after every stage the prompts of each group are counted, and a
// stage that leaves a group empty ends the run with its name.
#include "data/data.h"

#include "drafts.h"
#include "select.h"
#include "tokenise.h"
#include "util/hash.h"
#include "util/memory.h"
#include "util/str.h"
#include <stdlib.h>
#include <string.h>

static StageCount *add_stage(Dataset *dataset, const char *name) {
  StageCount *stage = &dataset->stages[dataset->stage_count++];
  *stage = (StageCount){.stage = name};
  return stage;
}

static void count_rows(Dataset *dataset, const SourceRows *rows) {
  dataset->read = rows->counts;
  add_stage(dataset, "read")->prompts = rows->count;
  StageCount *stage = add_stage(dataset, "detect");
  stage->prompts = rows->count;
  for (size_t i = 0; i < rows->count; i++) {
    int names = rows->rows[i].names;
    stage->unswappable += names >= 0 && !rows->rows[i].swappable;
    stage->foreign += rows->rows[i].foreign;
    if (names >= 0)
      stage->per_group[names]++;
    else if (names == NAMES_NONE)
      stage->unnamed++;
    else
      stage->several++;
  }
}

/// What to set when `stage` leaves a group empty.
static const char *remedy(const DataOptions *options, const char *stage) {
  if (strcmp(stage, "expand") == 0) {
    return options->counterfactual == COUNTERFACTUAL_OFF || options->counterfactual == COUNTERFACTUAL_SWAP
               ? "set groups.counterfactual = auto, which puts prompts that name no group into templates"
               : "give prompts in data.train";
  }
  if (strcmp(stage, "split") == 0)
    return options->split == DATA_HELD_OUT ? "raise data.held_out or give more distinct prompts"
                                           : "lower data.held_out";
  return "raise data.target_size, or set data.balance_dataset = true";
}

static Status count_drafts(const DataOptions *options, const char *name, const Drafts *drafts,
                           Dataset *dataset) {
  StageCount *stage = add_stage(dataset, name);
  stage->prompts = drafts->count;
  for (size_t i = 0; i < drafts->count; i++) stage->per_group[drafts->list[i].group]++;
  const StageCount *detected = &dataset->stages[1];
  for (size_t g = 0; g < groups_count(dataset->groups); g++) {
    if (stage->per_group[g] > 0) continue;
    if (strcmp(name, "expand") == 0 && detected->foreign > detected->prompts / 2)
      return status_fail(
          STATUS_INPUT,
          "the stage \"expand\" left no prompt of the group \"%s\": %zu of %zu prompt%s read "
          "%s in a script that the group file has no words in; set groups.file to one of their "
          "language, such as gender-zh (docs/GROUPS.md lists them)",
          groups_name(dataset->groups, g), detected->foreign, detected->prompts,
          str_plural(detected->prompts), detected->foreign == 1 ? "is" : "are");
    return status_fail(
        STATUS_INPUT,
        "the stage \"%s\" left no prompt of the group \"%s\": of %zu prompt%s read %zu name it alone, %zu no "
        "group, %zu several; %s",
        name, groups_name(dataset->groups, g), detected->prompts, str_plural(detected->prompts),
        detected->per_group[g], detected->unnamed, detected->several, remedy(options, name));
  }
  return STATUS_OK;
}

static Status choose_prompts(const DataOptions *options, const TypeRules *types, Drafts *drafts,
                             Dataset *dataset) {
  SourceRows rows = {0};
  Status status = STATUS_OK;
  size_t groups = groups_count(dataset->groups);
  TRY_CLEAN(rows_read(options, &rows));
  TRY_CLEAN(rows_detect(dataset->groups, types, &rows));
  count_rows(dataset, &rows);
  TRY_CLEAN(rows_expand(dataset->groups, types, options->counterfactual, &rows, drafts));
  TRY_CLEAN(count_drafts(options, "expand", drafts, dataset));
  if (options->split != DATA_ALL) {
    TRY_CLEAN(select_split(options, drafts));
    TRY_CLEAN(count_drafts(options, "split", drafts, dataset));
  }
  if (options->balance_dataset) {
    TRY_CLEAN(select_balance(options->seed, groups, drafts));
    TRY_CLEAN(count_drafts(options, "balance", drafts, dataset));
  }
  if (options->target_size > 0) {
    TRY_CLEAN(select_target(options, groups, drafts));
    TRY_CLEAN(count_drafts(options, "target", drafts, dataset));
  }
cleanup:
  rows_free(&rows);
  return status;
}

// ---- equal prompts ----

typedef struct Identity {
  uint64_t hash;
  size_t index;
  const Draft *draft;
} Identity;

static int compare_drafts(const Draft *a, const Draft *b) {
  if (a->count != b->count) return a->count < b->count ? -1 : 1;
  for (size_t m = 0; m < a->count; m++) {
    int order = strcmp(a->messages[m].content, b->messages[m].content);
    if (order == 0) order = strcmp(a->messages[m].role, b->messages[m].role);
    if (order != 0) return order;
  }
  return 0;
}

static int by_identity(const void *a, const void *b) {
  const Identity *x = a, *y = b;
  if (x->hash != y->hash) return x->hash < y->hash ? -1 : 1;
  int order = compare_drafts(x->draft, y->draft);
  return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

/// Fills Prompt.distinct. Equal prompts are neighbours after the sort, in order of index, so the first of a
/// run is the one with the lowest index: fill_prompts relies on it and finds that one filled already.
static Status find_equal(const Drafts *drafts, Dataset *dataset) {
  Identity *list = NULL;
  TRY(mem_array(&list, drafts->count, "equal prompts"));
  for (size_t i = 0; i < drafts->count; i++) {
    const Draft *draft = &drafts->list[i];
    list[i] = (Identity){HASH_START, i, draft};
    for (size_t m = 0; m < draft->count; m++)
      list[i].hash =
          hash_bytes(list[i].hash, draft->messages[m].content, strlen(draft->messages[m].content) + 1);
  }
  qsort(list, drafts->count, sizeof *list, by_identity);
  for (size_t i = 0, first = 0; i < drafts->count; i++) {
    if (list[i].hash != list[first].hash || compare_drafts(list[i].draft, list[first].draft) != 0) first = i;
    dataset->prompts[list[i].index].distinct = list[first].index;
  }
  free(list);
  return STATUS_OK;
}

// ---- tokens ----

static Status tokenise_options(const DataOptions *options, const Tokenizer *tokenizer,
                               const ChatTemplate *template, TokeniseOptions *out) {
  const char *chat = options->chat != NULL ? options->chat : "auto", *system = options->system;
  if (system != NULL && system[0] == '\0') system = NULL;
  bool on = strcmp(chat, "on") == 0, off = strcmp(chat, "off") == 0;
  if (!on && !off && strcmp(chat, "auto") != 0)
    return status_fail(STATUS_INPUT, "data.chat = %s: set auto, on or off", chat);
  if (on && !chat_is_there(template) && tokenizer != NULL)
    return status_fail(
        STATUS_INPUT, "data.chat = on: the model has no chat template; name one with model.chat_template, or "
                      "set data.chat = auto");
  if (system != NULL && (off || (!chat_is_there(template) && tokenizer != NULL)))
    return status_fail(
        STATUS_INPUT, "data.system is set, but %s, so no system prompt can be given; leave data.system empty",
        off ? "data.chat = off" : "the model has no chat template");
  *out = (TokeniseOptions){tokenizer, off || !chat_is_there(template) ? NULL : template, system,
                           options->max_prompt_tokens};
  return STATUS_OK;
}

static Status copy_tokens(const Tokens *from, Tokens *to) {
  TRY(mem_array(&to->ids, from->count, "tokens of a prompt"));
  if (from->count > 0) memcpy(to->ids, from->ids, from->count * sizeof *to->ids);
  to->count = to->capacity = from->count;
  return STATUS_OK;
}

/// Moves the messages before the user's words to the prompt.
static Status move_earlier(Draft *draft, Prompt *prompt) {
  TRY(mem_array(&prompt->earlier, draft->last_user, "messages of a prompt"));
  for (size_t m = 0; m < draft->last_user; m++) {
    prompt->earlier[m] = (PromptMessage){draft->messages[m].role, draft->messages[m].content};
    draft->messages[m] = (RecordMessage){0};
  }
  prompt->earlier_count = draft->last_user;
  return STATUS_OK;
}

/// Fills all members but `distinct`. Equal prompts are tokenised once.
static Status fill_prompts(const TokeniseOptions *options, Drafts *drafts, Dataset *dataset) {
  for (size_t i = 0; i < drafts->count; i++) {
    Draft *draft = &drafts->list[i];
    Prompt *prompt = &dataset->prompts[i], *first = &dataset->prompts[prompt->distinct];
    bool shortened = false;
    if (first == prompt && options->tokenizer != NULL)
      TRY(draft_tokenise(options, draft, &prompt->tokens, &shortened));
    else if (first != prompt)
      TRY(copy_tokens(&first->tokens, &prompt->tokens));
    const char *text = first == prompt ? draft->messages[draft->last_user].content : first->text;
    TRY(str_copy(&prompt->text, text, strlen(text)));
    TRY(move_earlier(draft, prompt));
    if (shortened) dataset->shortened++;
    prompt->group = draft->group;
    prompt->type = (int)draft->type;
    prompt->source = draft->source;
    prompt->set = i / drafts->per_set;
  }
  return STATUS_OK;
}

static Status move_prompts(const TokeniseOptions *options, Drafts *drafts, Dataset *dataset) {
  TRY(mem_array(&dataset->prompts, drafts->count, "prompts"));
  dataset->count = drafts->count;
  dataset->sets = drafts->count / drafts->per_set;
  dataset->counterfactual = drafts->per_set > 1;
  TRY(mem_array(&dataset->set_start, dataset->sets + 1, "sets"));
  for (size_t s = 0; s <= dataset->sets; s++) dataset->set_start[s] = s * drafts->per_set;
  TRY(find_equal(drafts, dataset));
  return fill_prompts(options, drafts, dataset);
}

/// Moves the types' names to the dataset, which owns them from then on.
static void move_types(TypeRules *types, Dataset *dataset) {
  dataset->type_count = types->count;
  for (size_t i = 0; i < types->count; i++) {
    dataset->types[i] = types->rules[i].name;
    types->rules[i].name = NULL;
  }
}

Status dataset_build(const DataOptions *options, const Tokenizer *tokenizer, const ChatTemplate *template,
                     Dataset *out) {
  TypeRules types = {0};
  Drafts drafts = {0};
  TokeniseOptions tokenise;
  Status status = STATUS_OK;
  *out = (Dataset){0};
  TRY(tokenise_options(options, tokenizer, template, &tokenise));
  TRY_CLEAN(groups_load(options->groups_file, &out->groups));
  TRY_CLEAN(types_load(options->types_file, &types));
  TRY_CLEAN(choose_prompts(options, &types, &drafts, out));
  TRY_CLEAN(move_prompts(&tokenise, &drafts, out));
  TRY_CLEAN(count_drafts(options, "tokenise", &drafts, out));
  move_types(&types, out);
cleanup:
  types_free(&types);
  drafts_free(&drafts);
  if (status != STATUS_OK) dataset_free(out);
  return status;
}

void dataset_free(Dataset *dataset) {
  for (size_t i = 0; dataset->prompts != NULL && i < dataset->count; i++) {
    Prompt *prompt = &dataset->prompts[i];
    for (size_t m = 0; m < prompt->earlier_count; m++) {
      free(prompt->earlier[m].role);
      free(prompt->earlier[m].content);
    }
    free(prompt->earlier);
    free(prompt->text);
    tokens_free(&prompt->tokens);
  }
  for (size_t i = 0; i < dataset->type_count; i++) free((char *)dataset->types[i]);
  free(dataset->prompts);
  free(dataset->set_start);
  groups_free(dataset->groups);
  *dataset = (Dataset){0};
}

size_t dataset_distinct(const Dataset *dataset) {
  size_t count = 0;
  for (size_t i = 0; i < dataset->count; i++) count += dataset->prompts[i].distinct == i;
  return count;
}

int dataset_type(const Dataset *dataset, const char *name) {
  for (size_t i = 0; i < dataset->type_count; i++)
    if (strcmp(dataset->types[i], name) == 0) return (int)i;
  return -1;
}

static int by_tokens(const void *a, const void *b) {
  const Tokens *x = &(*(const Prompt *const *)a)->tokens, *y = &(*(const Prompt *const *)b)->tokens;
  if (x->count != y->count) return x->count < y->count ? -1 : 1;
  return x->count > 0 ? memcmp(x->ids, y->ids, x->count * sizeof *x->ids) : 0;
}

Status dataset_overlap(const Dataset *dataset, size_t count, const Dataset *other, size_t *out) {
  const Prompt **known = NULL;
  *out = 0;
  TRY(mem_array(&known, other->count, "prompts to compare"));
  for (size_t i = 0; i < other->count; i++) known[i] = &other->prompts[i];
  qsort(known, other->count, sizeof *known, by_tokens);
  for (size_t i = 0; i < count; i++) {
    const Prompt *prompt = &dataset->prompts[i];
    *out += bsearch(&prompt, known, other->count, sizeof *known, by_tokens) != NULL;
  }
  free(known);
  return STATUS_OK;
}
