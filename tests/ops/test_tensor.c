// Tensors and the Ops context: memory counted by purpose, views, bounds, a plan that counts as a device does,
// kernel sources.
#include "support/ops_fixture.h"

#include "context.h"
#include "device/device.h"
#include "kernels.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void memory_is_counted_by_purpose(void **state) {
  (void)state;
  Ops *ops;
  Tensor a, b, half;
  assert_ok(ops_create_plan(NULL, &ops));
  assert_true(ops_is_plan(ops));
  assert_ok(tensor_create(ops, "a", MEMORY_WEIGHTS, DTYPE_F32, 10, 3, &a));
  assert_ok(tensor_create(ops, "b", MEMORY_HEAD, DTYPE_I32, 5, 4, &b));
  assert_ok(tensor_create(ops, "half", MEMORY_WEIGHTS, DTYPE_F16, 1, 3, &half)); // 6 bytes are 2 words
  const MemoryUse *use = ops_memory(ops);
  assert_int_equal(use->now[MEMORY_WEIGHTS], 120 + 8);
  assert_int_equal(use->now[MEMORY_HEAD], 80);
  assert_int_equal(use->now_total, 208);
  tensor_free(&a);
  tensor_free(&a); // twice is fine
  assert_int_equal(use->now[MEMORY_WEIGHTS], 8);
  assert_int_equal(use->peak[MEMORY_WEIGHTS], 128);
  assert_int_equal(use->peak_total, 208);
  tensor_free(&b);
  tensor_free(&half);
  tensor_free(NULL);
  assert_int_equal(use->now_total, 0);
  ops_free(ops);
}

/// Calls to make both on the device and on a plan of it.
static void use_memory(Ops *ops) {
  Tensor slab, view, w, x, out;
  size_t step = ops_view_alignment(ops);
  assert_ok(tensor_create(ops, "slab", MEMORY_TRAINABLE, DTYPE_F32, 1, 4 * step, &slab));
  assert_ok(tensor_view(&slab, step, 1, step, &view));
  assert_ok(tensor_create(ops, "w", MEMORY_WEIGHTS, DTYPE_BF16, 7, 9, &w));
  assert_ok(tensor_create(ops, "x", MEMORY_ACTIVATIONS, DTYPE_F32, 5, 9, &x));
  assert_ok(tensor_create(ops, "out", MEMORY_ACTIVATIONS, DTYPE_F32, 5, 7, &out));
  assert_ok(op_linear(&out, &x, &w, 1.0f, 0.0f));
  assert_ok(ops_finish(ops));
  tensor_free(&slab); // before its view
  tensor_free(&view);
  tensor_free(&w);
  tensor_free(&x);
  tensor_free(&out);
}

static void a_plan_counts_as_the_device_does(void **state) {
  (void)state;
  Ops *plan;
  MemoryUse before = *ops_memory(fixture_ops());
  assert_int_equal(before.now_total, before.peak_total); // nothing else yet
  assert_ok(ops_create_plan(fixture_ops()->device, &plan));
  use_memory(fixture_ops());
  use_memory(plan);
  const MemoryUse *real = ops_memory(fixture_ops()), *planned = ops_memory(plan);
  assert_true(planned->peak_total > 0);
  assert_memory_equal(planned, real, sizeof *planned);
  assert_int_equal(ops_view_alignment(plan), ops_view_alignment(fixture_ops()));
  assert_int_equal(ops_max_allocation(plan), ops_max_allocation(fixture_ops()));
  ops_free(plan);
}

static void views_are_windows(void **state) {
  (void)state;
  Ops *ops = fixture_ops();
  size_t step = ops_view_alignment(ops);
  float five[5] = {1, 2, 3, 4, 5}, seen[5] = {0};
  Tensor whole, view, none, ints;
  assert_ok(tensor_create(ops, "whole", MEMORY_CACHE, DTYPE_F32, 3, step, &whole));
  assert_ok(tensor_view(&whole, 2 * step, 1, 5, &view));
  assert_ok(tensor_write(&view, 0, 5, five));
  assert_ok(tensor_read(&whole, 2 * step, 5, seen));
  assert_memory_equal(seen, five, sizeof five);
  assert_ok(tensor_zero(&view));
  assert_ok(tensor_read(&whole, 2 * step, 5, seen));
  assert_true(seen[0] == 0.0f && seen[4] == 0.0f);
  assert_fails(tensor_view(&whole, step, 3, step, &none), STATUS_FAILED, "tensor_view");
  assert_fails(tensor_view(&whole, 1, 1, 1, &none), STATUS_FAILED, "not a multiple");
  assert_ok(tensor_create(ops, "ints", MEMORY_CACHE, DTYPE_I32, 3, step, &ints));
  assert_fails(tensor_view(&ints, 0, 1, 1, &none), STATUS_FAILED, "needs F32");
  Tensor first = tensor_rows(&whole, 0, 2);
  assert_int_equal(first.rows, 2);
  assert_fails(tensor_read(&first, 2 * step, 1, seen), STATUS_FAILED, "tensor_read");
  assert_fails(tensor_write(&whole, 0, 3 * step + 1, seen), STATUS_FAILED, "tensor_write");
  assert_fails(tensor_copy(&view, &whole), STATUS_FAILED, "tensor_copy");
  tensor_free(&view);
  tensor_free(&whole);
  tensor_free(&ints);
}

/// A quantised tensor takes the bytes of its blocks. Rows that do not fill whole blocks are refused.
static void quantised_tensors_hold_whole_blocks(void **state) {
  (void)state;
  Tensor tensor;
  uint8_t blocks[4 * 144], found[2 * 144];
  for (size_t i = 0; i < sizeof blocks; i++) blocks[i] = (uint8_t)(i % 251);
  assert_ok(tensor_create(fixture_ops(), "w", MEMORY_WEIGHTS, DTYPE_Q4_K, 2, 512, &tensor));
  assert_int_equal(tensor.bytes, sizeof blocks);
  assert_ok(tensor_write(&tensor, 0, 1024, blocks));
  Tensor second = tensor_rows(&tensor, 1, 1), none = tensor_columns(&tensor, 128, 256);
  assert_ok(tensor_read(&second, 0, 512, found));
  assert_memory_equal(found, blocks + sizeof found, sizeof found);
  assert_fails(tensor_read(&tensor, 0, 100, found), STATUS_FAILED, "tensor_read");
  assert_int_equal(none.cols, 0);
  tensor_free(&tensor);
  assert_fails(tensor_create(fixture_ops(), "w", MEMORY_WEIGHTS, DTYPE_Q4_K, 2, 500, &tensor), STATUS_FAILED,
               "do not fill the blocks of 256 of Q4_K");
}

/// A new tensor is zero, also in memory that was used before.
static void tensors_start_zeroed(void **state) {
  (void)state;
  enum { COUNT = 1003 };
  uint16_t bits[COUNT];
  for (int round = 0; round < 2; round++) {
    Tensor tensor;
    assert_ok(tensor_create(fixture_ops(), "t", MEMORY_CACHE, DTYPE_F16, 1, COUNT, &tensor));
    assert_ok(tensor_read(&tensor, 0, COUNT, bits));
    for (size_t i = 0; i < COUNT; i++) assert_int_equal(bits[i], 0);
    memset(bits, 0x7b, sizeof bits);
    assert_ok(tensor_write(&tensor, 0, COUNT, bits));
    tensor_free(&tensor);
  }
}

static void what_cannot_be_allocated_is_refused(void **state) {
  (void)state;
  Ops *ops = fixture_ops();
  Tensor tensor;
  size_t rows = (size_t)(ops_max_allocation(ops) / 4096) + 1;
  assert_fails(tensor_create(ops, "logits", MEMORY_HEAD, DTYPE_F32, rows, 1024, &tensor), STATUS_FAILED,
               "logits [");
  assert_fails(tensor_create(ops, "huge", MEMORY_HEAD, DTYPE_F32, SIZE_MAX, 2, &tensor), STATUS_FAILED,
               "tensor");
  assert_fails(tensor_create(ops, "none", MEMORY_HEAD, DTYPE_F32, 0, 2, &tensor), STATUS_FAILED,
               "no elements");
  Ops *plan;
  assert_ok(ops_create_plan(ops->device, &plan));
  assert_fails(tensor_create(plan, "logits", MEMORY_HEAD, DTYPE_F32, rows, 1024, &tensor), STATUS_FAILED,
               "at most");
  ops_free(plan);
}

static void an_unknown_gemm_is_wrong_input(void **state) {
  (void)state;
  Ops *ops;
  assert_fails(ops_create(fixture_ops()->device, "blas", &ops), STATUS_INPUT, "device.gemm = blas");
  assert_null(ops);
}

static void includes_are_put_in_once(void **state) {
  (void)state;
  char *text;
  assert_ok(kernel_source("gemm.cl", &text));
  assert_null(strstr(text, "\n#include \""));
  const char *first = strstr(text, "One kernel source for two compilers");
  assert_non_null(first);
  assert_null(strstr(first + 1, "One kernel source for two compilers"));
  free(text);
  assert_fails(kernel_source("none.cl", &text), STATUS_FAILED, "cl/none.cl");
  assert_null(text);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(a_plan_counts_as_the_device_does), // first: the device's counters are still at zero
      OPS_TEST(memory_is_counted_by_purpose),
      OPS_TEST(views_are_windows),
      OPS_TEST(quantised_tensors_hold_whole_blocks),
      OPS_TEST(tensors_start_zeroed),
      OPS_TEST(what_cannot_be_allocated_is_refused),
      OPS_TEST(an_unknown_gemm_is_wrong_input),
      OPS_TEST(includes_are_put_in_once),
  };
  return RUN_OPS_TESTS(tests);
}
