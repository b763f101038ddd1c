"""Writes comparison.json: ratios of geometric means as SciPy tests them, and p-values as statsmodels adjusts them.

pip install scipy==1.17.1 statsmodels==0.15.0; comparison.py > comparison.json
comparison.R holds R's t.test and p.adjust against the same file.
"""

import json

import numpy as np
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.weightstats import DescrStatsW, CompareMeans

MARGIN = 0.02
BOUND = np.log1p(MARGIN)

draws = np.random.default_rng(22)


def cycles(mean, deviation, count):
    return mean * np.exp(draws.normal(0, deviation, count))


def expected(test, equivalence):
    interval = test.confidence_interval(0.95)
    return {
        "ratio": float(np.exp((interval.low + interval.high) / 2)),
        "interval": [float(np.exp(interval.low)), float(np.exp(interval.high))],
        "p_value": float(test.pvalue),
        "degrees": float(test.df),
        "equivalence_p_value": float(equivalence),
    }


def welch(a, b):
    equivalence = CompareMeans(DescrStatsW(b), DescrStatsW(a)).ttost_ind(-BOUND, BOUND, usevar="unequal")[0]
    return expected(stats.ttest_ind(b, a, equal_var=False), equivalence)


def paired(a, b):
    equivalence = DescrStatsW(b - a).ttost_mean(-BOUND, BOUND)[0]
    return expected(stats.ttest_rel(b, a), equivalence)


ratios = []
for name, baseline, candidate in [
    ("3 against 3, a tenth less", cycles(50, 0.01, 3), cycles(45, 0.01, 3)),
    ("10 against 10, 3 %", cycles(0.5, 0.01, 10), cycles(0.515, 0.01, 10)),
    ("10 against 10, equal", cycles(200, 0.005, 10), cycles(200, 0.005, 10)),
    ("5 against 20, other scatter", cycles(1e-3, 0.2, 5), cycles(2e-3, 0.01, 20)),
    ("2 against 2", cycles(7, 0.05, 2), cycles(8, 0.05, 2)),
    ("2 against 30, far apart", cycles(1, 0.01, 2), cycles(1000, 0.03, 30)),
    ("100 against 100, nearly equal", cycles(30, 0.02, 100), cycles(30.1, 0.02, 100)),
]:
    a, b = np.log(baseline), np.log(candidate)
    ratios.append(
        {
            "name": name,
            "baseline": list(map(float, baseline)),
            "candidate": list(map(float, candidate)),
            "welch": welch(a, b),
            "paired_t": paired(a, b) if len(a) == len(b) else None,
        }
    )

adjusted = []
for p_values in [
    [0.01, 0.04, 0.03, 0.005, 0.2],
    [0.5, 0.6],
    [0.001],
    [0.02, 0.02, 0.02, 0.9, 1e-9],
    list(draws.random(8)),
]:
    adjusted.append({"p_values": list(map(float, p_values)), "holm": list(map(float, multipletests(p_values, method="holm")[1]))})

print(json.dumps({"ratios": ratios, "adjusted": adjusted}, indent=1))
