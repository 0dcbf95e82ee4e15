"""Neutron's integration bridge as our driver speaks to it: by ovs-ofctl, run the way Neutron runs things."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from neutron.agent.linux import utils
from neutron_lib import exceptions

from sekisho.devices.vswitch.openflow import Ofctl, OfctlSettings, Ran
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.host.agent import AgentSettings

# Neutron lets its bridges speak no newer one, and bundles need this one.
PROTOCOL: Final = "OpenFlow14"
_STDERR: Final = re.compile(r"Stderr: (.*)", re.DOTALL)


def run_by_neutron(argv: Sequence[str], stdin: str, timeout: float) -> Ran:
    """Run a command with the rights Neutron's agent has (its privsep daemon); never raises for its code."""
    command = [argv[0], f"--timeout={max(1, round(timeout))}", *argv[1:]]
    try:
        out: Any = utils.execute(
            command, process_input=stdin, run_as_root=True, privsep_exec=True, log_fail_as_error=False
        )
    except exceptions.ProcessExecutionError as error:
        said = _STDERR.search(str(error))
        return Ran(error.returncode or 1, "", said[1] if said else str(error))
    except Exception as error:
        # What its daemon raises is told by no class of its own.
        raise Unavailable("The switch cannot be asked.", f"{argv[0]} by privsep: {error!r}", 1.0) from error
    return Ran(0, out, "")


def reserve(bridge: Any, settings: AgentSettings) -> None:
    """Let Neutron's clean-up of flows that nobody knows leave ours alone, for as long as we are loaded."""
    bridge.set_agent_uuid_stamp(settings.layout.reserved)


def ofctl(bridge: Any, settings: AgentSettings) -> Ofctl:
    """Speak to a bridge of Neutron's, wherever its switch listens."""
    own = OfctlSettings("", settings.timeout, settings.first_meter, PROTOCOL)
    return Ofctl(bridge.br_name, own, run_by_neutron)
