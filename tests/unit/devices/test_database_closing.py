"""A watch of the switch's database that is ended more than once."""

from __future__ import annotations

import os
from pathlib import Path

from sekisho.devices.vswitch.ovsdb import Database


def test_closing_twice_takes_no_descriptor_that_is_somebody_elses_by_now(tmp_path: Path) -> None:
    database = Database(str(tmp_path / "db.sock"), "h1")
    number = database._wake_fd
    database.close()
    theirs = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    assert theirs == number  # the lowest free number is given next
    database.close()
    os.fstat(theirs)
    os.close(theirs)
