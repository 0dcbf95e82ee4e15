"""Commands over NX-API: JSON-RPC and ins_api, with the shapes and the errors of the real one."""

import base64
from collections.abc import Iterator

import pytest

from sekisho.testing.nexus import Box, serve
from support_emulator import Caller, configure, configured, section


@pytest.fixture
def box() -> Box:
    return configured("vlan 10\nname web")


@pytest.fixture
def caller(box: Box) -> Iterator[Caller]:
    with serve(box, ssh_port=0) as door:
        yield Caller(door)


def test_one_command_is_answered_by_an_object_and_several_by_a_list(caller: Caller) -> None:
    status, one = caller.rpc("show hostname")
    assert (status, one["result"]) == (200, {"body": {"hostname": "leaf-1"}})
    status, several = caller.rpc("show hostname", "show version")
    assert status == 200
    assert [reply["id"] for reply in several] == [1, 2]


def test_configuration_needs_no_configure_terminal_and_answers_nothing(caller: Caller, box: Box) -> None:
    status, replies = caller.rpc("vlan 20", " name db", "interface Ethernet1/1", " switchport access vlan 20")
    assert status == 200
    assert [reply["result"] for reply in replies] == [None] * 4
    assert section(box, "interface Ethernet1/1") == ["switchport access vlan 20"]


def test_a_refused_command_is_http_500_and_stops_the_rest(caller: Caller, box: Box) -> None:
    status, replies = caller.rpc("vlan 20", "frobnicate", "vlan 30")
    assert status == 500
    assert len(replies) == 2
    assert replies[1]["error"]["data"]["msg"] == "% Invalid command\n"
    assert "vlan 1,10,20\n" in box.running_config()


def test_all_or_nothing_when_asked_for(caller: Caller, box: Box) -> None:
    before = box.running_config()
    assert caller.rpc("vlan 20", "frobnicate", rollback="rollback-on-error")[0] == 500
    assert box.running_config() == before


def test_a_wrong_password_is_401(caller: Caller) -> None:
    assert caller.rpc("show hostname", password="wrong")[0] == 401


def test_text_is_there_for_what_has_no_structure(caller: Caller) -> None:
    status, refused = caller.rpc("show accounting log")
    assert (status, refused["error"]["code"]) == (500, 501)
    status, reply = caller.rpc("show running-config vlan", method="cli_ascii")
    assert "vlan 1,10\nvlan 10\n  name web\n" in reply["result"]["msg"]


def test_a_table_with_one_row_is_an_object_and_with_several_a_list(caller: Caller, box: Box) -> None:
    rows = caller.rpc("show vlan brief")[1]["result"]["body"]["TABLE_vlanbriefxbrief"]["ROW_vlanbriefxbrief"]
    assert [row["vlanshowbr-vlanid"] for row in rows] == ["1", "10"]
    configure(box, "no vlan 10")
    row = caller.rpc("show vlan brief")[1]["result"]["body"]["TABLE_vlanbriefxbrief"]["ROW_vlanbriefxbrief"]
    assert row["vlanshowbr-vlanname"] == "default"


def test_ins_api_answers_each_command(caller: Caller) -> None:
    one = caller.ins("vlan 20")
    assert (one["code"], one["msg"]) == ("200", "Success")
    two = caller.ins("vlan 30 ;frobnicate ;vlan 40")
    assert [reply["code"] for reply in two] == ["200", "400"]
    assert two[1]["clierror"] == "% Invalid command\n"
    shown = caller.ins("show hostname", "cli_show")
    assert shown["body"] == {"hostname": "leaf-1"}
    assert caller.ins("show accounting log", "cli_show")["code"] == "501"


def test_ins_api_speaks_xml_with_its_failures_inside(caller: Caller) -> None:
    caller.headers["Authorization"] = "Basic " + base64.b64encode(b"admin:admin").decode()
    asked = (
        b"<?xml version='1.0'?><ins_api><version>1.0</version><type>cli_conf</type><chunk>0</chunk>"
        b"<sid>1</sid><input>vlan 20 ;frobnicate</input><output_format>xml</output_format></ins_api>"
    )
    status, text = caller.call("POST", "/ins", asked, "text/xml")
    assert status == 200
    assert b"<code>200</code>" in text
    assert b"<code>400</code>" in text
    assert b"<clierror>% Invalid command\n</clierror>" in text
