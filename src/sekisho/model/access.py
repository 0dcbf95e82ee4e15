"""Who asks: roles, principals, tokens."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a token may do.

    viewer reads; operator also imposes, lifts, approves, exempts; admin also handles tokens and the
    kill switch; agent reports what hosts and collectors see and reads what they must carry, no more.
    cloud is a part of OpenStack: it says what ports there are and which VLANs hosts are in, and brings
    what its administrators decide about restrictions; no exemptions, policies, tokens or switches.
    octavia is Octavia's own: it says what load balancers there are and hears how they stand, no more.
    member is a customer: sees the subjects and restrictions of its own project, and changes nothing but
    that it may end a restriction early where the policy lets it.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"
    AGENT = "agent"
    CLOUD = "cloud"
    OCTAVIA = "octavia"
    MEMBER = "member"


class Issuer(StrEnum):
    """Who made a token, which says who can tell whose it is."""

    SEKISHO = "sekisho"
    KEYSTONE = "keystone"


# How the names of Keystone's users begin; no token of ours has such a name.
FOREIGN = "keystone:"


@dataclass(frozen=True, slots=True)
class Principal:
    """Whoever a token speaks for.

    `host` binds an agent's token to one host, `project` a member to what is its project's; empty binds
    to none, but a member without a project sees nothing. With `may_release` a member may also end early
    what a policy lets it.
    """

    name: str
    role: Role
    host: str = ""
    project: str = ""
    may_release: bool = False


@dataclass(frozen=True, slots=True)
class WhoAmI:
    """What the keeper says to the asker of the asker: who it is, and the requests it may make.

    `now` is the keeper's clock (unix seconds), by which all its times are.
    """

    name: str
    role: Role
    host: str = ""
    project: str = ""
    may: tuple[str, ...] = ()
    now: float = 0.0


@dataclass(frozen=True, slots=True)
class Token:
    """What is kept of a token: never the secret. `until` 0 is no end (unix seconds)."""

    id: str
    name: str
    role: Role
    created: float
    until: float = 0.0
    host: str = ""
