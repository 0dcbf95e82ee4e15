"""Commands about policies and baselines: list, show, check, reload."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, note, table
from sekisho.cli.exits import EXITS
from sekisho.detect.detectors.catalogue import CATALOGUE, LARGEST
from sekisho.metering.catalogue import METERED
from sekisho.model.errors import Malformed, NotFound
from sekisho.model.policy import Baseline, Condition, Mode, Policy, Step
from sekisho.model.policy_file import load
from sekisho.model.report import PolicyView

# What turns a mode back.
FILE = "file"


def add_to(app: typer.Typer) -> typer.Typer:
    """Register the commands; gives the group of those about policies."""
    group = typer.Typer(no_args_is_help=True, help="What happens to who misbehaves.")
    app.add_typer(group, name="policy")
    command(group, "list")(list_)
    command(group, "show")(show)
    command(group, "check")(check)
    command(group, "reload")(reload)
    command(group, "mode")(mode)
    standing = typer.Typer(no_args_is_help=True, help="Standing restrictions by scope, without end.")
    app.add_typer(standing, name="baseline")
    command(standing, "list")(baselines)
    return group


def list_(door: Door) -> None:
    """List the policies in force."""
    view = door.client.policies()
    columns = ("policy", "mode", "crossed when", "then", "for")
    rows = (
        (p.name, p.mode, " and ".join(map(_condition, p.conditions)), _ladder(p), words.scope(p.scope))
        for p in view.policies.policies
    )
    door.tell_list(view.policies.policies, table(columns, rows, "No policies are in force."))
    _complain(view)


def _condition(c: Condition) -> str:
    line = c.threshold.text or words.number(c.threshold.amount)
    return f"{c.detector} over {line}"


def _ladder(p: Policy) -> str:
    return ", then ".join(map(_step, p.ladder))


def _step(step: Step) -> str:
    return f"{words.actions(step.actions)} for {words.duration(step.duration)}"


def _complain(view: PolicyView) -> None:
    for o in view.overrides:
        since = f"{words.moment(o.since)} by {o.author}: {o.reason}"
        note(f"{o.policy} is turned to {o.mode} (its file says {o.written}) since {since}")
    if view.problems:
        note("A newer version of the policy files is refused; what is shown stays in force. Its problems:")
        for problem in view.problems:
            note(f"  {problem}")


def show(door: Door, name: Annotated[str, typer.Argument(help="The policy's or baseline's name.")]) -> None:
    """Show one policy or baseline in full."""
    held = door.client.policies().policies
    nouns: tuple[Policy | Baseline, ...] = (*held.policies, *held.baselines)
    match next((p for p in nouns if p.name == name), None):
        case Policy() as found:
            door.tell(found, facts(_policy_facts(found)))
        case Baseline() as found:
            door.tell(found, facts(_baseline_facts(found)))
        case None:
            names = ", ".join(sorted(p.name for p in nouns)) or "none"
            raise NotFound(f"There is no policy or baseline named {name!r}; in force are: {names}.")


def _policy_facts(p: Policy) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [("policy", p.name), ("mode", p.mode)]
    if p.description:
        rows.append(("description", p.description))
    rows += [("crossed when", _condition(c)) for c in p.conditions[:1]]
    rows += [("and", _condition(c)) for c in p.conditions[1:]]
    rows += [("for windows", f"{p.windows} in a row, at {p.confidence:.0%} confidence")]
    rows += [(f"offence {n}", _step(step)) for n, step in enumerate(p.ladder, 1)]
    longest = words.duration(p.max_duration)
    rows.append(("beyond", f"{words.number(p.backoff)} times as long each time, at most {longest}"))
    rows.append(("forgotten after", words.duration(p.memory)))
    return [*rows, ("destinations", p.destinations), ("scope", words.scope(p.scope))]


def _baseline_facts(b: Baseline) -> list[tuple[str, str | Text]]:
    return [
        ("baseline", b.name),
        ("description", b.description or "-"),
        ("actions", words.actions(b.actions)),
        ("scope", words.scope(b.scope)),
    ]


def baselines(door: Door) -> None:
    """List the baselines in force."""
    view = door.client.policies()
    rows = (
        (b.name, words.actions(b.actions), words.scope(b.scope), b.description)
        for b in view.policies.baselines
    )
    columns = ("baseline", "actions", "for", "description")
    door.tell_list(view.policies.baselines, table(columns, rows, "No baselines are in force."))
    _complain(view)


def reload(door: Door) -> None:
    """Let the keeper read its policy files anew; a bad file leaves the old policies in force."""
    view = door.client.reload_policies()
    held = view.policies
    door.tell(view, f"In force: {_counted(held.policies, held.baselines)}, version {held.version}.")
    _complain(view)
    if view.problems:
        raise typer.Exit(EXITS[Malformed])


def mode(
    door: Door,
    name: Annotated[str, typer.Argument(help="The policy's name.")],
    wanted: Annotated[str, typer.Argument(metavar="MODE", help="watch, propose, enforce, or file.")],
    *,
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")] = False,
) -> None:
    """Turn a policy's mode over what its file says; `file` turns it back to that."""
    if wanted not in (*Mode, FILE):
        raise Malformed(f"{wanted!r} is none of {', '.join((*Mode, FILE))}.")
    if not reason.strip():
        raise Malformed("Say why: --reason TEXT.")
    chosen = None if wanted == FILE else Mode(wanted)
    # Turned back, a policy is what its file says, which may be to bind.
    turned = None if chosen else door.client.policies().override(name)
    becomes = turned.written if turned else chosen
    if becomes is Mode.ENFORCE:
        door.confirm(
            f"From now on {name} binds whoever crosses its line, within the guard's limits.", yes=yes
        )
    view = door.client.set_mode(name, chosen, reason)
    found = view.policies.need(name)
    said = "as its file says" if view.override(name) is None else "over its file"
    door.tell(found, f"{name}: {found.mode}, {said}.")


def check(
    door: Door,
    files: Annotated[list[Path], typer.Argument(metavar="FILE...", help="TOML files, or folders of them.")],
    *,
    ask: Annotated[
        bool, typer.Option("--ask-keeper", help="Let the keeper check, which knows added detectors.")
    ] = False,
) -> None:
    """Check policy files, without a keeper; every mistake is shown with its line and path."""
    texts = read_texts(files)
    if ask:
        _verdict(door, [p for text in texts.values() for p in door.client.check_policies(text)])
        return
    try:
        policies, standing = load(texts, CATALOGUE | METERED, LARGEST)
    except Malformed as error:
        _verdict(door, list(error.problems) or [error.asker])
        return
    _verdict(door, [], f"Good: {_counted(policies, standing)}.")
    nouns: tuple[Policy | Baseline, ...] = (*policies, *standing)
    for noun in nouns:
        if noun.scope.plans_by_name:
            named = ", ".join(map(repr, noun.scope.plans_by_name))
            note(f"{noun.name}: plans go by name ({named}): the keeper must ask the cloud ([keeper.cloud]).")


def _counted(policies: Sequence[Policy], standing: Sequence[Baseline]) -> str:
    return f"{words.count(len(policies), 'policy', 'policies')}, {words.count(len(standing), 'baseline')}"


def read_texts(files: list[Path]) -> dict[str, str]:
    """Read policy files by name, and all of a folder; raises Malformed."""
    return {str(path): _read(path) for path in _expanded(files)}


def _expanded(files: list[Path]) -> list[Path]:
    return [
        path for given in files for path in (sorted(given.glob("*.toml")) if given.is_dir() else (given,))
    ]


def _read(path: Path) -> str:
    try:
        return sys.stdin.read() if str(path) == "-" else path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"{path} cannot be read: {error}.") from error


def _verdict(door: Door, problems: list[str], good: str = "Good.") -> None:
    door.tell({"problems": problems}, "\n".join(problems) or good)
    if problems:
        note(f"{words.count(len(problems), 'problem')}; nothing was changed.")
        raise typer.Exit(EXITS[Malformed])
