"""What the loop of an agent needs of the switch and of its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.host.memory import Memory
    from sekisho.model.inventory import Subject, Telemetry
    from sekisho.model.restriction import Receipt


class Switch(Protocol):
    """One bridge, as the agent sees it."""

    bridge: str

    def carry(self, subjects: Sequence[Subject], memory: Memory, now: float) -> tuple[Receipt, ...]:
        """Make the bridge carry what the memory holds for these subjects; say what it did."""
        ...

    def hasten(self, subject: Subject, subjects: Sequence[Subject], memory: Memory, now: float) -> bool:
        """Let one subject carry what the memory holds for it, ahead of all; False if that cannot be."""
        ...

    def export(self, templates: float) -> Telemetry:
        """Point the bridge's flow export at the collector, and say what it exports.

        IPFIX templates are sent again when `templates` is another than before.
        """
        ...


class Ports(Protocol):
    """The switch's database, as the agent sees it."""

    def subjects(self) -> tuple[Subject, ...]:
        """List the subjects on this host now."""
        ...

    def listen(self, callback: Callable[[bool], None]) -> None:
        """Call back, from any thread, when something happened to a port (False) or to the switch (True)."""
        ...

    def close(self) -> None:
        """Stop."""
        ...
