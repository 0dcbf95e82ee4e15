"""Switches over HTTP: what is asked, what is answered, and how a rollout is followed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi import FastAPI

from sekisho.api.switches import REACHING
from sekisho.app.switches import Switches
from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import SwitchDriver
from sekisho.model.access import Role
from support_api import asking
from support_keeping import WIDER, Rig


@pytest.fixture
def rig(tmp_path: Path) -> Iterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.ledger.close()


@pytest.fixture
def keeping(rig: Rig, server: tuple[FastAPI, str], keeper: object) -> Iterator[Switches]:
    del keeper
    app, _ = server
    with rig.keeper() as made:
        made.listen(app.state.waiting.nudge)
        app.state.switches = made
        yield made
        app.state.switches = None


@pytest.fixture
def admin(keeping: Switches, server: tuple[FastAPI, str]) -> Iterator[httpx.Client]:
    del keeping
    with asking(server[1], Role.ADMIN) as made:
        yield made


def follow(client: httpx.Client, location: str) -> dict[str, str]:
    """Wait for a rollout's end by long polls; gives the states by switch."""
    revision = -1
    for _ in range(50):
        query = {"wait": "20"} | ({"revision": str(revision)} if revision >= 0 else {})
        found = client.get(location, params=query)
        if found.status_code == 200:
            revision = found.json()["revision"]
            states = {c["switch"]: c["state"] for c in found.json()["changes"]}
            if not {"waiting", "running"} & set(states.values()):
                return states
    raise AssertionError("it never ended")


def test_a_change_is_planned_made_and_followed(rig: Rig, admin: httpx.Client) -> None:
    switch = rig.add("leaf-1")
    (plan,) = admin.post("/v1/switches/plans", json={}).json()["items"]
    assert plan["steps"]
    assert plan["sent"]
    wanted = {"switches": ["leaf-1"], "reason": "mail moves", "plans": {"leaf-1": plan["fingerprint"]}}
    begun = admin.post("/v1/switches/changes", json=wanted)
    assert begun.status_code == 202
    assert follow(admin, begun.headers["Location"]) == {"leaf-1": "applied"}
    assert switch.saved == switch.state
    (change,) = admin.get("/v1/switches/changes", params={"switch": "leaf-1"}).json()["items"]
    assert (change["author"], change["reason"], change["phase"]) == ("admin", "mail moves", "waiting")
    assert admin.get("/v1/switches/leaf-1").json()["name"] == "leaf-1"


def test_a_long_poll_answers_when_something_happens_and_304_when_not(rig: Rig, admin: httpx.Client) -> None:
    rig.add("leaf-1")
    go, plain = threading.Event(), rig.connect

    def slowly(*args: object) -> object:
        assert go.wait(10)
        return plain(*args)  # type: ignore[arg-type]

    rig.connect = slowly  # type: ignore[method-assign,assignment]
    wanted = {"switches": ["leaf-1"], "reason": "x"}
    location = admin.post("/v1/switches/changes", json=wanted).headers["Location"]
    now = admin.get(location).json()["revision"]
    while (news := admin.get(location, params={"revision": now, "wait": 0.05})).status_code == 200:
        now = news.json()["revision"]
    assert news.status_code == 304
    threading.Timer(0.05, go.set).start()
    assert admin.get(location, params={"revision": now, "wait": 20}).status_code == 200
    assert follow(admin, location) == {"leaf-1": "applied"}


@pytest.mark.parametrize(
    "body",
    [
        {"switches": ["leaf-1"]},
        {"switches": ["leaf-1"], "reason": ""},
        {"switches": [], "reason": "x"},
        {"switches": ["leaf-1"], "reason": "x", "canary": -1},
        {"switches": ["leaf-1"], "reason": "x", "parallel": 0},
        {"switches": ["leaf-1"], "reason": "x", "budget": -1},
        {"switches": ["leaf-1"], "reason": "x", "surprise": 1},
        {"switches": ["leaf-1"], "reason": "x", "plans": {"leaf-1": 7}},
    ],
)
def test_what_nobody_can_mean_is_refused(rig: Rig, admin: httpx.Client, body: dict[str, object]) -> None:
    switch = rig.add("leaf-1")
    assert admin.post("/v1/switches/changes", json=body).status_code in (400, 422)
    assert switch.calls == []


def test_a_switch_without_a_file_is_not_there(rig: Rig, admin: httpx.Client) -> None:
    rig.add("leaf-1")
    wanted = {"switches": ["leaf-9"], "reason": "x"}
    assert admin.post("/v1/switches/changes", json=wanted).status_code == 404
    assert admin.post("/v1/switches/plans", json={"switches": ["leaf-9"]}).status_code == 404
    assert admin.get("/v1/switches/leaf-9").status_code == 404
    assert admin.get("/v1/switches/changes/o9").status_code == 404


def test_files_that_are_wrong_are_told_with_every_mistake(rig: Rig, admin: httpx.Client) -> None:
    rig.add("leaf-1")
    (rig.root / "files" / "leaf-2.toml").write_text("= nonsense")
    answer = admin.post("/v1/switches/plans", json={})
    assert answer.status_code == 422
    assert any("leaf-2" in p for p in answer.json()["problems"])


def test_backups_are_listed_compared_and_restored(rig: Rig, admin: httpx.Client) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    first = admin.post("/v1/switches/leaf-1/backups").json()["name"]
    begun = admin.post("/v1/switches/changes", json={"switches": ["leaf-1"], "reason": "x"})
    follow(admin, begun.headers["Location"])
    diff = admin.get(f"/v1/switches/leaf-1/backups/{first}/diff")
    assert diff.headers["content-type"].startswith("text/plain")
    assert "mail" in diff.text
    assert "mail" not in admin.get(f"/v1/switches/leaf-1/backups/{first}").text
    assert [b["name"] for b in admin.get("/v1/switches/leaf-1/backups").json()["items"]] == [first]
    back = admin.post("/v1/switches/leaf-1/restore", json={"backup": first, "reason": "back"})
    assert follow(admin, back.headers["Location"]) == {"leaf-1": "applied"}
    assert switch.state.parts == began.parts


def test_a_change_is_rolled_back(rig: Rig, admin: httpx.Client) -> None:
    switch = rig.add("leaf-1")
    began = switch.state
    begun = admin.post("/v1/switches/changes", json={"switches": ["leaf-1"], "reason": "x"})
    follow(admin, begun.headers["Location"])
    back = admin.post("/v1/switches/leaf-1/rollback", json={"reason": "it was wrong"})
    assert follow(admin, back.headers["Location"]) == {"leaf-1": "applied"}
    assert switch.state == began


def test_drift_is_told_as_last_looked_and_anew(rig: Rig, admin: httpx.Client) -> None:
    rig.add("leaf-1")
    assert admin.get("/v1/switches/drift").json()["items"][0]["accord"] == "unknown"
    (now,) = admin.post("/v1/switches/drift", json={"switches": ["leaf-1"]}).json()["items"]
    assert now["accord"] == "pending"
    assert now["differences"]
    (then,) = admin.get("/v1/switches/drift", params={"switch": "leaf-1"}).json()["items"]
    assert then == now


def test_a_keeper_without_switches_says_so(client: httpx.Client) -> None:
    assert client.get("/v1/switches").status_code == 404


def test_switches_come_in_pages(rig: Rig, admin: httpx.Client) -> None:
    for n in range(5):
        rig.add(f"leaf-{n}", WIDER)
    seen, marker = [], ""
    while True:
        found = admin.get("/v1/switches", params={"limit": 2, "marker": marker}).json()
        seen += [s["name"] for s in found["items"]]
        marker = found["next"]
        if not marker:
            break
    assert seen == [f"leaf-{n}" for n in range(5)]


def test_switches_that_do_not_answer_leave_the_rest_of_the_api_alone(rig: Rig, admin: httpx.Client) -> None:
    names = [f"leaf-{n}" for n in range(REACHING)]
    for name in names:
        rig.add(name)
    arrived, gate, connect = threading.Semaphore(0), threading.Event(), rig.connect

    def slow(connection: Connection) -> SwitchDriver:
        arrived.release()
        gate.wait(20.0)
        return connect(connection)

    rig.connect = slow  # type: ignore[method-assign]
    asked = [
        threading.Thread(target=admin.post, args=("/v1/switches/plans",), kwargs={"json": {"switches": [n]}})
        for n in names
    ]
    for thread in asked:
        thread.start()
    try:
        assert all(arrived.acquire(timeout=20.0) for _ in names)
        refused = admin.post("/v1/switches/plans", json={})
        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert admin.get("/v1/switches").status_code == 200
    finally:
        gate.set()
        for thread in asked:
            thread.join()
    assert admin.post("/v1/switches/plans", json={}).status_code == 200
