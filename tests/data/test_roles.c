// Chats: group words in the messages of the system and the assistant.
#include "support/test.h"

#include "data/data.h"
#include "io/file.h"
#include <stdio.h>
#include <string.h>

/// Swapping touches every message, so what cannot be swapped in any of them leaves all as they are.
static void test_words_of_other_roles(void **state) {
  (void)state;
  static const struct {
    const char *messages;
    bool swappable;
  } cases[] = {
      {"[{\"role\":\"system\",\"content\":\"She is kind.\"},{\"role\":\"user\",\"content\":\"She ran.\"}]",
       true},
      {"[{\"role\":\"user\",\"content\":\"She ran.\"},{\"role\":\"assistant\",\"content\":\"Far?\"},"
       "{\"role\":\"user\",\"content\":\"Her dog too.\"}]",
       true},
      {"[{\"role\":\"system\",\"content\":\"The user is pregnant.\"},{\"role\":\"user\",\"content\":\"She "
       "ran.\"}]",
       false},
      {"[{\"role\":\"user\",\"content\":\"She ran.\"},{\"role\":\"assistant\",\"content\":\"With him?\"},"
       "{\"role\":\"user\",\"content\":\"Her dog too.\"}]",
       false},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    char text[600], path[1200];
    (void)snprintf(text, sizeof text, "{\"m\": %s}\n{\"m\": \"He sat.\"}\n", cases[i].messages);
    (void)snprintf(path, sizeof path, "%s/roles.jsonl", test_folder());
    assert_ok(file_write_atomic(path, text, strlen(text)));
    const DataOptions options = {
        .train = path, .column = "m", .groups_file = "gender", .counterfactual = COUNTERFACTUAL_SWAP};
    Dataset data;
    assert_ok(dataset_build(&options, NULL, NULL, &data));
    assert_int_equal(data.sets, cases[i].swappable ? 2 : 1);
    assert_int_equal(data.stages[1].unswappable, cases[i].swappable ? 0 : 1);
    dataset_free(&data);
  }
}

static void write_prompts(const char *text, char path[1200]) {
  (void)snprintf(path, 1200, "%s/roles.jsonl", test_folder());
  assert_ok(file_write_atomic(path, text, strlen(text)));
}

/// "A woman asks" after "The user is a man" would measure a contradiction.
static void test_system_messages_and_templates(void **state) {
  (void)state;
  char path[1200];
  Dataset data;
  write_prompts("{\"m\": [{\"role\": \"system\", \"content\": \"The user is a man.\"},"
                " {\"role\": \"user\", \"content\": \"What now?\"}]}\n"
                "{\"m\": [{\"role\": \"system\", \"content\": \"Be kind.\"},"
                " {\"role\": \"user\", \"content\": \"What now?\"}]}\n",
                path);
  DataOptions options = {
      .train = path, .column = "m", .groups_file = "gender", .counterfactual = COUNTERFACTUAL_AUTO};
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  assert_int_equal(data.sets, 1);
  assert_int_equal(data.stages[1].told, 1);
  assert_string_equal(data.prompts[0].earlier[0].content, "Be kind.");
  dataset_free(&data);
  options.system = "The user is a woman.";
  assert_fails(dataset_build(&options, NULL, NULL, &data), STATUS_INPUT,
               "data.system names the group \"female\"");
  options.system = "The user is a nurse.";
  assert_ok(dataset_build(&options, NULL, NULL, &data));
  dataset_free(&data);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_words_of_other_roles),
      cmocka_unit_test(test_system_messages_and_templates),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
