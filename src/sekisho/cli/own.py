"""Commands for customers: what restricts my own ports, why, until when; and the early end of it."""

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.console import RenderableType
from rich.padding import Padding
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import Door, alone, command, facts, table
from sekisho.cli.explain import decider, evidence, title, what, why
from sekisho.cli.find import complete_restriction
from sekisho.model.access import Role
from sekisho.model.errors import Forbidden, Malformed
from sekisho.model.inventory import Subject
from sekisho.model.release import OwnView, Release
from sekisho.model.restriction import Restriction, State

Row = tuple[str, str | Text]

Id = Annotated[str, typer.Argument(help="The restriction's id.", autocompletion=complete_restriction)]
Mended = Annotated[str, typer.Option("--reason", help="What was mended; it stands in the journal.")]
Past = Annotated[int, typer.Option("--past", min=0, help="How many that are over; 0 for all there are.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(help="What restricts your own project, and to be freed early.")
    app.add_typer(group, name="self")
    alone(group)(show)
    command(group, "release")(release)


def show(door: Door, past: Past = 5) -> None:
    """Show a project's own: what restricts it, why, until when, and what may be ended early.

    Ask with Keystone's token of the project: `--os-cloud NAME`, or the OS_* variables.
    """
    found = _own(door)
    if door.as_json:
        door.tell(found)
        return
    door.tell(found, *_page(found, past))


def release(door: Door, restriction: Id, reason: Mended) -> None:
    """End a restriction of your own early: say what was mended."""
    if not reason.strip():
        raise Malformed("Say what was mended: --reason TEXT. It stands in the journal.")
    try:
        ended = door.client.release(restriction, reason)
    except Forbidden as error:
        raise _when(_own(door), restriction, error) from error
    door.tell(
        ended,
        f"{ended.id} is over: {ended.subject} passes again within seconds.",
        "If the same is seen again, it is restricted again at once, and longer.",
    )


def _own(door: Door) -> OwnView:
    """Ask for a project's own; whose token is of none is told whose it is."""
    try:
        return door.client.own()
    except Forbidden as error:
        who = door.client.whoami()
        if who.role is Role.MEMBER:
            raise
        asker = (
            f"You ask as {who.name}, {who.role.value}: that is no project's token. "
            "Sign in through Keystone into a project (--os-cloud NAME); "
            "operators use `sekisho restrictions list` and `sekisho restrictions lift`."
        )
        raise Forbidden(asker, error.fixer) from error


def _when(found: OwnView, restriction: str, error: Forbidden) -> Forbidden:
    """Say also from when on it can be ended early, where time will bring that."""
    told = next((r for r in found.releases if r.restriction == restriction), None)
    return Forbidden(f"{error.asker} {_from(told)}".rstrip(), error.fixer) if told else error


def _from(told: Release) -> str:
    return f"It can be ended early from {words.moment(told.at)} on." if told.at else ""


def _page(found: OwnView, past: int) -> list[RenderableType]:
    active = [r for r in found.restrictions if r.state is State.ACTIVE]
    ended = [r for r in found.restrictions if r.state is not State.ACTIVE]
    ports = {s.id: s for s in found.subjects}
    releases = {r.restriction: r for r in found.releases}
    parts: list[RenderableType] = [_heading(found, active)]
    for r in active:
        rows = facts(_told(r, ports.get(r.subject), releases.get(r.id), found.now))
        parts += [Text(""), Text(title(r), "bold"), Padding(rows, (0, 0, 0, 2), expand=False)]
    return parts + _before(ended, past)


def _heading(found: OwnView, active: Sequence[Restriction]) -> RenderableType:
    bound = len({r.subject for r in active if r.actions})
    warned = len({r.subject for r in active} - {r.subject for r in active if r.actions})
    said = [words.clean(f"project {found.project}, {words.count(len(found.subjects), 'port')}: ")]
    if bound:
        return Text.assemble((said[0], "bold"), (f"{bound:,} RESTRICTED", "bold red"))
    if warned:
        return Text.assemble((said[0], "bold"), (f"{warned:,} WARNED", "bold yellow"))
    return Text.assemble((said[0], "bold"), ("NOT RESTRICTED", "bold green"))


def _told(r: Restriction, port: Subject | None, may: Release | None, now: float) -> list[Row]:
    """Tell an owner a restriction's story: nothing in it that is the operator's alone."""
    rows: list[Row] = [("port", _port(r.subject, port)), ("what", what(r)), ("why", why(r))]
    rows.append(("since", f"{words.moment(r.in_force or r.created)}, {decider(r)}"))
    rows.append(("until", f"{words.moment(r.until)} ({words.remaining(r.until, now)} left)"))
    if r.dropped_packets:
        rows.append(("dropped", f"{r.dropped_packets:,} packets, {words.volume(r.dropped_bytes)}"))
    rows += evidence(r.evidence) if r.evidence else []
    if may is not None:
        rows.append(("end early", _early(r, may)))
    return rows


def _early(r: Restriction, may: Release) -> str:
    if may.may:
        return f'once it is mended: sekisho self release {r.id} --reason "..."'
    return f"not now: {may.why} {_from(may)}".rstrip()


def _port(name: str, port: Subject | None) -> str:
    known = ", ".join(p for p in (port.server, *port.addresses) if p) if port else ""
    return f"{name}  ({known})" if known else name


def _before(ended: Sequence[Restriction], past: int) -> list[RenderableType]:
    if not ended:
        return []
    shown = ended[: past or None]
    rows = ((r.id, r.state, r.subject, words.actions(r.actions), *_span(r), r.reason) for r in shown)
    columns = ("restriction", "state", "port", "actions", "since", "ended", "reason")
    more = f" (the latest {len(shown)} of {len(ended)})" if len(shown) < len(ended) else ""
    laid = Padding(table(columns, rows), (0, 0, 0, 2), expand=False)
    return [Text(""), Text(f"Over{more}", "bold"), laid]


def _span(r: Restriction) -> tuple[str, str]:
    return words.moment(r.created), words.moment(r.ended)
