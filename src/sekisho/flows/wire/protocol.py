"""What every wire decoder is: its settings, its counters, and how it is recognised."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.flows.exporters import Exporters
    from sekisho.tables import I64, Burst, FlowBatch

SFLOW: Final = 1
NETFLOW5: Final = 2
NETFLOW9: Final = 3
IPFIX: Final = 4
PROTOCOL_NAMES: Final[Mapping[int, str]] = MappingProxyType(
    {SFLOW: "sflow", NETFLOW5: "netflow5", NETFLOW9: "netflow9", IPFIX: "ipfix"}
)


@dataclass(frozen=True, slots=True)
class DecodeSettings:
    """Bounds on what any sender can make a decoder remember or do.

    `samples` and `records` bound one sFlow datagram and one sFlow sample, `interfaces` the sFlow
    interface counters kept. Templates are bounded per exporter (one observation domain of one
    source) and in total, by fields each, and forgotten after `template_idle` seconds without renewal.
    Data before its template is held `hold_seconds`, at most `hold_bytes` of it in total and
    `hold_bytes_per_exporter` of one exporter's. `ovs_directions` says which records of an Open vSwitch
    IPFIX exporter count, as it tells each packet on input and on output by default: "input", "output",
    "both", or "auto": the input ones of exporters that send any, else the output ones.
    """

    samples: int = 256
    records: int = 32
    interfaces: int = 65536
    templates: int = 16384
    templates_per_exporter: int = 512
    template_fields: int = 256
    template_idle: float = 7200.0
    hold_bytes: int = 16 << 20
    hold_bytes_per_exporter: int = 256 << 10
    hold_seconds: float = 30.0
    ovs_directions: Literal["auto", "input", "output", "both"] = "auto"


class Counters:
    """Totals by kind, bounded: kinds over the cap are counted together as "other"."""

    __slots__ = ("_cap", "_totals")

    def __init__(self, cap: int = 256) -> None:
        self._cap = cap
        self._totals: dict[str, int] = {}

    def count(self, kind: str, n: int = 1) -> None:
        """Add n to a kind; nothing is stored for n = 0."""
        if n == 0:
            return
        if kind not in self._totals and len(self._totals) >= self._cap:
            kind = "other"
        self._totals[kind] = self._totals.get(kind, 0) + int(n)

    def __getitem__(self, kind: str) -> int:
        return self._totals.get(kind, 0)

    def totals(self) -> Mapping[str, int]:
        """Read all totals, as they are now."""
        return dict(self._totals)


class WireDecoder(Protocol):
    """One flow protocol: rows of a burst in, flow records in columns out.

    `mark` is (mask, value) over the first big-endian 32-bit word of a datagram: the decoder is given
    the datagrams with ``word & mask == value``. Any bytes may stand behind that word; what is wrong
    is counted by kind and never raised.
    """

    name: str
    mark: tuple[int, int]
    counters: Counters

    def __init__(self, exporters: Exporters, settings: DecodeSettings) -> None: ...

    def decode(self, burst: Burst, rows: I64, now: float) -> FlowBatch:
        """Decode datagrams `rows` (indices into the burst, ascending, in arrival order)."""
        ...
