"""Templates as exporters define, renew and withdraw them, bounded whatever is sent.

Netflow9 and Ipfix share this; what differs between them is how a template set is written (`Parser`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

import numpy as np

from sekisho.flows.index import hashed
from sekisho.flows.wire.layout import VARIABLE, Field, Layout, compile_layout
from sekisho.flows.wire.limits import (
    CLOCK_STEP,
    MAX_DEFINITIONS_PER_BURST,
    MAX_FRESH_OCTETS_PER_BURST,
    MAX_LAYOUTS,
    MAX_PARSED_OCTETS,
)
from sekisho.flows.wire.renewals import Renewals

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho import native
    from sekisho.flows.wire.protocol import Counters, DecodeSettings
    from sekisho.tables import I64

FIRST_ID: Final = 256
UNKNOWN: Final = -1
_MAX_RECORD: Final = 65535


@dataclass(frozen=True, slots=True)
class Definition:
    """One template record. No fields: a withdrawal, of all of its kind where `id` is the set's own."""

    id: int
    fields: tuple[Field, ...] = ()
    scopes: int = 0


class Parser(Protocol):
    """Reads the content of one template set; what is wrong is counted and left out."""

    def __call__(self, content: bytes, *, options: bool, counters: Counters, fields: int) -> list[Definition]:
        """Read all template records; `fields` is the most that one may have."""
        ...


Events: TypeAlias = dict[int, list[tuple[int, int]]]


def key_of(row: int, template: int) -> int:
    """Make one integer of exporter and template id."""
    return row << 16 | template


class Templates:
    """Which layout each (exporter, template id) means now.

    A layout is known by its content and shared by all exporters that define the same: records of all
    of them are decoded together.
    """

    def __init__(self, settings: DecodeSettings, counters: Counters, parser: Parser) -> None:
        self.layouts: list[Layout] = []
        self._settings, self._counters, self._parse = settings, counters, parser
        self._by_content: dict[tuple[tuple[Field, ...], int], int] = {}
        self._parsed: dict[tuple[bytes, bool], list[Definition]] = {}
        self._known: dict[int, tuple[int, float]] = {}  # key: layout, when last defined
        self._of_row: dict[int, set[int]] = {}
        self._clock, self._now, self._swept = 0.0, 0.0, 0.0
        self._index: tuple[I64, I64] | None = None
        self.renewals = Renewals()
        self.core: native.Structure | None = None  # what `table` gives; None where it must be made anew
        self._budget, self._fresh, self._compacted, self._parsed_octets = 0, 0, 0, 0

    def __len__(self) -> int:
        return len(self._known)

    @property
    def clock(self) -> float:
        """Seconds on our own clock, which never jumps far."""
        return self._clock

    def begin(self, now: float) -> None:
        """Begin a burst: let time pass, by our own clock, and forget what was not renewed."""
        self._clock += min(max(now - self._now, 0.0), CLOCK_STEP)
        self._now = now
        self._budget, self._fresh = MAX_DEFINITIONS_PER_BURST, MAX_FRESH_OCTETS_PER_BURST
        if self._clock - self._swept >= self._settings.template_idle / 16:
            self._sweep()
        if len(self.layouts) > max(MAX_LAYOUTS // 2, self._compacted + MAX_LAYOUTS // 8):
            self._compact()

    def lookup(self, keys: I64) -> I64:
        """Index in `layouts` of each key, UNKNOWN where there is none."""
        known, layouts = self._indexed()
        if not len(known):
            return np.full(len(keys), UNKNOWN)
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[at] == keys, layouts[at], UNKNOWN)

    def table(self) -> native.Structure:
        """Give the compiled core a hash table of the same."""
        if self.core is None:
            known, layouts = self._indexed()
            self.core = hashed(known.astype(np.uint64), layouts.astype(np.int32))
        return self.core

    def _indexed(self) -> tuple[I64, I64]:
        if self._index is None:
            known = np.fromiter(self._known, np.int64, len(self._known))
            layouts = np.fromiter((v[0] for v in self._known.values()), np.int64, len(self._known))
            order = np.argsort(known)
            self._index = known[order], layouts[order]
        return self._index

    def _changed(self) -> None:
        """Let the indices be made anew; what the core renewed meanwhile is noted before it forgets."""
        self._index = self.core = None
        self._note_renewals()
        self.renewals.forget()

    def _note_renewals(self) -> None:
        for key, heard in self.renewals.heard():
            layout, before = self._known.get(key, (UNKNOWN, heard))
            if before < heard:
                self._known[key] = layout, heard

    def learn(self, row: int, content: bytes, *, options: bool, at: int, events: Events) -> None:
        """Take one template set at position `at` of the burst; what changes is noted in `events`."""
        found = self._definitions(content, options=options) if self._budget > 0 else ()
        self._counters.count("template_flood", int(self._budget <= 0))
        self._budget -= 1 + len(found)
        taken = [self._take(row, each, options=options) for each in found]
        changes = [change for each in taken for change in each or ()]
        for key, layout in changes:
            events.setdefault(key, []).append((at, layout))
        renewed = (self._known.get(key_of(row, each.id)) for each in found)
        # One that is refused must be complained about each time, though another set may know its id.
        whole = bool(found) and not changes and None not in taken
        if whole and all(known is not None and known[1] == self._clock for known in renewed):
            self.renewals.remember(row, content, found, options=options)

    def forget(self, row: int) -> None:
        """Forget an exporter's templates."""
        keys = self._of_row.pop(row, ())
        for key in keys:
            del self._known[key]
        if keys:
            self._changed()

    def _definitions(self, content: bytes, *, options: bool) -> list[Definition]:
        found = self._parsed.get((content, options))
        if found is None:
            self._fresh -= len(content)
            if self._fresh < 0:
                self._counters.count("template_flood")
                return []
            found = self._parse(
                content, options=options, counters=self._counters, fields=self._settings.template_fields
            )
            self._parsed_octets += len(content)
            if self._parsed_octets > MAX_PARSED_OCTETS:
                self._parsed.clear()
                self._parsed_octets = len(content)
            self._parsed[content, options] = found
        return found

    def _take(self, row: int, definition: Definition, *, options: bool) -> Iterable[tuple[int, int]] | None:
        """Take one definition: what it changes, None where it is refused."""
        if not definition.fields:
            return self._withdraw(row, definition.id, options=options)
        layout = self._layout(definition)
        if layout == UNKNOWN:
            return None
        key = key_of(row, definition.id)
        keys = self._of_row.setdefault(row, set())
        before = self._known.get(key)
        if before is None and not self._room(keys):
            return None
        keys.add(key)
        self._known[key] = layout, self._clock
        if before is not None and before[0] == layout:
            return ()
        self._changed()
        return ((key, layout),)

    def _room(self, keys: set[int]) -> bool:
        full = len(keys) >= self._settings.templates_per_exporter or len(self) >= self._settings.templates
        self._counters.count("template_over_cap", int(full))
        return not full

    def _withdraw(self, row: int, template: int, *, options: bool) -> list[tuple[int, int]]:
        """Withdraw one template, or all of a kind (RFC 7011 8.1)."""
        keys = self._of_row.get(row, set())
        every = template < FIRST_ID
        wanted = keys if every else keys & {key_of(row, template)}
        gone = [k for k in wanted if bool(self.layouts[self._known[k][0]].scopes) == options]
        self._counters.count("template_withdrawn", len(gone))
        self._drop(gone)
        return [(key, UNKNOWN) for key in gone]

    def _drop(self, keys: Iterable[int]) -> None:
        for key in keys:
            del self._known[key]
            of_row = self._of_row[key >> 16]
            of_row.discard(key)
            if not of_row:
                del self._of_row[key >> 16]
            self._changed()

    def _layout(self, definition: Definition) -> int:
        content = definition.fields, definition.scopes
        known = self._by_content.get(content)
        if known is not None:
            return known
        sizes = [1 if f.length == VARIABLE else f.length for f in definition.fields]
        if not 0 < sum(sizes) <= _MAX_RECORD:
            self._counters.count("template_size")
            return UNKNOWN
        if len(self.layouts) >= MAX_LAYOUTS:
            self._counters.count("template_layouts")
            return UNKNOWN
        self.layouts.append(compile_layout(*content))
        self._by_content[content] = len(self.layouts) - 1
        return len(self.layouts) - 1

    def _sweep(self) -> None:
        self._swept = self._clock
        self._note_renewals()
        oldest = self._clock - self._settings.template_idle
        gone = [key for key, (_, heard) in self._known.items() if heard < oldest]
        self._counters.count("template_expired", len(gone))
        self._drop(gone)

    def _compact(self) -> None:
        """Let go of layouts that nobody's template means any more."""
        used = sorted({layout for layout, _ in self._known.values()})
        number = {old: new for new, old in enumerate(used)}
        self._known = {key: (number[layout], heard) for key, (layout, heard) in self._known.items()}
        self._by_content = {c: number[old] for c, old in self._by_content.items() if old in number}
        self.layouts = [self.layouts[old] for old in used]
        self._compacted = len(used)
        self._changed()
