// --profile: the trace is JSON whose spans nest, every command of the device is in it once and in the table,
// and no bit of a result changes.
#include "support/json_tree.h"
#include "support/process.h"
#include "support/tiny_model.h"

#include "util/str.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DEPTH = 32 };

static const char *folder;

static int write_model(void **state) {
  (void)state;
  folder = test_folder();
  tiny_model_write(folder);
  return 0;
}

static const char *text(const cJSON *object, const char *key) {
  const cJSON *item = cJSON_GetObjectItem(object, key);
  if (!cJSON_IsString(item)) fail_msg("%s is no text", key);
  return item->valuestring;
}

/// Whole nanoseconds of a number of microseconds.
static long long nanoseconds(const cJSON *event, const char *key) {
  const cJSON *item = cJSON_GetObjectItem(event, key);
  if (!cJSON_IsNumber(item)) fail_msg("%s is no number", key);
  return llround(1e3 * item->valuedouble);
}

/// What a trace says.
typedef struct Trace {
  size_t commands, operations, phases;
  double seconds;        // of all commands
  size_t outside;        // commands that are in no operation
  char phases_seen[512]; // "/step/sample/prefill", each once
} Trace;

typedef struct Open {
  long long end;
  const cJSON *event;
} Open;

static bool is(const cJSON *event, const char *category) {
  return strcmp(text(event, "cat"), category) == 0;
}

static void note_phase(Trace *trace, const char *name) {
  char word[64];
  (void)snprintf(word, sizeof word, "/%s/", name);
  if (strstr(trace->phases_seen, word) != NULL) return;
  (void)strncat(trace->phases_seen, word, sizeof trace->phases_seen - strlen(trace->phases_seen) - 1);
}

/// Every event begins and ends within those that are open, as it lies within them in the file.
static void take_event(Trace *trace, const cJSON *event, Open *open, size_t *depth) {
  long long start = nanoseconds(event, "ts"), end = start + nanoseconds(event, "dur");
  assert_true(start >= 0 && end >= start);
  while (*depth > 0 && (open[*depth - 1].end <= start && !(open[*depth - 1].end == start && end == start)))
    (*depth)--;
  if (*depth > 0 && end > open[*depth - 1].end)
    fail_msg("%s ends behind %s, which it began in", text(event, "name"),
             text(open[*depth - 1].event, "name"));
  if (is(event, "command")) {
    trace->commands++;
    trace->seconds += 1e-9 * (double)(end - start);
    bool inside = *depth > 0 && is(open[*depth - 1].event, "operation");
    trace->outside += !inside;
    return;
  }
  trace->operations += is(event, "operation");
  trace->phases += is(event, "phase");
  if (is(event, "phase")) note_phase(trace, text(event, "name"));
  assert_true(*depth < MOST_DEPTH);
  open[(*depth)++] = (Open){end, event};
}

static Trace read_trace(const char *path) {
  char *bytes = read_file(path, NULL);
  cJSON *json = cJSON_Parse(bytes);
  Trace trace = {0};
  Open open[MOST_DEPTH];
  size_t depth = 0;
  const cJSON *event;
  free(bytes);
  assert_non_null(json);
  cJSON_ArrayForEach(event, cJSON_GetObjectItem(json, "traceEvents")) {
    if (strcmp(text(event, "ph"), "M") == 0) continue;
    assert_string_equal(text(event, "ph"), "X");
    take_event(&trace, event, open, &depth);
  }
  cJSON_Delete(json);
  return trace;
}

/// The sums of the table's rows are those of its last line and of the trace.
static void check_table(const char *err, const Trace *trace) {
  const char *line = strstr(err, "phase ");
  size_t calls = 0, commands = 0, row_calls = 0;
  double seconds = 0, row_seconds = 0, said = 0;
  char phase[32], rest[512];
  assert_non_null(line);
  for (line = strchr(line, '\n'); line != NULL; line = strchr(line + 1, '\n')) {
    (void)snprintf(rest, sizeof rest, "%.*s", (int)strcspn(line + 1, "\n"), line + 1);
    if (sscanf(rest, "%zu commands took the device %lf s", &commands, &said) == 2) break;
    if (strlen(rest) > 80) fail_msg("more than 80 columns: %s", rest);
    // "%-10s %-19s %7zu %8.3f": names may have blanks
    assert_int_equal(sscanf(rest, "%31s", phase), 1);
    assert_int_equal(sscanf(rest + 30, "%zu %lf", &row_calls, &row_seconds), 2);
    calls += row_calls;
    seconds += row_seconds;
  }
  assert_int_equal(commands, trace->commands);
  assert_true(calls >= trace->operations); // those for which the device did nothing are not in the trace
  assert_true(fabs(said - trace->seconds) <= 0.0006);
  assert_true(fabs(said - seconds) <= 0.0006 * 60);
}

static void generating_is_traced_and_changes_no_answer(void **state) {
  (void)state;
  const char *path = in_folder(folder, "generate.json");
  Ran plain =
      GEE("generate", "--model", folder, "--prompt", "abc", "--max-new-tokens", "5", "--temperature", "1");
  assert_code(plain, 0);
  char *answer = strdup(plain.out);
  Ran ran = GEE("generate", "--model", folder, "--prompt", "abc", "--max-new-tokens", "5", "--temperature",
                "1", "--profile", path);
  assert_code(ran, 0);
  assert_string_equal(ran.out, answer);
  free(answer);
  Trace trace = read_trace(path);
  check_table(ran.err, &trace);
  assert_int_equal(trace.outside, 0);
  assert_true(strstr(trace.phases_seen, "/sample/") != NULL &&
              strstr(trace.phases_seen, "/prefill/") != NULL &&
              strstr(trace.phases_seen, "/decode/") != NULL);
}

static void write_config(const char *path, const char *run) {
  Str config = {0};
  assert_ok(
      str_append_format(&config,
                        "[model]\npath = %s\n[data]\nuse_test_data = true\nmax_prompt_tokens = 24\n"
                        "target_size = 8\n[sampling]\nmax_new_tokens = 5\n[loss]\npairing = "
                        "paired\n[lora]\nrank = 4\ntargets = all\n"
                        "[train]\nmax_steps = 2\neffective_batch = 4\nmicro_batch_size = 4\n"
                        "[output]\nsave_root = %s\nrun_name = %s\nsave_steps = 0\n[track]\nsamples = true\n",
                        folder, folder, run));
  write_text(path, str_text(&config));
  str_free(&config);
}

static void training_is_traced_and_changes_no_bit(void **state) {
  (void)state;
  const char *configs[] = {in_folder(folder, "plain.ini"), in_folder(folder, "traced.ini")};
  const char *path = in_folder(folder, "train.json");
  write_config(configs[0], "plain");
  write_config(configs[1], "traced");
  assert_code(GEE("train", configs[0]), 0);
  Ran ran = GEE("train", configs[1], "--profile", path);
  assert_code(ran, 0);
  assert_same_file(in_folder(folder, "plain/final/adapter_model.safetensors"),
                   in_folder(folder, "traced/final/adapter_model.safetensors"));
  assert_same_file(in_folder(folder, "plain/samples.jsonl"), in_folder(folder, "traced/samples.jsonl"));
  Trace trace = read_trace(path);
  check_table(ran.err, &trace);
  assert_int_equal(trace.outside, 0);
  static const char *const phases[] = {"/step/",    "/sample/",   "/measure/",
                                       "/forward/", "/backward/", "/update/"};
  for (size_t i = 0; i < sizeof phases / sizeof *phases; i++)
    if (strstr(trace.phases_seen, phases[i]) == NULL)
      fail_msg("no phase %s in %s", phases[i], trace.phases_seen);
}

static void wrong_files_are_refused_before_the_work(void **state) {
  (void)state;
  ASSERT_ERROR(
      GEE("generate", "--model", folder, "--prompt", "a", "--profile", in_folder(folder, "no/trace.json")), 2,
      "--profile", "no folder");
  ASSERT_ERROR(GEE("generate", "--model", folder, "--prompt", "a", "--profile", folder), 2, "--profile",
               "folder");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(generating_is_traced_and_changes_no_answer),
      cmocka_unit_test(training_is_traced_and_changes_no_bit),
      cmocka_unit_test(wrong_files_are_refused_before_the_work),
  };
  return cmocka_run_group_tests(tests, write_model, NULL);
}
