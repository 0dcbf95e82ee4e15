"""Stand-ins for what Neutron brings into its agent's process, and for the host around our extension."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from types import ModuleType, SimpleNamespace
from typing import Any

from sekisho.model.inventory import HostReport, Subject, Telemetry
from sekisho.model.report import HostProgram
from sekisho.model.restriction import Receipt
from support_modules import imported, stand_ins

# Longer than anything here takes; who waits this long has failed.
LONG = 10.0
GUEST = "sekisho.guests.neutron"
MODULES = ("config", "agent_config", "bridge", "agent")


class ProcessExecutionError(RuntimeError):
    """As neutron_lib.exceptions has it: the message holds all, the code stands apart."""

    def __init__(self, message: str, returncode: int | None = None) -> None:
        super().__init__(message)
        self.returncode = returncode


class InvalidDatapath(RuntimeError):
    """As os_ken.app.ofctl.exception has it: the switch has connected anew."""


class OFError(RuntimeError):
    """As os_ken.app.ofctl.exception has it: the switch's answers, errors among them."""

    def __init__(self, result: Sequence[Any]) -> None:
        super().__init__(f"OpenFlow errors {result}")
        self.result = result


class Conf:
    """oslo.config's global, as far as guests use it."""

    def __init__(self) -> None:
        self.host = "h1"
        self.OVS = SimpleNamespace(ovsdb_connection="tcp:127.0.0.1:6640")
        self.sekisho = SimpleNamespace()

    def register_opts(self, options: Sequence[Any], group: str) -> None:
        for option in options:
            if not hasattr(getattr(self, group), option.name):
                setattr(getattr(self, group), option.name, option.default)


def option(name: str, default: Any = None, **limits: Any) -> SimpleNamespace:
    return SimpleNamespace(name=name, default=default, limits=limits)


def fakes() -> dict[str, ModuleType]:
    """Make every foreign module that the agent extension imports."""
    options = dict.fromkeys(("StrOpt", "FloatOpt", "IntOpt", "BoolOpt", "ListOpt"), option)
    cfg = SimpleNamespace(CONF=Conf(), **options)
    contents: dict[str, dict[str, Any]] = {
        "oslo_config": {"cfg": cfg},
        "oslo_messaging": {"Target": SimpleNamespace},
        "neutron_lib": {},
        "neutron_lib.exceptions": {"ProcessExecutionError": ProcessExecutionError},
        "neutron_lib.agent": {},
        "neutron_lib.agent.l2_extension": {"L2AgentExtension": type("L2AgentExtension", (), {})},
        "neutron": {},
        "neutron.agent": {},
        "neutron.agent.linux": {},
        "neutron.agent.linux.utils": {"execute": None},
        "os_ken": {},
        "os_ken.app": {},
        "os_ken.app.ofctl": {},
        "os_ken.app.ofctl.event": {"SendMsgRequest": SimpleNamespace},
        "os_ken.app.ofctl.exception": {"InvalidDatapath": InvalidDatapath, "OFError": OFError},
    }
    return stand_ins(contents)


@contextmanager
def neutron() -> Iterator[SimpleNamespace]:
    """Import the guest's modules among the stand-ins, and leave no trace of either."""
    made = fakes()
    with imported(GUEST, MODULES, made) as loaded:
        yield SimpleNamespace(**loaded, fakes=made, conf=made["oslo_config"].cfg.CONF)


class Switch:
    """A bridge whose turns the test can hold back; tells what each turn carried."""

    def __init__(self, bridge: str = "br-int") -> None:
        self.bridge = bridge
        self.turns: list[tuple[dict[str, Subject], Any]] = []
        self.error: Exception | None = None  # raised by every turn
        self.errors: list[Exception] = []  # raised by one turn each, the last first
        self.hastes = False  # whether a port can be bound ahead of the others
        self.hastened: list[Subject] = []
        self.free = threading.Event()
        self.free.set()
        self._news = threading.Condition()

    def carry(self, subjects: Sequence[Subject], memory: Any, now: float) -> tuple[Receipt, ...]:
        self.free.wait(LONG)
        with self._news:
            self.turns.append(({s.id: s for s in subjects}, memory))
            self._news.notify_all()
        if self.errors:
            raise self.errors.pop()
        if self.error is not None:
            raise self.error
        return tuple(
            Receipt(h.binding.restriction, h.binding.subject, "h1", in_force=True, time=now)
            for h in memory.held
        )

    def hasten(self, subject: Subject, subjects: Sequence[Subject], memory: Any, now: float) -> bool:
        del subjects, memory, now
        if self.hastes:
            self.hastened.append(subject)
        return self.hastes

    def export(self, templates: float) -> Telemetry:
        del templates
        return Telemetry(self.bridge)

    def until(self, true: Callable[[], bool]) -> bool:
        """Wait for something that a turn brings about."""
        with self._news:
            return self._news.wait_for(true, LONG)

    def carrying(self, port: str) -> Subject | None:
        """Give a port as the last turn saw it."""
        return self.turns[-1][0].get(port) if self.turns else None


class Database:
    """The switch's database: the ports a test puts there."""

    def __init__(self) -> None:
        self.here: tuple[Subject, ...] = ()
        self.error: Exception | None = None
        self.remotes: list[str] = []
        self.listeners: list[Callable[[Any], None]] = []

    def __call__(self, remote: str, _host: str, **_more: object) -> Database:
        self.remotes.append(remote)
        return self

    def subjects(self) -> tuple[Subject, ...]:
        if self.error is not None:
            raise self.error
        return self.here

    def listen(self, callback: Callable[[Any], None]) -> None:
        self.listeners.append(callback)

    def close(self) -> None: ...

    def plug(self, *subjects: Subject) -> None:
        """Have just these ports, and tell nobody: Neutron may well be faster than our watch."""
        self.here = subjects


class Keeper:
    """Answers as the client would; a long poll is held until there is news."""

    def __init__(self) -> None:
        self.answer: HostProgram | Exception = HostProgram("h1", 1)
        self.reports: list[HostReport] = []
        self.counters: SimpleQueue[tuple[str, Any]] = SimpleQueue()
        self.over = False
        self._news = threading.Condition()

    def say(self, answer: HostProgram | Exception) -> None:
        with self._news:
            self.answer = answer
            self._news.notify_all()

    def _answer(self) -> Any:
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def report_host(self, report: HostReport) -> Any:
        with self._news:
            self.reports.append(report)
            self._news.notify_all()
            return self._answer()

    def program(self, _host: str, revision: int, _wait: float) -> Any:
        with self._news:
            self._news.wait_for(lambda: self.over or getattr(self.answer, "revision", -2) != revision, LONG)
            return self._answer()

    def receipts(self, *_told: Any) -> None: ...

    def report_counters(self, host: str, counters: Any) -> None:
        self.counters.put((host, counters))

    def reported(self, times: int) -> bool:
        with self._news:
            return self._news.wait_for(lambda: len(self.reports) >= times, LONG)

    def end(self) -> None:
        with self._news:
            self.over = True
            self._news.notify_all()


@dataclass
class Host:
    """One host whose Neutron agent loads our extension; its threads are ended by `stop`."""

    guest: SimpleNamespace
    folder: Path
    switch: Switch = field(default_factory=Switch)
    database: Database = field(default_factory=Database)
    keeper: Keeper = field(default_factory=Keeper)
    ports: dict[str, Any] = field(default_factory=dict)
    consumers: list[tuple[str, list[Any], bool]] = field(default_factory=list)
    cookies: list[int] = field(default_factory=list)
    threads: list[tuple[Any, threading.Thread | None]] = field(default_factory=list)

    def __post_init__(self) -> None:
        agent = self.guest.agent
        agent.Database = self.database
        agent.VSwitch = lambda *_: self.switch
        agent.AGAIN = 0.01
        agent.config.client = lambda _options: self.keeper
        self.set(state_path=str(self.folder / "state"), port_timeout=LONG)

    def set(self, **options: Any) -> None:
        """Write into ``[sekisho]``."""
        vars(self.guest.conf.sekisho).update(options)

    @property
    def api(self) -> SimpleNamespace:
        """What Neutron hands to an extension."""
        bridge = SimpleNamespace(br_name="br-int", set_agent_uuid_stamp=self.cookies.append)
        cache = SimpleNamespace(get_resource_by_id=lambda _kind, port: self.ports.get(port))
        rpc = SimpleNamespace(remote_resource_cache=cache)
        return SimpleNamespace(request_int_br=lambda: bridge, plugin_rpc=rpc)

    def create_consumer(self, topic: str, endpoints: list[Any], *, fanout: bool) -> None:
        self.consumers.append((topic, endpoints, fanout))

    def load(self, api: Any = None, connection: Any = None) -> Any:
        """Load and initialize an extension as Neutron does."""
        extension = self.guest.agent.SekishoAgentExtension()
        extension.consume_api(api or self.api)
        before = threading.enumerate()
        extension.initialize(connection or self, "ovs")
        begun = [t for t in threading.enumerate() if t.name == "sekisho" and t not in before]
        self.threads.append((extension, begun[0] if begun else None))
        return extension

    def end(self, extension: Any) -> None:
        """Let an agent die; what it laid stays on the switch."""
        (mine,) = [thread for known, thread in self.threads if known is extension]
        while mine is not None and mine.is_alive():
            # It may be just about to have an agent.
            if extension._agent is not None:
                extension._agent.end()
            mine.join(0.01)

    def stop(self) -> None:
        """End every thread of every extension."""
        # One that never got as far as an agent is still trying.
        self.guest.agent.config.client = lambda _options: self.keeper
        self.switch.free.set()
        self.keeper.end()
        for extension, _ in self.threads:
            self.end(extension)
