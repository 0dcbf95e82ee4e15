"""What devices that carry load balancers say: who is heard of, who holds the VIPs, whose word counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from sekisho.app import balancers_settings as pairs
from sekisho.app.balancers_heard import laid_over
from sekisho.app.balancers_settings import BalancersSettings
from sekisho.model.balancer import Ailment, DirectorReport, Operating


@dataclass(frozen=True, slots=True)
class Heard:
    """What a device said last, and when by the clock that only grows."""

    report: DirectorReport
    when: float


class Devices:
    """All devices of all pairs; not thread-safe."""

    def __init__(self, settings: BalancersSettings, passed: Callable[[], float]) -> None:
        self._settings = settings
        self._passed = passed
        self._heard: dict[str, Heard] = {}
        self._unreached: dict[str, str] = {}  # what keeps a driven pair from being reached
        self._drift: dict[str, tuple[str, ...]] = {}
        self._aside: Counter[str] = Counter()  # what devices told of others' balancers
        self._spoke = dict.fromkeys(settings.pairs, passed())  # when a pair's word was heard last
        self._doubted: set[str] = set()
        self._believed: dict[str, str] = {}  # whose word stands in the ledger, by pair

    def take(self, pair: str, report: DirectorReport) -> Mapping[str, Operating]:
        """Take what a device tells; give what of it is to be believed and may not have been yet.

        Raises Conflict for what is told over a report that was not taken.
        """
        before, believed = self._heard.get(report.director), self._believed.pop(pair, "")
        whole = laid_over(before.report if before is not None else None, report)
        self._unreached.pop(pair, None)
        self._heard[report.director] = Heard(whole, self._passed())
        if report.director not in self.speaking(pair):
            if believed != report.director:
                self._believed[pair] = believed
            return {}
        self._spoke[pair] = self._passed()
        self._doubted.discard(pair)
        self._believed[pair] = report.director
        return report.operating if believed == report.director else whole.operating

    def aside(self, device: str, count: int) -> bool:
        """Take down that a device told of what another pair carries; tell whether it is the first time."""
        self._aside[device] += count
        return self._aside[device] == count

    def told_aside(self, device: str) -> int:
        """Tell how often a device told of what another pair carries."""
        return self._aside[device]

    def unreached(self, pair: str, problem: str) -> None:
        """Take down that the device of a driven pair cannot be reached."""
        self._unreached[pair] = problem

    def drifted(self, pair: str, sentences: tuple[str, ...]) -> bool:
        """Take down what others changed on a device; tell whether that is news."""
        before, self._drift[pair] = self._drift.get(pair, ()), sentences
        return bool(sentences) and sentences != before

    def names(self, pair: str) -> tuple[str, ...]:
        """Name the devices of a pair."""
        return pairs.devices(self._settings, pair)

    def live(self, pair: str) -> dict[str, Heard]:
        """Give the devices that are heard of."""
        since = self._passed() - self._settings.silent
        return {n: h for n in self.names(pair) if (h := self._heard.get(n)) and h.when >= since}

    def speaking(self, pair: str) -> dict[str, Heard]:
        """Give the devices whose word counts: who holds the VIPs, else all of them.

        While nobody holds them and one is not heard of, they may be there, over whatever it carried last:
        then nobody knows what customers meet.
        """
        if pair in self._unreached:
            return {}
        live = self.live(pair)
        active = {n: h for n, h in live.items() if h.report.active}
        return active or (live if len(live) == len(self.names(pair)) else {})

    def doubtful(self, pair: str) -> bool:
        """Tell, once, that for `silent` seconds nobody has said how what a pair carries does.

        Who drives a pair says itself when it fails, and nothing as long as it is at work.
        """
        if self._settings.pairs[pair].provider != "lvs" and pair not in self._unreached:
            return False
        silent = self._passed() - self._spoke[pair] >= self._settings.silent and not self.speaking(pair)
        if not silent or pair in self._doubted:
            return False
        self._doubted.add(pair)
        self._believed.pop(pair, None)
        return True

    def excuse(self) -> None:
        """Give every pair its time anew: it was the keeper that did not listen."""
        self._spoke = dict.fromkeys(self._spoke, self._passed())

    def active(self, pair: str) -> str:
        """Name the one that holds the VIPs, "" for none and for two that say so."""
        active = [n for n, h in self.live(pair).items() if h.report.active]
        return active[0] if len(active) == 1 else ""

    def other(self, pair: str) -> str:
        """Name one that could take over, "" for none."""
        active, live = self.active(pair), self.live(pair)
        rest = [n for n in self.names(pair) if n != active] if len(self.names(pair)) > 1 else []
        return next((n for n in rest if n in live), rest[0] if rest else "")

    def silence(self, pair: str) -> str:
        """Say why nothing of a pair is heard of, "" if something is."""
        if pair in self._unreached:
            return self._unreached[pair]
        if self.speaking(pair):
            return ""
        live = self.live(pair)
        if not live:
            return f"No device of the pair {pair} is heard of."
        missing = ", ".join(n for n in self.names(pair) if n not in live)
        return f"{missing} of the pair {pair} is not heard of, and no other one holds the VIPs."

    def ailments(self, pair: str, revision: int) -> Iterable[Ailment]:
        """Say what is wrong with the devices of a pair, which should carry a revision."""
        if pair not in self._settings.pairs:
            yield Ailment(pair, "", "The settings have no such pair any more: keeper.balancers.pairs.")
            return
        if pair in self._unreached:
            yield Ailment(pair, "", self._unreached[pair])
            return
        live = self.live(pair)
        for device in self.names(pair):
            if device not in live:
                yield Ailment(device, "", self._not_heard(device))
            elif live[device].report.revision < revision:
                yield Ailment(device, "", "It does not carry the newest program yet.")
            if self._aside[device]:
                yield Ailment(
                    device, "", "It told of load balancers that another pair carries; that is left aside."
                )
        for device, heard in live.items():
            yield from (replace(a, device=device) for a in heard.report.ailments)
        if live and not self.active(pair):
            yield Ailment(pair, "", "None of its devices holds the VIPs, or more than one says so.")
        yield from (Ailment(pair, "", sentence) for sentence in self._drift.get(pair, ()))

    def _not_heard(self, device: str) -> str:
        if device not in self._heard:
            return "It has not reported since the keeper started."
        return f"It has not reported for {self._passed() - self._heard[device].when:.0f} s."
