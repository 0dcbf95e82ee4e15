"""Commands that look at the whole: status, hosts, exporters, top, journal."""

import contextlib
import time
from collections.abc import Callable
from enum import StrEnum
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.live import Live
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, gather, on_screen, page_size, table
from sekisho.cli.find import complete_restriction, complete_subject
from sekisho.model.errors import Unavailable
from sekisho.model.plain import to_plain
from sekisho.model.report import CollectorReport, ExporterReport, HostStatus, Status, Talker

SILENT = 90.0  # a host or collector reports every few seconds


class By(StrEnum):
    """What `top` sorts by: Talker's rates."""

    EGRESS_BPS = "egress_bps"
    INGRESS_BPS = "ingress_bps"
    EGRESS_PPS = "egress_pps"
    INGRESS_PPS = "ingress_pps"
    SMTP_PER_MINUTE = "smtp_per_minute"


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    command(app, "status")(status)
    command(app, "hosts")(hosts)
    command(app, "exporters")(exporters)
    command(app, "top")(top)
    command(app, "journal")(journal)


def status(door: Door) -> None:
    """Sum up the keeper, its hosts and collectors, and what needs a person."""
    found = door.client.status()
    parts: list[RenderableType] = [facts(_summary(found))]
    if found.hosts:
        parts += [Text(""), _hosts(found.hosts, found.now)]
    if found.collectors:
        parts += [Text(""), _collectors(found)]
    door.tell(found, *parts)


def _summary(found: Status) -> list[tuple[str, str | Text]]:
    enforcing = (
        Text("on", "green") if found.enforcing else Text("OFF: nothing automatic is enforced", "bold red")
    )
    rows: list[tuple[str, str | Text]] = [
        ("keeper", f"Sekisho {found.version} at {words.moment(found.now)}, revision {found.revision}"),
        ("enforcement", enforcing),
        ("subjects", f"{found.subjects:,} on {words.count(len(found.hosts), 'host')}"),
        ("restrictions", f"{found.active:,} active, {found.proposed:,} proposed"),
        ("policies", f"{found.policies:,}, and {words.count(found.baselines, 'baseline')}"),
    ]
    needs = [Text(words.clean(problem), "yellow") for problem in found.degraded]
    rows += [("needs a person" if i == 0 else "", problem) for i, problem in enumerate(needs)]
    return rows if needs else [*rows, ("health", Text("all is well", "green"))]


def _seen(last: float, now: float) -> str:
    return f"{words.duration(now - last)} ago" if last else "never"


def _hosts(found: tuple[HostStatus, ...], now: float) -> RenderableType:
    columns = ("host", ">subjects", "carries", "last seen", "problem")
    rows = (
        (h.name, f"{h.subjects:,}", _carries(h), _seen(h.last_seen, now), _problem(h, now)) for h in found
    )
    return table(columns, rows, "No host has reported yet.")


def _carries(h: HostStatus) -> str | Text:
    if h.applied >= h.revision:
        return "all it should"
    return Text("not yet what it should", "yellow")


def _problem(h: HostStatus, now: float) -> str | Text:
    if h.problem:
        return Text(words.clean(h.problem), "red")
    return Text("silent", "red") if now - h.last_seen > SILENT else "-"


def _collectors(found: Status) -> RenderableType:
    columns = ("collector", "last seen", ">exporters", ">datagrams", ">records", ">lost")
    rows = (
        (
            c.name,
            _seen(c.time, found.now),
            f"{len(c.exporters):,}",
            f"{sum(e.datagrams for e in c.exporters):,}",
            f"{sum(e.records for e in c.exporters):,}",
            f"{sum(e.lost for e in c.exporters):,}",
        )
        for c in found.collectors
    )
    return table(columns, rows)


def hosts(
    door: Door,
    *,
    forget: Annotated[
        str, typer.Option(metavar="NAME", help="Forget this host, which does not report any more.")
    ] = "",
) -> None:
    """List the hosts: what they carry, when they last reported, what is wrong."""
    if forget:
        door.client.forget_host(forget)
        door.tell({"forgotten": forget}, f"The host {forget} is forgotten; its token, if any, still stands.")
        return
    items = door.client.hosts()
    door.tell_list(items, "" if door.as_json else _hosts(items, door.now))


def exporters(door: Door) -> None:
    """List the exporters: who sends flow records to which collector, how they sample, what was lost."""
    found = door.client.status()
    heard = [(c, e) for c in found.collectors for e in c.exporters]
    items = [{"collector": c.name, **to_plain(e)} for c, e in heard]
    door.tell_list(items, "" if door.as_json else _exporters(heard, found.now))


def _exporters(heard: list[tuple[CollectorReport, ExporterReport]], now: float) -> RenderableType:
    columns = (
        "exporter",
        "protocol",
        ">sampling",
        ">datagrams",
        ">records",
        ">lost",
        "last seen",
        "collector",
    )
    rows = (
        (
            f"{e.address} {e.domain}" if e.domain else e.address,
            e.protocol,
            "none" if e.sampling == 1 else f"1:{e.sampling:,}" if e.sampling else "-",
            f"{e.datagrams:,}",
            f"{e.records:,}",
            f"{e.lost:,}",
            _seen(e.last_seen, now),
            c.name,
        )
        for c, e in heard
    )
    return table(columns, rows, "No collector hears an exporter.")


def top(
    door: Door,
    *,
    by: Annotated[By, typer.Option(help="Which rate to sort by.")] = By.EGRESS_BPS,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
    every: Annotated[float, typer.Option(min=0.5, help="Seconds between two looks.")] = 2.0,
    once: Annotated[
        bool, typer.Option("--once", help="Look once and end; so does a pipe, and --json.")
    ] = False,
) -> None:
    """Watch who sends and receives the most, live."""
    if once or door.as_json or not on_screen():
        items = door.client.top(by, limit)
        door.tell_list(items, _talkers(items))
        return
    with contextlib.suppress(KeyboardInterrupt):
        _live(door, lambda: _talkers(door.client.top(by, limit)), every)


def _live(door: Door, look: Callable[[], RenderableType], every: float) -> None:
    """Show what is seen, again and again; a keeper that is away for a while is said and waited for."""
    shown = look()
    with Live(shown, console=door.console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(shown, refresh=True)
            time.sleep(every)
            try:
                shown = look()
            except Unavailable as error:
                shown = Text(words.clean(error.asker), "red")


def _talkers(items: tuple[Talker, ...]) -> RenderableType:
    columns = ("subject", ">sends", ">receives", ">sends packets/s", ">receives packets/s", ">SMTP/min")
    rows = (
        (
            t.subject,
            words.rate(t.egress_bps),
            words.rate(t.ingress_bps),
            words.number(round(t.egress_pps)),
            words.number(round(t.ingress_pps)),
            words.number(round(t.smtp_per_minute, 1)),
        )
        for t in items
    )
    return table(columns, rows, "Nobody sends anything that is seen.")


def journal(
    door: Door,
    restriction: Annotated[
        str, typer.Option(help="Only of this restriction.", autocompletion=complete_restriction)
    ] = "",
    subject: Annotated[str, typer.Option(help="Only of this subject.", autocompletion=complete_subject)] = "",
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 50,
) -> None:
    """Read the journal, newest first: who did what to which, and why."""
    items, more = gather(door.client.journal(restriction, subject, page_size(limit)), limit)
    columns = ("time", "who", "did", "restriction", "subject", "reason")
    rows = ((words.moment(e.time), e.author, e.verb, e.restriction, e.subject, e.reason) for e in items)
    door.tell_list(items, table(columns, rows, "Nothing is written."), more=more)
