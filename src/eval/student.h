// Student's distribution.
#pragma once

/// The t with P(T ≤ t) = p for Student's distribution with `freedom` > 0 degrees of freedom; 0.5 ≤ p < 1.
double student_quantile(double p, double freedom);
/// P(|T| > critical), where T = (Z + shift) / sqrt(χ² / freedom): of a true effect of `shift` standard
/// errors, how often the two-sided test finds it. freedom ≥ 1; within 1e-6.
double student_power(double critical, double shift, double freedom);
