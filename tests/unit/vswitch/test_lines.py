"""A line to a bridge answers keepalives, and one that broke is told once it stands again."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from sekisho.devices.vswitch.lines import Lines

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Bridge:
    """Listens where a bridge would."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "br0.mgmt"
        self._path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._listener.settimeout(2)
        self.peer: socket.socket | None = None

    def accept(self) -> socket.socket:
        self.peer = self._listener.accept()[0]
        self.peer.settimeout(2)
        assert self.peer.recv(8) == bytes.fromhex("0600000800000001")
        return self.peer

    def close(self) -> None:
        self._listener.close()
        self._path.unlink()
        if self.peer is not None:
            self.peer.close()


@pytest.fixture
def lines(tmp_path: Path) -> Iterator[Lines]:
    lines = Lines(tmp_path)
    lines.watch(["br0"])
    yield lines
    lines.close()


def test_an_echo_is_answered_even_when_it_comes_in_pieces(lines: Lines, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    assert not lines.run()
    peer = bridge.accept()
    # A hello, a message nobody asked for, then an echo request of OpenFlow 1.3 with two octets.
    for piece in ("0600000800000001", "040c000a000000090000", "0402000a0000", "00077879"):
        peer.sendall(bytes.fromhex(piece))
        assert not lines.run()
    assert peer.recv(64) == bytes.fromhex("0403000a00000007") + b"xy"
    bridge.close()


def test_a_line_that_broke_is_told_once_when_it_stands_again(lines: Lines, tmp_path: Path) -> None:
    first = Bridge(tmp_path)
    assert not lines.run()
    first.accept()
    first.close()
    assert not lines.run()
    second = Bridge(tmp_path)
    assert lines.run()
    assert not lines.run()
    second.accept()
    second.close()


def test_a_bridge_that_comes_late_is_no_restart(lines: Lines, tmp_path: Path) -> None:
    assert not lines.run()
    bridge = Bridge(tmp_path)
    assert not lines.run()
    bridge.close()


def test_nonsense_breaks_the_line_and_no_more(lines: Lines, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    lines.run()
    bridge.accept().sendall(bytes(8))
    assert lines.run()
    bridge.close()


def test_a_bridge_no_longer_watched_is_let_go(lines: Lines, tmp_path: Path) -> None:
    bridge = Bridge(tmp_path)
    lines.run()
    peer = bridge.accept()
    lines.watch([])
    assert peer.recv(8) == b""
    assert not lines.run()
    bridge.close()
