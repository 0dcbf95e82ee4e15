"""The measurement of a data centre's switches works, on two of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "bench" / "switch.py"
SMALL = ("--switches", "2", "--ports", "4", "--vlans", "3", "--json")

pytestmark = pytest.mark.timeout(300)


def test_the_measurement_measures() -> None:
    done = subprocess.run([sys.executable, PROGRAM, *SMALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["switches"], found["ports"]) == (2, 4)
    assert min(found[f"{what}_seconds"] for what in ("first_apply", "read", "apply")) > 0
    assert found["plan_seconds"] >= 0
    assert found["read_ms_per_switch"] == pytest.approx(found["read_seconds"] * 500)
    assert 0 < found["resident_mib"] < 500
