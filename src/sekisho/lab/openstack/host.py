"""One hypervisor: an Open vSwitch in a namespace, wires to the others, and Neutron's agent."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab.openstack import keeper, neutron
from sekisho.lab.openstack.files import ini
from sekisho.lab.openstack.settings import COLLECTOR_PORT, CONTROLLER, PHYSNET
from sekisho.lab.openstack.shell import call, enter, links, wait
from sekisho.lab.ovs import PrivateSwitch

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import HostSettings, Ini
    from sekisho.lab.openstack.vms import Vm

# What joins the hosts: a bridge of the kernel in the controller's namespace for each.
WIRES: Final = ("mgmt", "tunnel", "phys")
INTEGRATION: Final = "br-int"
# Open vSwitch in userspace sends its tunnels through a bridge of its own that has the address.
_TUNNELS: Final = "br-vtep"
_PHYSICAL: Final = "br-phys"
# The VLAN of ports that Neutron lets nothing through.
_DEAD: Final = "4095"


def lay_wires(place: Place) -> None:
    """Make the controller's namespace with a bridge for each wire."""
    call("ip", "netns", "add", place.controller)
    lines = ["link set lo up"]
    for wire in WIRES:
        lines += [f"link add {wire} type bridge mcast_snooping 0", f"link set {wire} up"]
    links(place.controller, *lines, f"addr add {CONTROLLER}/24 dev mgmt")


@dataclass(slots=True)
class Host:
    """A hypervisor: `switch` is its Open vSwitch, `agent` its Neutron agent, `vms` who is plugged in."""

    place: Place
    settings: HostSettings
    switch: PrivateSwitch = field(init=False)
    agent: Service = field(init=False)
    vms: dict[str, Vm] = field(default_factory=dict)
    _told_before: int = 0

    def __post_init__(self) -> None:
        self.switch = PrivateSwitch(self.place.folder / self.name, f"{self.place.prefix}-{self.name}")

    @property
    def name(self) -> str:
        """Its name, as Neutron knows it."""
        return self.settings.name

    @property
    def namespace(self) -> str:
        """The namespace of its switch and its agent."""
        return self.switch.namespace

    def start_switch(self) -> None:
        """Start Open vSwitch and connect it with the other hosts."""
        self.switch.start()
        for wire in WIRES:
            outer = f"{wire}-{self.name}"
            links(
                self.place.controller,
                f"link add {outer} type veth peer name {wire} netns {self.namespace}",
                f"link set {outer} master {wire} up",
            )
            links(self.namespace, f"link set {wire} up")
            call(*enter(self.namespace), "ethtool", "-K", wire, "tx", "off")
        links(self.namespace, f"addr add {self.settings.management}/24 dev mgmt")
        for bridge, wire in ((_TUNNELS, "tunnel"), (_PHYSICAL, "phys")):
            self.switch.add_bridge(bridge)
            self.switch.vsctl("add-port", bridge, wire)
        links(self.namespace, f"addr add {self.settings.tunnel}/24 dev {_TUNNELS}", f"link set {_TUNNELS} up")

    def start_agent(self) -> None:
        """Start Neutron's agent; returns when Neutron has heard from this very process."""
        self.launch_agent()
        self.agent.await_ready()

    def launch_agent(self) -> None:
        """Start Neutron's agent without waiting."""
        venv, before = self.place.settings.openstack, self._started_at()
        files = (
            "--config-file",
            str(neutron.shared(self.place)),
            "--config-file",
            str(self._write_settings()),
        )
        self.agent = self.place.service(
            f"agent-{self.name}",
            [str(venv / "bin" / "neutron-openvswitch-agent"), *files],
            lambda: self._started_at() not in ("", before),
            self.namespace,
            environment={**self.switch.environment, "PATH": str(venv / "bin")},
            # It does not listen to SIGTERM for a minute.
            patience=0.0,
        )
        self._told_before = self.agent.log.stat().st_size if self.agent.log.exists() else 0
        self.agent.launch()

    def restart_agent(self, **changes: Any) -> None:
        """Stop the agent and start it again, with other settings: firewall, extensions, added."""
        self.agent.kill()
        self.settings = replace(self.settings, **changes)
        self.start_agent()

    def await_settled(self, timeout: float = 120.0) -> None:
        """Return when the agent has wired what it found and removed flows that are nobody's."""
        self.await_said("rpc_loop - iteration:0 completed", self._told_before, timeout)

    def await_wired(self, vm: Vm, timeout: float = 60.0) -> None:
        """Return when the agent has put a VM's port into its network."""

        def wired() -> bool:
            tag = self.switch.vsctl("get", "Port", vm.interface, "tag").strip()
            return tag not in ("[]", _DEAD)

        wait(wired, f"port {vm.port} to be wired on {self.name}", timeout)

    def told(self) -> int:
        """Say how long the agent's log is: `since` for what it says from now on."""
        return self.agent.log.stat().st_size

    def await_said(self, words: str, since: int, timeout: float = 120.0) -> None:
        """Return when the agent has logged some words."""
        wait(lambda: self._said(words, since), f"the agent of {self.name} to say: {words}", timeout)

    def _said(self, words: str, since: int) -> bool:
        with self.agent.log.open("rb") as log:
            log.seek(since)
            return words.encode() in log.read()

    def _started_at(self) -> str:
        found: Any = self.place.rest.api("network", "GET", f"/agents?host={self.name}")
        agents = [each for each in found["agents"] if each["alive"]]
        return str(agents[0]["started_at"]) if agents else ""

    def restart_switch(self) -> None:
        """Start ovs-vswitchd again: flows, meters and the userspace datapath are gone."""
        self.switch.stop_vswitchd()
        self.switch.start_vswitchd()
        # The tap that had the tunnels' address went with the datapath.
        links(
            self.namespace,
            f"addr replace {self.settings.tunnel}/24 dev {_TUNNELS}",
            f"link set {_TUNNELS} up",
        )

    def stop(self) -> None:
        """Stop agent and switch."""
        if hasattr(self, "agent"):
            self.agent.kill()
        self.switch.stop()

    def _write_settings(self) -> Path:
        folder = self.place.room(f"{self.name}-agent")
        base: Ini = {
            "DEFAULT": {"host": self.name, "state_path": folder},
            "oslo_concurrency": {"lock_path": folder / "lock"},
            "ovs": {
                "ovsdb_connection": self.switch.socket,
                "datapath_type": "netdev",
                "bridge_mappings": f"{PHYSNET}:{_PHYSICAL}",
                "local_ip": self.settings.tunnel,
                "of_listen_address": "127.0.0.1",
                # The default, ingress_policing, does nothing on a userspace datapath.
                "qos_meter_bandwidth": True,
            },
            "agent": {"tunnel_types": "vxlan", "extensions": self.settings.extensions},
            "securitygroup": {"firewall_driver": self.settings.firewall},
        }
        ours: Ini = {}
        if keeper.NAME in self.settings.extensions:
            ours = keeper.options(self.place, "agent")
            target = f"{CONTROLLER}:{COLLECTOR_PORT}"
            ours["sekisho"].update(state_path=folder / "sekisho", telemetry_target=target)
        return ini(folder / "agent.ini", base, ours, self.settings.added)
