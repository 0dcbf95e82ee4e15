"""The page about sizes and sampling says of each detector what the shipped lines and the rule come to."""

from __future__ import annotations

from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from sekisho.detect import confidence
from sekisho.detect.detectors import registered
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.model.policy import Threshold, Unit
from traffic.cloud import policies

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "size-a-collector.md"
DETECTORS = registered()
RATES = (100, 400, 1000, 4000)
PACKET = 1000  # bytes, as the page assumes
FEW = 10  # samples, below which the page gives no error


def lines() -> dict[str, Threshold]:
    """The first line that is shipped for each detector that is sampled."""
    found: dict[str, Threshold] = {}
    for policy in policies().policies:
        for condition in policy.conditions:
            if condition.detector in CATALOGUE and not DETECTORS[condition.detector].exact_ports:
                found.setdefault(condition.detector, condition.threshold)
    return found


def cell(name: str, line: Threshold, rate: int) -> str:
    if DETECTORS[name].distinct:
        return f"from {line.amount * rate:,.0f}"
    samples = line.amount / (PACKET if line.unit is Unit.BYTES else 1) / rate
    return f"±{196 * sqrt(1 / samples):.2g} %" if samples >= FEW else "too few"


def test_every_sampled_detector_has_its_row() -> None:
    rows = [
        f"| `{name}` | {line.text} | " + " | ".join(cell(name, line, rate) for rate in RATES) + " |"
        for name, line in lines().items()
    ]
    missing = [row for row in rows if row not in PAGE.read_text()]
    assert missing == []


def test_every_detector_is_spoken_of() -> None:
    text = PAGE.read_text()
    assert [name for name in CATALOGUE if f"`{name}`" not in text] == []


@pytest.mark.parametrize(("samples", "low", "high"), [(10, 4.8, 18.4), (25, 16.2, 36.9), (500, 456, 544)])
def test_the_intervals_it_tells_are_those_of_the_detectors(samples: float, low: float, high: float) -> None:
    found = confidence.poisson(np.array([samples]), confidence.deviate(0.95))
    assert found[0][0] == pytest.approx(low, rel=0.02)
    assert found[1][0] == pytest.approx(high, rel=0.02)
