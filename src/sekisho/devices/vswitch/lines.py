"""Open OpenFlow lines to bridges, kept for one thing: when one breaks, the bridge's flows may be gone.

ovs-vswitchd writes nothing to its database when it restarts, so that is the only way to hear of it
at once. Nothing is asked over these lines; only the switch's keepalives are answered.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from select import POLLIN
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

# OpenFlow 1.5 header: version, type, length, xid (OpenFlow 1.5.1 section 7.1).
_HEADER: Final = struct.Struct("!BBHI")
_HELLO: Final = _HEADER.pack(6, 0, _HEADER.size, 1)
_ECHO_REQUEST: Final = 2
_ECHO_REPLY: Final = 3
_RETRY_BROKEN_MS: Final = 20
_RETRY_ABSENT_MS: Final = 1000


class Lines:
    """One line to each watched bridge, opened again by itself."""

    def __init__(self, rundir: Path) -> None:
        self._rundir = rundir
        self._open: dict[str, _Line] = {}
        self._wanted: set[str] = set()
        self._broken: set[str] = set()

    def watch(self, bridges: Iterable[str]) -> None:
        """Watch these bridges and no others."""
        self._wanted = set(bridges)
        self._broken &= self._wanted
        for name in self._open.keys() - self._wanted:
            self._open.pop(name).close()

    def run(self) -> bool:
        """Do what can be done at once; True when a line that had broken stands again."""
        for name, line in tuple(self._open.items()):
            if not line.run():
                self._open.pop(name).close()
                self._broken.add(name)
        back = {name for name in self._wanted - self._open.keys() if self._connect(name)} & self._broken
        self._broken -= back
        return bool(back)

    def _connect(self, name: str) -> bool:
        line = _connect(str(self._rundir / f"{name}.mgmt"))
        if line is not None:
            self._open[name] = line
        return line is not None

    def wait(self, poller: Any) -> None:
        """Let the poller wake when a line speaks or it is time to try again."""
        for line in self._open.values():
            poller.fd_wait(line.socket.fileno(), POLLIN)
        if self._wanted - self._open.keys():
            poller.timer_wait(_RETRY_BROKEN_MS if self._broken else _RETRY_ABSENT_MS)

    def close(self) -> None:
        """Close every line."""
        self.watch(())


def _connect(path: str) -> _Line | None:
    speaker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        speaker.connect(path)
        speaker.send(_HELLO)
    except OSError:
        speaker.close()
        return None
    return _Line(speaker)


class _Line:
    def __init__(self, speaker: socket.socket) -> None:
        self.socket = speaker
        self._heard = b""

    def run(self) -> bool:
        """Read all there is and answer keepalives; False once the line has broken."""
        try:
            while heard := self.socket.recv(65536):
                self._heard = self._answer(self._heard + heard)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _answer(self, heard: bytes) -> bytes:
        """Answer every whole message that asks for it; what is left is the beginning of one."""
        while len(heard) >= _HEADER.size:
            version, kind, length, xid = _HEADER.unpack_from(heard)
            if length < _HEADER.size:
                raise ConnectionError
            if len(heard) < length:
                break
            if kind == _ECHO_REQUEST:
                self.socket.send(
                    _HEADER.pack(version, _ECHO_REPLY, length, xid) + heard[_HEADER.size : length]
                )
            heard = heard[length:]
        return heard

    def close(self) -> None:
        with suppress(OSError):
            self.socket.close()
