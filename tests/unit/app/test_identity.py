"""Keystone's users: remembered for a while and no longer, asked about once, mapped to our roles."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from sekisho.app.identity import (
    Domained,
    Facts,
    Identity,
    KeystoneRoles,
    KeystoneSettings,
    name_of,
    principal_of,
)
from sekisho.model.access import Principal, Role
from sekisho.model.errors import Forbidden, Malformed, Unauthenticated, Unavailable
from sekisho.testing.keystone import FakeKeystone

SETTINGS = KeystoneSettings()


class Desk:
    def __init__(self, settings: KeystoneSettings = SETTINGS) -> None:
        self.passed = 1000.0
        self.keystone = FakeKeystone(lambda: self.passed)
        self.identity = Identity(settings, self.keystone, lambda: self.passed)

    def member(self, life: float = 3600.0) -> str:
        return self.keystone.issue("mia", "member", project="acme", life=life)


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_an_answer_is_remembered_for_the_cache_time_and_no_longer(desk: Desk) -> None:
    token = desk.member()
    assert not desk.identity.knows(token)
    assert desk.identity.recognised(token) is None
    for _ in range(3):
        assert desk.identity.principal(token) == Principal(
            "keystone:mia@Default (acme)", Role.MEMBER, project="id-acme", may_release=True
        )
    assert desk.keystone.asked == [token]
    desk.keystone.revoke(token)
    desk.passed += 299
    assert desk.identity.principal(token).role is Role.MEMBER
    assert desk.identity.recognised(token) == desk.identity.principal(token)
    desk.passed += 1
    assert desk.identity.recognised(token) is None
    with pytest.raises(Unauthenticated):
        desk.identity.principal(token)


def test_nothing_is_remembered_beyond_the_tokens_own_end(desk: Desk) -> None:
    token = desk.member(life=20.0)
    desk.identity.principal(token)
    desk.passed += 20
    with pytest.raises(Unauthenticated):
        desk.identity.principal(token)


def test_the_time_an_answer_took_counts_too(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    token = desk.member(life=20.0)
    ask = desk.keystone.ask

    def slow(given: str) -> Facts | None:
        facts = ask(given)
        desk.passed += 8
        return facts

    monkeypatch.setattr(desk.keystone, "ask", slow)
    desk.identity.principal(token)
    desk.passed += 12
    assert not desk.identity.knows(token)


def test_a_refusal_is_remembered_briefly(desk: Desk) -> None:
    for _ in range(3):
        with pytest.raises(Unauthenticated):
            desk.identity.principal("gAAAAA-unknown-token")
    assert len(desk.keystone.asked) == 1
    assert desk.identity.recognised("gAAAAA-unknown-token") is None
    desk.passed += 10
    with pytest.raises(Unauthenticated):
        desk.identity.principal("gAAAAA-unknown-token")
    assert len(desk.keystone.asked) == 2


@pytest.mark.parametrize("token", ["", "short", "x" * 5000, "gAAAAA token with spaces", "gAAAAA\u00e9" * 9])
def test_what_can_be_no_token_is_not_worth_a_question(desk: Desk, token: str) -> None:
    with pytest.raises(Unauthenticated):
        desk.identity.principal(token)
    assert desk.keystone.asked == []


def test_memory_is_bounded_and_refusals_push_nobody_out() -> None:
    desk = Desk(replace(SETTINGS, remembered=3))
    tokens = [desk.member() for _ in range(5)]
    for token in tokens:
        desk.identity.principal(token)
    assert [desk.identity.knows(t) for t in tokens] == [False, False, True, True, True]
    for i in range(20):
        with pytest.raises(Unauthenticated):
            desk.identity.principal(f"gAAAAA-garbage-{i:04}")
    assert desk.identity.knows(tokens[-1])
    assert desk.identity.remembered() == 6


def test_many_with_one_new_token_ask_once(desk: Desk) -> None:
    token = desk.member()
    desk.keystone.hold = threading.Event()
    with ThreadPoolExecutor(16) as pool:
        waiting = [pool.submit(desk.identity.principal, token) for _ in range(16)]
        assert desk.keystone.waiting.wait(10)
        desk.keystone.hold.set()
        assert {w.result(10).role for w in waiting} == {Role.MEMBER}
    assert desk.keystone.asked == [token]


def test_keystone_away_is_no_refusal_and_costs_only_strangers(desk: Desk) -> None:
    known, new = desk.member(), desk.member()
    desk.identity.principal(known)
    desk.keystone.away = True
    for _ in range(5):
        with pytest.raises(Unavailable) as told:
            desk.identity.principal(new)
        assert told.value.retry_after >= 1
    assert desk.keystone.asked == [known, new], "a Keystone that is away is not asked by everybody"
    assert desk.identity.principal(known).role is Role.MEMBER
    assert desk.identity.trouble()
    desk.keystone.away = False
    desk.passed += SETTINGS.pause
    assert desk.identity.principal(new).role is Role.MEMBER
    assert not desk.identity.trouble()
    assert desk.identity.counts() == {"cached": 1, "valid": 2, "refused": 0, "failed": 1}


def test_no_token_is_in_what_is_logged_or_raised(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = "gAAAAA-a-very-secret-token"
    with pytest.raises(Unauthenticated) as told:
        desk.identity.principal(token)
    desk.keystone.away = True
    with pytest.raises(Unavailable):
        desk.identity.principal(token + "2")
    assert token not in caplog.text + repr(told.value) + told.value.fixer + repr(vars(desk.identity))


# --- roles -----------------------------------------------------------------------------------------


def facts(*roles: str, project: str = "", domain: str = "Default", system: bool = False) -> Facts:
    where = Domained(f"id-{project}", project, domain) if project else None
    return Facts(Domained("id-mia", "mia", "Default"), frozenset(roles), 60.0, where, system)


@pytest.mark.parametrize(
    ("told", "role"),
    [
        (facts("admin", "member", "reader", project="admin"), Role.ADMIN),
        (facts("admin", system=True), Role.ADMIN),
        (facts("sekisho_operator", "reader", project="admin"), Role.OPERATOR),
        (facts("reader", project="admin"), Role.VIEWER),
        (facts("sekisho_viewer", system=True), Role.VIEWER),
        (facts("member", project="admin"), Role.MEMBER),
        (facts("admin", "member", "reader", project="acme"), Role.MEMBER),
        (facts("sekisho_operator", "reader", project="acme"), Role.MEMBER),
        (facts("admin", "member", project="admin", domain="Evil"), Role.MEMBER),
        (facts("service", "reader", project="service"), Role.MEMBER),
    ],
)
def test_roles_count_as_operators_in_the_operators_scope_only(told: Facts, role: Role) -> None:
    found = principal_of(told, SETTINGS)
    assert isinstance(found, Principal)
    assert found.role is role
    assert found.project == (told.project.id if role is Role.MEMBER and told.project else "")


@pytest.mark.parametrize(
    ("told", "sentence"),
    [
        (facts(), "scoped to a project"),
        (facts("admin"), "scoped to a project"),
        (facts("auditor", project="acme"), "this project"),
        (facts("member", system=True), "system scope"),
    ],
)
def test_others_are_told_why_not(told: Facts, sentence: str) -> None:
    found = principal_of(told, SETTINGS)
    assert isinstance(found, Forbidden)
    assert sentence in found.asker


def test_agents_come_from_keystone_where_the_operator_says_so() -> None:
    settings = KeystoneSettings(roles=KeystoneRoles(agent=("service",)))
    found = principal_of(facts("service", project="service"), settings)
    assert isinstance(found, Principal)
    assert found.role is Role.AGENT
    assert isinstance(principal_of(facts("service", project="acme"), settings), Forbidden)


def test_the_system_scope_may_be_left_out() -> None:
    settings = KeystoneSettings(system_scope=False)
    assert isinstance(principal_of(facts("admin", system=True), settings), Forbidden)


def test_a_project_is_named_by_its_id_too() -> None:
    settings = KeystoneSettings(operators=("id-ops",))
    found = principal_of(facts("admin", project="ops"), settings)
    assert isinstance(found, Principal)
    assert found.role is Role.ADMIN


def test_no_two_users_share_a_name_whatever_they_are_called() -> None:
    def named(user: str, domain: str, project: str, of: str = "") -> str:
        return name_of(
            Facts(Domained("u", user, domain), frozenset(), 1, Domained("p", project, of or domain))
        )

    names = [
        named("mia", "Default", "acme"),
        named("mia@Default", "x", "acme"),
        named("mia", "Default@x", "acme"),
        named("mia", "Default", "acme@Default"),
        named("mia", "Default", "acme", "Other"),
        named("mia", "Default (acme", "acme"),
        named("mia%40Default", "x", "acme"),
        named("m\nia", "Default", "acme"),
        named("mia", "Default", "[system]"),
        name_of(facts(system=True)),
        name_of(facts()),
        named("m" * 200, "Default", "acme"),
        named("m" * 201, "Default", "acme"),
    ]
    assert len(set(names)) == len(names)
    assert all(n.startswith("keystone:") and n.isprintable() and len(n) < 300 for n in names)
    assert names[0] == "keystone:mia@Default (acme)"


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"url": "keystone:5000", "user": "sekisho", "secret_file": "/s"}, "url"),
        ({"url": "https://k", "secret_file": "/s"}, "user"),
        ({"url": "https://k", "user": "a", "application_credential": "b", "secret_file": "/s"}, "user"),
        ({"url": "https://k", "user": "sekisho"}, "secret_file"),
        ({"url": "https://k", "cloud": "x"}, "cloud"),
        ({"user": "sekisho"}, "url"),
        ({"cache": -1.0}, "cache"),
        ({"cache": float("nan")}, "cache"),
        ({"remembered": 0}, "remembered"),
    ],
)
def test_settings_that_cannot_work_are_named(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(Malformed) as told:
        KeystoneSettings(**wrong)  # type: ignore[arg-type]
    assert any(p.startswith(f"keystone.{named}: ") for p in told.value.problems)


@pytest.mark.parametrize(("roles", "may"), [(("member", "reader"), True), (("reader",), False)])
def test_who_only_reads_a_project_ends_nothing_there(roles: tuple[str, ...], may: bool) -> None:  # noqa: FBT001 - a case
    found = principal_of(facts(*roles, project="acme"), KeystoneSettings())
    assert isinstance(found, Principal)
    assert (found.role, found.may_release) == (Role.MEMBER, may)
