// What a resumed run reads: trainer_state.json, and after a line "----" metrics.jsonl. The run is planned, on the model of
// tests/golden/llama: no device is needed.
#include "fuzz.h"

#include "io/file.h"
#include "support/train_fixture.h"
#include "track/jsonlines.h"
#include "trainer.h"
#include <string.h>

static TrainFixture fixture;
static Trainer trainer;

static void create_trainer(void) {
  Ops *ops = NULL;
  FUZZ_CHECK(ops_create_plan(NULL, &ops) == STATUS_OK);
  train_fixture_open(&fixture, "llama", ops);
  trainer = (Trainer){.job = &fixture.job, .plan = true};
  FUZZ_CHECK(trainer_create(&trainer) == STATUS_OK);
  FUZZ_CHECK(directory_create(fuzz_path("run/step_1")) == STATUS_OK);
}

static void read_metrics(const uint8_t *bytes, size_t size) {
  const char *path = fuzz_file("metrics.jsonl", bytes, size);
  JsonLines *lines = NULL;
  if (!fuzz_accepted(jsonlines_open(path, 3, &lines))) return;
  jsonlines_close(lines);
  MappedFile once = {0}, twice = {0};
  FUZZ_CHECK(file_map(path, &once) == STATUS_OK);
  FUZZ_CHECK(jsonlines_open(path, 3, &lines) == STATUS_OK);
  jsonlines_close(lines);
  FUZZ_CHECK(file_map(path, &twice) == STATUS_OK); // what was cut once stays as it is
  FUZZ_CHECK(once.size == twice.size && memcmp(once.bytes, twice.bytes, once.size) == 0);
  file_unmap(&once);
  file_unmap(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
  if (trainer.job == NULL) create_trainer();
  FuzzParts parts = fuzz_cut(bytes, size);
  (void)fuzz_file("run/step_1/" CHECKPOINT_STATE, parts.first, parts.first_size);
  char *found = NULL;
  if (fuzz_accepted(checkpoint_find(fuzz_path("run"), &found)) && found != NULL) {
    (void)fuzz_accepted(checkpoint_load(&trainer, found));
    free(found);
  }
  read_metrics(parts.second, parts.second_size);
  return 0;
}
