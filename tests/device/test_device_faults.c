// Every allocation fails once, and from then on: while devices are listed, while one is opened, and while
// buffers, views, programs and kernels are made on it.
#include "support/alloc_faults.h"
#include "support/kernel_words.h"

#include "device/device.h"
#include <stdio.h>
#include <stdlib.h>

static const char source[] =
    KERNEL_WORDS "KERNEL fill(GLOBAL float *out, float value) { out[ITEM] = value; }";

static DeviceOptions options = {.cache_directory = ""};

static Status list(void *user) {
  DeviceInfo *devices = NULL;
  size_t count = 0;
  (void)user;
  Status status = device_list(&devices, &count);
  if (status != STATUS_OK) assert_null(devices);
  free(devices);
  return status;
}

static Status open_and_close(void *user) {
  Device *device = NULL;
  (void)user;
  Status status = device_open(&options, &device);
  if (status != STATUS_OK) assert_null(device);
  device_close(device);
  return status;
}

/// A kernel fills a view, and the result is read through the whole buffer.
static Status compute(void *user) {
  static const size_t groups[3] = {1, 1, 1}, items[3] = {16, 1, 1};
  Device *device = user;
  size_t offset = device_info(device)->view_alignment;
  Buffer *buffer = NULL, *view = NULL;
  Program *program = NULL;
  Kernel *kernel = NULL;
  float value = 2, found = 0;
  Status status = STATUS_OK;
  TRY_CLEAN(buffer_create(device, 2 * offset, &buffer));
  TRY_CLEAN(buffer_view(buffer, offset, 16 * sizeof(float), &view));
  TRY_CLEAN(program_create(device, "probe", source, "", &program));
  TRY_CLEAN(kernel_create(program, "fill", &kernel));
  const KernelArgument arguments[] = {{.buffer = view}, {.value = &value, .size = sizeof value}};
  TRY_CLEAN(kernel_launch(kernel, groups, items, arguments, 2));
  TRY_CLEAN(buffer_read(buffer, offset, &found, sizeof found));
  assert_true(found == 2.0f);
cleanup:
  kernel_free(kernel);
  program_free(program);
  buffer_free(view);
  buffer_free(buffer);
  return status;
}

static void sweep(const char *name, Status (*run)(void *), void *user) {
  FaultSweep all = {.name = name, .run = run, .user = user};
  faults_sweep(&all);
}

static void lists_and_opens(void **state) {
  (void)state;
  sweep("listing devices", list, NULL);
  sweep("opening a device", open_and_close, NULL);
}

static void computes(void **state) {
  (void)state;
  Device *device = NULL;
  assert_ok(device_open(&options, &device));
  sweep("a kernel on a view", compute, device);
  device_close(device);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(lists_and_opens),
      cmocka_unit_test(computes),
  };
  Device *device = NULL;
  options.name = getenv("GEE_TEST_DEVICE");
  if (device_open(&options, &device) != STATUS_OK) {
    (void)fprintf(stderr, "skipped: %s\n", status_message());
    return TEST_SKIPPED;
  }
  device_close(device);
  return cmocka_run_group_tests(tests, NULL, NULL);
}
