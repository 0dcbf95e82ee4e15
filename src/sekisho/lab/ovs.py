"""A private Open vSwitch in a folder and a network namespace of its own, with namespaces as VMs.

Nothing here touches the system's switch: sockets, database, pid files and logs stand in the folder,
datapath and ports in the namespace. Everything is named after the folder, so that a second run finds
and removes what a crashed one left. Needs root, iproute2, ethtool, util-linux and Open vSwitch.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab import processes
from sekisho.lab.processes import tool
from sekisho.model.errors import Conflict, Malformed, Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

# sun_path is 108 bytes with its zero (unix(7)); the longest name below the folder is "BRIDGE.mgmt".
_LONGEST_SOCKET: Final = 107
_LONGEST_NAME: Final = 15 + len("/.snoop")
# An interface name is 15 bytes (IFNAMSIZ), four of them are "tap-".
_LONGEST_VM_NAME: Final = 11
SCHEMA: Final = Path("/usr/share/openvswitch/vswitch.ovsschema")


@dataclass(frozen=True, slots=True)
class Identity:
    """What the cloud says of a VM's port; written to OVSDB as Neutron and our lab spell it."""

    id: str = ""
    server: str = ""
    project: str = ""
    network: str = ""
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Vm:
    """A network namespace with one veth into a bridge. `interface` is the bridge's end, eth0 its own."""

    name: str
    namespace: str
    interface: str
    bridge: str
    mac: str
    addresses: tuple[str, ...]  # with prefix length
    vlan: int = 0
    gateway: str = ""
    identity: Identity | None = None


class PrivateSwitch:
    """One ovsdb-server and one ovs-vswitchd (userspace datapath) inside their own network namespace.

    Whatever receives the switch's sFlow or IPFIX on 127.0.0.1 runs inside that namespace too
    (`popen`, `run`). Raises Refused when a tool says no.
    """

    def __init__(self, folder: Path, prefix: str = "") -> None:
        self.folder = folder.absolute()
        if len(str(self.folder)) + _LONGEST_NAME > _LONGEST_SOCKET:
            raise Malformed(f"{self.folder}: too long a path for unix sockets; choose a shorter folder.")
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        self.prefix = prefix or f"sk{digest}"
        self.namespace = f"{self.prefix}-switch"
        self.vms: dict[str, Vm] = {}

    @property
    def socket(self) -> str:
        """Where ovsdb-server listens, as its clients want it."""
        return f"unix:{self.folder}/db.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What ovs-* tools need to find this switch and no other."""
        places = dict.fromkeys(("OVS_RUNDIR", "OVS_DBDIR", "OVS_LOGDIR", "OVS_SYSCONFDIR"), str(self.folder))
        return {**os.environ, **places, "PATH": processes.SEARCH}

    def management(self, bridge: str) -> str:
        """Where the bridge answers OpenFlow, as ovs-ofctl wants it."""
        return f"unix:{self.folder}/{bridge}.mgmt"

    def start(self) -> None:
        """Clean up what an earlier run left, then start both daemons; returns when they answer.

        Raises Conflict when the earlier run still goes on.
        """
        if processes.alive(self.folder / "owner"):
            raise Conflict("This lab runs already.", f"{self.folder}/owner names a process that lives.")
        self.clean()
        self.folder.mkdir(parents=True)
        processes.remember(self.folder / "owner", os.getpid())
        self._call("ip", "netns", "add", self.namespace)
        self._call("ip", "-n", self.namespace, "link", "set", "lo", "up")
        self._call("ovsdb-tool", "create", str(self.folder / "conf.db"), str(SCHEMA))
        self.start_ovsdb()
        self.vsctl("--no-wait", "init")
        self.start_vswitchd()

    def start_ovsdb(self) -> None:
        """Start ovsdb-server, which must not be running."""
        remote = f"--remote=p{self.socket}"
        self._daemon("ovsdb-server", str(self.folder / "conf.db"), remote)

    def start_vswitchd(self) -> None:
        """Start ovs-vswitchd, which must not be running; flows and meters are gone."""
        self._daemon("ovs-vswitchd", self.socket)

    def _daemon(self, name: str, *arguments: str) -> None:
        files = [f"--{kind}={self.folder}/{name}.{kind}" for kind in ("pidfile", "unixctl")]
        log = f"--log-file={self.folder}/{name}.log"
        # --detach returns when the daemon is ready: nobody has to wait and guess.
        self._call(
            *self.enter(), tool(name), *arguments, *files, log, "--detach", "--no-chdir", "-vconsole:off"
        )
        pid = int((self.folder / f"{name}.pidfile").read_text())
        processes.remember(self.folder / f"{name}.process", pid)

    def stop_ovsdb(self) -> None:
        """Stop ovsdb-server; ovs-vswitchd goes on forwarding."""
        processes.end(self.folder / "ovsdb-server.process")

    def stop_vswitchd(self) -> None:
        """Stop ovs-vswitchd and with it the userspace datapath."""
        processes.end(self.folder / "ovs-vswitchd.process")

    def stop(self) -> None:
        """Stop everything and remove namespaces and folder; harmless when nothing runs."""
        self.clean()

    def clean(self) -> None:
        """Remove the processes, namespaces and folder of this run or an earlier one."""
        for name in self._namespaces():
            if name != self.namespace:
                self._remove_namespace(name)
        self.stop_vswitchd()
        self.stop_ovsdb()
        if self.namespace in self._namespaces():
            self._remove_namespace(self.namespace)
        self.vms.clear()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _namespaces(self) -> list[str]:
        listed = self._call("ip", "netns", "list").splitlines()
        names = [line.split()[0] for line in listed if line]
        return [name for name in names if name.startswith(f"{self.prefix}-")]

    def _remove_namespace(self, name: str) -> None:
        pids = self._call("ip", "netns", "pids", name).split()
        processes.end_all([int(pid) for pid in pids if int(pid) != os.getpid()])
        self._call("ip", "netns", "delete", name)

    def enter(self, vm: str = "") -> list[str]:
        """Give the words that run a command inside a VM's namespace, or the switch's own."""
        namespace = self.vms[vm].namespace if vm else self.namespace
        return [tool("nsenter"), f"--net=/run/netns/{namespace}", "--"]

    def run(self, vm: str, argv: Sequence[str], timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command inside a VM ("" is the switch's namespace) to its end; never raises for its code."""
        argv = [*self.enter(vm), *argv]
        return subprocess.run(  # noqa: S603 - the caller's own words, no shell
            argv, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )

    def popen(self, vm: str, argv: Sequence[str], **options: Any) -> subprocess.Popen[bytes]:
        """Start a command inside a VM ("" is the switch's namespace) in a session of its own."""
        options = {"env": self.environment, "start_new_session": True, **options}
        return subprocess.Popen([*self.enter(vm), *argv], **options)  # noqa: S603 - likewise

    def vsctl(self, *words: str) -> str:
        """Run ovs-vsctl against this switch's database."""
        return self._call("ovs-vsctl", f"--db={self.socket}", "--timeout=10", *words)

    def ofctl(self, command: str, bridge: str, *words: str) -> str:
        """Run ovs-ofctl (OpenFlow 1.5) against one bridge."""
        return self._call("ovs-ofctl", "-OOpenFlow15", command, self.management(bridge), *words)

    def appctl(self, *words: str) -> str:
        """Run ovs-appctl against ovs-vswitchd."""
        return self._call("ovs-appctl", f"--target={self.folder}/ovs-vswitchd.unixctl", *words)

    def add_bridge(self, name: str) -> None:
        """Add a userspace bridge that learns and floods, as a fresh one does."""
        protocols = "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15"
        row = ("--", "set", "Bridge", name, "datapath_type=netdev", protocols)
        self.vsctl("--may-exist", "add-br", name, *row)

    def delete_bridge(self, name: str) -> None:
        """Delete a bridge with its ports."""
        self.vsctl("--if-exists", "del-br", name)

    def plug_vm(
        self,
        name: str,
        bridge: str,
        *,
        mac: str,
        addresses: tuple[str, ...] = (),
        vlan: int = 0,
        gateway: str = "",
        identity: Identity | None = None,
    ) -> Vm:
        """Make a VM and plug it in; `identity` None leaves it without `iface-id`: an uplink, no subject."""
        if len(name) > _LONGEST_VM_NAME:
            raise Malformed(f"{name}: a VM's name has at most {_LONGEST_VM_NAME} letters.")
        namespace, tap = f"{self.prefix}-{name}", f"tap-{name}"
        vm = Vm(name, namespace, tap, bridge, mac.lower(), addresses, vlan, gateway, identity)
        self._call("ip", "netns", "add", namespace)
        self._batch(self.namespace, f"link add {tap} type veth peer name eth0 netns {namespace}")
        self._batch(namespace, *_inside(vm))
        # The switch's datapath reads raw packets: a checksum left to hardware would never be filled in.
        self._call(
            "nsenter", f"--net=/run/netns/{namespace}", "--", tool("ethtool"), "-K", "eth0", "tx", "off"
        )
        self._batch(self.namespace, f"link set {tap} up")
        self.vms[name] = vm
        self.attach(name)
        return vm

    def attach(self, name: str) -> int:
        """Add the VM's port to its bridge and return its OpenFlow port."""
        vm = self.vms[name]
        port = ["--may-exist", "add-port", vm.bridge, vm.interface]
        if vm.vlan:
            port.append(f"tag={vm.vlan}")
        self.vsctl(*port, *_external_ids(vm))
        return self.ofport(name)

    def detach(self, name: str) -> None:
        """Take the VM's port off its bridge; the VM goes on, without a network."""
        self.vsctl("--if-exists", "del-port", self.vms[name].bridge, self.vms[name].interface)

    def unplug(self, name: str) -> None:
        """Remove the VM: its port, its processes and its namespace."""
        self.detach(name)
        # A namespace lives on while TCP still closes connections in it, and the link's name with it.
        with suppress(Refused):  # it may have gone with the VM already
            self._batch(self.namespace, f"link del {self.vms[name].interface}")
        self._remove_namespace(self.vms.pop(name).namespace)

    def ofport(self, name: str) -> int:
        """Read the OpenFlow port the VM has now."""
        return int(self.vsctl("get", "Interface", self.vms[name].interface, "ofport"))

    def _batch(self, namespace: str, *lines: str) -> None:
        self._call("ip", "-n", namespace, "-batch", "-", stdin="\n".join(lines))

    def _call(self, name: str, *words: str, stdin: str = "") -> str:
        argv = [tool(name) if "/" not in name else name, *words]
        done = subprocess.run(  # noqa: S603 - our own words, no shell
            argv, env=self.environment, input=stdin, capture_output=True, text=True, timeout=30, check=False
        )
        if done.returncode:
            raise Refused(f"{name} said no.", f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout


def _inside(vm: Vm) -> list[str]:
    # nodad: an address is usable at once instead of after a second of neighbour solicitations.
    lines = ["link set lo up", f"link set eth0 address {vm.mac}", "link set eth0 up"]
    lines += [f"addr add {a} dev eth0{' nodad' if ':' in a else ''}" for a in vm.addresses]
    if vm.gateway:
        lines.append(f"route add default via {vm.gateway} dev eth0")
    return lines


def _external_ids(vm: Vm) -> list[str]:
    if vm.identity is None:
        return []
    identity = vm.identity
    pairs = {
        "iface-id": identity.id or vm.name,
        "vm-id": identity.server,
        "attached-mac": vm.mac,
        "iface-status": "active",
        "sekisho-project": identity.project,
        "sekisho-network": identity.network,
        "sekisho-tags": ",".join(identity.tags),
        "sekisho-addresses": ",".join(a.partition("/")[0] for a in vm.addresses),
    }
    words = [f'external_ids:{key}="{value}"' for key, value in pairs.items() if value]
    return ["--", "set", "Interface", vm.interface, *words]
