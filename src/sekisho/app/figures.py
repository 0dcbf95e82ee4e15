"""The keeper's numbers as Prometheus wants them: names with their labels."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sekisho.app.identity import Identity
    from sekisho.model.report import CollectorReport, HostStatus

LARGEST_COUNT = 1 << 63  # what is told beyond it is no number of anything
_ESCAPES = {ord("\\"): r"\\", ord('"'): r"\"", ord("\n"): r"\n"}


def metric(metric: str, /, **labels: str) -> str:
    """Name a metric with its labels as Prometheus wants them (exposition format, escaping)."""
    told = [f'{k}="{v.translate(_ESCAPES)}"' for k, v in labels.items()]
    return f"sekisho_{metric}{{{','.join(told)}}}"


def of_identity(identity: Identity) -> dict[str, float]:
    """Count what Keystone answered."""
    counts = identity.counts().items()
    found = {metric("keystone_answers_total", outcome=k): float(n) for k, n in counts}
    return found | {"sekisho_keystone_remembered": float(identity.remembered())}


def of_hosts(hosts: Iterable[HostStatus]) -> dict[str, float]:
    """Tell when each host was last heard of, and how many subjects it has."""
    found: dict[str, float] = {}
    for host in hosts:
        found[metric("host_last_seen_seconds", host=host.name)] = host.last_seen
        found[metric("host_subjects", host=host.name)] = float(host.subjects)
    return found


def of_collectors(collectors: Iterable[CollectorReport]) -> dict[str, float]:
    """Pass on what collectors and exporters counted, and when each was heard last."""
    found: dict[str, float] = {}
    for c in collectors:
        found |= {metric("collector_count", collector=c.name, name=k): v for k, v in c.counters.items()}
        found[metric("collector_last_seen_seconds", collector=c.name)] = c.time
        for e in c.exporters:
            labels = {"exporter": e.address, "protocol": e.protocol, "domain": str(e.domain)}
            found[metric("exporter_last_seen_seconds", collector=c.name, **labels)] = e.last_seen
            if e.sampling:
                sampling = float(min(e.sampling, LARGEST_COUNT))
                found[metric("exporter_sampling", collector=c.name, **labels)] = sampling
            found |= {
                metric(f"exporter_{name}_total", collector=c.name, **labels): float(
                    min(getattr(e, name), LARGEST_COUNT)
                )
                for name in ("datagrams", "records", "lost", "late", "restarted")
            }
    return found


def of_backtests(counters: Mapping[str, float]) -> dict[str, float]:
    """Pass on what an archive counts of its back-tests; one of an earlier version counts none."""
    found = {
        metric("archive_backtests_total", outcome=outcome): counters[f"backtests.{outcome}"]
        for outcome in ("done", "failed")
        if f"backtests.{outcome}" in counters
    }
    running = counters.get("backtests.running")
    return found if running is None else found | {"sekisho_archive_backtests_running": running}
