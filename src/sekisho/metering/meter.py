"""What every source of volumes can do; who is judged is up to whoever asks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.metering.readings import Volumes
    from sekisho.model.inventory import Subject


@dataclass(frozen=True, slots=True)
class Round:
    """How one reading of a meter went: `problems` are sentences for the operator."""

    read: int = 0  # ports whose numbers are fresh
    failed: int = 0  # ports whose numbers could not be had
    calls: int = 0
    problems: tuple[str, ...] = ()


class Meter(Protocol):
    """One source of volumes."""

    def read(self, subjects: Sequence[Subject], now: float) -> Round:
        """Fetch what is new of these subjects; what cannot be had is counted, never raised."""
        ...

    def volumes(self, window: float, now: float) -> Volumes:
        """Tell how much each subject sent and got within `window` seconds up to `now`.

        Only subjects that are known for the whole window or since they began, and freshly: nobody is
        judged on half a day.
        """
        ...
