"""What agents and collectors send arrives whole, and what they need comes back."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import httpx

import support_api
from sekisho.model.access import Role
from sekisho.model.plain import to_plain
from sekisho.model.report import CollectorReport, ExporterReport, Talker
from sekisho.model.restriction import Receipt
from sekisho.testing.contract_keeper import evidence, report
from sekisho.testing.keeper import FakeKeeper
from support_api import IMPOSE, bearer

AGENT = bearer(Role.AGENT)


def test_a_host_reports_and_learns_its_program(client: httpx.Client, keeper: FakeKeeper) -> None:
    told = report("h1", keeper.subject("port-web"))
    client.post("/v1/restrictions", json=IMPOSE)
    answer = client.put("/v1/hosts/h1", json=to_plain(told), headers=AGENT)
    assert answer.json() == to_plain(keeper.program("h1"))
    assert len(answer.json()["bindings"]) == 1
    assert [s.id for s in keeper.inventory().subjects if s.host == "h1"] == ["port-web"]
    assert client.get("/v1/inventory", headers=AGENT).json() == to_plain(keeper.inventory())
    assert client.get("/v1/hosts/h1/program", headers=AGENT).json() == answer.json()


def test_receipts_arrive(client: httpx.Client, keeper: FakeKeeper) -> None:
    made = client.post("/v1/restrictions", json=IMPOSE).json()["id"]
    receipt = Receipt(made, "port-web", "h1", in_force=True, time=keeper.now, dropped_packets=12)
    body = {"applied": 7, "receipts": [to_plain(receipt)], "problem": "One meter is missing."}
    answer = client.post("/v1/hosts/h1/receipts", json=body, headers=AGENT)
    assert (answer.status_code, answer.content) == (204, b"")
    assert keeper.restriction(made).dropped_packets == 12
    host = next(h for h in client.get("/v1/hosts").json()["items"] if h["name"] == "h1")
    assert (host["applied"], host["problem"]) == (7, "One meter is missing.")


def test_evidence_is_answered_piece_by_piece(client: httpx.Client, keeper: FakeKeeper) -> None:
    pieces = [evidence("port-web", "enforce-it"), evidence("nobody", "enforce-it")]
    answer = client.post("/v1/evidence", json=to_plain(pieces), headers=AGENT)
    assert [v["outcome"] for v in answer.json()] == ["imposed", "refused"]
    assert keeper.restriction(answer.json()[0]["restriction"]).evidence == pieces[0]
    wrong = to_plain(pieces)
    wrong[1]["findings"][0]["estimate"] = "many"
    refused = client.post("/v1/evidence", json=wrong, headers=AGENT)
    assert [p.split(": ")[0] for p in refused.json()["problems"]] == ["[1].findings[0].estimate"]


def test_collectors_report(client: httpx.Client) -> None:
    told = CollectorReport(
        "c1",
        5.0,
        (ExporterReport("192.0.2.1", "sflow", lost=3),),
        (Talker("port-web", 3.0), Talker("port-mail", 9.0)),
        (25,),
        {"records": 12.0},
    )
    assert client.put("/v1/collectors/c1", json=to_plain(told), headers=AGENT).status_code == 204
    assert client.get("/v1/status").json()["collectors"] == [to_plain(told)]
    top = client.get("/v1/top", params={"by": "egress_bps", "limit": "1"}).json()
    assert [t["subject"] for t in top["items"]] == ["port-mail"]
    assert client.get("/v1/subjects/port-web/explain").json()["talker"]["egress_bps"] == 3.0


def test_an_agent_of_an_older_version_is_understood(client: httpx.Client, keeper: FakeKeeper) -> None:
    told = to_plain(report("h1", keeper.subject("port-web")))
    for since in ("flavor", "qos", "project_created"):
        del told["subjects"][0][since]
    assert client.put("/v1/hosts/h1", json=told, headers=AGENT).status_code == 200
    told["subjects"][0]["mood"] = "good"
    assert client.put("/v1/hosts/h1", json=told, headers=AGENT).status_code == 422


def test_thousands_that_tell_at_once_hold_up_nobody_who_decides() -> None:
    """More hosts tell something than there are threads; a restriction is imposed meanwhile, and heard of."""
    fake, busy, told = support_api.keeper(), threading.Event(), threading.Semaphore(0)

    def slow(*_told: object) -> None:
        told.release()
        busy.wait(30)

    fake.receipts = slow  # type: ignore[method-assign, assignment]
    body = {"applied": 1, "receipts": []}
    with (
        support_api.served(fake, threads=2, telling=2) as (_, url),
        support_api.asking(url) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        try:
            waiting = [
                pool.submit(client.post, "/v1/hosts/h1/receipts", json=body, headers=AGENT) for _ in range(8)
            ]
            assert told.acquire(timeout=10)
            assert told.acquire(timeout=10)
            made = client.post("/v1/restrictions", json=IMPOSE, timeout=10)
            assert made.status_code == 201
            heard = client.get("/v1/hosts/h1/program", headers=AGENT, timeout=10).json()
            assert [b["restriction"] for b in heard["bindings"]] == [made.json()["id"]]
        finally:
            busy.set()
        assert {w.result(20).status_code for w in waiting} == {204}
