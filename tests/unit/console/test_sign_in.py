"""Who gets in, for how long, and how a session ends."""

from __future__ import annotations

import re
from collections.abc import Callable
from http.cookies import SimpleCookie

import httpx
import pytest

import support_console
from sekisho.api.console.view import local
from sekisho.model.access import Role
from support_console import Browser, Cloud

Fresh = tuple[Cloud, str]


def test_a_stranger_is_led_to_sign_in_and_back_to_the_page(fresh: Fresh, stranger: httpx.Client) -> None:
    wanted = "/restrictions?state=active&policy=heavy-user"
    answer = stranger.get(wanted)
    assert answer.status_code == 303
    page = stranger.get(answer.headers["location"]).text
    onward = re.search(r'name="next" value="([^"]+)"', page)
    assert onward
    where = onward[1].replace("&amp;", "&")
    assert where == wanted
    given = {"token": fresh[0].secrets[Role.VIEWER], "issuer": "sekisho", "next": where}
    assert stranger.post("/login", data=given).headers["location"] == wanted
    assert stranger.get(wanted).status_code == 200


def test_the_twin_of_a_page_tells_a_program_what_is_wrong(stranger: httpx.Client) -> None:
    answer = stranger.get("/restrictions?format=json")
    assert answer.status_code == 401
    assert answer.json()["type"] == "urn:sekisho:problem:unauthenticated"


def test_a_program_reads_the_twin_with_a_token_and_no_cookie(fresh: Fresh, stranger: httpx.Client) -> None:
    cloud = fresh[0]
    bearer = {"Authorization": f"Bearer {cloud.secrets[Role.VIEWER]}"}
    answer = stranger.get("/restrictions?format=json", headers=bearer)
    assert len(answer.json()["items"]) == 2
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("role", [Role.VIEWER, Role.OPERATOR, Role.ADMIN])
def test_whoever_may_read_signs_in(fresh: Fresh, role: Role) -> None:
    with support_console.browsing(*fresh, role) as browser:
        assert role.value in browser.page("/")


def test_agents_and_wrong_tokens_do_not_get_in(fresh: Fresh) -> None:
    with support_console.browsing(*fresh, None) as browser:
        for secret in (fresh[0].secrets[Role.AGENT], "no-such-token", ""):
            answer = browser.sign_in(secret)
            assert answer.status_code == 401
            assert "set-cookie" not in answer.headers
            assert not secret or secret not in answer.text
        assert browser.client.get("/").status_code == 303
    denied = [e.detail for e in fresh[0].keeper.journal("", "", 50, "").items if e.verb == "deny"]
    assert any("POST /login" in d for d in denied)


def test_keystones_tokens_are_asked_about_as_the_api_does(fresh: Fresh) -> None:
    with support_console.browsing(*fresh, None) as browser:
        answer = browser.sign_in("some-token", "keystone")
    assert answer.status_code == 401
    assert "Keystone" in answer.text


def test_the_cookie_is_kept_from_scripts_and_other_sites(fresh: Fresh) -> None:
    cloud, url = fresh
    with httpx.Client(base_url=url, trust_env=False) as client:
        cookies = SimpleCookie(
            client.post("/login", data={"token": cloud.secrets[Role.VIEWER]}).headers["set-cookie"]
        )
    found = cookies["sekisho"]
    assert found["httponly"]
    assert found["samesite"] == "lax"
    assert found["path"] == "/"
    assert not found["secure"], "plain HTTP on loopback"
    assert cloud.secrets[Role.VIEWER] not in found.value


def test_behind_tls_the_cookie_goes_over_tls_only(
    fresh: Fresh, stranger: httpx.Client, put: Callable[..., None]
) -> None:
    put(fresh[0], secure=True)
    answer = stranger.post("/login", data={"token": fresh[0].secrets[Role.VIEWER]})
    found = SimpleCookie(answer.headers["set-cookie"])["__Host-sekisho"]
    assert found["secure"]
    assert found["httponly"]


def test_who_tries_too_many_tokens_must_wait(fresh: Fresh) -> None:
    cloud = fresh[0]
    with support_console.browsing(*fresh, None) as browser:
        for _ in range(10):
            assert browser.sign_in("wrong").status_code == 401
        right = cloud.secrets[Role.VIEWER]
        answer = browser.sign_in(right)
        assert answer.status_code == 429, "even the right one, else trying would go on"
        assert 0 < int(answer.headers["retry-after"]) <= 300
        cloud.passed += 301
        assert browser.sign_in(right).status_code == 303


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil.example", "\\\\evil", "/\tx", "evil", ""]
)
def test_nobody_is_led_to_other_places(place: str) -> None:
    assert local(place) == "/"


def test_a_place_of_ours_is_gone_to() -> None:
    assert local("/subjects/h2/tap3?range=1h") == "/subjects/h2/tap3?range=1h"


def test_a_session_ends_when_idle_and_after_a_day(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    for _ in range(5):  # never idle for eight hours
        cloud.passed += 4.5 * 3600
        assert olga.client.get("/audit").status_code == 200
    cloud.passed += 4.5 * 3600
    assert olga.client.get("/audit").status_code == 303, "a day is over"
    olga.sign_in(cloud.secrets[Role.OPERATOR])
    cloud.passed += 8 * 3600 + 1
    assert olga.client.get("/audit").status_code == 303


def test_a_revoked_token_ends_its_sessions(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    assert olga.client.get("/").status_code == 200
    token = next(t for t in cloud.keeper.tokens() if t.role is Role.OPERATOR)
    cloud.keeper.revoke_token(support_console.OLGA, token.id)
    assert olga.client.get("/").status_code == 303


def test_signing_out_ends_the_session_and_not_only_the_cookie(olga: Browser) -> None:
    kept = dict(olga.client.cookies)
    assert olga.send("/logout").status_code == 303
    olga.client.cookies.update(kept)
    assert olga.client.get("/").status_code == 303


def test_only_so_many_sessions_are_kept_and_the_idlest_makes_room(
    fresh: Fresh, put: Callable[..., None]
) -> None:
    cloud = fresh[0]
    put(cloud, sessions=2)
    with (
        support_console.browsing(*fresh, Role.VIEWER) as first,
        support_console.browsing(*fresh, None) as second,
        support_console.browsing(*fresh, None) as third,
    ):
        cloud.passed += 1
        second.sign_in(cloud.secrets[Role.VIEWER])
        cloud.passed += 1
        first.page("/audit")
        cloud.passed += 1
        third.sign_in(cloud.secrets[Role.VIEWER])
        assert [b.client.get("/audit").status_code for b in (first, second, third)] == [200, 303, 200]


def test_without_the_console_there_are_no_pages(fresh: Fresh) -> None:
    with support_console.served(fresh[0], on=False) as (_, url), httpx.Client(base_url=url) as client:
        assert client.get("/").status_code == 404
        assert client.get("/login").status_code == 404
