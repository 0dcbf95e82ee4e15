"""Neutron's integration bridge as our driver speaks to it: with Neutron's rights, over its connection."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from neutron.agent.linux import utils
from neutron_lib import exceptions
from os_ken.app.ofctl.event import SendMsgRequest
from os_ken.app.ofctl.exception import InvalidDatapath, OFError

from sekisho.devices.vswitch.encode import COMMITTED, METER_MOD_FAILED, encode
from sekisho.devices.vswitch.ofctl import Ofctl, OfctlSettings, Ran
from sekisho.model.errors import Conflict, Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.devices.vswitch.encode import Batch
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


class Connection:
    """Lays batches over the OpenFlow connection that the bridge holds to Neutron's agent.

    That takes no rights and no process. What has only Neutron's older bridges is left to ovs-ofctl.
    """

    def __init__(self, bridge: Any) -> None:
        self._bridge = bridge
        self._datapath: Any = None

    def __call__(self, batch: Batch) -> None:
        """Lay a batch; raises Unavailable, Refused, or Conflict when a meter is not as thought."""
        try:
            try:
                answers = self._send(batch)
            except InvalidDatapath:
                self._datapath = None
                answers = self._send(batch)
        except OFError as error:
            said = f"OpenFlow: {error}"
            if any(answer.type == METER_MOD_FAILED for answer in error.result):
                raise Conflict("The switch's meters changed meanwhile.", said) from error
            raise Refused("The switch refused a change.", said) from error
        except Exception as error:
            # A bridge without this connection, or another Neutron's.
            self._datapath = None
            raise Unavailable("The switch cannot be asked.", f"os-ken: {error!r}", 1.0) from error
        if batch.rules and not any(answer.type == COMMITTED for answer in answers):
            raise Unavailable("The switch does not answer.", "os-ken: no word of the bundle.", 1.0)

    def _send(self, batch: Batch) -> Sequence[Any]:
        if self._datapath is None:
            self._datapath = self._bridge._get_dp()[0]  # noqa: SLF001 - as Neutron's own bridges find it
        parser = self._datapath.ofproto_parser
        said = _said(parser, self._datapath, batch)
        # What os-ken's api of this is would, imported before Neutron's own, leave Neutron without it.
        request = SendMsgRequest(msg=said, reply_cls=parser.ONFBundleCtrlMsg, reply_multi=True)
        answers: Sequence[Any] = self._bridge._app.send_request(request)()  # noqa: SLF001 - whose connection it is
        return answers


def _said(parser: Any, datapath: Any, batch: Batch) -> Any:
    """Make one message of os-ken's of a whole batch: what answers it answers all."""

    class Said(parser.MsgBase):
        def serialize(self) -> None:
            self.buf = encode(batch, self.xid)

    return Said(datapath)
