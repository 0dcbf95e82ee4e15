"""Inventories, policies and batches in a line each, for tests of detection."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from sekisho.detect.detectors import registered
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.model.policy import Condition, Policy, PolicySet, Step, Threshold
from sekisho.tables import FLAGS_KNOWN, V4_MAPPED, FlowBatch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import ArrayLike

    from sekisho.model.restriction import Evidence

SYN = FLAGS_KNOWN | 0x02
ACK = FLAGS_KNOWN | 0x10
SYN_ACK = FLAGS_KNOWN | 0x12
START = 1_000_000.0
DETECTORS = registered()


def subject(name: str, host: str = "h1", **kwargs: Any) -> Subject:
    return Subject(name, host, **kwargs)


def inventory(names: Iterable[str], *, exact: bool = True, version: int = 1) -> Inventory:
    host = Host("h1", ("192.0.2.1",), (Telemetry("br", "sflow", 400, 0, 99 if exact else 0),))
    return Inventory(version, (host,), tuple(subject(name) for name in names))


def condition(detector: str, amount: float, window: float, clear: float = 0.0) -> Condition:
    return Condition(detector, Threshold(amount, window, CATALOGUE[detector]), clear)


def policy(*conditions: Condition, name: str = "p", **kwargs: Any) -> Policy:
    return Policy(name, conditions, (Step((), 60.0),), **kwargs)


def detection(*policies: Policy, subjects: Iterable[str] = ("a", "b"), **kwargs: Any) -> Detection:
    exact = kwargs.pop("exact", True)
    found = Detection(DetectSettings(seed=7, **kwargs), PolicySet(1, policies), DETECTORS, exporter_name)
    found.replace_inventory(inventory(subjects, exact=exact))
    return found


def exporter_name(row: int) -> str:
    return f"192.0.2.{row + 1}"


def rows(n: int, time: ArrayLike = START, **columns: ArrayLike) -> FlowBatch:
    """Make n rows to and from the internet, unsampled TCP, one packet of 100 bytes; columns override."""
    batch = FlowBatch.empty(n)
    defaults: dict[str, ArrayLike] = {
        "time": time,
        "protocol": 6,
        "rate": 1.0,
        "tcp_flags": ACK,
        "ip_version": 4,
        "src_internet": True,
        "dst_internet": True,
    }
    for name, value in (defaults | columns).items():
        getattr(batch, name)[:] = value
    if "packets" not in columns:
        batch.packets[:] = np.maximum(batch.rate, 1)
    if "bytes" not in columns:
        batch.bytes[:] = batch.packets * 100
    return batch


def attempts(
    sender: ArrayLike, to: ArrayLike, time: float = START, port: int = 25, **columns: ArrayLike
) -> FlowBatch:
    """Exact rows of new SMTP connections to addresses `to`."""
    to = np.atleast_1d(np.asarray(to, np.uint64))
    columns = {"exact": True, "sender": sender, "src_port": 40_000, **columns}
    return rows(len(to), time, dst_lo=to | np.uint64(V4_MAPPED), dst_port=port, **columns)


def replies(receiver: int, n: int, time: float = START, port: int = 25) -> FlowBatch:
    """Exact rows of accepted SMTP connections."""
    return rows(n, time, exact=True, receiver=receiver, src_port=port, dst_port=40_000)


def run(
    found: Detection, seconds: int, batches: Iterable[FlowBatch] = (), start: float = START
) -> list[Evidence]:
    """Close so many seconds after `start`, adding each batch again in each of them."""
    batches, evidence = list(batches), []
    for second in range(seconds):
        for batch in batches:
            batch.time[:] = start + second + 0.5
            found.add(batch)
        evidence += found.close(start + second + 1)
    return evidence
