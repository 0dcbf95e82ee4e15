"""What a process is told about itself."""

from __future__ import annotations

import json
import os
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


ALL_THREADS = """
import re, sys
from pathlib import Path
from sekisho.app.process import compute_alone, give_back_bpf
if "alone" in sys.argv:
    compute_alone()
from sekisho.app import collector_workers
if "another" in sys.argv:
    import threading
    stop = threading.Event()
    threading.Thread(target=stop.wait).start()
def may():
    told = [(each / "status").read_text() for each in Path("/proc/self/task").iterdir()]
    return [bool(int(re.search(r"CapPrm:\\s*(\\w+)", each)[1], 16) >> 39 & 1) for each in told]
could = any(may())
give_back_bpf()
print(could, any(may()))
if "another" in sys.argv:
    stop.set()
"""


def give_back(*words: str) -> tuple[str, str]:
    """Tell whether a process could and still can, by any of its threads; and what it said."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    told = subprocess.run(
        [sys.executable, "-c", ALL_THREADS, *words],
        check=True,
        capture_output=True,
        text=True,
        env=environment,
    )
    return told.stdout.strip(), told.stderr


def test_no_thread_keeps_what_a_ring_takes() -> None:
    still, said = give_back("alone")
    assert still in {"True False", "False False"}
    assert not said


def test_a_thread_that_keeps_what_a_ring_takes_is_told() -> None:
    still, said = give_back("alone", "another")
    assert ("OPENBLAS_NUM_THREADS" in said) == (still == "True True")
