"""What people decide on pages: only through our own forms, only by who may, and as the API decides."""

from __future__ import annotations

from dataclasses import replace

import httpx
import pytest

import support_console
from sekisho.api.console.app import FORMS
from sekisho.model.access import Role
from sekisho.model.inventory import Host, HostReport
from sekisho.model.policy import Direction, Drop, Police, Protocol
from sekisho.model.restriction import Restriction, State
from support_console import Browser, Cloud

Fresh = tuple[Cloud, str]


def found(cloud: Cloud, *states: State) -> list[Restriction]:
    return list(cloud.keeper.restrictions("", "", states, 100, "").items)


def active(cloud: Cloud) -> list[Restriction]:
    return found(cloud, State.ACTIVE)


# --- whose form it is ----------------------------------------------------------------------------


def test_a_form_without_its_proof_changes_nothing(fresh: Fresh, olga: Browser) -> None:
    before = active(fresh[0])
    answer = olga.client.post("/lift", data={"restriction": before[0].id, "reason": "x"})
    assert answer.status_code == 403
    assert active(fresh[0]) == before


def test_another_sessions_proof_is_none(fresh: Fresh, olga: Browser) -> None:
    with support_console.browsing(*fresh, Role.OPERATOR) as other:
        stolen = other.forgery()
    before = active(fresh[0])
    answer = olga.client.post("/lift", data={"forgery": stolen, "restriction": before[0].id, "reason": "x"})
    assert answer.status_code == 403
    assert active(fresh[0]) == before


@pytest.mark.parametrize(
    "headers",
    [{"sec-fetch-site": "cross-site"}, {"sec-fetch-site": "same-site"}, {"origin": "https://evil.example"}],
)
def test_a_form_of_another_site_changes_nothing(fresh: Fresh, olga: Browser, headers: dict[str, str]) -> None:
    before = active(fresh[0])
    data = {"forgery": olga.forgery(), "restriction": before[0].id, "reason": "x"}
    assert olga.client.post("/lift", data=data, headers=headers).status_code == 403
    assert active(fresh[0]) == before
    given = {"token": fresh[0].secrets[Role.VIEWER]}
    assert olga.client.post("/login", data=given, headers=headers).status_code == 403


def test_a_token_in_a_header_sends_no_forms(fresh: Fresh, stranger: httpx.Client) -> None:
    bearer = {"Authorization": f"Bearer {fresh[0].secrets[Role.OPERATOR]}"}
    before = active(fresh[0])
    answer = stranger.post("/lift", data={"restriction": before[0].id, "reason": "x"}, headers=bearer)
    assert answer.status_code == 401
    assert active(fresh[0]) == before


def test_json_is_no_form(olga: Browser) -> None:
    assert olga.client.post("/lift", json={"reason": "x"}).status_code == 400


def test_a_form_that_is_too_long_is_not_read(olga: Browser) -> None:
    assert olga.send("/lift", reason="x" * 140_000).status_code == 400


# --- who may -------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS, ids=lambda f: f.path)
def test_a_viewer_decides_nothing(fresh: Fresh, form: object) -> None:
    before = active(fresh[0]), fresh[0].ledger.revision()
    with support_console.browsing(*fresh, Role.VIEWER) as browser:
        answer = browser.send(form.path, restriction=before[0][0].id, reason="x", enabled="no")  # type: ignore[attr-defined]
        assert answer.status_code == 403
        pages = [
            browser.page(p) for p in ("/", "/restrictions", "/policies", f"/subjects/{before[0][0].subject}")
        ]
    assert (active(fresh[0]), fresh[0].ledger.revision()) == before
    forms = {f.path for f in FORMS}
    assert not any(f'action="{path}"' in page for path in forms for page in pages), "nor is shown how"


def test_the_kill_switch_is_an_administrators(fresh: Fresh, olga: Browser) -> None:
    assert olga.send("/enforce", enabled="no", reason="x").status_code == 403
    assert 'action="/enforce"' not in olga.page("/policies")
    with support_console.browsing(*fresh, Role.ADMIN) as ada:
        assert 'action="/enforce"' in ada.page("/policies")
        assert ada.send("/enforce", enabled="no", reason="A storm.").status_code == 303
    assert not fresh[0].keeper.enforcement().enabled
    assert active(fresh[0]) == []
    assert "A storm." in olga.page("/")


# --- what is decided -----------------------------------------------------------------------------


def test_many_are_lifted_for_one_reason_and_the_journal_says_so(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    names = [r.id for r in active(cloud)]
    assert len(names) == 2
    answer = olga.send(
        "/lift", restriction=names, reason="A mailing list.", next="/restrictions?state=lifted"
    )
    assert answer.headers["location"] == "/restrictions?state=lifted"
    assert active(cloud) == []
    told = [e for e in cloud.keeper.journal("", "", 50, "").items if e.verb == "lift"]
    assert {e.restriction for e in told} == set(names)
    assert {(e.author, e.reason) for e in told} == {("operator", "A mailing list.")}
    assert "Lifted: 2." in olga.page("/restrictions", state="lifted")
    assert "Lifted: 2." not in olga.page("/restrictions", state="lifted"), "told once"


def test_what_cannot_be_lifted_any_more_hinders_no_other(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    names = [r.id for r in active(cloud)]
    cloud.keeper.lift(support_console.OLGA, names[0], "Earlier.", "")
    olga.send("/lift", restriction=names, reason="Both.")
    assert active(cloud) == []
    page = olga.page("/restrictions")
    assert "Lifted: 1." in page
    assert f"{names[0]}: " in page


def test_lifting_wants_a_reason_and_a_restriction(fresh: Fresh, olga: Browser) -> None:
    name = active(fresh[0])[0].id
    for fields in ({"restriction": name}, {"reason": "x"}, {"restriction": name, "reason": "  "}):
        assert olga.send("/lift", **fields).status_code == 422
    assert len(active(fresh[0])) == 2


def test_the_same_form_sent_twice_is_carried_out_once(fresh: Fresh, olga: Browser) -> None:
    subject = fresh[0].subjects[3].id
    fields = {"subject": subject, "what": "limit", "rate": "10 Mbit/s", "duration": "1h", "reason": "x"}
    first, second = (olga.send("/impose", key="the-same", **fields) for _ in range(2))
    assert first.status_code == second.status_code == 303
    assert len([r for r in active(fresh[0]) if r.subject == subject]) == 1


def test_a_subject_is_bound_by_hand(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    subject = cloud.subjects[3].id
    olga.send(
        "/impose",
        subject=subject,
        protocol="udp",
        ports="6000-6010",
        direction="ingress",
        duration="90min",
        reason="A flood.",
    )
    olga.send("/impose", subject=subject, what="limit", rate="10 Mbit/s", duration="7d", reason="Heavy.")
    made = {r.reason: r for r in active(cloud) if r.subject == subject}
    assert made["A flood."].actions == (Drop(Protocol.UDP, Direction.INGRESS, 6000, 6010),)
    assert made["A flood."].until == cloud.now + 5400
    assert made["Heavy."].actions == (Police(10_000_000, Direction.EGRESS),)
    assert made["Heavy."].author == "operator"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"ports": "70000"}, "ports"),
        ({"ports": "25,80"}, "ports"),
        ({"protocol": "icmp", "ports": "8"}, "ports"),
        ({"protocol": "gre"}, "protocol"),
        ({"what": "limit", "rate": "10"}, "rate"),
        ({"what": "limit", "rate": "10 bit/s"}, "rate"),
        ({"duration": "soon"}, "duration"),
        ({"duration": ""}, "duration"),
        ({"reason": ""}, "reason"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_mistake_in_a_form_is_named_and_binds_nobody(
    fresh: Fresh, olga: Browser, fields: dict[str, str], said: str
) -> None:
    subject = fresh[0].subjects[3].id
    given = {"subject": subject, "ports": "25", "duration": "1h", "reason": "x", **fields}
    answer = olga.send("/impose", **given)
    assert answer.status_code == 422
    assert f"{said}: " in answer.text
    assert not [r for r in active(fresh[0]) if r.subject == subject]


def test_a_proposal_is_put_in_force_or_turned_down(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    proposal = found(cloud, State.PROPOSED)[0]
    assert olga.send("/approve", restriction=proposal.id).status_code == 303
    assert cloud.keeper.restriction(proposal.id).state is State.ACTIVE
    assert olga.send("/reject", restriction=proposal.id).status_code == 409, "it is in force"
    cloud.cross(cloud.subjects[3].id, "port-scan", "scan-ports", "count", (1840, 1702, 100))
    other = found(cloud, State.PROPOSED)[0]
    olga.send("/reject", restriction=other.id, reason="A pentest.")
    assert cloud.keeper.restriction(other.id).state is State.REJECTED


def test_an_end_is_moved_only_of_what_was_seen(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    seen = active(cloud)[0]
    moved = {"restriction": seen.id, "duration": "2d", "reason": "Again.", "revision": seen.revision}
    assert olga.send("/extend", **moved).status_code == 303
    assert cloud.keeper.restriction(seen.id).until == cloud.now + 2 * 86400
    assert olga.send("/extend", **moved).status_code == 409, "it has changed since"


def test_a_subject_is_exempted_and_the_exemption_ended(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    subject = cloud.subjects[3].id
    olga.send("/exempt", subject=subject, reason="A mail relay.", policy="outgoing-spam", duration="30d")
    (made,) = cloud.keeper.exemptions()
    assert made.scope.subjects == (subject,)
    assert made.policies == ("outgoing-spam",)
    assert made.until == cloud.now + 30 * 86400
    assert made.id in olga.page(f"/subjects/{subject}")
    olga.send("/revoke-exemption", exemption=made.id, reason="Moved.")
    assert cloud.keeper.exemptions() == ()


def test_nobody_is_bound_who_is_not_there(olga: Browser) -> None:
    assert olga.send("/impose", subject="nobody", duration="1h", reason="x").status_code == 404


def test_the_guard_holds_for_pages_too(fresh: Fresh, olga: Browser) -> None:
    cloud = fresh[0]
    subject = replace(cloud.subjects[3], host="compute-1", interface="qg-1")  # a router's
    cloud.keeper.report_host(support_console.AGENT, HostReport(Host("compute-1"), (subject,)))
    assert olga.send("/impose", subject=subject.id, duration="1h", reason="x").status_code == 403
    assert not [r for r in active(cloud) if r.subject == subject.id]
