"""Writes intervals.json: intervals as SciPy computes them. pip install scipy==1.17.1; intervals.py > intervals.json"""

import json

import numpy as np
from scipy import stats

draws = np.random.default_rng(21)
cases = []
for name, values in {
    "normal, 5": draws.normal(100, 3, 5),
    "normal, 12": draws.normal(100, 3, 12),
    "normal, 30": draws.normal(100, 3, 30),
    "log-normal, 25": draws.lognormal(0, 0.8, 25),
    "log-normal, 60": draws.lognormal(0, 0.8, 60),
    "two levels, 20": np.where(draws.random(20) < 0.8, 10.0, 14.0),
}.items():
    n = len(values)
    t = stats.t.interval(0.95, n - 1, loc=np.mean(values), scale=stats.sem(values))
    median = stats.quantile_test(values, p=0.5).confidence_interval(0.95) if n >= 6 else None
    boot = stats.bootstrap((values,), np.mean, method="BCa", n_resamples=100_000, rng=np.random.default_rng(1))
    cases.append(
        {
            "name": name,
            "values": list(map(float, values)),
            "student_t": list(t),
            "median": median and [float(median.low), float(median.high)],
            "bca": [float(boot.confidence_interval.low), float(boot.confidence_interval.high)],
        }
    )
print(json.dumps(cases, indent=1))
