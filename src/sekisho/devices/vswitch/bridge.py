"""One bridge kept right: compile, converge, and say what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sekisho.devices.converge import converge
from sekisho.devices.vswitch.compile import CompileSettings, compile
from sekisho.devices.vswitch.openflow import (
    BridgeDriver,
    Laid,
    MeterBook,
    Ofctl,
    OfctlSettings,
    counters,
)
from sekisho.devices.vswitch.program import Program
from sekisho.model.restriction import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.vswitch.openflow import Actual, Desired
    from sekisho.devices.vswitch.ovsdb import Database
    from sekisho.devices.vswitch.program import Bound
    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Baseline


@dataclass(frozen=True, slots=True)
class Carried:
    """What one convergence came to."""

    receipts: tuple[Receipt, ...]
    changes: int
    left: int


@dataclass(slots=True)
class Bridge:
    """A bridge of one host; not thread-safe."""

    name: str
    host: str
    database: Database
    settings: CompileSettings = field(default_factory=CompileSettings)
    ofctl_settings: OfctlSettings = field(default_factory=OfctlSettings)
    _book: MeterBook = field(init=False)
    _ofctl: Ofctl = field(init=False)
    _known: dict[str, tuple[str, str]] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self._book = MeterBook(self.database, self.name, self.ofctl_settings.first_meter)
        self._ofctl = Ofctl(self.name, self.ofctl_settings)

    def carry(
        self,
        subjects: Sequence[Subject],
        bounds: Sequence[Bound],
        baselines: Sequence[Baseline],
        exact_ports: Sequence[int],
        now: float,
    ) -> Carried:
        """Make the bridge carry these and nothing else of ours; raises Refused or Unavailable."""
        program = compile(subjects, bounds, baselines, exact_ports, self.settings, now)
        result, items = self._converge(program, now)
        here = {s.id for s in subjects}
        mine = [b for b in bounds if b.subject in here and b.until > now]
        return Carried(
            self._receipts(program, mine, items, result.actual, now), len(result.changes), len(result.left)
        )

    def clear(self, now: float) -> int:
        """Remove everything of ours; give how much there was."""
        return len(self._converge(Program(), now)[0].changes)

    def _converge(self, program: Program, now: float):  # type: ignore[no-untyped-def]  # noqa: ANN202
        driver = BridgeDriver(self._ofctl, self._book, self.settings.layout, now)
        if len(self._known) > 100_000:
            self._known.clear()
        items = driver.desired(program, self._known)
        return converge(driver, items), items

    def _receipts(
        self,
        program: Program,
        mine: Sequence[Bound],
        items: Mapping[str, Desired],
        actual: Mapping[str, Actual],
        now: float,
    ) -> tuple[Receipt, ...]:
        missing = {
            owner
            for place, item in items.items()
            if isinstance(item, Laid) and place not in actual
            for owner in item.rule.owners
        }
        dropped = counters(items, actual)
        receipts = []
        for b in mine:
            problem = program.problems.get(b.restriction, "")
            packets, octets = dropped.get(b.restriction, (0, 0))
            in_force = not problem and b.restriction not in missing
            receipts.append(
                Receipt(b.restriction, b.subject, self.host, in_force, now, packets, octets, problem)
            )
        return tuple(receipts)
