"""Our error tree in Neutron's language: one table."""

from __future__ import annotations

import logging
import math
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import webob.exc
from neutron_lib import exceptions

from sekisho.host.tasks import Troubles
from sekisho.model import errors

if TYPE_CHECKING:
    from collections.abc import Iterator

log = logging.getLogger(__name__)

AWAY: Final = "The service that keeps restrictions does not answer; ports work as they did. Try again soon."
# Seconds after which to ask again where the keeper does not know us: a person has to mend that.
_MENDED: Final = 60


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


class RestrictionChanged(webob.exc.HTTPPreconditionFailed):
    """412: If-Match named another revision."""

    def __init__(self, wanted: int, present: int) -> None:
        super().__init__(detail=f"Constrained to {wanted}, but current revision is {present}")


class KeeperUnavailable(webob.exc.HTTPServiceUnavailable):
    """503 that says when to ask again; Neutron's own exceptions have no headers."""

    def __init__(self, retry_after: float) -> None:
        seconds = str(max(1, math.ceil(retry_after)))
        super().__init__(detail=AWAY, headers=[("Retry-After", seconds)])


TABLE: Final[dict[type[errors.SekishoError], Any]] = {
    errors.Malformed: RestrictionMalformed,
    errors.NotFound: RestrictionNotFound,
    errors.Conflict: RestrictionConflict,
    errors.Forbidden: RestrictionForbidden,
    errors.Unsupported: RestrictionMalformed,
    errors.Refused: RestrictionConflict,
}


_ASKING: Final = "asking the keeper"
_TROUBLES: Final = Troubles(log)


@contextmanager
def told(*, reads: bool = False) -> Iterator[None]:
    """Raise what the keeper's client raises in Neutron's words; nothing of the operator's side leaks.

    What the keeper does not know us for is Neutron's own trouble with it, not the asker's: the log says
    it. So is what it does not let Neutron read, as with a token of another role.
    """
    try:
        yield
    except errors.SekishoError as error:
        kind = None if reads and isinstance(error, errors.Forbidden) else TABLE.get(type(error))
        if kind is None:
            _TROUBLES.begin(_ASKING, error.fixer)
            raise KeeperUnavailable(getattr(error, "retry_after", _MENDED)) from error
        raise kind(said=error.asker) from error
    _TROUBLES.end(_ASKING)
