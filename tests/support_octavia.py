"""What tests of Octavia share: its objects by REST, and directors that say what we want."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from sekisho.lab.octavia import ADX_PORT, PROJECT, Octavia
from sekisho.lab.openstack.settings import KEEPER_PORT
from sekisho.lab.openstack.shell import call, enter, wait
from sekisho.model.balancer import BalancerProgram, DirectorReport, Operating, Statistics
from sekisho.model.errors import SekishoError

SUBNET = "11111111-1111-4111-8111-111111111111"
# Seconds: what takes minutes at its usual settings.
PATIENCE = 4.0  # until the keeper gives up on devices
SILENT = 3.0  # until a director that says nothing counts no more
TIMEOUT = 6.0  # of a step of a request to the keeper
DRIFT = 2.0  # between two looks whether boxes stand as carried
AUDIT = 1.5  # until the keeper is compared with Octavia, and four times that


def bed(folder: Path, environment: Path) -> Octavia:
    """Make an Octavia that is not started, with a pair of directors and an emulated pair of ADX."""
    secret = folder.with_name(f"{folder.name}-adx")
    boxes = [f"http://127.0.0.1:{ADX_PORT}", f"http://127.0.0.1:{ADX_PORT + 1}"]
    pairs: dict[str, dict[str, object]] = {
        "rack": {"directors": ["d1", "d2"]},
        "north": {"directors": ["d3"], "zones": ["north"]},
        "box": {
            "provider": "adx",
            "password_file": str(secret),
            "options": {"addresses": boxes, "username": "admin", "timeout": 2.0},
        },
    }
    settings = {"patience": PATIENCE, "silent": SILENT, "statistics": 1.0, "look": 1.0, "drift": DRIFT}
    guest = {"timeout": TIMEOUT, "audit": AUDIT}
    made = Octavia(folder, environment, pairs, settings, guest, adx=True)
    made.secret_file()
    return made


class Director:
    """Says in a thread that it carries whatever it is told to."""

    def __init__(self, octavia: Octavia, name: str, *, active: bool = True) -> None:
        self.octavia, self.name, self.active = octavia, name, active
        self.program = BalancerProgram(name, 0)
        self.problems: dict[str, str] = {}
        self.operating: dict[str, Operating] = {}
        self.statistics: tuple[Statistics, ...] = ()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        while not self._stop.is_set():
            with suppress(SekishoError):
                self._turn()
            self._stop.wait(0.05)

    def _turn(self) -> None:
        keeper = self.octavia.client.balancers
        found = keeper.program(self.name, self.program.revision, 0.3)
        if found is not None:
            self.program = found
            if found.prefer:
                self.active = found.prefer == self.name
        keeper.report(
            DirectorReport(
                self.name, self.program.revision, self.active, self.operating, self.problems, self.statistics
            )
        )

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()


class Bed:
    """Octavia with its directors, and what a test makes in it."""

    def __init__(self, octavia: Octavia) -> None:
        self.octavia = octavia
        self.directors = {"d1": Director(octavia, "d1"), "d2": Director(octavia, "d2", active=False)}
        self.directors["d3"] = Director(octavia, "d3")
        self.made: list[str] = []
        self._number = 0

    def stop(self) -> None:
        self.octavia.befall("")
        for service in ("keeper", "agent", "api"):
            if not self.octavia.service(service).alive:
                self.octavia.service(service).start()
        for director in self.directors.values():
            director.problems = {}
        for name in self.made:
            self.settled(name)
            self.octavia.ask("DELETE", f"/lbaas/loadbalancers/{name}?cascade=true")
        for name in self.made:
            self.until(name, ("DELETED", ""))
        for director in self.directors.values():
            director.stop()

    @contextmanager
    def frozen(self, service: str) -> Iterator[None]:
        """Stop a service in its tracks, as it is."""
        process = self.octavia.service(service).process
        assert process is not None
        os.killpg(process.pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(process.pid, signal.SIGCONT)

    def asks_in_vain(self, service: str) -> bool:
        """Tell whether the keeper has not read what a service has sent it."""
        process = self.octavia.service(service).process
        assert process is not None
        ask = (*enter(self.octavia.place.controller), "ss", "-Htnp")
        theirs = [line.split() for line in call(*ask, f"dport = :{KEEPER_PORT}").splitlines()]
        own = {line[3] for line in theirs if f"pid={process.pid}," in line[-1]}
        sent = [line.split() for line in call(*ask, f"sport = :{KEEPER_PORT}").splitlines()]
        return any(int(line[1]) > 0 and line[4] in own for line in sent)

    # --- making things ----------------------------------------------------------------------------

    def balancer(self, provider: str = "sekisho-lvs", **more: Any) -> str:
        """Make a load balancer and wait until it is active."""
        name = self.begin(provider, **more)
        self.active(name)
        return name

    def begin(self, provider: str = "sekisho-lvs", **more: Any) -> str:
        """Ask for a load balancer, and do not wait."""
        self._number += 1
        body = {
            "provider": provider,
            "project_id": PROJECT,
            "vip_subnet_id": SUBNET,
            "vip_address": f"10.9.{len(self.made)}.{100 + self._number}",
            **more,
        }
        found: str = self.octavia.api("POST", "loadbalancers", {"loadbalancer": body})["loadbalancer"]["id"]
        self.made.append(found)
        return found

    def make(self, balancer: str, kind: str, body: dict[str, Any], path: str = "") -> str:
        """Make an object in a balancer and wait until the balancer is active again."""
        self.active(balancer)
        found: str = self.octavia.api("POST", path or f"{kind}s", {kind: body})[kind]["id"]
        self.active(balancer)
        return found

    def change(self, balancer: str, path: str, body: dict[str, Any]) -> None:
        """Change an object and wait until the balancer is active again."""
        self.active(balancer)
        self.octavia.api("PUT", path, body)
        self.active(balancer)

    def delete(self, balancer: str, path: str) -> None:
        """Delete an object of a balancer and wait until it is gone and the balancer active again."""
        self.active(balancer)
        self.octavia.api("DELETE", path)
        self.active(balancer)
        assert self.octavia.ask("GET", f"/lbaas/{path}").status == 404

    def whole(self, provider: str = "sekisho-lvs", port: int = 80) -> Whole:
        """Make a balancer with a listener, a pool, two members and a monitor, by one request."""
        pool: dict[str, Any] = {"name": "p", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
        pool |= {"healthmonitor": MONITOR}
        pool["members"] = [member(number, port) for number in (1, 2)]
        listener = {"name": "l", "protocol": "TCP", "protocol_port": port, "default_pool": pool}
        lb = self.balancer(provider, listeners=[listener])
        made = self.octavia.client.balancers.show(lb).balancer
        (pooled,) = made.pools
        assert pooled.monitor is not None
        members = {m.address: m.id for m in pooled.members}
        ids = tuple(members[address] for address in sorted(members))
        return Whole(lb, made.listeners[0].id, pooled.id, ids, pooled.monitor.id)

    def pieces(self, provider: str = "sekisho-lvs", port: int = 80) -> Whole:
        """Make the same piece by piece."""
        lb = self.balancer(provider)
        listener = self.make(
            lb, "listener", {"loadbalancer_id": lb, "protocol": "TCP", "protocol_port": port}
        )
        asked = {"listener_id": listener, "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
        pool = self.make(lb, "pool", asked)
        members = tuple(
            self.make(lb, "member", member(number, port), f"pools/{pool}/members") for number in (1, 2)
        )
        monitor = self.make(lb, "healthmonitor", {"pool_id": pool, **MONITOR})
        return Whole(lb, listener, pool, members, monitor)

    # --- waiting ----------------------------------------------------------------------------------

    def shown(self, balancer: str) -> tuple[str, str]:
        """Tell both statuses of a balancer; one that is gone is DELETED."""
        answer = self.octavia.ask("GET", f"/lbaas/loadbalancers/{balancer}")
        if answer.status == 404:
            return "DELETED", ""
        found = answer.json()["loadbalancer"]
        return found["provisioning_status"], found["operating_status"]

    def active(self, balancer: str) -> None:
        """Wait until a balancer is active; an error is one at once."""
        self.settled(balancer)
        assert self.shown(balancer)[0] == "ACTIVE", self.octavia.client.balancers.show(balancer)

    def settled(self, balancer: str, timeout: float = 60.0) -> float:
        """Wait until nothing is pending in a balancer."""
        return until(lambda: "PENDING" not in self.tree(balancer), f"{balancer} to settle", timeout)

    def until(self, balancer: str, statuses: tuple[str, str], timeout: float = 60.0) -> float:
        """Wait until a balancer stands so."""
        return until(lambda: self.shown(balancer) == statuses, f"{balancer} to be {statuses}", timeout)

    def tree(self, balancer: str) -> str:
        """Give the statuses of all in a balancer, as Octavia writes them."""
        return self.octavia.ask("GET", f"/lbaas/loadbalancers/{balancer}/status").text


class Whole:
    """The ids of a balancer with everything."""

    def __init__(self, lb: str, listener: str, pool: str, members: tuple[str, ...], monitor: str) -> None:
        self.lb, self.listener, self.pool, self.members, self.monitor = lb, listener, pool, members, monitor


MONITOR = {"type": "TCP", "delay": 5, "timeout": 5, "max_retries": 3, "max_retries_down": 3}


def member(number: int, port: int = 80) -> dict[str, Any]:
    return {"address": f"10.9.200.{number}", "protocol_port": port}


def until(done: Callable[[], bool], what: str, timeout: float = 60.0) -> float:
    return wait(done, what, timeout, 0.05)
