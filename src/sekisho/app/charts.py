"""What the console's charts show: the archive where there is one, what it has not loaded yet from memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.api.flow_keeper import FlowKeeper
    from sekisho.app.recent import Recent
    from sekisho.model.archived import Series

# Seconds that flows may take from a datagram into the archive.
LAG: Final = 180.0


@dataclass(frozen=True, slots=True)
class Charts:
    """Is a console's `Traffic`; without an archive, or while it is away, from memory."""

    recent: Recent
    flows: FlowKeeper | None
    now: Callable[[], float]

    def series(self, subject: str, since: float, until: float, step: float) -> Series:
        """Give bytes per step."""
        fresh = self.recent.series(subject, since, until, step)
        if self.flows is None:
            return replace(fresh, lacking="none")
        try:
            kept = self.flows.series(subject, since, until, step)
        except SekishoError:  # its own door says what is wrong with it
            return replace(fresh, lacking="away")
        if (kept.since, kept.step) != (fresh.since, fresh.step):
            kept = _divided(kept, fresh)
        return self._joined(kept, fresh)

    def _joined(self, kept: Series, fresh: Series) -> Series:
        """Fill in from memory what is too new to be in the archive."""
        new = [kept.since + i * kept.step > self.now() - LAG for i in range(len(kept.egress_bytes))]
        egress, ingress = (
            tuple(max(k, f) if n else k for k, f, n in zip(*each, new, strict=True))
            for each in (
                (kept.egress_bytes, fresh.egress_bytes),
                (kept.ingress_bytes, fresh.ingress_bytes),
            )
        )
        return replace(kept, egress_bytes=egress, ingress_bytes=ingress, heard=self._heard(kept, fresh))

    def _heard(self, kept: Series, fresh: Series) -> tuple[bool, ...]:
        """Tell of which steps anybody reported: before this keeper's first report only the archive knows."""
        seen = zip(kept.egress_bytes, kept.ingress_bytes, fresh.heard, strict=True)
        starts = (kept.since + i * kept.step for i in range(len(fresh.heard)))
        return tuple(
            bool(e or i or told) or start < self.recent.began
            for start, (e, i, told) in zip(starts, seen, strict=True)
        )


def _divided(kept: Series, fresh: Series) -> Series:
    """Give the archive's whole minutes in the steps of memory: as it saw them, the rest elsewhere."""
    places = [
        int((fresh.since + (i + 0.5) * fresh.step - kept.since) // kept.step)
        for i in range(len(fresh.egress_bytes))
    ]
    egress, ingress = (
        _filled(places, kept.step / fresh.step, each[0], each[1], fresh.heard)
        for each in (
            (kept.egress_bytes, fresh.egress_bytes),
            (kept.ingress_bytes, fresh.ingress_bytes),
        )
    )
    return replace(fresh, egress_bytes=egress, ingress_bytes=ingress)


def _filled(
    places: list[int],
    steps: float,
    kept: tuple[float, ...],
    fresh: tuple[float, ...],
    heard: tuple[bool, ...],
) -> tuple[float, ...]:
    """Spread what the archive has of a minute beyond memory's steps over those that nobody told memory of."""
    sums, seen = [0.0] * len(kept), [0] * len(kept)
    for place, sent, told in zip(places, fresh, heard, strict=True):
        if told and place < len(kept):
            sums[place] += sent
            seen[place] += 1
    rest = [
        max(0.0, amount - told) / max(1.0, steps - count)
        for amount, told, count in zip(kept, sums, seen, strict=True)
    ]
    return tuple(
        sent if told else rest[place] if place < len(kept) else 0.0
        for place, sent, told in zip(places, fresh, heard, strict=True)
    )
