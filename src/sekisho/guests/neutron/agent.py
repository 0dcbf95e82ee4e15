"""The extension of neutron-openvswitch-agent (``[agent] extensions = sekisho``).

Neutron calls it for each port it wires; the loop that keeps the host right runs in a thread of its own.
Nothing here ever raises into Neutron's: what fails is said once, counted and tried again.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import oslo_messaging
from neutron_lib.agent import l2_extension
from oslo_config import cfg

from sekisho.devices.vswitch.ovsdb import Database
from sekisho.guests.neutron import agent_config, config
from sekisho.guests.neutron import bridge as neutron_bridge
from sekisho.guests.neutron.facts import FactBook, NeutronPorts, read_facts
from sekisho.host.agent import Agent
from sekisho.host.clock import Clock
from sekisho.host.counting import spawn_counting
from sekisho.host.switch import FilteredPorts, VSwitch
from sekisho.host.tasks import Troubles
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sekisho.client import Client
    from sekisho.host.agent import AgentSettings
    from sekisho.model.inventory import Subject

log = logging.getLogger(__name__)

# How long after a failure it begins again.
AGAIN: Final = 1.0


class SekishoAgentExtension(l2_extension.L2AgentExtension):
    """Binds the ports of one host where Neutron wires them."""

    def __init__(self) -> None:
        self._api: Any = None
        self._agent: Agent | None = None
        self._ports: NeutronPorts | None = None
        self._facts = FactBook()
        self._pause = threading.Event()
        self._wait = 0.0
        self._troubles = Troubles(log)

    def consume_api(self, agent_api: Any) -> None:
        """Take Neutron's hand to its bridges, before `initialize`."""
        self._api = agent_api

    def initialize(self, connection: Any, driver_type: str) -> None:
        """Begin to keep this host right; a mistake in the settings must not keep Neutron from starting."""
        del driver_type
        with _Guarded(self._troubles, "starting"):
            options = config.register(cfg.CONF, (*config.KEEPER, *agent_config.AGENT))
            bridge = self._api.request_int_br()
            settings = agent_config.agent_settings(options, cfg.CONF.host, bridge.br_name)
            # Before Neutron looks for flows that nobody knows, which it does once all ports are wired.
            neutron_bridge.reserve(bridge, settings)
            self._wait = options.port_timeout
            self._facts.recall(Path(settings.state))
            keep = partial(self._keep, options, bridge, settings)
            threading.Thread(target=keep, name="sekisho", daemon=True).start()
        with _Guarded(self._troubles, "listening for nudges"):
            connection.create_consumer(config.TOPIC, [Nudges(self._nudge)], fanout=True)

    def _keep(self, options: Any, bridge: Any, settings: AgentSettings) -> None:
        """Keep the host right for as long as the process lives, whatever happens."""
        while True:
            with _Guarded(self._troubles, "keeping the host right"):
                self._agent = self._agent or self._made(options, bridge, settings)
                self._agent.run()
                return
            self._pause.wait(AGAIN)

    def _made(self, options: Any, bridge: Any, settings: AgentSettings) -> Agent:
        asks = cast("Client", LateClient(partial(config.client, options)))
        database = Database(cfg.CONF.OVS.ovsdb_connection, settings.host, kept=settings.bridges)
        self._ports = NeutronPorts(FilteredPorts(database, settings), self._facts)
        speaks = neutron_bridge.ofctl(bridge, settings), neutron_bridge.Connection(bridge)
        switch = VSwitch(bridge.br_name, settings, database, *speaks)
        worker = Agent(settings, asks, Clock(), self._ports, [switch])
        spawn_counting(settings, asks, self._ports.known, worker, cfg.CONF.OVS.ovsdb_connection)
        return worker

    def _nudge(self) -> None:
        if self._agent is not None:
            self._agent.nudge()

    def handle_port(self, context: Any, data: Mapping[str, Any]) -> None:
        """Learn what Neutron says of a port; let it go on only once what binds the port is in force."""
        del context
        with _Guarded(self._troubles, "taking a port"):
            self._take(data)

    def _take(self, data: Mapping[str, Any]) -> None:
        port = str(data["port_id"])
        self._facts.learn(port, read_facts(data, self._cached(port)))
        agent, ports = self._agent, self._ports
        if agent is None or ports is None:
            return
        subject = ports.find(port)
        if subject is not None and agent.carries(subject):
            return
        if subject is None or not agent.binds(subject):
            agent.wake()
        elif not _within(self._wait, partial(self._bind, agent, subject, ports.known())):
            log.warning("port %s goes on before what binds it is in force", port)

    def _bind(self, agent: Agent, subject: Subject, known: Sequence[Subject]) -> bool:
        with _Guarded(self._troubles, "binding a port"):
            return agent.hasten(subject, known) or agent.carry_soon(self._wait)
        return False

    def _cached(self, port: str) -> Any:
        """Find the Port object that Neutron's agent has fetched just before, None if that fails."""
        cache = getattr(getattr(self._api, "plugin_rpc", None), "remote_resource_cache", None)
        with _Guarded(self._troubles, "reading Neutron's cache of ports"):
            return cache.get_resource_by_id("Port", port) if cache is not None else None
        return None

    def delete_port(self, context: Any, data: Mapping[str, Any]) -> None:
        """Forget a port; its rules go with it from the switch."""
        del context
        with _Guarded(self._troubles, "letting a port go"):
            self._facts.forget(str(data["port_id"]))
            if self._agent is not None:
                self._agent.wake()

    def handle_switch_restart(self) -> None:
        """Lay everything again before Neutron wires the ports again."""
        with _Guarded(self._troubles, "after a restart of the switch"):
            if self._agent is not None:
                self._agent.carry_soon(self._wait)


def _within(timeout: float, work: Callable[[], bool]) -> bool:
    """Do something in a thread of its own; False when it came to nothing, in time."""
    done, came = threading.Event(), list[bool]()

    def run() -> None:
        came.append(work())
        done.set()

    threading.Thread(target=run, name="sekisho-port", daemon=True).start()
    return done.wait(timeout) and came == [True]


class LateClient:
    """A client that is made when it is first needed: without a token what is remembered is still carried."""

    def __init__(self, make: Callable[[], Client]) -> None:
        self._make = make
        self._client: Client | None = None

    def __getattr__(self, name: str) -> Any:
        """Give what the client has; raises Unavailable while it cannot be made."""
        if self._client is None:
            try:
                self._client = self._make()
            except (OSError, ValueError) as error:
                raise Unavailable("The keeper cannot be asked.", f"[sekisho]: {error}", 5.0) from error
        return getattr(self._client, name)


class Nudges:
    """Hears by fanout that the keeper has news; one that is lost costs nothing."""

    target = oslo_messaging.Target(version="1.0")

    def __init__(self, nudge: Callable[[], None]) -> None:
        self._nudge = nudge

    def nudge(self, context: Any, revision: int = 0) -> None:
        """Ask the keeper now."""
        del context, revision
        self._nudge()


class _Guarded:
    """Keeps whatever goes wrong inside from Neutron; says it once."""

    def __init__(self, troubles: Troubles, what: str) -> None:
        self._troubles = troubles
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if isinstance(error, Exception):
            self._troubles.begin(self._what, repr(error))
            log.debug("%s", self._what, exc_info=error)
            return True
        if kind is None:
            self._troubles.end(self._what)
        return False
