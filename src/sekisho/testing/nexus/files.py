"""Files on a box's bootflash, by `scp -t` and SFTP; needs paramiko."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import paramiko

if TYPE_CHECKING:
    from sekisho.testing.nexus.box import Box


def receive(box: Box, channel: Any, command: str) -> None:
    """Be the far end of `scp FILE box:`: take files until no more come."""
    words = shlex.split(command)
    if "-t" not in words:
        channel.send_exit_status(1)
        return
    target = _name(words[-1])
    channel.sendall(b"\0")
    while (head := _line(channel)).startswith("C"):
        _mode, size, name = head.split(" ", 2)
        channel.sendall(b"\0")
        text = _exactly(channel, int(size))
        box.files[target if target and not target.endswith("/") else name] = text.decode(errors="replace")
        _exactly(channel, 1)
        channel.sendall(b"\0")
    channel.send_exit_status(0)


def _name(path: str) -> str:
    return path.removeprefix("bootflash:").removeprefix("/bootflash").lstrip("/")


def _line(channel: Any) -> str:
    found = b""
    while not found.endswith(b"\n"):
        got = channel.recv(1)
        if not got:
            return ""
        found += got
    return found.decode(errors="replace").rstrip("\n")


def _exactly(channel: Any, count: int) -> bytes:
    found = b""
    while len(found) < count:
        got = channel.recv(count - len(found))
        if not got:
            raise EOFError
        found += got
    return found


def sftp(box: Box) -> type:
    """Give what serves SFTP over a box's bootflash."""

    class Files(paramiko.SFTPServerInterface):  # type: ignore[misc]  # paramiko ships no types
        """The files of one box, in memory."""

        def open(self, path: str, flags: int, attr: Any) -> Any:
            return _open(box, _name(path), flags)

        def stat(self, path: str) -> Any:
            return _attributes(box, _name(path))

        lstat = stat

        def list_folder(self, path: str) -> Any:
            return [_attributes(box, name) for name in box.files]

        def remove(self, path: str) -> int:
            return int(
                paramiko.SFTP_OK
                if box.files.pop(_name(path), None) is not None
                else paramiko.SFTP_NO_SUCH_FILE
            )

    return Files


def _attributes(box: Box, name: str) -> Any:
    if name not in box.files:
        return paramiko.SFTP_NO_SUCH_FILE
    found = paramiko.SFTPAttributes()
    found.st_size = len(box.files[name].encode())
    found.st_mode = 0o100644
    found.filename = name
    return found


def _open(box: Box, name: str, flags: int) -> Any:
    import io
    import os

    writing = bool(flags & (os.O_WRONLY | os.O_RDWR))
    if not writing and name not in box.files:
        return paramiko.SFTP_NO_SUCH_FILE
    buffer = io.BytesIO(b"" if flags & os.O_TRUNC else box.files.get(name, "").encode())

    class Handle(paramiko.SFTPHandle):  # type: ignore[misc]  # likewise
        """One open file; what was written is there once it is closed."""

        def stat(self) -> Any:
            found = paramiko.SFTPAttributes()
            found.st_size = len(buffer.getvalue())
            return found

        def close(self) -> None:
            if writing:
                box.files[name] = buffer.getvalue().decode(errors="replace")
            super().close()

    handle = Handle(flags)
    handle.readfile = handle.writefile = buffer
    return handle
