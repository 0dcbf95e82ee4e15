"""Our error tree in Neutron's language: one table."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from neutron_lib import exceptions

from sekisho.model import errors

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Said:
    """An exception of Neutron's that says what ours says."""

    message = "%(said)s"


class RestrictionMalformed(_Said, exceptions.BadRequest):
    """400."""


class RestrictionNotFound(_Said, exceptions.NotFound):
    """404."""


class RestrictionConflict(_Said, exceptions.Conflict):
    """409."""


class RestrictionForbidden(_Said, exceptions.NotAuthorized):
    """403."""


class KeeperUnavailable(_Said, exceptions.ServiceUnavailable):
    """503."""


# Unauthenticated is Neutron's own trouble with the keeper, not the asker's.
TABLE: Final[dict[type[errors.SekishoError], Any]] = {
    errors.Malformed: RestrictionMalformed,
    errors.NotFound: RestrictionNotFound,
    errors.Conflict: RestrictionConflict,
    errors.Forbidden: RestrictionForbidden,
    errors.Unsupported: RestrictionMalformed,
    errors.Refused: RestrictionConflict,
    errors.Unauthenticated: KeeperUnavailable,
    errors.Unavailable: KeeperUnavailable,
}
AWAY: Final = "The service that keeps restrictions does not answer; ports work as they did. Try again soon."


@contextmanager
def told() -> Iterator[None]:
    """Raise what the keeper's client raises in Neutron's words; nothing of the operator's side leaks."""
    try:
        yield
    except errors.SekishoError as error:
        kind = TABLE.get(type(error), KeeperUnavailable)
        raise kind(said=AWAY if kind is KeeperUnavailable else error.asker) from error
