"""Run emulated switches in a process of their own, until it is told to stop.

    python -m sekisho.testing.nexus [--count N | --pair] [--port PORT] [--ssh-port PORT] [--version V] ...

Prints one line of JSON for each switch, then one that says they are ready.
"""

from __future__ import annotations

import argparse
import json
import signal
from typing import TYPE_CHECKING

from sekisho.testing.nexus.box import Box, pair
from sekisho.testing.nexus.doors import Entrance, open_doors

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> None:
    """Open the doors and wait for SIGTERM or SIGINT."""
    asked = _parser().parse_args(arguments)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    entrance = Entrance()
    tls = (asked.certificate, asked.key) if asked.certificate else None
    for number, box in enumerate(boxes(asked)):
        port = asked.port and asked.port + number
        ssh_port = 0 if asked.ssh_port is None else None if asked.ssh_port == 0 else asked.ssh_port + number
        door = open_doors(entrance, box, port=port, ssh_port=ssh_port, tls=tls)
        told = {"hostname": box.hostname, "url": door.url, "port": door.port, "ssh_port": door.ssh_port}
        print(json.dumps(told), flush=True)
    entrance.start()
    print(json.dumps({"ready": True}), flush=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    entrance.stop()


def boxes(asked: argparse.Namespace) -> list[Box]:
    """Make the switches that were asked for."""
    count = 2 if asked.pair else asked.count
    made = [
        Box(
            hostname=f"{asked.name}-{number}" if count > 1 else asked.name,
            version=asked.version,
            ports=asked.ports,
            serial=f"FDO{number:08}",
            username=asked.username,
            password=asked.password,
        )
        for number in range(1, count + 1)
    ]
    if asked.pair:
        pair(*made)
    return made


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sekisho.testing.nexus", description="Emulated Nexus switches."
    )
    parser.add_argument("--count", type=int, default=1, help="how many switches")
    parser.add_argument("--pair", action="store_true", help="two switches wired as a vPC pair")
    parser.add_argument("--port", type=int, default=0, help="NX-API port of the first one; 0 takes free ones")
    parser.add_argument(
        "--ssh-port", type=int, help="SSH port of the first one; 0 takes free ones, else no SSH"
    )
    parser.add_argument("--ports", type=int, default=48, help="ports of each switch")
    parser.add_argument("--name", default="leaf", help="host name, numbered if there are several")
    parser.add_argument("--version", default="9.3(10)", help="the NX-OS version that they say they are")
    parser.add_argument("--username", default="admin")
    parser.add_argument("--password", default="admin", help="of an emulated switch on the loopback interface")
    parser.add_argument("--certificate", default="", help="a PEM file for HTTPS; with --key")
    parser.add_argument("--key", default="")
    return parser


if __name__ == "__main__":
    main()
