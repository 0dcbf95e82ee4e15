"""The box's SSH door: its command line, and files to its bootflash. Needs paramiko."""

from __future__ import annotations

import logging
import re
import threading
from contextlib import suppress
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import paramiko

from sekisho.testing.nexus import files
from sekisho.testing.nexus.grammar import INVALID
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

    from sekisho.testing.nexus.box import Box
    from sekisho.testing.nexus.session import Session

# who hangs up without a word is no news
logging.getLogger("paramiko").addHandler(logging.NullHandler())

_SIGN_IN_SECONDS: Final = 30.0
_MARKED: Final = "                    ^\n% Invalid command at '^' marker."
_ERASE: Final = (
    "Warning: This command will erase the startup-configuration.\nDo you wish to proceed anyway? (y/n)  [n] "
)
_QUESTIONS: Final = (
    (re.compile(r"rel\w*$"), "This command will reboot the system. (y/n)?  [n] "),
    (re.compile(r"wr\w* er\w*"), _ERASE),
)


@cache
def _host_key() -> Any:
    """Make the key of all boxes of this process; ECDSA is quick to make."""
    return paramiko.ECDSAKey.generate()


def welcome(box: Box) -> Callable[[socket.socket, str], None]:
    """Give what serves a connection."""

    def serve(connection: socket.socket, origin: str) -> None:
        if box.faults.unreachable:
            return
        connection.settimeout(None)
        transport = paramiko.Transport(connection)
        transport.add_server_key(_host_key())
        transport.set_subsystem_handler("sftp", paramiko.SFTPServer, files.sftp(box))
        visitor = _Visitor(box)
        try:
            with suppress(paramiko.SSHException, EOFError):
                transport.start_server(server=visitor)
                _channels(box, transport, visitor, origin)
        finally:
            transport.close()

    return serve


def _channels(box: Box, transport: Any, visitor: _Visitor, origin: str) -> None:
    """Serve one channel after another until the connection ends."""
    while transport.is_active():
        channel = transport.accept(_SIGN_IN_SECONDS if not visitor.user else 1.0)
        if channel is None:
            if not visitor.user:
                return
            continue
        if not visitor.asked.wait(_SIGN_IN_SECONDS):
            return
        visitor.asked.clear()
        if not visitor.subsystem:
            _Terminal(box, channel, visitor.user, origin).serve(visitor.command)
            channel.close()


class _Visitor(paramiko.ServerInterface):  # type: ignore[misc]  # paramiko ships no types
    """Who signs in and what they ask for."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.user = ""
        self.command = ""
        self.subsystem = False
        self.asked = threading.Event()

    def check_auth_password(self, username: str, password: str) -> int:
        if not self.box.knows(username, password):
            return int(paramiko.AUTH_FAILED)
        self.user = username
        return int(paramiko.AUTH_SUCCESSFUL)

    def get_allowed_auths(self, username: str) -> str:
        return "password"

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(
            paramiko.OPEN_SUCCEEDED if kind == "session" else paramiko.OPEN_FAILED_ADMINISTRATIVELY_PROHIBITED
        )

    def check_channel_pty_request(self, *_: Any) -> bool:
        return True

    def check_channel_window_change_request(self, *_: Any) -> bool:
        return True

    def check_channel_shell_request(self, channel: Any) -> bool:
        self.command = ""
        self.asked.set()
        return True

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        self.command = command.decode(errors="replace")
        self.asked.set()
        return True

    def check_channel_subsystem_request(self, channel: Any, name: str) -> bool:
        self.subsystem = True
        self.asked.set()
        return bool(super().check_channel_subsystem_request(channel, name))


class _Terminal:
    """One channel: what is typed goes to a session, what the box says comes back."""

    def __init__(self, box: Box, channel: Any, user: str, origin: str) -> None:
        self.box = box
        self.channel = channel
        self.session: Session = box.session(user, origin)
        self.silent = False  # `terminal dont-ask`
        self._typed = ""

    def serve(self, command: str) -> None:
        """Serve a command, or somebody who types if there is none."""
        if command:
            self.once(command)
        else:
            self.shell()

    def once(self, command: str) -> None:
        """Serve a command that came with the connection."""
        if command.split()[:1] == ["scp"]:
            files.receive(self.box, self.channel, command)
            return
        for line in re.split(r"\s;\s*|\n", command):
            self._say(self._run(line))
        self.channel.send_exit_status(0)

    def shell(self) -> None:
        """Serve somebody who types until they leave."""
        self._say("\nCisco Nexus Operating System (NX-OS) Software, emulated\n")
        while not self.session.closed:
            self._say(self.session.prompt, end="")
            line = self._read(echo=True)
            if line is None or self.box.faults.unreachable or self._dropped():
                return
            if self._agreed(line):
                self._say(self._run(line))

    def _dropped(self) -> bool:
        self.box.faults.wait()
        return self.box.faults.drops()

    def _agreed(self, line: str) -> bool:
        """Ask whether they are sure, where the box does; one key answers."""
        question = next((text for pattern, text in _QUESTIONS if pattern.match(line.strip())), "")
        if not question or self.silent:
            return True
        self._say(question, end="")
        said = self._read(echo=True) or ""
        return said.strip().lower().startswith("y")

    def _run(self, line: str) -> str:
        words = line.split()
        if words[-1:] == ["dont-ask"]:
            self.silent = words[0] != "no"
            return ""
        with self.box.lock:
            self.box.tick()
            try:
                return self.session.line(line).text
            except Refusal as wrong:
                return _MARKED if wrong.text == INVALID else wrong.text

    def _say(self, text: str, end: str = "\n") -> None:
        if text or not end:
            whole = text + ("" if text.endswith("\n") else end)
            self.channel.sendall(whole.replace("\n", "\r\n").encode())

    def _read(self, *, echo: bool) -> str | None:
        """Give the next line typed, None when the channel ended."""
        while not (ends := re.search(r"\r\n|\r|\n", self._typed)):
            got = self.channel.recv(65536)
            if not got:
                return None
            self._typed += got.decode(errors="replace")
        line, self._typed = self._typed[: ends.start()], self._typed[ends.end() :]
        while "\x08" in line or "\x7f" in line:
            line = re.sub(r"(^|.)[\x08\x7f]", "", line, count=1)
        line = line.replace("\x15", "").replace("\x01", "").replace("\x05", "")
        if echo:
            self.channel.sendall(f"{line}\r\n".encode())
        return line
