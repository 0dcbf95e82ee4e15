"""Commands about letters to people: notices list, retry, test."""

from itertools import islice
from typing import Annotated

import typer

from sekisho.cli import words
from sekisho.cli.door import Door, command, note, table
from sekisho.model.notice import LetterState


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="What people were told, and what could not be.")
    app.add_typer(group, name="notices")
    command(group, "list")(list_)
    command(group, "retry")(retry)
    command(group, "test")(test)


def list_(
    door: Door,
    state: Annotated[
        list[LetterState] | None, typer.Option(help="Only those that wait, were sent, or are dead.")
    ] = None,
    channel: Annotated[str, typer.Option(help="Only to this channel.")] = "",
    limit: Annotated[int, typer.Option(help="At most so many; 0 is all.")] = 100,
) -> None:
    """List letters, newest first."""
    items = tuple(islice(door.client.notices(tuple(state or ()), channel), limit or None))
    columns = ("letter", "channel", "to", "state", "tries", "written", "title", "problem")
    rows = (
        (
            n.id,
            n.channel,
            n.to or "-",
            n.state.value,
            str(n.attempts),
            words.moment(n.created),
            n.title,
            n.problem,
        )
        for n in items
    )
    door.tell_list(items, table(columns, rows, "Nobody was told anything."))


def retry(
    door: Door,
    letter: Annotated[list[str] | None, typer.Argument(help="The letters, such as n17.")] = None,
    *,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
) -> None:
    """Try letters again that were given up."""
    names = list(letter or ())
    if dead:
        names += [n.id for n in door.client.notices((LetterState.DEAD,))]
    for name in names:
        door.client.retry_notice(name)
    note(f"{len(names)} letters are tried again.")


def test(
    door: Door, channel: Annotated[str, typer.Argument(help="Its name in keeper.notices.channels.")]
) -> None:
    """Send a test letter to a channel."""
    door.client.test_notice(channel)
    note(f"A letter to {channel} is on its way: sekisho notices list --channel {channel}")
