"""The steady clock: steps of the wall clock are seen, told once, and never move `now`."""

from __future__ import annotations

import pytest

from sekisho.host.clock import Clock


class Machine:
    """A machine whose two clocks the test moves."""

    def __init__(self) -> None:
        self.wall = 1_000_000.0
        self.up = 500.0

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.up += seconds

    def clock(self, boot: str = "boot-1") -> Clock:
        return Clock(lambda: self.wall, lambda: self.up, boot)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.mark.parametrize("step", [3600.0, -3600.0])
def test_a_step_does_not_move_now_and_is_told_until_followed(machine: Machine, step: float) -> None:
    clock = machine.clock()
    before = clock.now()
    machine.wall += step
    machine.pass_time(10)
    assert clock.now() == pytest.approx(before + 10)
    assert clock.stepped() == pytest.approx(step)
    assert clock.now() == pytest.approx(before + 10)
    promised = clock.follow(step)
    clock.anchor(step)
    assert clock.mark() == promised
    assert clock.now() == pytest.approx(machine.wall)
    assert clock.stepped() == 0.0


def test_slewing_is_followed_without_a_jump(machine: Machine) -> None:
    clock = machine.clock()
    machine.wall += 0.5
    before = clock.now()
    assert clock.stepped() == 0.0
    assert clock.now() - before == pytest.approx(0.001)


def test_a_step_while_the_process_was_away_is_seen_by_the_next_one(machine: Machine) -> None:
    mark = machine.clock().mark()
    machine.pass_time(60)
    machine.wall -= 7200
    later = machine.clock()
    later.resume(mark)
    assert later.now() == pytest.approx(1_000_060)
    assert later.stepped() == pytest.approx(-7200)


def test_after_a_reboot_the_wall_clock_is_trusted(machine: Machine) -> None:
    mark = machine.clock().mark()
    machine.wall, machine.up = 1_000_300.0, 5.0
    later = machine.clock(boot="boot-2")
    later.resume(mark)
    assert later.stepped() == 0.0
    assert later.now() == pytest.approx(1_000_300)
