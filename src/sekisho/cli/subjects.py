"""Commands about subjects: list, show, explain."""

from typing import Annotated

import typer

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, gather, page_size, table
from sekisho.cli.explain import page
from sekisho.cli.find import complete_subject, suggesting
from sekisho.model.cloud import OLD
from sekisho.model.inventory import Subject

Id = Annotated[
    str, typer.Argument(help="The subject's id (its virtual port).", autocompletion=complete_subject)
]
Limit = Annotated[int, typer.Option(min=0, help="How many at most; 0 for all.")]


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Whom Sekisho judges and binds: virtual ports.")
    app.add_typer(group, name="subjects")
    command(group, "list")(list_)
    command(group, "show")(show)
    command(app, "explain")(explain)


def list_(
    door: Door,
    host: Annotated[str, typer.Option(help="Only those on this host.")] = "",
    project: Annotated[str, typer.Option(help="Only those of this project.")] = "",
    flavor: Annotated[str, typer.Option(help="Only those whose server is of this flavor.")] = "",
    plan: Annotated[
        str, typer.Option(help="Only those with this plan: a QoS policy's id, name or tag.")
    ] = "",
    text: Annotated[str, typer.Option(help="Only those with this in their id, server or address.")] = "",
    limit: Limit = 100,
) -> None:
    """List the subjects in the inventory."""
    found = door.client.subjects(host, project, text, page_size(limit), flavor, plan)
    items, more = gather(found, limit)
    columns = ("subject", "server", "project", "plan", "host", "addresses", "mac")
    rows = ((s.id, s.server, s.project, _plan(s), s.host, ", ".join(s.addresses), s.mac) for s in items)
    door.tell_list(items, table(columns, rows, "No subject matches."), more=more)


def show(door: Door, subject: Id) -> None:
    """Show one subject: where it is and what it is called there."""
    with suggesting(door.client, subject):
        found = door.client.subject(subject)
    door.tell(found, facts(_facts(found)))


def _plan(subject: Subject) -> str:
    """Call a plan by its name, else by its id."""
    return (*subject.qos[1:2], *subject.qos[:1], "")[0]


def _since(subject: Subject) -> str:
    old = 0 < subject.project_created <= OLD
    return "before Sekisho" if old else words.moment(subject.project_created)


def _facts(subject: Subject) -> list[tuple[str, str]]:
    return [
        ("subject", subject.id),
        ("server", subject.server or "-"),
        ("project", subject.project or "-"),
        ("project since", _since(subject)),
        ("flavor", subject.flavor or "-"),
        ("plan", ", ".join(subject.qos) or "-"),
        ("network", subject.network or "-"),
        ("addresses", ", ".join(subject.addresses) or "-"),
        ("MAC", subject.mac or "-"),
        ("tags", ", ".join(subject.tags) or "-"),
        ("host", subject.host or "-"),
        ("bridge", subject.bridge or "-"),
        ("interface", subject.interface or "-"),
        ("ifindex", str(subject.ifindex or "-")),
        ("OpenFlow port", str(subject.ofport or "-")),
        ("VLAN", str(subject.vlan or "-")),
    ]


def explain(door: Door, subject: Id) -> None:
    """Explain why a subject is limited: since when, until when, on what evidence, how to free it."""
    with suggesting(door.client, subject):
        found = door.client.explain(subject)
    door.tell(found, *(() if door.as_json else page(found, door.now)))
