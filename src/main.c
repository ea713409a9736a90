// gee-cl: the table of subcommands, and the only place where a Status becomes a message and an exit code.
#include "cli.h"
#include "provenance.h"
#include "util/log.h"
#include "visible.h"
#include "wrap.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

const char *program_name = "gee-cl";

typedef struct Command {
  const char *name;
  CommandRun run;
  const char *summary;
} Command;

static Status cmd_version(int argc, char **argv) {
  static const Usage usage = {"version", "Print the version and the revision of the source.", NULL, NULL,
                              "  gee-cl version"};
  bool helped = false;
  TRY(args_parse(&usage, argc, argv, NULL, &helped));
  if (!helped) puts(provenance_program());
  return STATUS_OK;
}

static Status cmd_help(int argc, char **argv);

static const Command commands[] = {
    {"train", cmd_train, "Train a model with GEE as a config says."},
    {"gap", cmd_gap, "Measure the entropy gap between groups, with its interval."},
    {"eval", cmd_eval, "Run benchmarks of bias and skill."},
    {"compare", cmd_compare, "Compare the benchmark results of models."},
    {"verify", cmd_verify, "Check results and runs against their files."},
    {"generate", cmd_generate, "Let a model answer a prompt."},
    {"score", cmd_score, "Compute log probabilities and entropies of given answers."},
    {"export", cmd_export, "Merge an adapter into a Hugging Face folder."},
    {"init", cmd_init, "Write a model with random weights."},
    {"data", cmd_data, "Show the prompts that training will see."},
    {"report", cmd_report, "Write a report on a run, for an auditor."},
    {"devices", cmd_devices, "List the devices of this machine."},
    {"doctor", cmd_doctor, "Say what this machine lacks, and how to install it."},
    {"selftest", cmd_selftest, "Check every operation on a device."},
    {"bench", cmd_bench, "Measure how fast a model runs on a device."},
    {"tune", cmd_tune, "Find a GPU's fastest matrix products, and keep the choice."},
    {"version", cmd_version, "Print the version and the revision of the source."},
    {"help", cmd_help, "Show the help of a subcommand."},
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const Command *find_command(const char *name) {
  for (size_t i = 0; i < COMMANDS; i++) {
    if (strcmp(commands[i].name, name) == 0) return &commands[i];
  }
  return NULL;
}

/// Words of other programs, and what does it here.
static const char *const OTHER_WORDS[][2] = {
    {"evaluate", "gee-cl eval runs benchmarks, and gee-cl gap measures the entropy gap"},
    {"measure", "gee-cl gap measures the entropy gap, and gee-cl eval runs benchmarks"},
    {"benchmark", "gee-cl eval runs benchmarks of a model, and gee-cl bench measures speed"},
    {"speed", "gee-cl bench measures speed"},
    {"profile", "gee-cl bench measures speed"},
    {"autotune", "gee-cl tune finds a GPU's fastest products"},
    {"lm_eval", "gee-cl eval runs benchmarks"},
    {"diff",
     "gee-cl compare compares benchmark results, and gee-cl gap --adapter A a model before and after"},
    {"plot", "gee-cl report draws the curves of a run"},
    {"audit", "gee-cl report writes a page for an auditor, and gee-cl verify checks a benchmark result"},
    {"model-card", "gee-cl report writes a model card"},
    {"chat", "gee-cl generate --chat answers a prompt"},
    {"run", "gee-cl generate answers a prompt, and gee-cl train trains"},
    {"infer", "gee-cl generate answers a prompt"},
    {"inference", "gee-cl generate answers a prompt"},
    {"predict", "gee-cl generate answers a prompt"},
    {"perplexity", "gee-cl score gives the log probability of each token of an answer"},
    {"finetune", "gee-cl train trains"},
    {"fine-tune", "gee-cl train trains"},
    {"fit", "gee-cl train trains"},
    {"resume", "gee-cl train CONFIG --resume continues a run"},
    {"merge", "gee-cl export merges an adapter into its model"},
    {"convert", "gee-cl export writes a Hugging Face folder"},
    {"save", "gee-cl export writes a Hugging Face folder"},
    {"test", "gee-cl selftest checks a device"},
    {"check", "gee-cl doctor checks this machine, and gee-cl selftest a device"},
    {"info", "gee-cl doctor shows this machine, and gee-cl devices its devices"},
    {"dataset", "gee-cl data shows the prompts"},
    {"prompts", "gee-cl data shows the prompts"},
    {"config", "gee-cl train --help-config prints a config with every key"},
    {"new", "gee-cl init writes a model with random weights"},
    {"create", "gee-cl init writes a model with random weights"},
    {"random", "gee-cl init writes a model with random weights"},
};

static Status fail_command(const char *name) {
  for (size_t i = 0; i < sizeof OTHER_WORDS / sizeof *OTHER_WORDS; i++) {
    if (strcasecmp(name, OTHER_WORDS[i][0]) == 0)
      return status_fail(STATUS_INPUT, "there is no subcommand \"%s\"; %s", name, OTHER_WORDS[i][1]);
  }
  const char *words[COMMANDS + 1] = {NULL};
  for (size_t i = 0; i < COMMANDS; i++) words[i] = commands[i].name;
  const char *nearest = str_nearest(name, words);
  if (nearest == NULL)
    return status_fail(STATUS_INPUT, "unknown subcommand \"%.100s\"; see gee-cl help", name);
  return status_fail(STATUS_INPUT, "unknown subcommand \"%.100s\"; did you mean %s?", name, nearest);
}

static void print_overview(FILE *stream) {
  (void)fprintf(stream,
                "gee-cl %s: trains language models with Group-Entropy Equalization, by CUDA or OpenCL.\n\n"
                "Usage: gee-cl SUBCOMMAND [options]\n\n",
                GEE_VERSION);
  for (size_t i = 0; i < COMMANDS; i++)
    (void)fprintf(stream, "  %s%-10s%s %s\n", style(stream, STYLE_BOLD), commands[i].name,
                  style(stream, STYLE_PLAIN), commands[i].summary);
  (void)fputs("\nTry:  gee-cl devices\n"
              "      gee-cl train configs/quickstart.ini\n"
              "      gee-cl help train\n",
              stream);
}

static Status cmd_help(int argc, char **argv) {
  if (argc == 0 || argv[0][0] == '-') {
    print_overview(stdout);
    return STATUS_OK;
  }
  const Command *command = find_command(argv[0]);
  if (command == NULL) return fail_command(argv[0]);
  if (command->run == cmd_help) return cmd_help(0, NULL);
  char help[] = "--help", *words[] = {help};
  return command->run(1, words);
}

/// "gee-cl: word: text": one line in a file, wrapped on a terminal. If memory is short, the text is shown as
/// it is.
static void say_message(Style tone, const char *word, const char *text) {
  Str shown = {0}, wrapped = {0};
  size_t used = strlen("gee-cl: : ") + strlen(word);
  if (visible_append_for(stderr, &shown, text, strlen(text)) == STATUS_OK) text = str_text(&shown);
  if (wrap_append(&wrapped, text, used, "  ", message_width(stderr)) != STATUS_OK) str_clear(&wrapped);
  say("gee-cl: %s%s:%s %s", style(stderr, tone), word, style(stderr, STYLE_PLAIN),
      wrapped.size > 0 ? str_text(&wrapped) : text);
  str_free(&shown);
  str_free(&wrapped);
}

static void show_log(LogLevel level, const char *line, void *user) {
  (void)user;
  if (level == LOG_WARNING)
    say_message(STYLE_YELLOW, "warning", line);
  else
    say_message(STYLE_DIM, "note", line);
}

static Status run_command(int argc, char **argv) {
  if (argc < 2) {
    print_overview(stderr);
    return status_fail(STATUS_INPUT, "no subcommand given");
  }
  const char *name = argv[1];
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
  if (strcmp(name, "--version") == 0) name = "version";
  const Command *command = find_command(name);
  return command != NULL ? command->run(argc - 2, argv + 2) : fail_command(name);
}

/// A standard stream that the caller has closed would be the next file that is opened, and what is meant for
/// the screen would be written into it. /dev/null is opened in its place, for reading: writing still fails.
static void open_standard_streams(void) {
  for (int descriptor = STDIN_FILENO; descriptor <= STDERR_FILENO; descriptor++) {
    if (fcntl(descriptor, F_GETFD) < 0 && errno == EBADF) (void)open("/dev/null", O_RDONLY);
  }
}

int main(int argc, char **argv) {
  open_standard_streams();
  remember_signals();
  if (argc > 0) program_name = argv[0];
  (void)signal(SIGXFSZ, SIG_IGN); // a file over its size limit: a failed write, like a full disk
  log_set_sink(show_log, NULL);
  Status status = run_command(argc, argv);
  if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == STATUS_OK)
    status = status_fail(STATUS_FAILED, "cannot write the output");
  if (status == STATUS_INTERRUPTED)
    say_message(STYLE_YELLOW, "interrupted", status_message());
  else if (status != STATUS_OK)
    say_message(STYLE_RED, "error", status_message());
  return (int)status;
}
