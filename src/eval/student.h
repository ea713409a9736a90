// Student's distribution.
#pragma once

/// The t with P(T ≤ t) = p for Student's distribution with `freedom` > 0 degrees of freedom; 0.5 ≤ p < 1.
double student_quantile(double p, double freedom);
