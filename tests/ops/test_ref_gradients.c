// The twins' backward passes against central differences of their forward passes, in double, with random
// cotangents. With L = Σ cotangent · output, each input's gradient must be (L(x + h) − L(x − h)) / 2h. Needs
// no device.
#include "support/ops_fixture.h"

#include "ref/ref.h"
#include <math.h>

static const double step = 1e-5, tolerance = 1e-6;

enum { MAX_INPUTS = 3 };

/// A twin's forward pass: reads `inputs`, writes `outputs` numbers.
typedef struct Forward {
  void (*run)(double *out, double *const *inputs);
  size_t outputs;
} Forward;

static double loss(Forward forward, double *const *inputs, const double *cotangent, double *out) {
  double sum = 0;
  forward.run(out, inputs);
  for (size_t i = 0; i < forward.outputs; i++) sum += cotangent[i] * out[i];
  return sum;
}

/// Compares `gradient` with central differences over each element of inputs[input].
static void check(const char *what, Forward forward, double *const *inputs, size_t input, size_t count,
                  const double *cotangent, const double *gradient) {
  double *out = fixture_zeros(forward.outputs), largest = 0;
  for (size_t i = 0; i < count; i++) largest = fmax(largest, fabs(gradient[i]));
  assert_true(largest > 0);
  for (size_t i = 0; i < count; i++) {
    double *x = &inputs[input][i], before = *x;
    *x = before + step;
    double up = loss(forward, inputs, cotangent, out);
    *x = before - step;
    double down = loss(forward, inputs, cotangent, out);
    *x = before;
    double error = fabs((up - down) / (2 * step) - gradient[i]);
    if (!(error <= tolerance * largest)) fail_msg("%s: element %zu off by %g of %g", what, i, error, largest);
  }
}

enum { M = 3, N = 5, K = 7 };

static void forward_linear(double *out, double *const *in) {
  ref_linear(out, in[0], in[1], M, N, K, 0.7, 0);
}

static void linear(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * K, 1), fixture_random(N * K, 1)},
         *c = fixture_random(M * N, 1);
  double *dx = fixture_zeros(M * K), *dw = fixture_zeros(N * K);
  ref_linear_dx(dx, c, in[1], M, N, K, 0.7, 0);
  ref_linear_dw(dw, c, in[0], M, N, K, 0.7, 0);
  check("linear dx", (Forward){forward_linear, M * N}, in, 0, M * K, c, dx);
  check("linear dw", (Forward){forward_linear, M * N}, in, 1, N * K, c, dw);
}

static void forward_bias(double *out, double *const *in) {
  for (size_t i = 0; i < M * N; i++) out[i] = in[0][i];
  ref_bias(out, in[1], M, N);
}

static void bias(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * N, 1), fixture_random(N, 1)}, *c = fixture_random(M * N, 1);
  double *dbias = fixture_zeros(N);
  ref_bias_backward(dbias, c, M, N);
  check("bias", (Forward){forward_bias, M * N}, in, 1, N, c, dbias);
}

static const int32_t ids[M] = {2, 0, 2};

static void forward_embed(double *out, double *const *in) {
  ref_embed(out, in[0], ids, M, N);
}

static void embed(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(4 * N, 1)}, *c = fixture_random(M * N, 1),
         *dtable = fixture_zeros(4 * N);
  ref_embed_backward(dtable, c, ids, M, N);
  check("embed", (Forward){forward_embed, M * N}, in, 0, 4 * N, c, dtable);
}

static void forward_rmsnorm(double *out, double *const *in) {
  double rstd[M];
  ref_rmsnorm(out, rstd, in[0], in[1], M, K, 1e-2);
}

static void rmsnorm(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * K, 1), fixture_random(K, 1)}, *c = fixture_random(M * K, 1);
  double *dx = fixture_zeros(M * K), *dw = fixture_zeros(K), *out = fixture_zeros(M * K), rstd[M];
  ref_rmsnorm(out, rstd, in[0], in[1], M, K, 1e-2);
  ref_rmsnorm_backward(dx, dw, c, in[0], in[1], rstd, M, K);
  check("rmsnorm dx", (Forward){forward_rmsnorm, M * K}, in, 0, M * K, c, dx);
  check("rmsnorm dw", (Forward){forward_rmsnorm, M * K}, in, 1, K, c, dw);
}

enum { HEADS = 4, KV_HEADS = 2, D = 6, ROWS = 7, Q = ROWS * HEADS * D, KV = ROWS * KV_HEADS * D };
static const int32_t positions[ROWS] = {0, 1, 2, 3, 9, 100, 7};
static const double inv_freq[D / 2] = {1, 0.1, 0.01};

static void forward_rope(double *out, double *const *in) {
  for (size_t i = 0; i < Q; i++) out[i] = in[0][i];
  ref_rope(out, positions, inv_freq, ROWS, HEADS, D, 1);
}

static void rope(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(Q, 1)}, *c = fixture_random(Q, 1), *dx = fixture_zeros(Q);
  for (size_t i = 0; i < Q; i++) dx[i] = c[i];
  ref_rope(dx, positions, inv_freq, ROWS, HEADS, D, -1);
  check("rope", (Forward){forward_rope, Q}, in, 0, Q, c, dx);
}

// A prompt of three rows and two answers of two rows each.
static const int32_t spans[4 * ROWS] = {0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 3,
                                        3, 4, 0, 3, 3, 5, 0, 3, 5, 6, 0, 3, 5, 7};

static RefAttention attention_of(double *out, double *lse, double *const *in) {
  return (RefAttention){.M = ROWS,
                        .key_rows = ROWS,
                        .heads = HEADS,
                        .kv_heads = KV_HEADS,
                        .D = D,
                        .scale = 0.5,
                        .q = in[0],
                        .k = in[1],
                        .v = in[2],
                        .spans = spans,
                        .out = out,
                        .lse = lse};
}

static void forward_attention(double *out, double *const *in) {
  double lse[ROWS * HEADS];
  RefAttention operands = attention_of(out, lse, in);
  ref_attention(&operands);
}

static void attention(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(Q, 1), fixture_random(KV, 1), fixture_random(KV, 1)};
  double *c = fixture_random(Q, 1), *out = fixture_zeros(Q), lse[ROWS * HEADS];
  double *dq = fixture_zeros(Q), *dk = fixture_zeros(KV), *dv = fixture_zeros(KV);
  RefAttention operands = attention_of(out, lse, in);
  ref_attention(&operands);
  operands.dq = dq;
  operands.dk = dk;
  operands.dv = dv;
  operands.dout = c;
  ref_attention_backward(&operands);
  check("attention dq", (Forward){forward_attention, Q}, in, 0, Q, c, dq);
  check("attention dk", (Forward){forward_attention, Q}, in, 1, KV, c, dk);
  check("attention dv", (Forward){forward_attention, Q}, in, 2, KV, c, dv);
}

static void forward_swiglu(double *out, double *const *in) {
  ref_swiglu(out, in[0], in[1], M * N);
}

static void swiglu(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * N, 3), fixture_random(M * N, 1)},
         *c = fixture_random(M * N, 1);
  double *dgate = fixture_zeros(M * N), *dup = fixture_zeros(M * N);
  ref_swiglu_backward(dgate, dup, c, in[0], in[1], M * N);
  check("swiglu dgate", (Forward){forward_swiglu, M * N}, in, 0, M * N, c, dgate);
  check("swiglu dup", (Forward){forward_swiglu, M * N}, in, 1, M * N, c, dup);
}

enum { V = 19 };

/// H of each row. log Z is not part of the loss.
static void forward_entropy(double *out, double *const *in) {
  double stats[2 * M];
  ref_entropy(stats, in[0], M, V, 0.5);
  for (size_t m = 0; m < M; m++) out[m] = stats[2 * m + 1];
}

static void entropy(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * V, 2)}, *c = fixture_random(M, 1),
         *dlogits = fixture_zeros(M * V);
  ref_entropy_backward(dlogits, in[0], c, M, V, 0.5);
  check("entropy", (Forward){forward_entropy, M}, in, 0, M * V, c, dlogits);
  for (size_t m = 0; m < M; m++) { // a shift of all logits changes nothing
    double sum = 0;
    for (size_t j = 0; j < V; j++) sum += dlogits[m * V + j];
    if (!(fabs(sum) <= 1e-12)) fail_msg("row %zu of the entropy's gradient sums to %g", m, sum);
  }
}

/// KL(p‖q) and KL(q‖p) of each row.
static void forward_divergence(double *out, double *const *in) {
  double forward[M], reverse[M];
  ref_divergence(forward, in[0], in[1], M, V, 0.5);
  ref_divergence(reverse, in[1], in[0], M, V, 0.5);
  for (size_t m = 0; m < M; m++) {
    out[2 * m] = forward[m];
    out[2 * m + 1] = reverse[m];
  }
}

static void divergence(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * V, 2), fixture_random(M * V, 2)},
         *c = fixture_random(2 * M, 1), *dlogits = fixture_zeros(M * V);
  ref_divergence_backward(dlogits, in[0], in[1], c, M, V, 0.5);
  check("divergence", (Forward){forward_divergence, 2 * M}, in, 0, M * V, c, dlogits);
}

static const int32_t given_rows[4] = {0, 2, 2, 2}, given_tokens[4] = {1, 0, 3, V - 1};
static const double given_weights[4] = {0.7, 0.25, 1.5, 0.5};

static void forward_cross_entropy(double *out, double *const *in) {
  out[0] = ref_cross_entropy(in[0], V, given_rows, given_tokens, given_weights, 4);
}

static void cross_entropy(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * V, 2)}, c[1] = {1}, *dlogits = fixture_zeros(M * V);
  ref_cross_entropy_backward(dlogits, in[0], M, V, given_rows, given_tokens, given_weights, 4);
  check("cross_entropy", (Forward){forward_cross_entropy, 1}, in, 0, M * V, c, dlogits);
}

/// Shows that the check can fail: a gradient without one of its terms is found wrong.
static void notices_a_missing_term(void **state) {
  (void)state;
  double *in[MAX_INPUTS] = {fixture_random(M * K, 1), fixture_random(K, 1)}, *c = fixture_random(M * K, 1),
         rstd[M];
  double *dx = fixture_zeros(M * K), *out = fixture_zeros(M * K), worst = 0;
  ref_rmsnorm(out, rstd, in[0], in[1], M, K, 1e-2);
  for (size_t i = 0; i < M * K; i++) dx[i] = c[i] * in[1][i % K] * rstd[i / K]; // without − x · rstd³ / K · Σ
  for (size_t i = 0; i < M * K; i++) {
    double *x = &in[0][i], before = *x;
    *x = before + step;
    double up = loss((Forward){forward_rmsnorm, M * K}, in, c, out);
    *x = before - step;
    double down = loss((Forward){forward_rmsnorm, M * K}, in, c, out);
    *x = before;
    worst = fmax(worst, fabs((up - down) / (2 * step) - dx[i]));
  }
  assert_true(worst > 1000 * tolerance);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      OPS_TEST(linear),
      OPS_TEST(bias),
      OPS_TEST(embed),
      OPS_TEST(rmsnorm),
      OPS_TEST(rope),
      OPS_TEST(attention),
      OPS_TEST(swiglu),
      OPS_TEST(entropy),
      OPS_TEST(divergence),
      OPS_TEST(cross_entropy),
      OPS_TEST(notices_a_missing_term),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
