"""Put the commands together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from sekisho.cli import (
    balancers,
    exemptions,
    flows,
    notices,
    own,
    policies,
    restrictions,
    subjects,
    support,
    switch_changes,
    switch_hosts,
    switches,
    tokens,
    watch,
)

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
    for group in (watch, subjects, restrictions, own, exemptions, notices, tokens, flows, support):
        group.add_to(app)
    flows.add_backtest(policies.add_to(app))
    switch = typer.Typer(no_args_is_help=True, help="Switches: what each should be, and making it so.")
    app.add_typer(switch, name="switch")
    switches.add_to(switch)
    switch_changes.add_to(switch)
    balancer = typer.Typer(no_args_is_help=True, help="Load balancers: who carries them, and how they do.")
    app.add_typer(balancer, name="balancer")
    balancers.add_to(balancer)
    switch_hosts.add_to(switch)
    for register in more:
        register(app)
    return app
