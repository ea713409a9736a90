// Linear layers, embedding, RMSNorm, rotary embedding and SwiGLU in double.
#include "ref/ref.h"

#include <math.h>

void ref_linear(double *out, const double *x, const double *w, size_t M, size_t N, size_t K, double alpha,
                double beta) {
  for (size_t m = 0; m < M; m++) {
    for (size_t n = 0; n < N; n++) {
      double sum = 0;
      for (size_t k = 0; k < K; k++) sum += x[m * K + k] * w[n * K + k];
      out[m * N + n] = alpha * sum + (beta == 0 ? 0 : beta * out[m * N + n]);
    }
  }
}

void ref_linear_dx(double *dx, const double *dout, const double *w, size_t M, size_t N, size_t K,
                   double alpha, double beta) {
  for (size_t m = 0; m < M; m++) {
    for (size_t k = 0; k < K; k++) {
      double sum = 0;
      for (size_t n = 0; n < N; n++) sum += dout[m * N + n] * w[n * K + k];
      dx[m * K + k] = alpha * sum + (beta == 0 ? 0 : beta * dx[m * K + k]);
    }
  }
}

void ref_linear_dw(double *dw, const double *dout, const double *x, size_t M, size_t N, size_t K,
                   double alpha, double beta) {
  for (size_t n = 0; n < N; n++) {
    for (size_t k = 0; k < K; k++) {
      double sum = 0;
      for (size_t m = 0; m < M; m++) sum += dout[m * N + n] * x[m * K + k];
      dw[n * K + k] = alpha * sum + (beta == 0 ? 0 : beta * dw[n * K + k]);
    }
  }
}

static void round_block(double *values, size_t count) {
  float largest = 0;
  for (size_t i = 0; i < count; i++) largest = fmaxf(largest, fabsf((float)values[i]));
  float scale = largest * (1.0f / 127.0f), factor = largest < 1e-36f ? 0 : 127.0f / largest;
  for (size_t i = 0; i < count; i++)
    values[i] = (double)nearbyintf((float)values[i] * factor) * (double)scale;
}

void ref_round_int8(double *values, size_t rows, size_t cols) {
  enum { BLOCK = 32 };
  for (size_t m = 0; m < rows; m++) {
    for (size_t k = 0; k < cols; k += BLOCK)
      round_block(values + m * cols + k, cols - k < BLOCK ? cols - k : BLOCK);
  }
}

/// A half has 11 digits down to 2^-14, and steps of 2^-24 below.
static double nearest_half(double value) {
  int exponent;
  (void)frexp(value, &exponent);
  double step = ldexp(1.0, exponent < -13 ? -24 : exponent - 11);
  return nearbyint(value / step) * step;
}

void ref_round_f16(double *values, size_t rows, size_t cols) {
  for (size_t m = 0; m < rows; m++) {
    double *row = values + m * cols, largest = 0;
    int exponent;
    for (size_t k = 0; k < cols; k++) largest = fmax(largest, fabs(row[k]));
    (void)frexp(largest, &exponent);
    for (size_t k = 0; k < cols; k++)
      row[k] = ldexp(nearest_half(ldexp(row[k], 15 - exponent)), exponent - 15);
  }
}

void ref_bias(double *x, const double *bias, size_t M, size_t N) {
  for (size_t i = 0; i < M * N; i++) x[i] += bias[i % N];
}

void ref_bias_backward(double *dbias, const double *dout, size_t M, size_t N) {
  for (size_t i = 0; i < M * N; i++) dbias[i % N] += dout[i];
}

void ref_embed(double *out, const double *table, const int32_t *ids, size_t M, size_t C) {
  for (size_t i = 0; i < M * C; i++) out[i] = table[(size_t)ids[i / C] * C + i % C];
}

void ref_embed_backward(double *dtable, const double *dout, const int32_t *ids, size_t M, size_t C) {
  for (size_t i = 0; i < M * C; i++) dtable[(size_t)ids[i / C] * C + i % C] += dout[i];
}

void ref_rmsnorm(double *out, double *rstd, const double *x, const double *w, size_t M, size_t C,
                 double eps) {
  for (size_t m = 0; m < M; m++) {
    double sum = 0;
    for (size_t c = 0; c < C; c++) sum += x[m * C + c] * x[m * C + c];
    rstd[m] = 1 / sqrt(sum / (double)C + eps);
    for (size_t c = 0; c < C; c++) out[m * C + c] = x[m * C + c] * rstd[m] * w[c];
  }
}

void ref_rmsnorm_backward(double *dx, double *dw, const double *dout, const double *x, const double *w,
                          const double *rstd, size_t M, size_t C) {
  for (size_t m = 0; m < M; m++) {
    double r = rstd[m], dot = 0; // Σ dout · w · x
    for (size_t c = 0; c < C; c++) dot += dout[m * C + c] * w[c] * x[m * C + c];
    for (size_t c = 0; c < C; c++) {
      size_t i = m * C + c;
      dx[i] += r * dout[i] * w[c] - x[i] * r * r * r / (double)C * dot;
      if (dw != NULL) dw[c] += dout[i] * x[i] * r;
    }
  }
}

void ref_rope(double *x, const int32_t *positions, const double *inv_freq, size_t M, size_t heads, size_t D,
              int direction) {
  for (size_t m = 0; m < M; m++) {
    for (size_t h = 0; h < heads; h++) {
      double *head = x + (m * heads + h) * D;
      for (size_t i = 0; i < D / 2; i++) {
        double angle = direction * (positions[m] * inv_freq[i]), a = head[i], b = head[i + D / 2];
        head[i] = a * cos(angle) - b * sin(angle);
        head[i + D / 2] = b * cos(angle) + a * sin(angle);
      }
    }
  }
}

static double sigmoid(double x) {
  return 1 / (1 + exp(-x));
}

void ref_swiglu(double *out, const double *gate, const double *up, size_t count) {
  for (size_t i = 0; i < count; i++) out[i] = gate[i] * sigmoid(gate[i]) * up[i];
}

void ref_swiglu_backward(double *dgate, double *dup, const double *dout, const double *gate, const double *up,
                         size_t count) {
  for (size_t i = 0; i < count; i++) {
    double s = sigmoid(gate[i]), dg = dout[i] * up[i] * s * (1 + gate[i] * (1 - s)),
           du = dout[i] * gate[i] * s;
    dgate[i] = dg;
    dup[i] = du;
  }
}
