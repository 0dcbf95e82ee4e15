"""An independent witness: hears from the switch itself when a rule was laid and when it went."""

from __future__ import annotations

import re
import subprocess
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.lab.processes import tool

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.lab.ovs import PrivateSwitch

# Rules of ours have this upper half of their cookie; another's are not our business.
COOKIE: Final = 0x5E4B15E0
_EVENT: Final = re.compile(
    r"event=(ADDED|MODIFIED|DELETED)(?: reason=(\S+))? table=\d+ (?:\S+_timeout=\d+ )*"
    r"cookie=(0x[0-9a-f]+) (\S+)"
)


@dataclass(frozen=True, slots=True)
class RuleEvent:
    """A rule of ours as the switch tells of it; `mono` is when we heard, a millisecond or so after.

    `what` is ADDED, MODIFIED or DELETED; `why` of a deletion is ``hard`` when it ended by itself.
    """

    mono: float
    what: str
    why: str
    match: str

    @property
    def in_port(self) -> int:
        """The OpenFlow port it is about, 0 if it is not about one."""
        found = re.search(r"\bin_port=(\d+)", self.match)
        return int(found[1]) if found else 0


class Witness:
    """Listens to one bridge by OpenFlow's flow monitor (OpenFlow 1.5.1 section 7.3.5.19)."""

    def __init__(
        self, switch: PrivateSwitch, bridge: str, tell: Callable[[RuleEvent], None] | None = None
    ) -> None:
        self.events: list[RuleEvent] = []
        self._tell = tell
        argv = [tool("ovs-ofctl"), "-OOpenFlow15", "monitor", switch.management(bridge), "watch:"]
        # It prints to its standard error, which is not buffered: each line comes when it happens.
        self._process = subprocess.Popen(  # noqa: S603 - our own words
            argv, env=switch.environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        self._first = threading.Event()
        self._thread = threading.Thread(target=self._listen, name="witness", daemon=True)
        self._thread.start()
        self._first.wait(5.0)

    def _listen(self) -> None:
        stream = self._process.stderr
        for line in stream or ():
            self._first.set()
            event = read(line, time.monotonic())
            if event is not None:
                self.events.append(event)
                if self._tell is not None:
                    self._tell(event)

    def stop(self) -> None:
        """Stop listening."""
        self._process.terminate()
        self._process.wait()
        self._thread.join()
        if self._process.stderr:
            self._process.stderr.close()


def read(line: str, mono: float) -> RuleEvent | None:
    """Read one line of the monitor; None when it is not about a rule of ours."""
    found = _EVENT.search(line)
    if found is None or int(found[3], 16) >> 32 != COOKIE:
        return None
    return RuleEvent(mono, found[1], found[2] or "", found[4])
