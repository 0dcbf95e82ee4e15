"""Commands that change switches: switch apply, rollback, restore, changes, approve, reject."""

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from sekisho.cli import words
from sekisho.cli.door import Door, command, gather, note, page_size, table, write
from sekisho.cli.exits import EXITS
from sekisho.cli.switches import Names, SwitchName, changed, shown_plans, why
from sekisho.model.errors import Malformed, Refused, Unavailable
from sekisho.model.plain import from_plain
from sekisho.model.switch import BAD, OPEN, ChangeState, ChangeView, PlanView, RolloutView, Wanted

Reason = Annotated[str, typer.Option(help="Why; it stands in the journal.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
Allow = Annotated[
    list[str] | None, typer.Option(help="Take this risk, which is forbidden otherwise; may be repeated.")
]
ChangeId = Annotated[str, typer.Argument(help="The change's id: c17.")]

# Seconds that one look at a rollout waits for news.
WAIT: Final = 25.0


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    command(group, "apply")(apply)
    command(group, "rollback")(rollback)
    command(group, "restore")(restore)
    command(group, "changes")(changes)
    command(group, "approve")(approve)
    command(group, "reject")(reject)


def apply(  # noqa: PLR0913 - an option each
    door: Door,
    switches: Names = None,
    *,
    reason: Reason,
    plan: Annotated[
        Path | None, typer.Option("--plan", help="Only as this file of `plan --save` says.")
    ] = None,
    allow: Allow = None,
    canary: Annotated[int, typer.Option(min=0, help="So many change one by one first.")] = 1,
    parallel: Annotated[int, typer.Option(min=1, max=64, help="Then so many at once.")] = 8,
    budget: Annotated[int, typer.Option(min=0, help="Go on though so many have failed.")] = 0,
    partial: Annotated[
        bool, typer.Option("--partial", help="Go on without those that cannot be planned for.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Make switches what their files say: each is proven, or rolled back and that is proven."""
    _need(reason)
    found = _read(plan) if plan is not None else door.client.switches.plan(tuple(switches or ()))
    chosen = [p for p in found if plan is None or not switches or p.switch in switches]
    chosen = _without_bad(door, chosen) if partial else chosen
    _need_plans(chosen)
    differ = _to_be_changed(door, chosen)
    if not differ:
        door.tell(RolloutView("", ()), "Nothing differs.")
        return
    if plan is None and not door.as_json:
        write(door.console, shown_plans(chosen, brief=yes))
    door.confirm(f"This changes {words.count(len(differ), 'switch', 'switches')}.", yes=yes)
    # The other one of a pair comes along, and its plan is told though it is empty.
    plans = {p.switch: p.fingerprint for p in chosen}
    wanted = Wanted(differ, reason, plans, tuple(allow or ()), canary, parallel, budget)
    _follow(door, door.client.switches.change(wanted))


def _read(path: Path) -> tuple[PlanView, ...]:
    try:
        told = json.loads(path.read_text())
        return from_plain(tuple[PlanView, ...], told["plans"])
    except (OSError, ValueError, KeyError, TypeError, Malformed) as error:
        raise Malformed(f"{path} is no file of `sekisho switch plan --save`: {error}.") from error


def _without_bad(door: Door, found: Sequence[PlanView]) -> list[PlanView]:
    """Leave out who has no plan, and its pair; a pair is changed on both or not at all."""
    bad = {p.switch: p.problem for p in found if p.problem}
    peers = {s.name: s.peer for s in door.client.switches.list() if s.name in bad and s.peer}
    for name, problem in bad.items():
        with_pair = f" and {peers[name]}" if name in peers else ""
        note(f"Without {name}{with_pair}: {problem}")
    return [p for p in found if p.switch not in {*bad, *peers.values()}]


def _to_be_changed(door: Door, found: Sequence[PlanView]) -> tuple[str, ...]:
    """Name those that differ, and those in doubt: that nothing differs is what ends a doubt."""
    doubtful = {s.name for s in door.client.switches.list() if s.doubt}
    return tuple(p.switch for p in found if p.steps or p.switch in doubtful)


def _need_plans(found: Sequence[PlanView]) -> None:
    bad = [p for p in found if p.problem]
    if not bad:
        return
    told, said = "Not every switch could be planned for; nothing was changed.", [_problem(p) for p in bad]
    if why(bad) is Unavailable:
        raise Unavailable(" ".join((told, *said)))
    raise Malformed(told, problems=tuple(said))


def _problem(plan: PlanView) -> str:
    """Say whose problem it is, unless it says so itself."""
    return plan.problem if plan.problem.startswith(plan.switch) else f"{plan.switch}: {plan.problem}"


def rollback(
    door: Door,
    switch: SwitchName,
    *,
    reason: Reason,
    change: Annotated[str, typer.Option(help="Before this change; its newest one unless told.")] = "",
    yes: Yes = False,
) -> None:
    """Make a switch, and its pair, what it was before a change."""
    _need(reason)
    door.confirm(f"This undoes all that happened on {switch} since that change.", yes=yes)
    _follow(door, door.client.switches.rollback(switch, reason, change))


def restore(
    door: Door,
    switch: SwitchName,
    backup: Annotated[str, typer.Argument(help="The backup's name, of `sekisho switch backup`.")],
    *,
    reason: Reason,
    yes: Yes = False,
) -> None:
    """Make a switch what a backup says; it is rolled back if that cannot be proven."""
    _need(reason)
    door.confirm(f"This replaces the whole configuration of {switch}.", yes=yes)
    _follow(door, door.client.switches.restore(switch, backup, reason))


def changes(
    door: Door,
    switch: Annotated[str, typer.Option(help="Only of this switch.")] = "",
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 50,
) -> None:
    """List changes of switches, newest first: who, why, and how each ended."""
    items, more = gather(door.client.switches.changes(switch, page_size(limit)), limit)
    door.tell_list(items, changed(items), more=more)


def approve(door: Door, change: ChangeId, *, reason: Reason, allow: Allow = None) -> None:
    """Carry a proposal out, if its plan is still the same."""
    _need(reason)
    _follow(door, door.client.switches.approve(change, reason, tuple(allow or ())))


def reject(door: Door, change: ChangeId, *, reason: Reason) -> None:
    """Put a proposal aside."""
    _need(reason)
    found = door.client.switches.reject(change, reason)
    door.tell(found, f"{found.id} is put aside.")


def _need(reason: str) -> None:
    if not reason.strip():
        raise Malformed("Say why: --reason TEXT.")


# --- how far it is -----------------------------------------------------------------------------------


def _follow(door: Door, found: RolloutView) -> None:
    """Show a rollout until it has ended, and end as it did; what was begun goes on without us."""
    try:
        with _bars(found) as show:
            show(found)
            while not found.ended:
                found = door.client.switches.follow(found.id, found.revision, WAIT) or found
                show(found)
    except (KeyboardInterrupt, Unavailable):
        note(f"{found.id} goes on without you; look at it with: sekisho switch changes")
        raise
    columns = ("change", "switch", "state", "how it ended")
    rows = ((c.id, c.switch, c.state, c.error or c.receipt) for c in found.changes)
    door.tell(found, table(columns, rows))
    if any(c.state in BAD for c in found.changes):
        raise typer.Exit(EXITS[Refused])


@contextlib.contextmanager
def _bars(found: RolloutView) -> Iterator[Callable[[RolloutView], None]]:
    """Draw a bar for each switch on a terminal; elsewhere say each end in a line."""
    if not sys.stderr.isatty():
        yield _lines(found)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[phase]}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True, markup=False)) as progress:
        tasks = {c.id: progress.add_task(words.clean(c.switch), total=1, phase="") for c in found.changes}

        def show(now: RolloutView) -> None:
            for change in now.changes:
                _bar(progress, tasks[change.id], change)

        yield show


def _bar(progress: Progress, task: TaskID, change: ChangeView) -> None:
    ended = change.state not in OPEN
    total = max(1, change.of) + 2  # reading before it, proving and saving after it
    at = total if ended else min(total - 1, change.done + (change.phase is not change.phase.WAITING))
    said = change.state.value if ended else f"{change.phase.value} {words.clean(change.error)}".strip()
    progress.update(task, total=total, completed=at, phase=said)


def _lines(found: RolloutView) -> Callable[[RolloutView], None]:
    told: set[tuple[str, ChangeState]] = {(c.id, c.state) for c in found.changes if c.state in OPEN}

    def show(now: RolloutView) -> None:
        for change in now.changes:
            if change.state not in OPEN and (change.id, change.state) not in told:
                told.add((change.id, change.state))
                note(f"{change.switch}: {change.state.value}. {change.error or change.receipt}")

    return show
