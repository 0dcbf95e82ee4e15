"""One bridge kept right: compile, converge, and say what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from sekisho.devices.converge import converge
from sekisho.devices.vswitch import compile as compiler
from sekisho.devices.vswitch.book import MeterBook
from sekisho.devices.vswitch.compile import CompileSettings
from sekisho.devices.vswitch.compiled import Compiled
from sekisho.devices.vswitch.ofctl import Ofctl, OfctlSettings
from sekisho.devices.vswitch.openflow import BridgeDriver, Laid
from sekisho.devices.vswitch.program import Program
from sekisho.devices.vswitch.tally import Tally
from sekisho.devices.vswitch.wire import Wire
from sekisho.model.errors import Conflict
from sekisho.model.restriction import Receipt

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.devices.converge import Converged
    from sekisho.devices.vswitch.book import Writes
    from sekisho.devices.vswitch.ofctl import Asks
    from sekisho.devices.vswitch.openflow import Actual, Desired, Lays
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
    """A bridge of one host, carried by one thread; another may meanwhile `hasten` a port.

    `ofctl` and `lays` are for where others speak to the bridge; without them we do, over its socket.
    """

    name: str
    host: str
    database: Writes
    settings: CompileSettings = field(default_factory=CompileSettings)
    ofctl_settings: OfctlSettings = field(default_factory=OfctlSettings)
    ofctl: Asks | None = None
    lays: Lays | None = None
    _driver: BridgeDriver = field(init=False)
    _compiled: Compiled = field(init=False)
    _tally: Tally = field(init=False, default_factory=Tally)

    def __post_init__(self) -> None:
        self._compiled = Compiled(self.settings)
        book = MeterBook(self.database, self.name, self.ofctl_settings.first_meter)
        ofctl, lays, ours = self.ofctl, self.lays, self.ofctl_settings
        if ofctl is None:
            ofctl = Ofctl(self.name, ours)
            lays = lays or Wire(f"{ours.run_dir}/{self.name}.mgmt", ours.timeout)
        self._driver = BridgeDriver(ofctl, book, self.settings.layout, lays)

    def carry(
        self,
        subjects: Sequence[Subject],
        bounds: Sequence[Bound],
        baselines: Sequence[Baseline],
        exact_ports: Sequence[int],
        now: float,
        access: Mapping[int, int] | None = None,
    ) -> Carried:
        """Make the bridge carry these and nothing else of ours; raises Refused or Unavailable.

        `access` is as for `compile`. Raises Overtaken when a port was hastened since: its caller may
        have looked at the ports before.
        """
        self._driver.heed()
        program = self._compiled.program(subjects, bounds, baselines, exact_ports, now, access)
        result, items = self._converge(program, now)
        here = {s.id for s in subjects}
        mine = [b for b in bounds if b.subject in here and b.until > now]
        receipts = self._receipts(program, mine, items, result, now)
        return Carried(receipts, len(result.changes), len(result.left))

    def hasten(
        self,
        subject: Subject,
        subjects: Sequence[Subject],
        bounds: Sequence[Bound],
        baselines: Sequence[Baseline],
        exact_ports: Sequence[int],
        now: float,
    ) -> bool:
        """Lay what one of the subjects needs at once, the rest untouched; to be carried with them all soon.

        False when that takes more than rules of its own. Raises as `carry`, and Conflict.
        """
        program = compiler.compile_alone(
            subject, subjects, bounds, baselines, exact_ports, self.settings, now
        )
        if program is None or program.problems:
            return False
        self._driver.hasten(program, now)
        return True

    def clear(self, now: float) -> int:
        """Remove everything of ours, the book of meters too; give how many rules and meters there were."""
        gone = len(self._converge(Program(), now)[0].changes)
        self._driver.book.erase()
        return gone

    def _converge(
        self, program: Program, now: float
    ) -> tuple[Converged[str, Desired, Actual, int], dict[str, Desired]]:
        self._driver.now = now
        items = self._driver.desired(program)
        try:
            return converge(self._driver, items), items
        except Conflict:
            # A stranger took a number we meant to use: choose again, once.
            items = self._driver.desired(program)
            return converge(self._driver, items), items

    def _receipts(
        self,
        program: Program,
        mine: Sequence[Bound],
        items: dict[str, Desired],
        result: Converged[str, Desired, Actual, int],
        now: float,
    ) -> tuple[Receipt, ...]:
        wrong = [*result.left.add, *(d for d, _ in result.left.alter)]
        missing = {
            owner for item in wrong for owner in (item.rule if isinstance(item, Laid) else item.meter).owners
        }
        dropped = self._tally.count(items, result.actual)
        return tuple(
            Receipt(
                b.restriction,
                b.subject,
                self.host,
                not program.problems.get(b.restriction) and b.restriction not in missing,
                now,
                *dropped.get(b.restriction, (0, 0)),
                program.problems.get(b.restriction, ""),
            )
            for b in mine
        )
