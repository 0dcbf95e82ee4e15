"""A client from files: what cannot be used is named, for whoever must mend it."""

from __future__ import annotations

from pathlib import Path

import pytest
import typer

from sekisho.app import main
from sekisho.client import open_client
from sekisho.model.errors import Malformed

URL = "http://127.0.0.1:1"


@pytest.fixture
def token(tmp_path: Path) -> Path:
    file = tmp_path / "token"
    file.write_text("  secret\n")
    return file


def test_the_token_is_what_stands_in_the_file(token: Path) -> None:
    with open_client(URL, token) as client:
        assert client._signed() == {"Authorization": "Bearer secret"}
        token.write_text("another\n")
        assert client._signed(renew=True) == {"Authorization": "Bearer another"}


def test_what_cannot_be_used_is_named(token: Path, tmp_path: Path) -> None:
    nowhere, other = tmp_path / "nothing", tmp_path / "other"
    other.write_bytes(b"\xff\xfe")
    for url, file, ca_file, said in (
        (URL, nowhere, "", f"{nowhere} cannot be read: No such file"),
        (URL, tmp_path, "", f"{tmp_path} cannot be read: Is a directory"),
        (URL, other, "", f"{other} cannot be read: 'utf-8' codec"),
        (URL, token, str(nowhere), f"{nowhere} cannot be used: No such file"),
        (URL, token, str(other), f"{other} cannot be used: "),
        ("keeper:8790", token, "", "'keeper:8790' is no address"),
        ("http://[::1:8790", token, "", "'http://[::1:8790' is no address"),
        ("http://keeper:99999", token, "", "'http://keeper:99999' is no address"),
        ("http://keeper:x", token, "", "'http://keeper:x' is no address"),
        (URL, token, "a\0b", "cannot be used: embedded null byte"),
    ):
        with pytest.raises(Malformed) as told:
            open_client(url, file, ca_file)
        assert said in told.value.asker
        assert "secret" not in told.value.fixer


def test_a_process_with_a_token_that_is_no_text_says_which_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(main, "start_log", lambda *_: None)
    settings, token = tmp_path / "sekisho.toml", tmp_path / "token"
    settings.write_text(f'[agent]\nstate = "{tmp_path}"\n')
    token.write_bytes(b"\xff\xfe")
    with pytest.raises(typer.Exit) as caught:
        main.agent(settings, token)
    assert caught.value.exit_code == 6
    assert f"client: The token file {token} cannot be read" in capsys.readouterr().err
