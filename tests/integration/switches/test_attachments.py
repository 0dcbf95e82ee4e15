"""From a word of Neutron's to the ports of an emulated pair, through the keeper's own switches."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.app.attachments_follow import Following, follow
from sekisho.app.switches import Switches
from sekisho.app.switches_settings import SwitchesSettings
from sekisho.devices.switch import vlans
from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import Feature, Lacp, Port, PortMode, Vlan, Vpc, key
from sekisho.devices.switch.nexus.driver import Nexus, connect
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.attachment import HostVlan, HostVlans
from sekisho.testing.nexus import Box, Door, serve
from support_certificates import certificate

NEUTRON = Principal("neutron", Role.AGENT)
NETWORK = "6f1a2b3c-0000-4000-8000-00000000000a"
LONG = 60.0
FILE = """
{more}
[connect]
driver = "nexus"
address = "127.0.0.1"
port = {port}
username = "admin"
password_file = "{folder}/password"
ca_file = "{folder}/cert.pem"
transport = "nxapi"
timeout = 2

[attach]
vlans = "1000-1999"
{attach}
"""


class Bed:
    """A keeper's switches, over a pair that carries VLANs 10 and 20 of the operator's to one host."""

    def __init__(self, folder: Path, doors: dict[str, Door]) -> None:
        self.folder = folder
        self.doors = doors
        self.ledger = Ledger(folder / "ledger.db")
        self.stop = threading.Event()
        self.start()

    def start(self) -> None:
        clock = Clock()
        keeper: Any = SimpleNamespace(notices=[])
        settings = SwitchesSettings(folder=str(self.folder / "switches"), every=0.0, settle=5.0, retry=0.2)
        self.switches = Switches(settings, self.ledger, clock, self.folder / "state", self.connecting)
        self.following: Following = follow(self.switches, keeper, self.ledger, clock.passed, self.stop)
        self.notices = keeper.notices
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def connecting(self, connection: Connection) -> Nexus:
        return connect(connection, "admin")

    def _run(self) -> None:
        while not self.stop.is_set():
            self.following.look()

    def restart(self) -> None:
        """Let another keeper begin with what the ledger has."""
        self.end()
        self.stop = threading.Event()
        self.start()

    def end(self) -> None:
        self.stop.set()
        self.thread.join(LONG)
        self.switches.close()

    def put(self, host: str, *ids: int) -> None:
        wanted = HostVlans(tuple(HostVlan(i, f"net {i}", NETWORK[:-4] + f"{i:04d}") for i in ids))
        self.following.attachments.put(NEUTRON, host, wanted)

    def reads(self, leaf: str) -> dict[tuple[str, ...], Any]:
        driver = reach(self.folder, self.doors[leaf])
        try:
            return dict(driver.read().parts)
        finally:
            driver.close()

    def carries(self, leaf: str, port: str) -> tuple[str, str]:
        """Give which of the cloud's VLANs a port carries, and which of them the switch has."""
        parts = self.reads(leaf)
        there = vlans.of(p.id for p in parts.values() if isinstance(p, Vlan))
        return vlans.common(parts["port", port].allowed, "1000-1999"), vlans.common(there, "1000-1999")

    def until(self, true: Callable[[], bool]) -> None:
        """Wait for something that shows once a switch's turn has ended."""
        with self.following._some:
            assert self.following._some.wait_for(true, LONG), self.following.notices()

    def settled(self, leaf: str) -> None:
        self.until(lambda: self.following.fares(leaf) == (True, ""))


def reach(folder: Path, door: Door) -> Nexus:
    made = Connection(
        "nexus", door.address, door.port, "admin", ca_file=str(folder / "cert.pem"), timeout=5.0
    )
    return connect(made, "admin")


def wire(folder: Path, door: Door) -> None:
    """Set a leaf up as an operator has it: a vPC to the host, and a trunk beside it."""
    driver = reach(folder, door)
    state = driver.read()
    driver.apply([Step(state.parts["feature", n], Feature(n, enabled=True)) for n in ("lacp", "vpc", "lldp")])
    driver.apply([Step(None, Vpc(10, "10.0.0.2", "10.0.0.1", "management", 100, peer_gateway=False))])
    driver.apply([Step(None, Vlan(10, "web", 0)), Step(None, Vlan(1500, "left", 0))])
    channel = Port(
        "port-channel11",
        mode=PortMode.TRUNK,
        allowed="10,20,1500",
        members=("Ethernet1/1",),
        lacp=Lacp.ACTIVE,
        vpc=11,
    )
    trunk = driver.read().parts["port", "Ethernet1/2"]
    assert isinstance(trunk, Port)
    changed = replace(trunk, mode=PortMode.TRUNK, allowed="1-4094")
    driver.apply([Step(None, channel), Step(trunk, changed)])
    assert key(channel) in driver.read().parts
    driver.save()
    driver.close()


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Callable[..., Bed]]:
    with ExitStack() as open_:

        def make(attach: str = 'hosts = { "compute-1" = ["port-channel11"] }') -> Bed:
            tls = certificate(tmp_path, "127.0.0.1")
            (tmp_path / "password").write_text("admin\n")
            for name in ("switches", "state"):
                (tmp_path / name).mkdir(mode=0o700)
            doors = {
                n: open_.enter_context(serve(Box(hostname=n, ports=6), tls=tls, ssh_port=0))
                for n in ("leaf-1", "leaf-2")
            }
            for (name, door), peer in zip(doors.items(), ("leaf-2", "leaf-1"), strict=True):
                wire(tmp_path, door)
                more = f'[pair]\npeer = "{peer}"\ndomain = 10\nkeepalive = {{ destination = "10.0.0.2" }}\n'
                text = FILE.format(port=door.port, folder=tmp_path, attach=attach, more=more)
                (tmp_path / "switches" / f"{name}.toml").write_text(text)
            made = Bed(tmp_path, doors)
            open_.callback(made.ledger.close)
            open_.callback(made.end)
            return made

        yield make


def both(bed: Bed) -> None:
    bed.settled("leaf-1")
    bed.settled("leaf-2")


def test_a_vlan_comes_to_both_of_a_pair_and_goes_and_nothing_else_moves(bed: Callable[..., Bed]) -> None:
    mine = bed()
    both(mine)
    for leaf in mine.doors:
        # What somebody left among the cloud's ids is gone; the operator's own stay.
        assert mine.carries(leaf, "port-channel11") == ("", "")
        assert mine.reads(leaf)["port", "port-channel11"].allowed == "10,20"
        assert mine.reads(leaf)["port", "Ethernet1/2"].allowed == "1-4094"
    mine.put("compute-1", 1001, 1005)
    both(mine)
    for leaf in mine.doors:
        assert mine.carries(leaf, "port-channel11") == ("1001,1005", "1001,1005")
        assert mine.reads(leaf)["vlan", "1001"].name == NETWORK.replace("-", "")[:-4] + "1001"
        assert mine.reads(leaf)["vlan", "10"].name == "web"
    (place, _) = mine.following.attachments.attachment("compute-1").places
    assert (place.ports, place.carried, place.problem) == (("port-channel11",), True, "")
    saved = mine.doors["leaf-1"].box
    assert saved.startup == saved.running_config()
    mine.put("compute-1")
    both(mine)
    for leaf in mine.doors:
        assert mine.carries(leaf, "port-channel11") == ("", "")
        assert mine.reads(leaf)["port", "port-channel11"].allowed == "10,20"
    journal = mine.switches.changes("leaf-1", 10, "").items
    assert {c.author for c in journal} == {"cloud"}
    assert "compute-1" in journal[0].reason


def test_a_dead_switch_delays_nobody_and_is_caught_up(bed: Callable[..., Bed]) -> None:
    mine = bed()
    both(mine)
    mine.doors["leaf-2"].box.faults.unreachable = True
    mine.put("compute-1", 1001)
    mine.settled("leaf-1")
    assert mine.carries("leaf-1", "port-channel11") == ("1001", "1001")
    mine.until(lambda: bool(mine.following.fares("leaf-2")[1]))
    assert "leaf-2" in mine.notices[0]()[0]
    mine.put("compute-1", 1002)
    mine.settled("leaf-1")
    mine.doors["leaf-2"].box.faults.unreachable = False
    mine.settled("leaf-2")
    assert mine.carries("leaf-2", "port-channel11") == ("1002", "1002")
    assert mine.notices[0]() == ()


def test_a_switch_that_forgot_and_a_keeper_that_was_away(bed: Callable[..., Bed]) -> None:
    mine = bed()
    mine.put("compute-1", 1001)
    both(mine)
    mine.end()
    box = mine.doors["leaf-1"].box
    box.startup = box.startup.replace("1001", "1003")
    box.reboot()
    mine.restart()
    both(mine)
    assert mine.carries("leaf-1", "port-channel11") == ("1001", "1001")


def test_a_host_is_found_by_lldp(bed: Callable[..., Bed]) -> None:
    from sekisho.testing.nexus.box import Heard

    mine = bed("lldp = true")
    for door in mine.doors.values():
        door.box.neighbours = {"eth1/1": Heard("compute-1.example.org", "eth0")}
    both(mine)
    mine.put("compute-1", 1001)
    both(mine)
    for leaf in mine.doors:
        assert mine.carries(leaf, "port-channel11") == ("1001", "1001")
