"""Takes everything of ours off a host's bridges; needs nothing but what Neutron's environment has.

As a program: ``python -m sekisho.host.clear [--bridge br-int] [--run-dir /var/run/openvswitch]``; without
``--run-dir`` it goes where OVS_RUNDIR says, as Open vSwitch's own tools do.
"""

from __future__ import annotations

import argparse
import os
import sys
from typing import TYPE_CHECKING

from sekisho.devices.vswitch.ofctl import Ofctl, OfctlSettings
from sekisho.devices.vswitch.ovsdb import Database
from sekisho.host.agent import AgentSettings
from sekisho.host.clock import Clock
from sekisho.host.switch import VSwitch, open_switch
from sekisho.model.errors import SekishoError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


def clear(settings: AgentSettings) -> Iterator[str]:
    """Clear bridge after bridge, and say of each what was taken off; raises Unavailable."""
    ports, switches = open_switch(settings)
    try:
        ports.subjects()  # Unavailable here, and not half-way, where there is no switch
        for switch in switches:
            yield f"{switch.bridge}: {_clear(switch, settings)} rules and meters taken off."
    finally:
        ports.close()


def _clear(switch: VSwitch, settings: AgentSettings) -> int:
    now = Clock().passed()
    try:
        return switch.clear(now)
    except SekishoError:
        # Neutron lets its bridges speak nothing newer.
        own = OfctlSettings(settings.run_dir, settings.timeout, settings.first_meter, "OpenFlow14")
        database = Database(f"{settings.run_dir}/db.sock", settings.host, (), settings.run_dir)
        try:
            return VSwitch(switch.bridge, settings, database, Ofctl(switch.bridge, own)).clear(now)
        finally:
            database.close()


def main(argv: Sequence[str] | None = None) -> int:
    """Clear the bridges that the words name."""
    default = AgentSettings("")
    parser = argparse.ArgumentParser(
        prog="python -m sekisho.host.clear", description="Take everything of Sekisho off bridges, and end."
    )
    parser.add_argument("--bridge", action="append", help="a bridge, several times for several; br-int")
    # As the switch's own tools have it.
    here = os.environ.get("OVS_RUNDIR") or default.run_dir  # noqa: TID251 - a program of its own
    parser.add_argument(
        "--run-dir", default=here, help=f"where the switch's sockets are; OVS_RUNDIR, or {default.run_dir}"
    )
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
