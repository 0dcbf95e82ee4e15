"""From error class to exit code and advice: the one table, documented in docs/reference/exit-codes.md."""

from __future__ import annotations

import contextlib
import sys
from typing import TYPE_CHECKING, Final

import typer

from sekisho.cli.words import clean, duration
from sekisho.model import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

# 1 is what Python leaves for a fault of ours, 2 is what the command line itself gives for wrong usage.
FAULT: Final = 1
USAGE: Final = 2
EXITS: Final[dict[type[errors.SekishoError], int]] = {
    errors.NotFound: 3,
    errors.Unauthenticated: 4,
    errors.Forbidden: 4,
    errors.Conflict: 5,
    errors.Malformed: 6,
    errors.Unavailable: 7,
    errors.Refused: 8,
    errors.Unsupported: 8,
}
ADVICE: Final[dict[type[errors.SekishoError], str]] = {
    errors.NotFound: "Look for it with `sekisho subjects list --text ...` or `sekisho restrictions list`.",
    errors.Unauthenticated: (
        "Give a valid token (--token-file FILE, SEKISHO_TOKEN_FILE or SEKISHO_TOKEN), "
        "or sign in through Keystone (--os-cloud NAME)."
    ),
    errors.Forbidden: "Ask with a token of a higher role, or see what forbids it: `sekisho exempt list`.",
    errors.Conflict: "Look at it again (`sekisho restrictions show ID`), then repeat what still applies.",
    errors.Malformed: "Correct what is named above and repeat the command.",
    errors.Unavailable: "Check that a keeper runs there and --url (or SEKISHO_URL) is right.",
    errors.Refused: "Asking again will not help; see the host's own log for what the switch said.",
    errors.Unsupported: "Choose an action that this host's switch can carry out.",
}


# Where to look instead, by the file of the command: whoever asks for a switch is not helped by ports.
_SWITCHES: Final = "Look for it with `sekisho switch list` or `sekisho switch changes`."
_AWAY: Final = (
    "If it is a switch that does not answer: see that it is up, and that [connect] in its file is right. "
    "If it is the keeper: see that one runs there and --url (or SEKISHO_URL) is right."
)
_TOKENS: Final = "Look for it with `sekisho token list`."
ELSEWHERE: Final[dict[str, dict[type[errors.SekishoError], str]]] = {
    name: {
        errors.NotFound: _SWITCHES,
        errors.Conflict: _SWITCHES,
        errors.Refused: "",
        errors.Unsupported: "",
        errors.Unavailable: _AWAY,
    }
    for name in ("switches", "switch_changes", "switch_hosts")
} | {
    "balancers": {
        errors.NotFound: "Look for it with `sekisho balancer list`.",
        errors.Conflict: "Look at it again (`sekisho balancer show ID`), then repeat what still applies.",
        errors.Refused: "",
        errors.Unsupported: "",
    },
    "tokens": {errors.NotFound: _TOKENS, errors.Conflict: _TOKENS},
    "own": {
        errors.NotFound: "Look for it with `sekisho self`.",
        errors.Conflict: "Look at it again with `sekisho self`.",
        errors.Unauthenticated: "Sign in through Keystone into your project: --os-cloud NAME, or OS_CLOUD.",
        errors.Forbidden: "",  # who is turned away there is told what else there is
    },
    "exemptions": {errors.NotFound: "Look for it with `sekisho exempt list`."},
    "policies": {errors.NotFound: "", errors.Conflict: ""},
    "watch": {errors.NotFound: "Look for it with `sekisho hosts`.", errors.Conflict: ""},
    "director": {
        errors.NotFound: "Start it where its keeper can be reached: `systemctl start sekisho-director`.",
        errors.Refused: "",
        errors.Unavailable: "Mend what is named above, then try again.",
    },
}


def code(error: errors.SekishoError) -> int:
    """Find the exit code of an error by the nearest class in the table."""
    return next((EXITS[kind] for kind in type(error).__mro__ if kind in EXITS), FAULT)


def sentences(error: errors.SekishoError, about: str = "") -> list[str]:
    """Say what went wrong, every problem of it, and what to do next.

    `about` is the file of the command, or the name of the process.
    """
    lines = [error.asker]
    if isinstance(error, errors.Malformed):
        lines += [f"  {p}" for p in error.problems if p not in error.asker]
    known = ADVICE | ELSEWHERE.get(about, {})
    advice = next((known[kind] for kind in type(error).__mro__ if kind in known), "")
    if isinstance(error, errors.Unavailable) and error.retry_after > 1:
        advice += f" Ask again in {duration(error.retry_after)}."
    return [clean(line) for line in [*lines, advice] if line]


@contextlib.contextmanager
def spoken(about: str = "") -> Iterator[None]:
    """Let an error of the tree end the program with its sentence on stderr and its exit code."""
    try:
        yield
    except errors.SekishoError as error:
        for line in sentences(error, about):
            print(line, file=sys.stderr)
        raise typer.Exit(code(error)) from error
