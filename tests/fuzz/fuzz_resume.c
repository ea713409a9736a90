// What a resumed run reads: trainer_state.json, and after a line "----" metrics.jsonl. The first part is read
// as an adapter_base.json too.
#include "fuzz.h"

#include "checkpoint.h"
#include "io/file.h"
#include "io/json.h"
#include "track/jsonlines.h"
#include <string.h>

enum { MAX_STEPS = 6 };

static Setting list[] = {{"train.learning_rate", "0.002", SETTING_DECIDES},
                         {"train.max_steps", "6", SETTING_EXTENDS},
                         {"train.micro_batch_size", "3", SETTING_ROUNDS}};
static Settings settings = {.list = list, .count = sizeof list / sizeof list[0]};
static Settings extending = {.list = list, .count = sizeof list / sizeof list[0], .extend = true};

static void read_metrics(const uint8_t *bytes, size_t size) {
  const char *path = fuzz_file("metrics.jsonl", bytes, size);
  JsonLines *lines = NULL;
  if (!fuzz_accepted(jsonlines_open(path, 3, &lines))) return;
  jsonlines_close(lines);
  MappedFile once = {0}, twice = {0};
  FUZZ_CHECK(file_map(path, &once) == STATUS_OK);
  FUZZ_CHECK(jsonlines_open(path, 3, &lines) == STATUS_OK);
  jsonlines_close(lines);
  FUZZ_CHECK(file_map(path, &twice) == STATUS_OK); // cutting twice changes nothing more
  FUZZ_CHECK(once.size == twice.size && memcmp(once.bytes, twice.bytes, once.size) == 0);
  file_unmap(&once);
  file_unmap(&twice);
}

/// One and the same checkpoint is never both resumed and extended.
static void read_checkpoint(const char *path) {
  TrainState plain = {0}, extended = {0};
  cJSON *object = NULL;
  bool resumed = fuzz_accepted(checkpoint_read(path, &settings, &plain));
  if (fuzz_accepted(checkpoint_read(path, &extending, &extended))) {
    FUZZ_CHECK(!resumed);
    FUZZ_CHECK(extended.extended_from < MAX_STEPS);
  }
  FUZZ_CHECK(json_parse_file(fuzz_path("run/step_1/" CHECKPOINT_STATE), &object) == STATUS_OK);
  settings_note_rounding(&settings, object);
  cJSON_Delete(object);
}

/// What is accepted without force is accepted with it.
static void read_base(const uint8_t *bytes, size_t size) {
  ModelIdentity identity = {.weights = "none", .tokenizer = "none", .constants = "rope 1"};
  (void)fuzz_file("adapter_base.json", bytes, size);
  if (fuzz_accepted(identity_check_adapter(&identity, "model", fuzz_path(""), false)))
    FUZZ_CHECK(identity_check_adapter(&identity, "model", fuzz_path(""), true) == STATUS_OK);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  static bool ready;
  if (!ready) FUZZ_CHECK(directory_create(fuzz_path("run/step_1")) == STATUS_OK);
  ready = true;
  FuzzParts parts = fuzz_cut(bytes, size);
  (void)fuzz_file("run/step_1/" CHECKPOINT_STATE, parts.first, parts.first_size);
  char *found = NULL;
  if (fuzz_accepted(checkpoint_find(fuzz_path("run"), true, &found)) && found != NULL) read_checkpoint(found);
  free(found);
  read_metrics(parts.second, parts.second_size);
  read_base(parts.first, parts.first_size);
  return 0;
}
