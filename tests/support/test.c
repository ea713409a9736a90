// What tests share. Rule: a distance is NaN if any number is not finite, so `!(error <= tolerance)` refuses
// it.
#include "support/test.h"

#include "io/file.h"
#include "util/rng.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool test_contains(const char *text, const char *part) {
  return strstr(text, part) != NULL;
}

static char folders[64][256];
static size_t folder_count;

static void remove_folders(void) {
  for (size_t i = 0; i < folder_count; i++) (void)!directory_remove(folders[i]);
}

const char *test_folder(void) {
  const char *root = getenv("TMPDIR");
  if (folder_count == 64) fail_msg("a test program has 64 folders; use one again");
  char *path = folders[folder_count];
  (void)snprintf(path, sizeof folders[0], "%s/gee-test-XXXXXX", root != NULL ? root : "/tmp");
  if (mkdtemp(path) == NULL) return NULL;
  if (folder_count++ == 0) (void)atexit(remove_folders);
  return path;
}

const char *test_shared(void) {
  static char path[1024];
  const char *set = getenv("GEE_SHARED");
  (void)snprintf(path, sizeof path, "%s", set != NULL ? set : GEE_SOURCE_DIR "/../shared");
  return file_is_directory(path) ? path : NULL;
}

const char *test_smollm2(void) {
  static char path[1024];
  const char *set = getenv("GEE_SMOLLM2");
  (void)snprintf(path, sizeof path, "%s",
                 set != NULL ? set : GEE_SOURCE_DIR "/models/SmolLM2-135M-Instruct.Q4_1.gguf");
  return file_exists(path) ? path : NULL;
}

void test_random(float *out, size_t count, uint64_t seed) {
  for (size_t i = 0; i < count; i++) {
    out[i] = 2.0f * rng_uniform(seed, RNG_DATA, (uint32_t)i, (uint32_t)(i >> 32), 77) - 1.0f;
  }
}

double test_relative_l2(const float *a, const double *b, size_t count) {
  double error = 0, norm = 0;
  for (size_t i = 0; i < count; i++) {
    double difference = (double)a[i] - b[i];
    error += difference * difference;
    norm += b[i] * b[i];
  }
  double distance = norm > 0 ? sqrt(error / norm) : sqrt(error);
  return isfinite(distance) ? distance : NAN;
}
