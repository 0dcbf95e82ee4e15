"""Bursts of NetFlow v9 and IPFIX with nothing new in them: the compiled core decodes them in two calls.

Nearly all bursts are: every exporter and template is known, and nothing is cut or lies. What each call
costs is paid once a burst, however many datagrams it holds. RecordDecoder decodes all others, and gives
the same for these.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from sekisho import native
from sekisho.flows.wire.compiled import DIRECTIONS
from sekisho.flows.wire.datagrams import PLACES, Datagrams
from sekisho.flows.wire.limits import (
    MAX_COUNT,
    MAX_DEFINITIONS_PER_BURST,
    MAX_LAYOUTS_PER_BURST,
    MAX_RECORDS_PER_BURST,
    MAX_SETS,
    MAX_STEPS_PER_BURST,
    OVS_INPUT_MEMORY,
)

if TYPE_CHECKING:
    import ctypes

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
    *PLACES,
    *("protocol", "header", "sequence_at", "domain_at", "length_at"),
    *("known", "sequences", "generation", "met", "ovs", "statistics", "records", "input_heard"),
    *("templates", "renewed", "template_set", "options_set"),
    *("programs", "tells_input", "tells_output", "is_ovs"),
    *("rates", "rate", "rates_told", "of_interfaces"),
    *("most_sets", "most_records", "most_layouts", "most_steps", "most_definitions", "room"),
    *("inputs", "outputs"),
    *("most_count", "memory", "layouts"),
    *("row", "sequence", "step", "held"),
    *("start", "end", "renewals", "message", "layout", "located", "inputs_told"),
    *("sets", "implausible", "renewals_found", "definitions", "has", "told"),
    *("now", "clock", "template_clock"),
)


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
        self._places = native.Places(*_PLACES)
        self._datagrams = Datagrams(self._places)
        self._room = 0  # messages there is room for
        # Of templates, rates and programs, in the burst before; and whether the core can decode by it.
        self._known: tuple[object, ...] = None, None, None, None
        self._is_ready = False
        self._places.point(known=core.table, sequences=core.sequences, records=exporters.records)
        self._places.point(generation=exporters.generation, **records.by_exporter())
        self._places.point(**{name: np.zeros(_ROOM, np.int64) for name in ("start", "end")})
        names = "renewals", "message", "layout", "located", "inputs_told"
        self._places.point(**{name: np.zeros(_ROOM, np.int32) for name in names})
        inputs, outputs = DIRECTIONS[records.settings.ovs_directions]
        self._places.put(protocol=header.protocol, header=header.octets, sequence_at=header.sequence)
        self._places.put(domain_at=header.domain, length_at=header.length, inputs=inputs, outputs=outputs)
        self._places.put(most_sets=MAX_SETS, most_records=MAX_RECORDS_PER_BURST, room=_ROOM)
        self._places.put(most_layouts=MAX_LAYOUTS_PER_BURST, most_steps=MAX_STEPS_PER_BURST)
        self._places.put(most_definitions=MAX_DEFINITIONS_PER_BURST)
        self._places.put(template_set=records.dialect.template_set, options_set=records.dialect.options_set)
        self._places.put_real(most_count=MAX_COUNT, memory=OVS_INPUT_MEMORY)

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch | None:
        """Decode datagrams `rows` of the burst; None, and nothing done, where they are not plain."""
        templates = self._records.templates
        self._exporters.begin(now)
        templates.begin(now)
        if not self._is_known() or not self._datagrams.are(burst, rows):
            return None
        if len(rows) > self._room:
            self._make_room(len(rows))
        total = self._library.sk_plain_find(self._places.address)
        if total < 0:
            return None
        block, clocks = native.block(total), (self._exporters.clock, templates.clock)
        kept = self._library.sk_plain_decode(
            self._places.address, block.address, total, burst.time, now, *clocks
        )
        implausible = bool(self._places.told("implausible"))
        return self._records.plain(block.batch(kept), records=total, implausible=implausible)

    def _make_room(self, messages: int) -> None:
        self._room = messages
        held = np.zeros(messages, np.uint32)
        step = held if self._header.counts_records else np.ones(messages, np.uint32)
        self._places.point(row=np.zeros(messages, np.int32), sequence=np.zeros(messages, np.uint32))
        self._places.point(held=held, step=step)

    def _is_known(self) -> bool:
        """Point at what is known now of templates and rates; False where the core cannot decode by it."""
        records = self._records
        templates, renewed, rates, programs = self._known
        same = records.templates.core is templates and records.templates.renewals.core is renewed
        if not (same and records.rates.core is rates and records.programs.address is programs):
            self._know()
        return self._is_ready

    def _know(self) -> None:
        programs, templates = self._records.programs, self._records.templates
        table, renewed, rates = templates.table(), templates.renewals.structure(), self._records.rates.table()
        self._known = table, renewed, rates, programs.address
        self._is_ready = programs.knows(templates.layouts)
        self._places.point(templates=table, renewed=renewed, programs=programs.address)
        self._places.point(tells_input=programs.input, tells_output=programs.output, is_ovs=programs.ovs)
        self._places.put(layouts=len(programs.address), rates_told=len(rates.rates))
        self._places.point(rates=rates.places, rate=rates.rates)
        self._places.put(of_interfaces=int(rates.of_interfaces))


def plain_bursts(exporters: Exporters, records: RecordDecoder, header: Header) -> PlainBursts | None:
    """Make it where there is the compiled core."""
    if native.LIBRARY is None or exporters.core is None:
        return None
    return PlainBursts(native.LIBRARY, exporters.core, exporters, records, header)
