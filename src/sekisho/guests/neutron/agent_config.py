"""What the agent extension reads beside what both need: kept apart, so that a server loads no switch."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any, Final

from oslo_config import cfg

from sekisho.devices.vswitch.pipeline import Layout
from sekisho.devices.vswitch.telemetry import TelemetrySettings
from sekisho.host.agent import AgentSettings
from sekisho.model.errors import Malformed

log = logging.getLogger(__name__)

# Seconds without news of a port before the whole bridge is looked at: Neutron wires many at a time.
SETTLE: Final = 0.05

AGENT: Final = (
    cfg.StrOpt(
        "state_path",
        default="/var/lib/neutron/sekisho",
        help="Folder in which the agent keeps what the keeper told it, for when the keeper is away.",
    ),
    cfg.FloatOpt("every", default=30.0, min=1.0, help="Seconds after which it looks at the switch anyway."),
    cfg.FloatOpt(
        "counters_every", default=5.0, min=0.5, help="Seconds between looks while something is in force."
    ),
    cfg.FloatOpt(
        "volumes_every",
        default=0.0,
        min=0.0,
        help="Seconds between tellings of every port's byte counters, for metering; 0 is never.",
    ),
    cfg.FloatOpt(
        "port_timeout",
        default=3.0,
        min=0.0,
        help="Seconds Neutron waits at most for the restrictions of a port before it goes on wiring it.",
    ),
    cfg.FloatOpt(
        "burst", default=0.4, min=0.01, help="Seconds of its rate that a limit lets through at once."
    ),
    cfg.IntOpt(
        "first_meter", default=20000, min=1, help="Our meters' numbers begin here; Neutron's are low."
    ),
    cfg.IntOpt("table", default=60, min=0, max=254, help="Table of br-int that holds our rules."),
    cfg.IntOpt("register", default=13, min=8, max=15, help="OpenFlow register that our rules mark."),
    cfg.StrOpt(
        "telemetry_protocol",
        default="none",
        choices=["none", "sflow", "ipfix", "netflow5"],
        help="What br-int exports to the collector; none leaves its export alone.",
    ),
    cfg.StrOpt("telemetry_target", default="127.0.0.1:6343", help="The collector, as ADDRESS:PORT."),
    cfg.ListOpt(
        "telemetry_addresses",
        default=[],
        help="Addresses that this host's datagrams come from. Needed where several hosts export sflow or "
        "netflow5, which do not say whose they are; with ipfix leave it out.",
    ),
    cfg.IntOpt("telemetry_sampling", default=400, min=1, help="One in how many packets is sampled."),
    cfg.IntOpt("telemetry_polling", default=20, min=0, help="Seconds between sFlow counter samples."),
    cfg.BoolOpt(
        "exact",
        default=True,
        help="Tell new connections to the ports the keeper names one by one, beside the sampling.",
    ),
)


def agent_settings(options: Any, host: str, bridge: str) -> AgentSettings:
    """Put what operators set into the words of the loop that keeps a host right."""
    telemetry = _telemetry(options)
    return AgentSettings(
        host=host,
        addresses=tuple(options.telemetry_addresses),
        bridges=(bridge,),
        state=str(Path(options.state_path)),
        every=options.every,
        counters_every=options.counters_every,
        volumes_every=options.volumes_every,
        timeout=options.timeout,
        burst=options.burst,
        settle=SETTLE,
        first_meter=options.first_meter,
        exact=options.exact and telemetry.protocol != "none",
        layout=Layout(options.table, options.register, one_cookie=True),
        telemetry=telemetry,
    )


def _telemetry(options: Any) -> TelemetrySettings:
    """Export nothing rather than enforce nothing where what is said of the export makes no sense."""
    try:
        return TelemetrySettings(
            protocol=options.telemetry_protocol,
            target=options.telemetry_target,
            sampling=options.telemetry_sampling,
            polling=options.telemetry_polling,
        )
    except Malformed as error:
        log.warning("Nothing is exported to the collector: [sekisho] %s", error)
        return TelemetrySettings(protocol="none")
