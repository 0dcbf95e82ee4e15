"""Commands about restrictions: list, show, add, extend, lift, approve, reject."""

from collections.abc import Callable
from contextlib import suppress
from typing import Annotated

import typer

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, gather, note, page_size, table
from sekisho.cli.explain import title, told
from sekisho.cli.find import complete_restriction, complete_subject, suggesting
from sekisho.model.errors import Malformed
from sekisho.model.policy import Action
from sekisho.model.restriction import Restriction, State
from sekisho.model.units import duration as seconds_of

OPEN = (State.ACTIVE, State.PROPOSED)

Id = Annotated[str, typer.Argument(help="The restriction's id.", autocompletion=complete_restriction)]
Ids = Annotated[
    list[str] | None,
    typer.Argument(help="The restrictions' ids; or choose by option.", autocompletion=complete_restriction),
]
Reason = Annotated[str, typer.Option(help="Why; it stands in the journal and is shown by explain.")]
OfPolicy = Annotated[str, typer.Option("--policy", help="Instead of ids: all open ones of this policy.")]
OfSubject = Annotated[
    str,
    typer.Option(
        "--subject", help="Instead of ids: all open ones of this subject.", autocompletion=complete_subject
    ),
]
Every = Annotated[bool, typer.Option("--all", help="Instead of ids: every open one.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before touching several.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Who is bound, warned or proposed for it.")
    app.add_typer(group, name="restrictions")
    command(group, "list")(list_)
    command(group, "show")(show)
    command(group, "add")(add)
    command(group, "extend")(extend)
    command(group, "lift")(lift)
    command(group, "approve")(approve)
    command(group, "reject")(reject)


def list_(
    door: Door,
    *,
    subject: Annotated[
        str, typer.Option(help="Only those of this subject.", autocompletion=complete_subject)
    ] = "",
    policy: Annotated[str, typer.Option(help="Only those of this policy.")] = "",
    state: Annotated[list[State] | None, typer.Option(help="Only in this state; may be repeated.")] = None,
    every: Annotated[bool, typer.Option("--all", help="In every state, ended ones too.")] = False,
    limit: Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")] = 100,
) -> None:
    """List restrictions; without options those that are active or proposed."""
    states = () if every else tuple(state or OPEN)
    items, more = gather(door.client.restrictions(subject, policy, states, page_size(limit)), limit)
    columns = ("restriction", "state", "subject", "actions", "left", ">dropped", "by", "reason")
    rows = [_row(r, door.now) for r in items] if not door.as_json else []
    door.tell_list(items, table(columns, rows, "No restriction matches."), more=more)


def _row(r: Restriction, now: float) -> tuple[str, ...]:
    left = words.remaining(r.until, now) if r.state is State.ACTIVE else "-"
    who = r.policy or r.author
    dropped = f"{r.dropped_packets:,}"
    return (r.id, r.state, r.subject, words.actions(r.actions), left, dropped, who, r.reason)


def show(door: Door, restriction: Id) -> None:
    """Show one restriction: its end, its evidence, what it has dropped."""
    _tell(door, door.client.restriction(restriction))


def _tell(door: Door, *found: Restriction) -> None:
    """Tell of one restriction by itself, of several as a list."""
    if door.as_json:
        door.tell(found[0] if len(found) == 1 else {"items": found, "more": False})
        return
    for r in found:
        about = f"{r.subject}" + (f" on {r.host}" if r.host else "")
        door.tell(r, title(r), facts([("subject", about), ("state", r.state), *told(r, door.now)]))


def add(  # noqa: PLR0913 - each is an option of the command
    door: Door,
    *,
    subjects: Annotated[
        list[str], typer.Argument(metavar="SUBJECT...", help="Whom.", autocompletion=complete_subject)
    ],
    reason: Reason,
    drop: Annotated[
        list[str] | None,
        typer.Option(help="What to drop: tcp/25, udp/1000-2000, icmp, any; may be repeated."),
    ] = None,
    limit: Annotated[
        list[str] | None, typer.Option(help="Hold all traffic to this rate: 10Mbit/s; may be repeated.")
    ] = None,
    direction: Annotated[
        str, typer.Option(help="egress (sent by the VM), ingress (sent to it) or both.")
    ] = "egress",
    duration: Annotated[str, typer.Option("--for", help="For how long: 30m, 24h, 7d.")] = "24h",
    warn: Annotated[bool, typer.Option("--warn", help="Neither drop nor limit: put a warning down.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be imposed; change nothing.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Bind a subject by hand, for a time and with a reason."""
    actions = _actions(drop or [], limit or [], direction, warn=warn)
    seconds = seconds_of(duration)
    _need_reason(reason)
    said = f"{words.actions(actions)} for {words.duration(seconds)}: {reason}"
    if dry_run:
        _dry_run(door, subjects, actions, seconds, said)
        return
    if len(subjects) > 1:
        door.confirm(f"This binds {len(subjects)} subjects ({said}).", yes=yes)

    def impose(subject: str) -> Restriction:
        with suggesting(door.client, subject):
            return door.client.impose(subject, actions, reason, seconds)

    _tell(door, *_each(subjects, impose))


def _dry_run(door: Door, subjects: list[str], actions: tuple[Action, ...], seconds: float, said: str) -> None:
    found = []
    for subject in subjects:
        with suggesting(door.client, subject):
            found.append(door.client.subject(subject))
    planned = {"dry_run": True, "subjects": found, "actions": actions, "duration": seconds}
    rows = ((s.id, s.server, s.project, s.host) for s in found)
    shown = table(("subject", "server", "project", "host"), rows)
    door.tell(planned, f"Nothing is changed. This would impose {said}", shown)


def _actions(drops: list[str], limits: list[str], direction: str, *, warn: bool) -> tuple[Action, ...]:
    words.read_directions(direction)
    dropped = [a for text in drops for a in words.read_drops(text, direction)]
    limited = [a for text in limits for a in words.read_limits(text, direction)]
    actions: tuple[Action, ...] = (*dropped, *limited)
    if warn and actions:
        raise Malformed("A warning neither drops nor limits; leave out --warn, or --drop and --limit.")
    if not actions and not warn:
        raise Malformed("Say what to do: --drop tcp/25, --limit 10Mbit/s, or --warn.")
    return actions


def _need_reason(reason: str) -> None:
    if not reason.strip():
        raise Malformed("Say why: --reason TEXT. Whoever is bound, and your colleagues, will ask.")


def extend(
    door: Door,
    restriction: Id,
    duration: Annotated[str, typer.Option("--for", help="Let it end this long from now: 30m, 24h, 7d.")],
    reason: Reason,
    revision: Annotated[
        int | None, typer.Option(help="Only if it is still at this revision (see show --json).")
    ] = None,
) -> None:
    """Set a new end for a restriction: so long from now."""
    _need_reason(reason)
    seconds = seconds_of(duration)
    _tell(door, door.client.extend(restriction, seconds, reason, revision))


def lift(
    door: Door,
    *,
    reason: Reason,
    restrictions: Ids = None,
    policy: OfPolicy = "",
    subject: OfSubject = "",
    every: Every = False,
    yes: Yes = False,
) -> None:
    """End restrictions now: the subjects pass again within seconds."""
    _need_reason(reason)
    chosen = _choose(door, restrictions, policy, subject, State.ACTIVE, every=every)
    _sure(door, "lifts", chosen, yes=yes)
    _tell(door, *_each(chosen, lambda r: door.client.lift(r, reason)))


def approve(
    door: Door,
    *,
    restrictions: Ids = None,
    reason: Reason = "",
    policy: OfPolicy = "",
    subject: OfSubject = "",
    every: Every = False,
    yes: Yes = False,
) -> None:
    """Put proposals in force; their time begins now."""
    chosen = _choose(door, restrictions, policy, subject, State.PROPOSED, every=every)
    _sure(door, "puts in force", chosen, yes=yes)
    _tell(door, *_each(chosen, lambda r: door.client.approve(r, reason)))


def reject(
    door: Door,
    *,
    reason: Reason,
    restrictions: Ids = None,
    policy: OfPolicy = "",
    subject: OfSubject = "",
    every: Every = False,
    yes: Yes = False,
) -> None:
    """Turn proposals down."""
    _need_reason(reason)
    chosen = _choose(door, restrictions, policy, subject, State.PROPOSED, every=every)
    _sure(door, "turns down", chosen, yes=yes)
    _tell(door, *_each(chosen, lambda r: door.client.reject(r, reason)))


def _choose(
    door: Door, ids: list[str] | None, policy: str, subject: str, state: State, *, every: bool
) -> list[str]:
    by_option = bool(policy or subject or every)
    if ids and by_option:
        raise Malformed("Give ids, or choose by --policy, --subject or --all; not both.")
    if every and (policy or subject):
        raise Malformed("--all is every open one; leave it out to choose by --policy or --subject.")
    if ids:
        return list(dict.fromkeys(ids))
    if not by_option:
        raise Malformed("Say which: ids, or --policy, --subject or --all.")
    return [r.id for r in door.client.restrictions(subject, policy, (state,), 1000)]


def _sure(door: Door, verb: str, chosen: list[str], *, yes: bool) -> None:
    if not chosen:
        note("None matches; nothing is changed.")
    if len(chosen) > 1:
        door.confirm(f"This {verb} {len(chosen)} restrictions.", yes=yes)


def _each(chosen: list[str], act: Callable[[str], Restriction]) -> list[Restriction]:
    """Do it to each in turn; the first error ends it, and what was done until then is said."""
    done: list[Restriction] = []
    for what in chosen:
        try:
            done.append(act(what))
        except Exception:
            with suppress(IndexError):
                note(f"Done before this failed: {len(done)} of {len(chosen)}, the last {done[-1].id}.")
            raise
    return done
