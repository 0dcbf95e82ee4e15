"""Which meters of a bridge are ours: numbers and settings, written down before a meter is made.

Meters carry no cookie, so the book is kept in the Bridge row (``external_ids:sekisho-meters``). It may
be older than the switch: after a restart of Open vSwitch a stranger may hold a number of ours. A meter
is ours when it is just as we wrote it down, or else when our own flows are all that use it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from sekisho.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Protocol

    from sekisho.devices.vswitch.program import Meter

    class Writes(Protocol):
        """What the book needs of the switch's database (`ovsdb.Database`)."""

        def write(self, change: Callable[[Any], None], timeout: float = ...) -> bool:
            """Let `change(idl)` edit rows in one transaction."""
            ...

        def post(self, change: Callable[[Any], None]) -> None:
            """Let it do so soon, and wait for nothing."""
            ...


_KEY: Final = "sekisho-meters"
# Number, rate in kbit/s, burst in kbit.
Entry: TypeAlias = tuple[int, int, int]


@dataclass(slots=True)
class MeterBook:
    """The book of one bridge; `first` is where our numbers begin. Raises what the database raises."""

    database: Writes
    bridge: str
    first: int
    entries: dict[str, Entry] = field(default_factory=dict)
    _stored: dict[str, Entry] | None = None

    @property
    def numbers(self) -> dict[str, int]:
        """The number of each meter key."""
        return {key: entry[0] for key, entry in self.entries.items()}

    def load(self) -> None:
        """Read what is stored; what we know and somebody erased stays known."""
        self.database.write(self._read)
        self.entries = {**(self._stored or {}), **self.entries}

    def assign(self, meters: Sequence[Meter], foreign: Iterable[int]) -> None:
        """Give each meter a number that nobody else uses, and write the book if that is news."""
        self._keep(self._assigned(meters, foreign))

    def assign_ahead(self, meters: Sequence[Meter], foreign: Iterable[int]) -> None:
        """Give numbers as `assign` does, and leave the writing to `post` or to whoever assigns next."""
        self.entries = self._assigned(meters, foreign)

    def post(self) -> None:
        """Have the book written soon, if there is news."""
        if self.entries != self._stored:
            self.database.post(self._writing(self.entries))

    def _assigned(self, meters: Sequence[Meter], foreign: Iterable[int]) -> dict[str, Entry]:
        taken = set(foreign)
        entries = {k: e for k, e in self.entries.items() if e[0] not in taken}
        taken |= {e[0] for e in entries.values()}
        number = self.first
        for meter in meters:
            if meter.key in entries:
                entries[meter.key] = (entries[meter.key][0], meter.rate, meter.burst)
                continue
            while number in taken:
                number += 1
            taken.add(number)
            entries[meter.key] = (number, meter.rate, meter.burst)
        return entries

    def forget(self, numbers: Iterable[int]) -> None:
        """Take numbers out: their meters are gone, or were never ours."""
        gone = set(numbers)
        self._keep({k: e for k, e in self.entries.items() if e[0] not in gone})

    def erase(self) -> None:
        """Leave no page behind."""
        self.database.write(lambda idl: self._row(idl).delkey("external_ids", _KEY))
        self.entries, self._stored = {}, None

    def _keep(self, entries: dict[str, Entry]) -> None:
        if entries != self._stored:
            self.database.write(self._writing(entries))
            self._stored = dict(entries)
        self.entries = entries

    def _writing(self, entries: dict[str, Entry]) -> Callable[[Any], None]:
        text = json.dumps(entries, separators=(",", ":"), sort_keys=True)
        return lambda idl: self._row(idl).setkey("external_ids", _KEY, text)

    def _row(self, idl: Any) -> Any:
        for row in idl.tables["Bridge"].rows.values():
            if row.name == self.bridge:
                return row
        raise NotFound(
            f"There is no bridge {self.bridge}.", f"ovsdb: no Bridge row is named {self.bridge!r}."
        )

    def _read(self, idl: Any) -> None:
        self._stored = _parse(self._row(idl).external_ids.get(_KEY, "{}"))


def _parse(text: str) -> dict[str, Entry]:
    """Read a book; somebody's edit makes it an empty one, and its meters are left standing."""
    try:
        kept: Mapping[str, Any] = json.loads(text)
        return {str(k): (int(e[0]), int(e[1]), int(e[2])) for k, e in kept.items()}
    except (ValueError, AttributeError, TypeError, IndexError):
        return {}
