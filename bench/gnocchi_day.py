"""How long a day's volumes of thousands of VMs take from a real Gnocchi, and how many calls.

    python bench/gnocchi_day.py --own --vms 5000
    python bench/gnocchi_day.py --url http://127.0.0.1:8041 --vms 5000 --push

`--own` (root) starts a MariaDB and a Gnocchi of its own, from `.make/gnocchi`, and stops them.
`--push`, part of it, first writes 291 measures out and in of each VM as Ceilometer does, and waits for
Gnocchi to aggregate them. `first` reads the whole day, `next` are the rounds that a keeper makes each
minute: each interface is read again every five. Seconds of this process's own processor are told beside.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import uuid
from contextlib import contextmanager, nullcontext, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sekisho.lab.openstack import database, gnocchi
from sekisho.lab.openstack.host import lay_wires
from sekisho.lab.openstack.place import Place
from sekisho.lab.openstack.settings import CONTROLLER, PORTS, StackSettings
from sekisho.lab.openstack.shell import remove_namespace
from sekisho.lab.sockets import enter
from sekisho.metering.door import Basic
from sekisho.metering.gnocchi import EGRESS, INGRESS, TYPE, Gnocchi
from sekisho.metering.settings import GnocchiSettings
from sekisho.model.errors import Conflict
from sekisho.model.inventory import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]
DAY = 86400
STEP = 300
POLICY = "ceilometer-low-rate"
AT_ONCE = 100


def port(number: int) -> str:
    """Name a port as Neutron would, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"port {number}"))


@contextmanager
def own() -> Iterator[str]:
    """Start a Gnocchi in a namespace, go into it, and give its address."""
    with tempfile.TemporaryDirectory(prefix="skg-") as scratch:
        wanted: dict[str, dict[str, object]] = {"api": {"auth_mode": "basic"}, "metricd": {"workers": 2}}
        make = ROOT / ".make"
        place = Place(
            StackSettings(
                Path(scratch), make / "openstack", make / "gnocchi", hosts=(), added={"gnocchi": wanted}
            )
        )
        place.logs.mkdir(parents=True)
        lay_wires(place)
        try:
            database.start(place)
            gnocchi.migrate(place)
            gnocchi.start(place)
            enter(place.controller)
            yield f"http://{CONTROLLER}:{PORTS['metric']}"
        finally:
            for service in place.services.values():
                service.kill()
            remove_namespace(place.controller)


def prepare(door: Basic) -> None:
    """Make what Ceilometer's own set-up makes, where it is not there yet."""
    kept = [{"granularity": STEP, "timespan": 30 * DAY}]
    policy = {
        "name": POLICY,
        "aggregation_methods": ["mean", "rate:mean"],
        "back_window": 0,
        "definition": kept,
    }
    name = {"type": "string", "required": True, "min_length": 0, "max_length": 255}
    kind = {"name": TYPE, "attributes": {"name": name, "instance_id": {"type": "uuid", "required": True}}}
    for path, body in (("/v1/archive_policy", policy), ("/v1/resource_type", kind)):
        with suppress(Conflict):
            door.ask("POST", path, {}, body)


def push(door: Basic, vms: int, now: int) -> None:
    """Write two days' worth of counters, egress and ingress, of every VM."""
    stamps = [_iso(now - DAY - 2 * STEP + STEP * k + 17) for k in range(291)]
    for first in range(0, vms, AT_ONCE):
        batch: dict[str, Any] = {}
        for i in range(first, min(vms, first + AT_ONCE)):
            server, tap = str(uuid.UUID(int=i + 1)), f"tap{port(i)}"[:14]
            resource = f"instance-{i:08x}-{server}-{tap}"
            metrics = {m: {"archive_policy_name": POLICY, "unit": "B"} for m in (EGRESS, INGRESS)}
            told = {"id": resource, "name": tap, "instance_id": server, "metrics": metrics}
            door.ask("POST", f"/v1/resource/{TYPE}", {}, told)
            batch[resource] = {
                m: {"measures": [{"timestamp": s, "value": k * (i + 1) * f} for k, s in enumerate(stamps)]}
                for m, f in ((EGRESS, 1000), (INGRESS, 3000))
            }
        door.ask("POST", "/v1/batch/resources/metrics/measures", {}, batch)
    while door.ask("GET", "/v1/status", {"details": "false"})["storage"]["summary"]["measures"]:
        time.sleep(1)


def measure(door: Basic, vms: int, rounds: int, begin: int) -> None:
    """Read a day of every VM, and then minute after minute what a keeper does; tell each round."""
    subjects = tuple(Subject(port(i), "h1") for i in range(vms))
    meter = Gnocchi(GnocchiSettings(), door)
    for minute in range(rounds):
        now = begin + 60 * minute
        began, used = time.perf_counter(), time.process_time()
        done = meter.read(subjects, now)
        read = time.perf_counter()
        volumes = meter.volumes(DAY, now)
        figures = {"read": read - began, "sum": time.perf_counter() - read, "calls": done.calls}
        figures |= {"cpu": time.process_time() - used, "ports": len(volumes), "failed": done.failed}
        print(json.dumps({"next" if minute else "first": figures}), flush=True)


def main() -> None:
    """Push if asked to, then measure."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--url", default="http://127.0.0.1:8041")
    asked.add_argument("--own", action="store_true", help="start a Gnocchi and push to it")
    asked.add_argument("--vms", type=int, default=5000)
    asked.add_argument("--push", action="store_true")
    asked.add_argument("--rounds", type=int, default=6)
    asked.add_argument("--now", type=int, default=int(time.time()) // STEP * STEP)
    told = asked.parse_args()
    with own() if told.own else nullcontext(told.url) as url:
        door = Basic(url, "admin", 600.0)
        if told.push or told.own:
            prepare(door)
            push(door, told.vms, told.now)
        measure(door, told.vms, told.rounds, told.now)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


if __name__ == "__main__":
    main()
