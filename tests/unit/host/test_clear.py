"""Clearing a host by the program that stands alone."""

from __future__ import annotations

import pytest

from sekisho.host.clear import main


def test_where_there_is_no_switch_it_says_so_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run-dir", "/nowhere", "--bridge", "br-int"]) == 1
    assert "/nowhere/db.sock" in capsys.readouterr().err
