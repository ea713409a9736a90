// The util room: Philox against published answers, 16-bit floats over all their values, strings, memory,
// status.
#include "support/test.h"

#include "util/half.h"
#include "util/hash.h"
#include "util/memory.h"
#include "util/rng.h"
#include "util/str.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

/// The known answers of the paper's own library (Random123, kat_vectors, philox4x32 10).
static void test_philox_known_answers(void **state) {
  (void)state;
  static const struct {
    uint32_t counter[4], key[2], out[4];
  } known[] = {
      {{0, 0, 0, 0}, {0, 0}, {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}},
      {{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff},
       {0xffffffff, 0xffffffff},
       {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}},
      {{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344},
       {0xa4093822, 0x299f31d0},
       {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}},
  };
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    uint32_t out[4];
    philox4x32(out, known[i].counter, known[i].key);
    assert_memory_equal(out, known[i].out, sizeof out);
  }
}

static void test_uniform_is_below_one_and_centred(void **state) {
  (void)state;
  double sum = 0;
  for (uint32_t i = 0; i < 100000; i++) {
    float u = rng_uniform(15, RNG_SAMPLE, i, 0, 0);
    assert_true(u >= 0.0f && u < 1.0f);
    sum += (double)u;
  }
  assert_true(fabs(sum / 100000 - 0.5) < 5 / sqrt(12.0 * 100000));
  assert_true(rng_bits(15, RNG_SAMPLE, 1, 2, 3) != rng_bits(15, RNG_DROPOUT, 1, 2, 3));
  assert_true(rng_bits(15, RNG_SAMPLE, 1, 2, 3) != rng_bits(UINT64_C(15) << 32, RNG_SAMPLE, 1, 2, 3));
}

/// Against the quantiles of the bits that they are made from, by bisection of erfc; from any first number,
/// and the same.
static void test_normals_are_quantiles(void **state) {
  (void)state;
  enum { COUNT = 40000 };
  static float numbers[COUNT], again[7];
  const uint64_t first = (UINT64_C(1) << 34) - 8; // the counter's second word begins inside
  double sum = 0, squares = 0;
  rng_normals(numbers, COUNT, 15, RNG_WEIGHTS, 3, first);
  for (size_t i = 0; i < COUNT; i++) {
    uint64_t block = (first + i) / 4;
    uint32_t out[4], counter[4] = {(uint32_t)block, (uint32_t)(block >> 32), 3, RNG_WEIGHTS};
    philox4x32(out, counter, (const uint32_t[]){15, 0});
    double share = ((double)out[(first + i) % 4] + 0.5) * 0x1p-32, low = -8, high = 8;
    for (int step = 0; step < 50; step++) {
      double middle = (low + high) / 2;
      if (erfc(-middle / sqrt(2)) / 2 < share)
        low = middle;
      else
        high = middle;
    }
    assert_true(fabs((double)numbers[i] - low) <= 2e-7 * fabs(low) + 1e-9);
    sum += (double)numbers[i];
    squares += (double)numbers[i] * (double)numbers[i];
  }
  assert_true(fabs(sum / COUNT) < 5 / sqrt((double)COUNT));
  assert_true(fabs(squares / COUNT - 1) < 5 * sqrt(2.0 / COUNT));
  rng_normals(again, 7, 15, RNG_WEIGHTS, 3, first + 5);
  assert_memory_equal(again, numbers + 5, sizeof again);
  rng_normals(again, 7, 15, RNG_WEIGHTS, 4, first + 5);
  assert_memory_not_equal(again, numbers + 5, sizeof again);
}

static void test_shuffle_is_a_permutation(void **state) {
  (void)state;
  size_t order[257], again[257];
  bool seen[257] = {false};
  for (size_t i = 0; i < 257; i++) order[i] = again[i] = i;
  rng_shuffle(order, 257, 15, 1);
  rng_shuffle(again, 257, 15, 1);
  assert_memory_equal(order, again, sizeof order);
  size_t moved = 0;
  for (size_t i = 0; i < 257; i++) {
    assert_true(order[i] < 257 && !seen[order[i]]);
    seen[order[i]] = true;
    moved += order[i] != i;
  }
  assert_true(moved > 200);
}

/// Every binary16 value goes to float and back. Rounding is checked at the midpoints between neighbours and
/// next to them.
static void test_half_round_trip_and_rounding(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    float value = half_to_float((uint16_t)bits);
    if (isnan(value)) {
      assert_true(isnan(half_to_float(half_from_float(value))));
      continue;
    }
    assert_int_equal(half_from_float(value), bits);
    if ((bits & 0x7fff) >= 0x7bff) continue;
    float next = half_to_float((uint16_t)(bits + 1)), middle = (value + next) / 2;
    uint32_t even = bits % 2 == 0 ? bits : bits + 1;
    assert_int_equal(half_from_float(middle), even);
    assert_int_equal(half_from_float(nextafterf(middle, next)), bits + 1);
    assert_int_equal(half_from_float(nextafterf(middle, value)), bits);
  }
  assert_int_equal(half_from_float(65519.996f), 0x7bff);
  assert_int_equal(half_from_float(65520.0f), 0x7c00);
  assert_int_equal(half_from_float(-INFINITY), 0xfc00);
  assert_true(half_to_float(0x3555) > 0.3332f && half_to_float(0x3555) < 0.3334f);
}

static void test_bfloat_round_trip_and_rounding(void **state) {
  (void)state;
  for (uint32_t bits = 0; bits < 0x10000; bits++) {
    float value = bfloat_to_float((uint16_t)bits);
    if (isnan(value)) {
      assert_true(isnan(bfloat_to_float(bfloat_from_float(value))));
    } else {
      assert_int_equal(bfloat_from_float(value), bits);
    }
  }
  assert_int_equal(bfloat_from_float(1.0f + 0x1p-8f), 0x3f80);            // a tie goes to even
  assert_int_equal(bfloat_from_float(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81); // above it, up
  assert_int_equal(bfloat_from_float(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82);
}

static void test_str(void **state) {
  (void)state;
  Str str = {0};
  assert_string_equal(str_text(&str), "");
  for (int i = 0; i < 1000; i++) assert_ok(str_append_format(&str, "%d,", i));
  assert_ok(str_append(&str, "a\0b", 3));
  assert_true(str.size == 10 * 2 + 90 * 3 + 900 * 4 + 3);
  assert_memory_equal(str.data + str.size - 4, ",a\0b", 5);
  str_clear(&str);
  assert_string_equal(str_text(&str), "");
  str_free(&str);
  str_free(&str);
  assert_true(str_starts("lora.rank", "lora.") && !str_starts("lo", "lora"));
  assert_true(str_ends("x.gguf", ".gguf") && !str_ends("gguf", ".gguf"));
  const char *words[] = {"lambda_weight", "learning_rate", "max_steps", NULL};
  assert_string_equal(str_nearest("lamda_weight", words), "lambda_weight");
  assert_string_equal(str_nearest("maxsteps", words), "max_steps");
  assert_string_equal(str_nearest("lambda", words), "lambda_weight");
  assert_null(str_nearest("zzz", words));
}

static void test_str_append_item(void **state) {
  (void)state;
  static const char *const expected[] = {"", "a", "a and b", "a, b and c"};
  static const char *const words[] = {"a", "b", "c"};
  for (size_t count = 0; count < 4; count++) {
    Str list = {0};
    for (size_t i = 0; i < count; i++) assert_ok(str_append_item(&list, words[i], i, count, " and "));
    assert_string_equal(str_text(&list), expected[count]);
    str_free(&list);
  }
}

static void test_memory(void **state) {
  (void)state;
  int *numbers = NULL;
  assert_ok(mem_array(&numbers, 0, "none"));
  assert_non_null(numbers);
  free(numbers);
  assert_fails(mem_alloc(&numbers, SIZE_MAX / 2, 4, "a lie"), STATUS_FAILED, "a lie");
  assert_null(numbers); // so it cannot be freed twice
  int *list = NULL;
  size_t capacity = 0;
  for (size_t i = 0; i < 100; i++) {
    assert_ok(mem_reserve(&list, &capacity, i + 1, "list"));
    assert_int_equal(list[i], 0);
    list[i] = (int)i;
  }
  assert_int_equal(list[57], 57);
  free(list);
}

static Status outer(void) {
  return status_context(status_fail(STATUS_INPUT, "key %s", "x"), "file %s", "a.ini");
}

static void test_status_keeps_its_context(void **state) {
  (void)state;
  assert_fails(outer(), STATUS_INPUT, "file a.ini: key x");
  char *lots = NULL;
  assert_ok(mem_array(&lots, 5000, "text"));
  memset(lots, 'y', 4999);
  assert_int_equal(status_fail(STATUS_FAILED, "%s", lots), STATUS_FAILED);
  assert_int_equal(status_context(STATUS_FAILED, "%s", lots), STATUS_FAILED);
  assert_true(strlen(status_message()) == 1023);
  free(lots);
}

static void test_hash_known_answers(void **state) {
  (void)state;
  assert_true(hash_bytes(HASH_START, "", 0) == UINT64_C(0xcbf29ce484222325));
  assert_true(hash_bytes(HASH_START, "foobar", 6) == UINT64_C(0x85944171f73967e8));
}

/// The examples of FIPS 180-2, and a size at the end of a block.
static void test_sha256_known_answers(void **state) {
  (void)state;
  static char million[1000000];
  char text[SHA256_TEXT];
  hash_sha256("", 0, text);
  assert_string_equal(text, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  hash_sha256("abc", 3, text);
  assert_string_equal(text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hash_sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, text);
  assert_string_equal(text, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  memset(million, 'a', sizeof million);
  hash_sha256(million, sizeof million, text);
  assert_string_equal(text, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/// The table of types: names, GGUF's numbers and block sizes.
static void test_types(void **state) {
  (void)state;
  static const struct {
    DType type;
    const char *name;
    size_t elements, bytes; // of 512 elements
    unsigned gguf;
  } known[] = {{DTYPE_F32, "f32", 512, 2048, 0},       {DTYPE_BF16, "BF16", 512, 1024, 30},
               {DTYPE_I32, "i32", 512, 2048, 26},      {DTYPE_Q8_0, "q8_0", 512, 544, 8},
               {DTYPE_Q4_K, "Q4_K", 512, 288, 12},     {DTYPE_Q6_K, "q6_k", 512, 420, 14},
               {DTYPE_IQ4_XS, "IQ4_XS", 512, 272, 23}, {DTYPE_MXFP4, "mxfp4", 512, 272, 39}};
  DType found = DTYPE_COUNT;
  for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
    assert_int_equal(dtype_bytes(known[i].type, known[i].elements), known[i].bytes);
    assert_true(dtype_from_name(known[i].name, &found) && found == known[i].type);
    assert_true(dtype_from_gguf(known[i].gguf, &found) && found == known[i].type);
  }
  for (unsigned type = 0; type < DTYPE_COUNT; type++) {
    const DTypeInfo *info = dtype_info((DType)type);
    assert_true(dtype_from_name(info->name, &found) && found == (DType)type);
    assert_true(info->block_elements > 0 && info->block_bytes > 0);
    assert_true(info->block_bytes <= 8 * info->block_elements);
  }
  assert_false(dtype_from_name("q4_k_m", &found));
  assert_false(dtype_from_gguf(4, &found));
  assert_false(dtype_from_gguf((unsigned)GGUF_NONE, &found));
  assert_true(dtype_is_half(DTYPE_F16) && dtype_is_half(DTYPE_BF16) && !dtype_is_half(DTYPE_I16));
  assert_string_equal(dtype_name(DTYPE_STORED), "stored");
  assert_string_equal(dtype_name((DType)(DTYPE_STORED + 1)), "unknown");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_philox_known_answers),
      cmocka_unit_test(test_uniform_is_below_one_and_centred),
      cmocka_unit_test(test_normals_are_quantiles),
      cmocka_unit_test(test_shuffle_is_a_permutation),
      cmocka_unit_test(test_half_round_trip_and_rounding),
      cmocka_unit_test(test_bfloat_round_trip_and_rounding),
      cmocka_unit_test(test_types),
      cmocka_unit_test(test_str),
      cmocka_unit_test(test_str_append_item),
      cmocka_unit_test(test_memory),
      cmocka_unit_test(test_status_keeps_its_context),
      cmocka_unit_test(test_hash_known_answers),
      cmocka_unit_test(test_sha256_known_answers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
