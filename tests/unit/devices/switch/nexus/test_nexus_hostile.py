"""Answers that no switch should give: none is read as an empty switch, and none costs more than its bound."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.nexus import answers, nxapi
from sekisho.devices.switch.nexus.door import checked, refusal
from sekisho.devices.switch.nexus.driver import Nexus
from sekisho.devices.switch.nexus.nxapi import NxApi
from sekisho.model.errors import Refused, Unavailable

LEAF = Connection("nexus", "leaf-1", username="sekisho", transport="nxapi", timeout=2)
TOKEN = {"imdata": [{"aaaLogin": {"attributes": {"token": "t1"}}}]}
BROAD_BLINK = 2.0  # seconds: what is read in one pass takes a small part of it


def door(answer: httpx.Response, **more: Any) -> NxApi:
    def both(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=TOKEN) if "aaaLogin" in request.url.path else answer

    return NxApi(LEAF, "hush", httpx.MockTransport(both), **more)


ODD = {
    "a page": {"text": "<html>hello</html>"},
    "nothing": {"text": ""},
    "no objects": {"json": {}},
    "null": {"json": {"imdata": None}},
    "words": {"json": {"imdata": ["a", "b"]}},
    "numbers": {"json": {"imdata": [{"topSystem": {"attributes": {"name": 5}}}]}},
    "a class of nothing": {"json": {"imdata": [{"topSystem": None}]}},
    "odd children": {"json": {"imdata": [{"topSystem": {"children": ["x"]}}]}},
    "fewer than told": {"json": {"totalCount": "3", "imdata": [{"l2BD": {"attributes": {}}}]}},
    "a list": {"json": []},
    "depth": {"content": b"[" * 200_000},
    "depth below": {"content": b'{"imdata":' + b"[" * 100_000 + b"]" * 100_000 + b"}"},
}


@pytest.mark.parametrize("how", ODD)
def test_what_is_no_answer_of_nxapi_is_not_an_empty_switch(how: str) -> None:
    with pytest.raises(Unavailable):
        door(httpx.Response(200, **ODD[how])).objects("sys")  # type: ignore[arg-type]
    with pytest.raises(Unavailable):
        door(httpx.Response(200, **ODD[how])).post("{}")  # type: ignore[arg-type]


def test_a_page_that_is_not_found_is_no_word_of_a_switch() -> None:
    with pytest.raises(Unavailable):
        door(httpx.Response(404, text="<html>not found</html>")).objects("sys")


def test_a_redirection_is_no_answer_and_not_followed() -> None:
    away = httpx.Response(302, json={"imdata": []}, headers={"location": "http://127.0.0.1:1/"})

    with pytest.raises(Unavailable, match="302"):
        door(away).objects("sys")


@pytest.mark.parametrize("found", [None, [], {}, "x", ["x", "y"], [{"result": None}], [{"id": 1}, {"id": 2}]])
def test_fewer_replies_than_commands_are_no_answer(found: Any) -> None:
    with pytest.raises(Unavailable):
        door(httpx.Response(200, json=found)).configure([("vlan 10", "name web")])
    with pytest.raises(Unavailable):
        door(httpx.Response(200, json=found)).run(["show version", "show vlan"])


def test_an_error_that_is_only_a_word_is_told() -> None:
    with pytest.raises(Refused, match="oops"):
        door(httpx.Response(200, json={"error": "oops"})).run(["show version"])


def test_what_cannot_be_unpacked_is_no_answer() -> None:
    def packed(request: httpx.Request) -> httpx.Response:
        if "aaaLogin" in request.url.path:
            return httpx.Response(200, json=TOKEN)
        return httpx.Response(
            200, headers={"content-encoding": "gzip"}, stream=httpx.ByteStream(b"this is no gzip")
        )

    with pytest.raises(Unavailable):
        NxApi(LEAF, "hush", httpx.MockTransport(packed)).objects("sys")


class Endless(httpx.SyncByteStream):
    """An answer that goes on and on; counts how much of it was taken."""

    def __init__(self, piece: bytes) -> None:
        self.piece, self.taken = piece, 0

    def __iter__(self) -> Iterator[bytes]:
        while self.taken < 5_000:
            self.taken += 1
            yield self.piece


def test_an_answer_without_an_end_is_cut_off_at_a_length(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nxapi, "LONGEST", 100_000)
    endless = Endless(b" " * 10_000)

    with pytest.raises(Unavailable):
        door(httpx.Response(200, stream=endless)).objects("sys")
    assert endless.taken <= 12


def test_the_length_counts_after_unpacking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nxapi, "LONGEST", 100_000)
    bomb = httpx.ByteStream(gzip.compress(b'{"imdata":[]' + b" " * 1_000_000 + b"}"))

    with pytest.raises(Unavailable):
        door(httpx.Response(200, stream=bomb, headers={"content-encoding": "gzip"})).objects("sys")


def test_an_answer_that_drips_is_cut_off_at_a_time() -> None:
    now = iter(range(100_000))
    endless = Endless(b" ")

    with pytest.raises(Unavailable):
        door(httpx.Response(200, stream=endless), passed=lambda: float(next(now)), whole=3).objects("sys")
    assert endless.taken < 10


def test_a_switch_that_does_not_say_who_it_is_is_not_read() -> None:
    driver = Nexus(LEAF, "hush")
    driver._door = door(httpx.Response(200, json={"totalCount": "0", "imdata": []}))

    with pytest.raises(Unavailable):
        driver.read()


def test_text_of_a_switch_can_be_written_down() -> None:
    raw = rb'{"imdata":[{"topSystem":{"attributes":{"name":"\ud800evil\u0000\u001b[A\u009b","serial":"x"}}}]}'

    (found,) = door(httpx.Response(200, content=raw)).objects("sys")

    name = found["topSystem"]["attributes"]["name"]
    assert name == "?evil??[A?"
    assert json.dumps(name, ensure_ascii=False).encode()


def quick(asked: float) -> bool:
    return time.process_time() - asked < BROAD_BLINK


def test_a_line_of_colons_in_the_accounting_log_takes_no_time() -> None:
    line = "Thu Nov 26 06:00:00 2026:type=update:id=" + ":" * 40
    good = "Thu Nov 26 06:00:00 2026:type=update:id=2001:db8::1@pts/0:user=bob:cmd=vlan 10 (SUCCESS)"
    asked = time.process_time()

    (found,) = answers.accounts(
        f"{line}\n{':' * 100_000}\nThu Feb 31 06:00:00 2026:type=update:id=x\n{good}\n", 0
    )

    assert quick(asked)
    assert (found.user, found.origin, found.command) == ("bob", "2001:db8::1@pts/0", "vlan 10")


def test_a_long_refusal_takes_no_time_and_is_cut() -> None:
    asked = time.process_time()

    error = refusal("sw", "session " * 50_000)
    checked("sw", "\n" * 200_000, "checkpoint x")
    checked("sw", "\n" * 200_000, "show x")

    assert quick(asked)
    assert len(error.fixer) < 1_500
