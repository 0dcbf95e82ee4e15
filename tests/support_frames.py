"""Raw frames between the namespaces of a private switch, and a rig that runs the contract over it."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sekisho.devices.vswitch.bridge import Bridge
from sekisho.devices.vswitch.compile import CompileSettings
from sekisho.devices.vswitch.ofctl import OfctlSettings
from sekisho.devices.vswitch.ovsdb import Database
from sekisho.testing.packets import Packet
from support_ovs import plug
from support_vswitch import EXACT_DOMAIN, subject

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Self

    from sekisho.lab.ovs import PrivateSwitch, Vm
    from sekisho.model.inventory import Subject

_NEW_NETWORK = 0x40000000  # setns(2), CLONE_NEWNET
_ALL_PROTOCOLS = 0x0003  # if_ether.h, ETH_P_ALL
_SENTINEL = 0x88B5  # IEEE 802, local experimental
_PATIENCE = 0.5
_LIBC = ctypes.CDLL(None, use_errno=True)


def open_wire(namespace: str) -> socket.socket:
    """Open a packet socket on eth0 inside a namespace; the caller stays where it is."""
    opened: list[socket.socket] = []

    def enter() -> None:
        handle = os.open(f"/run/netns/{namespace}", os.O_RDONLY)
        try:
            if _LIBC.setns(handle, _NEW_NETWORK):
                raise OSError(ctypes.get_errno(), "setns", namespace)
        finally:
            os.close(handle)
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))
        raw.bind(("eth0", _ALL_PROTOCOLS))
        opened.append(raw)

    # setns moves one thread only, so that one is thrown away afterwards.
    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    return opened[0]


class Wires:
    """Sends frames from one VM and looks for them at another."""

    def __init__(self) -> None:
        self._wires: dict[str, socket.socket] = {}
        self._count = count()

    def close(self) -> None:
        for raw in self._wires.values():
            raw.close()

    def wire(self, vm: Vm) -> socket.socket:
        """Give the packet socket inside a VM."""
        if vm.namespace not in self._wires:
            self._wires[vm.namespace] = open_wire(vm.namespace)
        return self._wires[vm.namespace]

    def sends(self, source: Vm, target: Vm, **fields: Any) -> bool:
        """Tell whether a packet arrives. One may be lost while the switch reconfigures; two are dropped."""
        return any(self._arrives(source, target, fields) for _ in range(2))

    def _arrives(self, source: Vm, target: Vm, fields: dict[str, Any]) -> bool:
        """Send it, then one no rule about IP drops: once that is there, it is too, or never will be."""
        sender, hearer = self.wire(source), self.wire(target)
        _drain(hearer)
        frame = Packet(source.mac, target.mac, **fields).frame()
        # Numbered, since the one before may still be under way.
        last = Packet(source.mac, target.mac, eth_type=_SENTINEL).frame()[:-8] + next(self._count).to_bytes(8)
        sender.send(frame)
        sender.send(last)
        end = time.monotonic() + _PATIENCE
        while (left := end - time.monotonic()) > 0:
            hearer.settimeout(left)
            with suppress(TimeoutError):
                heard = hearer.recv(4096)
                if heard[: len(frame)] == frame:
                    return True
                if heard[: len(last)] == last:
                    return False
        return False


def _drain(hearer: socket.socket) -> None:
    hearer.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            hearer.recv(4096)


class RealRig:
    """Subjects 1 and 2 and the world, 3, on a real bridge named br0."""

    def __init__(self, switch: PrivateSwitch) -> None:
        self.switch = switch
        self.vms = {n: plug(switch, n, subject=n != 3) for n in (1, 2, 3)}
        self.subjects: Sequence[Subject] = [
            subject(n, ofport=switch.ofport(f"vm{n}"), mac=self.vms[n].mac) for n in (1, 2)
        ]
        self.database = Database(str(switch.folder / "db.sock"), "h1")
        self.wires = Wires()
        self._stack = ExitStack()
        self._stack.callback(self.database.close)
        self._stack.callback(self.wires.close)

    def __enter__(self) -> Self:
        # Both sides are learnt before anything is asked, so that nothing is flooded.
        for source, target in ((1, 3), (3, 1), (2, 3)):
            self.sends(source, target, eth_type=0x0806)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()
        for vm in self.vms.values():
            # A connection that is still closing keeps a namespace, and with it this name, for a while.
            self.switch.run("", ["ip", "link", "delete", vm.interface])

    @property
    def now(self) -> float:
        return time.monotonic()

    def advance(self, seconds: float) -> None:
        time.sleep(seconds)  # a hard timeout is the switch's own clock's

    def agent(self, rundir: Path | None = None) -> Bridge:
        settings = OfctlSettings(str(rundir or self.switch.folder))
        return Bridge("br0", "h1", self.database, CompileSettings(exact_domain=EXACT_DOMAIN), settings)

    def sends(self, source: int, target: int, **fields: Any) -> bool:
        return self.wires.sends(self.vms[source], self.vms[target], **fields)

    def ofctl(self, command: str, *arguments: str) -> str:
        return self.switch.ofctl(command, "br0", *arguments)

    def restart(self) -> None:
        self.switch.stop_vswitchd()
        self.switch.start_vswitchd()
        assert self.sends(1, 3, eth_type=0x0806)
