"""Commands about who asks: tokens (list, create, revoke), and oneself."""

import os
from pathlib import Path
from typing import Annotated

import typer

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, note, table
from sekisho.model.access import Role
from sekisho.model.errors import Malformed
from sekisho.model.units import duration as seconds_of


def add_to(app: typer.Typer) -> None:
    """Register the commands."""
    group = typer.Typer(no_args_is_help=True, help="Who may ask the keeper, and as what.")
    app.add_typer(group, name="token")
    command(group, "list")(list_)
    command(group, "create")(create)
    command(group, "revoke")(revoke)
    command(app, "whoami")(whoami)


def whoami(door: Door) -> None:
    """Show who you are to the keeper, in which role, and what that allows."""
    found = door.client.whoami()
    rows = [("name", found.name), ("role", found.role.value)]
    rows += [(name, value) for name, value in (("project", found.project), ("host", found.host)) if value]
    door.tell(found, facts([*rows, ("may", "\n".join(found.may))]))


def list_(door: Door) -> None:
    """List the tokens; the keeper does not know their secrets any more."""
    items = door.client.tokens()
    columns = ("token", "name", "role", "host", "created", "until")
    rows = (
        (
            t.id,
            t.name,
            t.role,
            t.host or "-",
            words.moment(t.created),
            words.moment(t.until) if t.until else "no end",
        )
        for t in items
    )
    door.tell_list(items, table(columns, rows))


def create(
    door: Door,
    name: Annotated[str, typer.Argument(help="Whose it is; it stands in the journal as the author.")],
    role: Annotated[Role, typer.Option(help="What it may do.")] = Role.VIEWER,
    host: Annotated[str, typer.Option(help="For an agent: the only host it speaks for.")] = "",
    duration: Annotated[str, typer.Option("--for", help="For how long: 90d; else without end.")] = "",
    save: Annotated[
        Path | None, typer.Option(help="Write the secret to this new file, for its owner only.")
    ] = None,
) -> None:
    """Create a token; its secret is told this once."""
    if save is not None and save.exists():
        raise Malformed(f"{save} exists already; name a new file.")
    seconds = seconds_of(duration) if duration else 0.0
    token, secret = door.client.create_token(name, role, host, seconds)
    if save is not None:
        _save(save, secret)
    until = words.moment(token.until) if token.until else "no end"
    kept = {"file": str(save)} if save else {"secret": secret}
    rows = [("token", token.id), ("name", token.name), ("role", token.role), ("until", until), *kept.items()]
    door.tell({"token": token, **kept}, facts(rows))
    if save is None:
        note("Keep the secret now: it is not told again.")


def _save(path: Path, secret: str) -> None:
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secret + "\n")
    except OSError as error:
        # The token exists: better shown than lost.
        note(f"{path} cannot be written ({error.strerror}); the secret is: {secret}")


def revoke(door: Door, token: Annotated[str, typer.Argument(help="The token's id.")]) -> None:
    """End a token: whoever uses it is turned away from now on."""
    door.client.revoke_token(token)
    door.tell({"revoked": token}, f"Token {token} has ended.")
