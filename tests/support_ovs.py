"""A real Open vSwitch for tests: in a folder and namespace of its own, one for each test module."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sekisho.lab import processes
from sekisho.lab.ovs import Identity, PrivateSwitch
from sekisho.lab.processes import tool
from sekisho.model.errors import Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.lab.ovs import Vm

_PARENT = Path(tempfile.gettempdir())


def available() -> str:
    """Say why no Open vSwitch can be started here, or nothing."""
    if os.geteuid():
        return "needs root"
    with suppress(Unsupported):
        for name in ("ovs-vswitchd", "ovsdb-server", "ip", "ethtool", "nsenter"):
            tool(name)
        return ""
    return "needs Open vSwitch, iproute2, ethtool and util-linux"


@pytest.fixture(scope="module")
def switch() -> Iterator[PrivateSwitch]:
    """Give a started switch without bridges; whatever the module leaves goes with it."""
    if problem := available():
        pytest.skip(problem)
    for left in _PARENT.glob("sekisho-ovs-*"):
        if not processes.alive(left / "owner"):
            _remove(left)
    parent = _own_folder()
    private = PrivateSwitch(parent / "s")
    try:
        private.start()
        yield private
    finally:
        _remove(parent)


def _own_folder() -> Path:
    # Under its last name only once it says whose it is: runs beside this one remove what is nobody's.
    hidden = Path(tempfile.mkdtemp(prefix=".sekisho-ovs-", dir=_PARENT))
    processes.remember(hidden / "owner", os.getpid())
    return hidden.rename(_PARENT / hidden.name.removeprefix("."))


def _remove(parent: Path) -> None:
    for folder in parent.iterdir():
        if folder.is_dir():
            PrivateSwitch(folder).clean()
    shutil.rmtree(parent, ignore_errors=True)


@pytest.fixture
def bridge(switch: PrivateSwitch) -> Iterator[str]:
    """Give a fresh userspace bridge; it goes with its VMs when the test ends."""
    switch.add_bridge("br0")
    yield "br0"
    for name in tuple(switch.vms):
        switch.unplug(name)
    switch.delete_bridge("br0")


def plug(switch: PrivateSwitch, number: int, *, vlan: int = 0, subject: bool = True) -> Vm:
    """Plug VM `number` into br0: vmN, 02:00:00:00:00:NN, 10.0.0.N/24, fd00::N/64, port id port-N."""
    identity = Identity(f"port-{number}", f"server-{number}", "p1", "net1", ("new",)) if subject else None
    return switch.plug_vm(
        f"vm{number}",
        "br0",
        mac=f"02:00:00:00:00:{number:02x}",
        addresses=(f"10.0.0.{number}/24", f"fd00::{number:x}/64"),
        vlan=vlan,
        identity=identity,
    )
