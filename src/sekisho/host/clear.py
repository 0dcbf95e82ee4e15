"""Takes everything of ours off a host's bridges; needs nothing but what Neutron's environment has.

As a program: ``python -m sekisho.host.clear [--bridge br-int] [--run-dir /var/run/openvswitch]``.
"""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from sekisho.host.agent import AgentSettings
from sekisho.host.clock import Clock
from sekisho.host.switch import open_switch
from sekisho.model.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def clear(settings: AgentSettings) -> Iterator[str]:
    """Clear bridge after bridge, and say of each what was taken off; raises Unavailable."""
    ports, switches = open_switch(settings)
    try:
        ports.subjects()  # Unavailable here, and not half-way, where there is no switch
        for switch in switches:
            yield f"{switch.bridge}: {switch.clear(Clock().passed())} rules and meters taken off."
    finally:
        ports.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Clear the bridges that the words name."""
    default = AgentSettings("")
    parser = argparse.ArgumentParser(
        prog="python -m sekisho.host.clear", description="Take everything of Sekisho off bridges, and end."
    )
    parser.add_argument("--bridge", action="append", help="a bridge, several times for several; br-int")
    parser.add_argument("--run-dir", default=default.run_dir, help="where the switch's sockets are")
    told = parser.parse_args(argv)
    bridges = tuple(told.bridge or default.bridges)
    try:
        for sentence in clear(AgentSettings("", bridges=bridges, run_dir=told.run_dir)):
            sys.stdout.write(f"{sentence}\n")
    except SekishoError as error:
        sys.stderr.write(f"{error.fixer}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
