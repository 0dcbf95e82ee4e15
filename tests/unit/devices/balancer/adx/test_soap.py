"""What goes over the wire, and what the box's answers mean."""

from __future__ import annotations

import logging

import httpx
import pytest
from lxml import etree

from sekisho.devices.balancer.adx import calls, signatures
from sekisho.devices.balancer.adx.connection import Connection, read
from sekisho.devices.balancer.adx.pieces import Server
from sekisho.devices.balancer.adx.soap import Array, Soap, written
from sekisho.model.errors import Malformed, Refused, SekishoError, Unavailable
from sekisho.testing.adx.box import Box
from sekisho.testing.adx.methods import NAMES
from sekisho.testing.adx.soap import schema
from sekisho.testing.adx.web import served
from support_adx import Rig, web

SERVER = Server("sk-a", "10.2.0.1")


def soap(answer: httpx.Response | Exception, connection: Connection | None = None) -> Soap:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return httpx.Response(404)
        if isinstance(answer, Exception):
            raise answer
        return answer

    made = connection or Connection(("http://box",), "us", context="")
    return Soap("http://box", made, "open sesame", httpx.MockTransport(respond))


def test_a_call_is_one_envelope_with_one_prefix_and_nothing_empty() -> None:
    asked = {"a": "", "b": {"c": None, "d": Array("E", ())}, "f": {"g": True, "h": 0, "i": "x < y"}}
    root = etree.fromstring(written("runCLI", asked, "default"))
    body = root[1]
    assert root.prefix == body.prefix
    assert root[0][0][0].text == "default"
    assert etree.QName(body[0]).namespace == "urn:webservicesapi"
    assert [(e.tag, e.text) for e in body[0].iter() if len(e) == 0] == [
        ("g", "true"),
        ("h", "0"),
        ("i", "x < y"),
    ]


def test_without_a_tenant_there_is_no_header() -> None:
    assert len(etree.fromstring(written("writeConfig", {}, ""))) == 1


@pytest.mark.parametrize(
    ("answer", "raised"),
    [
        (httpx.ConnectError("refused"), Unavailable),
        (httpx.ReadTimeout("slow"), Unavailable),
        (httpx.Response(401), Unavailable),
        (httpx.Response(403), Unavailable),
        (httpx.Response(503, text="<html/>"), Unavailable),
        (httpx.Response(200, text="<html/>"), Unavailable),
        (httpx.Response(200, text="garb<age"), Unavailable),
        (httpx.Response(200), Unavailable),
        (
            httpx.Response(200, text="<!DOCTYPE a [<!ENTITY b SYSTEM 'file:///etc/passwd'>]><a>&b;</a>"),
            Unavailable,
        ),
    ],
)
def test_what_is_no_answer_is_unavailable(
    answer: httpx.Response | Exception, raised: type[SekishoError], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(raised) as found:
        calls.save(soap(answer))
    told = found.value.asker + found.value.fixer + caplog.text
    assert "open sesame" not in told
    assert "b3BlbiBzZXNhbWU" not in told
    assert "http://box" in found.value.asker


def test_a_fault_is_a_no_with_its_name() -> None:
    fault = """<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><s:Fault>
      <faultcode>SOAP-ENV:Client</faultcode><faultstring>no such
      server</faultstring><detail><t:RuntimeFault xmlns:t="urn:x"><faultId>NotThere</faultId></t:RuntimeFault>
      </detail></s:Fault></s:Body></s:Envelope>"""
    with pytest.raises(Refused) as found:
        calls.delete_virtual(soap(httpx.Response(500, text=fault)), SERVER)
    assert '"no such server"' in found.value.asker
    assert "NotThere" in found.value.fixer


def test_a_command_that_the_box_does_not_take_is_a_no() -> None:
    rig = Rig()
    rig.driver().carry([web()])
    client = Soap(
        "http://box-0", Connection(("http://box-0",), "admin"), "admin", httpx.MockTransport(rig.respond)
    )
    with pytest.raises(Refused, match="Invalid input"):
        calls.configure(client, f"server virtual {next(iter(rig.box.running.virtuals))}", "frobnicate")
    with pytest.raises(Refused, match="not found"):
        calls.configure(client, "server virtual sk-nobody")


def test_the_box_says_what_its_arguments_are_called() -> None:
    rig = Rig()
    rig.box.renamed = {
        "createVirtualServerWithConfiguration": ("theVirtualServers",),
        "bindRealServerPortToVipPort": ("vipPort", "realPort"),
        "runCLI": ("commands",),
    }
    assert not rig.driver().carry([web()]).problems


def test_without_a_wsdl_we_use_the_names_that_we_know() -> None:
    rig = Rig((Box(wsdl=False),))
    assert not rig.driver().carry([web()]).problems


def test_a_wsdl_may_wrap_arguments_in_an_element() -> None:
    text = b"""<definitions xmlns="http://schemas.xmlsoap.org/wsdl/" xmlns:t="urn:webservicesapi"
        xmlns:x="http://www.w3.org/2001/XMLSchema"><types><x:schema><x:element name="bind"><x:complexType>
        <x:sequence><x:element name="one"/><x:element name="two"/></x:sequence></x:complexType></x:element>
        </x:schema></types><message name="bindIn"><part name="parameters" element="t:bind"/></message>
        <portType name="p"><operation name="bind"><input message="t:bindIn"/></operation>
        <operation name="odd"><output message="t:none"/></operation></portType></definitions>"""
    assert signatures.read(text) == {"bind": ("one", "two")}
    assert signatures.read(b"<html>") == {}


def test_every_method_that_we_name_is_one_of_the_emulator_and_of_the_schema() -> None:
    known = {"getRealServerPortConfiguration"}  # typed, and not needed yet
    assert set(signatures.ARGUMENTS) - known == set(NAMES)
    assert schema() is not None


def test_the_schema_finds_what_is_out_of_order() -> None:
    good = etree.fromstring(
        written("deleteVirtualServer", {"virtualServer": {"IP": "10.0.0.1", "Name": "x"}}, "")
    )
    bad = etree.fromstring(
        written("deleteVirtualServer", {"virtualServer": {"Name": "x", "IP": "10.0.0.1"}}, "")
    )
    assert schema().validate(good[0][0])
    assert not schema().validate(bad[0][0])


def test_over_a_real_connection_with_a_box_that_is_slow() -> None:
    from sekisho.devices.balancer.adx.driver import connect
    from sekisho.testing.adx.box import Mishap

    box = Box(hurries=True)
    with served(box) as address:
        driver = connect(
            {"addresses": [address], "username": "admin", "timeout": 0.3}, "admin", lambda _: None
        )
        assert not driver.carry([web()]).problems
        box.mishaps[len(box.calls) + 1] = Mishap("silent")
        with pytest.raises(Unavailable):
            driver.carry([])
        driver.carry([])
        driver.close()
    assert not box.running.virtuals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "addresses"),
        ({"addresses": []}, "two different"),
        ({"addresses": ["a", "a"]}, "two different"),
        ({"addresses": ["a", "b", "c"]}, "two different"),
        ({"addresses": "adx-1"}, "list"),
        ({"addresses": ["a"], "adress": "b"}, "adress"),
        ({"addresses": ["a"], "verify": "no"}, "true or false"),
        ({"addresses": ["a"], "username": 1}, "a text"),
        ({"addresses": ["a"], "timeout": 0}, "seconds"),
        ({"addresses": ["a"], "timeout": True}, "seconds"),
    ],
)
def test_odd_options_are_told(options: dict[str, object], words: str) -> None:
    with pytest.raises(Malformed) as found:
        read(options)
    assert words in " ".join(found.value.problems)


def test_options_become_a_connection() -> None:
    made = read(
        {"addresses": ["adx-1", "adx-2"], "username": "us", "timeout": 3, "verify": False, "old_tls": True}
    )
    assert made == Connection(("adx-1", "adx-2"), "us", verify=False, timeout=3, old_tls=True)
    Soap("adx-1", made, "word").close()
