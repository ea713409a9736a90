// Chat templates on the command line: a template that is not known is in the way only where a chat is
// rendered, and every command takes another by --chat-template.
#include "support/stopped_run.h"

#include "io/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *folder, *model, *config;

static void assert_says(Ran ran, int code, const char *part) {
  assert_code(ran, code);
  if (!test_contains(ran.err, part)) fail_msg("\"%s\" is not in: %s", part, ran.err);
}

/// The model gets a template that nobody knows; `eos` is its tokenizer's.
static void write_template(const char *text) {
  char json[1024];
  (void)snprintf(json, sizeof json, "{\"eos_token\": \"<|endoftext|>\", \"chat_template\": \"%s\"}", text);
  write_text(in_folder(model, "tokenizer_config.json"), json);
}

static const char unknown[] =
    "its chat template is not known; name one that fits with model.chat_template or --chat-template";

static void what_renders_no_chat_runs(void **state) {
  (void)state;
  const char *merged = in_folder(folder, "merged"), *adapter = in_folder(folder, "runs/named/final");
  const char *input = in_folder(folder, "in"), *output = in_folder(folder, "out");
  write_template("{{ messages }}");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n");
  assert_says(GEE("train", config), 2, unknown);
  assert_says(GEE("data", config), 2, unknown);
  assert_says(GEE("gap", config), 2, unknown);
  assert_code(GEE("data", config, "--set=data.chat=off"), 0);
  assert_code(GEE("data", config, "--chat-template", "chatml"), 0);
  Ran ran = GEE("train", config, "--chat-template=chatml", "--set=output.run_name=named");
  assert_code(ran, 0);
  assert_true(test_contains(ran.out, "--chat-template chatml")); // what it says to try works
  assert_code(GEE("gap", config, "--chat-template", "chatml", "--adapter", adapter), 0);
  // the run's own config holds it
  assert_code(GEE("gap", in_folder(folder, "runs/named/final/config.ini"), "--adapter", adapter), 0);
  assert_code(
      GEE("generate", "--model", model, "--adapter", adapter, "--prompt", "a", "--max-new-tokens", "2"), 0);
  assert_code(GEE("score", "--model", model, "--adapter", adapter, "--input", input, "--output", output), 0);
  assert_code(GEE("export", "--model", model, "--adapter", adapter, "--output", merged), 0);
}

static void every_command_takes_another_template(void **state) {
  (void)state;
  static const char *const commands[] = {"train", "data", "gap", "generate", "score", "export"};
  const char *input = in_folder(folder, "in"), *output = in_folder(folder, "out");
  write_template("{{ messages }}");
  write_text(input, "{\"prompt\": \"a\", \"answer\": \"b\"}\n");
  for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
    assert_true(test_contains(GEE(commands[i], "--help").out, "--chat-template NAME"));
  assert_says(GEE("generate", "--model", model, "--chat", "--prompt", "a"), 2, unknown);
  assert_says(GEE("score", "--model", model, "--chat", "--input", input, "--output", output), 2, unknown);
  assert_code(GEE("score", "--model", model, "--chat", "--chat-template", "zephyr", "--input", input,
                  "--output", output),
              0);
  Ran ran = GEE("generate", "--model", model, "--chat", "--chat-template", "chatml", "--prompt", "a",
                "--max-new-tokens", "1", "--json");
  assert_code(ran, 0);
  assert_true(test_contains(
      ran.out, "\"prompt_tokens\":[60,124,105,109,95,115,116,97,114,116,124,62,")); // <|im_start|>
  assert_says(GEE("generate", "--model", model, "--chat-template", "alpacca", "--prompt", "a"), 2,
              "\"alpacca\" is not known; it is auto, chatml, ");
  assert_says(
      GEE("export", "--model", model, "--chat-template", "alpacca", "--output", in_folder(folder, "new")), 2,
      "\"alpacca\"");
  assert_says(GEE("data", config, "--chat-template", "alpacca"), 2, "\"alpacca\"");
  // what the template needs and this model lacks
  assert_says(GEE("generate", "--model", model, "--chat", "--chat-template", "llama3", "--prompt", "a"), 2,
              "needs a BOS token");
}

static char *prompt_of(const char *date) {
  Ran ran = GEE("generate", "--model", model, "--chat", "--chat-template", "llama3.1", "--prompt", "a",
                "--max-new-tokens", "1", "--json", date);
  assert_code(ran, 0);
  const char *at = strstr(ran.out, "\"prompt_tokens\"");
  assert_non_null(at);
  char *copy = strndup(at, strcspn(at, "]"));
  assert_non_null(copy);
  return copy;
}

/// The day on which a prompt is rendered does not matter, unless it is given.
static void the_date_is_pinned(void **state) {
  (void)state;
  char *plain = prompt_of(NULL), *same = prompt_of("--chat-date=26 Jul 2024"),
       *other = prompt_of("--chat-date=1 Jan 2030");
  assert_string_equal(plain, same);
  assert_string_not_equal(plain, other);
  assert_says(GEE("generate", "--model", model, "--chat", "--chat-template", "chatml", "--chat-date",
                  "1 Jan 2030", "--prompt", "a"),
              2, "chatml prints none");
  free(plain);
  free(same);
  free(other);
}

static int set_up(void **state) {
  (void)state;
  folder = stopped_open();
  model = in_folder(folder, "model");
  config = in_folder(folder, "run.ini");
  return 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_renders_no_chat_runs),
      cmocka_unit_test(every_command_takes_another_template),
      cmocka_unit_test(the_date_is_pinned),
  };
  return cmocka_run_group_tests(tests, set_up, NULL);
}
