"""What a process is told about itself."""

from __future__ import annotations

import json
import subprocess
import sys

TOLD = """
import gc, json, sys
from sekisho.app.process import let_a_loop_go_first
let_a_loop_go_first()
print(json.dumps([sys.getswitchinterval(), gc.isenabled(), len(gc.get_objects())]))
"""


def test_who_hears_has_the_interpreter_soon_and_nobody_looks_for_cycles_meanwhile() -> None:
    told = subprocess.run([sys.executable, "-c", TOLD], check=True, capture_output=True, text=True)
    interval, looks, left = json.loads(told.stdout)
    assert interval <= 0.0005
    assert not looks
    assert left < 1000  # what is there already stays, and is not looked at again


GIVES_BACK = """
import re
from pathlib import Path
from sekisho.app.process import give_back_bpf
def may(name):
    return int(re.search(rf"{name}:\\s*(\\w+)", Path("/proc/self/status").read_text())[1], 16)
before = may("CapEff"), may("CapPrm")
give_back_bpf()
bit = 1 << 39
assert may("CapEff") == before[0] & ~bit, "effective"
assert may("CapPrm") == before[1] & ~bit, "permitted"
give_back_bpf()
"""


def test_what_a_ring_takes_is_given_back() -> None:
    subprocess.run([sys.executable, "-c", GIVES_BACK], check=True)
