"""Commands about whom policies must leave alone: exempt list, add, revoke; the kill switch: enforce."""

from typing import Annotated

import typer

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, table
from sekisho.cli.find import complete_subject, suggesting
from sekisho.model.errors import Malformed
from sekisho.model.policy import Exemption, Scope
from sekisho.model.report import Enforcement
from sekisho.model.units import duration as seconds_of

Reason = Annotated[str, typer.Option(help="Why; it stands in the journal.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Whom the policies must leave alone.")
    app.add_typer(group, name="exempt")
    command(group, "list")(list_)
    command(group, "add")(add)
    command(group, "revoke")(revoke)
    switch = typer.Typer(no_args_is_help=True, help="The kill switch for everything automatic.")
    app.add_typer(switch, name="enforce")
    command(switch, "show")(show)
    command(switch, "on")(on)
    command(switch, "off")(off)


def list_(door: Door) -> None:
    """List the exemptions: who, from what, why, by whose word, until when."""
    items = door.client.exemptions()
    columns = ("exemption", "scope", "from", "until", "author", "reason")
    rows = [_row(e, door.now) for e in items] if items and not door.as_json else []
    door.tell_list(items, table(columns, rows, "Nobody is exempt."))


def _row(e: Exemption, now: float) -> tuple[str, ...]:
    until = f"{words.moment(e.until)} ({words.remaining(e.until, now)})" if e.until else "no end"
    return (e.id, words.scope(e.scope), ", ".join(e.policies) or "every policy", until, e.author, e.reason)


def add(
    door: Door,
    *,
    reason: Reason,
    subject: Annotated[
        list[str] | None, typer.Option(help="This subject.", autocompletion=complete_subject)
    ] = None,
    project: Annotated[list[str] | None, typer.Option(help="All of this project.")] = None,
    tag: Annotated[list[str] | None, typer.Option(help="All with this tag.")] = None,
    host: Annotated[list[str] | None, typer.Option(help="All on this host.")] = None,
    policy: Annotated[
        list[str] | None, typer.Option(help="Only from this policy; else from every one.")
    ] = None,
    duration: Annotated[str, typer.Option("--for", help="For how long: 24h, 7d; else without end.")] = "",
) -> None:
    """Exempt subjects from policies; they are still observed, and baselines still hold."""
    if not reason.strip():
        raise Malformed("Say why: --reason TEXT.")
    whom = Scope(tuple(project or ()), tuple(subject or ()), tuple(tag or ()), tuple(host or ()))
    if whom == Scope():
        raise Malformed("Say whom: --subject, --project, --tag or --host. To free all: sekisho enforce off.")
    for name in whom.subjects:
        with suggesting(door.client, name):
            door.client.subject(name)
    seconds = seconds_of(duration) if duration else 0.0
    made = door.client.exempt(whom, reason, seconds, tuple(policy or ()))
    until = f"until {words.moment(made.until)}" if made.until else "without end"
    door.tell(made, f"Exemption {made.id}: {words.scope(made.scope)}, {until}.")


def revoke(
    door: Door,
    exemption: Annotated[str, typer.Argument(help="The exemption's id.")],
    reason: Reason = "",
) -> None:
    """End an exemption: its subjects are judged again from now on."""
    door.client.revoke_exemption(exemption, reason)
    door.tell({"revoked": exemption}, f"Exemption {exemption} has ended.")


def show(door: Door) -> None:
    """Tell whether policies are enforced, and who said so."""
    _tell(door, door.client.enforcement())


def _tell(door: Door, found: Enforcement) -> None:
    state = "on: policies are enforced" if found.enabled else "OFF: nothing automatic is enforced"
    rows = [("enforcement", state)]
    rows += [("since", words.moment(found.since))] if found.since else []
    rows += [("by", found.author)] if found.author else []
    rows += [("reason", found.reason)] if found.reason else []
    door.tell(found, facts(rows))


def on(door: Door, reason: Reason) -> None:
    """Let policies be enforced again."""
    _tell(door, _turn(door, reason, enabled=True))


def off(
    door: Door,
    *,
    reason: Reason,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Lift everything automatic at once and keep it off; what people imposed by hand stays."""
    door.confirm("This lifts every automatic restriction in the cloud and keeps policies off.", yes=yes)
    _tell(door, _turn(door, reason, enabled=False))


def _turn(door: Door, reason: str, *, enabled: bool) -> Enforcement:
    if not reason.strip():
        raise Malformed("Say why: --reason TEXT.")
    return door.client.enforce(enabled=enabled, reason=reason)
