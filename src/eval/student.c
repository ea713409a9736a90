// Student's distribution: its quantiles by bisection of its tail, which is the incomplete beta function, to
// the last digits of a double; and the noncentral one by an integral.
#include "student.h"

#include <math.h>

/// The continued fraction of the incomplete beta function (Lentz's method; DLMF 8.17.22). Converges fast for
/// x < (a + 1) / (a + b + 2).
static double beta_fraction(double a, double b, double x) {
  const double tiny = 1e-300;
  double c = 1, d = 1 - (a + b) * x / (a + 1);
  d = 1 / (fabs(d) < tiny ? tiny : d);
  double value = d;
  for (int m = 1; m <= 10000; m++) {
    double even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m));
    double odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1));
    double step = 1;
    for (int part = 0; part < 2; part++) {
      double term = part == 0 ? even : odd;
      d = 1 + term * d;
      c = 1 + term / c;
      d = 1 / (fabs(d) < tiny ? tiny : d);
      if (fabs(c) < tiny) c = tiny;
      step = d * c;
      value *= step;
    }
    if (fabs(step - 1) < 1e-15) break;
  }
  return value;
}

/// The regularised incomplete beta function I_x(a, b). y = 1 − x is passed too, so that no digits are lost
/// near x = 1.
static double beta_regularised(double a, double b, double x, double y) {
  if (x <= 0) return 0;
  if (y <= 0) return 1;
  double front = exp(lgamma(a + b) - lgamma(a) - lgamma(b) + a * log(x) + b * log(y));
  if (x < (a + 1) / (a + b + 2)) return front * beta_fraction(a, b, x) / a;
  return 1 - front * beta_fraction(b, a, y) / b;
}

/// P(T > t), t ≥ 0.
static double student_tail(double t, double freedom) {
  double square = t * t;
  return 0.5 * beta_regularised(freedom / 2, 0.5, freedom / (freedom + square), square / (freedom + square));
}

double student_quantile(double p, double freedom) {
  double low = 0, high = 1;
  while (student_tail(high, freedom) > 1 - p && high < 1e300) high *= 2;
  for (int i = 0; i < 200; i++) {
    double middle = low + (high - low) / 2;
    if (student_tail(middle, freedom) > 1 - p)
      low = middle;
    else
      high = middle;
  }
  return low + (high - low) / 2;
}

/// P(Z > z).
static double normal_tail(double z) {
  return 0.5 * erfc(z * 0.70710678118654752440);
}

double student_power(double critical, double shift, double freedom) {
  enum { POINTS = 2000, DEVIATIONS = 10 };
  // given the estimated standard deviation s, in true ones, Z alone decides; s is 1 ± 1 / sqrt(2 freedom)
  double reach = DEVIATIONS / sqrt(2 * freedom), low = fmax(0, 1 - reach);
  double step = (1 + reach - low) / POINTS, power = 0, total = 0;
  for (int i = 0; i < POINTS; i++) {
    double s = low + (i + 0.5) * step;
    double weight =
        exp((freedom - 1) * log(s) - freedom / 2 * (s * s - 1)); // the density of s but for a factor
    power += weight * (normal_tail(critical * s - shift) + normal_tail(critical * s + shift));
    total += weight;
  }
  return power / total;
}
