"""Our error tree in Octavia's language: what it cannot do, and all else.

Octavia's own Conflict speaks of VIP addresses only, so ours is a driver's error too.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from octavia_lib.api.drivers import exceptions

from sekisho.model.errors import Forbidden, SekishoError, Unauthenticated, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Iterator

AWAY: Final = (
    "The service that keeps load balancers does not answer, so nothing was changed; "
    "what is balanced goes on. Try again soon."
)


def unsupported(asker: str, fixer: str = "") -> Exception:
    """Make the exception that says what cannot be done."""
    made: Exception = exceptions.UnsupportedOptionError(
        user_fault_string=asker, operator_fault_string=fixer or asker
    )
    return made


@contextmanager
def told() -> Iterator[None]:
    """Raise what the keeper's client raises in Octavia's words; then Octavia takes its change back.

    What the keeper does not know us for is the operator's trouble, not the asker's.
    """
    try:
        yield
    except Unsupported as error:
        raise unsupported(error.asker, error.fixer) from error
    except (Unavailable, Unauthenticated, Forbidden) as error:
        raise exceptions.DriverError(user_fault_string=AWAY, operator_fault_string=error.fixer) from error
    except SekishoError as error:
        raise exceptions.DriverError(
            user_fault_string=error.asker, operator_fault_string=error.fixer
        ) from error
