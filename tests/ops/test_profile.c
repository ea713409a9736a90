// What a profile records of operations: spans that nest, and the work that each states. Times are tested in
// tests/device/test_timing.c, and a whole run in tests/cli/test_cli_profile.c.
#include "support/ops_fixture.h"

#include "ops/profile.h"
#include <string.h>

enum { MOST = 32, ROWS = 3, WIDTH = 8, OUT = 5 };

typedef struct Recorded {
  OpsSpan spans[MOST];
  size_t count, calls;
  bool fails;
} Recorded;

static Status record(void *user, const OpsRecord *record) {
  Recorded *recorded = user;
  recorded->calls++;
  if (recorded->fails) return status_fail(STATUS_FAILED, "the recorder's disk is full");
  assert_true(recorded->count + record->span_count <= MOST);
  memcpy(recorded->spans + recorded->count, record->spans, record->span_count * sizeof *record->spans);
  recorded->count += record->span_count;
  return STATUS_OK;
}

static void multiply(void) {
  OPS_PHASE(fixture_ops(), "inner");
  Tensor *out = fixture_f32(ROWS, OUT, NULL), *x = fixture_f32(ROWS, WIDTH, fixture_random(ROWS * WIDTH, 1)),
         *w = fixture_f32(OUT, WIDTH, fixture_random(OUT * WIDTH, 1));
  assert_ok(op_linear(out, x, w, 1, 0));
  assert_ok(op_linear(out, x, w, 1, 1)); // reads `out` too
}

static void add_and_multiply(void) {
  OPS_PHASE(fixture_ops(), "outer");
  Tensor *a = fixture_f32(ROWS, WIDTH, fixture_random(ROWS * WIDTH, 1));
  assert_ok(op_add(a, a, a));
  multiply();
}

/// Fills found[count] with the spans that are no transfers of the fixture's.
static size_t without_transfers(const Recorded *recorded, const OpsSpan **found) {
  size_t count = 0;
  for (size_t i = 0; i < recorded->count; i++) {
    const char *name = recorded->spans[i].name;
    if (strcmp(name, "to device") != 0 && strcmp(name, "zero") != 0) found[count++] = &recorded->spans[i];
  }
  return count;
}

static void spans_nest_and_state_their_work(void **state) {
  (void)state;
  static const char *const names[] = {"outer", "add", "inner", "linear", "linear"};
  const OpsSpan *found[MOST];
  Recorded recorded = {0};
  assert_ok(ops_profile_begin(fixture_ops(), record, &recorded));
  assert_fails(ops_profile_begin(fixture_ops(), record, &recorded), STATUS_FAILED, "has begun already");
  add_and_multiply();
  assert_ok(ops_profile_end(fixture_ops()));
  assert_int_equal(recorded.calls, 1);
  assert_int_equal(without_transfers(&recorded, found), 5);
  for (size_t i = 0; i < 5; i++) assert_string_equal(found[i]->name, names[i]);
  assert_int_equal(found[0]->parent, OPS_NO_SPAN);
  assert_ptr_equal(&recorded.spans[found[1]->parent], found[0]);
  assert_ptr_equal(&recorded.spans[found[2]->parent], found[0]);
  assert_ptr_equal(&recorded.spans[found[3]->parent], found[2]);
  assert_ptr_equal(&recorded.spans[found[4]->parent], found[2]);
  assert_false(found[0]->is_operation);
  assert_true(found[1]->is_operation);
  assert_true(found[1]->work.flops == 0 && found[1]->work.bytes == 3 * 4 * ROWS * WIDTH);
  assert_true(found[3]->work.flops == 2 * ROWS * WIDTH * OUT);
  assert_true(found[3]->work.bytes == 4 * (ROWS * OUT + ROWS * WIDTH + OUT * WIDTH));
  assert_true(found[4]->work.bytes == found[3]->work.bytes + 4 * ROWS * OUT);
}

static void attention_counts_what_is_seen(void **state) {
  (void)state;
  enum { ROWS_SEEN = 6, HEADS = 2, DIM = 4 };
  // two prompt rows, and two answers that share them
  static const int32_t spans[] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 2, 2, 3, 0, 2, 2, 4, 0, 2, 4, 5, 0, 2, 4, 6};
  const double pairs = 1 + 2 + 3 + 4 + 3 + 4;
  const OpsSpan *found[MOST];
  Recorded recorded = {0};
  Tensor *q = fixture_f32(ROWS_SEEN, HEADS * DIM, fixture_random(ROWS_SEEN * HEADS * DIM, 1));
  Tensor *k = fixture_f32(8, DIM, fixture_random(8 * DIM, 1)); // a cache of 8 rows, of which 6 are seen
  Tensor *out = fixture_f32(ROWS_SEEN, HEADS * DIM, NULL);
  Attention attention = {.shape = {HEADS, 1, DIM, 0.5f},
                         .q = q,
                         .k = k,
                         .v = k,
                         .spans = fixture_i32(ROWS_SEEN, 4, spans),
                         .host_spans = spans,
                         .out = out};
  assert_ok(ops_profile_begin(fixture_ops(), record, &recorded));
  assert_ok(op_attention(&attention));
  assert_ok(ops_profile_end(fixture_ops()));
  assert_int_equal(without_transfers(&recorded, found), 1);
  assert_true(found[0]->work.flops == 2 * 2 * pairs * HEADS * DIM);
  assert_true(found[0]->work.bytes == 4 * (2 * ROWS_SEEN * HEADS * DIM + 2 * 6 * DIM));
}

static void without_a_profile_nothing_is_recorded(void **state) {
  (void)state;
  Recorded recorded = {0};
  add_and_multiply();
  assert_ok(ops_profile_end(fixture_ops()));
  assert_ok(ops_profile_begin(fixture_ops(), record, &recorded));
  assert_ok(ops_profile_end(fixture_ops()));
  add_and_multiply();
  assert_int_equal(recorded.count, 0);
}

static void what_fails_while_recording_is_said_at_the_end(void **state) {
  (void)state;
  Recorded recorded = {.fails = true};
  assert_ok(ops_profile_begin(fixture_ops(), record, &recorded));
  add_and_multiply();
  assert_fails(ops_profile_end(fixture_ops()), STATUS_FAILED, "profile: the recorder's disk is full");
  assert_ok(ops_profile_end(fixture_ops()));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(spans_nest_and_state_their_work),
      OPS_TEST(attention_counts_what_is_seen),
      OPS_TEST(without_a_profile_nothing_is_recorded),
      OPS_TEST(what_fails_while_recording_is_said_at_the_end),
  };
  return RUN_OPS_TESTS(tests);
}
