"""A real Nexus, if one is named: `make check-nexus HOST=... PASSWORD_FILE=...`; else nothing here runs.

The switch must be one on which nothing matters, with at least four interfaces that do nothing. It goes back
to a checkpoint after each check, and nothing is saved to its startup configuration.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import pytest

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import Step, SwitchDriver
from sekisho.devices.switch.intent import State, Svi
from sekisho.devices.switch.nexus import config_text
from sekisho.devices.switch.nexus.driver import Nexus, connect
from sekisho.model.errors import Conflict
from sekisho.testing.contract_switch import CHECKS, Case, Rig
from sekisho.testing.switch_cases import whole_cases

HOST = os.environ.get("NEXUS_HOST", "")
pytestmark = [
    pytest.mark.skipif(not HOST, reason="no real Nexus is named: make check-nexus HOST=..."),
    pytest.mark.timeout(900),
]
NOT_HERE = ("what_is_saved_survives_a_restart", "a_switch_that_does_not_answer_is_unavailable")


class RealRig:
    def __init__(self, given: Connection, secret: str) -> None:
        self.given = given
        self.secret = secret

    def driver(self) -> SwitchDriver:
        return connect(self.given, self.secret)

    def cases(self, state: State) -> tuple[Case, ...]:
        return whole_cases(state)

    def refused(self, state: State) -> Step | None:
        if getattr(state.parts["feature", "svi"], "enabled", False):
            return None
        return Step(None, Svi(3900, "", enabled=False, mtu=1500, vrf="default", addresses=()))

    def cut(self) -> None:
        """Nobody pulls its cable."""

    def mend(self) -> None:
        """And nobody puts it back."""

    def restart(self) -> bool:
        return False

    def advance(self, seconds: float) -> bool:
        threading.Event().wait(seconds)  # its clock is its own
        return True

    def stranger(self) -> SwitchDriver | None:
        return connect(self.given, "not-the-password")

    def hold(self) -> bool:
        return False


@pytest.fixture(params=["nxapi", "ssh"])
def rig(request: pytest.FixtureRequest) -> Iterator[Rig]:
    transport = cast("Literal['nxapi', 'ssh']", request.param)
    if os.environ.get("NEXUS_TRANSPORT", transport) != transport:
        pytest.skip(f"asked for {os.environ['NEXUS_TRANSPORT']} only")
    secret = Path(os.environ["NEXUS_PASSWORD_FILE"]).read_text().strip()
    given = Connection(
        "nexus",
        HOST,
        username=os.environ.get("NEXUS_USER", "admin"),
        ca_file=os.environ.get("NEXUS_CA_FILE", ""),
        verify=os.environ.get("NEXUS_VERIFY", "yes") != "no",
        transport=transport,
        timeout=120,
    )
    if transport == "ssh":
        given = replace(given, port=int(os.environ.get("NEXUS_SSH_PORT", "0")), ca_file="")
    found = RealRig(given, secret)
    guard = connect(given, secret)
    door = guard._opened()
    door.run(["checkpoint check-nexus"])  # none of ours, so that no check makes room in its place
    yield found
    door.run(["rollback running-config checkpoint check-nexus"])
    for name in guard.checkpoints():
        guard.forget(name)
    door.run(["no checkpoint check-nexus"])
    guard.close()


@pytest.mark.parametrize(
    "check", [c for c in CHECKS if c.__name__ not in NOT_HERE], ids=lambda check: str(check.__name__)
)
def test_it_is_driven_as_every_switch(check: Callable[[Rig], None], rig: Rig) -> None:
    check(rig)


def test_tree_and_text_say_the_same(rig: Rig) -> None:
    driver = rig.driver()
    assert isinstance(driver, Nexus)

    read, text = driver.read().parts, config_text.parts(driver.running())

    driver.close()
    differing = {
        key: (read.get(key), text.get(key)) for key in {**read, **text} if read.get(key) != text.get(key)
    }
    assert not differing


def test_configuration_is_taken_while_the_timer_runs(rig: Rig) -> None:
    driver = rig.driver()
    if not driver.abilities().timer:
        pytest.skip("too old for a timer")
    port = next(iter(case.first for case in rig.cases(driver.read()) if case.first.kind == "vlan"))
    driver.arm(60)
    try:
        driver.apply([Step(None, port)])
    except Conflict:
        pytest.fail("this version locks its configuration while the commit timer runs: leave the timer out")
    finally:
        driver.disarm()
        driver.close()
