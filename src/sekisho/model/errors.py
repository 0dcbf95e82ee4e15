"""The one error tree.

    SekishoError
    ├── Malformed        what was given is not what was asked for
    ├── NotFound         it is not here
    ├── Conflict         it is here already, or changed meanwhile
    ├── Unauthenticated  we do not know who asks
    ├── Forbidden        the asker may not, or the guard refuses
    ├── Unsupported      the driver cannot
    ├── Refused          the device said no: do not retry
    └── Unavailable      nobody answered: retry after `retry_after` seconds

Each carries two sentences: `asker` for whoever asked, `fixer` for whoever must mend it (it may name
paths and hosts, and never leaves the operator's side).
"""

from __future__ import annotations


class SekishoError(Exception):
    """Root of the tree; raise one of its children."""

    def __init__(self, asker: str, fixer: str = "") -> None:
        super().__init__(asker)
        self.asker = asker
        self.fixer = fixer or asker


class Malformed(SekishoError):
    """What was given is not what was asked for; `problems` names every mistake with its place."""

    def __init__(self, asker: str, fixer: str = "", problems: tuple[str, ...] = ()) -> None:
        super().__init__(asker, fixer)
        self.problems = problems


class NotFound(SekishoError):
    """What was asked for is not here."""


class Conflict(SekishoError):
    """It exists already, or it changed since the asker looked."""


class Unauthenticated(SekishoError):
    """Nobody we know asks: no token, an unknown one, or one that has ended."""


class Forbidden(SekishoError):
    """The asker's role does not allow it, or the guard refuses to bind this subject."""


class Unsupported(SekishoError):
    """The driver cannot do this on its device."""


class Refused(SekishoError):
    """The device said no; asking again the same way will not help."""


class Unavailable(SekishoError):
    """Nobody answered; ask again after `retry_after` seconds."""

    def __init__(self, asker: str, fixer: str = "", retry_after: float = 1.0) -> None:
        super().__init__(asker, fixer)
        self.retry_after = retry_after
