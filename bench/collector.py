"""How many flow records a second one core takes: Sekisho's collector beside others, and `recvmmsg` alone.

    python bench/collector.py [--protocols sflow,ipfix,netflow9_mixed@1000] [--seconds 3] [--json]

Everybody is started as an operator would, hears the same datagrams over loopback from another process, and is
measured by the processor time, user and system, of its whole tree of processes; what it counted itself says
what it lost. The sender keeps the receiver's socket filled and never lets it overflow (`--pace N` sends N
datagrams a second instead); whoever loses records all the same is measured again at a pace it can hold. Peers
that are not installed are left out, and named. `name@N` is a stream from N exporters. With `--workers 2` we
are measured as two processes too, over which exporters are spread: how many times of one they take with a
core for each.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from contenders.fastnetmon import FastNetMon
from contenders.nfcapd import Nfcapd
from contenders.ours import Alone, Sekisho
from contenders.pmacct import Pmacct
from contenders.trial import Load, Result, trial
from road import stages
from traffic.cloud import Cloud
from traffic.streams import streams

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from contenders.contender import Contender

PEERS: Final[tuple[Contender, ...]] = (Nfcapd(), FastNetMon(), Pmacct())
PROTOCOLS: Final = "netflow9,ipfix,ipfix_ovs,netflow5,sflow,netflow9_mixed@1000,sflow_mixed@1000"
TOLERATED: Final = 0.001  # of the records, before somebody is measured again at a lower pace
TRIES: Final = 4


def fair_trial(contender: Contender, name: str, cloud: Cloud, load: Load) -> Result:
    """Measure at the highest pace found at which nothing to speak of is lost."""
    result = trial(contender, name, cloud, load)
    for _ in range(TRIES):
        if result.heard <= 0 or result.lost <= TOLERATED * result.sent:
            return result
        share = result.heard / result.sent
        pace = 0.7 * min(share, 0.9) * result.datagrams / result.seconds
        result = trial(contender, name, cloud, replace(load, pace=pace))
    return result


def figures(result: Result) -> dict[str, float]:
    """Say what came of a trial."""
    return {
        "records_per_second_per_core": round(result.per_core),
        "records_sent": result.sent,
        "records_lost": result.lost,
        "cpu_seconds": round(result.cpu_seconds, 2),
        "resident_bytes": result.resident,
    }


def measure(spec: str, given: argparse.Namespace) -> dict[str, object]:
    """Have everybody who can hear a stream hear it."""
    name, _, exporters = spec.partition("@")
    cloud = Cloud(given.subjects, int(exporters or given.exporters))
    load = Load(given.seconds, given.pace, given.datagrams, warm=given.warm)
    contenders: dict[str, Contender] = {
        "ours": Sekisho(cloud),
        "by_recvmmsg": Sekisho(cloud, method="recvmmsg"),
        "without_detectors": Sekisho(cloud, detectors=False),
        "recvmmsg_alone": Alone(cloud),
    }
    present = [peer for peer in PEERS if not given.no_peers and not peer.missing() and peer.hears(name)]
    contenders |= {peer.name: peer for peer in present}
    if given.workers > 1:
        contenders["workers"] = Sekisho(cloud, workers=given.workers)
    found = by_turns(contenders, name, cloud, load, given.rounds)
    ours, alone = found["ours"], found["recvmmsg_alone"]
    peers = {peer.name: figures(found[peer.name]) for peer in present}
    shared = several(found["workers"], given.workers, ours) if given.workers > 1 else {}
    return {
        **figures(ours),
        **shared,
        "by_recvmmsg": figures(found["by_recvmmsg"]),
        "without_detectors": figures(found["without_detectors"]),
        "recvmmsg_alone": figures(alone),
        "share_of_recvmmsg_alone": round(ours.per_core / max(alone.per_core, 1.0), 3),
        "nanoseconds_per_record": stages(name, cloud),
        "times_a_peer": {
            peer: round(ours.per_core / rate, 2)
            for peer, told in peers.items()
            if (rate := told["records_per_second_per_core"])
        },
        "peers": peers,
    }


def by_turns(
    contenders: Mapping[str, Contender], name: str, cloud: Cloud, load: Load, rounds: int
) -> dict[str, Result]:
    """Measure everybody so many times, one after another, and give the middle one of each."""
    found: dict[str, list[Result]] = {each: [] for each in contenders}
    for _ in range(rounds):
        for each, contender in contenders.items():
            found[each].append(fair_trial(contender, name, cloud, load))
    return {
        each: sorted(results, key=lambda result: result.per_core)[len(results) // 2]
        for each, results in found.items()
    }


def several(many: Result, workers: int, one: Result) -> dict[str, object]:
    """Say how many times of one process several take with a core for each of them."""
    times = round(workers * many.per_core / max(one.per_core, 1.0), 2)
    return {"with_workers": {**figures(many), "workers": workers, "times_one": times}}


def machine() -> dict[str, object]:
    """Say on what it was measured, and what stood idle."""
    model = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    return {
        "processor": model[0] if model else platform.machine(),
        "cores": len(model),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load_before": float(Path("/proc/loadavg").read_text().split()[0]),
    }


WHAT: Final = {
    "sekisho": "decodes, resolves, counts, judges",
    "by_recvmmsg": "the same, without the ring",
    "without_detectors": "the same without detectors",
    "recvmmsg_alone": "nothing",
    **{peer.name: peer.what for peer in PEERS},
}


def rows(told: dict[str, dict[str, object]]) -> dict[str, dict[str, dict[str, float]]]:
    """Turn the figures round: by who heard, then by stream."""
    found: dict[str, dict[str, dict[str, float]]] = {name: {} for name in WHAT}
    for spec, of_stream in told.items():
        found["sekisho"][spec] = of_stream  # type: ignore[assignment] # its own figures stand among others
        for name in ("by_recvmmsg", "without_detectors", "recvmmsg_alone"):
            found[name][spec] = of_stream[name]  # type: ignore[assignment]
        for name, peer in of_stream["peers"].items():  # type: ignore[attr-defined]
            found[name][spec] = peer
    return {name: by_stream for name, by_stream in found.items() if by_stream}


def table(told: dict[str, dict[str, object]]) -> str:
    """Lay the figures out for people, as a table of Markdown: millions of records a second and core."""
    found = rows(told)
    lines = ["| | " + " | ".join(told) + " | what it does |", "|---" * (len(told) + 2) + "|"]
    for name, by_stream in found.items():
        cells = [cell(by_stream.get(spec), found["sekisho"][spec], own=name == "sekisho") for spec in told]
        lines.append(f"| {name.replace('_', ' ')} | " + " | ".join(cells) + f" | {WHAT[name]} |")
    for spec, of_stream in told.items():
        if shared := of_stream.get("with_workers"):
            lines.append(f"\n{spec}: {shared['workers']} workers take {shared['times_one']} times of one.")  # type: ignore[index] # of `several`
    return "\n".join(lines)


def cell(told: dict[str, float] | None, ours: dict[str, float], *, own: bool) -> str:
    """Write a figure down, and how many times of it we reach; what was lost, where it is any to speak of."""
    if told is None:
        return "-"
    rate = told["records_per_second_per_core"]
    if not rate:
        return "reads none"
    lost = told["records_lost"] / max(told["records_sent"], 1)
    times = "" if own else f" ({ours['records_per_second_per_core'] / rate:.1f} x)"
    return f"{rate / 1e6:.2f}{times}" + (f", lost {lost:.1%}" if lost > TOLERATED else "")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--protocols", default=PROTOCOLS, help=f"of {', '.join(streams())}; name@exporters")
    parser.add_argument("--seconds", type=float, default=4.0, help="sent for each figure")
    parser.add_argument("--rounds", type=int, default=1, help="by turns, of which the middle one is told")
    parser.add_argument("--warm", type=float, default=12.0, help="seconds sent before that")
    parser.add_argument("--datagrams", type=int, default=0, help="or so many datagrams")
    parser.add_argument("--pace", type=float, default=0.0, help="datagrams a second, the same for everybody")
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--exporters", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1, help="also measured with so many processes")
    parser.add_argument("--no-peers", action="store_true", help="ourselves only")
    parser.add_argument("--json", action="store_true", help="one line of JSON")
    given = parser.parse_args(arguments)
    missing = [peer.missing() for peer in PEERS if not given.no_peers and peer.missing()]
    if missing:
        print(f"Not installed, and so not measured: {', '.join(missing)}.", file=sys.stderr)
    before = machine()
    told = {}
    for spec in given.protocols.split(","):
        print(f"{spec} ...", file=sys.stderr)
        told[spec] = measure(spec, given)
    print(json.dumps({**told, "machine": before}) if given.json else table(told))


if __name__ == "__main__":
    main()
