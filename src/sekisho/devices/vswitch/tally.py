"""Counters of what was dropped, over restarts of the switch and of the rules themselves."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sekisho.devices.vswitch.openflow import Metered

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.vswitch.openflow import Actual, Desired


@dataclass(slots=True)
class Tally:
    """What was dropped at each place since we look: a counter that starts anew is added to, not lost."""

    _before: dict[str, tuple[int, int]] = field(default_factory=dict)
    _last: dict[str, tuple[int, int]] = field(default_factory=dict)

    def count(self, items: Mapping[str, Desired], actual: Mapping[str, Actual]) -> dict[str, tuple[int, int]]:
        """Sum packets and bytes per owner; places no longer desired are forgotten."""
        counting = {p: i for p, i in items.items() if isinstance(i, Metered) or not i.rule.steps}
        totals: dict[str, tuple[int, int]] = {}
        before, last = {}, {}
        for place, item in counting.items():
            seen = actual.get(place)
            old = self._last.get(place, (0, 0))
            now = (seen.packets, seen.bytes) if seen else (0, 0)
            base = self._before.get(place, (0, 0))
            if now < old:
                base = base[0] + old[0], base[1] + old[1]
            before[place], last[place] = base, now
            for owner in item.meter.owners if isinstance(item, Metered) else item.rule.owners:
                packets, octets = totals.get(owner, (0, 0))
                totals[owner] = packets + base[0] + now[0], octets + base[1] + now[1]
        self._before, self._last = before, last
        return totals
