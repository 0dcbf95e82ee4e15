"""What Neutron says of a port, joined to what the switch says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.guests.neutron.facts import FactBook, Facts, NeutronPorts, read_facts
from sekisho.model.inventory import Subject

DETAILS: dict[str, Any] = {
    "port_id": "p1",
    "network_id": "n1",
    "mac_address": "FA:16:3E:00:00:01",
    "fixed_ips": [{"ip_address": "10.0.0.5", "subnet_id": "s"}, {"ip_address": "fd00::5", "subnet_id": "t"}],
    "qos_policy_id": None,
    "network_qos_policy_id": None,
}
PORT = SimpleNamespace(project_id="acme", device_id="vm-1")


class Switch:
    """A switch with one port."""

    def __init__(self) -> None:
        self.here: tuple[Subject, ...] = (Subject("p1", "h1", mac="02:00:00:00:00:01", ofport=3, vlan=7),)

    def subjects(self) -> tuple[Subject, ...]:
        return self.here

    def listen(self, callback: Callable[[bool], None]) -> None: ...

    def close(self) -> None: ...


def test_neutron_says_whose_port_it_is_and_the_switch_where() -> None:
    ports = NeutronPorts(Switch(), FactBook({"p1": read_facts(DETAILS, PORT)}))
    (found,) = ports.subjects()
    assert found == Subject(
        "p1",
        "h1",
        "acme",
        "vm-1",
        "n1",
        "fa:16:3e:00:00:01",
        ("10.0.0.5", "fd00::5"),
        ofport=3,
        vlan=7,
    )
    assert ports.find("p1") == found
    assert ports.find("p2") is None


@pytest.mark.parametrize(
    ("own", "networks", "found"),
    [(None, None, ()), ("q1", None, ("q1",)), (None, "q2", ("q2",)), ("q1", "q2", ("q1",))],
)
def test_a_ports_own_plan_goes_before_its_networks(
    own: str | None, networks: str | None, found: tuple[str, ...]
) -> None:
    details = DETAILS | {"qos_policy_id": own, "network_qos_policy_id": networks}
    assert read_facts(details, PORT).qos == found


def test_a_plan_that_was_taken_away_is_gone() -> None:
    ports = NeutronPorts(Switch(), FactBook({"p1": Facts(qos=("q1",))}))
    assert ports.subjects()[0].qos == ("q1",)
    ports.facts.learn("p1", read_facts(DETAILS, PORT))
    assert ports.subjects()[0].qos == ()


def test_what_neutron_does_not_say_the_switch_still_knows() -> None:
    found = NeutronPorts(Switch(), FactBook({"p1": read_facts({"port_id": "p1"}, None)})).subjects()[0]
    assert (found.mac, found.ofport) == ("02:00:00:00:00:01", 3)


def test_what_neutron_said_is_known_after_a_restart_and_forgotten_with_the_port(tmp_path: Path) -> None:
    book = FactBook()
    book.recall(tmp_path / "state")
    NeutronPorts(Switch(), book).subjects()
    book.learn("p1", Facts(qos=("q1",)))
    book.learn("p2", Facts(project="acme"))
    book.forget("p2")
    NeutronPorts(Switch(), book).subjects()
    again = FactBook()
    again.recall(tmp_path / "state")
    assert again.of("p1") == Facts(qos=("q1",))
    assert again.of("p2") is None


@pytest.mark.parametrize("torn", ["", "{", "[1]", '{"p1": 7}', '{"p1": {"qos": 7}}'])
def test_a_torn_book_is_begun_anew(tmp_path: Path, torn: str) -> None:
    (tmp_path / "ports.json").write_text(torn)
    book = FactBook()
    book.recall(tmp_path)
    assert book.of("p1") is None
    book.learn("p1", Facts(project="acme"))
    book.save()
    again = FactBook()
    again.recall(tmp_path)
    assert again.of("p1") == Facts(project="acme")
