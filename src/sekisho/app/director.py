"""A director: carries on its own kernel the load balancers that the keeper gives it, and tells how they do.

One loop carries; a new program, a member's change of mind, keepalived's word and time only wake it. What it
was told is kept on disk, so that after a reboot it serves before the keeper does.
"""

from __future__ import annotations

import json
import logging
import os
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.app.balancers_settings import is_network, odd_times
from sekisho.app.director_news import News
from sekisho.devices.balancer.intent import plain
from sekisho.devices.balancer.lvs_dsr.checks.neighbours import Neighbours
from sekisho.devices.balancer.lvs_dsr.checks.watch import Watch
from sekisho.devices.balancer.lvs_dsr.doctor import Site, examine
from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.gate import Nft
from sekisho.devices.balancer.lvs_dsr.ipvs import open_ipvs
from sekisho.devices.balancer.lvs_dsr.keepalived import Keepalived, VrrpSettings
from sekisho.devices.balancer.lvs_dsr.kernel import prepare
from sekisho.devices.balancer.lvs_dsr.places import Kernels
from sekisho.devices.balancer.lvs_dsr.services import Sync
from sekisho.host.bell import Bell
from sekisho.host.tasks import Troubles, spawn
from sekisho.model.balancer import Ailment, BalancerProgram, DirectorReport, Statistics
from sekisho.model.errors import Malformed, NotFound, SekishoError, Unavailable
from sekisho.model.plain import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sekisho.client.balancers import Balancers
    from sekisho.devices.balancer.lvs_dsr.services import Kernel
    from sekisho.host.clock import Clock

log = logging.getLogger("sekisho.director")

# How long what the kernel or keepalived refused waits for another try, doubled up to the second, in seconds.
RETRY = (0.2, 5.0)
# More faults than so many are one fault that hits many.
TOLD = 100


@dataclass(frozen=True, slots=True)
class SyncSettings:
    """Connections told to the other director over `interface`, if any; `id` (1-255) is the pair's."""

    interface: str = ""
    id: int = 51

    def __post_init__(self) -> None:
        if not 1 <= self.id <= 255:
            raise Malformed("sync: id must be 1 to 255.")


@dataclass(frozen=True, slots=True)
class DirectorSettings:
    """One director.

    `name` is what the keeper knows it as, `interfaces` its links to members. `state` is where it keeps what
    it was told, `run_dir` where it and keepalived meet. `drain` is how long a member that was taken away may
    keep its connections, `every` how often the whole table is looked at, `report_every` how often statistics
    are told, `wait` how long a long poll of the keeper is held, `examine_every` how often the classic faults
    of direct return are looked for (0: never), all in seconds. With `hearing` a member is up
    only if it answers to the VIP too. `links` are networks (CIDRs) beside the VIPs' own that members may be
    in.
    """

    name: str = field(default_factory=socket.gethostname)
    interfaces: tuple[str, ...] = ()
    state: str = "/var/lib/sekisho/director"
    run_dir: str = "/run/sekisho/director"
    drain: float = 300.0
    every: float = 30.0
    report_every: float = 10.0
    wait: float = 30.0
    examine_every: float = 300.0
    hearing: bool = True
    links: tuple[str, ...] = ()
    vrrp: VrrpSettings = field(default_factory=VrrpSettings)
    sync: SyncSettings = field(default_factory=SyncSettings)

    def __post_init__(self) -> None:
        never = ("drain", "examine_every")
        times = {n: getattr(self, n) for n in ("every", "report_every", "wait", *never)}
        problems = [*odd_times(times, or_never=never)]
        problems += [f"links: {link!r} is no network." for link in self.links if not is_network(link)]
        if problems:
            raise Malformed("The settings of the director are not right.", problems=tuple(problems))


class Director:
    """Keeps one director's kernel right; thread-safe."""

    def __init__(
        self,
        settings: DirectorSettings,
        client: Balancers,
        clock: Clock,
        driver: LvsDriver,
        vips: Keepalived | None = None,
    ) -> None:
        self._settings = settings
        self._client = client
        self._clock = clock
        self._driver = driver
        self._vips = vips
        self._program: BalancerProgram | None = None
        self._kept: BalancerProgram | None = None
        self._followed = False  # what is from the disk may be another keeper's
        self._carried = -1  # a keeper that has no balancer yet gives out revision 0
        self._failures = 0
        self._problems: Mapping[str, str] = {}
        self._far: Mapping[str, str] = {}
        self._looked = clock.passed()
        self._statistics: tuple[Statistics, ...] = ()
        self._counted = float("-inf")
        self._news = News()
        self._bell = Bell()
        self._ailments: tuple[Ailment, ...] = ()
        self._report_due = threading.Event()
        self._keep_due = threading.Event()
        self.stop = threading.Event()
        self.troubles = Troubles(log)

    def run(self) -> None:
        """Keep the kernel right until `stop`."""
        self.recall()
        tasks = [
            ("following the keeper", self.follow),
            ("reporting to the keeper", self.report),
            ("keeping the program", self.keep),
        ]
        if self._settings.examine_every:
            tasks.append(("looking for faults", self.look))
        if self._vips is not None:
            tasks.append(("listening to keepalived", partial(self._vips.listen, self._report_due.set)))
        for name, task in tasks:
            spawn(self.stop, self.troubles, name, task)
        try:
            while not self.stop.is_set():
                self.turn()
                self._bell.rest(self.idle(), self.stop)
        finally:
            self.end()

    def end(self) -> None:
        """Stop; what is carried stays, and keepalived goes on."""
        self.stop.set()
        for event in (self._report_due, self._keep_due):
            event.set()
        self._driver.close()

    # --- carrying ---------------------------------------------------------------------------------

    def turn(self) -> None:
        """Carry the program if there is one, end what has drained, and look at all when that is due."""
        try:
            self._turn()
        except SekishoError as error:
            self._failures += 1
            self.troubles.begin("carrying", error.fixer)
        else:
            self._failures = 0
            self.troubles.end("carrying")

    def _turn(self) -> None:
        program = self._program
        if program is None:
            return
        if self._clock.passed() - self._looked >= self._settings.every:
            self._looked = self._clock.passed()
            for sentence in self._driver.drift():
                log.warning("put right: %s", sentence)
        self._driver.tend()
        outcome = self._driver.carry(program.balancers)
        if self._driver.ajar:
            self.troubles.begin("closing what is not served at VIPs", self._driver.ajar)
        else:
            self.troubles.end("closing what is not served at VIPs")
        if self._vips is not None:
            self._vips.prefer(here=program.prefer in ("", self._settings.name))
        if outcome.changes or program.revision != self._carried:
            log.info("revision %d carried by %d changes", program.revision, outcome.changes)
            self._report_due.set()
        self._problems = self._told(outcome.problems, self._problems)
        self._far = self._told(self._driver.far, self._far)
        self._carried = program.revision
        if self._vips is not None:
            self._vips.live()

    def _told(self, now: Mapping[str, str], before: Mapping[str, str]) -> Mapping[str, str]:
        """Log what is wrong now with balancers and was not before, and let the keeper know soon."""
        for name in now.keys() - before.keys():
            log.warning("balancer %s: %s", name, now[name])
        if now != before:
            self._report_due.set()
        return now

    def idle(self) -> float:
        """Tell how long nothing needs doing, at most a second: then drains are looked at."""
        return min(RETRY[1], RETRY[0] * 2 ** min(self._failures - 1, 10)) if self._failures else 1.0

    def nudge(self) -> None:
        """Tell the keeper soon: a member changed its mind."""
        self._report_due.set()

    # --- the keeper -------------------------------------------------------------------------------

    def follow(self) -> None:
        """Take the next program."""
        had = self._program.revision if self._program and self._followed else None
        found = self._client.program(self._settings.name, had, 0.0 if had is None else self._settings.wait)
        if found is not None:
            self._program = found
            self._followed = True
            self._bell.ring()
            self._keep_due.set()

    def report(self) -> None:
        """Tell the keeper what is carried and how it does, once that changed or time is up."""
        self._report_due.wait(self._settings.report_every)
        self._report_due.clear()
        if (self._carried >= 0 or self._failures) and not self.stop.is_set():
            whole = self.reported()
            try:
                self._client.report(self._news.of(whole))
            except SekishoError:
                self._news.forget()
                self._report_due.set()
                raise
            self._news.taken(whole)

    def reported(self) -> DirectorReport:
        """Say what is carried and how it does; totals are read anew every `report_every` seconds."""
        if self._clock.passed() - self._counted >= self._settings.report_every:
            self._counted = self._clock.passed()
            with suppress(SekishoError):  # the loop meets it too, and tells it
                self._statistics = self._driver.health().statistics
        return DirectorReport(
            self._settings.name,
            max(self._carried, 0),
            self._driver.active,
            self._driver.operating(),
            {**self._driver.problems, **self._device()},
            self._statistics,
            (*self._ailments, *self._beyond(), *self._ajar()),
        )

    def _beyond(self) -> tuple[Ailment, ...]:
        """Say which members are behind a router: it ends no change, for all else is carried."""
        found = [Ailment(self._settings.name, name, sentence) for name, sentence in self._driver.far.items()]
        return self._not_all(found)

    def _ajar(self) -> tuple[Ailment, ...]:
        if not self._driver.ajar:
            return ()
        said = f"What listens on the director itself may be reached at VIPs: {self._driver.ajar}"
        return (Ailment(self._settings.name, "", said),)

    def _device(self) -> dict[str, str]:
        """Say what is wrong with the director as a whole: it is every balancer's trouble."""
        if not self._failures or self._program is None:
            return {}
        sentence = "The director cannot carry anything now; its log says why."
        return {balancer.id: sentence for balancer in self._program.balancers}

    # --- faults around it -------------------------------------------------------------------------

    def look(self) -> None:
        """Wait until it is time, and look for the classic faults."""
        if not self.stop.wait(self._settings.examine_every):
            self.examine()

    def examine(self) -> tuple[Ailment, ...]:
        """Look for the classic faults around what is carried; what is new is logged, all of it told."""
        balancers = self._program.balancers if self._program else ()
        found = examine(site(self._settings), balancers, active=self._driver.active)
        for ailment in found[:TOLD]:
            if ailment not in self._ailments:
                log.warning("%s: %s", ailment.balancer or "this director", ailment.sentence)
        told = self._not_all(found)
        if told != self._ailments:
            self._ailments = told
            self._report_due.set()
        return found

    def _not_all(self, found: Sequence[Ailment]) -> tuple[Ailment, ...]:
        rest = len(found) - TOLD
        more = (Ailment(self._settings.name, "", f"And {rest} faults more."),) if rest > 0 else ()
        return (*found[:TOLD], *more)

    # --- the disk ---------------------------------------------------------------------------------

    def keep(self) -> None:
        """Write the newest program down."""
        self._keep_due.wait()
        self._keep_due.clear()
        program = self._program
        if program is not None and program is not self._kept:
            write(Path(self._settings.state) / "program.json", json.dumps(to_plain(program)))
            self._kept = program

    def recall(self) -> None:
        """Go on from what an earlier run was told; the keeper is asked for everything anew all the same."""
        file = Path(self._settings.state) / "program.json"
        try:
            program = recalled(file)
        except NotFound:
            return
        except Malformed as error:
            log.warning("%s cannot be read: %s", file, error.fixer)
            return
        self._program = self._kept = replace(program, director=self._settings.name)
        log.info("going on from revision %d", program.revision)


class AddressBook:
    """The addresses that are ours, in a file."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def load(self) -> frozenset[str]:
        """Give the addresses."""
        try:
            return frozenset(self._file.read_text().split())
        except OSError:
            return frozenset()

    def save(self, addresses: frozenset[str]) -> None:
        """Keep them; when this returns they are safe."""
        try:
            write(self._file, "".join(f"{a}\n" for a in sorted(addresses)))
        except OSError as error:
            raise Unavailable(
                "The director cannot write down what is its own.", f"{self._file}: {error}"
            ) from error


def open_director(settings: DirectorSettings, client: Balancers, clock: Clock) -> Director:
    """Open this machine's IPVS and everything around it; raises Unavailable where it has none."""
    kernel: Kernel = open_ipvs()
    links = (*settings.interfaces, settings.vrrp.interface)
    for name in prepare(Path("/proc/sys"), links):
        log.info("%s was set", name)
    if kernel.sync(Sync(settings.sync.interface, settings.sync.id) if settings.sync.interface else None):
        log.info("connections are synchronised over %s", settings.sync.interface or "nothing")
    vips = Keepalived(settings.vrrp, Path(settings.run_dir)) if settings.vrrp.interface else None
    checks = Watch(Neighbours(clock.passed), hearing=settings.hearing)
    book = AddressBook(Path(settings.state) / "addresses")
    driver = LvsDriver(kernel, clock.passed, checks, vips, book, settings.drain, settings.links)
    driver.places, driver.gate = Kernels(), Nft(spared=partial(_spared, settings.vrrp))
    director = Director(settings, client, clock, driver, vips)

    def judge(member: str, *, alive: bool) -> None:
        driver.judge(member, alive=alive)
        director.nudge()

    checks.tell(judge)
    return director


def _spared(vrrp: VrrpSettings) -> frozenset[str]:
    """Give addresses that stay open though somebody made them VIPs: without them the director is lost."""
    own = Kernels().networked()
    return own | {plain(vrrp.address)} if vrrp.address else own


def site(settings: DirectorSettings) -> Site:
    """Say where a director stands, for whoever looks for faults."""
    link = settings.vrrp.interface or next(iter(settings.interfaces), "")
    return Site(settings.name, link, settings.vrrp.peers, settings.links)


def examine_director(settings: DirectorSettings) -> tuple[Ailment, ...]:
    """Look for the classic faults around what this machine's director was told last, beside it."""
    program = recalled(Path(settings.state) / "program.json")
    vips = Keepalived(settings.vrrp, Path(settings.run_dir)) if settings.vrrp.interface else None
    return examine(site(settings), program.balancers, active=vips is None or vips.active())


def recalled(file: Path) -> BalancerProgram:
    """Read what a director was told last; raises NotFound or Malformed."""
    try:
        return from_plain(BalancerProgram, json.loads(file.read_text()), strict=False)
    except FileNotFoundError as error:
        raise NotFound("This director has not been told anything yet.", f"{file} is not there.") from error
    except (OSError, ValueError) as error:
        raise Malformed("What this director was told cannot be read.", f"{file}: {error}") from error


def clear_director(settings: DirectorSettings) -> tuple[str, ...]:
    """Take everything of ours off this machine; says what that was."""
    if settings.vrrp.interface:
        Keepalived(settings.vrrp, Path(settings.run_dir)).end()
    book = AddressBook(Path(settings.state) / "addresses")
    kernel = open_ipvs()
    driver = LvsDriver(kernel, lambda: 0.0, book=book)
    outcome = driver.carry(())
    Nft().carry({})
    kernel.sync(None)
    driver.close()
    (Path(settings.state) / "program.json").unlink(missing_ok=True)
    return (
        f"{outcome.changes} services were taken away; the VIPs are gone from here.",
        "A director that still runs here puts all back: systemctl disable --now sekisho-director, and again.",
    )


def write(file: Path, text: str) -> None:
    """Replace a file whole: whoever reads it finds the old one or the new one."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    with fresh.open("w") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    fresh.replace(file)
