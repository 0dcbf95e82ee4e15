from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from sekisho.detect.detectors import registered
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.testing.contract_detector import CHECKS, SUBJECTS, traffic
from support_detect import START, condition, detection, policy

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.detect.detector import Detector

DETECTORS = registered()


@pytest.mark.parametrize("check", CHECKS, ids=lambda c: c.__name__)
@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_contract(name: str, check: Callable[[Detector], None]) -> None:
    check(DETECTORS[name])


@pytest.mark.parametrize("name", sorted(DETECTORS))
def test_registered_under_its_own_name(name: str) -> None:
    assert DETECTORS[name].name == name


def test_the_catalogue_is_what_is_registered() -> None:
    assert {name: detector.unit for name, detector in DETECTORS.items()} == CATALOGUE


@pytest.mark.parametrize("name", sorted(DETECTORS))
@pytest.mark.parametrize("exact", [True, False])
def test_any_traffic_through_the_whole_room(name: str, *, exact: bool) -> None:
    found = detection(
        policy(condition(name, 0.5, 10), destinations="any"),
        subjects=[f"s{i}" for i in range(SUBJECTS)],
        exact=exact,
    )
    told = 0
    for second in range(30):
        batch = traffic(500, second)
        batch.time[:] = START + second
        found.add(batch)
        for evidence in found.close(START + second + 1):
            told += 1
            (finding,) = evidence.findings
            assert finding.lower <= finding.estimate <= finding.upper
            assert finding.lower >= finding.threshold or evidence.first_seen < evidence.window_end
            assert finding.samples > 0
            assert evidence.top_destinations
    assert told or name in {"syn-flood", "ingress-syn-flood"}  # this traffic has more answers than SYNs


def test_the_catalogue_needs_no_numpy() -> None:
    code = "import sys; import sekisho.detect.detectors.catalogue; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
