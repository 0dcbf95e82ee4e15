"""What can be set about the keeper's switches."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from sekisho.model.errors import Malformed
from sekisho.model.switch import DriftPolicy


@dataclass(frozen=True, slots=True)
class SwitchesSettings:
    """The switches. `folder` holds a file for each; a folder that is not there is no switches.

    `every` is how many seconds pass between two looks at a switch (0 never looks), `jitter` the share by
    which that differs. `drift` is what is done about drift (report, propose, repair); `propose` and `repair`
    name switches for which it is another. `parallel` switches are read at once. Seconds: `timer` until a
    switch goes back by itself, where it can; `settle` for a changed switch to become what it should be;
    `retry` between two tries to bring a switch back; `wait` for a switch that is busy. `backups` are kept
    of each.
    """

    folder: str = "/etc/sekisho/switches"
    every: float = 900.0
    jitter: float = 0.1
    drift: Literal["report", "propose", "repair"] = "report"
    propose: tuple[str, ...] = ()
    repair: tuple[str, ...] = ()
    parallel: int = 8
    timer: float = 300.0
    settle: float = 20.0
    retry: float = 5.0
    wait: float = 60.0
    backups: int = 200

    def __post_init__(self) -> None:
        least = {"parallel": 1, "backups": 1, "every": 0, "settle": 0, "retry": 0.001, "timer": 30, "wait": 0}
        wrong = tuple(
            f"switches.{name}: {value:g} or more."
            for name, value in least.items()
            if getattr(self, name) < value
        )
        if wrong:
            raise Malformed("The settings of the switches have mistakes.", problems=wrong)

    def policy(self, switch: str) -> DriftPolicy:
        """Say what is done about a switch's drift."""
        if switch in self.repair:
            return DriftPolicy.REPAIR
        return DriftPolicy.PROPOSE if switch in self.propose else DriftPolicy(self.drift)
