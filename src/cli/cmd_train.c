// gee-cl train: plans the memory, trains as the config says, and shows how to use the result.
#include "gap_report.h"
#include "io/file.h"
#include "ops/products.h"
#include "provenance.h"
#include "sft.h"
#include "util/clock.h"
#include "util/memory.h"
#include "verdict.h"
#include "visible.h"
#include "wrap.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool help_config, resume, extend, force, dry_run;
static const char *chat_template, *profile;
static TextList sets;
static const Option options[] = {
    {"resume", OPTION_FLAG, &resume, NULL, "Continue from the run's last checkpoint, with the same bits.", 0,
     0},
    {"extend", OPTION_FLAG, &extend, NULL,
     "With --resume: accept a larger train.max_steps and the new learning rate curve it implies.", 0, 0},
    {"force", OPTION_FLAG, &force, NULL,
     "With --resume: go on with another model than the run was made with.", 0, 0},
    CHAT_TEMPLATE_OPTION(chat_template),
    {"set", OPTION_LIST, &sets, "SECTION.KEY=VALUE", "Override a key of the config; may be repeated.", 0, 0},
    PROFILE_OPTION(profile),
    {"dry-run", OPTION_FLAG, &dry_run, NULL, "Check everything and plan the memory, but do not train.", 0, 0},
    {"help-config", OPTION_FLAG, &help_config, NULL,
     "Print a config with every key, its default and an explanation.", 0, 0},
    {0}};
static const Usage usage = {
    "train", "Train a model with GEE as a config says.", "CONFIG.ini", options,
    "Samples answers, measures how uncertain the model is for each group, and trains the difference away. "
    "With\n"
    "train.objective = sft it trains on given answers instead.\n"
    "Writes metrics.jsonl and checkpoints to output.save_root/output.run_name. Ctrl-C, or "
    "closing the\nterminal, finishes the step and saves.\n\n"
    "  gee-cl train configs/quickstart.ini\n"
    "  gee-cl train configs/quickstart.ini --set train.max_steps=20 --set output.run_name=longer\n"
    "  gee-cl train configs/quickstart.ini --resume\n"
    "  gee-cl train configs/debias.ini --set train.max_steps=120 --resume --extend\n"
    "  gee-cl train --help-config > my.ini"};

enum { MAX_EVALUATIONS = 1 }; // as many as open_evaluations opens
enum { MAX_SINKS = 2 };       // as many as choose_sinks chooses

/// Everything a run owns; a TrainJob borrows from it.
typedef struct Run {
  Config config;
  Runtime runtime;
  Dataset data, held_out;   // held_out is empty unless bias_eval_steps or data.eval is set
  Examples rows, held_rows; // of sft, in the same way
  Str text;                 // the config as run
  Str facts;                // an object: what the run is made with and from
  ConfigSettings settings;
  char *folder;                             // save_root/run_name
  Evaluation *evaluations[MAX_EVALUATIONS]; // those that bias_eval_steps asks for
  size_t evaluation_count;
  const MetricSinkType *sinks[MAX_SINKS]; // that [track] asks for
  size_t sink_count;
  ConfigSections sections;
} Run;

static void run_close(Run *run) {
  for (size_t i = 0; i < run->evaluation_count; i++) evaluation_free(run->evaluations[i]);
  dataset_free(&run->held_out);
  dataset_free(&run->data);
  examples_free(&run->held_rows);
  examples_free(&run->rows);
  runtime_close(&run->runtime);
  str_free(&run->text);
  str_free(&run->facts);
  free(run->folder);
  config_settings_free(&run->settings);
  config_sections_free(&run->sections);
  config_free(&run->config);
}

/// *next = a free place for one more evaluation, which counts once it is open.
static Status next_evaluation(Run *run, Evaluation ***next) {
  *next = &run->evaluations[run->evaluation_count];
  if (run->evaluation_count < MAX_EVALUATIONS) return STATUS_OK;
  return status_fail(STATUS_FAILED, "a run takes %d evaluations: raise MAX_EVALUATIONS", MAX_EVALUATIONS);
}

/// Before anything is trained, what target_judge would refuse after the first measurement.
static Status check_measured_sets(const Run *run) {
  if (!run->config.loss.debias_only || run->held_out.sets > 1) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "loss.debias_only ends a run by the interval of the held-out gap, which a single set does "
      "not have: %s",
      run->config.eval.sets == 1      ? "raise data.eval_sets, which is 1"
      : run->config.eval.file != NULL ? "data.eval has one set, and needs more"
                                      : "raise data.held_out, which leaves one set");
}

static Status open_evaluations(Run *run) {
  Evaluation **next = NULL;
  bool measures = run->config.train.bias_eval_steps > 0;
  // data.eval is read even if only `gap` will use it, so that its faults do not show after the training.
  if (!measures && run->config.eval.file == NULL) return STATUS_OK;
  TRY(config_dataset(&run->config, &run->runtime, true, &run->held_out));
  if (run->config.eval.file != NULL) {
    warn_equal_sets(&run->held_out);
    TRY(note_left_out(&run->config, &run->held_out));
  }
  if (!measures) return STATUS_OK;
  TRY(check_measured_sets(run));
  TRY(next_evaluation(run, &next));
  TRY(gap_evaluation_open(&run->config, run->runtime.files, "bias_eval", &run->held_out, next));
  if (run->config.loss.kl_weight > 0) gap_evaluation_measure_kl(*next);
  run->evaluation_count++;
  return STATUS_OK;
}

static Status open_prompts(Run *run) {
  TRY(config_dataset(&run->config, &run->runtime, false, &run->data));
  warn_equal_sets(&run->data);
  return open_evaluations(run);
}

/// The same for given answers.
static Status open_rows(Run *run) {
  Config *config = &run->config;
  Evaluation **next = NULL;
  bool measures = config->train.bias_eval_steps > 0;
  TRY(config_examples(config, &run->runtime, false, &run->rows));
  if (config->epochs > 0) config->train.max_steps = sft_steps(config, &run->rows);
  if (config->eval.file == NULL && !measures) return STATUS_OK;
  TRY(config_examples(config, &run->runtime, true, &run->held_rows));
  if (!measures) return STATUS_OK;
  TRY(next_evaluation(run, &next));
  TRY(sft_evaluation_open(config, &run->held_rows, next));
  run->evaluation_count++;
  return STATUS_OK;
}

static void choose_sinks(Run *run) {
  if (run->config.track.tensorboard) run->sinks[run->sink_count++] = &metrics_tensorboard;
  if (run->config.track.wandb) run->sinks[run->sink_count++] = &metrics_wandb;
}

/// What device.gemm means on a GPU may change with what gee-cl tune kept, so a resume compares it too.
static Status add_products(Run *run) {
  Str products = {0};
  Status status = device_describe_gemm(run->runtime.device, run->config.gemm, &products);
  if (status == STATUS_OK && products.size > 0)
    status = config_settings_add("device.gemm in use", str_text(&products), SETTING_ROUNDS, &run->settings);
  str_free(&products);
  return status;
}

static Status run_open(Run *run, const char *path) {
  Config *config = &run->config;
  TRY(config_open(path, &sets, chat_template, config));
  config_warn_unused(config);
  TRY(config_render(config, &run->text));
  choose_sinks(run);
  TRY(path_join(&run->folder, config->output.save_root, config->output.run_name));
  TRY(file_check_writable(run->folder));
  TRY(runtime_open_files(&run->runtime, config->model.path, config_quantise(config), config_chat(config)));
  TRY(config->objective == TRAIN_SFT ? open_rows(run) : open_prompts(run));
  TRY(config_settings(config, &run->settings)); // train.epochs has become train.max_steps
  TRY(config_sections(config, &run->sections));
  run->runtime.profile_path = profile;
  run->runtime.compute = config_compute(config);
  TRY(runtime_open_device(&run->runtime, &config->device));
  return add_products(run);
}

static bool is_sft(const Run *run) {
  return run->config.objective == TRAIN_SFT;
}

/// Whether gap would find counterfactual sets that were not trained on.
static bool is_measurable(const Run *run) {
  return !is_sft(run) && run->data.counterfactual &&
         (run->config.eval.file != NULL || dataset_holds_out(&run->data));
}

static TrainJob make_job(const Run *run, Ops *ops) {
  const Config *config = &run->config;
  return (TrainJob){.ops = ops,
                    .files = run->runtime.files,
                    .identity = &run->runtime.identity,
                    .dtype = config_dtype(config),
                    .lora = config->lora,
                    .tokenizer = run->runtime.tokenizer,
                    .dataset = is_sft(run) ? NULL : &run->data,
                    .examples = is_sft(run) ? &run->rows : NULL,
                    .measurable = is_measurable(run),
                    .sampling = config->sampling,
                    .loss = config->loss,
                    .train = config->train,
                    .output = config->output,
                    .task_weights = config->task_weights,
                    .task_weight_count = config->task_weight_count,
                    .task_weights_em = config->task_weights_em,
                    .track_samples = config->track.samples,
                    .config_text = str_text(&run->text),
                    .provenance = run->facts.data,
                    .settings = run->settings.list,
                    .setting_count = run->settings.count,
                    .resume = resume,
                    .force = force,
                    .extend = extend,
                    .progress = screen_progress(),
                    .stop = &stop_requested,
                    .evaluations = run->evaluations,
                    .evaluation_count = run->evaluation_count,
                    .sinks = run->sinks,
                    .sink_count = run->sink_count,
                    .tracked = {.name = config->track.wandb_name != NULL ? config->track.wandb_name
                                                                         : config->output.run_name,
                                .project = config->track.wandb_project,
                                .sections = run->sections.list,
                                .section_count = run->sections.count}};
}

/// Says a line. On a terminal, its further lines are indented to where its text begins.
static Status say_field(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));
static Status say_field(const char *name, const char *format, ...) {
  static const char lead[] = "         ";
  Str shown = {0}, wrapped = {0};
  char text[2048];
  va_list args;
  va_start(args, format);
  (void)vsnprintf(text, sizeof text, format, args);
  va_end(args);
  Status status = visible_append_for(stderr, &shown, text, strlen(text));
  if (status == STATUS_OK)
    status = wrap_append(&wrapped, str_text(&shown), strlen(lead), lead, message_width(stderr));
  if (status == STATUS_OK)
    say("%s%s%s%*s%s", style(stderr, STYLE_BOLD), name, style(stderr, STYLE_PLAIN),
        (int)(strlen(lead) - strlen(name)), "", str_text(&wrapped));
  str_free(&shown);
  str_free(&wrapped);
  return status;
}

static Status print_data(const Run *run) {
  const Config *config = &run->config;
  Str groups = {0};
  Status status = group_names(run->data.groups, &groups);
  if (status == STATUS_OK)
    status =
        say_field("data", "%s: %zu prompt%s in %zu set%s (%s)",
                  config->data.use_test_data ? "built-in prompts" : config->data.train, run->data.count,
                  str_plural(run->data.count), run->data.sets, str_plural(run->data.sets), str_text(&groups));
  str_free(&groups);
  size_t foreign = run->data.stages[1].foreign;
  if (status == STATUS_OK && foreign > 0)
    status = say_field("",
                       "%zu of %zu in the file %s in a script that the group file has no words in: "
                       "gee-cl data shows them",
                       foreign, run->data.stages[1].prompts, foreign == 1 ? "is" : "are");
  return status;
}

/// A file in data.eval may repeat prompts that are trained on.
static Status print_overlap(const Run *run) {
  size_t trained = 0;
  if (run->held_out.count == 0) return STATUS_OK;
  TRY(dataset_overlap(&run->held_out, &run->data, &trained));
  if (trained == 0) return STATUS_OK;
  return say_field(
      "",
      "%zu of the %zu prompts that the gap is measured on are trained on too: the gap on them is "
      "not a held-out one",
      trained, run->held_out.count);
}

static Status print_loss(const Config *config) {
  const LossOptions *loss = &config->loss;
  char kl[48] = "";
  if (loss->kl_weight > 0) (void)snprintf(kl, sizeof kl, ", kl_weight %g", (double)loss->kl_weight);
  TRY(say_field("loss", "%s answers, %slambda_weight %g, em_weight %g%s",
                loss->pairing == PAIRING_PAIRED ? "paired" : "own",
                loss->form == LOSS_SYMMETRIC_KL ? "symmetric KL, " : "", (double)loss->lambda_weight,
                (double)loss->em_weight, kl));
  const char *em_weight = config_given(config, "loss", "em_weight");
  if (!config->loss.debias_only || em_weight == NULL || strtod(em_weight, NULL) == 0) return STATUS_OK;
  return say_field("", "loss.em_weight = %s has no effect: loss.debias_only trains the gap alone", em_weight);
}

static Status print_rows(const Run *run) {
  const Config *config = &run->config;
  ExampleTokens tokens = examples_tokens(&run->rows);
  size_t trained = 0;
  TRY(say_field("data", "%s: %zu row%s with %zu answers; %zu tokens, %zu of them trained on",
                config->data.train, run->rows.count, str_plural(run->rows.count), tokens.answers, tokens.all,
                tokens.answered));
  if (run->rows.split > 0 && run->evaluation_count == 0)
    TRY(say_field(
        "",
        "%zu rows are held out (data.held_out = %g), and not measured: set train.bias_eval_steps, or "
        "data.held_out = 0 to train on them too",
        run->rows.split, (double)config->data.held_out));
  if (run->held_rows.count == 0) return STATUS_OK;
  TRY(say_field("", "the loss is measured on %zu other row%s", run->held_rows.count,
                str_plural(run->held_rows.count)));
  TRY(examples_overlap(&run->held_rows, &run->rows, &trained));
  if (trained == 0) return STATUS_OK;
  return say_field("",
                   "%zu of them have prompts that are trained on too: the loss on them is not a held-out one",
                   trained);
}

static Status print_train(const Run *run) {
  const Config *config = &run->config;
  char how[512] = "every weight";
  if (!config->train.full)
    (void)snprintf(how, sizeof how, "LoRA rank %zu on %s", config->lora.rank, config->lora.targets);
  return say_field("train", "%s, %zu step%s of %zu %s", how, config->train.max_steps,
                   str_plural(config->train.max_steps), config->train.effective_batch,
                   is_sft(run) ? "rows" : "answers");
}

static Status print_gap(const Run *run) {
  const GroupFile *groups = run->data.groups;
  TRY(print_loss(&run->config));
  if (groups_count(groups) == 2)
    return say_field("gap", "H %s - H %s; H is the mean entropy, in nats", groups_name(groups, 1),
                     groups_name(groups, 0));
  return say_field("gap", "largest H - smallest H of a group; H is the mean entropy, in nats");
}

static Status print_header(const Run *run) {
  const DeviceInfo *info = device_info(run->runtime.device);
  const ModelConfig *model = model_files_config(run->runtime.files);
  TRY(say_field("model", "%s, %zu layer%s of width %zu, chat template %s", run->config.model.path,
                model->layers, str_plural(model->layers), model->width, chat_name(run->runtime.chat)));
  TRY(say_field("device", "%s: %s", info->platform, info->name));
  if (is_sft(run)) {
    TRY(print_rows(run));
    TRY(print_train(run));
    return say_field("loss", "mean cross-entropy of the answers' tokens, in nats");
  }
  TRY(print_data(run));
  TRY(print_overlap(run));
  TRY(print_train(run));
  return print_gap(run);
}

/// Refuses a run that cannot start, and one that does not fit: its memory is counted without allocating any.
static Status plan_memory(Run *run) {
  Ops *ops = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_check_compute(&run->runtime, run->config.gemm));
  TRY_CLEAN(runtime_create_plan(&run->runtime, &ops));
  TrainJob job = make_job(run, ops);
  if (!dry_run || resume) { // a dry run disturbs no earlier run
    TRY_CLEAN(runtime_identify(&run->runtime));
    TRY_CLEAN(train_check(&job));
  }
  TRY_CLEAN(memory_plan_error(train_plan(&job), MEMORY_OF_TRAINING));
  memory_print_planned(ops_memory(ops), device_info(run->runtime.device));
  TRY_CLEAN(memory_check(ops_memory(ops), device_info(run->runtime.device), MEMORY_OF_TRAINING));
cleanup:
  ops_free(ops);
  return status;
}

static Status collect_facts(Run *run) {
  JsonWriter json = {0};
  Status status = STATUS_OK;
  TRY(runtime_identify(&run->runtime));
  json_object_begin(&json, NULL);
  TRY_CLEAN(provenance_write(&run->config, &run->runtime, &(UsedAdapter){0}, &json));
  TRY_CLEAN(provenance_write_data(&run->config, &json));
  provenance_write_seed(run->config.train.seed, &json);
  json_object_end(&json);
  TRY_CLEAN(json_finish(&json, RUN_RECORD, &run->facts));
cleanup:
  json_free(&json);
  return status;
}

static Status print_end(const Run *run, const TrainOutcome *outcome, double seconds) {
  const char *chat = run->config.data.chat;
  EndedRun ended = {.program = program_name,
                    .config = &run->config,
                    .folder = run->folder,
                    .prompts = run->held_out.count > 0 ? &run->held_out : &run->data,
                    .rows = run->held_rows.count > 0 ? &run->held_rows : &run->rows,
                    .chat = chat_is_there(run->runtime.chat) && (chat == NULL || strcmp(chat, "off") != 0),
                    .positions = model_files_config(run->runtime.files)->max_positions,
                    .measurable = is_measurable(run),
                    .outcome = *outcome,
                    .seconds = seconds};
  Str text = {0};
  Status status = verdict_append(&ended, text_width(stdout), &text);
  if (status == STATUS_OK) status = visible_print(stdout, str_text(&text), text.size);
  str_free(&text);
  return status;
}

static Status train(const char *path) {
  Run run = {0};
  Status status = STATUS_OK;
  (void)signal(SIGPIPE, SIG_IGN); // a run outlives the pipe that it reports to
  TRY_CLEAN(run_open(&run, path));
  TRY_CLEAN(print_header(&run));
  TRY_CLEAN(plan_memory(&run));
  if (dry_run) {
    args_warn_unused("profile", "a dry run computes nothing");
    goto cleanup;
  }
  TRY_CLEAN(collect_facts(&run));
  TRY_CLEAN(runtime_open_ops(&run.runtime, run.config.gemm));
  stop_on_signals();
  TrainJob job = make_job(&run, run.runtime.ops);
  TrainOutcome outcome = {0};
  double start = clock_seconds();
  status = runtime_end_profile(&run.runtime, train_run(&job, &outcome));
  if (status == STATUS_OK || status == STATUS_INTERRUPTED)
    memory_print_peak(ops_memory(run.runtime.ops), device_info(run.runtime.device));
  if (status == STATUS_OK) status = print_end(&run, &outcome, clock_seconds() - start);
cleanup:
  run_close(&run);
  return status;
}

Status cmd_train(int argc, char **argv) {
  const char *path = NULL;
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, &path, &helped));
  if (helped) return STATUS_OK;
  if (!help_config) {
    TRY(args_need(&usage, path, "CONFIG.ini"));
    if (extend && !resume)
      return status_fail(STATUS_INPUT, "--extend needs --resume: it extends an existing run");
    if (force && !resume)
      return status_fail(STATUS_INPUT, "--force needs --resume: a new run takes any model");
    return train(path);
  }
  if (path != NULL)
    return status_fail(STATUS_INPUT, "--help-config prints the defaults and reads no config; leave %s out",
                       path);
  Str text = {0};
  Status status = config_help(&text);
  if (status == STATUS_OK) (void)fputs(str_text(&text), stdout);
  str_free(&text);
  return status;
}
