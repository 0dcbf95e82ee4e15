"""A director's process over a kernel in memory and a keeper that is a list."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import pytest

from sekisho.app import director
from sekisho.app.balancers_heard import laid_over
from sekisho.app.director import TOLD, AddressBook, Director, DirectorSettings, examine_director, write
from sekisho.client.balancers import Balancers
from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.keepalived import Files, Keepalived, VrrpSettings, config
from sekisho.devices.balancer.lvs_dsr.kernel import prepare
from sekisho.devices.balancer.lvs_dsr.roles import NoGate
from sekisho.devices.balancer.lvs_dsr.services import Key
from sekisho.host.clock import Clock
from sekisho.model.balancer import (
    Ailment,
    Balancer,
    BalancerProgram,
    Check,
    DirectorReport,
    Monitor,
    Operating,
)
from sekisho.model.errors import Conflict, Malformed, NotFound, Unavailable
from support_lvs import MemoryChecks, MemoryKernel, Time, balancer, key, with_members

MONITOR = Monitor("h", Check.TCP)


@dataclass
class Keeper:
    """Gives one program and keeps reports; `away` that nobody answers."""

    now: BalancerProgram = field(default_factory=lambda: BalancerProgram("d1", 1))
    reports: list[DirectorReport] = field(default_factory=list)
    told: list[DirectorReport] = field(default_factory=list)  # as they came
    away: bool = False
    reported: threading.Event = field(default_factory=threading.Event)

    def program(
        self, director: str, revision: int | None = None, wait: float = 0.0
    ) -> BalancerProgram | None:
        assert director == "d1"
        del wait
        self._there()
        return None if revision == self.now.revision else self.now

    def report(self, report: DirectorReport) -> None:
        self._there()
        self.told.append(report)
        self.reports.append(laid_over(self.reports[-1] if self.reports else None, report))
        self.reported.set()

    def _there(self) -> None:
        if self.away:
            raise Unavailable("The keeper does not answer.")

    def carry(self, *balancers: Balancer) -> None:
        self.now = BalancerProgram("d1", self.now.revision + 1, balancers)


class Bed:
    """A director with its surroundings; `again` starts it anew over the same kernel and disk."""

    def __init__(self, folder: Path) -> None:
        self.settings = DirectorSettings(name="d1", state=str(folder), report_every=0.01)
        self.kernel, self.keeper, self.time = MemoryKernel(), Keeper(), Time()
        self.again()

    def again(self) -> None:
        book = AddressBook(Path(self.settings.state) / "addresses")
        self.driver = LvsDriver(self.kernel, self.time, MemoryChecks(), book=book)
        clock = Clock(wall=self.time, passed=self.time, boot="b")
        self.director = Director(self.settings, cast("Balancers", self.keeper), clock, self.driver)

    def follow(self) -> None:
        self.director.follow()
        self.director.turn()

    def kept(self) -> None:
        self.director.keep()

    def report(self) -> DirectorReport:
        self.director.nudge()
        self.director.report()
        return self.keeper.reports[-1]


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    return Bed(tmp_path / "state")


def test_what_the_keeper_says_is_carried_and_told(bed: Bed) -> None:
    bed.keeper.carry(balancer(1), balancer(2))
    bed.follow()
    assert set(bed.kernel.table) == {key(1), key(2)}
    told = bed.report()
    assert (told.director, told.revision, told.problems) == ("d1", 2, {})
    assert told.operating["b1"] is Operating.ONLINE
    assert {s.listener for s in told.statistics} == {"l1", "l2"}
    bed.keeper.carry()
    bed.follow()
    assert bed.kernel.table == {}
    assert bed.report().operating == {}


def test_what_is_as_before_is_not_told_again(bed: Bed) -> None:
    bed.keeper.carry(balancer(1, monitor=MONITOR), balancer(2))
    bed.follow()
    whole = bed.report()
    assert bed.keeper.told[-1].over == 0
    bed.report()
    told = bed.keeper.told[-1]
    assert (told.over, told.operating, told.statistics, told.gone) == (whole.number, {}, (), ())
    bed.driver.judge("m1-1", alive=False)
    bed.report()
    told = bed.keeper.told[-1]
    assert told.operating["m1-1"] is Operating.ERROR
    assert "m2-1" not in told.operating
    bed.keeper.carry(balancer(1, monitor=MONITOR))
    bed.follow()
    assert bed.report().operating.keys() == bed.driver.operating().keys()
    assert "b2" in bed.keeper.told[-1].gone


def test_a_keeper_that_has_forgotten_is_told_all(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.report()
    bed.keeper.reports.clear()
    with pytest.raises(Conflict):
        bed.report()
    assert bed.report().operating == bed.driver.operating()
    assert bed.keeper.told[-1].over == 0


class Signs:
    """Vips that count signs of life."""

    count = 0

    def prefer(self, *, here: bool) -> None:
        pass

    def live(self) -> None:
        self.count += 1


def test_it_leaves_a_sign_only_while_it_can_carry(bed: Bed) -> None:
    signs = Signs()
    bed.director._vips = cast("Keepalived", signs)
    bed.director.turn()
    assert signs.count == 0, "it was told nothing"
    bed.keeper.carry(balancer(1))
    bed.follow()
    assert signs.count == 1
    bed.director.turn()
    assert signs.count == 2
    bed.kernel.away = True
    bed.keeper.carry(balancer(2))
    bed.follow()
    assert signs.count == 2


class BrokenGate(NoGate):
    """Cannot."""

    def carry(self, allowed: Mapping[Key, tuple[str, ...]], vips: frozenset[str] = frozenset()) -> bool:
        del allowed, vips
        raise Unavailable("It cannot.", "nft is not installed.")


def test_what_cannot_be_closed_at_vips_is_told_until_it_is(bed: Bed) -> None:
    bed.driver.gate = BrokenGate()
    bed.keeper.carry(balancer(1))
    bed.follow()
    (ailment,) = bed.report().ailments
    assert "nft is not installed" in ailment.sentence
    assert bed.director.troubles.present() == ("closing what is not served at VIPs",)
    bed.driver.gate = NoGate()
    bed.director.turn()
    assert bed.report().ailments == ()
    assert bed.director.troubles.present() == ()


def test_it_reports_though_there_is_no_balancer_yet(bed: Bed) -> None:
    """Else a new pair looks dead until the first one is made."""
    bed.director.nudge()
    bed.director.report()
    assert bed.keeper.reports == []  # it was told nothing
    bed.keeper.now = BalancerProgram("d1", 0)
    bed.follow()
    told = bed.report()
    assert (told.director, told.revision, told.problems) == ("d1", 0, {})


def test_nothing_new_is_no_message(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.kernel.told.clear()
    bed.follow()
    bed.director.turn()
    assert bed.kernel.told == []


def test_before_it_was_told_anything_it_touches_nothing(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.kernel.told.clear()
    (Path(bed.settings.state) / "program.json").unlink(missing_ok=True)
    bed.again()
    bed.director.recall()
    bed.director.turn()
    assert bed.kernel.told == []
    assert key(1) in bed.kernel.table


def test_after_a_reboot_it_serves_without_a_keeper(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.kept()
    bed.kernel.table.clear()
    bed.keeper.away = True
    bed.again()
    bed.director.recall()
    bed.director.turn()
    assert bed.kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    with pytest.raises(Unavailable):
        bed.director.follow()


def test_a_program_that_cannot_be_read_is_asked_for_anew(bed: Bed, caplog: pytest.LogCaptureFixture) -> None:
    write(Path(bed.settings.state) / "program.json", "{half")
    bed.director.recall()
    assert "cannot be read" in caplog.text
    bed.keeper.carry(balancer(1))
    bed.follow()
    assert key(1) in bed.kernel.table


def test_a_problem_is_told_with_its_balancer(bed: Bed) -> None:
    bad = balancer(1)
    bad = with_members(bad, replace(bad.pools[0].members[0], port=81))
    bed.keeper.carry(bad, balancer(2))
    bed.follow()
    told = bed.report()
    assert list(told.problems) == ["b1"]
    assert told.revision == 2
    assert key(2) in bed.kernel.table


def test_a_kernel_that_is_away_is_every_balancers_trouble_until_it_is_back(bed: Bed) -> None:
    bed.kernel.away = True
    bed.keeper.carry(balancer(1), balancer(2))
    bed.follow()
    assert bed.director.idle() < 1.0
    bed.kernel.away = False
    bed.director.turn()
    assert bed.director.idle() == 1.0
    assert bed.report().problems == {}
    assert set(bed.kernel.table) == {key(1), key(2)}


def test_a_report_goes_out_though_the_kernel_is_away(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    assert bed.report().revision == 2
    bed.kernel.away = True
    bed.time.at += 1.0
    bed.keeper.carry(balancer(1, 3))
    bed.follow()
    told = bed.report()
    assert list(told.problems) == ["b1"]
    assert told.revision == 2


def test_what_somebody_changed_is_put_right_when_it_is_time(
    bed: Bed, caplog: pytest.LogCaptureFixture
) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.kernel.table.clear()
    bed.director.turn()
    assert bed.kernel.table == {}
    bed.time.at += bed.settings.every
    bed.director.turn()
    assert bed.kernel.dests(key(1)) == {"10.0.0.1": 1, "10.0.0.2": 1}
    assert "TCP 10.0.1.1:80 is gone." in caplog.text


def test_a_report_that_nobody_took_is_made_again(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.keeper.away = True
    with pytest.raises(Unavailable):
        bed.report()
    bed.keeper.away = False
    bed.director.report()
    assert bed.keeper.reports


def test_it_runs_until_told_to_stop(bed: Bed) -> None:
    bed.keeper.carry(balancer(1, monitor=MONITOR))
    thread = threading.Thread(target=bed.director.run)
    thread.start()
    assert bed.keeper.reported.wait(10.0)
    bed.director.stop.set()
    thread.join(10.0)
    assert not thread.is_alive()
    assert key(1) in bed.kernel.table, "what is carried stays"


def test_the_program_is_on_disk_whole_or_not_at_all(bed: Bed) -> None:
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.kept()
    assert [p.name for p in sorted(Path(bed.settings.state).iterdir())] == ["addresses", "program.json"]


# --- keepalived's configuration and the kernel's settings -----------------------------------------


def test_the_same_vips_are_the_same_configuration() -> None:
    files = Files(Path("/run/x"))
    settings = VrrpSettings("eth0")
    one = config(settings, files, ["10.0.0.9", "10.0.0.10", "fd00::1"])
    assert one == config(settings, files, ["fd00::1", "10.0.0.10", "10.0.0.9"])
    assert one.index("10.0.0.9/32") < one.index("10.0.0.10/32") < one.index("fd00::1/128")
    assert "virtual_ipaddress_excluded" not in config(settings, files, [])
    assert "169.254.51.51/32 dev eth0" in one


@pytest.mark.parametrize(
    "wrong",
    [
        {"router_id": 0},
        {"priority": 50},
        {"interval": 0.0},
        {"address": "10.0.0.1"},
        {"peers": ("10.0.0.2",)},
        {"anchor": "nowhere"},
    ],
)
def test_vrrp_that_cannot_be_is_malformed(wrong: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        VrrpSettings("eth0", **wrong)  # type: ignore[arg-type]


def test_keepalived_is_asked_before_it_is_told(tmp_path: Path) -> None:
    ran: list[list[str]] = []

    def run(command: Sequence[str]) -> str:
        ran.append(list(command))
        return ""

    keepalived = Keepalived(VrrpSettings("eth0"), tmp_path, run)
    assert keepalived.carry(frozenset({"10.0.0.9"}))
    assert [words[1] for words in ran] == ["-t", "-P"]
    assert "10.0.0.9/32" in (tmp_path / "keepalived.conf").read_text()


def test_a_kernel_is_set_once(tmp_path: Path) -> None:
    for name in ("net/ipv4/vs/expire_nodest_conn", "net/ipv4/vs/expire_quiescent_template"):
        write(tmp_path / name, "0\n")
    for name in ("all", "eth0"):
        write(tmp_path / f"net/ipv4/conf/{name}/send_redirects", "1\n")
    assert len(prepare(tmp_path, ("eth0", ""))) == 4
    assert prepare(tmp_path, ("eth0",)) == ()
    with pytest.raises(Unavailable, match="not ready"):
        prepare(tmp_path, ("eth9",))


def test_faults_around_it_are_told_a_hundred_at_most(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tuple(Ailment("d1", "b1", f"Fault {n}.") for n in range(TOLD + 7))
    monkeypatch.setattr(director, "examine", lambda *_, **__: found)
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.director.examine()
    told = bed.report()
    assert told.ailments[:TOLD] == found[:TOLD]
    assert told.ailments[TOLD].sentence == "And 7 faults more."
    assert told.problems == {}, "faults around it end no change"
    monkeypatch.setattr(director, "examine", lambda *_, **__: ())
    bed.director.examine()
    assert bed.report().ailments == ()


def test_faults_are_looked_for_around_what_was_told_last(bed: Bed, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotFound):
        examine_director(bed.settings)
    bed.keeper.carry(balancer(1))
    bed.follow()
    bed.kept()
    monkeypatch.setattr(
        director, "examine", lambda site, balancers, **_: (Ailment(site.name, balancers[0].id, "Deaf."),)
    )
    assert examine_director(bed.settings) == (Ailment("d1", "b1", "Deaf."),)
