"""The command line over SSH, for switches without NX-API."""

from __future__ import annotations

import contextlib
import json
import re
import threading
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from sekisho.devices.switch.nexus import cli, guard
from sekisho.devices.switch.nexus.door import LONGEST, checked
from sekisho.devices.switch.said import clean, masked
from sekisho.model.errors import Refused, SekishoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from netmiko import BaseConnection
    from netmiko.channel import Channel

    from sekisho.devices.switch.document import Connection

PORT: Final = 22
PATIENCE: Final = 10.0  # seconds until a connection must stand
_NAME: Final = r"[\w.-]+(?:\(config[^)\r\n]*\))?"  # of a prompt that may be another one than before
_TOLD: Final = 600  # characters of what a library says went wrong
_QUIET: Final = 0.1  # seconds without a word after a prompt: then it was the last one


class Ssh:
    """Speaks to one switch by SSH; see `door.Door`. Signs in when first asked, and again after a break."""

    def __init__(self, connection: Connection, secret: str, port: int = PORT, longest: int = LONGEST) -> None:
        self._connection = connection
        self._secret = secret
        self._port = port
        self._longest = longest
        self._open: BaseConnection | None = None

    def run(self, commands: Sequence[str]) -> list[str]:
        """Carry out commands that show or act; see `door.Door.run`."""
        with self._session() as session:
            return [self._run(session, command) for command in commands]

    def _run(self, session: BaseConnection, command: str) -> str:
        if not command.startswith("show "):
            return self._say(session, command)
        text = self._shown(session, command)
        return checked(self._connection.address, text, command)

    def _shown(self, session: BaseConnection, command: str) -> str:
        """Give all that a command shows, up to the prompt at its very end: what is shown holds names too."""
        prompt = _prompt(re.escape(session.base_prompt))
        text = str(
            session.send_command(
                command,
                expect_string=prompt,
                read_timeout=self._connection.timeout,
                strip_prompt=False,
            )
        )
        threading.Event().wait(_QUIET)
        said, end, _ = f"\n{text}".rpartition(f"\n{session.base_prompt}#")
        if not end or not re.search(prompt, f"\n{text}") or session.read_channel():
            self.close()  # what is still to come must not be taken for the next answer
            raise Unavailable(
                f"The switch {self._connection.address} did not answer to the end.",
                f"{self._connection.address}: the answer to {command!r} has no prompt at its end; ask again.",
                retry_after=5,
            )
        return said.lstrip("\n")

    def data(self, command: str) -> Mapping[str, Any]:
        """Ask for a command's structured output; see `door.Door.data`."""
        text = self.run([f"{command} | json"])[0].strip()
        if not text:
            return {}
        try:
            found = clean(json.loads(text[text.find("{") : text.rfind("}") + 1]))
        except (ValueError, RecursionError) as odd:
            raise Unavailable(
                f"The switch {self._connection.address} did not answer in a way that can be read.",
                f"{self._connection.address}: the answer to {command!r} is no JSON; ask again.",
                retry_after=5,
            ) from odd
        return found if isinstance(found, dict) else {}

    def tables(self, commands: Sequence[str]) -> list[Mapping[str, Any]]:
        """Ask for the structured outputs of several commands; see `door.Door.tables`."""
        return [self.data(command) for command in commands]

    def configure(self, blocks: Sequence[cli.Block]) -> None:
        """Send configuration commands; see `door.Door.configure`."""
        lines = [line for block in blocks for line in cli.closed(block)]
        guard.check(lines)
        with self._session() as session:
            self._say(session, "configure terminal")
            try:
                for line in lines:
                    self._say(session, line)
            finally:
                self._heard(session, "end")

    def _say(self, session: BaseConnection, line: str) -> str:
        text = self._heard(session, line)
        return checked(self._connection.address, text.replace(line, "", 1), line)

    def _heard(self, session: BaseConnection, line: str) -> str:
        """Send a line that may give the switch another name, and with it another prompt."""
        text = str(
            session.send_command(
                line,
                expect_string=_prompt(_NAME),
                read_timeout=self._connection.timeout,
                cmd_verify=False,
                strip_prompt=False,
            )
        )
        said, _, prompt = text.rstrip().rpartition("\n")
        if "(" not in prompt:
            session.base_prompt = prompt.strip().rstrip("# ")
        return said

    def close(self) -> None:
        """Let the connection go."""
        if self._open is not None:
            with contextlib.suppress(Exception):  # it may be gone already
                self._open.disconnect()
            self._open = None

    def sign_in(self) -> None:
        """Open the connection. Raises Unauthenticated, Unavailable."""
        with self._session():
            pass

    @contextlib.contextmanager
    def _session(self) -> Iterator[BaseConnection]:
        """Give an open session; one that broke is not used again."""
        try:
            if self._open is None:
                self._open = self._connect()
            yield self._open
        except SekishoError:
            raise
        except Exception as failed:
            self.close()
            raise _meant(self._connection, failed) from failed

    def _connect(self) -> BaseConnection:
        from netmiko import ConnectHandler

        given = self._connection
        session = ConnectHandler(
            device_type="cisco_nxos",
            host=_host(given.address),
            port=self._port,
            username=given.username,
            password=self._secret,
            conn_timeout=min(given.timeout, PATIENCE),
            ssh_strict=given.verify,
            system_host_keys=given.verify,
            alt_host_keys=bool(given.ca_file),
            alt_key_file=given.ca_file,
            use_keys=False,
            auto_connect=False,
        )
        session.establish_connection()
        session.channel = _Bounded(session.channel, self._longest)  # type: ignore[assignment] # it is enough of one
        try:
            session.session_preparation()
        except Exception:
            session.disconnect()
            raise
        return session


class _Bounded:
    """A channel that brings so many characters after what was said last, and no more."""

    def __init__(self, channel: Channel, longest: int) -> None:
        self._channel = channel
        self._longest = longest
        self._heard = 0

    def write_channel(self, out_data: str) -> None:
        """Say something; what is heard from now on counts anew."""
        self._heard = 0
        self._channel.write_channel(out_data)

    def read_buffer(self) -> str:
        """Hear one piece of what is there, or nothing. Raises OverflowError."""
        text = self._channel.read_buffer()
        self._heard += len(text)
        if self._heard > self._longest:
            raise OverflowError(f"more than {self._longest} characters without an end")
        return text

    def read_channel(self) -> str:
        """Hear all that is there."""
        return "".join(iter(self.read_buffer, ""))


def _prompt(name: str) -> str:
    """Write the pattern of a prompt: a line of its own, with nothing after it."""
    return rf"[\r\n]{name}# ?\Z"


def _host(address: str) -> str:
    return urlsplit(address).hostname or address if "//" in address else address


def _meant(given: Connection, failed: Exception) -> SekishoError:
    from netmiko import NetmikoAuthenticationException

    # netmiko gives advice in paragraphs, and what the other end said word for word
    address, said = given.address, masked(" ".join(str(clean(str(failed)[:_TOLD])).split()))
    if isinstance(failed, NetmikoAuthenticationException):
        return Unauthenticated(
            f"The switch {address} does not let {given.username} in; check username and password_file.",
            f"{address} refuses the name or the password of {given.username} over SSH.",
        )
    if "known_hosts" in str(failed) or "host key" in str(failed).lower():
        return Refused(
            f"The SSH key of {address} is not one that we know.",
            f"{address}: {said}. Put its key into the file that ca_file names, or into known_hosts.",
        )
    return Unavailable(
        f"The switch {address} does not answer over SSH.",
        f"{address}: {type(failed).__name__}: {said}.",
        retry_after=5,
    )
