"""What this door needs of whoever keeps the switches; `app/switches.py` is the one that answers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.model.access import Principal
    from sekisho.model.report import Page
    from sekisho.model.switch import (
        BackupView,
        ChangeView,
        DriftView,
        PlanView,
        RolloutView,
        SwitchView,
        Wanted,
    )


class Switches(Protocol):
    """Every method may block on the ledger and on switches, and raises only `SekishoError`s.

    `names` are switches, none of them is all; a switch that has no file is NotFound. What changes switches
    gives its rollout as it begins, and goes on by itself: Conflict where one of them is being changed.
    """

    def listen(self, callback: Callable[[str], None]) -> None:
        """Call back, from any thread, with ``rollout:ID`` when something of a rollout changed."""
        ...

    def switches(self) -> tuple[SwitchView, ...]:
        """List all switches as they were when last looked at."""
        ...

    def switch(self, switch: str) -> SwitchView:
        """Tell of one switch."""
        ...

    def plan(self, names: Sequence[str]) -> tuple[PlanView, ...]:
        """Read switches, and say what would change on them and on their pairs."""
        ...

    def drift(self, names: Sequence[str], *, fresh: bool) -> tuple[DriftView, ...]:
        """Say what differs from the files; `fresh` reads the switches now."""
        ...

    def export(self, switch: str) -> str:
        """Write a switch as it is as the text of its file; it holds the switch's secrets."""
        ...

    def want(self, who: Principal, wanted: Wanted) -> RolloutView:
        """Make switches what their files say."""
        ...

    def approve(self, who: Principal, change: str, reason: str, allow: Sequence[str] = ()) -> RolloutView:
        """Carry a proposal out, if its plan is still the same."""
        ...

    def reject(self, who: Principal, change: str, reason: str) -> ChangeView:
        """Put a proposal aside."""
        ...

    def rollback(self, who: Principal, switch: str, change: str, reason: str) -> RolloutView:
        """Make a switch, and its pair, what it was before a change; its newest one where none is named."""
        ...

    def restore(self, who: Principal, switch: str, backup: str, reason: str) -> RolloutView:
        """Make a switch what a backup says."""
        ...

    def rollout(self, rollout: str) -> RolloutView:
        """Tell how far a rollout is."""
        ...

    def changes(self, switch: str, limit: int, marker: str) -> Page[ChangeView]:
        """List changes, newest first, of one switch or of all."""
        ...

    def backups(self, switch: str) -> tuple[BackupView, ...]:
        """List the kept running-configs of a switch, newest first."""
        ...

    def backup(self, switch: str) -> BackupView:
        """Keep the running-config of this moment, if it is not kept already."""
        ...

    def backup_text(self, switch: str, backup: str) -> str:
        """Give a kept running-config; it holds secrets."""
        ...

    def backup_diff(self, switch: str, backup: str, other: str) -> str:
        """Compare a kept running-config with another one, or with what runs now where none is named."""
        ...
