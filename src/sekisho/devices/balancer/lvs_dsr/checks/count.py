"""Pure: answers of one member in, a verdict out: down after `fall` failures, up after `rise` successes."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Count:
    """What a member's answers came to.

    `alive` is None before the first verdict; `streak` counts the answers in a row that speak against it.
    """

    rise: int
    fall: int
    alive: bool | None = None
    streak: int = 0

    def heard(self, *, good: bool) -> Count:
        """Take one answer. The first success is a verdict by itself: there is nothing to recover from."""
        if good == self.alive:
            return replace(self, streak=0)
        need = self.fall if not good else (self.rise if self.alive is False else 1)
        if self.streak + 1 >= need:
            return replace(self, alive=good, streak=0)
        return replace(self, streak=self.streak + 1)
