"""Switches are reached by the driver and the password that their files name."""

from __future__ import annotations

from pathlib import Path

import pytest

from sekisho.app.switches_reach import Reach, connect
from sekisho.devices.switch.document import Connection, Switch
from sekisho.devices.switch.intent import Intent
from sekisho.model.errors import Conflict, Malformed, Unavailable
from sekisho.testing.switch import MemorySwitch

SWITCH = Switch("leaf-1", Connection("memory", "10.0.0.1"), Intent("leaf-1"))


def test_a_driver_that_nobody_installed_is_named() -> None:
    with pytest.raises(Malformed, match=r"connect\.driver.*'nowhere'"):
        connect(Connection("nowhere", "10.0.0.1"))


def test_a_password_that_cannot_be_read_is_told_without_its_path_to_the_asker(tmp_path: Path) -> None:
    missing = str(tmp_path / "secret")
    with pytest.raises(Unavailable) as caught:
        connect(Connection("frr", "10.0.0.1", password_file=missing))
    assert missing not in caught.value.asker
    assert missing in caught.value.fixer


def test_a_line_is_held_by_one_at_a_time_and_closed_afterwards() -> None:
    made: list[MemorySwitch] = []

    def connecting(_connection: Connection) -> MemorySwitch:
        made.append(MemorySwitch())
        return made[-1]

    reach = Reach(connecting)
    with reach.hold(SWITCH, 1.0) as line:
        assert line.driver() is line.driver()
        with pytest.raises(Conflict), reach.hold(SWITCH, 0.0):
            pass
        line.drop()
        assert line.driver() is made[1]
    assert [m.calls for m in made] == [["close"], ["close"]]
    with reach.hold(SWITCH, 0.0):
        pass
    assert len(made) == 2, "nobody connects who does not ask"
