"""How every Keystone answers whoever asks it about a token: the real one, and the one in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol, TypeAlias

if TYPE_CHECKING:
    from sekisho.app.identity import Asks, Facts


class Rig(Protocol):
    """A Keystone with user `mia` of project `acme` (member) and an administrator, in domain Default."""

    @property
    def asks(self) -> Asks:
        """Whoever asks it."""
        ...

    def token(self, *, admin: bool = False, scope: str = "project") -> str:
        """Make a token; scope is project (the administrator's: admin), system, domain or none."""
        ...

    def revoke(self, token: str) -> None:
        """End a token."""
        ...


Check: TypeAlias = Callable[[Rig], None]
CHECKS: list[Check] = []


def check(function: Check) -> Check:
    """Let a function be one of the checks."""
    CHECKS.append(function)
    return function


def name(function: Check) -> str:
    """Name a check, as a test's id."""
    return getattr(function, "__name__", "check")


def _known(rig: Rig, token: str) -> Facts:
    facts = rig.asks.ask(token)
    assert facts is not None
    assert 0 < facts.left <= 86400
    return facts


@check
def a_members_token_names_user_project_and_roles(rig: Rig) -> None:
    """All with their domains, and how long it is still good."""
    facts = _known(rig, rig.token())
    assert (facts.user.name, facts.user.domain) == ("mia", "Default")
    assert facts.project is not None
    assert (facts.project.name, facts.project.domain) == ("acme", "Default")
    assert facts.project.id
    assert "member" in facts.roles
    assert "admin" not in facts.roles
    assert not facts.system


@check
def an_administrators_token_has_the_role(rig: Rig) -> None:
    """In its project."""
    facts = _known(rig, rig.token(admin=True))
    assert "admin" in facts.roles
    assert facts.project is not None
    assert facts.project.name == "admin"


@check
def the_system_scope_is_no_project(rig: Rig) -> None:
    """It is the whole cloud."""
    facts = _known(rig, rig.token(admin=True, scope="system"))
    assert (facts.project, facts.system) == (None, True)
    assert "admin" in facts.roles


@check
def a_token_for_nothing_names_neither(rig: Rig) -> None:
    """Unscoped, or scoped to a domain."""
    for token in (rig.token(scope="none"), rig.token(admin=True, scope="domain")):
        facts = _known(rig, token)
        assert (facts.project, facts.system) == (None, False)


@check
def a_revoked_token_and_what_is_none_are_unknown(rig: Rig) -> None:
    """Both alike."""
    token = rig.token()
    assert rig.asks.ask(token) is not None
    rig.revoke(token)
    assert rig.asks.ask(token) is None
    for none in ("gAAAAABk" + "x" * 200, "0" * 32, token[:-2]):
        assert rig.asks.ask(none) is None
