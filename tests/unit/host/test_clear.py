"""Clearing a host by the program that stands alone."""

from __future__ import annotations

import pytest

from sekisho.host.clear import main


def test_it_goes_where_the_switchs_own_tools_go(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OVS_RUNDIR", "/elsewhere")
    assert main(["--bridge", "br-int"]) == 1
    assert "/elsewhere/db.sock" in capsys.readouterr().err
    assert main(["--run-dir", "/nowhere"]) == 1
    assert "/nowhere/db.sock" in capsys.readouterr().err


def test_where_there_is_no_switch_it_says_so_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--run-dir", "/nowhere", "--bridge", "br-int"]) == 1
    assert "/nowhere/db.sock" in capsys.readouterr().err
