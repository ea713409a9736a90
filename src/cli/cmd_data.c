// gee-cl data: the prompts that training will see, and how many each stage left.
#include "cli.h"
#include "columns.h"
#include "io/json_write.h"
#include "sft.h"
#include "util/memory.h"
#include "visible.h"
#include "wrap.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { NAME_COLUMNS = 10 }; // of a group or a type

static bool as_json, held_out;
static size_t limit = 10;
static const char *chat_template;
static TextList sets;
static const Option options[] = {
    {"json", OPTION_FLAG, &as_json, NULL, "Print one JSON object with every prompt and its tokens.", 0, 0},
    {"held-out", OPTION_FLAG, &held_out, NULL,
     "Show the prompts that the gap (of sft: the loss) is measured on instead.", 0, 0},
    {"limit", OPTION_SIZE, &limit, "N", "Prompts to show (10); --json shows all.", 0, 1e9},
    CHAT_TEMPLATE_OPTION(chat_template),
    {"set", OPTION_LIST, &sets, "SECTION.KEY=VALUE", "Override a key of the config.", 0, 0},
    {0}};
static const Usage usage = {
    "data", "Show the prompts that training will see.", "CONFIG.ini", options,
    "Shows how many prompts each stage leaves (reading, finding groups, making counterfactual sets, "
    "splitting,\n"
    "balancing, ...) and what of the file was left out, then the prompts themselves with their set, group, "
    "type,\n"
    "number of tokens, and the system and earlier messages of a chat. With train.objective = sft: rows as "
    "the\n"
    "model reads them, with the tokens that are trained on between [[ and ]].\n\n"
    "  gee-cl data configs/quickstart.ini\n"
    "  gee-cl data configs/quickstart.ini --json --held-out\n"
    "  gee-cl data configs/quickstart.ini --set groups.file=age --set groups.counterfactual=auto"};

/// A line of text, wrapped at the width of the screen.
static Status print_note(const char *format, ...) __attribute__((format(printf, 1, 2)));
static Status print_note(const char *format, ...) {
  Str wrapped = {0};
  char text[1024];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  Status status = wrap_append(&wrapped, text, 0, "  ", text_width(stdout));
  if (status == STATUS_OK) status = str_append_text(&wrapped, "\n");
  if (status == STATUS_OK) status = visible_print(stdout, str_text(&wrapped), wrapped.size);
  str_free(&wrapped);
  return status;
}

/// Prompts that name a group but are not swapped, and those that the group file's words cannot fit.
static Status print_detected(const Dataset *data) {
  const StageCount *detected = &data->stages[1];
  const char *language = groups_language(data->groups);
  if (detected->unswappable > 0)
    TRY(print_note(
        "prompts that name a group but are not swapped, as a word of theirs has no certain counterpart: %zu",
        detected->unswappable));
  if (detected->told > 0)
    TRY(print_note("prompts whose system message names a group, so that no template fits: %zu",
                   detected->told));
  if (detected->foreign > 0)
    TRY(print_note("prompts in a script that the group file (%s) has no words in: %zu",
                   language != NULL ? language : "no language given", detected->foreign));
  if (groups_swaps_break_agreement(data->groups))
    TRY(print_note(
        "In the language of the group file (%s) other words agree with the gender of a swapped word; "
        "templates are safer (groups.counterfactual = template; docs/GROUPS.md).",
        language));
  return STATUS_OK;
}

static void print_stages(const Dataset *data) {
  size_t groups = groups_count(data->groups);
  printf("%s%-10s %8s", style(stdout, STYLE_BOLD), "stage", "prompts");
  for (size_t g = 0; g < groups; g++) {
    const char *name = groups_name(data->groups, g);
    printf(" %*s", field_width(name, NAME_COLUMNS), name);
  }
  printf("%s\n", style(stdout, STYLE_PLAIN));
  for (size_t i = 0; i < data->stage_count; i++) {
    const StageCount *stage = &data->stages[i];
    printf("%-10s %8zu", stage->stage, stage->prompts);
    bool grouped = false;
    for (size_t g = 0; g < groups; g++) grouped = grouped || stage->per_group[g] > 0;
    for (size_t g = 0; grouped && g < groups; g++) printf(" %*zu", NAME_COLUMNS, stage->per_group[g]);
    if (stage->unnamed > 0) printf("   %zu name no group", stage->unnamed);
    if (stage->several > 0) printf("   %zu name several groups", stage->several);
    printf("\n");
  }
}

/// What of the file is not among the prompts, and what is read in a way that may surprise.
static Status print_read(const ReadCounts *read) {
  size_t dropped = read->empty + read->without_user;
  if (dropped > 0)
    TRY(print_note("rows left out: %zu of %zu (without text: %zu, without words of a user: %zu)", dropped,
                   read->rows, read->empty, read->without_user));
  if (read->answered > 0)
    TRY(print_note("chats cut after the user's last words, for the model to answer: %zu", read->answered));
  if (read->turns > 0)
    TRY(print_note("lists of texts, read as turns of user and assistant: %zu", read->turns));
  if (read->without_content > 0)
    TRY(print_note("messages without content, left out: %zu", read->without_content));
  return STATUS_OK;
}

/// Prints the first line of a text as far as the line has room after `used` columns; 196 columns less `used`
/// in a file.
static Status print_start(const char *text, size_t used) {
  size_t width = terminal_of(stdout).redraws ? terminal_width(stdout) : 200;
  size_t room = width > used + 24 ? width - used - 4 : 20;
  size_t shown = text_bytes(text, strcspn(text, "\n"), room);
  TRY(visible_print(stdout, text, shown));
  printf("%s\n", text[shown] != '\0' ? " ..." : "");
  return STATUS_OK;
}

static Status print_totals(const Dataset *data) {
  printf("\n");
  if (data->shortened > 0) TRY(print_note("prompts cut to data.max_prompt_tokens: %zu", data->shortened));
  return print_note("%zu prompt%s, %zu of them distinct, in %zu %s%s%s", data->count, str_plural(data->count),
                    dataset_distinct(data), data->sets, data->counterfactual ? "counterfactual set" : "set",
                    str_plural(data->sets),
                    data->counterfactual ? " (a prompt of each group in each)" : " of one prompt");
}

static Status print_prompts(const Dataset *data) {
  printf("\n%s%6s  %-*s %-*s %6s  %s%s\n", style(stdout, STYLE_BOLD), "set", NAME_COLUMNS, "group",
         NAME_COLUMNS, "type", "tokens", "prompt", style(stdout, STYLE_PLAIN));
  for (size_t i = 0; i < data->count && i < limit; i++) {
    const Prompt *prompt = &data->prompts[i];
    const char *group = prompt->group >= 0 ? groups_name(data->groups, (size_t)prompt->group) : "-";
    const char *type = data->types[prompt->type];
    printf("%6zu  %-*s %-*s %6zu  ", prompt->set, field_width(group, NAME_COLUMNS), group,
           field_width(type, NAME_COLUMNS), type, prompt->tokens.count);
    TRY(print_start(prompt->text, 38));
    for (size_t m = 0; m < prompt->earlier_count; m++) {
      printf("        before it, ");
      TRY(visible_print(stdout, prompt->earlier[m].role, strlen(prompt->earlier[m].role)));
      printf(": ");
      TRY(print_start(prompt->earlier[m].content, 30));
    }
  }
  if (data->count > limit) printf("... and %zu more (--limit N, or --json for all)\n", data->count - limit);
  return STATUS_OK;
}

static void write_stage(JsonWriter *json, const Dataset *data, const StageCount *stage) {
  json_object_begin(json, NULL);
  json_string(json, "stage", stage->stage);
  json_integer(json, "prompts", (int64_t)stage->prompts);
  json_object_begin(json, "groups");
  for (size_t g = 0; g < groups_count(data->groups); g++)
    json_integer(json, groups_name(data->groups, g), (int64_t)stage->per_group[g]);
  json_object_end(json);
  json_integer(json, "unnamed", (int64_t)stage->unnamed);
  json_integer(json, "several", (int64_t)stage->several);
  json_integer(json, "not_swappable", (int64_t)stage->unswappable);
  json_integer(json, "told_by_system", (int64_t)stage->told);
  json_integer(json, "other_script", (int64_t)stage->foreign);
  json_object_end(json);
}

static void write_read(JsonWriter *json, const ReadCounts *read) {
  json_object_begin(json, "read");
  json_integer(json, "rows", (int64_t)read->rows);
  json_integer(json, "empty", (int64_t)read->empty);
  json_integer(json, "without_user", (int64_t)read->without_user);
  json_integer(json, "answered", (int64_t)read->answered);
  json_integer(json, "turns", (int64_t)read->turns);
  json_integer(json, "without_content", (int64_t)read->without_content);
  json_object_end(json);
}

static void write_prompt(JsonWriter *json, const Dataset *data, const Prompt *prompt) {
  json_object_begin(json, NULL);
  json_integer(json, "set", (int64_t)prompt->set);
  json_integer(json, "source", (int64_t)prompt->source);
  json_string(json, "group", prompt->group >= 0 ? groups_name(data->groups, (size_t)prompt->group) : "");
  json_string(json, "type", data->types[prompt->type]);
  json_array_begin(json, "earlier");
  for (size_t m = 0; m < prompt->earlier_count; m++) {
    json_object_begin(json, NULL);
    json_string(json, "role", prompt->earlier[m].role);
    json_string(json, "content", prompt->earlier[m].content);
    json_object_end(json);
  }
  json_array_end(json);
  json_string(json, "prompt", prompt->text);
  json_integers(json, "tokens", prompt->tokens.ids, prompt->tokens.count);
  json_object_end(json);
}

static Status print_dataset_json(const Dataset *data, const char *system) {
  JsonWriter json = {.layout = JSON_PRETTY};
  json_object_begin(&json, NULL);
  json_string(&json, "attribute", groups_attribute(data->groups));
  json_bool(&json, "counterfactual", data->counterfactual);
  json_integer(&json, "sets", (int64_t)data->sets);
  json_integer(&json, "distinct", (int64_t)dataset_distinct(data));
  json_integer(&json, "equal_sets", (int64_t)data->equal_sets);
  json_string(&json, "system", system != NULL ? system : "");
  write_read(&json, &data->read);
  json_array_begin(&json, "stages");
  for (size_t i = 0; i < data->stage_count; i++) write_stage(&json, data, &data->stages[i]);
  json_array_end(&json);
  json_array_begin(&json, "prompts");
  for (size_t i = 0; i < data->count; i++) write_prompt(&json, data, &data->prompts[i]);
  json_array_end(&json);
  json_object_end(&json);
  return print_json(&json, "the prompts");
}

static Status show_prompts(const Config *config, const Runtime *runtime) {
  Dataset data = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(config_dataset(config, runtime, held_out, &data));
  warn_equal_sets(&data);
  if (as_json) {
    TRY_CLEAN(print_dataset_json(&data, config->data.system));
    goto cleanup;
  }
  print_stages(&data);
  TRY_CLEAN(print_detected(&data));
  TRY_CLEAN(print_read(&data.read));
  TRY_CLEAN(print_prompts(&data));
  if (config->data.system != NULL)
    TRY_CLEAN(print_note("the system message of chats that have none: %s", config->data.system));
  TRY_CLEAN(print_totals(&data));
cleanup:
  dataset_free(&data);
  return status;
}

static Status show_examples(const Config *config, const Runtime *runtime) {
  Examples examples = {0};
  Status status = config_examples(config, runtime, held_out, &examples);
  if (status == STATUS_OK)
    status = as_json ? sft_print_data_json(&examples, runtime->tokenizer)
                     : sft_print_data(&examples, runtime->tokenizer, limit);
  examples_free(&examples);
  return status;
}

Status cmd_data(int argc, char **argv) {
  const char *path = NULL;
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, &path, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, path, "CONFIG.ini"));
  if (as_json) args_warn_unused("limit", "--json shows every prompt");
  Config config = {0};
  Runtime runtime = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(config_open(path, &sets, chat_template, &config));
  config_warn_unused(&config);
  TRY_CLEAN(runtime_open_files(&runtime, config.model.path, config_quantise(&config), config_chat(&config)));
  TRY_CLEAN(config.objective == TRAIN_SFT ? show_examples(&config, &runtime)
                                          : show_prompts(&config, &runtime));
cleanup:
  runtime_close(&runtime);
  config_free(&config);
  return status;
}
