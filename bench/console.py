"""How long the console's pages take with many subjects and restrictions: a real keeper over HTTP on loopback.

    python bench/console.py [--subjects 20000] [--restrictions 5000] [--rounds 20] [--json]

Each page is asked for in turn by one reader; what is told is the median and the slowest of all rounds,
over one connection, with a collector's report of the 200 busiest in between. CPU is keeper and
reader together: the figure to trust on a machine that has other work too.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from sekisho.api import create_app, start
from sekisho.api.console.settings import Console
from sekisho.api.settings import ApiSettings
from sekisho.app.identity import Identity, KeystoneSettings
from sekisho.app.keeper import Keeper
from sekisho.app.settings import KeeperSettings
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.inventory import Host, HostReport, Subject
from sekisho.model.policy import Condition, Direction, Drop, Mode, Policy, Protocol, Step, Threshold, Unit
from sekisho.model.report import CollectorReport, Talker
from sekisho.model.restriction import Restriction, State
from sekisho.testing.keystone import FakeKeystone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
LINE = Threshold(60, 60, Unit.COUNT, "60/min")
SPAM = Policy("spam", (Condition("smtp-connections", LINE),), (Step((SMTP,), 86400.0),), Mode.ENFORCE)
ASKER = Principal("bench", Role.ADMIN)
PER_HOST = 40
BUSY = 200


def main() -> None:
    """Measure, and say it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--subjects", type=int, default=20_000)
    parser.add_argument("--restrictions", type=int, default=5_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), args.subjects, args.restrictions, args.rounds)
    if args.json:
        print(json.dumps({"subjects": args.subjects, "restrictions": args.restrictions, "pages": found}))
        return
    print(f"{args.subjects:,} subjects, {args.restrictions:,} restrictions in force")
    for page, (median, most, cpu) in found.items():
        print(f"{page:<28} {median:7.1f} ms   slowest {most:7.1f} ms   CPU {cpu:6.1f} ms")


def measure(
    folder: Path, subjects: int, restrictions: int, rounds: int
) -> dict[str, tuple[float, float, float]]:
    """Fill a keeper; give the median, the slowest and the median CPU of each page in milliseconds."""
    ledger, clock = Ledger(folder / "ledger.db"), Clock()
    keystone = FakeKeystone()
    identity = Identity(KeystoneSettings(), keystone, time.monotonic)
    keeper = Keeper(KeeperSettings(), ledger, clock, lambda: ((SPAM,), ()), identity)
    ports = fill(keeper, ledger, clock.now(), subjects, restrictions)
    secret = ledger.create_token("bench", Role.ADMIN, "bench", clock.now())[1]
    settings = ApiSettings(port=0)
    running = start(create_app(keeper, settings, console=Console(traffic=keeper.recent)), settings)
    try:
        with browser(running.url, secret, "sekisho") as client:
            told = ask(client, keeper, ports, rounds)
        member = keystone.issue("mia", "member", project="project-0", project_id="project-0")
        with browser(running.url, member, "keystone") as client:
            return told | timed(client, ("/own",), rounds)
    finally:
        running.stop()
        ledger.close()


@contextmanager
def browser(url: str, secret: str, issuer: str) -> Iterator[httpx.Client]:
    """Sign in."""
    with httpx.Client(base_url=url, trust_env=False, timeout=60, follow_redirects=True) as client:
        client.post("/login", data={"token": secret, "issuer": issuer}).raise_for_status()
        yield client


def fill(keeper: Keeper, ledger: Ledger, now: float, subjects: int, restrictions: int) -> list[Subject]:
    """Report the hosts, and bind as many as wanted."""
    ports = [
        Subject(
            f"{i:08x}-0000-4000-8000-{i:012x}",
            f"compute-{i // PER_HOST:04}",
            f"project-{i % 500}",
            f"server-{i}",
            addresses=(f"10.{i >> 16 & 255}.{i >> 8 & 255}.{i & 255}",),
        )
        for i in range(subjects)
    ]
    for n in range(0, subjects, PER_HOST):
        keeper.report_host(
            ASKER, HostReport(Host(f"compute-{n // PER_HOST:04}"), tuple(ports[n : n + PER_HOST]))
        )
    blank = Restriction(
        "",
        "",
        (SMTP,),
        "spam",
        "policy:spam",
        State.ACTIVE,
        now,
        now + 86400,
        86400.0,
        0,
        "spam",
        automatic=True,
    )
    drafts = [replace(blank, subject=p.id, host=p.host, project=p.project) for p in ports[:restrictions]]
    for n in range(0, len(drafts), 500):
        ledger.record(drafts[n : n + 500], now)
    return ports


def ask(
    client: httpx.Client, keeper: Keeper, ports: Sequence[Subject], rounds: int
) -> dict[str, tuple[float, float, float]]:
    """Ask for every page in turn."""
    pages = (
        "/",
        "/subjects",
        "/subjects?text=server-199",
        f"/subjects/{ports[0].id}",
        "/traffic?range=24h",
        "/restrictions",
        "/restrictions/r1",
        "/policies",
        "/policies/spam",
        "/policies/spam/mode?to=watch",
        "/exporters",
        "/audit",
    )

    def busy(n: int) -> None:
        talkers = tuple(Talker(p.id, 1e9 / (i + 1), 1e8 / (i + 1), n) for i, p in enumerate(ports[:BUSY]))
        keeper.report_collector(ASKER, CollectorReport("c", 0.0, talkers=talkers))

    found = timed(client, pages, rounds, busy)
    return {page.replace(ports[0].id, "ID"): figures for page, figures in found.items()}


def timed(
    client: httpx.Client,
    pages: Sequence[str],
    rounds: int,
    before: Callable[[int], None] = lambda _: None,
) -> dict[str, tuple[float, float, float]]:
    """Ask for pages in turn, round after round."""
    taken: dict[str, list[float]] = {page: [] for page in pages}
    spent: dict[str, list[float]] = {page: [] for page in pages}
    for n in range(rounds):
        before(n)
        for page in pages:
            began, cpu = time.perf_counter(), time.process_time()
            client.get(page).raise_for_status()
            taken[page].append((time.perf_counter() - began) * 1000)
            spent[page].append((time.process_time() - cpu) * 1000)
    return {page: (statistics.median(t), max(t), statistics.median(spent[page])) for page, t in taken.items()}


if __name__ == "__main__":
    main()
