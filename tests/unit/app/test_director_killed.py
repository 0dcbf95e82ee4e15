"""A director is killed (SIGKILL) between any two changes of its kernel; the next one makes all right."""

from __future__ import annotations

import json
import os
import pickle
import signal
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest

from sekisho.app.director import AddressBook, Director, DirectorSettings, write
from sekisho.client.balancers import Balancers
from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.services import Dest, Key, Service, Stand, Step
from sekisho.host.clock import Clock
from sekisho.model.balancer import Balancer, BalancerProgram
from sekisho.model.plain import to_plain
from support_lvs import MemoryChecks, MemoryKernel, Time, balancer, key, with_members

FOREIGN = Key(6, "10.9.9.9", 80)
FIRST, SECOND = balancer(1), balancer(2, 3)
HEAVIER = with_members(FIRST, replace(FIRST.pools[0].members[0], weight=9))  # and one member fewer
# from what to what: made, changed, taken away and replaced at once
WAYS: dict[str, tuple[tuple[Balancer, ...], tuple[Balancer, ...]]] = {
    "made": ((), (FIRST, SECOND)),
    "changed": ((FIRST, SECOND), (HEAVIER, SECOND, balancer(3))),
    "gone": ((FIRST, SECOND), ()),
}


@dataclass
class FileKernel(MemoryKernel):
    """A table that outlives who changes it; `lives` is how many changes that one lives through."""

    file: Path = Path()
    lives: int = 1 << 30

    def apply(self, steps: Sequence[Step]) -> Sequence[str]:
        answers = []
        for step in steps:
            if self.lives == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            self.lives -= 1
            answers.append(self._one(step))
            self.file.write_bytes(pickle.dumps(self.table))
        return answers


class Keeper:
    """Gives one program and takes every report."""

    def __init__(self, now: BalancerProgram) -> None:
        self.now = now

    def program(
        self, director: str, revision: int | None = None, wait: float = 0.0
    ) -> BalancerProgram | None:
        del director, wait
        return None if revision == self.now.revision else self.now


def start(folder: Path, wanted: tuple[Balancer, ...], lives: int = 1 << 30) -> tuple[Director, FileKernel]:
    """Start a director as after a kill: with what is on its disk and in its kernel."""
    kernel = FileKernel(table=pickle.loads((folder / "kernel").read_bytes()), file=folder / "kernel")  # noqa: S301 - ours
    kernel.lives = lives
    settings = DirectorSettings(name="d1", state=str(folder))
    driver = LvsDriver(kernel, Time(), MemoryChecks(), book=AddressBook(folder / "addresses"))
    keeper = cast("Balancers", Keeper(BalancerProgram("d1", 2, wanted)))
    made = Director(settings, keeper, Clock(Time(), Time(), "b"), driver)
    made.recall()
    return made, kernel


def serve(made: Director, *, early: bool) -> None:
    """Hear what is wanted now and carry it, written down before (`early`) or after; let who leaves leave."""
    made.turn()
    made.follow()
    if early:
        made.keep()
    made.turn()
    if not early:
        made.keep()
    made.turn()


def killed(folder: Path, wanted: tuple[Balancer, ...], lives: int, *, early: bool) -> bool:
    """Let a director of its own process live through so many changes; tell whether it was killed then."""
    child = os.fork()
    if not child:
        try:
            serve(start(folder, wanted, lives)[0], early=early)
            os._exit(0)
        finally:
            os._exit(1)  # pytest is not to go on here
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code in (0, -signal.SIGKILL)
    return code != 0


@pytest.mark.parametrize("given_up", [False, True], ids=["still-wanted", "given-up-meanwhile"])
@pytest.mark.parametrize("early", [True, False], ids=["written-down", "not-written-down"])
@pytest.mark.parametrize("way", WAYS)
def test_the_next_one_makes_all_right_wherever_it_was_killed(
    tmp_path: Path, way: str, *, early: bool, given_up: bool
) -> None:
    before, wanted = WAYS[way]
    then = () if given_up else wanted
    for lives in range(20):
        folder = tmp_path / str(lives)
        folder.mkdir()
        strange = {FOREIGN: Stand(Service(FOREIGN, "rr"), {"10.9.9.1": Dest("10.9.9.1", 80, 1)})}
        (folder / "kernel").write_bytes(pickle.dumps(strange))
        write(folder / "program.json", json.dumps(to_plain(BalancerProgram("d1", 1, before))))
        start(folder, before)[0].turn()
        if not killed(folder, wanted, lives, early=early):
            assert lives > 0
            return
        made, kernel = start(folder, wanted=then)
        serve(made, early=early)
        assert made.reported().problems == {}
        assert {k: kernel.dests(k) for k in kernel.table} == {
            FOREIGN: {"10.9.9.1": 1},
            **{key(int(b.id[1:])): {m.address: m.weight for m in b.pools[0].members} for b in then},
        }
        assert (folder / "addresses").read_text().split() == sorted(b.vip.address for b in then)
    raise AssertionError("it is never done")
