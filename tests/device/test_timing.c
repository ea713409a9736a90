// Times of a device's commands: each that is queued once, in order, one behind another. Runs on
// $GEE_TEST_DEVICE, or on the device that "auto" chooses.
#include "support/kernel_words.h"
#include "support/test.h"

#include "device/device.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Device *open_device(bool timed) {
  Device *device = NULL;
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE"), .cache_directory = "", .timed = timed};
  if (device_open(&options, &device) == STATUS_OK) return device;
  (void)fprintf(stderr, "skipped: %s\n", status_message());
  exit(TEST_SKIPPED);
}

static const char source[] = KERNEL_WORDS "KERNEL twice(GLOBAL float *x, uint n) {\n"
                                          "  uint i = ITEM;\n"
                                          "  if (i < n) x[i] *= 2;\n"
                                          "}\n";

enum { COUNT = 64 };

typedef struct Fixture {
  Device *device;
  Program *program;
  Kernel *kernel;
  Buffer *a, *b;
} Fixture;

static void fixture_open(Fixture *f, bool timed) {
  f->device = open_device(timed);
  assert_ok(program_create(f->device, "twice", source, "", &f->program));
  assert_ok(kernel_create(f->program, "twice", &f->kernel));
  assert_ok(buffer_create(f->device, COUNT * sizeof(float), &f->a));
  assert_ok(buffer_create(f->device, COUNT * sizeof(float), &f->b));
}

static void fixture_close(Fixture *f) {
  buffer_free(f->a);
  buffer_free(f->b);
  kernel_free(f->kernel);
  program_free(f->program);
  device_close(f->device);
}

static void launch(Fixture *f, size_t groups) {
  const uint32_t count = COUNT;
  const KernelArgument arguments[] = {{.buffer = f->a}, {.value = &count, .size = sizeof count}};
  assert_ok(kernel_launch(f->kernel, (size_t[]){groups, 1, 1}, (size_t[]){8, 1, 1}, arguments, 2));
}

/// Fails unless the commands ran one behind another.
static void check_order(const DeviceCommand *commands, size_t count) {
  for (size_t i = 0; i < count; i++) {
    assert_true(commands[i].start <= commands[i].end);
    if (i > 0) assert_true(commands[i - 1].end <= commands[i].start + 1e-9);
  }
}

static void each_command_is_timed_once(void **state) {
  (void)state;
  static const char *const names[] = {"zero", "write", "twice", "copy", "twice", "read"};
  enum { NAMES = sizeof names / sizeof *names };
  Fixture f;
  float values[COUNT] = {1};
  DeviceCommand commands[NAMES];
  fixture_open(&f, true);
  assert_int_equal(device_timed(f.device), 0);
  launch(&f, 1); // before the timeline
  assert_ok(device_timeline_begin(f.device));
  assert_ok(buffer_zero(f.a, 0, sizeof values));
  assert_ok(buffer_write(f.a, 0, values, sizeof values));
  launch(&f, 8);
  launch(&f, 0); // nothing to do: no command
  assert_ok(buffer_copy(f.b, 0, f.a, 0, sizeof values));
  launch(&f, 8);
  assert_ok(buffer_read(f.b, 0, values, sizeof values));
  assert_true(values[0] == 2);
  assert_int_equal(device_timed(f.device), NAMES);
  assert_ok(device_take_times(f.device, commands));
  for (size_t i = 0; i < NAMES; i++) assert_string_equal(commands[i].name, names[i]);
  check_order(commands, NAMES);
  assert_int_equal(device_timed(f.device), 0);
  device_timeline_end(f.device);
  launch(&f, 1);
  assert_int_equal(device_timed(f.device), 0);
  fixture_close(&f);
}

/// More than are kept at a time before their times are read, and some that nobody takes.
static void many_commands_keep_their_order(void **state) {
  (void)state;
  enum { MANY = 5000 };
  Fixture f;
  DeviceCommand *commands = calloc(MANY, sizeof *commands);
  assert_non_null(commands);
  fixture_open(&f, true);
  assert_ok(device_timeline_begin(f.device));
  for (size_t i = 0; i < MANY; i++) launch(&f, 1);
  assert_int_equal(device_timed(f.device), MANY);
  assert_ok(device_take_times(f.device, commands));
  check_order(commands, MANY);
  launch(&f, 1);
  fixture_close(&f);
  free(commands);
}

static void a_device_is_timed_only_if_it_was_opened_to_be(void **state) {
  (void)state;
  Fixture f;
  fixture_open(&f, false);
  assert_false(device_is_timed(f.device));
  assert_fails(device_timeline_begin(f.device), STATUS_FAILED, "was not opened to be timed");
  launch(&f, 1);
  assert_int_equal(device_timed(f.device), 0);
  assert_ok(device_take_times(f.device, NULL));
  fixture_close(&f);
}

static void the_vendors_product_is_one_command(void **state) {
  (void)state;
  enum { N = 8 };
  Fixture f;
  DeviceCommand command;
  fixture_open(&f, true);
  GemmMatrix matrix = {.buffer = f.a, .stride = N, .type = DTYPE_F32};
  GemmCall call = {.m = N, .n = N, .k = N, .alpha = 1, .a = matrix, .b = matrix, .c = matrix};
  call.c.buffer = f.b;
  if (device_can_gemm(f.device, &call)) {
    assert_ok(buffer_zero(f.a, 0, COUNT * sizeof(float)));
    assert_ok(device_timeline_begin(f.device));
    assert_ok(device_gemm(f.device, &call));
    assert_int_equal(device_timed(f.device), 1);
    assert_ok(device_take_times(f.device, &command));
    assert_string_equal(command.name, "vendor gemm");
    check_order(&command, 1);
  }
  fixture_close(&f);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_command_is_timed_once),
      cmocka_unit_test(many_commands_keep_their_order),
      cmocka_unit_test(a_device_is_timed_only_if_it_was_opened_to_be),
      cmocka_unit_test(the_vendors_product_is_one_command),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
