// gee-cl report: a run as a page for an auditor, with a model card and results for the Hub. Rule: it reads
// what the run left and changes nothing of it.
#include "cli.h"
#include "config_value.h"
#include "eval/results.h"
#include "io/file.h"
#include "report/report.h"
#include "report_changes.h"
#include "util/log.h"
#include "util/memory.h"
#include "visible.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static bool pictures;
static const char *output, *gap_path, *items_path;
static TextList results;
static const Option options[] = {
    {"gap", OPTION_TEXT, &gap_path, "FILE",
     "What gap --output wrote; by default RUN-gap.json, if it is there.", 0, 0},
    {"items", OPTION_TEXT, &items_path, "FILE", "What gap --items wrote; by default RUN-items.jsonl.", 0, 0},
    {"compare", OPTION_LIST, &results, "FILE",
     "Benchmark results of eval --output; may be repeated. The others are compared with the first.", 0, 0},
    {"pictures", OPTION_FLAG, &pictures, NULL, "Also write each picture as SVG and PNG into DIR/pictures.", 0,
     0},
    {"output", OPTION_TEXT, &output, "DIR",
     "The folder to write into; by default RUN/report. In it only an earlier report is replaced.", 0, 0},
    {0}};
static const Usage usage = {
    "report", "Write a report on a run, for an auditor.", "RUN", options,
    "Writes report.html, one file that needs no network: what was asked, the data with their hashes, the "
    "method, the results with their intervals, answers side by side, limits, and how to repeat it. Beside it "
    "are MODEL_CARD.md and .eval_results for the Hugging Face Hub. What is missing is said to be missing.\n\n"
    "  gee-cl gap configs/quickstart.ini --adapter runs/quickstart/final \\\n"
    "      --output runs/quickstart-gap.json --items runs/quickstart-items.jsonl\n"
    "  gee-cl report runs/quickstart"};

/// What is reported of a run, and what it is read from.
typedef struct ReportJob {
  ReportInput input;
  char *checkpoint, *gap, *items; // paths
  char *values[CONFIG_MAX_KEYS];
  ReportKey keys[CONFIG_MAX_KEYS];
  ReportFile files[5];
  Config config;
  GroupFile *groups;
  Dataset trained, held_out;
  char *adapter;
  CollectedChanges changes;
} ReportJob;

static void job_close(ReportJob *job) {
  for (size_t i = 0; i < CONFIG_MAX_KEYS; i++) free(job->values[i]);
  free(job->checkpoint);
  free(job->gap);
  free(job->items);
  free(job->adapter);
  dataset_free(&job->trained);
  dataset_free(&job->held_out);
  groups_free(job->groups);
  config_free(&job->config);
  changes_free(&job->changes);
}

/// STATUS_INPUT becomes a note: the report can be written without it. Other failures stay.
static Status pass_over(Status status, const char *what) {
  if (status != STATUS_INPUT) return status;
  log_say(LOG_NOTE, "the report says that %s missing: %s", what, status_message());
  return STATUS_OK;
}

// ---- the run's folder ----

/// The number of a folder called step_N; −1 if it is none.
static long step_of(const char *name) {
  char *end = NULL;
  if (strncmp(name, "step_", 5) != 0 || name[5] < '0' || name[5] > '9') return -1;
  long step = strtol(name + 5, &end, 10);
  return *end == '\0' ? step : -1;
}

/// *out = the run's final folder, or its last checkpoint.
static Status find_checkpoint(const char *run, char **out, bool *finished) {
  char **names = NULL;
  size_t count = 0, best = 0;
  TRY(path_join(out, run, "final"));
  *finished = file_is_directory(*out);
  if (*finished) return STATUS_OK;
  free(*out);
  *out = NULL;
  if (!file_is_directory(run))
    return status_fail(STATUS_INPUT, "%s is no folder; name the folder of a run, such as runs/quickstart",
                       run);
  TRY(directory_list(run, &names, &count));
  for (size_t i = 0; i < count; i++) {
    if (step_of(names[i]) > step_of(names[best])) best = i;
  }
  Status status =
      count > 0 && step_of(names[best]) >= 0
          ? path_join(out, run, names[best])
          : status_fail(STATUS_INPUT, "%s has neither final nor a step_N; name the folder of a run", run);
  directory_free_list(names);
  return status;
}

/// *out = whether a file was written before the checkpoint was: what it measures is not this run.
static Status check_age(const char *path, const char *checkpoint, bool *out) {
  struct stat file, state;
  char *name = NULL;
  TRY(path_join(&name, checkpoint, "trainer_state.json"));
  *out = stat(path, &file) == 0 && stat(name, &state) == 0 &&
         (file.st_mtim.tv_sec < state.st_mtim.tv_sec ||
          (file.st_mtim.tv_sec == state.st_mtim.tv_sec && file.st_mtim.tv_nsec < state.st_mtim.tv_nsec));
  if (*out)
    log_say(LOG_WARNING,
            "%s is older than %s and is passed over; measure this run, or name the file by an option", path,
            name);
  free(name);
  return STATUS_OK;
}

/// *out = the path that was given, or "<run><ending>" if there is such a file and it was written after the
/// checkpoint.
static Status find_beside(const ReportJob *job, const char *run, const char *ending, const char *given,
                          char **out) {
  size_t size = strlen(run);
  if (given != NULL && !file_exists(given)) return status_fail(STATUS_INPUT, "%s: no such file", given);
  if (given != NULL) return str_copy(out, given, strlen(given));
  while (size > 1 && run[size - 1] == '/') size--;
  TRY(str_format(out, "%.*s%s", (int)size, run, ending));
  bool older = true;
  if (file_exists(*out)) TRY(check_age(*out, job->checkpoint, &older));
  if (!older) return STATUS_OK;
  free(*out);
  *out = NULL;
  return STATUS_OK;
}

// ---- the config, and what it leads to ----

/// *out = the key's value as text.
static Status copy_value(const Config *config, const ConfigKey *key, char **out) {
  Str value = {0};
  Status status = config_print_value(config, key, &value);
  if (status == STATUS_OK) status = str_copy(out, str_text(&value), value.size);
  str_free(&value);
  return status;
}

/// A saved config has every key, so what was given is what differs from the default.
static Status add_key(ReportJob *job, const Config *defaults, size_t i) {
  const ConfigKey *key = &config_keys[i];
  char *usual = NULL;
  TRY(copy_value(&job->config, key, &job->values[i]));
  TRY(copy_value(defaults, key, &usual));
  job->keys[i] = (ReportKey){key->section, key->name, job->values[i], strcmp(job->values[i], usual) != 0};
  job->input.key_count = i + 1;
  free(usual);
  return STATUS_OK;
}

static Status list_keys(ReportJob *job) {
  Config defaults = {0};
  Status status = config_init(&defaults);
  for (size_t i = 0; status == STATUS_OK && config_keys[i].section != NULL; i++)
    status = add_key(job, &defaults, i);
  job->input.keys = job->keys;
  config_free(&defaults);
  return status;
}

static void add_file(ReportJob *job, const char *what, const char *path) {
  if (path != NULL) job->files[job->input.file_count++] = (ReportFile){what, path};
}

static Status list_files(ReportJob *job) {
  const Config *config = &job->config;
  if (!config->data.use_test_data) add_file(job, "prompts", config->data.train);
  add_file(job, "prompts to measure on", config->eval.file);
  if (config->data.groups_file != NULL && strchr(config->data.groups_file, '/') != NULL)
    add_file(job, "groups", config->data.groups_file);
  TRY(path_join(&job->adapter, job->checkpoint, "adapter_model.safetensors"));
  add_file(job, "adapter", job->adapter);
  job->input.files = job->files;
  return STATUS_OK;
}

/// The prompts again, from the files as they are now.
static Status build_data(ReportJob *job) {
  const Runtime none = {0}; // no tokenizer: prompts are counted without the model
  TRY(config_dataset(&job->config, &none, false, &job->trained));
  job->input.trained = &job->trained;
  if (job->config.data.held_out <= 0 && job->config.eval.file == NULL) return STATUS_OK;
  TRY(config_dataset(&job->config, &none, true, &job->held_out));
  job->input.held_out = &job->held_out;
  return STATUS_OK;
}

static Status open_config(ReportJob *job) {
  char *path = NULL;
  TRY(path_join(&path, job->checkpoint, "config.ini"));
  Status status = config_open(path, &(TextList){0}, NULL, &job->config);
  free(path);
  TRY(status);
  if (job->config.objective == TRAIN_SFT) return STATUS_OK; // job_open refuses it
  TRY(list_keys(job));
  TRY(list_files(job));
  TRY(pass_over(groups_load(job->config.data.groups_file, &job->groups), "the groups are"));
  job->input.groups = job->groups;
  return pass_over(build_data(job), "the prompts are");
}

/// A file that compare and verify refuse is not reported either.
static Status check_results(void) {
  TRY(args_check_twice(&results));
  for (size_t i = 0; i < results.count; i++) {
    cJSON *json = NULL;
    Status status = results_parse(results.items[i], &json);
    cJSON_Delete(json);
    TRY(status);
  }
  return STATUS_OK;
}

static Status job_open(ReportJob *job, const char *run) {
  TRY(find_checkpoint(run, &job->checkpoint, &job->input.finished));
  TRY(find_beside(job, run, "-gap.json", gap_path, &job->gap));
  TRY(find_beside(job, run, "-items.jsonl", items_path, &job->items));
  job->input.run = run;
  job->input.checkpoint = job->checkpoint;
  job->input.gap = job->gap;
  job->input.items = job->items;
  job->input.results = results.items;
  job->input.result_count = results.count;
  TRY(check_results());
  TRY(changes_collect(results.items, results.count, &job->changes));
  job->input.changes = job->changes.changes;
  TRY(pass_over(open_config(job), "its config is"));
  if (job->config.objective != TRAIN_SFT) return STATUS_OK;
  return status_fail(
      STATUS_INPUT,
      "%s was trained with train.objective = sft: a report is on the gap between groups, which such "
      "a run knows nothing of; its numbers are in metrics.jsonl and loss_eval.jsonl",
      run);
}

// ---- what is in the way ----

/// A name that a report writes: a file, or a folder of files with these endings.
typedef struct Written {
  const char *name, *ends[2];
} Written;
static const Written written[] = {{"report.html", {NULL, NULL}},
                                  {"MODEL_CARD.md", {NULL, NULL}},
                                  {".eval_results", {".yaml", NULL}},
                                  {"pictures", {".svg", ".png"}}};

static Status fail_foreign(const char *folder, const char *name) {
  return status_fail(STATUS_INPUT,
                     "%s/%s is not of a report of gee-cl, and would be lost; move it away, or name another "
                     "folder by --output",
                     folder, name);
}

/// Checks the files of a folder in a report.
static Status check_part(const char *folder, const Written *part) {
  char *path = NULL, **names = NULL;
  size_t count = 0;
  Status status = STATUS_OK;
  TRY(path_join(&path, folder, part->name));
  TRY_CLEAN(directory_list(path, &names, &count));
  for (size_t i = 0; i < count && status == STATUS_OK; i++) {
    bool ours =
        str_ends(names[i], part->ends[0]) || (part->ends[1] != NULL && str_ends(names[i], part->ends[1]));
    if (!ours) status = fail_foreign(path, names[i]);
  }
cleanup:
  directory_free_list(names);
  free(path);
  return status;
}

static Status check_entry(const char *folder, const char *name) {
  for (size_t i = 0; i < sizeof written / sizeof *written; i++)
    if (strcmp(name, written[i].name) == 0)
      return written[i].ends[0] != NULL ? check_part(folder, &written[i]) : STATUS_OK;
  return fail_foreign(folder, name);
}

/// Fails unless the folder has a page that a report wrote; `first` is what else stands there.
static Status check_page(const char *folder, const char *first) {
  MappedFile page = {0};
  char *path = NULL;
  TRY(path_join(&path, folder, written[0].name));
  bool there = file_is_there(path);
  Status status = there ? file_map(path, &page) : fail_foreign(folder, first);
  if (status == STATUS_OK &&
      (page.size < strlen(REPORT_HEAD) || memcmp(page.bytes, REPORT_HEAD, strlen(REPORT_HEAD)) != 0))
    status = fail_foreign(folder, written[0].name);
  file_unmap(&page);
  free(path);
  return status;
}

/// A report replaces nothing but a report: in a folder that is not empty, all must be of one.
static Status check_folder(const char *folder) {
  char **names = NULL;
  size_t count = 0;
  TRY(file_check_link(folder));
  if (!file_is_directory(folder)) return STATUS_OK;
  TRY(directory_list(folder, &names, &count));
  Status status = STATUS_OK;
  for (size_t i = 0; i < count && status == STATUS_OK; i++) status = check_entry(folder, names[i]);
  if (status == STATUS_OK && count > 0) status = check_page(folder, names[0]);
  directory_free_list(names);
  return status;
}

// ---- writing ----

static Status write_file(const char *folder, const char *name, const Str *text) {
  char *path = NULL;
  TRY(path_join(&path, folder, name));
  Status status = file_write_atomic(path, str_text(text), text->size);
  free(path);
  return status;
}

static Status write_results(const char *folder, const ReportOutput *report) {
  char *path = NULL;
  if (report->result_count == 0) return STATUS_OK;
  TRY(path_join(&path, folder, ".eval_results"));
  Status status = directory_create(path);
  for (size_t i = 0; i < report->result_count && status == STATUS_OK; i++)
    status = write_file(path, report->results[i].name, &report->results[i].text);
  free(path);
  return status;
}

/// As SVG, light or dark as the reader's screen is, and as PNG with two pixels to a unit.
static Status write_picture(const char *folder, const ReportPicture *picture) {
  Str svg = {0}, png = {0};
  char *name = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(picture_svg(picture->picture, PLOT_AUTO, &svg));
  TRY_CLEAN(picture_png(picture->picture, PLOT_LIGHT, 2, &png));
  TRY_CLEAN(str_format(&name, "%s.svg", picture->name));
  TRY_CLEAN(write_file(folder, name, &svg));
  free(name);
  name = NULL;
  TRY_CLEAN(str_format(&name, "%s.png", picture->name));
  TRY_CLEAN(write_file(folder, name, &png));
cleanup:
  free(name);
  str_free(&svg);
  str_free(&png);
  return status;
}

static Status write_pictures(const char *folder, const ReportOutput *report) {
  char *path = NULL;
  TRY(path_join(&path, folder, "pictures"));
  Status status = directory_create(path);
  for (size_t i = 0; i < report->picture_count && status == STATUS_OK; i++)
    status = write_picture(path, &report->pictures[i]);
  free(path);
  return status;
}

static Status write_into(const char *folder, const ReportOutput *report) {
  TRY(write_file(folder, "report.html", &report->page));
  if (report->card.size > 0) TRY(write_file(folder, "MODEL_CARD.md", &report->card));
  if (report->card.size == 0)
    log_say(LOG_NOTE, "no MODEL_CARD.md: the run has no README.md to begin it with");
  TRY(write_results(folder, report));
  return pictures ? write_pictures(folder, report) : STATUS_OK;
}

static Status write_folder(const char *folder, const ReportOutput *report) {
  AtomicDir anew = {0};
  Status status = STATUS_OK;
  TRY_CLEAN(atomic_dir_begin(folder, &anew));
  TRY_CLEAN(write_into(anew.partial, report));
  TRY_CLEAN(atomic_dir_commit(&anew));
cleanup:
  atomic_dir_abort(&anew);
  return status;
}

/// The run's own folder is made anew, so that nothing of an earlier report is left in it; in a folder that
/// was asked for and is there, nothing is removed.
static Status write_report(const char *folder, const ReportOutput *report) {
  bool keep = output != NULL && file_is_there(output);
  if (keep) TRY(directory_create(folder));
  TRY(keep ? write_into(folder, report) : write_folder(folder, report));
  TRY(visible_print_name(stdout, folder));
  printf("/report.html: open it in any browser\n");
  return STATUS_OK;
}

Status cmd_report(int argc, char **argv) {
  const char *run = NULL;
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, &run, &helped));
  if (helped) return STATUS_OK;
  TRY(args_need(&usage, run, "RUN"));
  ReportJob job = {0};
  ReportOutput report = {0};
  char *folder = NULL;
  Status status = STATUS_OK;
  TRY_CLEAN(output != NULL ? str_copy(&folder, output, strlen(output)) : path_join(&folder, run, "report"));
  TRY_CLEAN(check_folder(folder));
  TRY_CLEAN(job_open(&job, run));
  TRY_CLEAN(report_make(&job.input, &report));
  TRY_CLEAN(write_report(folder, &report));
cleanup:
  free(folder);
  report_free(&report);
  job_close(&job);
  return status;
}
