"""Archives for tests: a small inventory, batches whose sums are known, and stores to keep them in."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sekisho.archive.settings import SpoolSettings, TapSettings
from sekisho.archive.tap import Tap
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.model.report import ExporterReport
from sekisho.tables import FLAGS_KNOWN, FlowBatch, map_v4

BEGIN = 1_790_000_040.0  # the beginning of a minute
HOSTS = (Host("h1", ("192.0.2.1",), (Telemetry("br-int", "sflow", 100),)),)


def inventory(count: int = 3, version: int = 1) -> Inventory:
    subjects = tuple(
        Subject(f"port-{n}", "h1", f"project-{n % 2}", f"vm-{n}", bridge="br-int", addresses=(f"10.0.0.{n}",))
        for n in range(count)
    )
    return Inventory(version, HOSTS, subjects)


def batch(
    time: float,
    sender: list[int],
    receiver: list[int] | None = None,
    octets: float = 1000.0,
    port: int = 443,
    rate: float = 100.0,
    flags: int = 0x10,
    *,
    exact: bool = False,
) -> FlowBatch:
    """Make one row per sender: TCP from port 40000 to a service, one sampled packet each."""
    rows = FlowBatch.empty(len(sender))
    rows.time[:] = time
    rows.ip_version[:] = 4
    rows.src_lo[:] = map_v4(np.array([0x0A00_0000 + max(s, 0) for s in sender], np.uint32))
    rows.dst_lo[:] = map_v4(np.arange(len(sender), dtype=np.uint32) + 0xC633_6401)
    rows.protocol[:] = 6
    rows.src_port[:], rows.dst_port[:] = 40000, port
    rows.tcp_flags[:] = flags | FLAGS_KNOWN
    rows.rate[:] = rate
    rows.packets[:] = rate
    rows.bytes[:] = octets * rate
    rows.sender[:] = sender
    rows.receiver[:] = receiver or [-1] * len(sender)
    rows.dst_internet[:] = True
    rows.exact[:] = exact
    return rows


def exporter(row: int) -> ExporterReport:
    return ExporterReport(f"192.0.2.{row + 1}", "sflow", domain=row)


def tap(folder: Path, now: float = BEGIN, **more: float) -> Tap:
    spool = SpoolSettings(str(folder), int(more.pop("most_bytes", 1e9)))
    settings = TapSettings(on=True, spool=spool, **more)  # type: ignore[arg-type] # numbers all
    return Tap(settings, "test", now, exporter)
