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
