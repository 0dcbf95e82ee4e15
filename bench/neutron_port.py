"""Measures what our extension adds to handle_port of Neutron's agent, and how soon a restart is right.

Real are the extension, Neutron's class of br-int with its OpenFlow connection, its privsep daemon,
ovs-ofctl and a private Open vSwitch whose br-int has Neutron's way from table 0 to 60. The keeper is an
object in this process, and the wiring Neutron itself does around `handle_port` is left out: what is told
is ours alone. Needs root, and a Python with Neutron:

    .make/openstack/bin/python bench/neutron_port.py --json
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import socket
import statistics
import sys
import tempfile
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final, cast

# Before ours: Neutron chooses how oslo.service runs threads.
import neutron.agent.linux.utils as neutron_utils
import neutron.common.config as neutron_config
import neutron.conf.agent.common as agent_config
import neutron.conf.agent.ovsdb_api as ovsdb_config
import neutron.privileged  # noqa: F401 - makes [privsep] known
from neutron.conf.plugins.ml2.drivers import ovs_conf
from neutron.plugins.ml2.drivers.openvswitch.agent.openflow.native import br_int
from neutron.plugins.ml2.drivers.openvswitch.agent.openflow.native import main as native
from os_ken.base.app_manager import AppManager
from oslo_config import cfg

from sekisho.guests.neutron import agent as guest
from sekisho.guests.neutron import agent_config as extension_config
from sekisho.guests.neutron import config as guest_config
from sekisho.lab.ovs import PrivateSwitch
from sekisho.model.policy import Direction, Drop, Police, Protocol
from sekisho.model.report import HostProgram
from sekisho.model.restriction import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from sekisho.model.policy import Action

HOST: Final = "bench"
BRIDGE: Final = "br-int"
# Each restriction of its own: a blocked port, a blocked range, a limit.
ACTIONS: Final[tuple[Action, ...]] = (
    Drop(Protocol.TCP, Direction.EGRESS, 25, 25),
    Drop(Protocol.UDP, Direction.INGRESS, 1000, 1999),
    Police(10_000_000, Direction.EGRESS),
)
_SLOW: Final = 60.0


class Keeper:
    """Answers as the client would; `bind` is a decision that a long poll tells."""

    def __init__(self) -> None:
        self.ports: tuple[str, ...] = ()
        self._news = threading.Condition()
        self._revision = 1

    def bind(self, ports: Sequence[str]) -> int:
        """Let these ports carry every restriction, for an hour."""
        with self._news:
            self.ports = tuple(ports)
            self._revision += 1
            self._news.notify_all()
            return self._revision

    def _said(self) -> HostProgram:
        held = tuple(
            Binding(f"{port}/{number}", port, (action,), 3600.0)
            for port in self.ports
            for number, action in enumerate(ACTIONS)
        )
        return HostProgram(HOST, self._revision, held)

    def report_host(self, _report: object) -> HostProgram:
        """Answer a report."""
        with self._news:
            return self._said()

    def program(self, _host: str, revision: int, wait: float) -> HostProgram | None:
        """Hold a long poll until there is news."""
        with self._news:
            self._news.wait_for(lambda: self._revision != revision, wait)
            return None if self._revision == revision else self._said()

    def receipts(self, *_told: object) -> None:
        """Take receipts."""


@dataclass(slots=True)
class Host:
    """One host: a switch, the extension as Neutron loads it, and the keeper it asks."""

    switch: PrivateSwitch
    folder: Path
    app: Any = None
    keeper: Keeper = field(default_factory=Keeper)
    extension: Any = None
    commands: list[float] = field(default_factory=list)

    def load(self) -> None:
        """Load the extension as a starting agent does."""
        self.extension = guest.SekishoAgentExtension()
        bridge = br_int.OVSIntegrationBridge(BRIDGE, os_ken_app=self.app)
        cache = SimpleNamespace(get_resource_by_id=lambda *_: SimpleNamespace(project_id="p", device_id="v"))
        api = SimpleNamespace(
            request_int_br=lambda: bridge, plugin_rpc=SimpleNamespace(remote_resource_cache=cache)
        )
        self.extension.consume_api(api)
        self.extension.initialize(SimpleNamespace(create_consumer=lambda *_, **__: None), "ovs")

    def unload(self) -> None:
        """End the extension; what is on the switch stays there."""
        if self.extension is not None and self.extension._agent is not None:  # noqa: SLF001 - Neutron just dies
            # Its own thread closes what it opened, once.
            self.extension._agent.stop.set()  # noqa: SLF001
            self.extension._agent.wake()  # noqa: SLF001
            for thread in threading.enumerate():
                if thread.name == "sekisho":
                    thread.join(_SLOW)

    def plug(self, names: Sequence[str]) -> None:
        """Add ports in VLAN 1, in one transaction as far as the switch is concerned."""
        words: list[str] = []
        for name in names:
            ids = f"external_ids:iface-id={name}", f"external_ids:attached-mac={mac(name)}"
            words += ["--", "add-port", BRIDGE, name, "tag=1"]
            words += ["--", "set", "Interface", name, "type=internal", *ids]
        self.switch.vsctl(*words[1:])

    def unplug(self, names: Sequence[str]) -> None:
        """Take ports away."""
        words = [word for name in names for word in ("--", "del-port", BRIDGE, name)]
        self.switch.vsctl(*words[1:])

    def known(self, names: Sequence[str]) -> bool:
        """Tell whether the extension's watch of the database has seen these ports."""
        ports = self.extension._ports  # noqa: SLF001 - Neutron learns of a port later than we do
        return ports is not None and set(names) <= {s.id for s in ports.subjects() if s.ofport}

    def handle(self, name: str) -> float:
        """Call handle_port as Neutron does and give the seconds it took."""
        begun = time.perf_counter()
        self.extension.handle_port(None, details(name))
        return time.perf_counter() - begun

    def rules(self) -> int:
        """Count our rules on the switch."""
        return self.switch.ofctl("dump-flows", BRIDGE, "table=60").count("cookie=0x5e4b15e0")


def mac(name: str) -> str:
    """Give a port its address."""
    return f"02:00:00:00:{int(name[1:]) >> 8:02x}:{int(name[1:]) & 255:02x}"


def details(name: str) -> dict[str, Any]:
    """Give what the server tells Neutron's agent of a port, as far as we read it."""
    fixed = [{"ip_address": f"10.0.{int(name[1:]) >> 8}.{int(name[1:]) & 255}", "subnet_id": "s"}]
    return {"port_id": name, "network_id": "n", "mac_address": mac(name), "fixed_ips": fixed}


def wait(true: Callable[[], bool], what: str) -> None:
    """Wait until something holds, looking every millisecond."""
    end = time.perf_counter() + _SLOW
    while not true():
        if time.perf_counter() > end:
            sys.exit(f"{what}: not within {_SLOW:g} s")
        time.sleep(0.001)


@contextmanager
def host() -> Iterator[Host]:
    """Start a private switch and load the extension beside it."""
    with tempfile.TemporaryDirectory(prefix="skb-") as scratch:
        folder = Path(scratch)
        switch = PrivateSwitch(folder / "ovs")
        switch.start()
        one = Host(switch, folder)
        try:
            with _inside(switch.namespace):
                _like_br_int(switch)
                _configure(one)
                one.app = _connected()
                one.load()
                yield one
        finally:
            one.unload()
            switch.stop()


@contextmanager
def _inside(namespace: str) -> Iterator[None]:
    """Let threads that begin meanwhile be where the switch finds them."""
    setns, network = ctypes.CDLL(None, use_errno=True).setns, 0x40000000  # setns(2), CLONE_NEWNET
    with open("/proc/self/ns/net") as home, open(f"/run/netns/{namespace}") as there:  # noqa: PTH123 - a handle
        if setns(there.fileno(), network):
            sys.exit(f"{namespace}: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            setns(home.fileno(), network)


def _like_br_int(switch: PrivateSwitch) -> None:
    switch.add_bridge(BRIDGE)
    # All that Neutron lets its bridge speak once an extension asked for meters.
    protocols = "protocols=OpenFlow10,OpenFlow13,OpenFlow14,OpenFlow15"
    switch.vsctl("set", "Bridge", BRIDGE, "fail_mode=secure", protocols)
    for table, actions in ((0, "goto_table:58"), (58, "goto_table:59"), (59, "goto_table:60")):
        switch.ofctl("add-flow", BRIDGE, f"table={table},priority=0,actions={actions}")
    switch.ofctl("add-flow", BRIDGE, "table=60,priority=1,actions=NORMAL")


def _configure(one: Host) -> None:
    os.environ.update({k: v for k, v in one.switch.environment.items() if k.startswith("OVS_")})
    neutron_config.register_common_config_options()
    ovs_conf.register_ovs_opts(cfg.CONF)
    ovsdb_config.register_ovsdb_api_opts()
    agent_config.register_root_helper(cfg.CONF)
    cfg.CONF([], project="neutron", default_config_files=[])
    helper = f"{sys.executable} -c 'from oslo_privsep.daemon import helper_main; helper_main()'"
    cfg.CONF.set_override("helper_command", helper, group="privsep")
    cfg.CONF.set_override("ovsdb_connection", one.switch.socket, group="OVS")
    with socket.create_server(("127.0.0.1", 0)) as free:
        cfg.CONF.set_override("of_listen_port", free.getsockname()[1], group="OVS")
    cfg.CONF.set_override("host", HOST)
    guest_config.register(cfg.CONF, (*guest_config.KEEPER, *extension_config.AGENT))
    cfg.CONF.set_override("state_path", str(one.folder / "state"), group="sekisho")
    # A port waits as long as it must: here the wait is what is measured.
    cfg.CONF.set_override("port_timeout", _SLOW, group="sekisho")
    guest_config.client = cast("Any", lambda _options: one.keeper)
    neutron_utils.execute = _timed(neutron_utils.execute, one.commands)


def _connected() -> Any:
    """Let br-int connect to this process as to Neutron's agent; give the app that holds the connection."""
    native.init_config()
    apps = AppManager.get_instance()
    service = "os_ken.controller.ofp_handler", "os_ken.app.ofctl.service"
    apps.load_apps([*service, f"{native.__package__}.base_oskenapp"])
    apps.instantiate_apps(**apps.create_contexts())
    app = apps.applications["BaseNeutronAgentOSKenApp"]
    br_int.OVSIntegrationBridge(BRIDGE, os_ken_app=app).setup_controllers(cfg.CONF)
    return app


def _timed(execute: Callable[..., Any], taken: list[float]) -> Callable[..., Any]:
    def timed(*words: Any, **how: Any) -> Any:
        begun = time.perf_counter()
        try:
            return execute(*words, **how)
        finally:
            taken.append(time.perf_counter() - begun)

    return timed


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """Give median, 99th percentile and maximum in milliseconds."""
    ordered = sorted(seconds)
    last = ordered[min(len(ordered) - 1, round(len(ordered) * 0.99))]
    figures = {"median_ms": statistics.median(ordered), "p99_ms": last, "max_ms": ordered[-1]}
    return {"calls": len(ordered), **{k: round(v * 1000, 3) for k, v in figures.items()}}


def free_ports(one: Host, names: Sequence[str], rounds: int) -> dict[str, dict[str, float]]:
    """Wire ports without restrictions: for the first time, and again with nothing new."""
    first: list[float] = []
    again: list[float] = []
    for _ in range(rounds):
        for name in names:
            one.extension.delete_port(None, {"port_id": name})
        first += [one.handle(name) for name in names]
        again += [one.handle(name) for name in names]
    return {"first": spread(first), "again": spread(again)}


def bound_ports(one: Host, names: Sequence[str]) -> dict[str, float]:
    """Plug ports one after another that three restrictions each wait for, and wire each."""
    taken = []
    one.commands.clear()
    for name in names:
        one.plug([name])
        wait(lambda name=name: one.known([name]), name)  # type: ignore[misc] # bound at once
        taken.append(one.handle(name))
    return {**spread(taken), "commands": len(one.commands)}


def settle(one: Host, ports: Sequence[str]) -> int:
    """Have the keeper bind these ports; give how many rules stand once the host says it carries them."""
    revision = one.keeper.bind(ports)
    agent = one.extension._agent  # noqa: SLF001 - what it would tell the keeper
    wait(lambda: agent._applied == revision, "carrying")  # noqa: SLF001
    return one.rules()


def restart(one: Host, names: Sequence[str], rules: int, *, emptied: bool) -> dict[str, float]:
    """Restart the agent, with its rules standing or gone, and wire every port as Neutron then does."""
    one.unload()
    if emptied:
        one.switch.ofctl("del-flows", BRIDGE, "table=60,cookie=0x5e4b15e000000001/-1")
    begun = time.perf_counter()
    one.load()
    wait(lambda: one.known(names), "ports")
    ready = time.perf_counter() - begun
    each = [one.handle(name) for name in names]
    handled = time.perf_counter() - begun
    agent = one.extension._agent  # noqa: SLF001 - what it would tell the keeper
    wait(lambda: {s.id for s in agent._carried.values() if s.project} >= set(names), "right")  # noqa: SLF001
    right = time.perf_counter() - begun
    if (standing := one.rules()) != rules:
        sys.exit(f"{standing} rules instead of {rules} after the restart")
    times = {"ready_s": ready, "handled_s": handled, "right_s": right}
    return {**{k: round(v, 3) for k, v in times.items()}, **spread(each)}


def measure(asked: argparse.Namespace) -> Iterator[tuple[str, Any]]:
    """Measure everything on one host; each figure as soon as it is there."""
    names = [f"p{n:04}" for n in range(asked.ports)]
    fresh = [f"p{n:04}" for n in range(5000, 5000 + 2 * asked.fresh)]
    alone, among = fresh[: asked.fresh], fresh[asked.fresh :]
    with host() as one:
        one.plug(names)
        wait(lambda: one.extension._ports is not None and one.known(names), "ports")  # noqa: SLF001
        settle(one, [])
        yield "free", free_ports(one, names, asked.rounds)
        settle(one, alone)
        yield "bound", bound_ports(one, alone)
        one.unplug(alone)
        rules = settle(one, names)
        yield "rules", rules
        settle(one, [*names, *among])
        yield "bound_among_many", bound_ports(one, among)
        one.unplug(among)
        rules = settle(one, names)
        yield "restart_kept", restart(one, names, rules, emptied=False)
        yield "restart_emptied", restart(one, names, rules, emptied=True)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--ports", type=int, default=200, help="ports on the host")
    parser.add_argument(
        "--rounds", type=int, default=5, help="times that ports without restrictions are wired"
    )
    parser.add_argument("--fresh", type=int, default=30, help="restricted ports that are plugged one by one")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    asked = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)
    figures: dict[str, Any] = {"ports": asked.ports, "restrictions": len(ACTIONS)}
    for name, figure in measure(asked):
        figures[name] = figure
        print(f"{name:18} {figure}", flush=True)
    if asked.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    # os-ken's threads end with Neutron's agent only.
    os._exit(0)
