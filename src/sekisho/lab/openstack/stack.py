"""The stack: starts everything, as much as possible at once, and takes everything away again."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab import processes
from sekisho.lab.openstack import database, gnocchi, keystone, messages, neutron, vms
from sekisho.lab.openstack.host import Host, lay_wires
from sekisho.lab.openstack.keeper import EXTENSIONS, NAME, PLUGINS, KeeperProcess, guests
from sekisho.lab.openstack.place import Place
from sekisho.lab.openstack.resources import Resources
from sekisho.lab.openstack.settings import PROJECTS
from sekisho.lab.openstack.shell import call, enter, namespaces, remove_namespace, wait
from sekisho.model.errors import Conflict, Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from sekisho.client import Client
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import StackSettings
    from sekisho.lab.openstack.vms import Vm

_OWNER: Final = "owner"


class Stack:
    """A running OpenStack: ask it (`api`, `openstack`), make things in it (`make`), plug VMs, break it."""

    def __init__(self, settings: StackSettings) -> None:
        settings = _with_ours(settings) if settings.sekisho else settings
        self.settings = settings
        self.place = Place(settings)
        self.folder = self.place.folder
        self.hosts = {each.name: Host(self.place, each) for each in settings.hosts}
        self.make = Resources(self.place.rest)
        self.api = self.place.rest.api
        self.ask = self.place.rest.ask
        # how long each step took, in seconds, in the order in which they ended
        self.timings: dict[str, float] = {}
        self._keeper: KeeperProcess | None = None

    # --- start and stop --------------------------------------------------------------------------

    def start(self) -> None:
        """Clean up what an earlier run left, and start all; returns when every agent has reported.

        Raises Conflict when an earlier run still goes on.
        """
        began = time.monotonic()
        if processes.alive(self.folder / _OWNER):
            raise Conflict("This stack runs already.", f"{self.folder}/{_OWNER} names a process that lives.")
        self.clean()
        self.place.logs.mkdir(parents=True)
        processes.remember(self.folder / _OWNER, os.getpid())
        lay_wires(self.place)
        self._base()
        self._services()
        self._agents()
        self.timings["all"] = time.monotonic() - began

    def _base(self) -> None:
        """Start what the services stand on, and make their tables as soon as there is a database."""
        place, steps = self.place, [partial(self._step, "rabbitmq", messages.start, self.place)]
        steps += [partial(self._step, f"switch {h.name}", h.start_switch) for h in self.hosts.values()]
        self._together(*steps, self._databases)
        neutron_needs = ("rabbitmq", "neutron tables")
        if missing := [name for name in neutron_needs if name not in self.timings]:
            raise Refused(f"{place.folder}: {', '.join(missing)} did not start.")

    def _databases(self) -> None:
        place = self.place
        neutron.write_settings(place, self.settings.service_plugins)
        self._step("mariadb", database.start, place)
        steps = [partial(self._step, "neutron tables", neutron.migrate, place)]
        steps.append(partial(self._step, "keystone tables", keystone.migrate, place))
        if self.settings.metering:
            steps.append(partial(self._step, "gnocchi tables", gnocchi.migrate, place))
        self._together(*steps)

    def _services(self) -> None:
        self._step("keystone", keystone.start, self.place)
        if self.settings.sekisho:
            self._step("keeper", self._ours)
        steps = [partial(self._step, "neutron", neutron.start, self.place)]
        if self.settings.metering:
            steps.append(partial(self._step, "gnocchi", gnocchi.start, self.place))
        self._together(*steps)

    def _agents(self) -> None:
        self._together(*(partial(self._step, f"agent {h.name}", h.start_agent) for h in self.hosts.values()))

    def _together(self, *steps: Callable[[], Any]) -> None:
        with ThreadPoolExecutor(len(steps)) as pool:
            for each in [pool.submit(step) for step in steps]:
                each.result()

    def _step(self, name: str, step: Callable[..., Any], *arguments: Any) -> None:
        began = time.monotonic()
        step(*arguments)
        self.timings[name] = time.monotonic() - began

    def stop(self) -> None:
        """Stop everything and remove its namespaces; the logs stay."""
        if self._keeper is not None:
            self._keeper.stop()
        for service in self.place.services.values():
            service.kill()
        for host in self.hosts.values():
            _keep_switch_logs(host, self.place.logs)
        self._remove()
        for each in self.folder.iterdir() if self.folder.exists() else ():
            if each != self.place.logs:
                shutil.rmtree(each) if each.is_dir() else each.unlink()

    def clean(self) -> None:
        """Remove processes, namespaces and folder of this run or an earlier one, logs included."""
        self._remove()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _remove(self) -> None:
        for name in namespaces(self.place.prefix):
            remove_namespace(name)

    # --- look and ask ----------------------------------------------------------------------------

    def openstack(self, words: str | Sequence[str], as_: str = "admin") -> subprocess.CompletedProcess[str]:
        """Run the real `openstack` client as somebody, to its end; never raises for its code."""
        argv = shlex.split(words) if isinstance(words, str) else list(words)
        program = str(self.settings.openstack / "bin" / "openstack")
        env = {**os.environ, **self.environment(as_)}
        return subprocess.run(  # noqa: S603 - the caller's own words, no shell
            [*enter(self.place.controller), program, *argv],
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def environment(self, as_: str = "admin") -> dict[str, str]:
        """Give the variables by which OpenStack's clients sign in."""
        named = {f"OS_{k.upper()}": str(v) for k, v in keystone.credentials(as_, PROJECTS[as_]).items()}
        fixed = {
            "OS_IDENTITY_API_VERSION": "3",
            "OS_REGION_NAME": keystone.REGION,
            "OS_AUTH_TYPE": "password",
        }
        return {**named, **fixed}

    @property
    def keeper(self) -> Client:
        """A client of our keeper, as its administrator; the keeper is started when first asked for."""
        return self._ours().client

    def restart_keeper(self, added: Mapping[str, Mapping[str, object]]) -> None:
        """Start our keeper again with more settings; it runs where the stack's services can be reached."""
        self._ours().restart(added)

    def start_collector(self, **added: object) -> None:
        """Start a collector that hears what the hosts export; more settings are those of [collector]."""
        self._ours().start_collector(added)

    def _ours(self) -> KeeperProcess:
        if self._keeper is None:
            self._keeper = KeeperProcess(self.place)
            self._keeper.start()
        return self._keeper

    def resident(self) -> dict[str, int]:
        """Say how much memory each of the stack's processes has, in MiB, by what `ps` calls them."""
        pids = [
            pid for ns in namespaces(self.place.prefix) for pid in call("ip", "netns", "pids", ns).split()
        ]
        found: dict[str, int] = {}
        for line in call("ps", "-o", "rss=,pid=,comm=", "-p", ",".join(pids)).splitlines() if pids else ():
            rss, pid, name = line.split(None, 2)
            found[f"{name} {pid}"] = int(rss) // 1024
        return found

    # --- break and mend --------------------------------------------------------------------------

    def service(self, name: str) -> Service:
        """Give a service: mariadb, rabbitmq, keystone, neutron-api, neutron-rpc, agent-HOST, gnocchi-api, ...

        `stop`, `kill`, `start` and `restart` are its own methods.
        """
        return self.place.services[name]

    def kill(self, name: str) -> None:
        """Kill a service without a word."""
        self.service(name).kill()

    def restart(self, name: str) -> None:
        """Start a service again, and return when it works; stops it first where it runs."""
        host = self.hosts.get(name.removeprefix("agent-"))
        if host is not None and name.startswith("agent-"):
            host.restart_agent()
        else:
            self.service(name).restart()

    def restart_neutron(self, *plugins: str) -> None:
        """Start Neutron's server again with other service plugins."""
        neutron.write_settings(self.place, plugins)
        for name in ("neutron-api", "neutron-rpc"):
            self.restart(name)

    # --- VMs -------------------------------------------------------------------------------------

    def plug(self, port: Any, *, wait_active: bool = True) -> Vm:
        """Make the VM of a bound port, plug it in on its host and wait until the port is ACTIVE."""
        port = self.api("network", "GET", f"/ports/{port['id']}")["port"]
        vm = vms.describe(port, self.place.prefix, self._lengths(port), self._mtu(port))
        vms.make(vm)
        vms.plug(vm, self.hosts[vm.host])
        if wait_active:
            self.await_status(vm.port, "ACTIVE")
        return vm

    def unplug(self, vm: Vm) -> None:
        """Take a VM off its switch and end it; its port stays."""
        vms.unplug(vm, self.hosts[vm.host])
        remove_namespace(vm.namespace)

    def plug_subport(self, vm: Vm, port: Any, vlan: int) -> None:
        """Give the parent of a trunk its interface for a subport, and wait until the subport is ACTIVE."""
        lengths = self._lengths(port)
        addresses = tuple(f"{a['ip_address']}/{lengths[a['subnet_id']]}" for a in port["fixed_ips"])
        vms.plug_subport(vm, self.hosts[vm.host], vlan, port["mac_address"], addresses)
        self.await_status(port["id"])

    def await_status(self, port: str, status: str = "ACTIVE", timeout: float = 60.0) -> float:
        """Wait until a port has a status; gives the seconds it took."""
        return wait(
            lambda: bool(self.api("network", "GET", f"/ports/{port}")["port"]["status"] == status),
            f"port {port} to be {status}",
            timeout,
        )

    def migrate(self, vm: Vm, host: str, pause: Callable[[], None] = lambda: None) -> Vm:
        """Move a running VM to another host, as Nova's live migration does.

        A second binding is made, the first says where it goes, the VM is plugged and wired there too, the
        binding is activated, and the first host lets go. `pause` runs while it is wired on both.
        """
        # Bindings are the business of services (Nova's user there): an administrator may not.
        moved = replace(vm, host=host)
        bindings, port = f"/ports/{vm.port}/bindings", f"/ports/{vm.port}"
        # In both, or the second host takes the first binding, inactive by then, for where the port goes.
        profile = {"migrating_to": host}
        body = {"binding": {"host": host, "vnic_type": "normal", "profile": profile}}
        self.api("network", "POST", bindings, body, as_="neutron")
        self.api("network", "PUT", port, {"port": {"binding:profile": profile}}, as_="neutron")
        vms.arrive(moved, self.hosts[host])
        self.hosts[host].await_wired(moved)
        pause()
        self.api("network", "PUT", f"{bindings}/{host}/activate", as_="neutron")
        vms.switch_over(vm, self.hosts[vm.host])
        self.hosts[host].vms[vm.port] = moved
        self.api("network", "DELETE", f"{bindings}/{vm.host}", as_="neutron")
        self.api("network", "PUT", port, {"port": {"binding:profile": {}}}, as_="neutron")
        self.await_status(vm.port)
        return moved

    def run(self, vm: Vm, *argv: str, timeout: float = 30.0) -> subprocess.CompletedProcess[str]:
        """Run a command in a VM to its end; never raises for its code."""
        return subprocess.run(  # noqa: S603 - likewise
            [*enter(vm.namespace), *argv], capture_output=True, text=True, timeout=timeout, check=False
        )

    def popen(self, vm: Vm, *argv: str, **more: Any) -> subprocess.Popen[bytes]:
        """Start a command in a VM."""
        return subprocess.Popen([*enter(vm.namespace), *argv], **more)  # noqa: S603 - likewise

    def pings(self, vm: Vm, address: str, *, count: int = 1, within: float = 10.0) -> bool:
        """Tell whether a VM has an answer from an address, `count` times, within some seconds."""
        argv = ("ping", "-n", "-q", "-i", "0.2", "-W", "1", "-c", str(count))
        end = time.monotonic() + within
        while (left := end - time.monotonic()) > 0:
            with suppress(subprocess.TimeoutExpired):
                if self.run(vm, *argv, "-w", str(max(1, int(left))), address).returncode == 0:
                    return True
        return False

    def _lengths(self, port: Any) -> dict[str, str]:
        found = self.api("network", "GET", f"/subnets?network_id={port['network_id']}")
        return {each["id"]: each["cidr"].partition("/")[2] for each in found["subnets"]}

    def _mtu(self, port: Any) -> int:
        return int(self.api("network", "GET", f"/networks/{port['network_id']}")["network"]["mtu"])


def _with_ours(settings: StackSettings) -> StackSettings:
    """Put what the environment has of our guests into the settings: plugin, extension."""
    groups = guests(settings.openstack)
    plugin, extension = ((NAME,) if group in groups else () for group in (PLUGINS, EXTENSIONS))
    hosts = tuple(replace(host, extensions=(*host.extensions, *extension)) for host in settings.hosts)
    return replace(settings, hosts=hosts, service_plugins=(*settings.service_plugins, *plugin))


def _keep_switch_logs(host: Host, logs: Path) -> None:
    for each in host.switch.folder.glob("*.log"):
        shutil.copy(each, logs / f"{host.name}-{each.name}")


def remove_leftovers(parent: Path, pattern: str, make: Callable[[Path], Stack]) -> None:
    """Remove what crashed runs left in folders of their own under `parent`."""
    for folder in parent.glob(pattern):
        if folder.is_dir() and not processes.alive(folder / _OWNER):
            make(folder).clean()
