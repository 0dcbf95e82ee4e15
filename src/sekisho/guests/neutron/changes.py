"""What a PUT or a DELETE of Neutron's API decides about a restriction, in the keeper's words."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from sekisho.model.errors import Malformed
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.client import Client
    from sekisho.model.restriction import Restriction

LONGEST: Final = 366 * 86400
DAY: Final = 86400
# What a PUT may make of it.
STATES: Final = (State.ACTIVE.value, State.LIFTED.value, State.REJECTED.value)
_LIFTED: Final = "lifted through Neutron"
_WAYS: Final = ("duration", "expires_at", "state")


def change(client: Client, entry: Restriction, body: Mapping[str, Any]) -> Restriction:
    """Let it end at another time, approve, lift or turn it down, as the body of a PUT says."""
    ways = [way for way in _WAYS if body.get(way) is not None]
    if len(ways) != 1:
        raise Malformed("Say one of duration (seconds from now), expires_at and state.")
    reason = str(body.get("reason") or "")
    if ways == ["state"]:
        return _decide(client, entry, str(body["state"]), reason)
    return client.extend(entry.id, duration(client, body), reason or "changed", entry.revision)


def _decide(client: Client, entry: Restriction, state: str, reason: str) -> Restriction:
    if state == State.ACTIVE:
        return client.approve(entry.id, reason)
    return end(client, entry, reason) if state == State.LIFTED else client.reject(entry.id, reason)


def end(client: Client, entry: Restriction, reason: str = "") -> Restriction:
    """Lift what binds; a proposal is turned down."""
    if entry.state is State.PROPOSED:
        return client.reject(entry.id, reason)
    return client.lift(entry.id, reason or _LIFTED)


def duration(client: Client, body: Mapping[str, Any]) -> float:
    """Tell for how many seconds from now, by the keeper's clock; a day where nothing is said."""
    seconds, until = body.get("duration"), body.get("expires_at")
    if seconds is not None and until is not None:
        raise Malformed("Say duration or expires_at, not both.")
    if until is None:
        return float(DAY if seconds is None else seconds)
    left = _moment(str(until)) - client.whoami().now
    if not 0 < left <= LONGEST:
        raise Malformed("expires_at is a moment within the next year.")
    return left


def _moment(text: str) -> float:
    try:
        read = datetime.fromisoformat(text)
    except ValueError as error:
        raise Malformed(f"expires_at: {text!r} is no moment; write 2027-01-01T00:00:00Z.") from error
    return (read if read.tzinfo else read.replace(tzinfo=UTC)).timestamp()
