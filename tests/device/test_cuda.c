// The CUDA back end on a double of NVIDIA's libraries: libraries that are absent, old or broken, a driver
// that does not start, devices too old or too new, and every call failing. The double ends the process where
// something is used that does not exist, or is left when the device closes.
#include "support/cuda_double.h"
#include "support/kernel_words.h"
#include "support/process.h"

#include "device/device.h"
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/// What `gee-cl devices` says with `variable` set to `value`.
static const char *devices_with(const char *variable, const char *value) {
  const char *before = getenv(variable);
  char *kept = before != NULL ? strdup(before) : NULL;
  assert_int_equal(setenv(variable, value, 1), 0);
  Ran ran = GEE("devices");
  assert_int_equal(kept != NULL ? setenv(variable, kept, 1) : unsetenv(variable), 0);
  free(kept);
  assert_int_equal(ran.code, 0);
  return ran.out;
}

static void assert_says(const char *text, const char *part) {
  if (!test_contains(text, part)) fail_msg("\"%s\" is not in: %s", part, text);
}

static void a_device_is_listed_with_its_libraries(void **state) {
  (void)state;
  const char *out = GEE("devices").out;
  assert_says(out, "* 0  GPU  CUDA: Double of an H100");
  assert_says(out, "gemm cuBLAS");
  assert_says(out, "driver of CUDA 13.0, NVRTC 13.0, cuBLAS 13.0");
  assert_says(out, "libcuda.so.1 at " GEE_CUDA_DOUBLE);
  out = GEE("devices", "--json").out;
  assert_says(out, "\"libcublasLt.so.13\"");
}

static void a_driver_that_does_not_start_is_no_device(void **state) {
  (void)state;
  assert_says(devices_with("CUDA_DOUBLE_INIT", "100"), "no CUDA-capable device is detected");
  const char *out = devices_with("CUDA_DOUBLE_INIT", "803");
  assert_says(out, "libcuda.so.1 at ");
  assert_says(out, "cuInit: ");
  assert_says(out, "(803)");
  assert_false(test_contains(out, "CUDA: Double"));
}

/// CUDA 9 had no library of a name that is looked for, and one for CUDA 13 is not tried.
static void libraries_newer_than_the_driver_are_not_taken(void **state) {
  (void)state;
  const char *out = devices_with("CUDA_DOUBLE_VERSION", "9020");
  assert_says(out, "CUDA 9.2, 1 device");
  assert_says(out, "the driver is of CUDA 9, and CUDA 11.2 or later is needed");
  assert_false(test_contains(out, "CUDA: Double"));
  assert_int_equal(setenv("CUDA_DOUBLE_VERSION", "9020", 1), 0);
  Ran chosen = GEE("selftest", "--device", "cuda:0");
  assert_int_equal(unsetenv("CUDA_DOUBLE_VERSION"), 0);
  assert_int_equal(chosen.code, 2);
  assert_says(chosen.err, "no CUDA device: libnvrtc.so.13: ");
}

/// The double has libraries of CUDA 13 alone, which a driver of CUDA 12 cannot use.
static void the_doctor_names_the_packages_that_lack(void **state) {
  (void)state;
  assert_int_equal(setenv("CUDA_DOUBLE_VERSION", "12040", 1), 0);
  Ran ran = GEE("doctor");
  assert_int_equal(unsetenv("CUDA_DOUBLE_VERSION"), 0);
  if (!test_contains(ran.out, "libnvrtc.so.13: not found; looked for libnvrtc.so.12"))
    skip(); // CUDA 12 is here
  assert_says(ran.out, "What to do");
  assert_says(ran.out, "\n    pip install nvidia-cuda-nvrtc-cu12 nvidia-cublas-cu12\n");
}

/// A folder for CUDA_PATH in which the driver's library is `target`.
static const char *folder_with(const char *target) {
  const char *folder = test_folder();
  assert_int_equal(symlink(target, in_folder(folder, "libcuda.so.1")), 0);
  return folder;
}

static void an_old_or_broken_library_is_named(void **state) {
  (void)state;
  if (dlopen("libcuda.so.1", RTLD_LAZY) != NULL) skip(); // it would be found behind the broken one
  Dl_info cmocka;
  assert_true(dladdr((const void *)(uintptr_t)&_cmocka_run_group_tests, &cmocka) != 0);
  assert_says(devices_with("CUDA_PATH", folder_with(cmocka.dli_fname)),
              "has no cuInit: it is too old or not NVIDIA's");
  const char *folder = test_folder();
  write_text(in_folder(folder, "libcuda.so.1"), "this is no library\n");
  assert_says(devices_with("CUDA_PATH", folder), "file too short");
  assert_says(devices_with("CUDA_PATH", test_folder()), "not found; looked for libcuda.so.1 in ");
}

// ---- in this process ----

static DeviceOptions options = {.name = "cuda:0", .cache_directory = ""};

static const char source[] =
    KERNEL_WORDS "KERNEL scale(GLOBAL float *x, float factor) { x[ITEM] *= factor; }\n";

/// Larger than the staging memory.
enum { BYTES = 9 * 1024 * 1024 + 64 };

static Status write_and_read(Buffer *buffer) {
  static unsigned char bytes[BYTES], found[BYTES];
  for (size_t i = 0; i < BYTES; i++) bytes[i] = (unsigned char)(i * 7 + i / 251);
  TRY(buffer_write(buffer, 0, bytes, BYTES));
  memset(bytes, 0, BYTES); // may be reused at once
  TRY(buffer_read(buffer, 0, found, BYTES));
  for (size_t i = 0; i < BYTES; i++) assert_int_equal(found[i], (unsigned char)(i * 7 + i / 251));
  return STATUS_OK;
}

/// sums = X², of the 4 x 4 values that the view holds.
static Status square(Device *device, const Buffer *view, Buffer *sums) {
  const GemmMatrix matrix = {.buffer = view, .stride = 4}, out = {.buffer = sums, .stride = 4};
  const GemmCall call = {.m = 4, .n = 4, .k = 4, .alpha = 1, .a = matrix, .b = matrix, .c = out};
  TRY(buffer_zero(sums, 0, 64));
  return device_gemm(device, &call);
}

/// A kernel on a view, a product of its result, and copies.
static Status compute(Device *device) {
  static const size_t groups[3] = {2, 1, 1}, items[3] = {8, 1, 1};
  size_t offset = device_info(device)->view_alignment;
  Buffer *buffer = NULL, *view = NULL, *sums = NULL;
  Program *program = NULL;
  Kernel *kernel = NULL;
  float values[16], factor = 3;
  Status status = STATUS_OK;
  for (size_t i = 0; i < 16; i++) values[i] = (float)i;
  TRY_CLEAN(buffer_create(device, BYTES, &buffer));
  TRY_CLEAN(buffer_create(device, 64, &sums));
  TRY_CLEAN(write_and_read(buffer));
  TRY_CLEAN(buffer_view(buffer, offset, sizeof values, &view));
  TRY_CLEAN(buffer_write(view, 0, values, sizeof values));
  TRY_CLEAN(program_create(device, "scale", source, "", &program));
  TRY_CLEAN(kernel_create(program, "scale", &kernel));
  const KernelArgument arguments[] = {{.buffer = view}, {.value = &factor, .size = sizeof factor}};
  TRY_CLEAN(kernel_launch(kernel, groups, items, arguments, 2));
  TRY_CLEAN(square(device, view, sums));
  TRY_CLEAN(buffer_copy(buffer, 0, sums, 0, 64));
  TRY_CLEAN(buffer_read(buffer, 0, values, sizeof values));
  TRY_CLEAN(device_finish(device));
  // Row 1, column 0 of 9 · X², for X[r][c] = 4 r + c.
  assert_true(values[4] == 9 * (4 * 0 + 5 * 4 + 6 * 8 + 7 * 12));
cleanup:
  kernel_free(kernel);
  program_free(program);
  buffer_free(view);
  buffer_free(sums);
  buffer_free(buffer);
  return status;
}

static size_t calls; // of the last open_and_compute, without those of closing, whose result nobody waits for

static Status open_and_compute(void) {
  Device *device = NULL;
  Status status = device_open(&options, &device);
  if (status == STATUS_OK) status = compute(device);
  calls = cuda_calls();
  device_close(device);
  return status;
}

static void every_call_that_fails_is_reported(void **state) {
  (void)state;
  assert_ok(open_and_compute());
  size_t n = 0;
  for (bool failed = true; failed;) {
    cuda_calls_fail(++n);
    Status status = open_and_compute();
    failed = calls >= n;
    if (status != (failed ? STATUS_FAILED : STATUS_OK))
      fail_msg("call %zu failed, and the result is %d: %s", n, (int)status, status_message());
    if (failed && !test_contains(status_message(), "cu") && !test_contains(status_message(), "nvrtc"))
      fail_msg("call %zu: \"%s\" does not name the call", n, status_message());
  }
  cuda_calls_fail(0);
  print_message("each of %zu calls failed\n", n - 1);
  assert_true(n > 40);
}

static void too_old_a_device_is_refused_and_a_newer_one_served(void **state) {
  (void)state;
  Device *device = NULL;
  assert_int_equal(setenv("CUDA_DOUBLE_CAPABILITY", "61", 1), 0);
  assert_fails(device_open(&options, &device), STATUS_FAILED,
               "compute capability 6.1, and this NVRTC begins with 7.5");
  assert_int_equal(setenv("CUDA_DOUBLE_CAPABILITY", "120", 1), 0); // its kernels go to the driver's compiler
  assert_ok(open_and_compute());
  assert_int_equal(unsetenv("CUDA_DOUBLE_CAPABILITY"), 0);
}

/// Turing's matrix engine takes IEEE halves and no bfloat16.
static void bfloat16_is_multiplied_from_ampere_on(void **state) {
  (void)state;
  static const char *const capabilities[] = {"75", "80"};
  for (int ampere = 0; ampere < 2; ampere++) {
    Device *device = NULL;
    assert_int_equal(setenv("CUDA_DOUBLE_CAPABILITY", capabilities[ampere], 1), 0);
    assert_ok(device_open(&options, &device));
    GemmCall call = {.m = 1, .n = 1, .k = 1, .math = GEMM_HALF_INPUTS};
    call.a.type = call.b.type = DTYPE_BF16;
    assert_int_equal(device_can_gemm(device, &call), ampere);
    call.a.type = call.b.type = DTYPE_F16;
    assert_true(device_can_gemm(device, &call));
    device_close(device);
  }
  assert_int_equal(unsetenv("CUDA_DOUBLE_CAPABILITY"), 0);
}

static void wrong_launches_are_refused(void **state) {
  (void)state;
  static const size_t one[3] = {1, 1, 1}, many[3] = {1, 65536, 1};
  Device *device = NULL;
  Program *program = NULL;
  Kernel *kernel = NULL;
  Buffer *buffer = NULL;
  float factor = 1;
  double wide = 1;
  assert_ok(device_open(&options, &device));
  assert_ok(buffer_create(device, 64, &buffer));
  assert_ok(program_create(device, "scale", source, "", &program));
  assert_ok(kernel_create(program, "scale", &kernel));
  KernelArgument arguments[] = {{.buffer = buffer}, {.value = &factor, .size = sizeof factor}, {0}};
  assert_ok(kernel_launch(kernel, one, one, arguments, 2));
  assert_fails(kernel_launch(kernel, one, one, arguments, 1), STATUS_FAILED,
               "1 arguments, and the kernel takes 2");
  assert_fails(kernel_launch(kernel, one, one, arguments, 3), STATUS_FAILED, "3 arguments");
  assert_fails(kernel_launch(kernel, many, one, arguments, 2), STATUS_FAILED,
               "1 x 65536 x 1 groups; CUDA allows");
  arguments[1] = (KernelArgument){.value = &wide, .size = sizeof wide};
  assert_fails(kernel_launch(kernel, one, one, arguments, 2), STATUS_FAILED,
               "argument 1 has 8 bytes, and the kernel takes 4");
  kernel_free(kernel);
  program_free(program);
  buffer_free(buffer);
  device_close(device);
}

int main(void) {
  use_cuda_double();
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_device_is_listed_with_its_libraries),
      cmocka_unit_test(a_driver_that_does_not_start_is_no_device),
      cmocka_unit_test(libraries_newer_than_the_driver_are_not_taken),
      cmocka_unit_test(the_doctor_names_the_packages_that_lack),
      cmocka_unit_test(an_old_or_broken_library_is_named),
      cmocka_unit_test(every_call_that_fails_is_reported),
      cmocka_unit_test(too_old_a_device_is_refused_and_a_newer_one_served),
      cmocka_unit_test(bfloat16_is_multiplied_from_ampere_on),
      cmocka_unit_test(wrong_launches_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
