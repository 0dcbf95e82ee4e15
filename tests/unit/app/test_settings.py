"""Settings files: joined, validated, every mistake told by its path."""

from __future__ import annotations

from pathlib import Path

import pytest

from sekisho.app import settings
from sekisho.app.lab import toml
from sekisho.model.errors import Malformed


def load(tmp_path: Path, text: str) -> dict[str, object]:
    file = tmp_path / "sekisho.toml"
    file.write_text(text)
    return settings.load(file)


def test_nothing_written_is_all_defaults(tmp_path: Path) -> None:
    found, problems = settings.check(load(tmp_path, ""))
    assert problems == ()
    assert found["keeper"].policies == "/etc/sekisho/policies"
    assert found["agent"].bridges == ("br-int",)


def test_conf_d_adds_and_replaces_key_by_key(tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "10-more.toml").write_text(
        '[keeper.guard]\nper_hour_host = 3\n[client]\nurl = "http://b"'
    )
    raw = load(tmp_path, '[keeper]\nstate = "/s"\n[keeper.guard]\nper_hour_host = 1\nper_hour_cloud = 2')
    keeper = settings.keeper(raw)
    assert (keeper.state, keeper.guard.per_hour_host, keeper.guard.per_hour_cloud) == ("/s", 3, 2)
    assert settings.client(raw).url == "http://b"


def test_every_mistake_is_told_with_its_path_and_a_hint(tmp_path: Path) -> None:
    raw = load(tmp_path, '[keepr]\n[keeper]\nstat = 1\nlift_grace = "soon"\n[agent.telemetry]\nsamplin = 4')
    _, problems = settings.check(raw)
    told = "\n".join(problems)
    assert "keepr: unknown name; did you mean 'keeper'?" in told
    assert "keeper.stat: unknown name; did you mean 'state'?" in told
    assert "keeper.lift_grace" in told
    assert "agent.telemetry.samplin: unknown name; did you mean 'sampling'?" in told


@pytest.mark.parametrize("text", ["[keeper", "state = = 1"])
def test_a_file_that_is_no_toml_is_told_with_its_name_and_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(Malformed, match=r"sekisho\.toml.*(line 1|end of document)"):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[keeper.guard]\nprefixes = ["10.0.0.0/33"]', "10.0.0.0/33"),
        ('[agent.telemetry]\nprotocol = "sflow6"', "sflow6"),
        ('[agent.telemetry]\ntarget = "collector:6343"', "found 'collector:6343'"),
        ('[agent.telemetry]\ntarget = "2001:db8::1:6343"', "[2001:db8::1]:6343"),
        ('[agent.telemetry]\ntarget = "192.0.2.1"', "ADDRESS:PORT"),
        ('[agent.telemetry]\ntarget = "192.0.2.1:0"', "ADDRESS:PORT"),
        ('[agent.telemetry]\nexact_target = "192.0.2.1:65536"', "telemetry.exact_target"),
        ('[keeper.keystone]\nurl = "keystone"\nuser = "x"\nsecret_file = "/s"', "keeper: keystone.url"),
        ('[keeper.keystone]\ncloud = "a"\nurl = "http://b"', "keeper: keystone.cloud"),
    ],
)
def test_what_a_dataclass_finds_wrong_by_itself_is_told_too(tmp_path: Path, text: str, named: str) -> None:
    _, problems = settings.check(load(tmp_path, text))
    (problem,) = problems
    assert named in problem


def test_a_file_that_was_named_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="no such settings file"):
        settings.load(tmp_path / "none.toml")


def test_what_the_lab_writes_is_read_back(tmp_path: Path) -> None:
    given = {"keeper": {"state": "/x", "guard": {"per_hour_host": 5, "prefixes": ["10.0.0.0/8"]}}}
    assert load(tmp_path, toml(given)) == given


def test_a_setting_of_the_switches_that_cannot_be_is_named() -> None:
    wrong = {"keeper": {"switches": {"parallel": 0, "timer": 5}}}
    _, problems = settings.check(wrong)
    assert problems == (
        "keeper: switches.parallel: 1 or more.",
        "keeper: switches.timer: 30 or more.",
    )
