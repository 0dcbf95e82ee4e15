"""A batch over a bridge's own management socket: one connection, one answer."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.devices.vswitch.encode import BARRIER, HEADER, METER_MOD_FAILED, VERSION, encode, message
from sekisho.model.errors import Conflict, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sekisho.devices.vswitch.encode import Batch

_HELLO, _ERROR, _ECHO = 0, 1, 2
# "I speak this version only" (OpenFlow 1.3.5 section 7.5.1).
_ONLY: Final = struct.pack("!HHI", 1, 8, 1 << VERSION)
_XID: Final = 0x5E4B
_HELLO_FAILED: Final = 0


@dataclass(frozen=True, slots=True)
class Wire:
    """Lays batches on one bridge; `path` is its socket, `timeout` in seconds."""

    path: str
    timeout: float = 5.0

    def __call__(self, batch: Batch) -> None:
        """Lay a batch; raises Unavailable, Conflict (a meter is not as we thought) or Refused."""
        said = message(_HELLO, _ONLY, 0) + encode(batch, _XID) + message(BARRIER, b"", _XID + 1)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as speaker:
                speaker.settimeout(self.timeout)
                speaker.connect(self.path)
                speaker.sendall(said)
                problems = [_problem(body) for kind, body in _answers(speaker) if kind == _ERROR]
        except OSError as error:
            raise Unavailable("The switch does not answer.", f"{self.path}: {error!r}", 0.05) from error
        for problem in problems:
            raise problem


def _answers(speaker: socket.socket) -> Iterator[tuple[int, bytes]]:
    """Hear all the switch says until it has done everything."""
    with speaker.makefile("rb") as heard:
        while len(head := heard.read(HEADER.size)) == HEADER.size:
            _, kind, length, _ = HEADER.unpack(head)
            body = heard.read(length - HEADER.size)
            yield kind, body
            if kind == BARRIER + 1:
                return
            if kind == _ERROR and body[:2] == _HELLO_FAILED.to_bytes(2):
                break
            if kind == _ECHO:
                speaker.sendall(message(_ECHO + 1, body, 0))
    raise ConnectionResetError("the connection ended before all was done")


def _problem(body: bytes) -> Refused | Conflict:
    kind, code = struct.unpack_from("!HH", body)
    said = f"OpenFlow error {kind}/{code} to {body[4:68].hex()}"
    if kind == METER_MOD_FAILED:
        return Conflict("The switch's meters changed meanwhile.", said)
    return Refused("The switch refused a change.", said)
