"""How sure a sampled number is: Poisson bounds for totals, Wilson's for shares.

A total of sampled rows has the variance ``sum((1 - 1/rate) * x**2)``, x as scaled. It is as good as
a Poisson count of ``c = total**2 / variance`` events, each worth ``total / c``: the exact Poisson
interval of c, scaled, is the interval of the total, for few samples as for many and through changes
of the rate. A total without variance was counted, not sampled, and has no error.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sekisho.tables import F64


def deviate(confidence: float) -> float:
    """Give the normal deviate of a two-sided interval: 1.96 for 0.95."""
    return NormalDist().inv_cdf(0.5 + min(max(confidence, 0.0), 0.999_999) / 2)


def poisson(count: F64, z: float) -> tuple[F64, F64]:
    """Bound the mean behind Poisson counts, float64[n] >= 0.

    Garwood's exact interval through Wilson and Hilferty's approximation of chi-square (1931): within
    2 % from 1 up; 0 gives [0, 3.7] at 95 %.
    """
    c = np.maximum(count, 1e-9)
    low = 1 - 1 / (9 * c) - z / (3 * np.sqrt(c))
    d = count + 1
    high = 1 - 1 / (9 * d) + z / (3 * np.sqrt(d))
    return np.where(low > 0, c * low**3, 0.0), d * high**3


def total(estimate: F64, variance: F64, z: float) -> tuple[F64, F64]:
    """Bound totals by their variance, float64[n] each; no variance is no error."""
    sampled = (variance > 0) & (estimate > 0)
    spread = np.where(sampled, variance, 1.0)
    value = np.where(sampled, estimate, 1.0)
    count = value * value / spread
    low, high = poisson(count, z)
    worth = spread / value
    lower = np.where(sampled, np.minimum(low * worth, estimate), estimate)
    # Nothing over nothing but a variance (a difference fallen to 0): as far as the deviation reaches.
    nothing = np.where(variance > 0, estimate + z * np.sqrt(np.maximum(variance, 0.0)), estimate)
    return lower, np.where(sampled, high * worth, nothing)


def around(estimate: F64, variance: F64, z: float) -> tuple[F64, F64]:
    """Bound by the normal distribution, not below 0: for errors of the counting itself."""
    reach = z * np.sqrt(np.maximum(variance, 0.0))
    return np.maximum(estimate - reach, 0.0), estimate + reach


def share(hits: F64, trials: F64, z: float) -> tuple[F64, F64]:
    """Bound the probability behind `hits` of `trials` (Wilson 1927); no trials give [0, 1]."""
    n = np.maximum(trials, 1e-9)
    p = np.clip(hits / n, 0.0, 1.0)
    scale = 1 / (1 + z * z / n)
    centre = (p + z * z / (2 * n)) * scale
    reach = z * scale * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)
