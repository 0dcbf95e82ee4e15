"""NX-API's answers, as devices are known to give them, and what we make of each."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import pytest

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.nexus.door import batches, checked, refusal
from sekisho.devices.switch.nexus.nxapi import NxApi, url
from sekisho.model.errors import Conflict, Refused, SekishoError, Unauthenticated, Unavailable

LEAF = Connection("nexus", "leaf-1", username="sekisho")
Answer = Callable[[httpx.Request], httpx.Response]


def door(answer: Answer) -> NxApi:
    return NxApi(LEAF, "hush", httpx.MockTransport(answer))


def signed_in(answer: Answer) -> Answer:
    def both(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/api/aaaLogin.json":
            token = {"aaaLogin": {"attributes": {"token": "t1"}}}
            return httpx.Response(200, json={"imdata": [token]})
        return answer(request)

    return both


@pytest.mark.parametrize(
    ("address", "port", "wanted"),
    [
        ("leaf-1", 0, "https://leaf-1"),
        ("10.0.0.1", 8443, "https://10.0.0.1:8443"),
        ("2001:db8::1", 0, "https://[2001:db8::1]"),
        ("2001:db8::1", 8443, "https://[2001:db8::1]:8443"),
        ("http://127.0.0.1:8080", 0, "http://127.0.0.1:8080"),
    ],
)
def test_https_unless_the_address_says_otherwise(address: str, port: int, wanted: str) -> None:
    assert url(Connection("nexus", address, port)) == wanted


def test_one_command_is_answered_by_an_object_and_several_by_a_list() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        asked = json.loads(request.content)
        said = [{"jsonrpc": "2.0", "result": {"msg": a["params"]["cmd"]}, "id": a["id"]} for a in asked]
        return httpx.Response(200, json=said[0] if len(said) == 1 else said)

    assert door(answer).run(["one"]) == ["one"]
    assert door(answer).run(["one", "two"]) == ["one", "two"]


def test_an_error_comes_with_500_and_the_command_is_named() -> None:
    error = {"code": -32602, "message": "Invalid params", "data": {"msg": "% Invalid command\n"}}

    def answer(_: httpx.Request) -> httpx.Response:
        done = {"jsonrpc": "2.0", "result": None, "id": 1}
        return httpx.Response(500, json=[done, {"jsonrpc": "2.0", "error": error, "id": 2}])

    with pytest.raises(Refused, match="% Invalid command") as raised:
        door(answer).configure([("vlan 10", "nonsense")])
    assert "nonsense" in raised.value.fixer


def test_500_without_an_answer_of_nxapi_is_nobody() -> None:
    with pytest.raises(Unavailable, match="500"):
        door(lambda _: httpx.Response(500, text="<html>oops</html>")).run(["show version"])


def test_nothing_to_show_is_empty() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"jsonrpc": "2.0", "result": None, "id": 1})

    assert door(answer).data("show lldp neighbors detail") == {}
    assert door(answer).run(["show nothing"]) == [""]


@pytest.mark.parametrize("body", ["vPC is fine", ["a"], {"body": "words"}, {"body": [{}]}])
def test_what_has_no_structure_is_no_data(body: object) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json={"jsonrpc": "2.0", "result": body, "id": 1})

    with pytest.raises(Unavailable, match="can be read"):
        door(answer).data("show vpc brief")


def test_the_word_of_a_failed_act_counts_though_the_answer_is_200() -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        said = {"msg": "ERROR: Checkpoint x does not exist\n"}
        return httpx.Response(200, json={"jsonrpc": "2.0", "result": said, "id": 1})

    with pytest.raises(Refused, match="does not exist"):
        door(answer).run(["no checkpoint x"])


def test_a_session_that_ended_is_begun_again_once() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        if seen.count("/api/mo/sys.json") == 1:
            return httpx.Response(
                403, json={"imdata": [{"error": {"attributes": {"text": "Token expired"}}}]}
            )
        return httpx.Response(200, json={"imdata": []})

    door(signed_in(answer)).post("{}")

    assert seen == ["/api/mo/sys.json", "/api/mo/sys.json"]


def test_a_user_who_may_not_is_not_asked_for_ever() -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.path)
        return httpx.Response(403, json={"imdata": []})

    with pytest.raises(Refused, match="may not"):
        door(signed_in(answer)).post("{}")
    assert len(seen) == 2


def test_a_wrong_password_tells_no_password() -> None:
    with pytest.raises(Unauthenticated) as raised:
        door(lambda _: httpx.Response(401, json={"imdata": []})).objects("sys")
    assert "hush" not in raised.value.asker + raised.value.fixer


def test_an_error_in_the_tree_is_told_in_the_switchs_words() -> None:
    text = "Failed to find property trunkVlan in class l1PhysIf"
    body = {"imdata": [{"error": {"attributes": {"code": "400", "text": text}}}]}

    with pytest.raises(Refused, match="trunkVlan"):
        door(signed_in(lambda _: httpx.Response(400, json=body))).post("{}")


@pytest.mark.parametrize("failure", [httpx.ConnectTimeout, httpx.ReadTimeout, httpx.RemoteProtocolError])
def test_no_answer_is_nobody(failure: type[httpx.TransportError]) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise failure("gone")

    with pytest.raises(Unavailable):
        door(answer).run(["show version"])


def test_a_block_is_never_cut_in_two() -> None:
    blocks = [(f"interface Ethernet1/{n}", "description x", "no shutdown") for n in range(1, 100)]

    found = batches(blocks, 10)

    assert len(found) > 10
    assert all(batch[0].startswith("interface") and batch[-1] == "exit" for batch in found)
    assert sum(len(batch) for batch in found) == 99 * 4


@pytest.mark.parametrize(
    ("words", "kind", "who"),
    [
        ("ERROR: Configuration is locked by bob", Conflict, "bob"),
        ("The configuration lock is held by user alice@10.0.0.1 pts/2", Conflict, "alice@10.0.0.1"),
        ("Another session is holding the configuration lock", Conflict, "somebody else"),
        ("% Invalid command", Refused, ""),
        ("ERROR: port not compatible [Allowed VLAN list]", Refused, ""),
    ],
)
def test_a_no_is_told_apart(words: str, kind: type[SekishoError], who: str) -> None:
    error = refusal("leaf-1", words)

    assert type(error) is kind
    assert who in error.asker


def test_a_refused_command_tells_no_secret() -> None:
    error = refusal("leaf-1", "% Invalid", "snmp-server community hush group network-admin")

    assert "hush" not in error.asker + error.fixer


@pytest.mark.parametrize("text", ["Done\n", "", "Copy complete.\n"])
def test_an_act_without_a_no_passes(text: str) -> None:
    assert checked("leaf-1", text, "checkpoint x") == text


@pytest.mark.parametrize(
    "text",
    [
        "feature interface-vlan is not enabled\n",
        "                 ^\nInvalid interface format at '^' marker.\n",
        "% Invalid parameter detected at '^' marker.\n",
        "Command rejected: Ethernet1/1 is a member\n",
    ],
)
def test_an_act_that_is_refused_is_told_in_whatever_words(text: str) -> None:
    with pytest.raises(Refused, match="said no"):
        checked("leaf-1", text, "interface Vlan10")


def test_a_warning_is_no_refusal() -> None:
    text = (
        "Warning: Edge port type (portfast) should only be enabled on ports connected to a single\n host. "
        "Connecting hubs, switches etc. when edge port type is enabled, can cause temporary bridging loops.\n"
    )
    assert checked("leaf-1", text, "spanning-tree port type edge trunk") == text


def test_what_is_shown_may_hold_any_word() -> None:
    text = "!Command: show running-config\ninterface Ethernet1/1\n  description it failed, % ERROR: denied\n"

    assert checked("leaf-1", text, "show running-config") == text


@pytest.mark.parametrize("text", ["% Invalid command at '^' marker.\n", "        ^\n% Invalid command\n"])
def test_a_show_command_that_there_is_not_is_told(text: str) -> None:
    with pytest.raises(Refused, match="Invalid command"):
        checked("leaf-1", text, "show vpc brief")
