"""The command about the cloud's VLANs: switch hosts."""

from collections.abc import Iterator
from typing import Annotated

import typer
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import Door, command, table
from sekisho.model.attachment import Attachment, Place


def add_to(group: typer.Typer) -> None:
    """Register the command."""
    command(group, "hosts")(hosts)


def hosts(
    door: Door,
    host: Annotated[str, typer.Argument(help="Only this host, by the name its agent has.")] = "",
) -> None:
    """List the hosts that the cloud wants VLANs on: which, on which ports, and whether they are there."""
    items = [a for a in door.client.attachments() if host in ("", a.host)]
    columns = ("host", "VLANs", "switch", "ports", "carried")
    rows = [row for item in items for row in _rows(item)] if not door.as_json else []
    door.tell_list(items, table(columns, rows, "No host wants a VLAN."))


def _rows(found: Attachment) -> Iterator[tuple[str | Text, ...]]:
    ids = words.clean(", ".join(str(v.id) for v in found.vlans)) or "-"
    if not found.places:
        yield found.host, ids, "-", "-", Text("no switch is known to have it", "red")
    for place in found.places:
        yield found.host, ids, place.switch, ", ".join(place.ports) or "-", _carried(place)


def _carried(place: Place) -> str | Text:
    if place.problem:
        return Text(words.clean(place.problem), "red")
    return "yes" if place.carried else Text("under way", "yellow")
