#!/usr/bin/env python3
"""Makes plan_golden.json: the power of t-tests and the sets that they need by scipy and statsmodels, and a pilot's variances with their
jackknife intervals by leaving sets out one after the other. Run with numpy, scipy and statsmodels:

  tests/eval/make_plan_golden.py > tests/eval/plan_golden.json
"""
import itertools
import json
import math

import numpy as np
import scipy
import statsmodels
from scipy import stats
from statsmodels.stats.power import TTestPower


def power(effect, n, level):
    """Of the two-sided t-test of one mean, in standard deviations, with n observations."""
    critical, shift = stats.t.ppf(1 - level / 2, n - 1), effect * math.sqrt(n)
    value = stats.nct.sf(critical, n - 1, shift) + stats.nct.cdf(-critical, n - 1, shift)
    other = TTestPower().power(effect, n, level, alternative="two-sided")
    # scipy's far tail may be lost where it is nothing beside the other one
    value = value if math.isfinite(value) else other
    assert abs(value - other) < 1e-9, (effect, n, level, value, other)
    return {"critical": critical, "shift": shift, "freedom": n - 1, "power": value}


def sets(variance, aim, level):
    effect = aim / math.sqrt(variance)
    seen = next(n for n in itertools.count(2) if power(effect, n, level)["power"] >= 0.8)
    bound = next(n for n in itertools.count(2) if stats.t.ppf(1 - level / 2, n - 1) * math.sqrt(variance / n) <= aim)
    return {"variance": variance, "aim": aim, "level": level, "seen": seen, "bound": bound}


def variances(d):
    """Between sets and within, of d[sets, answers], by the mean squares of a one-way layout."""
    n, m = d.shape
    ms_between = m * sum((d[s].mean() - d.mean()) ** 2 for s in range(n)) / (n - 1)
    ms_within = sum((x - d[s].mean()) ** 2 for s in range(n) for x in d[s]) / (n * (m - 1))
    return max(0.0, (ms_between - ms_within) / m), ms_within


def pilot(rng, shape, between):
    """H[sets, answers, groups]; planned for the two groups that vary the most."""
    n, m, groups = shape
    H = np.round(2 + rng.exponential(0.3, shape) + between * rng.exponential(1, (n, 1, groups)), 3)
    v = lambda d, answers: variances(d)[0] + variances(d)[1] / answers
    of, minus = max(((g, h) for g in range(groups) for h in range(g)), key=lambda p: v(H[:, :, p[0]] - H[:, :, p[1]], m))
    d = H[:, :, of] - H[:, :, minus]
    rows = []
    for answers in (1, 2, 4, 8):
        logs = np.array([math.log(v(np.delete(d, s, axis=0), answers)) for s in range(n)])
        error = math.sqrt((n - 1) / n * ((logs - logs.mean()) ** 2).sum())
        factor = math.exp(stats.t.ppf(0.975, n - 1) * error)
        rows.append({"variance": v(d, answers), "low": v(d, answers) / factor, "high": v(d, answers) * factor})
    return {"H": H.tolist(), "of": of, "minus": minus, "between": variances(d)[0], "within": variances(d)[1], "rows": rows}


def main():
    rng = np.random.default_rng(10)
    cases = [(0.5, 10, 0.05), (0.3, 40, 0.05), (0.05, 3000, 0.05), (2.0, 3, 0.05), (5.0, 2, 0.05), (0.0, 12, 0.05), (1.2, 8, 0.05 / 6),
             (0.4, 60, 0.05 / 28)]
    golden = {
        "made_with": f"numpy {np.__version__}, scipy {scipy.__version__}, statsmodels {statsmodels.__version__}",
        "power": [power(*case) for case in cases],
        "sets": [sets(*case) for case in ((0.01, 0.1, 0.05), (0.04, 0.01, 0.05), (0.002, 0.05, 0.05), (1e-5, 0.05, 0.05),
                                          (0.3, 0.1, 0.05 / 6), (0.01, 0.03, 0.05 / 3))],
        "pilots": [pilot(rng, (9, 2, 2), 0.4), pilot(rng, (6, 3, 2), 0.0), pilot(rng, (12, 2, 3), 0.2)],
    }
    print(json.dumps(golden))


main()
