"""The state folder holds tokens and the ledger: nobody but its owner may look in."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from sekisho.api.settings import ApiSettings
from sekisho.app.all_in_one import first_token, open_ledger, prepare
from sekisho.app.keeper_process import address
from sekisho.host.clock import Clock
from sekisho.model.access import Role
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def careless() -> Iterator[None]:
    """Run under a umask that lets everybody read."""
    before = os.umask(0o000)
    yield
    os.umask(before)


def modes(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): oct(p.stat().st_mode & 0o777) for p in sorted(folder.rglob("*"))}


def test_a_new_state_folder_is_its_owner_s_alone(tmp_path: Path) -> None:
    state = tmp_path / "state"
    prepare(state, "http://127.0.0.1:1", Clock())
    assert oct(state.stat().st_mode & 0o777) == "0o700"
    assert modes(state) == {
        "client.toml": "0o600",
        "ledger.db": "0o600",
        "tokens": "0o700",
        "tokens/admin": "0o600",
        "tokens/agent": "0o600",
        "tokens/collector": "0o600",
    }


def test_what_is_written_beside_an_open_ledger_is_closed_too(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path / "state")
    try:
        ledger.remember("a", "b")
        found = modes(tmp_path / "state")
    finally:
        ledger.close()
    assert "ledger.db-wal" in found
    assert set(found.values()) == {"0o600"}


def test_an_open_folder_of_earlier_is_closed(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "ledger.db").touch()
    state.chmod(0o755)
    (state / "ledger.db").chmod(0o644)
    open_ledger(state).close()
    assert oct(state.stat().st_mode & 0o777) == "0o700"
    assert modes(state) == {"ledger.db": "0o600"}


def test_a_folder_that_others_use_is_left_as_it_is_and_refused(tmp_path: Path) -> None:
    """`state = "/var/lib"` must not lock everybody else out of it."""
    (tmp_path / "postgresql").mkdir()
    tmp_path.chmod(0o755)
    with pytest.raises(Malformed, match="postgresql"):
        open_ledger(tmp_path)
    assert tmp_path.stat().st_mode & 0o777 == 0o755
    assert not (tmp_path / "ledger.db").exists()


def test_a_folder_that_cannot_be_made_is_told_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Unavailable) as raised:
        open_ledger(tmp_path / "file" / "state")
    assert f"keeper.state: {tmp_path / 'file' / 'state'}" in raised.value.fixer


def test_a_keeper_without_any_token_makes_the_administrator_s(tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    try:
        file = first_token(ledger, tmp_path, "http://127.0.0.1:8790", 1000.0)
        assert file is not None
        assert ledger.authenticate(file.read_text(), 1001.0).role is Role.ADMIN
        assert first_token(ledger, tmp_path, "http://127.0.0.1:8790", 1002.0) is None
    finally:
        ledger.close()
    assert (tmp_path / "client.toml").read_text().startswith('url = "http://127.0.0.1:8790"\n')
    assert set(modes(tmp_path).values()) == {"0o600", "0o700"}


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        (ApiSettings(), "http://127.0.0.1:8790"),
        (ApiSettings(host="::", certificate="c", private_key="k"), "https://[::1]:8790"),
        (ApiSettings(host="2001:db8::1", port=1), "http://[2001:db8::1]:1"),
        (ApiSettings(host="keeper.example.net", certificate="c"), "https://keeper.example.net:8790"),
    ],
)
def test_the_administrator_is_told_how_to_reach_the_keeper(settings: ApiSettings, url: str) -> None:
    assert address(settings) == url
