"""Sampling rates as options data tells them, and which record each belongs to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sekisho.flows.index import hashed
from sekisho.flows.wire import elements as ie
from sekisho.flows.wire.elements import first, told_rate
from sekisho.flows.wire.limits import MAX_RATES, MAX_RATES_PER_BURST, MAX_RATES_PER_EXPORTER

if TYPE_CHECKING:
    from sekisho import native
    from sekisho.flows.wire.layout import Layout, Values
    from sekisho.flows.wire.protocol import Counters
    from sekisho.tables import F64, I64, U32, U64, Bool

_EXPORTER, _TEMPLATE, _INTERFACE, _SELECTOR = range(4)
_INTERFACES: Final = ie.IN_IF + ie.OUT_IF


class Table(NamedTuple):
    """Rates as the compiled core asks for them: rows of `rates` by key, and whether interfaces have any."""

    places: native.Structure
    rates: F64
    of_interfaces: bool


class Rates:
    """N of 1:N by (exporter, selector | interface | template | nothing: the whole exporter).

    A record's own rate comes first, then that of its selector, of its input interface, of its output
    interface, of its template, and at last of its exporter.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._rates: dict[int, float] = {}
        self._of_row: dict[int, set[int]] = {}
        self._index: tuple[I64, F64] | None = None
        self.core: Table | None = None  # what `table` gives; None where it must be made anew

    def __len__(self) -> int:
        return len(self._rates)

    def learn(self, layout: Layout, values: Values, rows: I64) -> None:
        """Take options records of one layout; `rows` are their exporters."""
        rate = told_rate(values, len(rows))
        told = rate >= 1
        if not told.any():
            return
        kind, ident = _subject(layout, values, len(rows))
        keys, last = np.unique(_key(rows, kind, ident)[told][::-1], return_index=True)
        rates = rate[told][::-1][last]
        changed = np.nonzero(self._find(keys) != rates)[0]
        self._counters.count("sampling_rate_flood", len(changed[MAX_RATES_PER_BURST:]))
        for i in changed[:MAX_RATES_PER_BURST]:
            self._store(int(keys[i]), float(rates[i]))

    def of(self, values: Values, rows: I64, templates: I64) -> F64:
        """Rate of each flow record; 0 where nobody told one."""
        rate = told_rate(values, len(rows))
        if not self._rates:
            return rate
        for kind, ident in _asked(values, templates):
            missing = np.nonzero(rate == 0)[0]
            if not len(missing):
                break
            rate[missing] = self._find(_key(rows[missing], kind, ident[missing]))
        return rate

    def of_interfaces(
        self, rows: I64, templates: I64, inputs: tuple[U32, Bool], outputs: tuple[U32, Bool]
    ) -> F64:
        """Rate of records that tell none themselves, by their interfaces where told; else as `of`."""
        rate = np.zeros(len(rows))
        everywhere = np.ones(len(rows), np.bool_)
        for kind, ident, told in (
            (_INTERFACE, *inputs),
            (_INTERFACE, *outputs),
            (_TEMPLATE, templates, everywhere),
            (_EXPORTER, np.zeros(len(rows), np.uint64), everywhere),
        ):
            missing = np.nonzero((rate == 0) & told)[0]
            if len(missing):
                rate[missing] = self._find(_key(rows[missing], kind, ident[missing].astype(np.uint64)))
        return rate

    def table(self) -> Table:
        """Give the compiled core a hash table of all rates."""
        if self.core is None:
            known, rates = self._indexed()
            places = hashed(known.astype(np.uint64), np.arange(len(known), dtype=np.int32))
            of_interfaces = bool(((known >> 32 & 7) == _INTERFACE).any())
            self.core = Table(places, rates, of_interfaces)
        return self.core

    def forget(self, row: int) -> None:
        """Forget what an exporter told."""
        for key in self._of_row.pop(row, ()):
            del self._rates[key]
            self._index = self.core = None

    def _store(self, key: int, rate: float) -> None:
        keys = self._of_row.setdefault(key >> 35, set())
        if key not in keys and (len(keys) >= MAX_RATES_PER_EXPORTER or len(self) >= MAX_RATES):
            self._counters.count("sampling_rate_over_cap")
            return
        keys.add(key)
        self._rates[key] = rate
        self._index = self.core = None

    def _find(self, keys: I64) -> F64:
        known, rates = self._indexed()
        if not len(known):
            return np.zeros(len(keys))
        at = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        return np.where(known[at] == keys, rates[at], 0.0)

    def _indexed(self) -> tuple[I64, F64]:
        if self._index is None:
            known = np.fromiter(self._rates, np.int64, len(self._rates))
            rates = np.fromiter(self._rates.values(), np.float64, len(self._rates))
            order = np.argsort(known)
            self._index = known[order], rates[order]
        return self._index


def _key(rows: I64, kind: int, ident: U64) -> I64:
    return rows << 35 | kind << 32 | (ident & np.uint64(0xFFFF_FFFF)).astype(np.int64)


def _subject(layout: Layout, values: Values, n: int) -> tuple[int, U64]:
    """Say what an options record speaks of: a selector, or what its scope names, or the whole exporter."""
    selector = first(values, ie.SELECTORS)
    if selector is not None:
        return _SELECTOR, selector
    scopes = layout.scope_elements
    for kind, elements in ((_INTERFACE, _INTERFACES), (_TEMPLATE, (ie.TEMPLATE_ID,))):
        found = first(values, tuple(e for e in elements if e in scopes))
        if found is not None:
            return kind, found
    return _EXPORTER, np.zeros(n, np.uint64)


def _asked(values: Values, templates: I64) -> list[tuple[int, U64]]:
    """List what a flow record may be known by, most telling first."""
    by_field = ((_SELECTOR, ie.SELECTORS), (_INTERFACE, ie.IN_IF), (_INTERFACE, ie.OUT_IF))
    found = [(kind, first(values, elements)) for kind, elements in by_field]
    asked = [(kind, ident) for kind, ident in found if ident is not None]
    return [
        *asked,
        (_TEMPLATE, templates.astype(np.uint64)),
        (_EXPORTER, np.zeros(len(templates), np.uint64)),
    ]
