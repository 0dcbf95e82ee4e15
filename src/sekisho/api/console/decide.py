"""What people decide on pages: a form in, the keeper's decision, and where to go on.

Each says to the keeper what the API's route of the same name says.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from sekisho.api.console.asking import malformed
from sekisho.model import units
from sekisho.model.errors import Malformed, SekishoError
from sekisho.model.policy import Direction, Drop, Police, Protocol, Scope, unfit

if TYPE_CHECKING:
    from sekisho.api.console.asking import Asked
    from sekisho.api.console.view import Ask
    from sekisho.model.policy import Action

# A page's restrictions at once.
AT_ONCE: Final = 1000
LONGEST: Final = 100 * 365.25 * 86400


@dataclass(frozen=True, slots=True)
class Done:
    """What to tell the reader (a code of `told.html`, and what it names), and where to go on."""

    code: str
    to: str
    about: dict[str, Any] = field(default_factory=dict)


def lift(ask: Ask) -> Done:
    """Lift one restriction, or many for one reason; each is lifted or told why not."""
    names, reason, key = ask.query.many("restriction"), ask.query.need("reason"), ask.query.text("key")
    to = ask.query.text("next")
    ask.query.done()
    if not names:
        raise malformed("restriction", "choose at least one.")
    if len(names) > AT_ONCE:
        raise malformed("restriction", f"at most {AT_ONCE:,} at once.")
    failed = []
    for name in names:
        try:
            ask.keeper.lift(ask.who, name, reason, key and f"{key}:{name}")
        except SekishoError as error:
            if len(names) == 1:
                raise
            failed.append(f"{name}: {error.asker}")
    lifted = len(names) - len(failed)
    return Done("lifted", to or "/restrictions", {"lifted": lifted, "failed": failed[:20]})


def approve(ask: Ask) -> Done:
    """Put a proposal in force."""
    name, reason, key, to = _named(ask.query)
    ask.keeper.approve(ask.who, name, reason, key)
    return Done("approved", to, {"name": name})


def reject(ask: Ask) -> Done:
    """Turn a proposal down."""
    name, reason, key, to = _named(ask.query)
    ask.keeper.reject(ask.who, name, reason, key)
    return Done("rejected", to, {"name": name})


def extend(ask: Ask) -> Done:
    """Let a restriction end some time from now, if it is still the one that was seen."""
    duration, seen = _length(ask.query), ask.query.number("revision")
    name, reason, key, to = _named(ask.query, why=True)
    ask.keeper.extend(ask.who, name, duration, reason, int(seen) or None, key)
    return Done("extended", to, {"name": name})


def impose(ask: Ask) -> Done:
    """Bind a subject by hand."""
    query = ask.query
    subject, reason, key = query.need("subject"), query.need("reason"), query.text("key")
    actions, duration = (action(query),), _length(query)
    query.done()
    made = ask.keeper.impose(ask.who, subject, actions, reason, duration, key)
    return Done("imposed", f"/subjects/{quote(subject)}", {"name": made.id})


def action(query: Asked) -> Action:
    """Read the one action of a form: drop a protocol's ports, or limit the rate."""
    what = query.choice("what", ("drop", "limit"), "drop")
    direction = (query.kind("direction", Direction) or (Direction.EGRESS,))[0]
    protocol = (query.kind("protocol", Protocol) or (Protocol.TCP,))[0]
    ports, rate = query.text("ports"), query.text("rate")
    if what == "limit":
        made: Action = Police(_rate(rate), direction)
    else:
        made = Drop(protocol, direction, *_ports(ports))
    why = unfit(made)
    if why:
        raise malformed("ports" if what == "drop" else "rate", why)
    return made


def exempt(ask: Ask) -> Done:
    """Exempt one subject, from one policy or from all."""
    query = ask.query
    subject, reason, key = query.need("subject"), query.need("reason"), query.text("key")
    duration, policies = query.duration("duration"), query.many("policy")
    query.done()
    scope = Scope(subjects=(subject,))
    made = ask.keeper.exempt(ask.who, scope, reason, duration, policies, key)
    return Done("exempted", f"/subjects/{quote(subject)}", {"name": made.id})


def revoke_exemption(ask: Ask) -> Done:
    """End an exemption."""
    name, reason, to = ask.query.need("exemption"), ask.query.text("reason"), ask.query.text("next")
    ask.query.text("key")
    ask.query.done()
    ask.keeper.revoke_exemption(ask.who, name, reason)
    return Done("revoked", to or "/policies", {"name": name})


def reload(ask: Ask) -> Done:
    """Read the policy files anew."""
    ask.query.text("key")
    ask.query.done()
    view = ask.keeper.reload_policies(ask.who)
    return Done("refused" if view.problems else "reloaded", "/policies")


def enforce(ask: Ask) -> Done:
    """Turn the kill switch."""
    enabled = ask.query.choice("enabled", ("yes", "no"), "") == "yes"
    reason = ask.query.need("reason")
    ask.query.text("key")
    ask.query.done()
    ask.keeper.enforce(ask.who, enabled=enabled, reason=reason)
    return Done("enforcing" if enabled else "released", "/policies")


def _named(query: Asked, *, why: bool = False) -> tuple[str, str, str, str]:
    name = query.need("restriction")
    reason = query.need("reason") if why else query.text("reason")
    key, to = query.text("key"), query.text("next") or f"/restrictions/{quote(name)}"
    query.done()
    return name, reason, key, to


def _length(query: Asked) -> float:
    found = query.duration("duration")
    if not 0 < found <= LONGEST:
        raise malformed("duration", 'say how long, for example "10min", "24h" or "7d".')
    return found


def _rate(text: str) -> int:
    try:
        return units.bit_rate(text)
    except Malformed as error:
        raise malformed("rate", error.asker) from error


def _ports(text: str) -> tuple[int, int]:
    first, _, last = text.partition("-")
    try:
        return (int(first), int(last or first)) if text else (0, 0)
    except ValueError as error:
        raise malformed("ports", f'{text!r} is no port; write for example "25" or "6000-6010".') from error
