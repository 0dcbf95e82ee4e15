"""What of archived rows some detectors look at: a back-test reads that and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.archive.replay import COLUMNS, EVERYTHING, Wanted
from sekisho.detect.picking import Pick, Picking, Trait
from sekisho.model.policy import Direction

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from sekisho.detect.lanes import Stream

# What every row is weighed and told by.
_ALWAYS: Final = frozenset(
    {"time", "exporter", "protocol", "dst_port", "tcp_flags", "rate", "packets", "exact"}
)  # fmt: skip
# What a trait is read from, beside those.
_TRAITS: Final = {
    Trait.TO_INTERNET: "dst_internet",
    Trait.FROM_INTERNET: "src_internet",
    Trait.PROBE: "src_port",
    Trait.SENDER_TOLD: "sender",
    Trait.RECEIVER_TOLD: "receiver",
}


def wanted(streams: Iterable[Stream]) -> Wanted:
    """Say what to read; everything where a detector does not say by traits what it takes."""
    picks: list[Pick] = []
    columns = set(_ALWAYS)
    for stream in streams:
        detector = stream.detector
        if not isinstance(detector, Picking):
            return EVERYTHING
        own = detector.picks(stream.settings)
        picks += own
        columns.update(_far_end(detector.direction))
        for pick in own:
            columns.update(_columns(pick, internet=stream.internet))
        if detector.source_port:
            columns.add("src_port")
    sides = tuple(side for side in ("sender", "receiver") if any(_side(p.direction) == side for p in picks))
    named = all(pick.source_ports or pick.destination_ports for pick in picks)
    return Wanted(
        tuple(column for column in COLUMNS if column in columns),
        sides,
        _ports(pick.source_ports for pick in picks) if named else (),
        _ports(pick.destination_ports for pick in picks) if named else (),
    )


def _side(direction: Direction) -> str:
    return "sender" if direction is Direction.EGRESS else "receiver"


def _far_end(direction: Direction) -> tuple[str, str]:
    """Name the address that evidence tells."""
    return ("dst_hi", "dst_lo") if direction is Direction.EGRESS else ("src_hi", "src_lo")


def _columns(pick: Pick, *, internet: bool) -> Iterator[str]:
    yield _side(pick.direction)
    if internet:
        yield "dst_internet" if pick.direction is Direction.EGRESS else "src_internet"
    if pick.worth == "bytes":
        yield "bytes"
    if pick.source_ports:
        yield "src_port"
    if pick.item == "address":
        yield from _far_end(Direction.EGRESS)
    for has, lacks in pick.terms:
        yield from (column for trait, column in _TRAITS.items() if trait & (has | lacks))


def _ports(given: Iterable[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(sorted({port for ports in given for port in ports}))
