"""Settings files of others are written as they read them."""

from __future__ import annotations

import configparser
import tomllib
from pathlib import Path

from sekisho.lab.openstack import keeper
from sekisho.lab.openstack.files import ini, toml
from sekisho.lab.openstack.settings import HostSettings, StackSettings
from sekisho.lab.openstack.stack import Stack


def test_later_sections_win_option_by_option(tmp_path: Path) -> None:
    base: dict[str, dict[str, object]] = {"a": {"x": 1, "list": ("p", "q")}, "b": {"yes": True}}
    read = configparser.ConfigParser()
    read.read_string(ini(tmp_path / "f" / "x.ini", base, {"a": {"x": 2}, "c": {"z": "w"}}).read_text())
    assert {name: dict(read[name]) for name in read.sections()} == {
        "a": {"x": "2", "list": "p,q"},
        "b": {"yes": "true"},
        "c": {"z": "w"},
    }
    assert base["a"]["x"] == 1


def test_our_own_settings_are_read_back_as_they_were(tmp_path: Path) -> None:
    told: dict[str, dict[str, object]] = {"k": {"s": "a b", "n": 1.5, "b": False, "t": {"x": ["y"], "u": {}}}}
    assert tomllib.loads(toml(tmp_path / "x.toml", told).read_text()) == told


def environment(folder: Path, *groups: str) -> Path:
    info = folder / "lib" / "python3.11" / "site-packages" / "sekisho-1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: sekisho\nVersion: 1\n")
    (info / "entry_points.txt").write_text("\n".join(f"[{group}]\nsekisho = a:b" for group in groups))
    return folder


def test_neutron_is_given_what_its_environment_has_of_ours(tmp_path: Path) -> None:
    both = environment(tmp_path / "both", keeper.PLUGINS, keeper.EXTENSIONS)
    one = environment(tmp_path / "one", keeper.EXTENSIONS)
    for place, plugin in ((both, True), (one, False)):
        stack = Stack(StackSettings(tmp_path / "s", place, place, sekisho=True))
        assert ("sekisho" in stack.settings.service_plugins) == plugin
        assert all("sekisho" in host.settings.extensions for host in stack.hosts.values())
    plain = Stack(StackSettings(tmp_path / "s", both, both))
    assert not any("sekisho" in host.settings.extensions for host in plain.hosts.values())


def test_two_stacks_in_two_folders_share_no_name(tmp_path: Path) -> None:
    first, second = (Stack(StackSettings(tmp_path / name, tmp_path, tmp_path)) for name in "ab")
    assert first.place.prefix != second.place.prefix


def test_hosts_have_addresses_of_their_own() -> None:
    hosts = [HostSettings(f"h{n}", n) for n in (1, 2, 3)]
    assert len({h.management for h in hosts} | {h.tunnel for h in hosts}) == 6
