"""A policy's mode is turned on a page that first says what would come of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

import support_console
from sekisho.model.access import Role
from sekisho.model.policy import Mode, Scope
from sekisho.model.report import Talker
from support_console import OLGA, Browser, Cloud

Fresh = tuple[Cloud, str]
BUSY = 400e6  # bit/s; the line of heavy-user is 200 Mbit/s


def busy(cloud: Cloud, *which: int) -> None:
    cloud.talk(tuple(Talker(cloud.subjects[i].id, BUSY) for i in which))


def mode(cloud: Cloud, name: str = "heavy-user") -> Mode:
    return next(p.mode for p in cloud.keeper.policies().policies.policies if p.name == name)


def foreseen(browser: Browser, to: str, name: str = "heavy-user") -> dict[str, object]:
    found = browser.client.get(f"/policies/{name}/mode", params={"to": to, "format": "json"}).json()
    return dict(found)


def turn(browser: Browser, to: str, **fields: object) -> int:
    version = browser.cloud.keeper.policies().policies.version
    given = {"policy": "heavy-user", "to": to, "version": version, "reason": "A calm week.", **fields}
    return browser.send("/mode", **given).status_code


def test_what_would_come_of_it_is_said_before(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    busy(cloud, 0, 1, 3)
    cloud.cross(cloud.subjects[3].id, "heavy-user", "egress-bytes", "bytes", (355e6, 331e6, 250e6))
    relay = Scope(subjects=(cloud.subjects[1].id,))
    cloud.keeper.exempt(OLGA, relay, "A relay.", 0.0, (), "")
    told = foreseen(olga, "enforce")
    assert (told["over"], told["bound"]) == (3, 1)
    assert told["outcomes"] == {"imposed": 1, "refused": 1, "extended": 1}
    assert foreseen(olga, "watch")["outcomes"] == {"watched": 3}
    assert foreseen(olga, "propose")["outcomes"] == {"proposed": 1, "refused": 1, "extended": 1}
    page = olga.page("/policies/heavy-user/mode", to="watch")
    assert 'action="/mode"' in page
    assert "A relay." in olga.page("/policies/heavy-user/mode", to="propose")


def test_a_detector_nobody_reports_a_rate_of_is_named(olga: Browser) -> None:
    told = foreseen(olga, "enforce", "port-scan")
    assert (told["counted"], told["uncounted"], told["outcomes"]) == ([], ["scan-ports"], {})
    page = olga.page("/policies/port-scan/mode", to="enforce")
    assert "how many are over the line now cannot be said" in page


def test_it_is_turned_shown_as_turned_and_turned_back(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    assert 'href="/policies/heavy-user/mode?to=watch"' in olga.page("/policies/heavy-user")
    assert turn(olga, "watch") == 303
    assert mode(cloud) is Mode.WATCH
    page = olga.page("/policies/heavy-user")
    assert "operator turned it to watch; its file says enforce." in page
    assert "A calm week." in page
    assert "file: enforce" in olga.page("/policies")
    last = cloud.keeper.journal("", "", 1, "").items[0]
    assert (last.verb, last.author, last.reason) == ("mode", "operator", "A calm week.")
    assert "turned a policy's mode" in olga.page("/audit")
    cloud.cross(cloud.subjects[3].id, "heavy-user", "egress-bytes", "bytes", (355e6, 331e6, 250e6))
    assert not cloud.keeper.restrictions(cloud.subjects[3].id, "heavy-user", (), 1, "").items
    assert turn(olga, "file") == 303
    assert mode(cloud) is Mode.ENFORCE
    assert cloud.keeper.policies().overrides == ()
    assert "its file says" not in olga.page("/policies/heavy-user")


def test_only_what_was_seen_is_turned(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    seen = cloud.keeper.policies().policies.version
    cloud.keeper.set_mode(OLGA, "port-scan", Mode.WATCH, "Noise.", None)
    assert turn(olga, "watch", version=seen) == 409
    assert mode(cloud) is Mode.ENFORCE
    assert turn(olga, "watch") == 303
    assert turn(olga, "watch", version=seen) == 303, "a form sent twice is no quarrel"


@pytest.mark.parametrize("fields", [{"reason": " "}, {"to": ""}, {"to": "lax"}, {"policy": ""}, {"x": "y"}])
def test_a_mistake_in_the_form_turns_nothing(fresh: Fresh, olga: Browser, fields: dict[str, str]) -> None:
    assert turn(olga, **{"to": "watch", **fields}) == 422
    assert mode(fresh[0]) is Mode.ENFORCE


def test_who_only_reads_is_shown_no_way(fresh: Fresh) -> None:
    with support_console.browsing(*fresh, Role.VIEWER) as browser:
        page = browser.page("/policies/heavy-user/mode", to="watch")
        assert 'action="/mode"' not in page
        assert "This needs the role operator." in page
        assert "/mode?to=" not in browser.page("/policies/heavy-user")


def test_off_is_said_and_nobody_would_be_bound(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    busy(cloud, 3)
    cloud.keeper.enforce(OLGA, enabled=False, reason="A storm.")
    assert foreseen(olga, "enforce")["outcomes"] == {"watched": 1}
    assert "Enforcement is off" in olga.page("/policies/heavy-user/mode", to="propose")


def test_who_is_out_of_scope_is_not_over_the_line(
    fresh: Fresh, olga: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud = fresh[0]
    others = tuple(
        replace(p, scope=Scope(exclude_subjects=(cloud.subjects[0].id,))) for p in support_console.POLICIES
    )
    monkeypatch.setattr(support_console, "POLICIES", others)
    cloud.keeper.reload_policies(OLGA)
    busy(cloud, 0, 3)
    assert foreseen(olga, "watch")["over"] == 1
