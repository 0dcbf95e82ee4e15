"""nfcapd of nfdump: stores records as they come, and does nothing else with them."""

from __future__ import annotations

import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contenders.contender import Heard, end, free_port, listens, spawn, until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from traffic.streams import Stream

BUFFER: Final = 8 << 20
COUNTED: Final = re.compile(r"Flows: (\d+).*?Sequence Errors: (\d+)(?:.*?Bad Packets: (\d+))?")


@dataclass(slots=True)
class Storing:
    """A running nfcapd; it says what it has counted when it ends."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def finish(self) -> Heard:
        """End it, and read its last words; it has a line for each source of datagrams."""
        self.close()
        lines = COUNTED.findall(self.log.read_text(errors="replace"))
        return Heard(
            sum(int(flows) for flows, _, _ in lines),
            {"sequence_errors": float(sum(int(gaps) for _, gaps, _ in lines))},
        )

    def close(self) -> None:
        """End it."""
        end(self.process)


class Nfcapd:
    """nfcapd with the largest socket buffer the kernel grants."""

    name = "nfcapd"
    what = "stores raw, nothing else"
    window = 1 << 20

    def missing(self) -> str:
        """Say what must be installed."""
        return "" if shutil.which("nfcapd") else "nfdump"

    def hears(self, stream: str) -> bool:
        """Everything but sFlow, for which Debian has no sfcapd."""
        return not stream.startswith("sflow")

    def start(self, made: Stream, folder: Path) -> Storing:
        """Start it with an empty folder for its files."""
        del made
        port, log, kept = free_port(), folder / "nfcapd.log", folder / "flows"
        kept.mkdir()
        command = [
            "nfcapd",
            "-b",
            "127.0.0.1",
            "-p",
            str(port),
            "-w",
            str(kept),
            "-B",
            str(BUFFER),
            "-t",
            "3600",
        ]
        process = spawn(command, log)
        until(lambda: listens(port), "nfcapd listens")
        return Storing(process, port, log)
