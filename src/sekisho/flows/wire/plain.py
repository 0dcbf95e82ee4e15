"""Bursts of NetFlow v9 and IPFIX with nothing new in them: the compiled core decodes them in two calls.

Nearly all bursts are: every exporter and template is known, and nothing is cut or lies. What each call
costs is paid once a burst, however many datagrams it holds. RecordDecoder decodes all others, and gives
the same for these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from sekisho import native
from sekisho.flows.wire.compiled import DIRECTIONS
from sekisho.flows.wire.limits import (
    MAX_COUNT,
    MAX_LAYOUTS_PER_BURST,
    MAX_RECORDS_PER_BURST,
    MAX_SETS,
    MAX_STEPS_PER_BURST,
    OVS_INPUT_MEMORY,
)

if TYPE_CHECKING:
    import ctypes

    from numpy.typing import NDArray

    from sekisho.flows.exporters import Exporters
    from sekisho.flows.exporters_compiled import CompiledExporters
    from sekisho.flows.wire.records import RecordDecoder
    from sekisho.tables import I64, Burst, FlowBatch

_ROOM: Final = 1 << 14  # sets of one burst; one of more is not plain


class Header(NamedTuple):
    """A protocol's header: octets, and where it has fields; -1 for one that it does not have.

    `counts_records`: what the sequence number counts, else it counts messages.
    """

    protocol: int
    octets: int
    sequence: int
    domain: int
    length: int
    counts_records: bool


# The structure `plain` of native/plain.c: the names of its places, in order.
_PLACES: Final = (
    *("at", "size", "slot", "lengths", "address_hi", "address_lo", "chosen", "n"),
    *("protocol", "header", "sequence_at", "domain_at", "length_at"),
    *("known", "sequences", "generation", "met", "ovs", "statistics", "records", "input_heard"),
    *("templates", "programs", "tells_input", "tells_output", "is_ovs"),
    *("rates", "rate", "rates_told", "of_interfaces"),
    *("most_sets", "most_records", "most_layouts", "most_steps", "room", "inputs", "outputs"),
    *("time", "now", "clock", "most_count", "template_clock", "memory"),
    *("row", "sequence", "step", "held"),
    *("start", "end", "message", "layout", "located", "inputs_told"),
    *("sets", "other", "implausible"),
)
_AT: Final = {name: place for place, name in enumerate(_PLACES)}


class PlainBursts:
    """What the core needs to decode plain bursts of one protocol, and what it found in the last one."""

    def __init__(
        self,
        library: ctypes.CDLL,
        core: CompiledExporters,
        exporters: Exporters,
        records: RecordDecoder,
        header: Header,
    ) -> None:
        self._library, self._exporters, self._records, self._header = library, exporters, records, header
        self._structure = native.Structure(*(0,) * len(_PLACES))
        self._values, self._reals = self._structure.values, self._structure.values.view(np.float64)
        self._held: dict[str, Any] = {}  # what the addresses stand for
        self._datagrams: tuple[NDArray[Any], ...] = ()
        self._counted = 0  # messages there is room for
        self._point(known=core.table, sequences=core.sequences, records=exporters.records)
        self._point(generation=exporters.generation, **records.by_exporter())
        self._point(**{name: np.zeros(_ROOM, np.int64) for name in ("start", "end")})
        names = "message", "layout", "located", "inputs_told"
        self._point(**{name: np.zeros(_ROOM, np.int32) for name in names})
        inputs, outputs = DIRECTIONS[records.settings.ovs_directions]
        self._put(protocol=header.protocol, header=header.octets, sequence_at=header.sequence)
        self._put(domain_at=header.domain, length_at=header.length, inputs=inputs, outputs=outputs)
        self._put(most_sets=MAX_SETS, most_records=MAX_RECORDS_PER_BURST, room=_ROOM)
        self._put(most_layouts=MAX_LAYOUTS_PER_BURST, most_steps=MAX_STEPS_PER_BURST)
        self._reals[_AT["most_count"]] = MAX_COUNT

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch | None:
        """Decode datagrams `rows` of the burst; None, and nothing done, where they are not plain."""
        templates, programs = self._records.templates, self._records.programs
        self._exporters.begin(now)
        templates.begin(now)
        if not programs.knows(templates.layouts) or not self._look_at(burst, rows):
            return None
        self._know()
        total = int(self._library.sk_plain_find(self._structure.address))
        if total < 0:
            return None
        clock = templates.clock
        for name, value in (("time", burst.time), ("now", now), ("clock", self._exporters.clock)):
            self._reals[_AT[name]] = value
        self._reals[_AT["template_clock"]], self._reals[_AT["memory"]] = clock, clock - OVS_INPUT_MEMORY
        batch, _, columns = native.fresh(total)
        told = int(self._library.sk_plain_decode(self._structure.address, columns.address, total))
        return self._records.plain(
            batch if told == total else batch.take(slice(told)),
            records=total,
            other=int(self._values[_AT["other"]]),
            implausible=bool(self._values[_AT["implausible"]]),
        )

    def _look_at(self, burst: Burst, rows: I64) -> bool:
        """Point at the datagrams; False where their columns are not as the core needs them."""
        datagrams = burst.data, burst.length, burst.address_hi, burst.address_lo
        if len(datagrams) != len(self._datagrams) or any(
            new is not old for new, old in zip(datagrams, self._datagrams, strict=True)
        ):
            wanted = np.uint8, np.int32, np.uint64, np.uint64
            if not all(
                c.dtype == w and c.flags.c_contiguous for c, w in zip(datagrams, wanted, strict=True)
            ):
                return False
            self._datagrams = datagrams
            names = "at", "lengths", "address_hi", "address_lo"
            self._point(**dict(zip(names, datagrams, strict=True)))
            self._put(size=burst.data.size, slot=burst.data.shape[1])
        if len(rows) > self._counted:
            self._make_room(len(rows))
        self._values[_AT["chosen"]], self._values[_AT["n"]] = rows.ctypes.data, len(rows)
        return rows.dtype == np.int64 and rows.flags.c_contiguous

    def _make_room(self, messages: int) -> None:
        self._counted = messages
        held = np.zeros(messages, np.uint32)
        step = held if self._header.counts_records else np.ones(messages, np.uint32)
        self._point(row=np.zeros(messages, np.int32), sequence=np.zeros(messages, np.uint32))
        self._point(held=held, step=step)

    def _know(self) -> None:
        """Point at what is known now of templates and rates."""
        places, programs, rates = self._records.templates.table(), self._records.programs, self._records.rates
        if self._held.get("templates") is not places:
            self._point(templates=places)
        if self._held.get("programs") is not programs.address:
            self._point(programs=programs.address, tells_input=programs.input)
            self._point(tells_output=programs.output, is_ovs=programs.ovs)
        self._put(rates_told=len(rates))
        if len(rates) and self._held.get("rates") is not (table := rates.table()).places:
            self._point(rates=table.places, rate=table.rates)
            self._put(of_interfaces=int(table.of_interfaces))

    def _point(self, **found: NDArray[Any] | native.Structure) -> None:
        for name, value in found.items():
            self._held[name] = value
            address = value.address if isinstance(value, native.Structure) else value.ctypes.data
            self._values[_AT[name]] = address

    def _put(self, **values: int) -> None:
        for name, value in values.items():
            self._values[_AT[name]] = value


def plain_bursts(exporters: Exporters, records: RecordDecoder, header: Header) -> PlainBursts | None:
    """Make it where there is the compiled core."""
    if native.LIBRARY is None or exporters.core is None:
        return None
    return PlainBursts(native.LIBRARY, exporters.core, exporters, records, header)
