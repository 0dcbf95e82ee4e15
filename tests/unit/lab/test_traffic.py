"""Traffic programs do what they say, and say what they did."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from typing import TYPE_CHECKING

import pytest

from sekisho.lab import listeners, packets, speakers
from sekisho.lab.record import Log, attempts, events, volumes
from sekisho.lab.traffic import ROLES, addresses, main, parse, ports

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    _Try = Callable[[int], Awaitable[bool]]


async def _with_server(serve: listeners._Serve, trial: _Try) -> bool:
    served = asyncio.Event()

    async def once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await serve(reader, writer)
        writer.close()
        await writer.wait_closed()
        served.set()

    server = await asyncio.start_server(once, "127.0.0.1", 0)
    async with server:
        went = await trial(server.sockets[0].getsockname()[1])
        await served.wait()
    return went


@pytest.mark.parametrize(
    ("serve", "talk"), [(listeners._mail, speakers.deliver), (listeners._page, speakers.fetch)]
)
def test_a_whole_conversation_is_an_attempt_that_went_well(
    tmp_path: Path, serve: listeners._Serve, talk: speakers._Talk
) -> None:
    with Log(tmp_path / "log", "test") as log:
        assert asyncio.run(_with_server(serve, lambda port: speakers.call(log, "127.0.0.1", port, talk)))
    (attempt,) = attempts(tmp_path / "log")
    assert attempt.ok
    assert attempt.began <= attempt.ended


def test_a_refused_and_a_silent_service_are_told_apart(tmp_path: Path) -> None:
    async def silent(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    async def refused_then_silent(log: Log) -> None:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            await speakers.call(log, "127.0.0.1", closed.getsockname()[1])
        await _with_server(
            silent, lambda port: speakers.call(log, "127.0.0.1", port, speakers.deliver, patience=0.1)
        )

    with Log(tmp_path / "log", "test") as log:
        asyncio.run(refused_then_silent(log))
    assert [(a.ok, a.problem) for a in attempts(tmp_path / "log")] == [
        (False, "ConnectionRefusedError"),
        (False, "timeout"),
    ]


def test_a_server_that_says_no_is_no_delivery(tmp_path: Path) -> None:
    async def unfriendly(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"554 go away\r\n")

    with Log(tmp_path / "log", "test") as log:
        went = asyncio.run(
            _with_server(unfriendly, lambda p: speakers.call(log, "127.0.0.1", p, speakers.deliver))
        )
    assert not went


def test_a_count_bounds_what_is_done_though_time_is_left(tmp_path: Path) -> None:
    with socket.socket() as closed, Log(tmp_path / "log", "test") as log:
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        asyncio.run(speakers.spam(log, 60, targets=["127.0.0.1"], rate=1000, count=7, port=port))
    assert len(attempts(tmp_path / "log", port)) == 7


def test_datagrams_go_at_the_rate_asked_for(tmp_path: Path) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        port = sink.getsockname()[1]
        words = ["udp", "--out", str(tmp_path / "log"), "--seconds", "0.5", "--to", "127.0.0.1"]
        assert main([*words, "--port", str(port), "--bits", "1e6", "--size", "500"]) == 0
    sent = sum(v.octets for v in volumes(tmp_path / "log", port=port))
    assert sent == pytest.approx(62_500, rel=0.1)
    kinds = [e["event"] for e in events(tmp_path / "log")]
    assert (kinds[0], kinds[-1]) == ("began", "ended")


@pytest.mark.skipif(os.geteuid() != 0, reason="raw sockets need root")
def test_a_spoofed_syn_is_a_syn_with_right_checksums() -> None:
    packet = packets.syn_packet("192.0.2.7", "127.0.0.1", 25)
    assert packet[9] == socket.IPPROTO_TCP
    assert packet[12:20] == socket.inet_aton("192.0.2.7") + socket.inet_aton("127.0.0.1")
    assert packet[22:24] == (25).to_bytes(2, "big")
    assert packet[33] == 0x02
    pseudo = packet[12:20] + bytes([0, socket.IPPROTO_TCP]) + (20).to_bytes(2, "big")
    assert packets.checksum(pseudo + packet[20:]) == 0


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    whole = json.dumps({"event": "began"})
    (tmp_path / "log").write_text(f'{whole}\n{{"event": "ha')
    assert [e["event"] for e in events(tmp_path / "log")] == ["began"]
    assert list(events(tmp_path / "absent")) == []


def test_networks_and_ranges_are_read_whole() -> None:
    assert addresses("198.51.100.7,203.0.113.0/30") == ["198.51.100.7", "203.0.113.1", "203.0.113.2"]
    assert ports("25,80-82") == [25, 80, 81, 82]


def test_every_role_can_be_asked_for_and_others_cannot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for role in ROLES:
        assert parse([role, "--out", str(tmp_path / "log")]).seconds == 60
    with pytest.raises(SystemExit):
        parse(["poet", "--out", str(tmp_path / "log")])
    assert "poet" in capsys.readouterr().err
