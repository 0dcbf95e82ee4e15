"""The private switch: VMs reach each other, restarts keep them, a crash leaves nothing behind."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from typing import TYPE_CHECKING

import pytest

from sekisho.lab import processes
from sekisho.lab.ovs import PrivateSwitch
from sekisho.model.errors import Conflict, Malformed, Refused
from support_ovs import plug

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.ovs import Vm

pytestmark = pytest.mark.ovs

_EXCHANGE = """
    import socket, sys
    family, address = (socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET), (sys.argv[1], 7)
    with socket.socket(family, socket.SOCK_STREAM) as speaker:
        speaker.settimeout(1)
        speaker.connect(address)
        speaker.sendall(b"x" * 20000)
        speaker.shutdown(socket.SHUT_WR)
        print(len(speaker.recv(1)))
"""
_ECHO = """
    import socket, sys
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("::", 7))
        listener.listen()
        print("ready", flush=True)
        while True:
            peer = listener.accept()[0]
            while peer.recv(65536): pass
            peer.sendall(b"y")
            peer.close()
"""


def _python(text: str, *words: str) -> list[str]:
    return [sys.executable, "-c", textwrap.dedent(text), *words]


def _reaches(switch: PrivateSwitch, vm: Vm, address: str) -> bool:
    # A neighbour that did not answer a moment ago is not asked again at once.
    switch.run(vm.name, ["ip", "neigh", "flush", "dev", "eth0", "nud", "all"])
    return switch.run(vm.name, _python(_EXCHANGE, address)).stdout.strip() == "1"


@pytest.mark.usefixtures("bridge")
def test_vms_speak_tcp_over_ipv4_and_ipv6_also_after_a_restart(switch: PrivateSwitch) -> None:
    one, two = plug(switch, 1), plug(switch, 2)
    before = switch.ofport("vm2")
    echo = switch.popen(two.name, _python(_ECHO), stdout=subprocess.PIPE)
    assert echo.stdout is not None
    with echo.stdout:
        echo.stdout.readline()
    assert _reaches(switch, one, "10.0.0.2")
    assert _reaches(switch, one, "fd00::2")
    switch.stop_vswitchd()
    assert not _reaches(switch, one, "10.0.0.2")
    switch.start_vswitchd()
    assert _reaches(switch, one, "10.0.0.2")
    assert switch.ofport("vm2") == before
    echo.kill()
    echo.wait()


@pytest.mark.usefixtures("bridge")
def test_vlans_keep_vms_apart(switch: PrivateSwitch) -> None:
    one, two = plug(switch, 1, vlan=10), plug(switch, 2, vlan=20)
    echo = switch.popen(two.name, _python(_ECHO), stdout=subprocess.PIPE)
    assert echo.stdout is not None
    with echo.stdout:
        echo.stdout.readline()
    assert not _reaches(switch, one, "10.0.0.2")
    switch.vsctl("set", "Port", one.interface, "tag=20")
    assert _reaches(switch, one, "10.0.0.2")
    echo.kill()
    echo.wait()


def test_unplugging_ends_what_runs_in_the_vm(switch: PrivateSwitch, bridge: str) -> None:
    plug(switch, 1)
    sleeper = switch.popen("vm1", ["sleep", "600"])
    switch.unplug("vm1")
    assert sleeper.wait(timeout=5) != 0
    assert switch.vsctl("list-ports", bridge) == ""


def test_a_tool_that_says_no_is_refused_with_its_words(switch: PrivateSwitch) -> None:
    with pytest.raises(Refused) as caught:
        switch.vsctl("set", "Bridge", "none", "tag=1")
    assert "none" in caught.value.fixer


def test_a_second_run_cleans_what_a_crashed_one_left(switch: PrivateSwitch, tmp_path: Path) -> None:
    folder = switch.folder.parent / "crash"
    crashed = textwrap.dedent("""
        import os, sys
        from pathlib import Path
        from sekisho.lab.ovs import PrivateSwitch
        private = PrivateSwitch(Path(sys.argv[1]))
        private.start()
        private.add_bridge("br9")
        private.plug_vm("vm1", "br9", mac="02:00:00:00:00:01")
        private.popen("vm1", ["sleep", "600"])
        os._exit(9)
    """)
    assert subprocess.run([sys.executable, "-c", crashed, str(folder)], check=False).returncode == 9
    left = tmp_path / "left"
    left.write_bytes((folder / "ovs-vswitchd.process").read_bytes())
    again = PrivateSwitch(folder)
    assert processes.alive(left)
    assert len(again._namespaces()) == 2
    again.start()
    assert not processes.alive(left)
    assert again._namespaces() == [again.namespace]
    assert again.vsctl("list-br") == ""
    again.stop()
    assert again._namespaces() == []
    assert not folder.exists()


def test_a_run_that_goes_on_is_not_swept_away(switch: PrivateSwitch) -> None:
    with pytest.raises(Conflict):
        PrivateSwitch(switch.folder).start()
    assert switch.vsctl("list-br") == ""


def test_stopping_twice_is_harmless(switch: PrivateSwitch) -> None:
    other = PrivateSwitch(switch.folder.parent / "other")
    other.start()
    other.stop()
    other.stop()
    assert not other.folder.exists()
    assert switch.folder.exists()


def test_a_folder_too_deep_for_unix_sockets_is_malformed(tmp_path: Path) -> None:
    with pytest.raises(Malformed, match="shorter"):
        PrivateSwitch(tmp_path / ("x" * 90))
