"""What comes over SSH in pieces: all of it is read, and what has no end is no answer."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from typing import Any

import pytest

from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.intent import Vlan
from sekisho.devices.switch.nexus.door import whole
from sekisho.devices.switch.nexus.driver import Nexus, connect
from sekisho.devices.switch.nexus.ssh import Ssh
from sekisho.model.errors import Unavailable
from sekisho.testing.nexus import Box, Door, serve

pytest.importorskip("netmiko")
VLANS = range(10, 40)
PIECE = 300


def by_ssh(door: Door, timeout: float = 10) -> Nexus:
    return connect(
        Connection(
            "nexus", door.address, door.ssh_port, "admin", verify=False, transport="ssh", timeout=timeout
        ),
        "admin",
    )


@pytest.fixture
def door() -> Iterator[Door]:
    with serve(Box(hostname="leaf-1", version="9.3(10)", ports=8)) as found:
        with closing(
            connect(Connection("nexus", found.url, username="admin", transport="nxapi"), "admin")
        ) as one:
            one.apply([Step(None, Vlan(vlan, f"net{vlan}", 0)) for vlan in VLANS])
        yield found


@pytest.fixture
def in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the network carry answers in pieces, each later than the one before."""
    from sekisho.testing.nexus import ssh

    def say(self: Any, text: str, end: str = "\n") -> None:
        if text or not end:
            whole = (text + ("" if text.endswith("\n") else end)).replace("\n", "\r\n").encode()
            for start in range(0, len(whole), PIECE):
                self.channel.sendall(whole[start : start + PIECE])
                time.sleep(0.03)  # the network's, not ours

    monkeypatch.setattr(ssh._Terminal, "_say", say)


@pytest.mark.usefixtures("in_pieces")
def test_a_configuration_that_comes_in_pieces_is_read_to_its_end(door: Door) -> None:
    with closing(by_ssh(door)) as driver:
        text = driver.running()
        assert text.rstrip().endswith(door.box.running_config().rstrip()[-60:])
        assert {("vlan", str(vlan)) for vlan in VLANS} <= set(driver.read().parts)


def test_a_configuration_that_does_not_end_with_the_prompt_is_no_answer(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sekisho.testing.nexus import ssh

    say = ssh._Terminal._say

    def cut(self: Any, text: str, end: str = "\n") -> None:
        if "hostname leaf-1" not in text:
            say(self, text, end)
            return
        say(self, text[: text.index("hostname leaf-1") + 15])
        self.session.closed = True

    monkeypatch.setattr(ssh._Terminal, "_say", cut)
    with closing(by_ssh(door, timeout=2)) as driver, pytest.raises(Unavailable):
        driver.running()


@pytest.mark.parametrize(
    "text", ["", "\n!Time: now\n", "<html>", "hostname leaf-1\nvlan 10\n", "vlan 10\nversion 9"]
)
def test_a_configuration_without_its_beginning_is_no_answer(text: str) -> None:
    with pytest.raises(Unavailable):
        whole("leaf-1", text)
    assert whole("leaf-1", f"!Command: x\n\nversion 9.3(10)\n{text}")


# Who answers without an end, or in no way that can be read


def telling(monkeypatch: pytest.MonkeyPatch, command: str, answer: Callable[[], Iterable[str]]) -> None:
    """Let the emulated switch answer a command by pieces of this instead."""
    from sekisho.testing.nexus import ssh

    run, said = ssh._Terminal._run, ssh._Terminal._say

    def say(self: Any, text: str, end: str = "\n") -> None:
        if text != "INSTEAD":
            said(self, text, end)
            return
        for piece in answer():
            self.channel.sendall(piece.encode())

    monkeypatch.setattr(
        ssh._Terminal, "_run", lambda self, line: "INSTEAD" if line.startswith(command) else run(self, line)
    )
    monkeypatch.setattr(ssh._Terminal, "_say", say)


def test_an_answer_without_an_end_is_given_up_at_a_length(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent = 0

    def endless() -> Iterator[str]:
        nonlocal sent
        while sent < 100_000_000:
            sent += 10_000
            yield "x" * 10_000

    telling(monkeypatch, "show running-config", endless)
    connection = Connection(
        "nexus", door.address, door.ssh_port, "admin", verify=False, transport="ssh", timeout=20
    )
    with closing(Ssh(connection, "admin", door.ssh_port, longest=1_000_000)) as shell:
        shell.run(["show clock"])
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught:
            shell.run(["show running-config"])
        assert time.monotonic() - began < 10
        assert "more than 1000000 characters" in caught.value.fixer
        assert sent < 20_000_000  # what the network holds, beside
        assert "leaf-1" in shell.run(["show hostname"])[0]


def test_what_reads_like_a_prompt_in_the_middle_is_no_end(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sekisho.devices.switch.nexus import ssh

    monkeypatch.setattr(ssh, "_QUIET", 2.0)

    def answer() -> Iterator[str]:
        yield "version 9.3(10)\r\nleaf-1# "
        time.sleep(0.4)  # the network's, not ours
        yield "\r\nvlan 10\r\n"

    telling(monkeypatch, "show running-config", answer)
    with closing(by_ssh(door)) as driver, pytest.raises(Unavailable, match="to the end"):
        driver.running()


@pytest.mark.parametrize("text", ["vPC is fine", "{'vpc': 1}", '{"vpc-domain-id": "1"', "}{", "[" * 100_000])
def test_what_is_no_json_is_no_answer(door: Door, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    telling(monkeypatch, "show vpc brief", lambda: [text + "\r\n"])
    with closing(by_ssh(door)) as driver:
        with pytest.raises(Unavailable, match="can be read"):
            driver.pair()
        assert driver.running()


def test_what_a_library_says_in_paragraphs_is_told_in_a_line_without_secrets() -> None:
    from sekisho.devices.switch.nexus.ssh import _meant

    advice = (
        "Pattern not detected.\n\n  Things you might try:\n1. username eve password 0nly-Eve\n" + "x" * 5000
    )
    told = _meant(Connection("nexus", "10.0.0.1"), ValueError(advice)).fixer
    assert told.startswith(
        "10.0.0.1: ValueError: Pattern not detected. Things you might try: 1. username eve"
    )
    assert "\n" not in told
    assert "0nly-Eve" not in told
    assert len(told) < 1000


def test_what_has_nothing_to_show_shows_nothing(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    telling(monkeypatch, "show vpc brief", lambda: ["\r\n"])
    with closing(by_ssh(door)) as driver:
        assert driver.pair() is None


@pytest.mark.parametrize("text", ["{}", '{"host_name": "leaf-1"}', '{"proc_board_id": "FDO1"}', ""])
def test_a_switch_that_does_not_say_which_one_it_is_gave_no_answer(
    door: Door, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    telling(monkeypatch, "show version", lambda: [text + "\r\n"])
    with closing(by_ssh(door)) as driver, pytest.raises(Unavailable, match="which one it is"):
        driver.read()
