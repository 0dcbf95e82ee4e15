"""The kernel's own nftables keep away who may not ask a VIP, and nobody else."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from sekisho.devices.balancer.lvs_dsr.gate import Nft
from sekisho.devices.balancer.lvs_dsr.services import Key
from sekisho.lab.openstack.shell import call, enter, links, remove_namespace
from sekisho.lab.sockets import listen

pytestmark = pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")

PLACE = f"sk{os.getpid():x}-gate"
VIP, NEAR, FAR = "10.77.0.1", "10.1.0.1", "10.2.0.1"


@pytest.fixture
def place() -> Iterator[str]:
    call("ip", "netns", "add", PLACE)
    addresses = [f"addr add {each}/32 dev lo" for each in (VIP, NEAR, FAR)]
    links(PLACE, "link set lo up", *addresses)
    yield PLACE
    remove_namespace(PLACE)


@contextmanager
def answering(port: int) -> Iterator[None]:
    """Take connections to the VIP inside."""
    door = listen(port, PLACE, VIP)

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


def asks(source: str) -> bool:
    """Tell whether somebody at that address comes through to the VIP."""
    words = f"import socket; socket.create_connection(('{VIP}', 80), 1.0, ('{source}', 0))"
    try:
        call(*enter(PLACE), "python3", "-c", words)
    except Exception:  # noqa: BLE001 - whatever it says, it did not come through
        return False
    return True


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


def void(_said: str) -> None:
    """Say nothing."""
