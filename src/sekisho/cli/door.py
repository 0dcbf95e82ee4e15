"""What every command of this door shares: its options, the keeper's client, and the way to the reader."""

from __future__ import annotations

import contextlib
import functools
import inspect
import json
import sys
import typing
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import TYPE_CHECKING, Annotated, Any, Concatenate, Final, ParamSpec, TypeVar

import typer
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sekisho.cli.connect import connect
from sekisho.cli.exits import USAGE, spoken
from sekisho.cli.words import clean
from sekisho.model.plain import to_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from sekisho.client import Client

P = ParamSpec("P")
T = TypeVar("T")

# Whoever pipes wants whole lines, however long.
UNBOUNDED: Final = 100_000
PAGE: Final = 1000

Url = Annotated[str, typer.Option("--url", help="The keeper's address; else SEKISHO_URL, else client.toml.")]
TokenFile = Annotated[
    str, typer.Option("--token-file", help="File with the token; else SEKISHO_TOKEN_FILE or SEKISHO_TOKEN.")
]
OsCloud = Annotated[
    str,
    typer.Option(
        "--os-cloud", help="Sign in through Keystone, by this entry of clouds.yaml; else OS_CLOUD, OS_*."
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with one JSON document.")]
COMMON: Final = {
    "url": (Url, ""),
    "token_file": (TokenFile, ""),
    "os_cloud": (OsCloud, ""),
    "as_json": (Json, False),
}


@dataclass
class Door:
    """One command's connection and output; nothing is asked before the command asks."""

    url: str = ""
    token_file: str = ""
    os_cloud: str = ""
    as_json: bool = False

    @cached_property
    def client(self) -> Client:
        """The keeper's client."""
        return connect(self.url, self.token_file, cloud=self.os_cloud)

    def close(self) -> None:
        """Close the connection, if there ever was one."""
        if "client" in vars(self):
            self.client.close()

    @cached_property
    def now(self) -> float:
        """The keeper's clock, which all its times are by; the reader's own may be wrong."""
        return self.client.whoami().now

    @cached_property
    def console(self) -> Console:
        """Where answers go: colours on a terminal only, whole lines into a pipe."""
        return console()

    def tell(self, noun: Any, *shown: RenderableType) -> None:
        """Give the answer: as JSON if asked for, else as it is shown."""
        if self.as_json:
            print(json.dumps(to_plain(noun), indent=2))
            return
        for part in shown:
            write(self.console, clean(part) if isinstance(part, str) else part)

    def tell_list(self, items: Sequence[Any], shown: RenderableType, *, more: bool = False) -> None:
        """Give a list, and say when there is more of it."""
        self.tell({"items": items, "more": more}, shown)
        if more and not self.as_json:
            note("There is more: ask with a greater --limit, or --limit 0 for everything.")

    def confirm(self, what: str, *, yes: bool) -> None:
        """Ask before something that touches many; without a terminal to ask at, --yes must say it."""
        if yes:
            return
        if not at_terminal():
            note(f"{what} Say --yes to do this without being asked.")
            raise typer.Exit(USAGE)
        typer.confirm(f"{clean(what)} Go on?", abort=True, err=True)


def at_terminal() -> bool:
    """Tell whether somebody is there to be asked."""
    return sys.stdin.isatty()


def on_screen() -> bool:
    """Tell whether answers go to a terminal."""
    return sys.stdout.isatty()


def console() -> Console:
    """Make a console on the present stdout that reads no markup into names and reasons."""
    width = None if on_screen() else UNBOUNDED
    return Console(markup=False, highlight=False, emoji=False, width=width, soft_wrap=False)


def write(to: Console, part: RenderableType) -> None:
    """Print one part; into a pipe without the blanks that fill up a table's lines."""
    if to.is_terminal:
        to.print(part)
        return
    with to.capture() as lines:
        to.print(part)
    for line in lines.get().rstrip("\n").split("\n"):
        print(line.rstrip())


def note(text: str) -> None:
    """Say something beside the answer."""
    print(clean(text), file=sys.stderr)


def table(
    columns: Sequence[str], rows: Iterable[Sequence[str | Text]], empty: str = "none"
) -> RenderableType:
    """Lay out a list; columns starting with ``>`` are aligned to the right."""
    made = Table(box=box.SIMPLE_HEAD if on_screen() else None, pad_edge=False)
    for name in columns:
        made.add_column(
            name.lstrip(">"), justify="right" if name.startswith(">") else "left", overflow="fold"
        )
    for row in rows:
        made.add_row(*(cell if isinstance(cell, Text) else clean(cell) for cell in row))
    return made if made.row_count else Text(empty)


def facts(rows: Iterable[tuple[str, str | Text]]) -> Table:
    """Lay out names and values, one each line."""
    made = Table.grid(padding=(0, 2), pad_edge=False)
    made.add_column(style="bold", no_wrap=True)
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(name, value if isinstance(value, Text) else clean(value))
    return made


def gather(found: Iterator[T], limit: int) -> tuple[tuple[T, ...], bool]:
    """Take `limit` items of a list, 0 for all, and tell whether there are more."""
    if not limit:
        return tuple(found), False
    taken = tuple(islice(found, limit))
    return taken, next(found, None) is not None


def page_size(limit: int) -> int:
    """How many to ask for at once, with one more to know whether there are more."""
    return min(PAGE, limit + 1) if limit else PAGE


def command(
    group: typer.Typer, name: str
) -> Callable[[Callable[Concatenate[Door, P], None]], Callable[Concatenate[Door, P], None]]:
    """Register a command: the common options are added, and errors end it with their exit code."""

    def register(act: Callable[Concatenate[Door, P], None]) -> Callable[Concatenate[Door, P], None]:
        group.command(name)(_with_common(act))
        return act

    return register


def alone(
    group: typer.Typer,
) -> Callable[[Callable[Concatenate[Door, P], None]], Callable[Concatenate[Door, P], None]]:
    """Register what a group does where none of its commands is named; the common options are added too."""

    def register(act: Callable[Concatenate[Door, P], None]) -> Callable[Concatenate[Door, P], None]:
        run = _with_common(act)

        def opened(context: typer.Context, **given: Any) -> None:
            if context.invoked_subcommand is None:
                run(**given)
            elif lost := _typed(context):
                # They would be lost, and an address with them: another keeper would be asked.
                context.fail(f"Write {', '.join(lost)} behind {context.invoked_subcommand}.")

        first = inspect.Parameter("context", inspect.Parameter.KEYWORD_ONLY, annotation=typer.Context)
        parameters = (first, *inspect.signature(run).parameters.values())
        opened.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what Typer reads
        opened.__annotations__ = {p.name: p.annotation for p in parameters}
        group.callback(invoke_without_command=True)(opened)
        opened.__doc__ = act.__doc__
        return act

    return register


def _typed(context: typer.Context) -> list[str]:
    """Name the options that somebody typed."""
    kinds = {p.name: p.opts[0] for p in context.command.params}
    found = ((name, context.get_parameter_source(name)) for name in context.params)
    return [kinds[name] for name, source in found if source is not None and source.name == "COMMANDLINE"]


def _with_common(act: Callable[..., None]) -> Callable[..., None]:
    @functools.wraps(act)
    def run(**given: Any) -> None:
        door = Door(**{name: given.pop(name) for name in COMMON})
        with spoken(act.__module__.rpartition(".")[2]), contextlib.closing(door):
            act(door, **given)

    hints = typing.get_type_hints(act, include_extras=True)
    own = list(inspect.signature(act).parameters.values())[1:]
    kind = inspect.Parameter.KEYWORD_ONLY
    parameters = [p.replace(annotation=hints[p.name], kind=kind) for p in own] + [
        inspect.Parameter(name, kind, default=default, annotation=hint)
        for name, (hint, default) in COMMON.items()
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined] # what Typer reads
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    del run.__wrapped__  # else its signature would win
    return run
