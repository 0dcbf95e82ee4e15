"""One method per operation of the API about switches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar
from urllib.parse import quote

from sekisho.client.bounds import pages
from sekisho.client.problems import Answer, checked, fitting
from sekisho.model.switch import (
    BackupView,
    ChangeView,
    DriftView,
    PlanView,
    RolloutView,
    SwitchView,
    Wanted,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

T = TypeVar("T")

# Seconds that the keeper may take to ask many switches, some of which do not answer.
PATIENCE: Final = 300.0


class Sends(Protocol):
    """Delivers one request."""

    def __call__(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        wait: float = 0.0,
        repeatable: bool = False,
    ) -> Answer:
        """Give the answer, whatever it is."""
        ...


class Writes(Protocol):
    """Writes a body."""

    def __call__(self, body: object) -> bytes:
        """Give it as JSON."""
        ...


class Switches:
    """The switches of a keeper; every method raises as `Client`'s do.

    `names` are switches, none of them is all. What changes switches gives a rollout as it begins.
    """

    def __init__(self, send: Sends, write: Writes) -> None:
        self._send = send
        self._write = write

    # --- looking ----------------------------------------------------------------------------------

    def list(self) -> tuple[SwitchView, ...]:
        """List all switches as they were when last looked at."""
        return tuple(self._pages(SwitchView, "switches", {}, 1000))

    def show(self, switch: str) -> SwitchView:
        """Tell of one switch."""
        return fitting(SwitchView, self._json("GET", _path(switch)))

    def plan(self, names: Sequence[str] = ()) -> tuple[PlanView, ...]:
        """Read switches, and say what would change on them and on their pairs."""
        return self._items(PlanView, self._json("POST", "switches/plans", body={"switches": tuple(names)}))

    def drift(self, names: Sequence[str] = (), *, fresh: bool = False) -> tuple[DriftView, ...]:
        """Say what differs from the files; `fresh` reads the switches now."""
        if fresh:
            body = {"switches": tuple(names)}
            return self._items(DriftView, self._json("POST", "switches/drift", body=body))
        return self._items(DriftView, self._json("GET", "switches/drift", {"switch": list(names)}))

    def export(self, switch: str) -> str:
        """Write a switch as it is as the text of its file; it holds the switch's secrets."""
        return self._text(f"{_path(switch)}/export")

    # --- changing ---------------------------------------------------------------------------------

    def change(self, wanted: Wanted) -> RolloutView:
        """Make switches what their files say."""
        return fitting(RolloutView, self._json("POST", "switches/changes", body=wanted))

    def approve(self, change: str, reason: str, allow: Sequence[str] = ()) -> RolloutView:
        """Carry a proposal out, if its plan is still the same."""
        body = {"reason": reason, "allow": tuple(allow)}
        return fitting(RolloutView, self._json("POST", f"{_change(change)}/approve", body=body))

    def reject(self, change: str, reason: str) -> ChangeView:
        """Put a proposal aside."""
        return fitting(ChangeView, self._json("POST", f"{_change(change)}/reject", body={"reason": reason}))

    def rollback(self, switch: str, reason: str, change: str = "") -> RolloutView:
        """Make a switch, and its pair, what it was before a change; its newest one where none is named."""
        body = {"reason": reason, "change": change}
        return fitting(RolloutView, self._json("POST", f"{_path(switch)}/rollback", body=body))

    def restore(self, switch: str, backup: str, reason: str) -> RolloutView:
        """Make a switch what a backup says."""
        body = {"reason": reason, "backup": backup}
        return fitting(RolloutView, self._json("POST", f"{_path(switch)}/restore", body=body))

    def follow(self, rollout: str, revision: int | None = None, wait: float = 0.0) -> RolloutView | None:
        """Tell how far a rollout is; None when it still is at `revision` after `wait` seconds."""
        query = {"revision": revision, "wait": wait}
        answer = self._send("GET", f"/v1/{_change(rollout)}", query, wait=wait)
        return None if answer.status == 304 else fitting(RolloutView, checked(answer).json())

    def changes(self, switch: str = "", limit: int = 100) -> Iterator[ChangeView]:
        """Go through changes, newest first, `limit` to a page."""
        return self._pages(ChangeView, "switches/changes", {"switch": switch}, limit)

    # --- backups ----------------------------------------------------------------------------------

    def backups(self, switch: str) -> tuple[BackupView, ...]:
        """List the kept running-configs of a switch, newest first."""
        return tuple(self._pages(BackupView, f"{_path(switch)}/backups", {}, 1000))

    def backup(self, switch: str) -> BackupView:
        """Keep the running-config of this moment, if it is not kept already."""
        return fitting(BackupView, self._json("POST", f"{_path(switch)}/backups"))

    def backup_text(self, switch: str, backup: str) -> str:
        """Give a kept running-config; it holds secrets."""
        return self._text(f"{_path(switch)}/backups/{quote(backup, safe='')}")

    def backup_diff(self, switch: str, backup: str, other: str = "") -> str:
        """Compare a kept running-config with another one, or with what runs now where none is named."""
        return self._text(f"{_path(switch)}/backups/{quote(backup, safe='')}/diff", {"other": other})

    # --- inside -----------------------------------------------------------------------------------

    def _json(
        self, method: str, path: str, query: Mapping[str, Any] | None = None, body: object = None
    ) -> Any:
        raw = None if body is None else self._write(body)
        return checked(self._send(method, f"/v1/{path}", query, raw, wait=PATIENCE)).json()

    def _text(self, path: str, query: Mapping[str, Any] | None = None) -> str:
        return checked(self._send("GET", f"/v1/{path}", query, wait=PATIENCE)).body.decode()

    def _items(self, kind: type[T], answer: Any) -> tuple[T, ...]:
        found = answer.get("items") if isinstance(answer, dict) else None
        return tuple(fitting(kind, item) for item in fitting(tuple[Any, ...], found))

    def _pages(self, kind: type[T], path: str, query: Mapping[str, Any], limit: int) -> Iterator[T]:
        def ask(marker: str) -> Any:
            return self._json("GET", path, {**query, "limit": limit, "marker": marker})

        for items in pages(ask):
            yield from (fitting(kind, item) for item in items)


def _path(switch: str) -> str:
    return f"switches/{quote(switch, safe='')}"


def _change(name: str) -> str:
    return f"switches/changes/{quote(name, safe='')}"
