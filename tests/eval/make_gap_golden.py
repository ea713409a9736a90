#!/usr/bin/env python3
"""Makes gap_golden.json: estimates of small tables by scipy and by trying every sign, split or relabelling, where gee-cl
draws at random. Run with numpy and scipy (made with 2.4.6 and 1.17.1):  tests/eval/make_gap_golden.py > tests/eval/gap_golden.json
"""
import itertools
import json
import math

import numpy as np
import scipy
from scipy import stats


def pairs_of(table):
    groups = table.shape[1]
    return [(of, minus) for of in range(1, groups) for minus in range(of)]


def differences(table):
    return np.stack([table[:, of] - table[:, minus] for of, minus in pairs_of(table)], axis=1)


def t_statistics(d):
    """|t| of each column of d[..., sets, pairs]."""
    n = d.shape[-2]
    error = d.std(axis=-2, ddof=1) / math.sqrt(n)
    return np.abs(d.mean(axis=-2)) / error


def critical(table):
    """The 95th percentile of the largest |t| over all sign patterns; None where gee-cl takes Bonferroni's."""
    n, d = len(table), differences(table)
    if n < 8:
        return stats.t.ppf(1 - 0.025 / d.shape[1], n - 1), None
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=n)))
    largest = t_statistics(signs[:, :, None] * (d - d.mean(axis=0))).max(axis=1)
    # a draw of 10,000 puts the percentile's rank within 4 standard deviations, 0.9 %
    return np.quantile(largest, 0.95), np.quantile(largest, [0.941, 0.959]).tolist()


def permutation_p(table):
    n, groups = table.shape
    orders = list(itertools.permutations(range(groups)))
    measured = t_statistics(differences(table)).max()
    count = total = 0
    for choice in itertools.product(range(len(orders)), repeat=n):
        relabelled = np.stack([table[s, list(orders[o])] for s, o in enumerate(choice)])
        count += t_statistics(differences(relabelled)).max() >= measured * (1 - 1e-9)
        total += 1
    return count / total


def split_spread(table):
    """Over all splits into two halves that are not empty."""
    values = []
    for signs in itertools.product([True, False], repeat=len(table)):
        signs = np.array(signs)
        if signs.all() or not signs.any():
            continue
        a, b = table[signs].mean(axis=0), table[~signs].mean(axis=0)
        values.append((b[a.argmax()] - b[a.argmin()] + a[b.argmax()] - a[b.argmin()]) / 2)
    return float(np.mean(values)), float(np.std(values))


def two_groups(table):
    d = table[:, 1] - table[:, 0]
    result = stats.ttest_1samp(d, 0)
    interval = result.confidence_interval(0.95)
    exact = stats.permutation_test((d,), lambda x, axis: np.abs(x.mean(axis=axis)), permutation_type="samples",
                                   alternative="greater", n_resamples=np.inf)
    return {"H": table.tolist(), "gap": d.mean(), "low": interval.low, "high": interval.high,
            "standard_error": d.std(ddof=1) / math.sqrt(len(d)), "p": exact.pvalue}


def many_groups(table, p):
    d = differences(table)
    middle, ends = critical(table)
    spread, deviation = split_spread(table)
    return {"H": table.tolist(), "critical": middle, "critical_ends": ends,
            "pairs": [{"gap": m, "standard_error": e} for m, e in
                      zip(d.mean(axis=0), d.std(axis=0, ddof=1) / math.sqrt(len(d)))],
            "p": p if p is None else permutation_p(table), "spread": spread, "spread_deviation": deviation}


def main():
    rng = np.random.default_rng(9)
    table = lambda sets, means: np.round(2 + rng.exponential(0.4, (sets, len(means))) + np.array(means), 3)
    golden = {
        "made_with": f"numpy {np.__version__}, scipy {scipy.__version__}",
        "two": [two_groups(table(n, [0, gap])) for n, gap in ((2, 0.1), (5, 0.2), (9, 0.5), (12, 0.0))],
        "many": [many_groups(table(5, [0, 0.3, 0.1]), True), many_groups(table(12, [0, 0.4, 0.1]), None),
                 many_groups(table(4, [0, 0, 0]), True), many_groups(table(13, [0.0] * 5), None)],
    }
    print(json.dumps(golden))


main()
