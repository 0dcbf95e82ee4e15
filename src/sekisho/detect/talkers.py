"""Present rates: who sends and is sent how much right now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.model.report import Talker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.detect.lanes import Lane
    from sekisho.detect.roster import Roster
    from sekisho.tables import F64

_MINUTE: Final = 60.0
# Detector, field of Talker, and what turns a number per second into the field's unit. Mail is rare:
# it is taken over a minute, or every rate would be a multiple of six.
RATES: Final = {
    "egress-bytes": ("egress_bps", 8.0),
    "ingress-bytes": ("ingress_bps", 8.0),
    "egress-packets": ("egress_pps", 1.0),
    "ingress-packets": ("ingress_pps", 1.0),
    "smtp-connections": ("smtp_per_minute", _MINUTE),
}


class Present:
    """The lanes behind the rates, all destinations counted."""

    def __init__(self, lane: Callable[[str, float], Lane], window: float) -> None:
        self._scale = [
            (field, lane(name, _MINUTE if scale == _MINUTE else window), scale)
            for name, (field, scale) in RATES.items()
        ]

    @property
    def lanes(self) -> list[Lane]:
        """Lanes in use."""
        return [lane for _, lane, _ in self._scale]

    def top(self, limit: int, roster: Roster, slots: int) -> tuple[Talker, ...]:
        """Take the first of each rate, then the second of each, and so on."""
        everybody = np.arange(slots)
        rates = np.array([lane.estimate(everybody) * (scale / lane.window) for _, lane, scale in self._scale])
        rates[:, len(roster) :] = 0.0
        rates[:, : len(roster)] *= roster.present
        chosen = _foremost(rates, limit)
        names = [field for field, _, _ in self._scale]
        return tuple(
            Talker(roster.ids[slot], **dict(zip(names, rates[:, slot].tolist(), strict=True)))
            for slot in chosen
        )


def _foremost(rates: F64, limit: int) -> list[int]:
    """List up to `limit` columns by their best place in any row; columns of zeros are left out."""
    best = np.full(rates.shape[1], len(rates[0]) + 1)
    for rate in rates:
        order = np.argsort(-rate, kind="stable")[:limit]
        order = order[rate[order] > 0]
        best[order] = np.minimum(best[order], np.arange(len(order)))
    order = np.argsort(best, kind="stable")[:limit]
    return [int(slot) for slot in order if best[slot] <= len(rates[0])]
