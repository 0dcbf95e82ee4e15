"""The support bundle: what helps, nothing secret, and half of it from a keeper that is half well."""

from __future__ import annotations

import json
import stat
import tarfile
from pathlib import Path

import pytest
from fastapi import FastAPI

from sekisho.cli.support import LEFT_OUT, without_secrets
from sekisho.model.archived import ArchiveStatus
from support_cli import Run

SETTINGS = """
[keeper.balancers.pairs.north]
provider = "adx"
password_file = "/etc/sekisho/adx"
[keeper.balancers.pairs.north.options]
password = "hunter2"
url = "https://admin:hunter2@192.0.2.1/"
"""


def bundled(file: Path) -> dict[str, str]:
    with tarfile.open(file) as bundle:
        found = {}
        for member in bundle.getmembers():
            extracted = bundle.extractfile(member)
            assert extracted is not None
            found[member.name.removeprefix("sekisho-support/")] = extracted.read().decode()
    return found


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "sekisho.toml"
    file.write_text(SETTINGS)
    return file


def test_secrets_are_left_out_wherever_they_stand() -> None:
    plain = {
        "a": [{"Password": "x", "api_key": "x", "key_file": "/f", "monkey": "m"}],
        "token": "",
        "u": "a://x:y@h/p",
    }
    assert without_secrets(plain) == {
        "a": [{"Password": LEFT_OUT, "api_key": LEFT_OUT, "key_file": "/f", "monkey": "m"}],
        "token": "",
        "u": f"a://{LEFT_OUT}@h/p",
    }


def test_a_bundle_holds_what_helps_and_no_secret(run: Run, tmp_path: Path, config: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    assert run("support-bundle", str(file), "--config", str(config)).code == 0
    found = bundled(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(found["status.json"])["version"]
    assert "sekisho_subjects" in found["metrics.txt"]
    assert json.loads(found["settings.json"])[str(config)]["keeper"]["balancers"]["pairs"]["north"] == {
        "provider": "adx",
        "password_file": "/etc/sekisho/adx",
        "options": {"password": LEFT_OUT, "url": f"https://{LEFT_OUT}@192.0.2.1/"},
    }
    assert "hunter2" not in "".join(found.values())
    assert "No archive of flows is kept here." in found["flows-status.json.error.txt"]
    assert "notices.json.error.txt" in found, "the settings name no channel, and the bundle says so"


def test_how_the_archive_fares_is_in_it(
    run: Run, served: tuple[FastAPI, str], tmp_path: Path, config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Archive:
        def status(self) -> ArchiveStatus:
            return ArchiveStatus("chdb", 7, spooled_blocks=2)

    monkeypatch.setattr(served[0].state, "flows", Archive(), raising=False)
    file = tmp_path / "bundle.tar.gz"
    assert run("support-bundle", str(file), "--config", str(config)).code == 0
    told = json.loads(bundled(file)["flows-status.json"])
    assert (told["store"], told["rows"], told["spooled_blocks"]) == ("chdb", 7, 2)


def test_a_file_that_is_there_stays(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    file.write_text("mine")
    answer = run("support-bundle", str(file))
    assert answer.code == 6
    assert "choose another name" in answer.err
    assert file.read_text() == "mine"


def test_a_keeper_that_is_away_gives_half_a_bundle(run: Run, tmp_path: Path, config: Path) -> None:
    file = tmp_path / "bundle.tar.gz"
    answer = run("support-bundle", str(file), "--config", str(config), "--url", "http://127.0.0.1:9")
    assert "Could not be had: " in answer.err
    found = bundled(file)
    assert "versions.json" in found
    assert "settings.json" in found
    assert "status.json.error.txt" in found
