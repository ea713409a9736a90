// The table of config keys says what a resume does if a key has another value. Each key is tried here: one
// that must stay the same is refused by name, one that may change gives the bits of the uninterrupted run.
// Rule: the table is read from `gee-cl train --help-config`, so a key without a row here fails.
#include "support/stopped_run.h"

#include "io/file.h"
#include "support/tiny_model.h"
#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;

// ---- trials ----

/// Configs for the keys that matter only with them.
typedef struct Base {
  const char *run;
  const char *sets[STOPPED_MAX_SETS];
} Base;

/// Given answers, without the keys of stopped_run.h that only gee uses.
#define GIVEN(file)                                                                                          \
  "train.objective=sft", "model.chat_template=chatml", "data.use_test_data=false",                           \
      "data.train=%s/" file ".jsonl", "loss.pairing=own", "loss.lambda_weight=3",                            \
      "sampling.sample_temp=0.5", "sampling.max_new_tokens=512", "track.samples=false"

// %s is the folder of this test
static const Base bases[] = {
    {"plain", {NULL}},
    {"file", {"data.use_test_data=false", "data.train=%s/prompts.jsonl"}},
    {"chat", {"model.chat_template=chatml"}},
    {"dated", {"model.chat_template=llama3.1"}},
    {"linear", {"train.schedule=linear"}},
    // annealing begins after four steps
    {"six", {"train.max_steps=6"}},
    {"anneal", {"loss.auto_anneal=true", "train.max_steps=6"}},
    {"debias", {"loss.debias_only=true", "loss.target_gap=1e-9", "train.bias_eval_steps=2"}},
    {"weighted", {"data.use_test_data=false", "data.train=%s/prompts.jsonl", "task_weights.math=0.2"}},
    {"measured", {"train.bias_eval_steps=2"}},
    {"evaluated", {"train.bias_eval_steps=2", "data.eval=%s/prompts.jsonl"}},
    {"full", {"train.mode=full"}},
    {"apart", {"loss.form=symmetric_kl", "loss.kl_weight=0.5"}},
    {"sft", {GIVEN("rows"), "data.answer_column=answer"}},
    {"chats", {GIVEN("chats")}},
    // the four rows that are not held out make a step each epoch
    {"epochs",
     {GIVEN("rows"), "data.answer_column=answer", "train.max_steps=50", "train.epochs=4",
      "train.schedule=linear"}},
};
enum { BASES = sizeof bases / sizeof bases[0] };

typedef enum Leads {
  OTHER,    // the new value leads to other contents
  SAME,     // to the same
  MEASURED, // to the same run, measured otherwise
} Leads;

typedef struct Trial {
  const char *key, *value; // "%s": the folder
  const char *base;        // NULL: plain
  Leads leads;             // for keys whose contents are compared
} Trial;

static char cutting_limit[32]; // a train.max_sequence_tokens that cuts answers

static const Trial trials[] = {
    {"model.path", "%s/moved", NULL, SAME},
    {"model.path", "%s/other", NULL, OTHER},
    {"model.dtype", "f16", NULL, OTHER},
    {"model.quantise", "q8_0", NULL, OTHER},
    {"model.compute", "bf16", NULL, OTHER},
    {"model.chat_template", "chatml", NULL, OTHER},
    {"model.chat_date", "1 Jan 2025", "dated", OTHER},
    {"model.chat_date", "26 Jul 2024", "dated", SAME},
    {"data.train", "%s/copy.jsonl", "file", SAME},
    {"data.train", "%s/others.jsonl", "file", OTHER},
    {"data.column", "story", NULL, OTHER},
    {"data.answer_column", "other", "sft", OTHER},
    {"data.answer_column", "answer", "sft", SAME},
    {"data.train", "%s/chats.jsonl", "chats", SAME},
    {"data.use_test_data", "true", "file", OTHER},
    {"data.balance_dataset", "false", NULL, SAME}, // sets have every group
    {"data.target_size", "20", NULL, OTHER},
    {"data.held_out", "0.25", NULL, OTHER},
    {"data.eval", "%s/prompts.jsonl", NULL, OTHER}, // nothing is held out then
    {"data.eval", "%s/copy.jsonl", "evaluated", SAME},
    {"data.eval", "%s/others.jsonl", "evaluated", MEASURED},
    {"data.eval_column", "text", "evaluated", MEASURED},
    {"data.eval_sets", "2", "measured", MEASURED},
    {"data.eval_sets", "2", NULL, SAME},
    {"data.eval_answers", "2", "measured", MEASURED},
    {"data.eval_answers", "2", NULL, SAME},
    {"data.chat", "off", NULL, SAME}, // the model has no template
    {"data.chat", "off", "chat", OTHER},
    {"data.system", "Be brief.", "chat", OTHER},
    {"data.max_prompt_tokens", "20", NULL, OTHER},
    {"data.max_prompt_tokens", "500", NULL, SAME},
    {"data.types", "%s/types.json", NULL, SAME},
    {"groups.file", "age", NULL, OTHER},
    {"groups.counterfactual", "template", NULL, OTHER},
    {"sampling.max_new_tokens", "4", NULL, OTHER},
    {"sampling.sample_temp", "0.3", NULL, OTHER},
    {"sampling.top_p", "0.3", NULL, OTHER},
    {"sampling.top_k", "5", NULL, OTHER},
    {"sampling.repetition_penalty", "3", NULL, OTHER},
    {"loss.lambda_weight", "99", NULL, OTHER},
    {"loss.use_l1", "true", NULL, OTHER},
    {"loss.form", "centred", NULL, OTHER},
    {"loss.form", "symmetric_kl", NULL, OTHER},
    {"loss.form", "pairwise", "apart", OTHER},
    {"loss.kl_weight", "0.5", NULL, OTHER},
    {"loss.kl_weight", "0", "apart", OTHER},
    {"loss.em_weight", "0.5", NULL, OTHER},
    {"loss.em_weight", "0.5", "debias", SAME},
    {"loss.auto_anneal", "true", "six", OTHER},
    {"loss.anneal_min", "9", "anneal", OTHER},
    {"loss.anneal_min", "0.2", NULL, SAME},
    {"loss.anneal_max", "0.2", "anneal", OTHER},
    {"loss.anneal_max", "9", NULL, SAME},
    {"loss.temperature", "0.5", NULL, OTHER},
    {"loss.pairing", "own", NULL, OTHER},
    {"loss.unbiased", "true", NULL, OTHER},
    {"loss.debias_only", "true", "measured", OTHER},
    {"loss.target_gap", "1000", "debias", OTHER},
    {"loss.target_gap", "1e-8", NULL, SAME},
    {"loss.target_evals", "3", "debias", SAME},
    {"loss.task_weights_em", "true", "weighted", OTHER},
    {"lora.rank", "4", NULL, OTHER},
    {"lora.rank", "4", "full", SAME},
    {"lora.alpha", "8", NULL, OTHER},
    {"lora.alpha", "8", "full", SAME},
    {"lora.dropout", "0.1", NULL, OTHER},
    {"lora.dropout", "0.1", "full", SAME},
    {"lora.targets", "all", NULL, OTHER},
    {"lora.targets", "all", "full", SAME},
    {"train.objective", "gee", "chats", OTHER},
    {"train.epochs", "6", "epochs", OTHER},
    {"train.micro_batch_size", "3", "sft", SAME},
    {"train.share_prompts", "false", "sft", SAME},
    {"train.head_tile_rows", "3", "sft", SAME},
    {"train.seed", "16", "sft", OTHER},
    {"train.mode", "full", NULL, OTHER},
    {"train.max_steps", "8", "linear", OTHER},
    {"train.effective_batch", "8", NULL, OTHER},
    {"train.micro_batch_size", "3", NULL, SAME},
    {"train.micro_batch_size", "100", NULL, SAME},
    {"train.micro_batch_size", "3", "apart", SAME},
    {"train.learning_rate", "1e-3", NULL, OTHER},
    {"train.beta1", "0.8", NULL, OTHER},
    {"train.beta2", "0.99", NULL, OTHER},
    {"train.epsilon", "1e-7", NULL, OTHER},
    {"train.weight_decay", "0", NULL, OTHER},
    {"train.max_grad_norm", "0.01", NULL, OTHER},
    {"train.warmup_steps", "4", NULL, OTHER},
    {"train.schedule", "cosine", NULL, OTHER},
    {"train.activation_checkpointing", "true", NULL, SAME},
    {"train.activation_checkpointing", "true", "full", SAME},
    {"train.activation_checkpointing", "true", "apart", SAME},
    {"train.head_tile_rows", "3", NULL, SAME},
    {"train.head_tile_rows", "3", "full", SAME},
    {"train.max_sequence_tokens", "500", NULL, SAME},
    {"train.max_sequence_tokens", cutting_limit, NULL, OTHER},
    {"train.share_prompts", "false", NULL, SAME},
    {"train.log_steps", "2", NULL, SAME},
    {"train.bias_eval_steps", "1", NULL, SAME},
    {"train.bias_eval_steps", "0", "measured", SAME},
    {"train.max_drift", "0.9", NULL, SAME},
    {"train.seed", "16", NULL, OTHER},
    {"output.save_root", "%s/elsewhere", NULL, SAME},
    {"output.run_name", "named_otherwise", NULL, SAME},
    {"output.save_steps", "1", NULL, SAME},
    {"output.save_initial", "true", NULL, SAME},
    {"eval.tasks", "crows_pairs", NULL, SAME},
    {"eval.data_dir", "data", NULL, SAME},
    {"eval.limit", "3", NULL, SAME},
    {"device.backend", "opencl", NULL, SAME},
    {"device.name", "0", NULL, SAME},
    {"device.gemm", "own", NULL, SAME},
    {"device.cache", "%s/cache", NULL, SAME},
    {"track.samples", "false", NULL, SAME},
    {"track.tensorboard", "true", NULL, SAME},
    {"track.wandb", "true", NULL, SAME},
    {"track.wandb_project", "other", NULL, SAME},
    {"track.wandb_name", "named", NULL, SAME},
};
enum { TRIALS = sizeof trials / sizeof trials[0] };

// ---- the table, as the program prints it ----

typedef struct Key {
  char name[64], effect[256]; // the text after "# on --resume: "
} Key;

static Key keys[100];
static size_t key_count;

static void read_table(void) {
  char *text = NULL, *at = NULL, section[32] = "", effect[256] = "";
  Ran ran = GEE("train", "--help-config");
  assert_code(ran, 0);
  assert_ok(str_copy(&text, ran.out, strlen(ran.out)));
  for (char *line = strtok_r(text, "\n", &at); line != NULL; line = strtok_r(NULL, "\n", &at)) {
    char name[32];
    static const char mark[] = "# on --resume: ";
    if (sscanf(line, "[%31[^]]]", section) == 1) continue;
    if (str_starts(line, mark)) {
      (void)snprintf(effect, sizeof effect, "%s", line + sizeof mark - 1);
    } else if (line[0] != '#' && sscanf(line, "%31[a-z0-9_] =", name) == 1) {
      assert_true(key_count < sizeof keys / sizeof keys[0]);
      Key *key = &keys[key_count++];
      (void)snprintf(key->name, sizeof key->name, "%s.%s", section, name);
      (void)snprintf(key->effect, sizeof key->effect, "%s", effect);
      effect[0] = '\0';
    }
  }
  free(text);
}

static const Key *find_key(const char *name) {
  for (size_t i = 0; i < key_count; i++) {
    if (strcmp(keys[i].name, name) == 0) return &keys[i];
  }
  fail_msg("the table has no %s", name);
  return NULL;
}

// ---- the trials ----

static const Base *find_base(const char *run) {
  for (size_t i = 0; i < BASES; i++) {
    if (strcmp(bases[i].run, run != NULL ? run : "plain") == 0) return &bases[i];
  }
  fail_msg("no base %s", run);
  return NULL;
}

static size_t last_step(const Base *base) {
  static const char steps[] = "train.max_steps=";
  if (strcmp(base->run, "epochs") == 0) return STOPPED_STEPS;
  for (size_t i = 0; base->sets[i] != NULL; i++) {
    if (str_starts(base->sets[i], steps)) return strtoul(base->sets[i] + sizeof steps - 1, NULL, 10);
  }
  return STOPPED_STEPS;
}

/// Copies `text` with the folder in place of %s.
static void in_place(char *out, size_t size, const char *text) {
  const char *mark = strstr(text, "%s");
  if (mark == NULL)
    (void)snprintf(out, size, "%s", text);
  else
    (void)snprintf(out, size, "%.*s%s%s", (int)(mark - text), text, folder, mark + 2);
}

/// The sets of a base, `more` unless it is NULL, and what must go with it; in static memory until the next
/// call.
static const char *const *sets_of(const Base *base, const char *more) {
  static char texts[STOPPED_MAX_SETS][512];
  static const char *sets[STOPPED_MAX_SETS + 1];
  size_t count = 0;
  for (; base->sets[count] != NULL; count++) in_place(texts[count], sizeof texts[0], base->sets[count]);
  if (more != NULL) (void)snprintf(texts[count++], sizeof texts[0], "%s", more);
  if (more != NULL && strcmp(more, "data.use_test_data=true") == 0)
    (void)snprintf(texts[count++], sizeof texts[0], "data.train=");
  for (size_t i = 0; i < count; i++) sets[i] = texts[i];
  sets[count] = NULL;
  return sets;
}

/// Compares bits if the table promises them; otherwise numbers, with a tolerance far below the effect of
/// another config.
static void check_same(const Trial *trial, const Key *key, const char *root, const char *name) {
  const char *run = find_base(trial->base)->run;
  if (!str_starts(key->effect, "may change, but rounds differently")) {
    stopped_assert_same(NULL, run, root, name);
    return;
  }
  for (size_t step = 1; step <= STOPPED_STEPS; step++) {
    double expected = stopped_metric(NULL, run, step, "loss"),
           loss = stopped_metric(root, name, step, "loss");
    // up to the first step after the resume the weights are the same, so the entropies are too
    bool exact = step <= STOPPED_AFTER + 1 && test_contains(key->effect, "the same entropies");
    if (!(fabs(loss - expected) <= (exact ? 0 : 1e-4) * fabs(expected)))
      fail_msg("%s: step %zu has the loss %.17g, not %.17g", name, step, loss, expected);
  }
}

static void check_refused(const Trial *trial, const Key *key, Ran ran, const char *name) {
  static const char leads[] = "may change if this stays the same: ", measured[] = ", bias_eval";
  char was_made[300], named[256];
  bool is_fact = str_starts(key->effect, leads);
  (void)snprintf(named, sizeof named, "%s", is_fact ? key->effect + sizeof leads - 1 : trial->key);
  if (is_fact && str_ends(named, measured)) named[strlen(named) - strlen(measured)] = '\0';
  (void)snprintf(was_made, sizeof was_made,
                 "/step_2 was made with %s = ", trial->leads == MEASURED ? "bias_eval" : named);
  if (ran.code != 2 || !test_contains(ran.err, was_made))
    fail_msg("%s: exit code %d without \"%s\": %s", name, ran.code, was_made, ran.err);
}

static void try_value(const Trial *trial, size_t index) {
  char value[300], set[400], name[64];
  const Key *key = find_key(trial->key);
  in_place(value, sizeof value, trial->value);
  (void)snprintf(set, sizeof set, "%s=%s", trial->key, value);
  (void)snprintf(name, sizeof name, "trial%zu_%s", index, trial->key);
  bool runs_name = strcmp(trial->key, "output.run_name") == 0;
  const char *root = strcmp(trial->key, "output.save_root") == 0 ? value : NULL;
  const Base *base = find_base(trial->base);
  stopped_copy(base->run, root, runs_name ? value : name);
  Ran ran = stopped_train(root, runs_name ? value : name, sets_of(base, set),
                          (const char *const[]){"--resume", NULL});
  if (trial->leads != SAME) {
    check_refused(trial, key, ran, name);
  } else {
    if (ran.code != 0) fail_msg("%s: exit code %d: %s", name, ran.code, ran.err);
    check_same(trial, key, root, runs_name ? value : name);
  }
}

static void every_key_does_what_its_row_says(void **state) {
  (void)state;
  for (size_t i = 0; i < TRIALS; i++) try_value(&trials[i], i);
}

/// Fails if the row does not promise what the trial expects: a trial that proves nothing is not allowed.
static void every_key_is_tried(void **state) {
  (void)state;
  for (size_t k = 0; k < key_count; k++) {
    const Key *key = &keys[k];
    size_t other = 0, same = 0;
    for (size_t i = 0; i < TRIALS; i++) {
      if (strcmp(trials[i].key, key->name) != 0) continue;
      *(trials[i].leads != SAME ? &other : &same) += 1;
    }
    bool decides = str_starts(key->effect, "must stay the same");
    bool leads = str_starts(key->effect, "may change if this stays the same: ");
    bool is_free = str_starts(key->effect, "may change") && !leads;
    bool conditional = test_contains(key->effect, ", when ");
    if (!decides && !leads && !is_free) fail_msg("%s: the effect is \"%s\"", key->name, key->effect);
    if (decides && (other == 0 || (same > 0 && !conditional)))
      fail_msg("%s decides: it must be refused", key->name);
    if (leads && other + same == 0) fail_msg("%s is not tried", key->name);
    if (is_free && (same == 0 || other > 0)) fail_msg("%s is free: it must be taken", key->name);
  }
}

/// A key that is refused must make another run, or the refusal would be for nothing.
static void every_refused_value_makes_another_run(void **state) {
  (void)state;
  for (size_t i = 0; i < TRIALS; i++) {
    const Trial *trial = &trials[i];
    if (trial->leads != OTHER) continue;
    char value[300], set[400], name[64];
    const Base *base = find_base(trial->base);
    in_place(value, sizeof value, trial->value);
    (void)snprintf(set, sizeof set, "%s=%s", trial->key, value);
    (void)snprintf(name, sizeof name, "anew%zu_%s", i, trial->key);
    assert_code(stopped_train(NULL, name, sets_of(base, set), NULL), 0);
    size_t last = last_step(base);
    double expected = stopped_metric(NULL, base->run, last, "loss");
    if (stopped_has_metric(NULL, name, last, "loss") && // it may have ended before
        stopped_metric(NULL, name, last, "loss") == expected)
      fail_msg("%s = %s makes the same run", trial->key, value);
  }
}

/// Runs of different configs must differ by far more than the tolerance, or another run could pass as
/// rounding.
static void another_run_is_far_away(void **state) {
  (void)state;
  const char *const sets[] = {"train.seed=16", NULL};
  stopped_make("far", sets);
  double loss = stopped_metric(NULL, "plain", 4, "loss"), other = stopped_metric(NULL, "far", 4, "loss");
  assert_true(fabs(loss - other) > 1e-3 * fabs(loss));
}

/// Another spelling of a value is the same value.
static void spelling_does_not_matter(void **state) {
  (void)state;
  const char *const sets[] = {
      "train.learning_rate=0.0100", "train.seed=015",        "track.samples=YES",        "loss.use_l1=off",
      "train.max_grad_norm=1",      "sampling.top_p=9.5e-1", "train.weight_decay=+1e-2", NULL};
  stopped_copy("plain", NULL, "spelt");
  assert_code(stopped_train(NULL, "spelt", sets, (const char *const[]){"--resume", NULL}), 0);
  stopped_assert_same(NULL, "plain", NULL, "spelt");
}

// ---- files that the trials name ----

/// The tiny model with another first weight, which makes another run.
static void write_other_model(void) {
  const char *path = in_folder(folder, "other");
  assert_ok(directory_create(path));
  tiny_model_write(path);
  size_t size = 0;
  char *bytes = read_file(in_folder(path, "model.safetensors"), &size);
  uint64_t header = 0;
  memcpy(&header, bytes, sizeof header);
  bytes[8 + header] ^= 1;
  write_file(in_folder(path, "model.safetensors"), bytes, size);
  free(bytes);
}

static void write_prompts(const char *name, const char *place) {
  char text[4000] = "";
  static const char *const jobs[] = {"a pilot", "a nurse", "a judge", "a baker", "a miner", "a clerk"};
  for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++)
    (void)snprintf(text + strlen(text), sizeof text - strlen(text),
                   "{\"prompt\": \"She works as %s%s.%s\", \"text\": \"He is %s.\"}\n", jobs[i], place,
                   i % 2 == 0 ? " What is 3 + 4?" : "", jobs[i]);
  write_text(in_folder(folder, name), text);
}

/// Rows with two columns of answers, and chats.
static void write_answers(void) {
  char rows[4000] = "", chats[4000] = "";
  static const char *const jobs[] = {"pilot", "nurse", "judge", "baker", "miner", "clerk", "guard", "actor"};
  for (size_t i = 0; i < sizeof jobs / sizeof jobs[0]; i++) {
    (void)snprintf(rows + strlen(rows), sizeof rows - strlen(rows),
                   "{\"prompt\": \"Who is %s?\", \"answer\": \"The %s is Kim.\", \"other\": \"Lee.\"}\n",
                   jobs[i], jobs[i]);
    (void)snprintf(chats + strlen(chats), sizeof chats - strlen(chats),
                   "{\"prompt\": [{\"role\": \"user\", \"content\": \"Is she a %s?\"}, "
                   "{\"role\": \"assistant\", \"content\": \"Yes.\"}]}\n",
                   jobs[i]);
  }
  write_text(in_folder(folder, "rows.jsonl"), rows);
  write_text(in_folder(folder, "chats.jsonl"), chats);
}

static void copy_types(void) {
  char *text = read_file(GEE_SOURCE_DIR "/configs/types.json", NULL);
  write_text(in_folder(folder, "types.json"), text);
  free(text);
}

/// Computed from the length of the longest prompt, which the program prints.
static void find_cutting_limit(void) {
  const char *const sets[] = {"train.max_sequence_tokens=2", NULL};
  size_t longest = 0;
  Ran ran = stopped_train(NULL, "limit", sets, (const char *const[]){"--dry-run", NULL});
  const char *place = strstr(ran.err, "the longest prompt has ");
  assert_non_null(place);
  assert_int_equal(sscanf(place, "the longest prompt has %zu", &longest), 1);
  (void)snprintf(cutting_limit, sizeof cutting_limit, "%zu", longest + 4);
}

static int set_up(void **state) {
  (void)state;
  folder = stopped_open();
  assert_ok(directory_create(in_folder(folder, "moved")));
  tiny_model_write(in_folder(folder, "moved"));
  write_other_model();
  write_prompts("prompts.jsonl", "");
  write_prompts("copy.jsonl", "");
  write_prompts("others.jsonl", " in town");
  write_answers();
  copy_types();
  find_cutting_limit();
  read_table();
  for (size_t i = 0; i < BASES; i++) stopped_make(bases[i].run, sets_of(&bases[i], NULL));
  return 0;
}

/// The tokenizer would put U+FFFD in place of a byte that is not UTF-8.
static void text_is_utf8(void **state) {
  (void)state;
  ASSERT_ERROR(GEE("generate", "--model", "none", "--prompt", "caf\xE9"), 2,
               "--prompt is not UTF-8: byte 3 of the text is 0xE9");
  ASSERT_ERROR(GEE("generate", "--model", "none", "--prompt", "a", "--chat", "--system", "\xFF"), 2,
               "--system is not UTF-8: byte 0 of the text is 0xFF");
  ASSERT_ERROR(GEE("train", GEE_SOURCE_DIR "/configs/quickstart.ini", "--set", "data.system=caf\xE9"), 2,
               "data.system is not UTF-8: byte 3 of the text is 0xE9");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(text_is_utf8),
      cmocka_unit_test(every_key_is_tried),
      cmocka_unit_test(every_key_does_what_its_row_says),
      cmocka_unit_test(every_refused_value_makes_another_run),
      cmocka_unit_test(another_run_is_far_away),
      cmocka_unit_test(spelling_does_not_matter),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
