"""The SSH door: prompts, echoes, refusals and files, as somebody at a terminal meets them."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from sekisho.testing.nexus import Box, Door, serve
from support_emulator import configured, section

paramiko = pytest.importorskip("paramiko")


@pytest.fixture
def box() -> Box:
    return configured("")


@pytest.fixture
def door(box: Box) -> Iterator[Door]:
    with serve(box, port=0) as made:
        yield made


@pytest.fixture
def client(door: Door) -> Iterator[Any]:
    made = connected(door, "admin")
    yield made
    made.close()


def connected(door: Door, password: str) -> Any:
    made = paramiko.SSHClient()
    made.set_missing_host_key_policy(paramiko.AutoAddPolicy())
    found = {"password": password, "allow_agent": False, "look_for_keys": False}
    made.connect("127.0.0.1", door.ssh_port, "admin", timeout=10, **found)
    return made


class Terminal:
    """Types lines and reads up to the next prompt."""

    def __init__(self, channel: Any) -> None:
        channel.settimeout(10)
        self.channel = channel
        self.until(r"# $")

    def until(self, pattern: str) -> str:
        text = ""
        while not re.search(pattern, text):
            text += self.channel.recv(4096).decode()
        return text

    def type(self, line: str, pattern: str = r"# $") -> str:
        self.channel.sendall(f"{line}\n".encode())
        return self.until(pattern)


def test_a_wrong_password_does_not_come_in(door: Door) -> None:
    with pytest.raises(paramiko.AuthenticationException):
        connected(door, "wrong")


def test_lines_are_echoed_and_the_prompt_tells_the_mode(client: Any, box: Box) -> None:
    terminal = Terminal(client.invoke_shell())
    assert terminal.type("show hostname") == "show hostname\r\nleaf-1\r\nleaf-1# "
    assert terminal.type("configure terminal").endswith("leaf-1(config)# ")
    assert terminal.type("interface Ethernet1/1").endswith("leaf-1(config-if)# ")
    assert "Invalid command at '^' marker" in terminal.type("frobnicate")
    terminal.type("switchport access vlan 7")
    assert terminal.type("end").endswith("leaf-1# ")
    assert section(box, "interface Ethernet1/1") == ["switchport access vlan 7"]


def test_a_restart_is_asked_about(client: Any, box: Box) -> None:
    terminal = Terminal(client.invoke_shell())
    terminal.type("reload", r"\(y/n\)")
    terminal.type("n")
    assert box.boots == 0
    terminal.type("reload", r"\(y/n\)")
    terminal.channel.sendall(b"y\n")
    while terminal.channel.recv(4096):
        pass
    assert box.boots == 1


def test_one_command_comes_with_the_connection(client: Any) -> None:
    _, out, _ = client.exec_command("show hostname ; show checkpoint summary")
    assert out.read().decode().startswith("leaf-1\r\nUser Checkpoint Summary")


def test_files_go_to_and_from_bootflash(client: Any, box: Box) -> None:
    with client.open_sftp() as files:
        with files.open("bootflash:/wanted", "w") as file:
            file.write("vlan 77\n")
        assert box.files == {"wanted": "vlan 77\n"}
        with files.open("wanted") as file:
            assert file.read() == b"vlan 77\n"


def test_a_box_that_is_cut_off_stops_in_the_middle(client: Any, box: Box) -> None:
    terminal = Terminal(client.invoke_shell())
    box.faults.unreachable = True
    terminal.channel.sendall(b"show hostname\n")
    text = b""
    while got := terminal.channel.recv(4096):
        text += got
    assert b"leaf-1\r\n" not in text
