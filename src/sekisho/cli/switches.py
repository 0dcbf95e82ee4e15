"""Commands that look at switches: switch list, show, import, plan, drift, backup."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, note, table
from sekisho.cli.exits import EXITS
from sekisho.cli.tree import sent_lines
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.plain import to_plain
from sekisho.model.switch import Accord, ChangeView, Difference, DriftView, PlanView, SwitchView, Touch

Names = Annotated[list[str] | None, typer.Argument(help="Which switches; all of them unless named.")]
SwitchName = Annotated[str, typer.Argument(help="The switch's name: its file's, without .toml.")]

_HOW = {
    Accord.UNKNOWN: ("not read yet", ""),
    Accord.ACCORD: ("as its file says", "green"),
    Accord.PENDING: ("its file is not applied", "yellow"),
    Accord.DRIFT: ("changed by hand", "red"),
}
# So many changes are shown beside a switch.
SHOWN = 5


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    command(group, "list")(list_)
    command(group, "show")(show)
    command(group, "import")(import_)
    command(group, "plan")(plan)
    command(group, "drift")(drift)
    command(group, "backup")(backup)


def list_(door: Door) -> None:
    """List the switches: where they are, whether each is as its file says, what is wrong."""
    items = door.client.switches.list()
    columns = ("switch", "address", "pair", "model", "version", "is", ">differs", "read", "problem")
    rows = [_row(s, door.now) for s in items] if items and not door.as_json else []
    door.tell_list(items, table(columns, rows, "No switch has a file."))


def _row(s: SwitchView, now: float) -> tuple[str | Text, ...]:
    read = f"{words.duration(now - s.read)} ago" if s.read else "never"
    return (
        s.name,
        s.address,
        s.peer or "-",
        s.model or "-",
        s.version or "-",
        Text(*_HOW[s.accord]),
        str(s.differences),
        read,
        _trouble(s),
    )


def _trouble(s: SwitchView) -> str | Text:
    if s.doubt:
        return Text(f"nobody knows what {s.doubt} left on it", "bold red")
    if s.problem:
        return Text(words.clean(s.problem), "red")
    return Text(f"{s.changing} is under way", "yellow") if s.changing else "-"


def show(door: Door, switch: SwitchName) -> None:
    """Show one switch: what it is, what differs from its file, who made it differ, what was changed."""
    found = door.client.switches.show(switch)
    (differs,) = door.client.switches.drift((switch,))
    changes = tuple(
        c for c, _ in zip(door.client.switches.changes(switch, SHOWN), range(SHOWN), strict=False)
    )
    whole = {"switch": found, "drift": differs, "changes": changes}
    door.tell(whole, facts(_facts(found)), Text(""), _drift(differs), Text(""), changed(changes))


def _facts(s: SwitchView) -> list[tuple[str, str | Text]]:
    rows: list[tuple[str, str | Text]] = [
        ("switch", s.name),
        ("reached", f"{s.address} by {s.driver}"),
        ("pair", s.peer or "none"),
        ("says it is", ", ".join(filter(None, (s.hostname, s.model, s.serial, s.version))) or "-"),
        ("read", words.moment(s.read)),
        ("is", Text(*_HOW[s.accord])),
        ("on drift", s.policy.value),
    ]
    trouble = _trouble(s)
    return rows if trouble == "-" else [*rows, ("problem", trouble)]


def changed(changes: Sequence[ChangeView]) -> RenderableType:
    """Lay out changes, newest first."""
    columns = ("change", "switch", "what", "who", "when", "why", "how it ended")
    rows = (
        (
            c.id,
            c.switch,
            f"{c.verb}: {c.state}",
            c.author,
            words.moment(c.created),
            c.reason,
            c.error or c.receipt or "-",
        )
        for c in changes
    )
    return table(columns, rows, "Nothing was ever changed.")


def import_(
    door: Door,
    switch: SwitchName,
    save: Annotated[Path | None, typer.Option(help="Write it to this new file, for its owner only.")] = None,
) -> None:
    """Write a switch as it is as a file to begin with; its file needs [connect] and no more.

    The text holds the switch's secrets (SNMP communities, hashes of passwords).
    """
    text = door.client.switches.export(switch)
    if save is None:
        door.tell({"switch": switch, "text": text}, text.rstrip("\n"))
        return
    write(save, text)
    door.tell({"switch": switch, "file": str(save)}, f"{switch} is written to {save}.")


def write(path: Path, text: str) -> None:
    """Write a new file for its owner alone; raises Malformed when it is there already."""
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(text)
    except OSError as error:
        raise Malformed(f"{path} cannot be written: {error.strerror}; name a new file.") from error


def plan(
    door: Door,
    switches: Names = None,
    *,
    save: Annotated[Path | None, typer.Option(help="Write the plans to this new file, for apply.")] = None,
    brief: Annotated[bool, typer.Option("--brief", help="Without what would be sent.")] = False,
) -> None:
    """Show what would change on switches: in words, as it would be sent, and what it risks."""
    found = door.client.switches.plan(tuple(switches or ()))
    door.tell_list(found, shown_plans(found, brief=brief))
    if save is not None:
        write(save, json.dumps({"plans": to_plain(found)}, indent=2) + "\n")
        note(f"Written to {save}: sekisho switch apply --plan {save} --reason TEXT")
    _end([p for p in found if p.problem])


def _end(bad: Sequence[PlanView] | Sequence[DriftView]) -> None:
    """End so that a script sees that not every switch could be looked at, as `apply` ends then."""
    if bad:
        raise typer.Exit(EXITS[why(bad)])


def why(bad: Sequence[PlanView] | Sequence[DriftView]) -> type[Malformed | Unavailable]:
    """Say what kind of error it is that some could not be looked at: Unavailable where all are away."""
    return Unavailable if all(b.away for b in bad) else Malformed


def shown_plans(found: Sequence[PlanView], *, brief: bool = False) -> RenderableType:
    """Lay out plans; of switches without differences a line for all."""
    same = [p.switch for p in found if not p.steps and not p.problem]
    parts: list[RenderableType] = []
    for each in found:
        if each.switch not in same:
            parts += [*_plan(each, brief=brief), Text("")]
    if same:
        parts.append(Text(f"Nothing differs on {', '.join(same)}." if found else "No switch has a file."))
    return Group(*parts) if parts else Text("No switch has a file.")


def _plan(each: PlanView, *, brief: bool) -> list[RenderableType]:
    parts: list[RenderableType] = [Text(words.clean(f"{each.switch}  {each.fingerprint[:12]}"), "bold")]
    if each.problem:
        return [*parts, Text(f"  {words.clean(each.problem)}", "red")]
    parts += [Text(f"  {words.clean(s)}") for s in each.steps]
    for risk in each.risks:
        mark = "forbidden" if risk.forbidden else "risk"
        style = "bold red" if risk.forbidden else "yellow"
        parts.append(Text(f"  {mark} [{risk.kind}]: {words.clean(risk.sentence)}", style))
    for sent in () if brief else each.sent:
        parts.append(Text(f"  sent by {sent.how}:", "dim"))
        parts += [Text(f"    {words.clean(line)}", "dim") for line in sent_lines(sent.text)]
    return parts


def drift(
    door: Door,
    switches: Names = None,
    *,
    now: Annotated[bool, typer.Option("--now", help="Read the switches now; else as last looked.")] = False,
) -> None:
    """Show what differs from the files, since when it may be so, and who changed it."""
    found = door.client.switches.drift(tuple(switches or ()), fresh=now)
    parts = [part for each in found for part in (_drift(each), Text(""))][:-1]
    door.tell_list(found, Group(*parts) if parts else Text("No switch has a file."))
    _end([d for d in found if now and d.problem])


def _drift(each: DriftView) -> RenderableType:
    how, style = _HOW[each.accord]
    since = f", seen in accord {words.moment(each.since)}" if each.since and each.differences else ""
    parts = [Text(words.clean(f"{each.switch}: {how}{since}"), style or "bold")]
    if each.problem:
        parts.append(Text(f"  {words.clean(each.problem)}", "red"))
    for d in each.differences:
        parts += _difference(d)
    if each.differences and each.others:
        parts.append(Text("  Also done since:"))
        parts += [Text(f"    {_touch(t)}") for t in each.others]
    return Group(*parts)


def _difference(d: Difference) -> list[Text]:
    return [Text(f"  {words.clean(d.sentence)}"), *(Text(f"    {_touch(t)}", "dim") for t in d.by)]


def _touch(t: Touch) -> str:
    origin = f" from {t.origin}" if t.origin else ""
    return words.clean(f"{words.moment(t.time)} {t.user}{origin}: {t.command}")


def backup(
    door: Door,
    switch: SwitchName,
    *,
    now: Annotated[bool, typer.Option("--now", help="Keep the running-config of this moment.")] = False,
    text: Annotated[str, typer.Option("--show", help="Print this backup; it holds secrets.")] = "",
    diff: Annotated[str, typer.Option("--diff", help="Compare this backup with what runs now.")] = "",
    other: Annotated[str, typer.Option("--with", help="Compare with this backup instead.")] = "",
) -> None:
    """List the kept running-configs of a switch, keep one now, print one, or compare two."""
    if other and not diff:
        raise Malformed("Say what to compare with it: --diff BACKUP.")
    if text:
        found = door.client.switches.backup_text(switch, text)
        door.tell({"backup": text, "text": found}, found.rstrip("\n"))
    elif diff:
        found = door.client.switches.backup_diff(switch, diff, other)
        door.tell({"backup": diff, "diff": found}, found.rstrip("\n") or "Nothing differs.")
    elif now:
        made = door.client.switches.backup(switch)
        door.tell(made, f"{switch}: {made.name}, {words.volume(made.size)}.")
    else:
        items = door.client.switches.backups(switch)
        rows = ((b.name, words.moment(b.time), words.volume(b.size)) for b in items)
        door.tell_list(items, table(("backup", "taken", ">size"), rows, "Nothing is kept yet."))
