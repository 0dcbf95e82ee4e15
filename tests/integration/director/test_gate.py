"""The kernel's own nftables keep away who may not ask a VIP, and nobody else."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

import pytest

from sekisho.devices.balancer.lvs_dsr.gate import Nft
from sekisho.devices.balancer.lvs_dsr.places import Kernels
from sekisho.devices.balancer.lvs_dsr.services import Key
from sekisho.lab.openstack.shell import call, enter, links, remove_namespace
from support_director import within

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")

PLACE = f"sk{os.getpid():x}-gate"
VIP, NEAR, FAR = "10.77.0.1", "10.1.0.1", "10.2.0.1"
VIP6, NEAR6 = "fd77::1", "fd01::1"


@pytest.fixture
def place() -> Iterator[str]:
    call("ip", "netns", "add", PLACE)
    addresses = [f"addr add {each}/32 dev lo" for each in (VIP, NEAR, FAR)]
    addresses += [f"addr add {each}/128 dev lo nodad" for each in (VIP6, NEAR6)]
    links(PLACE, "link set lo up", *addresses)
    yield PLACE
    remove_namespace(PLACE)


@contextmanager
def answering(port: int, vip: str = VIP) -> Iterator[None]:
    """Take connections to the VIP inside."""
    family = socket.AF_INET6 if ":" in vip else socket.AF_INET
    door = within(PLACE, lambda: socket.create_server((vip, port), family=family))

    def take() -> None:
        while True:
            try:
                door.accept()[0].close()
            except OSError:
                return

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    yield
    door.shutdown(socket.SHUT_RDWR)
    door.close()
    thread.join(5.0)


def asks(source: str, vip: str = VIP) -> bool:
    """Tell whether somebody at that address comes through to the VIP."""
    return asked(source, vip) == ""


def asked(source: str, vip: str) -> str:
    """Ask, and tell the name of the error that comes back, "" for none."""
    words = (
        "import socket\n"
        f"try: socket.create_connection(('{vip}', 80), 1.0, ('{source}', 0))\n"
        "except OSError as error: print(type(error).__name__)"
    )
    return call(*enter(PLACE), "python3", "-c", words).strip()


def test_who_may_not_ask_is_kept_away(place: str) -> None:
    gate = Nft(lambda text: void(call(*enter(place), "nft", "-f", "-", stdin=text)), there=True)
    with answering(80):
        assert (asks(NEAR), asks(FAR)) == (True, True)
        gate.carry({Key(6, VIP, 80): ("10.1.0.0/16",)})
        assert (asks(NEAR), asks(FAR)) == (True, False)
        gate.carry({Key(6, VIP, 81): ("10.1.0.0/16",)})
        assert (asks(NEAR), asks(FAR)) == (True, True)
        gate.carry({Key(6, VIP, 80): ("10.2.0.0/16",)})
        assert (asks(NEAR), asks(FAR)) == (False, True)
        Nft(lambda text: void(call(*enter(place), "nft", "-f", "-", stdin=text)), there=True).carry({})
        assert (asks(NEAR), asks(FAR)) == (True, True)
        assert "sekisho" not in call(*enter(place), "nft", "list", "ruleset")


@pytest.mark.parametrize(("vip", "near"), [(VIP, NEAR), (VIP6, NEAR6)], ids=["IPv4", "IPv6"])
def test_what_no_service_takes_is_refused_as_a_closed_port_and_icmp_is_not(
    place: str, vip: str, near: str
) -> None:
    """IPVS is not here, so that it leaves everything over."""
    gate = Nft(lambda text: void(call(*enter(place), "nft", "-f", "-", stdin=text)), there=True)
    with answering(80, vip), answering(80, near):
        gate.carry({}, frozenset({VIP, VIP6}))
        assert asked(near, vip) == "ConnectionRefusedError"
        assert asked(near, near) == ""
        assert "1 received" in call(*enter(place), "ping", "-c", "1", "-I", near, vip)
        gate.carry({}, frozenset())
        assert asked(near, vip) == ""
        assert "sekisho" not in call(*enter(place), "nft", "list", "ruleset")


def test_a_flushed_ruleset_is_seen_and_written_again(place: str) -> None:
    gate = Nft(partial(nft, place), there=True)
    allowed = {Key(6, VIP, 80): ("10.1.0.0/16",)}
    with answering(80):
        gate.carry(allowed)
        assert not gate.missing()
        call(*enter(place), "nft", "flush", "ruleset")
        assert (asks(FAR), gate.carry(allowed)) == (True, False)
        assert gate.missing()
        assert gate.carry(allowed)
        assert (asks(NEAR), asks(FAR), gate.missing()) == (True, False, False)


def test_an_address_of_the_directors_own_stays_open_though_it_is_a_vip(place: str) -> None:
    def networked() -> frozenset[str]:
        return within(place, Kernels().networked)

    def run(text: str) -> None:
        call(*enter(place), "nft", "-f", "-", stdin=text)

    links(place, "addr add 10.3.0.1/24 dev lo", "addr add fd03::1/64 dev lo nodad")
    assert networked() >= {"10.3.0.1", "fd03::1"}
    assert not networked() & {VIP, VIP6, NEAR}
    gate = Nft(run, there=True, spared=networked)
    with answering(80, "10.3.0.1"):
        gate.carry({}, frozenset({VIP, "10.3.0.1"}))
        assert asked(NEAR, "10.3.0.1") == ""


def nft(place: str, text: str) -> None:
    """Let nft of that place do what it is told."""
    call(*enter(place), "nft", "-f", "-", stdin=text)


def void(_said: str) -> None:
    """Say nothing."""
