"""``openstack port restriction``: what Neutron is asked, what people see, how a no is told."""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from keystoneauth1.exceptions import EndpointNotFound

from sekisho.guests.osc import plugin
from support_osc import PORT, PROJECT, Network, openstack, problem, response

VERBS = ("create", "delete", "list", "release", "set", "show")
ACTIONS = [
    {
        "action": "drop",
        "direction": "egress",
        "protocol": "tcp",
        "port_range_min": 25,
        "port_range_max": 25,
    }
]
SHOWN = {
    "id": "r1",
    "port_id": PORT,
    "project_id": PROJECT,
    "tenant_id": PROJECT,
    "actions": ACTIONS,
    "reason": "spam",
    "state": "active",
    "expires_at": "2027-01-01T00:00:00Z",
}


@pytest.fixture(scope="module")
def osc() -> Iterator[SimpleNamespace]:
    with openstack() as loaded:
        yield loaded


@pytest.fixture
def network() -> Network:
    return Network()


def test_create_asks_neutron_for_what_the_words_say(osc: SimpleNamespace, network: Network) -> None:
    network.answers = [response(201, {"port_restriction": SHOWN})]
    names, row = osc.commands.CreatePortRestriction(network.app).ask(
        "mail-1", "--drop", "tcp/25", "--duration", "24h", "--reason", "spam"
    )
    body = {"port_id": PORT, "actions": ACTIONS, "duration": 86400, "reason": "spam"}
    assert network.asked == [("POST", "/port-restrictions", {"port_restriction": body})]
    shown = dict(zip(names, row, strict=True))
    assert "tenant_id" not in shown
    assert shown["actions"].human_readable() == "drop tcp/25 egress"
    assert shown["actions"].machine_readable() == ACTIONS


def test_a_warning_has_no_actions_and_the_default_duration_is_neutrons(
    osc: SimpleNamespace, network: Network
) -> None:
    network.answers = [response(201, {"port_restriction": SHOWN | {"actions": []}})]
    osc.commands.CreatePortRestriction(network.app).ask("mail-1", "--warn", "--reason", "spam")
    body = {"port_id": PORT, "actions": [], "reason": "spam"}
    assert network.asked == [("POST", "/port-restrictions", {"port_restriction": body})]


@pytest.mark.parametrize("words", [[], ["--warn", "--drop", "any"], ["--warn", "--limit", "1Mbit/s"]])
def test_create_asks_nobody_unless_it_is_said_what_to_do(
    osc: SimpleNamespace, network: Network, words: list[str]
) -> None:
    with pytest.raises(osc.exceptions.CommandError, match="--warn"):
        osc.commands.CreatePortRestriction(network.app).ask("mail-1", "--reason", "x", *words)
    assert not network.asked


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--drop", "icmp/8", "--reason", "x"], "icmp has no ports"),
        (["--limit", "10", "--reason", "x"], "10 Mbit/s"),
        (["--duration", "1 %", "--reason", "x"], "no duration"),
        (["--warn"], "--reason"),
    ],
)
def test_what_cannot_be_read_is_told_with_our_sentence(
    osc: SimpleNamespace, network: Network, capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    with pytest.raises(SystemExit):
        osc.commands.CreatePortRestriction(network.app).ask("mail-1", *words)
    assert said in capsys.readouterr().err


def test_list_filters_in_neutron_and_shows_words(osc: SimpleNamespace, network: Network) -> None:
    network.answers = [response(200, {"port_restrictions": [SHOWN]})] * 2
    lister = osc.commands.ListPortRestriction(network.app)
    names, (row,) = lister.ask("--port", "mail-1", "--project", "p", "--state", "active", "--state", "lifted")
    params = {"port_id": PORT, "project_id": PROJECT, "state": ["active", "lifted"]}
    assert network.asked == [("GET", "/port-restrictions", params)]
    assert names == ("ID", "Port ID", "State", "Actions", "Reason", "Expires At")
    assert row[3].human_readable() == "drop tcp/25 egress"
    longer, (wide,) = lister.ask("--long")
    assert longer[: len(names)] == names
    assert dict(zip(longer, wide, strict=True))["Project ID"] == PROJECT


def test_list_turns_neutrons_pages(osc: SimpleNamespace, network: Network) -> None:
    more = {"port_restrictions_links": [{"rel": "next", "href": "http://elsewhere/"}]}
    network.answers = [
        response(200, {"port_restrictions": [SHOWN], **more}),
        response(200, {"port_restrictions": [SHOWN | {"id": "r2"}]}),
    ]
    _, rows = osc.commands.ListPortRestriction(network.app).ask()
    assert [row[0] for row in rows] == ["r1", "r2"]
    assert network.asked[1] == ("GET", "/port-restrictions", {"marker": "r1"})


def test_what_bound_a_port_that_is_gone_is_found_by_its_id(osc: SimpleNamespace, network: Network) -> None:
    network.ports = {}
    network.answers = [response(200, {"port_restrictions": []})]
    lister = osc.commands.ListPortRestriction(network.app)
    assert lister.ask("--port", PORT)[1] == []
    assert network.asked == [("GET", "/port-restrictions", {"port_id": PORT})]
    with pytest.raises(osc.exceptions.CommandError, match="mail-1"):
        lister.ask("--port", "mail-1")


def test_show_and_set_ask_for_one_whatever_it_is_called(osc: SimpleNamespace, network: Network) -> None:
    network.answers = [response(200, {"port_restriction": SHOWN})] * 2
    osc.commands.ShowPortRestriction(network.app).ask("../networks?x")
    osc.commands.SetPortRestriction(network.app).ask("r1", "--duration", "2h", "--reason", "better")
    body = {"duration": 7200, "reason": "better"}
    assert network.asked == [
        ("GET", "/port-restrictions/..%2Fnetworks%3Fx", None),
        ("PUT", "/port-restrictions/r1", {"port_restriction": body}),
    ]


def test_a_limit_is_one_page_from_where_one_was(osc: SimpleNamespace, network: Network) -> None:
    more = {"port_restrictions_links": [{"rel": "next", "href": "http://elsewhere/"}]}
    network.answers = [response(200, {"port_restrictions": [SHOWN], **more})]
    _, rows = osc.commands.ListPortRestriction(network.app).ask("--limit", "1", "--marker", "r2")
    assert [row[0] for row in rows] == ["r1"]
    assert network.asked == [("GET", "/port-restrictions", {"limit": 1, "marker": "r2"})]
    with pytest.raises(osc.exceptions.CommandError, match="--limit"):
        osc.commands.ListPortRestriction(network.app).ask("--marker", "r2")


@pytest.mark.parametrize(
    ("words", "body"),
    [
        (["--until", "2027-01-31T18:00:00Z"], {"expires_at": "2027-01-31T18:00:00Z"}),
        (["--approve"], {"state": "active"}),
        (["--reject", "--reason", "a newsletter"], {"state": "rejected", "reason": "a newsletter"}),
    ],
)
def test_set_moves_the_end_or_decides(
    osc: SimpleNamespace, network: Network, words: list[str], body: dict[str, str]
) -> None:
    network.answers = [response(200, {"port_restriction": SHOWN})]
    osc.commands.SetPortRestriction(network.app).ask("r1", *words)
    assert network.asked == [("PUT", "/port-restrictions/r1", {"port_restriction": body})]


@pytest.mark.parametrize("words", [[], ["--approve", "--reject"], ["--approve", "--duration", "1h"]])
def test_set_does_one_thing(osc: SimpleNamespace, network: Network, words: list[str]) -> None:
    with pytest.raises(SystemExit):
        osc.commands.SetPortRestriction(network.app).ask("r1", *words)
    assert not network.asked


def test_delete_with_a_reason_is_a_change_that_says_it(osc: SimpleNamespace, network: Network) -> None:
    network.answers = [response(200, {"port_restriction": SHOWN}), response(204)]
    delete = osc.commands.DeletePortRestriction(network.app)
    delete.ask("r1", "--reason", "cleaned up")
    delete.ask("r1")
    body = {"state": "lifted", "reason": "cleaned up"}
    assert network.asked == [
        ("PUT", "/port-restrictions/r1", {"port_restriction": body}),
        ("DELETE", "/port-restrictions/r1", None),
    ]


def test_delete_goes_on_and_fails_at_the_end(
    osc: SimpleNamespace, network: Network, caplog: pytest.LogCaptureFixture
) -> None:
    network.answers = [problem(404, "There is no restriction 'r1'."), OSError("gone"), response(204)]
    with pytest.raises(osc.exceptions.CommandError, match="2 of 3"):
        osc.commands.DeletePortRestriction(network.app).ask("r1", "r2", "r3")
    assert [path for _, path, _ in network.asked] == [f"/port-restrictions/r{n}" for n in (1, 2, 3)]
    assert "There is no restriction 'r1'. (HTTP 404)" in caplog.text


@pytest.mark.parametrize(
    ("answer", "kind", "said"),
    [
        (problem(400, "actions[0]: bad."), "BadRequest", "actions[0]: bad."),
        (problem(403, "The guard says no."), "Forbidden", "The guard says no."),
        (problem(404, "No restriction."), "NotFound", "No restriction."),
        (problem(409, "It has ended."), "Conflict", "It has ended."),
        (problem(503, "Does not answer."), "ClientException", "Does not answer."),
        (response(404, {"message": "<br/>", "title": "Not Found"}), "NotFound", "not loaded"),
        (response(502, text="<html>"), "ClientException", "Something"),
        (response(500, ["odd"]), "ClientException", "Something"),
        (response(500, {"NeutronError": "plain words"}), "ClientException", "plain words"),
    ],
)
def test_a_no_is_told_in_neutrons_words(osc: SimpleNamespace, answer: Any, kind: str, said: str) -> None:
    with pytest.raises(osc.exceptions.ClientException) as told:
        osc.ask.answered(answer)
    assert type(told.value) is getattr(osc.exceptions, kind)
    assert told.value.code == answer.status_code
    assert said in str(told.value)


def test_the_openstack_command_finds_every_command_where_it_looks(osc: SimpleNamespace) -> None:
    root = Path(__file__).parents[3]
    points = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert importlib.import_module(points["openstack.cli.extension"]["sekisho"]) is plugin
    group = f"openstack.{plugin.API_NAME}.v{plugin.DEFAULT_API_VERSION}"
    named = {name: target.partition(":")[2] for name, target in points[group].items()}
    assert sorted(named) == [f"port_restriction_{v}" for v in VERBS]
    assert all(hasattr(osc.commands, name) for name in named.values())
    network = Network()
    assert plugin.make_client(SimpleNamespace(sdk_connection=SimpleNamespace(network=network))) is network


class Session:
    """keystoneauth's session of whoever is signed in: a catalogue, and an answer."""

    def __init__(self, where: str | Exception, answer: Any) -> None:
        self.where, self.answer = where, answer
        self.asked: list[tuple[Any, ...]] = []

    def get_endpoint(self, **which: str) -> str:
        assert which == {
            "service_type": "traffic-checkpoint",
            "interface": "public",
            "region_name": "one",
        }
        if isinstance(self.where, Exception):
            raise self.where
        return self.where

    def post(self, url: str, json: Any, *, raise_exc: bool) -> Any:
        self.asked.append((url, json, raise_exc))
        return self.answer


def owner(session: Session) -> SimpleNamespace:
    manager = SimpleNamespace(session=session, interface="public", region_name="one")
    return SimpleNamespace(client_manager=manager)


def test_an_owner_asks_the_keeper_itself_to_end_its_own_early(osc: SimpleNamespace) -> None:
    session = Session("https://keeper.example.net:8790/", response(200, {"id": "r1"}))
    osc.commands.ReleasePortRestriction(owner(session)).ask("r/1", "--reason", "mended")
    url = "https://keeper.example.net:8790/v1/self/restrictions/r%2F1/release"
    assert session.asked == [(url, {"reason": "mended"}, False)]


def test_what_the_keeper_says_no_to_is_told_in_its_words(osc: SimpleNamespace) -> None:
    told = {"type": "urn:sekisho:problem:forbidden", "detail": "It was released early 1 time lately."}
    command = osc.commands.ReleasePortRestriction(owner(Session("http://k", response(403, told))))
    with pytest.raises(osc.exceptions.Forbidden, match="released early 1 time"):
        command.ask("r1", "--reason", "mended")


def test_a_keeper_that_no_catalogue_names_is_said(osc: SimpleNamespace) -> None:
    nowhere = EndpointNotFound("public endpoint for traffic-checkpoint service in one region not found")
    command = osc.commands.ReleasePortRestriction(owner(Session(nowhere, None)))
    with pytest.raises(osc.exceptions.CommandError, match="traffic-checkpoint"):
        command.ask("r1", "--reason", "mended")
    with pytest.raises(SystemExit):
        command.ask("r1")
