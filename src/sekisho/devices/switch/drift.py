"""Who may have made a switch differ from its file: steps and the switch's own record in, names out."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import key
from sekisho.devices.switch.said import masked
from sekisho.devices.switch.words import sentence
from sekisho.model.switch import Difference, Touch

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from sekisho.devices.switch.driver import Account
    from sekisho.devices.switch.intent import Key

# So many lines of the switch's record are told of one difference, the newest.
TOLD = 3
# And of what nothing that differs explains.
OTHERS = 20
# What the record says of somebody who only looked.
_LOOKS = re.compile(r"^\s*(show|terminal|dir|ping|traceroute|where)\b", re.IGNORECASE)
# What we do under our own name beside changes; whoever has our password changes nothing by it.
_OURS = re.compile(r"(no )?checkpoint sekisho-\S+( \(SUCCESS\))?", re.IGNORECASE)
# How a command begins that is about such a part, where the part's own name does not say it.
_ABOUT = {
    "feature": r"feature {0}",
    "vlan": r"vlan [\d,-]*\b{0}\b",
    "vrf": r"vrf (context|member) {0}",
    "port": r"interface {0}",
    "vpc": r"vpc domain",
    "acl": r"access-list {1}",
    "route": r"ip(v6)? route {1}",
    "svi": r"interface vlan ?{0}",
    "dns": r"name-server",
    "syslog": r"logging server {0}",
    "community": r"snmp-server community",
    "trap": r"snmp-server host {0}",
    "user": r"username {0}",
    "ntp": r"ntp (server|peer) {0}",
    "system": r"hostname|switchname|domain-name|snmp-server (contact|location)",
}


def blame(steps: Sequence[Step], theirs: Sequence[Touch]) -> tuple[Difference, ...]:
    """Say for each part that differs who touched it; `theirs` as `touches` gives it."""
    return tuple(_difference(step, theirs) for step in whole(steps))


def whole(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Join what a plan does to one part in several stages into one step from its beginning to its end."""
    found: dict[Key, Step] = {}
    for step in steps:
        part = step.after or step.before
        if part is not None:
            first = found.get(key(part), step)
            found[key(part)] = Step(first.before, step.after)
    return tuple(found.values())


def touches(accounts: Iterable[Account], ours: str, since: float) -> tuple[Touch, ...]:
    """Give what others changed, newest first.

    What was done under our own name `ours` until `since`, when all was right, we did; after it somebody else
    did who has our password.
    """
    found = [
        Touch(a.time, a.user, a.origin, masked(a.command))
        for a in accounts
        if not _LOOKS.match(a.command)
        and (a.user != ours or (a.time > since and not _OURS.fullmatch(a.command)))
    ]
    return tuple(sorted(found, key=lambda t: -t.time))


def _difference(step: Step, theirs: Sequence[Touch]) -> Difference:
    part = step.after or step.before
    about = _pattern(key(part)) if part is not None else None
    by = [t for t in theirs if about is not None and about.search(t.command)]
    return Difference(sentence(step), tuple(by[:TOLD]))


def _pattern(name: Key) -> re.Pattern[str]:
    kind, *names = name
    pattern = _ABOUT.get(kind, "{0}").format(*map(re.escape, names))
    return re.compile(rf"\b({pattern})(?![\w./])", re.IGNORECASE)
