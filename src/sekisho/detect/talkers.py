"""Present rates: who sends and is sent how much right now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.model.report import Talker

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.detect.lanes import Lane
    from sekisho.detect.roster import Roster
    from sekisho.tables import F64, I64

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
        rates = np.array([lane.everybody(slots) * (scale / lane.window) for _, lane, scale in self._scale])
        rates[:, len(roster) :] = 0.0
        rates[:, : len(roster)] *= roster.present
        chosen = _foremost(rates, limit)
        names = [field for field, _, _ in self._scale]
        told = rates[:, chosen].T.tolist()
        return tuple(
            Talker(roster.ids[slot], **dict(zip(names, row, strict=True)))
            for slot, row in zip(chosen, told, strict=True)
        )


def _foremost(rates: F64, limit: int) -> list[int]:
    """List up to `limit` columns by their best place in any row; columns of zeros are left out."""
    best = np.full(rates.shape[1], len(rates[0]) + 1)
    for rate in rates:
        order = _greatest(rate, limit)
        order = order[rate[order] > 0]
        best[order] = np.minimum(best[order], np.arange(len(order)))
    found = np.flatnonzero(best <= len(rates[0]))
    return [int(slot) for slot in found[np.argsort(best[found], kind="stable")[:limit]]]


def _greatest(rate: F64, limit: int) -> I64:
    """List the places of the greatest, greatest first, the earlier first of equals."""
    if 0 < limit < len(rate):
        line = np.partition(rate, len(rate) - limit)[len(rate) - limit]
        above = np.flatnonzero(rate > line)
        rows = np.sort(np.concatenate([above, np.flatnonzero(rate == line)[: limit - len(above)]]))
    else:
        rows = np.arange(len(rate) if limit else 0)
    return rows[np.argsort(-rate[rows], kind="stable")]
