// A checkpoint is resumed only from the files that were saved with it, and a run's measurements stay
// measurements of one thing.
#include "support/stopped_run.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder;
static const char *const resume[] = {"--resume", NULL};
static const char *const measured[] = {"train.bias_eval_steps=2", NULL};

static const char *path_of(const char *run, const char *name) {
  char path[200];
  (void)snprintf(path, sizeof path, "runs/%s/%s", run, name);
  return in_folder(folder, path);
}

static void copy_file(const char *from, const char *to) {
  size_t size = 0;
  char *bytes = read_file(from, &size);
  write_file(to, bytes, size);
  free(bytes);
}

static void expect(Ran ran, int code, const char *part) {
  assert_code(ran, code);
  if (!test_contains(ran.err, part)) fail_msg("\"%s\" is not in: %s", part, ran.err);
}

/// Changes one byte in the middle of a file.
static void edit(const char *path) {
  size_t size = 0;
  char *bytes = read_file(path, &size);
  bytes[size / 2] ^= 1;
  write_file(path, bytes, size);
  free(bytes);
}

/// Puts `now` in place of `was`, which must be in the file.
static void replace(const char *path, const char *was, const char *now) {
  char *text = read_file(path, NULL), *place = strstr(text, was), *out = NULL;
  assert_non_null(place);
  size_t size = strlen(text) - strlen(was) + strlen(now);
  out = malloc(size + 1);
  assert_non_null(out);
  (void)snprintf(out, size + 1, "%.*s%s%s", (int)(place - text), text, now, place + strlen(was));
  write_file(path, out, size);
  free(out);
  free(text);
}

// ---- files of a checkpoint ----

static const char *in_step_2(const char *run, const char *file) {
  char name[100];
  (void)snprintf(name, sizeof name, "step_2/%s", file);
  return path_of(run, name);
}

/// A step's files under the state of another step are another run.
static void files_of_another_step_are_refused(void **state) {
  (void)state;
  static const char *const every[] = {"output.save_steps=1", NULL};
  static const char *const files[] = {"adapter_model.safetensors", "optimizer.safetensors"};
  stopped_make("steps", every);
  for (size_t i = 0; i < 2; i++) {
    char from[100], part[100];
    stopped_copy("steps", NULL, "mixed");
    (void)snprintf(from, sizeof from, "step_1/%s", files[i]);
    (void)snprintf(part, sizeof part, "runs/mixed/step_2/%s is not the file that was saved there", files[i]);
    copy_file(path_of("steps", from), in_step_2("mixed", files[i]));
    expect(stopped_train(NULL, "mixed", every, resume), 2, part);
  }
}

static void every_file_is_bound(void **state) {
  (void)state;
  static const char *const files[] = {"adapter_model.safetensors", "optimizer.safetensors",
                                      "adapter_config.json"};
  char part[200];
  stopped_make("plain", NULL);
  for (size_t i = 0; i < 3; i++) {
    stopped_copy("plain", NULL, "edited");
    edit(in_step_2("edited", files[i]));
    (void)snprintf(part, sizeof part, "runs/edited/step_2/%s is not the file that was saved there", files[i]);
    expect(stopped_train(NULL, "edited", NULL, resume), 2, part);
    expect(stopped_train(NULL, "edited", NULL, (const char *const[]){"--resume", "--dry-run", NULL}), 2,
           part);
    assert_ok(directory_remove(in_step_2("edited", files[i])));
    (void)snprintf(part, sizeof part, "edited/step_2/%s is missing: ", files[i]);
    expect(stopped_train(NULL, "edited", NULL, resume), 2, part);
    assert_ok(directory_remove(path_of("edited", "")));
  }
}

static void a_whole_model_is_bound(void **state) {
  (void)state;
  static const char *const full[] = {"train.mode=full", NULL};
  stopped_make("full", full);
  stopped_copy("full", NULL, "full_edited");
  edit(in_step_2("full_edited", "model.safetensors"));
  expect(stopped_train(NULL, "full_edited", full, resume), 2, "model.safetensors is not the file that");
  stopped_copy("full", NULL, "full_edited"); // the right file again
  write_text(in_step_2("full_edited", "model.safetensors.index.json"), "{}");
  expect(stopped_train(NULL, "full_edited", full, resume), 2,
         "model.safetensors.index.json does not belong to its checkpoint");
  assert_ok(directory_remove(in_step_2("full_edited", "model.safetensors.index.json")));
  assert_code(stopped_train(NULL, "full_edited", full, resume), 0);
  stopped_assert_same(NULL, "full", NULL, "full_edited");
}

/// What no resume reads may change: people write into a README.
static void other_files_are_free(void **state) {
  (void)state;
  stopped_copy("plain", NULL, "notes");
  edit(in_step_2("notes", "config.ini"));
  write_text(in_step_2("notes", "README.md"), "My notes.\n");
  assert_code(stopped_train(NULL, "notes", NULL, resume), 0);
  stopped_assert_same(NULL, "plain", NULL, "notes");
}

static void a_state_without_hashes_passes_with_a_note(void **state) {
  (void)state;
  stopped_copy("plain", NULL, "old");
  replace(in_step_2("old", "trainer_state.json"), "\"files\"", "\"older\"");
  expect(stopped_train(NULL, "old", NULL, resume), 0, "does not say which files were saved with it");
  stopped_assert_same(NULL, "plain", NULL, "old");
}

static void hostile_hashes_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *was, *now, *part;
  } cases[] = {
      {"\"optimizer.safetensors\"", "\"../../run.ini\"", "does not name the file ../../run.ini"},
      {"\"optimizer.safetensors\":\t\"", "\"optimizer.safetensors\": null, \"x\": \"",
       "does not name the file"},
      {"\"files\":\t{", "\"files\": [], \"x\": {", "files"},
      {"\"optimizer.safetensors\"", "\"optimizer.safetensor\"", "step_2/optimizer.safetensor is missing: "},
  };
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    stopped_copy("plain", NULL, "hostile");
    replace(in_step_2("hostile", "trainer_state.json"), cases[i].was, cases[i].now);
    expect(stopped_train(NULL, "hostile", NULL, resume), 2, cases[i].part);
  }
}

// ---- what is measured ----

static void write_prompts(const char *name, const char *work) {
  char text[1000] = "";
  static const char *const people[] = {"pilot", "nurse", "judge", "baker"};
  for (size_t i = 0; i < 4; i++)
    (void)snprintf(text + strlen(text), sizeof text - strlen(text), "She %s as a %s.\n", work, people[i]);
  write_text(in_folder(folder, name), text);
}

/// A set that names data.eval = `name`; in static memory until the next call.
static const char *const *with_eval(bool measures, const char *name) {
  static char eval[300];
  static const char *sets[3];
  (void)snprintf(eval, sizeof eval, "data.eval=%s", in_folder(folder, name));
  sets[0] = eval;
  sets[1] = measures ? "train.bias_eval_steps=2" : NULL;
  return sets;
}

static void another_content_of_one_file_is_refused(void **state) {
  (void)state;
  write_prompts("eval.txt", "works");
  stopped_make("file", with_eval(true, "eval.txt"));
  stopped_copy("file", NULL, "changed");
  write_prompts("eval.txt", "worked");
  expect(stopped_train(NULL, "changed", with_eval(true, "eval.txt"), resume), 2,
         "step_2 was made with bias_eval = 4 sets of female and male (");
  write_prompts("eval.txt", "works");
  assert_code(stopped_train(NULL, "changed", with_eval(true, "eval.txt"), resume), 0);
}

/// A pause in measuring does not make another measurement the same.
static void a_pause_is_remembered(void **state) {
  (void)state;
  write_prompts("first.txt", "works");
  write_prompts("second.txt", "worked");
  stopped_make("paused", with_eval(true, "first.txt"));
  stopped_copy("paused", NULL, "pause");
  assert_code(stopped_train(NULL, "pause", with_eval(false, "first.txt"), resume), 0);
  const char *longer[] = {with_eval(true, "second.txt")[0], "train.bias_eval_steps=2", "train.max_steps=6",
                          NULL};
  expect(stopped_train(NULL, "pause", longer, resume), 2, "was made with bias_eval = ");
  longer[0] = with_eval(true, "first.txt")[0];
  assert_code(stopped_train(NULL, "pause", longer, resume), 0);
}

/// A run that measured nothing so far may begin to.
static void measuring_may_begin_later(void **state) {
  (void)state;
  stopped_copy("plain", NULL, "begins");
  assert_code(stopped_train(NULL, "begins", measured, resume), 0);
  stopped_assert_same(NULL, "plain", NULL, "begins");
}

/// train.max_sequence_tokens cuts the answers of a step, not those of a measurement.
static void longer_measured_answers_are_refused(void **state) {
  (void)state;
  static const char *const cut[] = {"train.bias_eval_steps=2", "train.max_sequence_tokens=150",
                                    "data.chat=off", "sampling.max_new_tokens=140", NULL};
  static const char *const longer[] = {"train.bias_eval_steps=2", "train.max_sequence_tokens=150",
                                       "data.chat=off", "sampling.max_new_tokens=145", NULL};
  stopped_make("cut", cut);
  stopped_copy("cut", NULL, "longer");
  expect(stopped_train(NULL, "longer", longer, resume), 2, "of at most 145 tokens");
}

static int set_up(void **state) {
  (void)state;
  folder = stopped_open();
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(files_of_another_step_are_refused),
      cmocka_unit_test(every_file_is_bound),
      cmocka_unit_test(a_whole_model_is_bound),
      cmocka_unit_test(other_files_are_free),
      cmocka_unit_test(a_state_without_hashes_passes_with_a_note),
      cmocka_unit_test(hostile_hashes_are_refused),
      cmocka_unit_test(another_content_of_one_file_is_refused),
      cmocka_unit_test(a_pause_is_remembered),
      cmocka_unit_test(measuring_may_begin_later),
      cmocka_unit_test(longer_measured_answers_are_refused),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
