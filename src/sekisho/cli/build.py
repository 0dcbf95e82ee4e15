"""Put the commands together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sekisho.cli import exemptions, policies, restrictions, subjects, tokens, watch

if TYPE_CHECKING:
    from collections.abc import Callable

ABOUT = "The traffic checkpoint of an OpenStack cloud: who is limited, why, until when, and how to free them."


def build(*more: Callable[[typer.Typer], None]) -> typer.Typer:
    """Make the program of all client commands; each of `more` registers further ones on it."""
    app = typer.Typer(
        name="sekisho",
        help=ABOUT,
        no_args_is_help=True,
        pretty_exceptions_show_locals=False,  # locals hold tokens
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    for group in (watch, subjects, restrictions, policies, exemptions, tokens):
        group.add_to(app)
    for register in more:
        register(app)
    return app
