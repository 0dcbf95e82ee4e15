"""Commands about archived flows: status, top, subject, export, SQL; and the back-test of policies."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sekisho.cli import words
from sekisho.cli.door import Door, at_terminal, command, facts, note, table
from sekisho.cli.find import complete_subject
from sekisho.cli.policies import read_texts
from sekisho.model import units
from sekisho.model.archived import Backtest, BacktestOrder, PolicyBacktest, Spell, Traffic, service
from sekisho.model.errors import Malformed, Unavailable

# Seconds between looks at a back-test that runs.
LOOK: Final = 0.5

Last = Annotated[str, typer.Option("--last", help="How far back, like 1h or 7d; or give --since.")]
Since = Annotated[float, typer.Option("--since", help="Unix seconds; instead of --last.", show_default=False)]
Until = Annotated[float, typer.Option("--until", help="Unix seconds; else now.", show_default=False)]
Id = Annotated[
    str, typer.Argument(help="The subject's id (its virtual port).", autocompletion=complete_subject)
]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Flows of the past, from the archive.")
    app.add_typer(group, name="flows")
    command(group, "status")(status)
    command(group, "top")(top)
    command(group, "subject")(subject)
    command(group, "export")(export)
    command(group, "sql")(sql)


def add_backtest(policy: typer.Typer) -> None:
    """Register what belongs to policies."""
    command(policy, "backtest")(backtest)


def _span(door: Door, last: str, since: float, until: float) -> tuple[float, float]:
    """Settle a span by the keeper's clock, whatever the reader's own says."""
    until = until or door.now
    if since:
        return since, until
    try:
        return until - units.duration(last), until
    except Malformed as error:
        raise Malformed(f"--last: {error.asker}") from error


def status(door: Door) -> None:
    """Show how the archive fares: what it holds, what waits, what was lost."""
    found = door.client.flows.status()
    rows = [
        ("store", found.store),
        ("rows", f"{found.rows:,}"),
        ("on disk", words.volume(found.bytes)),
        ("oldest", words.moment(found.oldest)),
        ("newest", words.moment(found.newest)),
        ("waiting", f"{words.count(found.spooled_blocks, 'block')}, {words.volume(found.spooled_bytes)}"),
        ("lost rows", f"{found.lost_rows:,}"),
        ("problem", found.problem or "-"),
    ]
    door.tell(found, facts(rows))


def top(
    door: Door,
    last: Last = "1h",
    since: Since = 0.0,
    until: Until = 0.0,
    by: Annotated[
        str, typer.Option(help="egress_bytes, ingress_bytes, egress_packets or ingress_packets.")
    ] = "egress_bytes",
    of: Annotated[str, typer.Option(help="subject, protocol or port.")] = "subject",
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 20,
) -> None:
    """List who sent or was sent most."""
    found = door.client.flows.top(*_span(door, last, since, until), by, limit, of)
    rows = [_traffic(t) for t in found.items]
    if rows:
        rows.append(("all together", *_traffic(found.total)[1:]))
    door.tell(found, table((of, *AMOUNTS), rows, "" if rows or door.as_json else _nothing(door, "this span")))


def _nothing(door: Door, what: str) -> str:
    """Say why there is no answer: what the archive holds, and what is wrong with it."""
    holds = door.client.flows.status()
    said = f"The archive holds nothing of {what}"
    if holds.newest:
        said += f"; it holds {words.moment(holds.oldest)} to {words.moment(holds.newest)}"
    if holds.spooled_blocks:
        said += f", and {words.count(holds.spooled_blocks, 'block')} wait to be loaded"
    return f"{said}. {holds.problem}".rstrip()


AMOUNTS: Final = (">sent", ">received", ">packets sent", ">packets received")


def _traffic(t: Traffic) -> tuple[str, ...]:
    return (
        t.name,
        words.volume(t.egress_bytes),
        words.volume(t.ingress_bytes),
        f"{t.egress_packets:,.0f}",
        f"{t.ingress_packets:,.0f}",
    )


def subject(
    door: Door,
    subject: Id,
    last: Last = "24h",
    since: Since = 0.0,
    until: Until = 0.0,
    limit: Annotated[int, typer.Option(min=1, max=1000, help="How many far ends.")] = 20,
) -> None:
    """Show what one subject sent and was sent, and with whom."""
    found = door.client.flows.subject(subject, *_span(door, last, since, until), limit)
    total = found.total
    if not (found.far or total.egress_packets or total.ingress_packets or door.as_json):
        note(_nothing(door, f"{subject} in this span"))
    rows = [("all together", "", *_traffic(total)[1:])]
    rows += [
        (
            f.address,
            service(f.protocol, f.port),
            *_traffic(Traffic("", f.egress_bytes, f.ingress_bytes, f.egress_packets, f.ingress_packets))[1:],
        )
        for f in found.far
    ]
    door.tell(found, table(("far end", "protocol/port", *AMOUNTS), rows))


def export(
    door: Door,
    file: Annotated[Path, typer.Argument(help="The file to write, ending in .parquet or .csv.")],
    last: Last = "1h",
    since: Since = 0.0,
    until: Until = 0.0,
    subject: Annotated[str, typer.Option(help="Only what this subject sent or was sent.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=2_000_000, help="How many rows at most.")] = 1_000_000,
) -> None:
    """Write raw rows into a Parquet or CSV file."""
    form = file.suffix.lstrip(".").lower()
    if form not in ("parquet", "csv"):
        raise Malformed(f"{file}: let the name end in .parquet or .csv, which says what to write.")
    found = door.client.flows.export(
        *_span(door, last, since, until), subject=subject, form=form, limit=limit
    )
    try:
        file.write_bytes(found.body)
    except OSError as error:
        raise Malformed(f"{file} cannot be written: {error.strerror}.") from error
    door.tell({"file": str(file), "bytes": len(found.body)}, f"{file}: {words.volume(len(found.body))}.")


def sql(
    door: Door,
    question: Annotated[str, typer.Argument(help="One SELECT; - reads it from standard input.")],
    limit: Annotated[int, typer.Option(min=1, help="How many rows.")] = 1000,
) -> None:
    """Ask the archive in SQL (ClickHouse's), reading only."""
    found = door.client.flows.sql(sys.stdin.read() if question == "-" else question, limit)
    door.tell(found, table(found.columns, [tuple(map(str, row)) for row in found.rows], "no rows"))
    if found.cut and not door.as_json:
        note("There is more: ask with a greater --limit.")


def backtest(
    door: Door,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="TOML files, or folders of them.")],
    last: Last = "24h",
    since: Since = 0.0,
    until: Until = 0.0,
    step: Annotated[
        float, typer.Option(min=0, max=60, help="Seconds closed at once; 0: chosen by the span.")
    ] = 0.0,
    per_day: Annotated[
        int, typer.Option(min=1, help="Say where each line would have to be for so many subjects a day.")
    ] = 5,
) -> None:
    """Say what policies would have done to the traffic of the past."""
    text = "\n".join(read_texts(files).values())
    begun = door.client.flows.backtest(BacktestOrder(text, *_span(door, last, since, until), step))
    found = _followed(door, begun)
    if found.state != "done":
        raise Unavailable(f"The back-test ended without an answer: {found.problem or found.state}.")
    door.tell(found, *_shown(found, per_day))


def _followed(door: Door, begun: Backtest) -> Backtest:
    """Look at a back-test until it ends, with a bar where somebody sees it."""
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    found = begun
    with Progress(*columns, TimeElapsedColumn(), disable=door.as_json or not at_terminal()) as bar:
        task = bar.add_task("playing again", total=1.0)
        while found.state == "running":
            time.sleep(LOOK)
            found = door.client.flows.backtested(begun.id)
            bar.update(task, completed=found.done, description=f"{found.records:,} records")
    return found


def _shown(found: Backtest, per_day: int) -> list[RenderableType]:
    records = (
        f"{found.records:,} records of {words.duration(found.until - found.since)} "
        f"played in {found.seconds:.1f} s."
    )
    parts: list[RenderableType] = [records]
    parts += [f"Note: {text}" for text in found.notes]
    for policy in found.policies:
        parts += ["", _sum(policy, per_day), _spells(policy.spells)]
        if policy.more_spells:
            parts.append(f"and {policy.more_spells:,} more.")
    return parts


def _sum(p: PolicyBacktest, per_day: int) -> str:
    bound = f"{words.count(p.subjects, 'subject')} of {words.count(p.projects, 'project')}"
    really = f"{p.overlap} of them really were bound then, {p.only_real} were that it would leave alone"
    fitting = next((point.amount for point in p.curve if point.most <= per_day), None)
    line = (
        f"for at most {per_day} a day its line would be at {_amount(p, fitting)}"
        if fitting is not None
        else f"no line leaves {per_day} or fewer a day"
    )
    return f"{p.policy} ({p.detector} over {_amount(p, p.amount)}): {bound}; {really}; {line}."


def _amount(p: PolicyBacktest, amount: float) -> str:
    if p.unit == "ratio":
        return f"{words.number(amount * 100)} %"
    told = words.volume(amount) if p.unit == "bytes" else words.number(round(amount, 1))
    return f"{told} in {words.duration(p.window)}"


def _spells(spells: Sequence[Spell]) -> RenderableType:
    columns = ("subject", "from", "until", "outcome", "offence", "evidence", "really bound")
    rows = (
        (
            s.subject,
            words.moment(s.since),
            words.moment(s.until),
            f"{s.outcome}: {s.reason}" if s.reason else s.outcome,
            str(s.offence),
            ", ".join(f"{f.detector} {words.quantity(f, f.estimate)}" for f in s.findings),
            "yes" if s.overlaps else "no",
        )
        for s in spells
    )
    return table(columns, rows, "Nobody would have been bound.")
