// gee-cl eval: benchmarks of bias and skill, on a model and on adapters to it. Rule: everything that can be
// refused is refused before a device is touched, and a run that was stopped goes on with the same bytes.
#include "eval_report.h"
#include "eval_tasks.h"
#include "io/file.h"
#include "util/clock.h"
#include "util/memory.h"
#include "wrap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *model_path, *tasks, *data_dir, *output, *items_path, *limit;
static const char *dtype, *quantise_to, *compute, *device, *gemm, *chat_template, *profile;
static bool no_base, force, resume, all_metrics;
static TextList adapters, sets;
static const Option options[] = {
    {"model", OPTION_TEXT, &model_path, "PATH", "A Hugging Face folder or a .gguf file.", 0, 0},
    {"adapter", OPTION_LIST, &adapters, "DIR", "A PEFT adapter to evaluate too; may be repeated.", 0, 0},
    {"no-base", OPTION_FLAG, &no_base, NULL, "Evaluate only the adapters.", 0, 0},
    FORCE_OPTION(force),
    {"tasks", OPTION_TEXT, &tasks, "A,B,...", "The tasks to run, between commas.", 0, 0},
    {"data-dir", OPTION_TEXT, &data_dir, "DIR", "The folder with the tasks' data.", 0, 0},
    {"output", OPTION_TEXT, &output, "FILE", "The results, as JSON; - writes to the screen. Required.", 0, 0},
    {"items", OPTION_TEXT, &items_path, "FILE", "Also write a line of JSON for each item.", 0, 0},
    {"limit", OPTION_TEXT, &limit, "N", "Most items of each task, from the first on; 0 takes all.", 0, 0},
    {"resume", OPTION_FLAG, &resume, NULL, "Go on with a run that was stopped, if there is one.", 0, 0},
    {"all-metrics", OPTION_FLAG, &all_metrics, NULL, "Show every metric, also those of each part.", 0, 0},
    PROFILE_OPTION(profile),
    CHAT_TEMPLATE_OPTION(chat_template),
    {"dtype", OPTION_TEXT, &dtype, "TYPE", KEPT_TYPE, 0, 0},
    QUANTISE_OPTION(quantise_to),
    COMPUTE_OPTION(compute),
    {"device", OPTION_TEXT, &device, "NAME", "auto, cpu, gpu, an index or part of a name.", 0, 0},
    {"gemm", OPTION_TEXT, &gemm, "NAME", "Matrix products: auto (default), own or vendor.", 0, 0},
    {"set", OPTION_LIST, &sets, "SECTION.KEY=VALUE", "Override a key of the config.", 0, 0},
    {0}};

/// An option that is short for a key of the config.
typedef struct Short {
  const char **value, *option, *section, *name;
} Short;
static const Short shorts[] = {{&model_path, "--model", "model", "path"},
                               {&tasks, "--tasks", "eval", "tasks"},
                               {&data_dir, "--data-dir", "eval", "data_dir"},
                               {&limit, "--limit", "eval", "limit"},
                               {&chat_template, "--chat-template", "model", "chat_template"},
                               {&dtype, "--dtype", "model", "dtype"},
                               {&quantise_to, "--quantise", "model", "quantise"},
                               {&compute, "--compute", "model", "compute"},
                               {&device, "--device", "device", "name"},
                               {&gemm, "--gemm", "device", "gemm"}};

static const char TEXT[] =
    "Runs tasks on the model of a config, or of --model, and writes tasks.TASK.metrics.METRIC = {value, low, "
    "high, n} with 95 % intervals. Each adapter is evaluated on the model as well, and has files of its own: "
    "with --output base.json, that of runs/gee/final is base.gee-final.json.\n\n"
    "Data are the files as they are published, in --data-dir; a missing one is named with its source.\n\n"
    "While it runs, the folder FILE.unfinished beside the output keeps what is computed. After Ctrl-C or a "
    "kill, the same command with --resume goes on from there, and the results are the same to the byte, but "
    "for times.\n\n"
    "Tasks\n";
static const char EXAMPLES[] =
    "  FILE.json           a task of choices or pairs of your own (docs/TASKS.md)\n\n"
    "  gee-cl eval --model models/SmolLM2-135M-Instruct.Q4_1.gguf --tasks crows_pairs \\\n"
    "      --data-dir data --output results.json --items items.jsonl\n"
    "  gee-cl eval --model M --tasks configs/tasks/capitals.json --output capitals.json\n"
    "  gee-cl eval configs/quickstart.ini --adapter runs/quickstart/final --output base.json\n";

typedef struct Suite {
  Config config;
  Runtime runtime;
  char *names; // of the tasks; what stands behind a name is borrowed from it
  EvalTasks tasks;
  EvalModel *models; // [model_count] the base unless --no-base, then the adapters
  size_t model_count;
} Suite;

/// The lock is an empty folder, unless a run whose rows lie beside its items was stopped there.
static void unlock_items(EvalModel *model) {
  if (model->items_lock.held) (void)rmdir(model->items_work);
  file_unlock(&model->items_lock);
  free(model->items_work);
}

static void suite_close(Suite *suite) {
  for (size_t m = 0; suite->models != NULL && m < suite->model_count; m++) {
    EvalModel *model = &suite->models[m];
    for (size_t t = 0; model->metrics != NULL && t < suite->tasks.count; t++)
      metrics_free(&model->metrics[t]);
    free(model->metrics);
    free(model->output);
    unlock_items(model);
    free(model->items);
    free(model->work);
    free(model->owner);
    item_file_close(model->rows);
  }
  free(suite->models);
  eval_tasks_free(&suite->tasks);
  free(suite->names);
  runtime_close(&suite->runtime);
  config_free(&suite->config);
}

static EvalRun run_of(const Suite *suite) {
  return (EvalRun){.config = &suite->config,
                   .runtime = &suite->runtime,
                   .tasks = suite->tasks.list,
                   .task_count = suite->tasks.count,
                   .gap = suite->tasks.prompts.count > 0 ? &suite->tasks.gap : NULL,
                   .all_metrics = all_metrics};
}

// ---- what is asked for ----

/// The config's keys, --set, and then the options that are short for keys.
static Status read_config(Suite *suite, const char *path) {
  TRY(config_init(&suite->config));
  if (path != NULL) TRY(config_read(&suite->config, path));
  for (size_t i = 0; i < sets.count; i++) TRY(config_set(&suite->config, sets.items[i]));
  for (size_t i = 0; i < sizeof shorts / sizeof *shorts; i++) {
    const Short *given = &shorts[i];
    if (*given->value == NULL) continue;
    TRY(config_set_by(&suite->config, given->option, given->section, given->name, *given->value));
  }
  if (suite->config.model.path == NULL) return status_fail(STATUS_INPUT, "--model is needed, or a config");
  if (suite->config.benchmarks.tasks == NULL)
    return status_fail(STATUS_INPUT,
                       "--tasks is needed, or eval.tasks in a config; gee-cl eval --help lists them");
  return STATUS_OK;
}

static Status open_tasks(Suite *suite) {
  char *rest = NULL;
  const char *all = suite->config.benchmarks.tasks;
  TRY(str_copy(&suite->names, all, strlen(all)));
  Status status = STATUS_OK;
  for (char *name = strtok_r(suite->names, EVAL_TASKS_BETWEEN, &rest); name != NULL && status == STATUS_OK;
       name = strtok_r(NULL, EVAL_TASKS_BETWEEN, &rest))
    status = eval_tasks_add(&suite->tasks, &suite->config, &suite->runtime, name);
  if (status == STATUS_OK && suite->tasks.count == 0)
    status = status_fail(STATUS_INPUT, "--tasks (eval.tasks) names no task: \"%.100s\"", all);
  if (status == STATUS_OK && suite->tasks.prompts.groups != NULL) warn_equal_sets(&suite->tasks.prompts);
  return status;
}

// ---- files ----

/// What an adapter's files are called after: "gee-final" for runs/gee/final.
static Status append_label(const char *adapter, Str *out) {
  size_t end = strlen(adapter), begin;
  while (end > 0 && adapter[end - 1] == '/') end--;
  begin = end;
  for (int parts = 0; begin > 0 && parts < 2; begin -= parts < 2) parts += adapter[begin - 1] == '/';
  while (begin < end && (adapter[begin] == '/' || adapter[begin] == '.')) begin++;
  for (; begin < end; begin++) TRY(str_append(out, adapter[begin] == '/' ? "-" : adapter + begin, 1));
  return STATUS_OK;
}

/// *out = `path` for the base model; for an adapter, with its label before the ending.
static Status name_file(const char *path, const char *adapter, char **out) {
  const char *slash = strrchr(path, '/'), *dot = strrchr(path, '.');
  size_t stem =
      dot != NULL && (slash == NULL || dot > slash + 1) && dot != path ? (size_t)(dot - path) : strlen(path);
  Str name = {0};
  Status status = STATUS_OK;
  if (adapter == NULL) return str_copy(out, path, strlen(path));
  TRY_CLEAN(str_append(&name, path, stem));
  TRY_CLEAN(str_append_text(&name, "."));
  TRY_CLEAN(append_label(adapter, &name));
  TRY_CLEAN(str_append_text(&name, path + stem));
  *out = name.data;
  return STATUS_OK;

cleanup:
  str_free(&name);
  return status;
}

static Status check_file(const Suite *suite, const char *path, const char *option, const char *config) {
  TRY(args_check_output(option, path, suite->config.model.path, "the model"));
  return config == NULL ? STATUS_OK : args_check_output(option, path, config, "the config");
}

static Status name_files(Suite *suite, const char *adapter, const char *config, EvalModel *model) {
  bool screen = strcmp(output, "-") == 0;
  TRY(name_file(output, adapter, &model->output));
  if (items_path != NULL) TRY(name_file(items_path, adapter, &model->items));
  TRY(check_file(suite, model->output, "--output", config));
  if (model->items != NULL) TRY(check_file(suite, model->items, "--items", config));
  const char *beside = screen ? model->items : model->output;
  return beside == NULL ? STATUS_OK : str_format(&model->work, "%s.unfinished", beside);
}

/// Two models never share a file.
static Status check_names(const Suite *suite) {
  for (size_t m = 0; m < suite->model_count; m++) {
    const EvalModel *model = &suite->models[m];
    TRY(args_check_apart("--output", model->output, "--items", model->items));
    TRY(args_check_apart("--output", model->output, "--profile", profile));
    TRY(args_check_apart("--items", model->items, "--profile", profile));
    for (size_t other = 0; other < m; other++)
      if (strcmp(suite->models[other].output, model->output) == 0)
        return status_fail(STATUS_INPUT, "two adapters have the results file %s; evaluate them one by one",
                           model->output);
  }
  return STATUS_OK;
}

static Status list_models(Suite *suite, const char *config) {
  suite->model_count = adapters.count + !no_base;
  TRY(mem_array(&suite->models, suite->model_count, "models"));
  if (strcmp(output, "-") == 0 && suite->model_count > 1)
    return status_fail(STATUS_INPUT, "--output - shows one model; name a file for several");
  if (items_path != NULL && strcmp(items_path, "-") == 0)
    return status_fail(STATUS_INPUT, "--items needs the name of a file");
  for (size_t m = 0; m < suite->model_count; m++) {
    const char *adapter = m == 0 && !no_base ? NULL : adapters.items[m - !no_base];
    const char *label = suite->model_count == 1 ? NULL : adapter; // a model alone has the names as given
    TRY(name_files(suite, label, config, &suite->models[m]));
    suite->models[m].adapter.path = adapter;
  }
  return check_names(suite);
}

/// Once every input is open.
static Status check_unread(const Suite *suite) {
  for (size_t m = 0; m < suite->model_count; m++) {
    TRY(args_check_unread("--output", suite->models[m].output));
    TRY(args_check_unread("--items", suite->models[m].items));
  }
  return STATUS_OK;
}

/// Two runs with other outputs never write one items file: it is locked as the output is, by the folder of
/// its name.
static Status lock_items(EvalModel *model) {
  if (model->items == NULL || strcmp(output, "-") == 0) return STATUS_OK; // the rows lie beside the items
  TRY(str_format(&model->items_work, "%s.unfinished", model->items));
  return directory_lock(model->items_work, false, &model->items_lock);
}

static Status open_rows(Suite *suite) {
  EvalRun run = run_of(suite);
  for (size_t m = 0; m < suite->model_count; m++) {
    EvalModel *model = &suite->models[m];
    TRY(mem_array(&model->metrics, suite->tasks.count, "metrics"));
    TRY(adapter_identify(model->adapter.path, &model->adapter));
    TRY(eval_owner(&run, &model->adapter, &model->owner));
    TRY(lock_items(model));
    if (model->work != NULL) TRY(item_file_open(model->work, model->owner, resume, &model->rows));
  }
  return STATUS_OK;
}

// ---- the work ----

static Status suite_open(Suite *suite, const char *config) {
  TRY(read_config(suite, config));
  TRY(list_models(suite, config));
  TRY(runtime_open_files(&suite->runtime, suite->config.model.path, config_quantise(&suite->config),
                         config_chat(&suite->config)));
  TRY(open_tasks(suite));
  TRY(runtime_check_adapters(&suite->runtime, &adapters, force));
  TRY(runtime_identify(&suite->runtime));
  suite->runtime.profile_path = profile;
  suite->runtime.compute = config_compute(&suite->config);
  return runtime_open_device(&suite->runtime, &suite->config.device);
}

static Status plan_tasks(const Suite *suite, Model *model) {
  for (size_t t = 0; t < suite->tasks.count; t++)
    TRY(memory_plan_error(evaluation_plan(suite->tasks.list[t], model), MEMORY_OF_EVAL));
  return STATUS_OK;
}

/// Reads every adapter and counts the memory of every task, before any of it is done.
static Status plan_memory(const Suite *suite) {
  const Runtime *runtime = &suite->runtime;
  DType type = config_dtype(&suite->config);
  Ops *plan = NULL;
  Model *model = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(runtime_create_plan(runtime, &plan));
  TRY_CLEAN(model_load(plan, runtime->files, type, &model));
  if (!no_base) TRY_CLEAN(plan_tasks(suite, model));
  for (size_t i = 0; i < adapters.count; i++) {
    TRY_CLEAN(runtime_take_adapter(runtime, plan, type, &adapters, i, &model));
    TRY_CLEAN(plan_tasks(suite, model));
  }
  TRY_CLEAN(memory_check(ops_memory(plan), device_info(runtime->device), MEMORY_OF_EVAL));
cleanup:
  model_free(model);
  ops_free(plan);
  return status;
}

static Status evaluate(Suite *suite, size_t index) {
  EvalModel *model = &suite->models[index];
  EvalRun run = run_of(suite);
  double start = clock_seconds();
  for (size_t t = 0; t < suite->tasks.count; t++) {
    benchmark_keep_items(suite->tasks.list[t], model->rows);
    EvaluationRun part = {suite->runtime.model, screen_progress(), &stop_requested};
    TRY(evaluation_run(suite->tasks.list[t], &part, &model->metrics[t]));
  }
  model->seconds = clock_seconds() - start;
  if (strcmp(model->output, "-") != 0) TRY(eval_print(&run, model));
  return eval_write(&run, model);
}

static Status evaluate_all(Suite *suite) {
  Runtime *runtime = &suite->runtime;
  DType type = config_dtype(&suite->config);
  TRY(runtime_open_ops(runtime, suite->config.gemm));
  TRY(runtime_load_model(runtime, type, NULL, false));
  stop_on_signals();
  for (size_t m = 0; m < suite->model_count; m++) {
    if (suite->models[m].adapter.path != NULL)
      TRY(runtime_take_adapter(runtime, runtime->ops, type, &adapters, m - !no_base, &runtime->model));
    TRY(evaluate(suite, m));
  }
  return STATUS_OK;
}

/// Removes what was kept for a resume, once nothing is left to do.
static Status finish(Suite *suite) {
  for (size_t m = 0; m < suite->model_count; m++)
    if (suite->models[m].rows != NULL) TRY(item_file_finish(suite->models[m].rows, suite->models[m].items));
  return STATUS_OK;
}

/// An interrupted run says how to go on.
static Status say_resume(const Suite *suite, Status status) {
  const ItemFile *rows = suite->models[0].rows;
  if (status != STATUS_INTERRUPTED || rows == NULL || !item_file_has_rows(rows)) return status;
  return status_fail(status, "what is computed is kept in %s; the same command with --resume goes on",
                     item_file_path(rows));
}

/// A task, and below it what may stand behind its name.
static Status add_task_help(const TaskType *type, Str *out) {
  enum { COLUMN = 22 };
  size_t width = text_width(stdout);
  Str head = {0};
  Status status = str_append_format(&head, "  %s", type->name);
  if (status == STATUS_OK) status = wrap_entry(out, str_text(&head), type->help, COLUMN, width);
  str_clear(&head);
  if (status == STATUS_OK && type->argument != NULL)
    status = str_append_format(&head, "    %s:%s", type->name, type->argument);
  if (status == STATUS_OK && type->argument != NULL)
    status = wrap_entry(out, str_text(&head), type->argument_help, COLUMN, width);
  str_free(&head);
  return status;
}

/// The help of the command ends with the list of tasks, so it is put together when it is asked for.
static Status make_help(Str *out) {
  TRY(str_append_text(out, TEXT));
  for (size_t t = 0; task_types[t] != NULL; t++) TRY(add_task_help(task_types[t], out));
  return str_append_text(out, EXAMPLES);
}

static Status run_suite(const char *config) {
  Suite suite = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(suite_open(&suite, config));
  TRY_CLEAN(plan_memory(&suite));
  TRY_CLEAN(check_unread(&suite));
  TRY_CLEAN(open_rows(&suite));
  status = runtime_end_profile(&suite.runtime, evaluate_all(&suite));
  TRY_CLEAN(say_resume(&suite, status));
  TRY_CLEAN(finish(&suite));
cleanup:
  suite_close(&suite);
  return status;
}

Status cmd_eval(int argc, char **argv) {
  const char *config = NULL;
  bool helped = false;
  Str help = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(make_help(&help));
  const Usage usage = {"eval", "Run benchmarks of bias and skill.", "[CONFIG.ini]", options, str_text(&help)};
  TRY_CLEAN(args_parse(&usage, argc, argv, &config, &helped));
  if (helped) goto cleanup;
  TRY_CLEAN(args_need(&usage, output, "--output"));
  if (no_base && adapters.count == 0) {
    status = status_fail(STATUS_INPUT, "--no-base needs --adapter: nothing is left to evaluate");
    goto cleanup;
  }
  status = run_suite(config);
cleanup:
  str_free(&help);
  return status;
}
