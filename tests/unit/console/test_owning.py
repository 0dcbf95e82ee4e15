"""A customer signs in with Keystone's token and sees what is its own, and may end it early once."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import httpx
import pytest

import support_console
from sekisho.api.console.app import FORMS, PAGES
from sekisho.model.access import Role
from sekisho.model.restriction import State
from support_console import Browser, Cloud

Fresh = tuple[Cloud, str]
# Subjects 0 and 1 are bound by outgoing-spam, which lets owners end it; 0 is of acme, 1 of umbrella.


@contextmanager
def member(fresh: Fresh, project: str = "acme", *roles: str) -> Iterator[Browser]:
    cloud, url = fresh
    with support_console.browsing(cloud, url, None) as browser:
        answer = browser.sign_in(cloud.member(project, *roles), "keystone")
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert browser.client.get("/").headers["location"] == "/own"
        yield browser


def release(browser: Browser, restriction: str, reason: str = "The queue was cleaned.") -> httpx.Response:
    own = browser.page("/own")
    forgery = own.partition('name="forgery" value="')[2].partition('"')[0]
    given = {"forgery": forgery, "restriction": restriction, "reason": reason}
    return browser.client.post("/release", data=given)


def bound(cloud: Cloud, i: int) -> str:
    return cloud.keeper.restrictions(cloud.subjects[i].id, "", (State.ACTIVE,), 1, "").items[0].id


def test_a_customer_signs_nobody_out_but_itself(fresh: Fresh, put: Callable[..., None]) -> None:
    cloud, url = fresh
    put(cloud, sessions=12)
    with (
        support_console.browsing(cloud, url, Role.VIEWER) as vera,
        support_console.browsing(cloud, url, None) as mia,
        support_console.browsing(cloud, url, None) as umi,
        ExitStack() as desks,
    ):
        cloud.passed += 1
        other = cloud.keystone.issue("uma", "member", project="umbrella", project_id="umbrella")
        assert umi.sign_in(other, "keystone").status_code == 303
        secret = cloud.member("acme")
        for _ in range(9):  # each a browser of its own: a session that is replaced would make no crowd
            cloud.passed += 1
            mia.client.cookies.clear()
            assert mia.sign_in(secret, "keystone").status_code == 303
        assert umi.client.get("/own").status_code == 200, "another customer's, though it is idlest"
        for _ in range(5):  # 12 are full now, and more of ours come
            cloud.passed += 1
            desks.enter_context(support_console.browsing(cloud, url, Role.OPERATOR))
        assert vera.client.get("/audit").status_code == 200, "idlest of all, and no customer"


def test_a_customer_sees_its_own_and_nothing_of_others(fresh: Fresh) -> None:
    cloud = fresh[0]
    with member(fresh) as mia:
        page = mia.page("/own")
        told = mia.client.get("/own?format=json").json()
    assert cloud.subjects[0].id in page
    assert "smtp-connections" in page
    assert "198.51.100.20" in page, "the evidence"
    for others in (cloud.subjects[1].id, "umbrella", "compute-1", "collector-1", "192.0.2.1", "operator"):
        assert others not in page.replace("Ask the operator", ""), others
    assert [r["subject"] for r in told["active"]] == [cloud.subjects[0].id]
    assert set(told["subjects"]) == {cloud.subjects[0].id}
    assert 'aria-label="Pages"' not in page
    assert "data-events" not in page


@pytest.mark.parametrize("page", [p for p in PAGES if p.path not in ("/", "/own")], ids=lambda p: p.path)
def test_other_pages_are_not_a_customers(fresh: Fresh, page: object) -> None:
    path: str = page.path  # type: ignore[attr-defined]
    path = path.replace("{subject:path}", fresh[0].subjects[0].id).replace("{policy}", "outgoing-spam")
    path = path.replace("{restriction}", bound(fresh[0], 0)).replace("{backtest}", "b1")
    with member(fresh) as mia:
        assert mia.client.get(path).status_code == 403
        assert mia.client.get("/events").status_code == 403


def test_nor_are_others_decisions(fresh: Fresh) -> None:
    before = fresh[0].ledger.revision()
    with member(fresh) as mia:
        forgery = mia.page("/own").partition('name="forgery" value="')[2].partition('"')[0]
        for form in FORMS:
            if form.path != "/release":
                given = {
                    "forgery": forgery,
                    "restriction": bound(fresh[0], 0),
                    "reason": "x",
                    "enabled": "no",
                }
                assert mia.client.post(form.path, data=given).status_code == 403, form.path
    assert fresh[0].ledger.revision() == before


def test_it_ends_early_once_and_then_not_for_a_while(fresh: Fresh) -> None:
    cloud = fresh[0]
    name = bound(cloud, 0)
    with member(fresh) as mia:
        assert 'action="/release"' in mia.page("/own")
        assert release(mia, name, " ").status_code == 422
        answer = release(mia, name)
        assert (answer.status_code, answer.headers["location"]) == (303, "/own")
        page = mia.page("/own")
        assert f"{name} is ended." in page
        assert "Nothing of yours is restricted." in page
        cloud.passed += 60
        cloud.cross(cloud.subjects[0].id, "outgoing-spam", "smtp-connections", "count", (412, 388, 60))
        page = mia.page("/own")
        assert 'action="/release"' not in page
        assert "It was ended early lately." in page
        assert release(mia, bound(cloud, 0)).status_code == 403
    told = [e for e in cloud.keeper.journal(name, "", 50, "").items if e.verb == "release"]
    assert [e.reason for e in told] == ["The queue was cleaned."]


@pytest.mark.parametrize(
    ("language", "button", "reason"),
    [
        ("en", "I fixed it: end it now", "I fixed it"),
        ("ja", "対処したので今すぐ解除する", "対処しました"),
    ],
)
def test_one_button_ends_it_and_says_from_when_on_the_next_can_be(
    fresh: Fresh, language: str, button: str, reason: str
) -> None:
    cloud = fresh[0]
    name = bound(cloud, 0)
    with member(fresh) as mia:
        mia.client.headers["accept-language"] = language
        card = mia.page("/own").partition(f'id="{name}"')[2]
        form = card.partition('<form method="post" action="/release"')[2].partition("</form>")[0]
        assert f"<button>{button}</button>" in form
        given = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form))
        assert mia.client.post("/release", data=given | {"forgery": "x"}).status_code == 403
        assert mia.client.post("/release", data=given).status_code == 303, "what the form holds is enough"
        assert cloud.keeper.restriction(name).state is not State.ACTIVE
        cloud.passed += 60
        cloud.cross(cloud.subjects[0].id, "outgoing-spam", "smtp-connections", "count", (412, 388, 60))
        page = mia.page("/own")
        assert "<button>" not in page.partition(f'id="{bound(cloud, 0)}"')[2].partition("</li>")[0]
        at = mia.client.get("/own?format=json").json()["releases"][bound(cloud, 0)]["at"]
        assert f'data-moment="{at}"' in page
    told = [e for e in cloud.keeper.journal(name, "", 50, "").items if e.verb == "release"]
    assert [e.reason for e in told] == [reason]


def test_anothers_is_not_there_to_be_ended(fresh: Fresh) -> None:
    name = bound(fresh[0], 1)
    with member(fresh) as mia:
        assert release(mia, name).status_code == 404
    assert fresh[0].keeper.restriction(name).state is State.ACTIVE


def test_who_only_reads_its_project_is_shown_no_way(fresh: Fresh) -> None:
    with member(fresh, "acme", "reader") as rita:
        page = rita.page("/own")
        assert 'action="/release"' not in page
        assert "not end them." in page
        assert release(rita, bound(fresh[0], 0)).status_code == 403


def test_a_page_without_anything_says_so_in_japanese_too(fresh: Fresh) -> None:
    with member(fresh, "nobody") as nao:
        assert (
            "制限されているものはありません。"
            in nao.client.get("/own", headers={"accept-language": "ja"}).text
        )


def test_what_is_the_customers_is_no_operators_page(olga: Browser) -> None:
    assert olga.client.get("/own").status_code == 403


def test_a_token_that_ended_asks_to_sign_in_again(fresh: Fresh) -> None:
    cloud = fresh[0]
    with member(fresh) as mia:
        cloud.passed += 3601
        assert mia.client.get("/own").headers["location"].startswith("/login")
    assert Role.MEMBER.value not in cloud.secrets
