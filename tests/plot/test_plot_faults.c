// Every allocation of a chart failing: a message about memory, and nothing left.
#include "samples.h"
#include "support/alloc_faults.h"

#include <string.h>

static Status draw(void *user) {
  const struct Sample *sample = user;
  Picture *picture = NULL;
  Str svg = {0};
  Status status = sample->draw(480, &picture);
  if (status == STATUS_OK) status = picture_svg(picture, PLOT_AUTO, &svg);
  picture_free(picture);
  str_free(&svg);
  return status;
}

static void every_chart(void **state) {
  (void)state;
  for (size_t i = 0; i < SAMPLE_COUNT; i++) {
    struct Sample sample = SAMPLES[i];
    faults_sweep(&(FaultSweep){sample.name, draw, NULL, &sample});
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(every_chart)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
