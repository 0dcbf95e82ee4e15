"""What people write of their switches, a TOML file each: texts in, Switches or all mistakes, by line, out.

The format is documented in ``docs/reference/switch-intent.md``.
"""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - annotations are read at run time
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from sekisho.devices.switch.intent import Intent  # noqa: TC001 - likewise

Transport: TypeAlias = Literal["auto", "nxapi", "ssh"]


@dataclass(frozen=True, slots=True)
class Connection:
    """How a switch is reached.

    `driver` is an entry point of the group ``sekisho.switches``; `port` 0 is the usual one of the
    transport. The files are paths: of the password, and of the authorities that sign the switch's
    certificate ("" for the system's). `timeout` is seconds for one answer; `save` keeps changes over a
    restart.
    """

    driver: str
    address: str
    port: int = 0
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    verify: bool = True
    transport: Transport = "auto"
    timeout: float = 30.0
    save: bool = True


@dataclass(frozen=True, slots=True)
class Attach:
    """Which VLANs the cloud brings and takes by itself, and on which ports its hosts are.

    `vlans` is a set of ids as `vlans` writes it, "" for none; `hosts` gives a host's ports by its name;
    with `lldp` a host that is not listed is looked for among the neighbours.
    """

    vlans: str = ""
    hosts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lldp: bool = False


@dataclass(frozen=True, slots=True)
class Switch:
    """One switch: how it is reached, what it should be, and the other one of its pair, "" for none."""

    name: str
    connection: Connection
    intent: Intent
    peer: str = ""
    attach: Attach = field(default_factory=Attach)


def load(folder_texts: Mapping[str, str]) -> Mapping[str, Switch]:
    """Read a folder's texts, by path within the folder (``leaf-1.toml``, ``common/leaf.toml``), as one set.

    Gives switches by name. Raises Malformed whose `problems` are all mistakes of all files, each as
    ``FILE:LINE: path: sentence``.
    """
    raise NotImplementedError
