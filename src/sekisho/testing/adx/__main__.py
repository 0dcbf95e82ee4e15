"""Run an emulated ADX, or a pair, in a process of its own until it is told to stop.

    python -m sekisho.testing.adx [--pair] [--port PORT] [--username NAME] [--password WORD] [--befall FILE]

Prints one line of JSON for each box, then one that says they are ready. Their clock stands, but for five
seconds at each call that looks whether unbinding is done. The file says what befalls their calls, for as long
as it says so: ``forbidden``, ``fault``, ``garbage``, ``empty``, ``broken``, ``silent``, or ``slow SECONDS``.
"""

from __future__ import annotations

import argparse
import json
import signal
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.testing.adx.box import Box, Mishap
from sekisho.testing.adx.web import served

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Open the doors and wait for SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m sekisho.testing.adx", description="Emulated ADX boxes.")
    parser.add_argument("--pair", action="store_true", help="two boxes")
    parser.add_argument("--port", type=int, default=0, help="of the first one; 0 takes free ones")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="admin", help="of an emulated box on the loopback interface")
    parser.add_argument("--befall", type=Path, help="a file that says what befalls each call, if it is there")
    asked = parser.parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    with ExitStack() as stack:
        for number in range(2 if asked.pair else 1):
            box = Box(asked.username, asked.password, hurries=True)
            port = asked.port and asked.port + number
            address = stack.enter_context(served(box, port, partial(befall, box, asked.befall)))
            print(json.dumps({"address": address}), flush=True)
        print(json.dumps({"ready": True}), flush=True)
        signal.sigwait({signal.SIGTERM, signal.SIGINT})


def befall(box: Box, file: Path | None) -> None:
    """Let befall a box what a file says, nothing where it is empty or away."""
    said = file.read_text().split() if file is not None and file.exists() else []
    box.slow = float(said[1]) if said[:1] == ["slow"] else 0.0
    box.always = Mishap(said[0]) if said and not box.slow else None  # type: ignore[arg-type] # a person's word


if __name__ == "__main__":
    main()
