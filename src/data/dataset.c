// The pipeline from a file to a Dataset. Rule: after every stage the prompts of each group are counted, and a
// stage that leaves a group empty ends the run with its name.
#include "data/data.h"

#include "drafts.h"
#include "equal.h"
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
    stage->told += rows->rows[i].told && !rows->rows[i].swappable;
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
  if (strcmp(stage, "tokenise") == 0)
    return "two groups have the same prompt in every set: raise data.max_prompt_tokens, or give a group file "
           "whose words the tokenizer tells apart";
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

static Status make_drafts(const DataOptions *options, const TypeRules *types, Drafts *drafts,
                          Dataset *dataset) {
  SourceRows rows = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(rows_read(options, &rows));
  TRY_CLEAN(rows_detect(dataset->groups, types, &rows));
  count_rows(dataset, &rows);
  TRY_CLEAN(rows_expand(dataset->groups, types, options->counterfactual, &rows, drafts));
  TRY_CLEAN(count_drafts(options, "expand", drafts, dataset));
cleanup:
  rows_free(&rows);
  return status;
}

static Status choose_drafts(const DataOptions *options, Drafts *drafts, Dataset *dataset) {
  size_t groups = groups_count(dataset->groups);
  if (options->split != DATA_ALL) {
    TRY(select_split(options, drafts));
    TRY(count_drafts(options, "split", drafts, dataset));
  }
  if (options->balance_dataset) {
    TRY(select_balance(options->seed, groups, drafts));
    TRY(count_drafts(options, "balance", drafts, dataset));
  }
  if (options->target_size > 0) {
    TRY(select_target(options, groups, drafts));
    TRY(count_drafts(options, "target", drafts, dataset));
  }
  dataset->available = drafts->count / drafts->per_set;
  if (options->max_sets > 0 && options->max_sets < dataset->available) {
    TRY(select_sets(options, drafts));
    TRY(count_drafts(options, "draw", drafts, dataset));
  }
  return STATUS_OK;
}

// ---- tokens ----

static Status tokenise_drafts(const TokeniseOptions *options, Drafts *drafts, Dataset *dataset) {
  for (size_t i = 0; options->tokenizer != NULL && i < drafts->count; i++)
    TRY(draft_tokenise(options, &drafts->list[i]));
  TRY(drafts_identify(options->tokenizer != NULL, drafts));
  TRY(drafts_liken(drafts));
  return drafts_drop_equal(drafts, &dataset->equal_sets);
}

/// Moves the user's words, and the messages before them, to the prompt.
static Status move_messages(Draft *draft, Prompt *prompt) {
  TRY(mem_array(&prompt->earlier, draft->last_user, "messages of a prompt"));
  for (size_t m = 0; m < draft->last_user; m++) {
    prompt->earlier[m] = (PromptMessage){draft->messages[m].role, draft->messages[m].content};
    draft->messages[m] = (RecordMessage){0};
  }
  prompt->earlier_count = draft->last_user;
  prompt->text = draft->messages[draft->last_user].content;
  draft->messages[draft->last_user] = (RecordMessage){.role = draft->messages[draft->last_user].role};
  return STATUS_OK;
}

/// Moves the drafts' texts and tokens to the prompts. `first` and `alike` have room for the first prompt of
/// each identity and likeness.
static Status fill_prompts(Drafts *drafts, size_t *first, size_t *alike, Dataset *dataset) {
  for (size_t i = 0; i < drafts->identities; i++) first[i] = SIZE_MAX;
  for (size_t i = 0; i < drafts->likenesses; i++) alike[i] = SIZE_MAX;
  for (size_t i = 0; i < drafts->count; i++) {
    Draft *draft = &drafts->list[i];
    Prompt *prompt = &dataset->prompts[i];
    TRY(move_messages(draft, prompt));
    prompt->tokens = draft->tokens;
    draft->tokens = (Tokens){0};
    dataset->shortened += draft->shortened;
    prompt->group = draft->group;
    prompt->type = (int)draft->type;
    prompt->source = draft->source;
    prompt->written = draft->written;
    prompt->key = draft->key;
    prompt->set = i / drafts->per_set;
    if (first[draft->identity] == SIZE_MAX) first[draft->identity] = i;
    prompt->distinct = first[draft->identity];
    if (alike[draft->likeness] == SIZE_MAX) alike[draft->likeness] = i;
    prompt->alike = size_min(alike[draft->likeness], prompt->distinct);
  }
  return STATUS_OK;
}

static Status move_prompts(Drafts *drafts, Dataset *dataset) {
  size_t *first = NULL, *alike = NULL;
  Status status = STATUS_OK;
  TRY(mem_array(&dataset->prompts, drafts->count, "prompts"));
  dataset->count = drafts->count;
  dataset->sets = drafts->count / drafts->per_set;
  dataset->counterfactual = drafts->per_set > 1;
  TRY(mem_array(&dataset->set_start, dataset->sets + 1, "sets"));
  for (size_t s = 0; s <= dataset->sets; s++) dataset->set_start[s] = s * drafts->per_set;
  TRY_CLEAN(mem_array(&first, drafts->identities, "equal prompts"));
  TRY_CLEAN(mem_array(&alike, drafts->likenesses, "alike prompts"));
  TRY_CLEAN(fill_prompts(drafts, first, alike, dataset));
cleanup:
  free(first);
  free(alike);
  return status;
}

/// Moves the types' names to the dataset, which owns them from then on.
static void move_types(TypeRules *types, Dataset *dataset) {
  dataset->type_count = types->count;
  for (size_t i = 0; i < types->count; i++) {
    dataset->types[i] = types->rules[i].name;
    types->rules[i].name = NULL;
  }
}

/// The system prompt stands before the prompts of every group, so it must not name one.
static Status check_system(const DataOptions *options, const GroupFile *groups) {
  WordHits hits = {0};
  Status status = STATUS_OK;
  if (options->system == NULL) return STATUS_OK;
  TRY_CLEAN(words_find(groups, options->system, strlen(options->system), &hits));
  for (size_t g = 0; g < groups->count && status == STATUS_OK; g++) {
    if (hits.named[g])
      status = status_fail(
          STATUS_INPUT,
          "data.system names the group \"%s\", and it would stand before the prompts of every group; "
          "leave groups to the prompts",
          groups->names[g]);
  }
cleanup:
  words_free(&hits);
  return status;
}

Status dataset_build(const DataOptions *options, const Tokenizer *tokenizer, const ChatTemplate *template,
                     Dataset *out) {
  TypeRules types = {0};
  Drafts drafts = {0};
  TokeniseOptions tokenise;
  Status status = STATUS_OK;
  *out = (Dataset){0};
  TRY(tokenise_choose(options, tokenizer, template, &tokenise));
  TRY_CLEAN(groups_load(options->groups_file, &out->groups));
  TRY_CLEAN(check_system(options, out->groups));
  TRY_CLEAN(types_load(options->types_file, &types));
  TRY_CLEAN(types_check_templates(&types, options->types_file, out->groups));
  TRY_CLEAN(make_drafts(options, &types, &drafts, out));
  TRY_CLEAN(tokenise_drafts(&tokenise, &drafts, out));
  TRY_CLEAN(count_drafts(options, "tokenise", &drafts, out));
  TRY_CLEAN(choose_drafts(options, &drafts, out));
  TRY_CLEAN(move_prompts(&drafts, out));
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

size_t dataset_distinct_sets(const Dataset *dataset) {
  size_t count = 0;
  for (size_t set = 0; set < dataset->sets; set++) {
    bool repeats = false;
    for (size_t i = dataset->set_start[set]; i < dataset->set_start[set + 1]; i++)
      repeats = repeats || dataset->prompts[i].alike < dataset->set_start[set];
    count += !repeats;
  }
  return count;
}

uint64_t dataset_hash(const Dataset *dataset) {
  uint64_t header[2] = {groups_count(dataset->groups), dataset->counterfactual};
  uint64_t sum = hash_bytes(HASH_START, header, sizeof header);
  for (size_t i = 0; i < dataset->count; i++) {
    const Prompt *prompt = &dataset->prompts[i];
    uint64_t fields[5] = {prompt->tokens.count, (uint64_t)prompt->group, (uint64_t)prompt->type, prompt->set,
                          prompt->distinct};
    sum = hash_bytes(sum, fields, sizeof fields);
    sum = hash_bytes(sum, prompt->tokens.ids, prompt->tokens.count * sizeof *prompt->tokens.ids);
  }
  return sum;
}

bool dataset_holds_out(const Dataset *dataset) {
  for (size_t i = 1; i < dataset->stage_count; i++) {
    if (strcmp(dataset->stages[i].stage, "split") == 0)
      return dataset->stages[i].prompts < dataset->stages[i - 1].prompts;
  }
  return false;
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

static int by_value(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

Status dataset_overlap(const Dataset *dataset, const Dataset *other, size_t *out) {
  const Prompt **known = NULL;
  uint64_t *texts = NULL;
  size_t count = other->count;
  Status status = STATUS_OK;
  *out = 0;
  TRY_CLEAN(mem_array(&known, count, "prompts to compare"));
  TRY_CLEAN(mem_array(&texts, 2 * count, "prompts to compare"));
  for (size_t i = 0; i < count; i++) {
    known[i] = &other->prompts[i];
    texts[2 * i] = known[i]->written;
    texts[2 * i + 1] = known[i]->key;
  }
  qsort(known, count, sizeof *known, by_tokens);
  qsort(texts, 2 * count, sizeof *texts, by_value);
  for (size_t i = 0; i < dataset->count; i++) {
    const Prompt *prompt = &dataset->prompts[i];
    *out += bsearch(&prompt, known, count, sizeof *known, by_tokens) != NULL ||
            bsearch(&prompt->written, texts, 2 * count, sizeof *texts, by_value) != NULL ||
            bsearch(&prompt->key, texts, 2 * count, sizeof *texts, by_value) != NULL;
  }
cleanup:
  free(known);
  free(texts);
  return status;
}
