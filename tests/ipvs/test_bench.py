"""The measurement works, and one member's change is far below what it may take, even by emulation."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

PERFORMANCE = Path(__file__).parents[2] / "docs" / "reference" / "performance.md"
PROGRAM = Path(__file__).parents[2] / "bench" / "balancer.py"
SMALL = ("--here", "--balancers", "20", "--members", "4", "--packets", "2000", "--json")


def test_the_measurement_measures() -> None:
    done = subprocess.run([sys.executable, PROGRAM, *SMALL], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["balancers"] == 20
    assert 0 < found["converge_seconds"] < 30
    assert found["one_change_ms"] < 100
    assert found["no_change_ms"] < 100
    assert min(found["ipvs_pps"], found["nft_pps"]) > 0
    assert found["ipvs_to_nft"] == pytest.approx(found["ipvs_pps"] / found["nft_pps"])
    section = PERFORMANCE.read_text().partition("## Directors")[2]
    said = set(re.findall(r"\(`(\w+)`\)", section))
    assert {"converge_seconds", "one_change_ms"} <= said <= found.keys()
