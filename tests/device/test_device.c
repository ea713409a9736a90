// Devices: the list, the choice, buffers, views, programs, launches, and what each refuses. Runs on
// $GEE_TEST_DEVICE, or on the device that "auto" chooses.
#include "support/kernel_words.h"
#include "support/test.h"

#include "device/device.h"
#include "util/half.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Device *device;

static int open_device(void **state) {
  (void)state;
  DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE"), .cache_directory = ""};
  if (device_open(&options, &device) == STATUS_OK) return 0;
  (void)fprintf(stderr, "skipped: %s\n", status_message());
  exit(TEST_SKIPPED);
}

static int close_device(void **state) {
  (void)state;
  device_close(device);
  return 0;
}

static void every_device_is_described(void **state) {
  (void)state;
  DeviceInfo *list;
  size_t count;
  assert_ok(device_list(&list, &count));
  assert_true(count > 0);
  for (size_t i = 0; i < count; i++) {
    assert_true(strcmp(list[i].backend, "opencl") == 0 || strcmp(list[i].backend, "cuda") == 0);
    assert_true(list[i].gemm[0] != '\0');
    assert_true(list[i].name[0] != '\0' && list[i].platform[0] != '\0' && list[i].driver[0] != '\0');
    assert_true(list[i].memory > 0 && list[i].max_allocation > 0 && list[i].max_allocation <= list[i].memory);
    assert_true(list[i].max_group > 0 && list[i].compute_units > 0 && list[i].vector_width > 0);
    assert_true(list[i].view_alignment >= 64 && list[i].view_alignment % 4 == 0);
  }
  free(list);
}

/// Made-up devices.
static const DeviceInfo devices[] = {
    {.backend = "opencl", .platform = "Portable Computing Language", .name = "pthread", .kind = DEVICE_CPU},
    {.backend = "opencl", .platform = "AMD APP", .name = "gfx1100", .kind = DEVICE_GPU},
    {.backend = "opencl", .platform = "NVIDIA CUDA", .name = "RTX 4090", .kind = DEVICE_GPU},
};

static void the_choice_follows_its_rules(void **state) {
  (void)state;
  static const struct {
    const char *backend, *name;
    size_t count, index;
  } cases[] = {
      {NULL, NULL, 3, 1},  {"auto", "auto", 3, 1},   {"opencl", "", 3, 1},    {NULL, NULL, 1, 0},
      {NULL, "cpu", 3, 0}, {NULL, "GPU", 3, 1},      {NULL, "2", 3, 2},       {NULL, "0", 3, 0},
      {NULL, "rtx", 3, 2}, {NULL, "portable", 3, 0}, {NULL, "APP gfx", 3, 1}, {NULL, "RTX 4090", 3, 2},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    size_t index = 99;
    DeviceOptions options = {.backend = cases[i].backend, .name = cases[i].name};
    assert_ok(device_choose(&options, devices, cases[i].count, &index));
    assert_int_equal(index, cases[i].index);
  }
  size_t index = 99;
  assert_ok(device_choose(NULL, devices, 3, &index));
  assert_int_equal(index, 1);
}

/// A GPU that two back ends show: CUDA's is listed first.
static void a_back_end_can_be_chosen(void **state) {
  (void)state;
  static const DeviceInfo both[] = {
      {.backend = "cuda", .platform = "CUDA", .name = "RTX 4090", .kind = DEVICE_GPU},
      {.backend = "cuda", .platform = "CUDA", .name = "RTX 3060", .kind = DEVICE_GPU},
      {.backend = "opencl", .platform = "pocl", .name = "pthread", .kind = DEVICE_CPU},
      {.backend = "opencl", .platform = "NVIDIA CUDA", .name = "RTX 4090", .kind = DEVICE_GPU},
  };
  static const struct {
    const char *backend, *name;
    size_t index;
  } cases[] = {
      {NULL, NULL, 0},      {"cuda", NULL, 0},     {"OpenCL", NULL, 3},   {NULL, "cuda:1", 1},
      {NULL, "CUDA:0", 0},  {NULL, "rtx 3060", 1}, {NULL, "opencl:1", 3}, {NULL, "opencl:0", 2},
      {"opencl", "rtx", 3}, {NULL, "cpu", 2},      {"cuda", "cuda:1", 1}, {NULL, "nvidia cuda", 3},
  };
  size_t index = 99;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    DeviceOptions options = {.backend = cases[i].backend, .name = cases[i].name};
    assert_ok(device_choose(&options, both, 4, &index));
    if (index != cases[i].index) fail_msg("case %zu: %zu", i, index);
  }
  static const char *const wrong[] = {"cuda:2", "cuda:", "cuda:x", "cuda:-1", "cuda:00000000001", "opencl:9"};
  for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
    assert_fails(device_choose(&(DeviceOptions){.name = wrong[i]}, both, 4, &index), STATUS_INPUT, wrong[i]);
  assert_fails(device_choose(&(DeviceOptions){.backend = "cuda", .name = "opencl:0"}, both, 4, &index),
               STATUS_INPUT, "opencl:0");
}

static void a_choice_without_a_match_lists_the_devices(void **state) {
  (void)state;
  size_t index;
  DeviceOptions options = {.name = "tpu"};
  assert_fails(device_choose(&options, devices, 3, &index), STATUS_INPUT, "\"tpu\"");
  assert_fails(device_choose(&options, devices, 3, &index), STATUS_INPUT, "1: AMD APP gfx1100 (gpu)");
  assert_fails(device_choose(&options, devices, 0, &index), STATUS_INPUT, "no device was found");
  options.name = "7";
  assert_fails(device_choose(&options, devices, 3, &index), STATUS_INPUT, "\"7\"");
  options = (DeviceOptions){.name = "gpu"};
  assert_fails(device_choose(&options, devices, 1, &index), STATUS_INPUT, "\"gpu\"");
  options = (DeviceOptions){.backend = "vulkan"};
  assert_fails(device_choose(&options, devices, 3, &index), STATUS_INPUT, "device.backend = vulkan");
}

static void buffers_hold_what_is_written(void **state) {
  (void)state;
  enum { COUNT = 1000 };
  uint32_t in[COUNT], out[COUNT];
  for (uint32_t i = 0; i < COUNT; i++) in[i] = i * 2654435761u;
  Buffer *a, *b;
  assert_ok(buffer_create(device, sizeof in, &a));
  assert_ok(buffer_create(device, sizeof in, &b));
  assert_int_equal(buffer_size(a), sizeof in);
  assert_ok(buffer_write(a, 0, in, sizeof in));
  assert_ok(buffer_copy(b, 0, a, 0, sizeof in));
  assert_ok(buffer_copy(b, 40, a, 400, 80));
  assert_ok(buffer_zero(b, 1204, 36));
  assert_ok(buffer_read(b, 0, out, sizeof out));
  for (uint32_t i = 0; i < COUNT; i++) {
    uint32_t expected = i >= 10 && i < 30 ? in[i + 90] : i >= 301 && i < 310 ? 0 : in[i];
    assert_int_equal(out[i], expected);
  }
  uint32_t part[3];
  assert_ok(buffer_read(b, 2000, part, sizeof part));
  assert_memory_equal(part, in + 500, sizeof part);
  buffer_free(a);
  buffer_free(b);
  buffer_free(NULL);
}

static void views_share_memory_and_keep_it_alive(void **state) {
  (void)state;
  size_t step = device_info(device)->view_alignment;
  uint32_t value = 0x12345678, seen = 0;
  Buffer *whole, *view, *inner;
  assert_ok(buffer_create(device, 4 * step, &whole));
  assert_ok(buffer_zero(whole, 0, 4 * step));
  assert_ok(buffer_view(whole, step, 3 * step, &view));
  assert_ok(buffer_view(view, step, step, &inner)); // a view of a view
  assert_ok(buffer_write(inner, 8, &value, sizeof value));
  assert_ok(buffer_read(whole, 2 * step + 8, &seen, sizeof seen));
  assert_int_equal(seen, value);
  buffer_free(whole);
  buffer_free(view);
  seen = 0;
  assert_ok(buffer_read(inner, 8, &seen, sizeof seen));
  assert_int_equal(seen, value);
  buffer_free(inner);
}

static void what_does_not_fit_is_refused(void **state) {
  (void)state;
  size_t step = device_info(device)->view_alignment;
  uint32_t word = 0;
  Buffer *buffer, *none;
  assert_fails(buffer_create(device, 0, &none), STATUS_FAILED, "0 bytes");
  assert_fails(buffer_create(device, (size_t)device_info(device)->max_allocation + 1, &none), STATUS_FAILED,
               "at most");
  assert_null(none);
  assert_ok(buffer_create(device, 4 * step, &buffer));
  assert_fails(buffer_view(buffer, 3 * step, 2 * step, &none), STATUS_FAILED, "a view of bytes");
  assert_fails(buffer_view(buffer, 4, step, &none), STATUS_FAILED, "not a multiple");
  assert_fails(buffer_write(buffer, 4 * step, &word, 4), STATUS_FAILED, "a write of 4 bytes");
  assert_fails(buffer_read(buffer, SIZE_MAX, &word, 4), STATUS_FAILED, "a read of 4 bytes");
  assert_fails(buffer_copy(buffer, 0, buffer, 2 * step, 3 * step), STATUS_FAILED, "a copy");
  assert_fails(buffer_zero(buffer, 2, 4), STATUS_FAILED, "whole words");
  buffer_free(buffer);
}

static const char scale_source[] =
    KERNEL_WORDS "KERNEL scale(GLOBAL float *x, GLOBAL const float *y, float f, uint n) {\n"
                 "  uint i = ITEM;\n"
                 "  if (i < n) x[i] = x[i] * f + (y ? y[i] : STEP);\n"
                 "}\n";

static void a_kernel_runs_with_its_arguments(void **state) {
  (void)state;
  enum { COUNT = 70 };
  float values[COUNT], factor = 3.0f;
  uint32_t count = COUNT - 1;
  for (int i = 0; i < COUNT; i++) values[i] = (float)i;
  Program *program;
  Kernel *kernel;
  Buffer *buffer;
  assert_ok(program_create(device, "scale", scale_source, "-DSTEP=0.5f", &program));
  assert_ok(kernel_create(program, "scale", &kernel));
  assert_ok(buffer_create(device, sizeof values, &buffer));
  assert_ok(buffer_write(buffer, 0, values, sizeof values));
  const KernelArgument arguments[] = {{.buffer = buffer},
                                      {0},
                                      {.value = &factor, .size = sizeof factor},
                                      {.value = &count, .size = sizeof count}};
  assert_ok(kernel_launch(kernel, (size_t[]){9, 1, 1}, (size_t[]){8, 1, 1}, arguments, 4));
  assert_ok(device_finish(device));
  assert_ok(kernel_launch(kernel, (size_t[]){0, 1, 1}, (size_t[]){8, 1, 1}, arguments, 4)); // nothing to do
  assert_ok(buffer_read(buffer, 0, values, sizeof values));
  for (int i = 0; i < COUNT - 1; i++) assert_true(values[i] == 3.0f * (float)i + 0.5f);
  assert_true(values[COUNT - 1] == (float)(COUNT - 1));
  size_t too_many = device_info(device)->max_group + 1;
  assert_fails(kernel_launch(kernel, (size_t[]){1, 1, 1}, (size_t[]){too_many, 1, 1}, arguments, 4),
               STATUS_FAILED, "kernel scale: a group of");
  Kernel *none;
  assert_fails(kernel_create(program, "missing", &none), STATUS_FAILED, "kernel missing of scale");
  assert_null(none);
  buffer_free(buffer);
  kernel_free(kernel);
  program_free(program);
  kernel_free(NULL);
  program_free(NULL);
}

static void a_compiler_error_reaches_the_message(void **state) {
  (void)state;
  Program *program;
  const char *wrong = KERNEL_WORDS "KERNEL f(GLOBAL float *x) { x[0] = no_such_name; }\n";
  assert_fails(program_create(device, "wrong", wrong, "", &program), STATUS_FAILED, "no_such_name");
  assert_fails(program_create(device, "wrong", wrong, "", &program), STATUS_FAILED, "kernels wrong");
  assert_null(strchr(status_message(), '\n'));
  assert_null(program);
}

static void the_vendors_gemm_checks_its_matrices(void **state) {
  (void)state;
  GemmCall call = {
      .m = 4, .n = 4, .k = 4, .alpha = 1, .a = {.stride = 4}, .b = {.stride = 4}, .c = {.stride = 4}};
  if (!device_can_gemm(device, &call)) skip();
  Buffer *small, *large;
  assert_ok(buffer_create(device, 15 * 4, &small));
  assert_ok(buffer_create(device, 64 * 4, &large));
  call.a.buffer = small;
  call.b.buffer = call.c.buffer = large;
  assert_fails(device_gemm(device, &call), STATUS_FAILED, "gemm: A is [4, 4]");
  call.a.buffer = large;
  call.b.stride = 3;
  assert_fails(device_gemm(device, &call), STATUS_FAILED, "gemm: B is [4, 4]");
  call.b.stride = 4;
  call.c.offset = 49;
  assert_fails(device_gemm(device, &call), STATUS_FAILED, "gemm: C is [4, 4] at 49");
  buffer_free(small);
  buffer_free(large);
}

/// device_can_gemm says what CLBlast cannot do; device_gemm refuses it by name.
static void the_device_says_which_gemms_it_has(void **state) {
  (void)state;
  GemmCall call = {.m = 4, .n = 4, .k = 4};
  if (!device_can_gemm(device, &call)) skip();
  GemmCall half = call, transposed = call;
  half.b.type = DTYPE_F16;
  transposed.c.transposed = true;
  assert_false(device_can_gemm(device, &half));
  assert_false(device_can_gemm(device, &transposed));
  assert_fails(device_gemm(device, &half), STATUS_FAILED, "no vendor GEMM for F32 · F16 to F32");
}

/// out[r][c] of x · w, in double precision, of the values that the buffers hold.
static double exact(const float *x, const float *w, size_t row, size_t col, size_t n, size_t k) {
  double sum = 0;
  for (size_t i = 0; i < k; i++) sum += (double)x[row * k + i] * (double)w[i * n + col];
  return sum;
}

/// Where a call allows it, values of 16 bits are multiplied as they are, and float32 values may be rounded.
static void half_inputs_are_multiplied_where_they_may_be(void **state) {
  (void)state;
  enum { M = 17, N = 24, K = 40 };
  static const DType types[] = {DTYPE_F32, DTYPE_F16, DTYPE_BF16};
  float x[M * K], w[K * N], out[M * N];
  uint16_t halves[K * N];
  test_random(x, M * K, 1);
  test_random(w, K * N, 2);
  for (size_t t = 0; t < 3; t++) {
    GemmCall call = {.m = M, .n = N, .k = K, .alpha = 1, .math = GEMM_HALF_INPUTS};
    call.a = (GemmMatrix){.stride = K, .type = types[t]};
    call.b = (GemmMatrix){.stride = N, .type = types[t]};
    call.c = (GemmMatrix){.stride = N};
    if (!device_can_gemm(device, &call)) skip();
    GemmCall strict = call;
    strict.math = GEMM_F32;
    assert_int_equal(device_can_gemm(device, &strict), types[t] == DTYPE_F32);
    Buffer *buffers[3];
    for (size_t i = 0; i < 3; i++) {
      const float *values = i == 0 ? x : w;
      size_t count = i == 0 ? M * K : K * N;
      if (types[t] != DTYPE_F32) halves_from_floats(types[t], values, count, halves);
      assert_ok(buffer_create(device, sizeof x + sizeof w, &buffers[i]));
      assert_ok(buffer_write(buffers[i], 0, types[t] == DTYPE_F32 ? (const void *)values : halves,
                             dtype_bytes(types[t], count)));
    }
    call.a.buffer = buffers[0];
    call.b.buffer = buffers[1];
    call.c.buffer = buffers[2];
    assert_ok(device_gemm(device, &call));
    assert_ok(buffer_read(buffers[2], 0, out, sizeof out));
    for (size_t i = 0; i < M * N; i++) {
      // 8 bits of digits, over K products of values up to 1.
      assert_true(fabs((double)out[i] - exact(x, w, i / N, i % N, N, K)) <= 2.0 / 256 * sqrt(K));
    }
    for (size_t i = 0; i < 3; i++) buffer_free(buffers[i]);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_device_is_described),
      cmocka_unit_test(the_choice_follows_its_rules),
      cmocka_unit_test(a_back_end_can_be_chosen),
      cmocka_unit_test(a_choice_without_a_match_lists_the_devices),
      cmocka_unit_test(buffers_hold_what_is_written),
      cmocka_unit_test(views_share_memory_and_keep_it_alive),
      cmocka_unit_test(what_does_not_fit_is_refused),
      cmocka_unit_test(a_kernel_runs_with_its_arguments),
      cmocka_unit_test(a_compiler_error_reaches_the_message),
      cmocka_unit_test(the_vendors_gemm_checks_its_matrices),
      cmocka_unit_test(the_device_says_which_gemms_it_has),
      cmocka_unit_test(half_inputs_are_multiplied_where_they_may_be),
  };
  return cmocka_run_group_tests(tests, open_device, close_device);
}
