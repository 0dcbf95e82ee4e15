"""One kernel's IPVS table as we know it, and made right service by service; what is unknown is read first.

Knowing what stands is what makes one change one message. A step that the kernel refuses proves that we did
not know: the service is read again, and tried once more.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sekisho.devices.balancer.lvs_dsr.change import differences, leaving, steps, with_leaving

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from collections.abc import Set as AbstractSet

    from sekisho.devices.balancer.lvs_dsr.services import Kernel, Key, Stand


@dataclass(frozen=True, slots=True)
class Wish:
    """What a service should be; `dead` are addresses that must go at once and not drain."""

    stand: Stand
    dead: frozenset[str] = frozenset()


class Table:
    """Carries wishes; used by one thread at a time. `drain` is how many seconds servers may leave in."""

    def __init__(self, kernel: Kernel, drain: float) -> None:
        self._kernel = kernel
        self._drain = drain
        self.there: dict[Key, Stand] = {}
        self.stray: set[Key] = set()  # what stands otherwise than we left it, or failed
        self._unsure: set[Key] = set()  # what a message went out for that nobody answered
        self._draining: dict[Key, dict[str, float]] = {}

    def learn(self, addresses: Collection[str]) -> None:
        """Read what stands at addresses of ours."""
        for key in self._kernel.services():
            if key.address in addresses and key not in self.there:
                stand = self._kernel.stand(key)
                if stand is not None:
                    self.there[key] = stand

    def carry(self, wishes: Mapping[Key, Wish | None], now: float) -> tuple[int, dict[Key, str]]:
        """Make services right, None for gone: how many steps that took, and what the kernel refused."""
        self.stray |= wishes.keys()  # until the kernel has said otherwise
        self._recall(wishes.keys())
        taken, failed = self._turn(wishes, now)
        if not failed:
            return taken, {}
        self._unsure |= failed.keys()
        self._recall(failed.keys())
        again, failed = self._turn({key: wishes[key] for key in failed}, now)
        self.stray |= failed.keys()
        return taken + again, failed

    def _recall(self, keys: AbstractSet[Key]) -> None:
        """Read again what we may be wrong about."""
        for key in self._unsure & keys:
            self._know(key, self._kernel.stand(key))
            self._unsure.discard(key)

    def _turn(self, wishes: Mapping[Key, Wish | None], now: float) -> tuple[int, dict[Key, str]]:
        goals = {key: self._goal(key, wish, now) for key, wish in wishes.items()}
        plan = [(key, step) for key, goal in goals.items() for step in steps(goal, self.there.get(key))]
        self._unsure |= wishes.keys()
        answers = self._kernel.apply([step for _, step in plan])
        self._unsure -= wishes.keys()
        failed: dict[Key, str] = {}
        for (key, _), answer in zip(plan, answers, strict=True):
            if answer:
                failed.setdefault(key, answer)
        for key, goal in goals.items():
            if key not in failed:
                self._know(key, goal)
        self.stray -= wishes.keys()
        return len(plan), failed

    def _know(self, key: Key, stand: Stand | None) -> None:
        if stand is None:
            self.there.pop(key, None)
            self._draining.pop(key, None)
        else:
            self.there[key] = stand

    def _goal(self, key: Key, wish: Wish | None, now: float) -> Stand | None:
        """Say what should stand now, servers that leave included; takes down until when those may."""
        if wish is None:
            return None
        going = leaving(wish.stand, self.there.get(key), wish.dead)
        if not going:
            self._draining.pop(key, None)
            return wish.stand
        had = self._draining.get(key, {})
        ends = {dest.address: had.get(dest.address, now + self._drain) for dest in going}
        self._draining[key] = {address: end for address, end in ends.items() if end > now}
        return with_leaving(wish.stand, tuple(d for d in going if ends[d.address] > now))

    def drained(self, now: float) -> tuple[Key, ...]:
        """Say of which services servers have left for good: no connections, or no time, any more."""
        done: list[Key] = []
        for key in tuple(self._draining):
            stand = self._kernel.stand(key)
            self._know(key, stand)
            over = [a for a, end in self._draining.get(key, {}).items() if self._over(stand, a, end, now)]
            for address in over:
                self._draining[key][address] = now
            if over:
                done.append(key)
        return tuple(done)

    @staticmethod
    def _over(stand: Stand | None, address: str, end: float, now: float) -> bool:
        load = stand.loads.get(address) if stand else None
        return end <= now or load is None or load.active + load.inactive == 0

    def draining(self, key: Key) -> Collection[str]:
        """Name the addresses of a service that leave."""
        return self._draining.get(key, {})

    def read(self, keys: Iterable[Key]) -> tuple[dict[Key, Stand], tuple[str, ...]]:
        """Read services with their counts, and say what somebody else changed: the next turn mends it."""
        found: dict[Key, Stand] = {}
        said: list[str] = []
        for key in keys:
            stand = self._kernel.stand(key)
            known = self.there.get(key)
            if stand is not None:
                found[key] = stand
            if known is not None:
                differs = differences(key, known, stand)
                said += differs
                self.stray |= {key} if differs else set()
                self._know(key, stand)
        return found, tuple(said)

    def strangers(self, addresses: Collection[str]) -> tuple[Key, ...]:
        """Find services at addresses of ours that we do not know; they are known from now on, as strays."""
        found = [k for k in self._kernel.services() if k.address in addresses and k not in self.there]
        self.learn(addresses)
        self.stray |= set(found)
        return tuple(found)
