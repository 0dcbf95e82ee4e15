"""How long a day's volumes of thousands of VMs take from a real Gnocchi, and how many calls.

    python bench/gnocchi_day.py --url http://127.0.0.1:8041 --vms 5000 --push

`--push` first writes 291 measures out and in of each VM as Ceilometer does, and waits for Gnocchi to
aggregate them. `first` is the round that reads the whole day, `next` those that a keeper makes each minute:
each interface is read again every five minutes. Seconds of this process's own processor are told beside.
"""

from __future__ import annotations

import argparse
import json
import time
import uuid
from datetime import UTC, datetime
from typing import Any

from sekisho.metering.door import Basic
from sekisho.metering.gnocchi import EGRESS, INGRESS, TYPE, Gnocchi
from sekisho.metering.settings import GnocchiSettings
from sekisho.model.inventory import Subject

DAY = 86400
STEP = 300
POLICY = "ceilometer-low-rate"
AT_ONCE = 100


def port(number: int) -> str:
    """Name a port as Neutron would, always the same."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"port {number}"))


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


def main() -> None:
    """Push if asked to, then measure."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--url", default="http://127.0.0.1:8041")
    asked.add_argument("--vms", type=int, default=5000)
    asked.add_argument("--push", action="store_true")
    asked.add_argument("--rounds", type=int, default=6)
    asked.add_argument("--now", type=int, default=int(time.time()) // STEP * STEP)
    told = asked.parse_args()
    door = Basic(told.url, "admin", 120.0)
    if told.push:
        push(door, told.vms, told.now)
    subjects = tuple(Subject(port(i), "h1") for i in range(told.vms))
    meter = Gnocchi(GnocchiSettings(), door)
    for minute in range(told.rounds):
        now = told.now + 60 * minute
        began, used = time.perf_counter(), time.process_time()
        done = meter.read(subjects, now)
        read = time.perf_counter()
        volumes = meter.volumes(DAY, now)
        figures = {"read": read - began, "sum": time.perf_counter() - read, "calls": done.calls}
        figures |= {"cpu": time.process_time() - used, "ports": len(volumes), "failed": done.failed}
        print(json.dumps({"next" if minute else "first": figures}), flush=True)


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S")


if __name__ == "__main__":
    main()
