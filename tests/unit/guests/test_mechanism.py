"""The mechanism driver among stand-ins of Neutron: what it hears, what it reads, and that it never raises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.model.attachment import HostVlan, HostVlans
from sekisho.model.errors import Unavailable
from support_modules import imported, stand_ins
from support_neutron import Conf, option

SEGMENTS = [
    ("s1", "n1", "vlan", "physnet1", 10),
    ("s2", "n2", "vlan", "physnet2", 20),
    ("s3", "n3", "vxlan", None, 1000),
    ("s4", "n4", "vlan", "physnet2", 10),
    ("s5", "n5", "flat", "physnet1", None),
]


class Rows:
    """A kind of Neutron's objects, as far as we ask for it."""

    def __init__(self, rows: list[dict[str, Any]]) -> None:
        self.rows = rows

    def get_values(self, _context: Any, field: str, **wanted: Any) -> list[Any]:
        return [r[field] for r in self.rows if all(r[k] == v for k, v in wanted.items())]

    def get_objects(self, _context: Any, id: list[str]) -> list[Any]:  # noqa: A002 - Neutron's name for it
        return [SimpleNamespace(**r) for r in self.rows if r["id"] in id]


class Plugin:
    def get_networks(self, _context: Any, filters: Any, fields: Any) -> list[dict[str, str]]:
        assert fields == ["id", "name"]
        return [{"id": n, "name": f"net {n}"} for n in filters["id"]]


@pytest.fixture(scope="module")
def guest() -> Iterator[SimpleNamespace]:
    names = ("id", "network_id", "network_type", "physical_network", "segmentation_id")
    conf = Conf()
    options = dict.fromkeys(("StrOpt", "FloatOpt", "ListOpt"), option)
    contents: dict[str, dict[str, Any]] = {
        "oslo_config": {"cfg": SimpleNamespace(CONF=conf, **options)},
        "neutron": {},
        "neutron.objects": {},
        "neutron.objects.network": {
            "NetworkSegment": Rows([dict(zip(names, s, strict=True)) for s in SEGMENTS])
        },
        "neutron.objects.ports": {"PortBindingLevel": Rows([])},
        "neutron_lib": {},
        "neutron_lib.context": {"get_admin_context": lambda: "admin"},
        "neutron_lib.plugins": {"directory": SimpleNamespace(get_plugin=Plugin)},
        "neutron_lib.plugins.ml2": {},
        "neutron_lib.plugins.ml2.api": {"MechanismDriver": type("MechanismDriver", (), {})},
    }
    made = stand_ins(contents)
    with imported("sekisho.guests.neutron", ("config", "mechanism"), made) as loaded:
        yield SimpleNamespace(conf=conf, made=made, **loaded)


class News:
    def __init__(self) -> None:
        self.hosts: list[tuple[str, ...]] = []
        self.bound: list[str] = []

    def changed(self, *hosts: str) -> None:
        self.hosts.append(hosts)

    def binding(self, host: str) -> None:
        self.bound.append(host)


@pytest.fixture
def driver(guest: SimpleNamespace) -> Any:
    made = guest.mechanism.SekishoSwitchDriver()
    made.initialize()
    made.news = News()
    return made


def port(
    host: str | None, before: str | None = None, *, kind: str = "vlan", physical: str = "physnet1"
) -> Any:
    segments = [{"network_type": kind, "physical_network": physical}]
    network = SimpleNamespace(network_segments=segments)
    return SimpleNamespace(host=host, original_host=before, network=network)


def bind(guest: SimpleNamespace, *levels: tuple[str, str | None]) -> None:
    rows = [{"host": h, "segment_id": s} for h, s in levels]
    guest.mechanism.port_objects.PortBindingLevel.rows = rows


def test_both_hosts_of_a_port_that_moves_are_told(driver: Any) -> None:
    driver.update_port_postcommit(port("h2", "h1"))
    driver.create_port_postcommit(port("h1"))
    driver.delete_port_postcommit(port(None))
    assert driver.news.hosts == [("h2", "h1"), ("h1", ""), ("", "")]


def test_tunnels_and_others_networks_cost_nothing(guest: SimpleNamespace, driver: Any) -> None:
    driver.update_port_postcommit(port("h1", kind="vxlan"))
    driver._networks = frozenset({"physnet2"})
    driver.update_port_postcommit(port("h1"))
    driver.bind_port(port("h1"))
    assert not driver.news.hosts
    assert not driver.news.bound
    del guest


def test_it_hears_of_bindings_and_binds_nothing(driver: Any) -> None:
    assert driver.bind_port(port("h9")) is None
    driver.bind_port(port(""))
    assert driver.news.bound == ["h9"]


def test_ports_without_addresses_are_not_kept_from_it(driver: Any) -> None:
    """Neutron asks no others to bind them."""
    assert driver.connectivity == "l2"


def test_nothing_that_goes_wrong_here_undoes_a_customers_port(driver: Any) -> None:
    for call in (driver.create_port_postcommit, driver.bind_port):
        call(SimpleNamespace())


def test_a_host_is_in_the_vlans_of_its_bound_ports(guest: SimpleNamespace) -> None:
    bind(guest, ("h1", "s1"), ("h1", "s1"), ("h1", "s3"), ("h1", "s5"), ("h1", None), ("h2", "s2"))
    read = guest.mechanism.read
    assert read("h1", ()) == HostVlans((HostVlan(10, "net n1", "n1"),))
    assert read("h2", ()) == HostVlans((HostVlan(20, "net n2", "n2"),))
    assert read("h3", ()) == HostVlans()
    assert guest.mechanism.all_hosts() == {"h1", "h2"}


def test_of_two_networks_with_one_id_the_name_is_always_the_same(guest: SimpleNamespace) -> None:
    bind(guest, ("h1", "s4"), ("h1", "s1"))
    assert guest.mechanism.read("h1", ()).vlans == (HostVlan(10, "net n1", "n1"),)
    bind(guest, ("h1", "s1"), ("h1", "s4"))
    assert guest.mechanism.read("h1", ()).vlans == (HostVlan(10, "net n1", "n1"),)
    assert guest.mechanism.read("h1", {"physnet2"}).vlans == (HostVlan(10, "net n4", "n4"),)


def test_its_settings_stand_with_the_servers(guest: SimpleNamespace) -> None:
    ((group, options),) = guest.config.server_opts()
    assert group == "sekisho"
    assert {"switch_physical_networks", "switch_resync", "keeper_url"} <= {o.name for o in options}


def test_each_process_has_one_client_of_its_own(
    guest: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = SimpleNamespace(keeper_url="http://127.0.0.1:1", token_file=str(tmp_path / "token"), ca_file="")
    options.timeout = 1.0
    make = guest.config.OwnClient(options)
    with pytest.raises(Unavailable, match="cannot be asked"):
        make()
    (tmp_path / "token").write_text("secret\n")
    first = make()
    assert make() is first
    monkeypatch.setattr(guest.config.os, "getpid", lambda: -1)
    assert make() is not first


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"keeper_url": "keeper.example.net:8790"}, "http://HOST:PORT"),
        ({"ca_file": "/nowhere/authority.pem"}, "No such file"),
        ({"token": b"\xff\xfe"}, "codec"),
    ],
)
def test_a_mistake_in_the_settings_is_nobodys_who_asks_neutron(
    guest: SimpleNamespace, tmp_path: Path, wrong: dict[str, Any], says: str
) -> None:
    token = tmp_path / "token"
    token.write_bytes(wrong.pop("token", b"secret"))
    good = {"keeper_url": "http://127.0.0.1:1", "token_file": str(token), "ca_file": "", "timeout": 1.0}
    with pytest.raises(Unavailable, match="cannot be asked") as caught:
        guest.config.OwnClient(SimpleNamespace(**good | wrong))()
    assert says in caught.value.fixer
