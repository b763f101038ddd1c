"""Writes ratios.json: intervals of ratios of sums as SciPy computes them. pip install scipy==1.17.1; ratios.py > ratios.json"""

import json

import numpy as np
from scipy import stats


def ratio(above, below, axis=-1):
    return np.sum(above, axis=axis) / np.sum(below, axis=axis)


draws = np.random.default_rng(34)
cases = []
for name, (n, deviation, spread) in {
    "even, 20": (20, 3.0, 0.05),
    "skewed, 30": (30, 10.0, 0.6),
    "skewed, 60": (60, 10.0, 0.9),
}.items():
    # Tokens of each cycle, and the energy that goes with them.
    below = np.round(1000 * draws.lognormal(0, spread, n))
    above = below * 0.5 + draws.normal(20, deviation, n)
    boot = stats.bootstrap(
        (above, below), ratio, paired=True, method="BCa", n_resamples=100_000, rng=np.random.default_rng(1)
    )
    cases.append(
        {
            "name": name,
            "above": list(map(float, above)),
            "below": list(map(float, below)),
            "ratio": float(ratio(above, below)),
            "bca": [float(boot.confidence_interval.low), float(boot.confidence_interval.high)],
        }
    )
print(json.dumps(cases, indent=1))
