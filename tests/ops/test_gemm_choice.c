// The parameter sets of cl/gemm.cl and the choice of a GEMM by form and size: every set has the bits of the
// first; sets that cannot be are refused; a choice is kept and taken, and a text that this program would not
// write is not.
#include "support/heard.h"
#include "support/ops_fixture.h"

#include "device/device.h"
#include "gemm_choice.h"
#include "io/file.h"
#include "ref/ref.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *folder; // of the kept choices

/// Skips where there is no choice.
static Ops *choosing_ops(void) {
  Ops *ops = fixture_ops();
  if (!ops_can_choose(ops)) skip();
  return ops;
}

/// All products in one set of cl/gemm.cl.
static GemmChoice all_in(size_t set) {
  GemmChoice choice = {0};
  memset(choice.set, (int)set, sizeof choice.set);
  return choice;
}

typedef struct Case {
  ProductForm form;
  size_t m, n, k; // rows of x, columns of out, columns of x
} Case;

/// Shapes that end inside tiles and slabs, of every size; the large ones have several tiles and launches.
static const Case cases[] = {
    {PRODUCT_FORWARD, 5, 33, 67},    {PRODUCT_DX, 5, 33, 67},        {PRODUCT_DW, 67, 33, 5},
    {PRODUCT_FORWARD, 131, 150, 35}, {PRODUCT_FORWARD, 17, 65, 530}, {PRODUCT_DX, 130, 530, 133},
    {PRODUCT_DW, 530, 65, 131},
};
enum { SMALL_CASES = 3, CASES = sizeof cases / sizeof *cases };

/// A product's tensors, and what the twin makes of them.
typedef struct Product {
  const Case *c;
  Tensor *result, *a, *b;
  double *expected;
  size_t count; // of the result
} Product;

static Product make_product(const Case *c) {
  size_t m = c->m, n = c->n, k = c->k;
  bool dw = c->form == PRODUCT_DW, dx = c->form == PRODUCT_DX;
  size_t rows = dw ? n : m, cols = dw || dx ? k : n, left_cols = dw || dx ? n : k, right_rows = dw ? m : n;
  double *left = fixture_random(m * left_cols, 1), *right = fixture_random(right_rows * k, 1);
  Product p = {.c = c,
               .result = fixture_f32(rows, cols, NULL),
               .a = fixture_f32(m, left_cols, left),
               .b = fixture_f32(right_rows, k, right),
               .expected = fixture_zeros(rows * cols),
               .count = rows * cols};
  if (c->form == PRODUCT_FORWARD) ref_linear(p.expected, left, right, m, n, k, 1, 0);
  if (dx) ref_linear_dx(p.expected, left, right, m, n, k, 1, 0);
  if (dw) ref_linear_dw(p.expected, left, right, m, n, k, 1, 0);
  return p;
}

/// Computes it from a result that is NaN; the caller frees what is returned.
static float *compute(const Product *p) {
  float *values = calloc(p->count, sizeof *values);
  assert_non_null(values);
  for (size_t i = 0; i < p->count; i++) values[i] = NAN;
  assert_ok(tensor_write(p->result, 0, p->count, values));
  Status status = p->c->form == PRODUCT_FORWARD ? op_linear(p->result, p->a, p->b, 1.0f, 0.0f)
                  : p->c->form == PRODUCT_DX    ? op_linear_dx(p->result, p->a, p->b, 1.0f, 0.0f)
                                                : op_linear_dw(p->result, p->a, p->b, 1.0f, 0.0f);
  assert_ok(status);
  (void)fixture_compare("a product", p->result, p->expected, 1e-5);
  assert_ok(tensor_read(p->result, 0, p->count, values));
  return values;
}

static void every_set_has_the_bits_of_the_first(void **state) {
  (void)state;
  Ops *ops = choosing_ops();
  const GemmChoice before = *ops_gemm_choice(ops), usual = all_in(0);
  for (size_t i = 0; i < (fixture_small() ? SMALL_CASES : CASES); i++) {
    const Product product = make_product(&cases[i]);
    assert_ok(ops_choose_gemm(ops, &usual));
    float *first = compute(&product);
    for (size_t set = 1; set < GEMM_SETS; set++) {
      const GemmChoice choice = all_in(set);
      if (gemm_set_fault(&gemm_sets[set], ops) != NULL) continue;
      assert_ok(ops_choose_gemm(ops, &choice));
      float *values = compute(&product);
      assert_memory_equal(values, first, product.count * sizeof *first);
      free(values);
    }
    free(first);
    (void)ops_fixture_clean(NULL);
  }
  assert_ok(ops_choose_gemm(ops, &before));
}

/// The set follows from the size, and whether the vendor's is asked from the form alone.
static void a_call_is_computed_as_chosen(void **state) {
  (void)state;
  Ops ops = {.products = {.vendor = {true, false, false}, .set = {{1, 2, 3}, {4, 5, 6}, {7, 1, 2}}}};
  Kernel *kernel = NULL;
  GemmCall call = {.m = 5, .n = 500, .k = 500, .b.transposed = true};
  assert_ptr_equal(gemm_choose_set(&ops, &call, &kernel), &gemm_sets[1]);
  call.m = 17;
  assert_ptr_equal(gemm_choose_set(&ops, &call, &kernel), &gemm_sets[2]);
  call.m = 129;
  assert_ptr_equal(gemm_choose_set(&ops, &call, &kernel), &gemm_sets[3]);
  call.n = 8;
  assert_ptr_equal(gemm_choose_set(&ops, &call, &kernel), &gemm_sets[1]);
  call.b.transposed = false;
  assert_ptr_equal(gemm_choose_set(&ops, &call, &kernel), &gemm_sets[4]);
  call.a.transposed = true;
  assert_ptr_equal(gemm_choose_set(&ops, &call, &kernel), &gemm_sets[7]);
  assert_false(gemm_is_vendors(&ops, &call)); // ops.vendor is NULL
}

static void a_set_that_cannot_be_says_why(void **state) {
  (void)state;
  const Ops ops = {.max_group = 256, .local_memory = 16384};
  static const struct {
    GemmSet set;
    const char *fault;
  } rows[] = {{{"", 0, 8, 16}, "is 0"},
              {{"", 8, 8, 0}, "is 0"},
              {{"", 16, 1, 8}, "evenly"},
              {{"", 32, 4, 32}, "work items"},
              {{"", 16, 8, 32}, "local memory"}};
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const char *fault = gemm_set_fault(&rows[i].set, &ops);
    assert_non_null(fault);
    if (!test_contains(fault, rows[i].fault)) fail_msg("%zu: %s", i, fault);
  }
  for (size_t set = 0; set < GEMM_SETS; set++) assert_null(gemm_set_fault(&gemm_sets[set], &ops));
}

/// Where the vendor's compiler spills in the first set, one without spills is usual.
static void a_device_may_have_another_usual_set(void **state) {
  (void)state;
  const DeviceInfo plain = {.name = "Intel(R) Arc(TM) A770 Graphics"},
                   spilling = {.name = "Intel(R) Data Center GPU Max 1550"};
  assert_int_equal(gemm_usual_set(&plain), 0);
  assert_string_equal(gemm_sets[gemm_usual_set(&spilling)].name, "16x4x16");
}

static void the_cpu_family_has_no_choice(void **state) {
  (void)state;
  const GemmChoice choice = all_in(1);
  if (ops_can_choose(fixture_ops())) skip();
  assert_fails(ops_choose_gemm(fixture_ops(), &choice), STATUS_FAILED, "GPU family");
}

static void a_choice_that_cannot_be_is_refused(void **state) {
  (void)state;
  Ops *ops = choosing_ops();
  const GemmChoice choice = all_in(GEMM_SETS), before = *ops_gemm_choice(ops);
  assert_fails(ops_choose_gemm(ops, &choice), STATUS_FAILED, "no such set");
  assert_memory_equal(ops_gemm_choice(ops), &before, sizeof before);
}

/// Whatever byte is changed, a text is taken only if this program writes it.
static void only_texts_that_this_program_writes_are_taken(void **state) {
  (void)state;
  const GemmChoice choice = {.vendor = {true, false, true}, .set = {{1, 2, 3}, {4, 5, 6}, {7, 0, 1}}};
  GemmChoice parsed;
  Str text = {0}, again = {0};
  assert_ok(gemm_choice_print(&choice, &text));
  assert_true(gemm_choice_parse(str_text(&text), &parsed));
  assert_memory_equal(&parsed, &choice, sizeof choice);
  for (size_t i = 0; i < text.size; i++) {
    char kept = text.data[i];
    for (int byte = 0; byte < 256; byte++) {
      text.data[i] = (char)byte;
      if (!gemm_choice_parse(text.data, &parsed)) continue;
      str_clear(&again);
      assert_ok(gemm_choice_print(&parsed, &again));
      assert_string_equal(str_text(&again), text.data);
    }
    text.data[i] = kept;
  }
  assert_ok(str_append_text(&text, "forward own 8x8x16 8x8x16 8x8x16\n"));
  assert_false(gemm_choice_parse(str_text(&text), &parsed));
  assert_false(gemm_choice_parse("", &parsed));
  str_free(&text);
  str_free(&again);
}

enum { BROKEN = 4 };

/// Puts a kernel in a set's place that takes the whole sum in each launch of a part of it.
static void break_set(Ops *ops) {
  static const char before[] = "for (uint k = k_begin;", after[] = "for (uint k = 0      ;";
  const GemmSet *set = &gemm_sets[BROKEN];
  char *source = NULL;
  Str options = {0};
  assert_ok(kernel_source("gemm.cl", &source));
  char *at = strstr(source, before);
  assert_non_null(at);
  memcpy(at, after, strlen(after));
  assert_ok(ops_kernel_options(ops, &options));
  assert_ok(
      str_append_format(&options, " -DSIDE=%zu -DREACH=%zu -DDEPTH=%zu", set->side, set->reach, set->depth));
  kernel_free(ops->set_kernels[BROKEN]);
  program_free(ops->set_programs[BROKEN]);
  ops->set_kernels[BROKEN] = NULL;
  assert_ok(program_create(ops->device, "broken", source, str_text(&options), &ops->set_programs[BROKEN]));
  assert_ok(kernel_create(ops->set_programs[BROKEN], "gemm", &ops->set_kernels[BROKEN]));
  free(source);
  str_free(&options);
}

/// A set that multiplies wrongly fails its proof, though the other sets pass.
static void a_broken_set_is_found(void **state) {
  (void)state;
  if (fixture_small()) skip();
  (void)choosing_ops();
  Ops *own = NULL;
  const GemmChoice sound = all_in(BROKEN + 1), broken = all_in(BROKEN);
  double error = 2;
  assert_ok(ops_create(fixture_device(), "own", &own));
  assert_ok(ops_choose_gemm(own, &sound));
  assert_ok(ops_selftest_products(own, &error));
  assert_true(error > 0 && error <= 1);
  break_set(own);
  assert_ok(ops_choose_gemm(own, &broken));
  assert_ok(ops_selftest_products(own, &error));
  assert_false(error <= 1);
  ops_free(own);
}

/// Another Ops of the same device, with the choices kept in `folder`.
static Ops *open_again(Device **device, const char *gemm) {
  const DeviceOptions options = {.name = getenv("GEE_TEST_DEVICE"), .cache_directory = folder};
  Ops *ops = NULL;
  assert_ok(device_open(&options, device));
  assert_ok(ops_create(*device, gemm, &ops));
  return ops;
}

static void close_again(Device *device, Ops *ops) {
  ops_free(ops);
  device_close(device);
}

static void a_kept_choice_is_taken(void **state) {
  (void)state;
  if (fixture_small()) skip();
  (void)choosing_ops();
  folder = test_folder();
  Device *device = NULL;
  char *path = NULL;
  Ops *ops = open_again(&device, "own");
  GemmChoice choice = all_in(4);
  choice.vendor[PRODUCT_DX] = ops_vendor_gemm(ops) != NULL;
  assert_ok(ops_keep_choice(ops, &choice, &path));
  close_again(device, ops);
  ops = open_again(&device, "auto");
  assert_memory_equal(ops_gemm_choice(ops), &choice, sizeof choice);
  assert_true(gemm_choice_is_tuned(ops));
  assert_ok(ops_selftest(ops, SELFTEST_QUICK, NULL, NULL));
  close_again(device, ops);
  ops = open_again(&device, "own"); // takes the sets, which change no bit
  assert_null(ops->vendor);
  assert_memory_equal(ops_gemm_choice(ops)->set, choice.set, sizeof choice.set);
  close_again(device, ops);
  assert_ok(file_write_atomic(path, "rubbish", 7));
  heard_start();
  ops = open_again(&device, "auto");
  assert_true(test_contains(heard_stop(), "is ignored"));
  assert_int_equal(heard_count("is ignored"), 1);
  assert_false(gemm_choice_is_tuned(ops));
  close_again(device, ops);
  free(path);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(every_set_has_the_bits_of_the_first),
      cmocka_unit_test(a_call_is_computed_as_chosen),
      cmocka_unit_test(a_set_that_cannot_be_says_why),
      cmocka_unit_test(a_device_may_have_another_usual_set),
      OPS_TEST(the_cpu_family_has_no_choice),
      OPS_TEST(a_choice_that_cannot_be_is_refused),
      cmocka_unit_test(only_texts_that_this_program_writes_are_taken),
      OPS_TEST(a_broken_set_is_found),
      OPS_TEST(a_kept_choice_is_taken),
  };
  return RUN_OPS_TESTS(tests);
}
