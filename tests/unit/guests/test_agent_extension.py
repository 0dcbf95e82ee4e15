"""The extension of Neutron's agent: what it holds, and that nothing it meets reaches Neutron."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.model.errors import Conflict, Malformed, Refused, Unavailable
from sekisho.model.inventory import Subject
from sekisho.model.policy import Baseline, Direction, Drop, Protocol, Scope
from sekisho.model.report import HostProgram
from sekisho.model.restriction import Binding
from support_neutron import LONG, Host, Keeper, neutron

SMTP = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)
P1 = Subject("p1", "h1", mac="02:00:00:00:00:01", bridge="br-int", ofport=3, vlan=1)
P2 = replace(P1, id="p2", mac="02:00:00:00:00:02", ofport=4)
BOUND = HostProgram("h1", 2, (Binding("r1", "p1", (SMTP,), 3600.0),))
PLAN = HostProgram("h1", 2, (), (Baseline("plan", (SMTP,), Scope(qos=("gold",))),))
TENANT = HostProgram("h1", 2, (), (Baseline("new", (SMTP,), Scope(projects=("acme",))),))


def details(port: str = "p1", **more: Any) -> dict[str, Any]:
    """Say what the server says of a port."""
    fixed = [{"ip_address": "10.0.0.5", "subnet_id": "s"}]
    return {"port_id": port, "network_id": "n1", "mac_address": P1.mac, "fixed_ips": fixed, **more}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    with neutron() as guest:
        one = Host(guest, tmp_path)
        one.ports = {"p1": SimpleNamespace(project_id="acme", device_id="vm-1")}
        yield one
        one.stop()


def started(host: Host, program: HostProgram, *ports: Subject) -> Any:
    """Load the extension and let it carry once what the keeper says."""
    host.database.plug(*ports)
    host.keeper.say(program)
    extension = host.load()
    assert host.switch.until(lambda: bool(host.switch.turns) and held(host) == program.revision)
    return extension


def held(host: Host) -> int:
    """Give the revision that the last turn carried."""
    revision: int = host.switch.turns[-1][1].revision
    return revision


def bound(subject: Subject | None, host: Host) -> bool:
    """Tell whether the last turn bound a subject, as compile would."""
    memory = host.switch.turns[-1][1]
    if subject is None:
        return False
    by_keeper = any(h.binding.subject == subject.id for h in memory.held)
    return by_keeper or any(b.scope.matches(subject) for b in memory.baselines)


def aside(work: Callable[[], None]) -> tuple[threading.Thread, threading.Event]:
    """Call as Neutron's thread would; the event tells when it may go on."""
    done = threading.Event()

    def call() -> None:
        work()
        done.set()

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread, done


# --- what it holds ---------------------------------------------------------------------------------


def test_neutron_goes_on_only_once_a_restricted_port_is_bound(host: Host) -> None:
    extension = started(host, BOUND)
    host.database.plug(P1)
    host.switch.free.clear()
    _, done = aside(lambda: extension.handle_port(None, details()))
    assert not done.wait(0.2)
    host.switch.free.set()
    assert done.wait(LONG)
    found = host.switch.carrying("p1")
    assert found is not None
    assert (found.project, found.network, found.addresses) == ("acme", "n1", ("10.0.0.5",))


def test_a_bound_port_goes_on_ahead_of_a_look_at_the_whole_switch(host: Host) -> None:
    extension = started(host, BOUND)
    host.switch.hastes = True
    host.database.plug(P1)
    host.switch.free.clear()
    _, done = aside(lambda: extension.handle_port(None, details()))
    assert done.wait(LONG / 2)
    (found,) = host.switch.hastened
    assert (found.id, found.project, found.network) == ("p1", "acme", "n1")
    extension.handle_port(None, details())
    assert len(host.switch.hastened) == 1
    host.switch.free.set()
    assert host.switch.until(lambda: host.switch.carrying("p1") is not None)


def test_a_port_that_nothing_binds_waits_for_nothing(host: Host) -> None:
    extension = started(host, BOUND, P1)
    host.database.plug(P1, P2)
    host.switch.free.clear()
    _, done = aside(lambda: extension.handle_port(None, details("p2")))
    assert done.wait(LONG / 2)


def test_a_switch_that_hangs_holds_neutron_up_for_no_longer_than_was_set(
    host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.set(port_timeout=0.05)
    extension = started(host, BOUND)
    host.database.plug(P1)
    host.switch.free.clear()
    _, done = aside(lambda: extension.handle_port(None, details()))
    assert done.wait(LONG / 2)
    assert "port p1 goes on before what binds it is in force" in caplog.text


def test_a_plan_comes_with_its_qos_policy_and_goes_with_it(host: Host) -> None:
    extension = started(host, PLAN, P1)
    assert not bound(host.switch.carrying("p1"), host)
    extension.handle_port(None, details(qos_policy_id="gold"))
    assert bound(host.switch.carrying("p1"), host)
    extension.handle_port(None, details(qos_policy_id=None))
    assert host.switch.until(lambda: not bound(host.switch.carrying("p1"), host))


def test_a_networks_qos_policy_counts_where_the_port_has_none(host: Host) -> None:
    extension = started(host, PLAN, P1)
    extension.handle_port(None, details(qos_policy_id="silver", network_qos_policy_id="gold"))
    extension.handle_port(None, details(qos_policy_id=None, network_qos_policy_id="gold"))
    assert bound(host.switch.carrying("p1"), host)


def test_a_port_that_comes_again_with_another_ofport_is_bound_there_before_it_goes_on(host: Host) -> None:
    extension = started(host, BOUND, P1)
    extension.handle_port(None, details())
    host.database.plug(replace(P1, ofport=9))
    extension.delete_port(None, {"port_id": "p1"})
    extension.handle_port(None, details())
    found = host.switch.carrying("p1")
    assert found is not None
    assert found.ofport == 9
    assert found.project == "acme"


def test_a_port_told_of_again_with_nothing_new_costs_no_turn(host: Host) -> None:
    extension = started(host, BOUND, P1)
    extension.handle_port(None, details())
    extension._wait = 0.05
    before = len(host.switch.turns)
    for _ in range(20):
        extension.handle_port(None, details())
    assert len(host.switch.turns) == before


def test_after_a_restart_of_the_switch_all_is_laid_again_before_neutron_goes_on(host: Host) -> None:
    extension = started(host, BOUND, P1)
    extension.handle_port(None, details())
    before = len(host.switch.turns)
    extension.handle_switch_restart()
    assert len(host.switch.turns) > before


def test_the_keepers_absence_frees_nobody_and_a_restart_does_not_either(host: Host) -> None:
    started(host, BOUND, P1)
    host.keeper.say(Unavailable("away"))
    host.end(host.threads[-1][0])
    extension = host.load()
    extension.handle_port(None, details())
    assert host.switch.until(lambda: host.switch.carrying("p1") is not None)
    assert bound(host.switch.carrying("p1"), host)


@pytest.mark.parametrize("program", [PLAN, TENANT])
def test_a_restarted_agent_frees_nobody_while_neutron_has_not_told_of_the_ports_yet(
    host: Host, program: HostProgram
) -> None:
    extension = started(host, program, P1)
    extension.handle_port(None, details(qos_policy_id="gold"))
    assert bound(host.switch.carrying("p1"), host)
    host.end(extension)
    before = len(host.switch.turns)
    host.load()
    assert host.switch.until(lambda: len(host.switch.turns) > before)
    assert bound(host.switch.carrying("p1"), host)


def test_a_port_waits_after_a_restart_of_the_switch_that_could_not_be_put_right(host: Host) -> None:
    extension = started(host, BOUND, P1)
    extension.handle_port(None, details())
    host.switch.error = Unavailable("The switch does not answer.")
    extension.handle_switch_restart()
    host.switch.error = None
    before = len(host.switch.turns)
    host.switch.free.clear()
    _, done = aside(lambda: extension.handle_port(None, details()))
    early = done.wait(0.2)
    host.switch.free.set()
    assert done.wait(LONG)
    assert not early
    assert len(host.switch.turns) > before


def test_a_port_waits_for_a_turn_that_came_to_something(host: Host) -> None:
    extension = started(host, BOUND)
    host.database.plug(P1)
    host.switch.errors = [Unavailable("The switch does not answer.")]
    before = len(host.switch.turns)
    extension.handle_port(None, details())
    assert len(host.switch.turns) >= before + 2


def test_an_export_that_somebody_else_has_set_up_holds_no_port_up(
    host: Host, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may stay so for ever, and the rules are right all the while."""

    def taken(_templates: float) -> Any:
        raise Conflict("br-int exports sflow already.")

    monkeypatch.setattr(host.switch, "export", taken)
    extension = started(host, BOUND)
    host.database.plug(P1)
    _, done = aside(lambda: extension.handle_port(None, details()))
    assert done.wait(LONG / 2)
    assert bound(host.switch.carrying("p1"), host)
    assert "goes on before" not in caplog.text


def test_the_cookie_is_reserved_before_neutron_looks_for_flows_nobody_knows(host: Host) -> None:
    host.keeper.say(Unavailable("away"))
    host.load()
    assert host.cookies == [0x5E4B15E0_00000001]


def test_a_nudge_is_heard_by_fanout_and_makes_it_ask_at_once(host: Host) -> None:
    started(host, BOUND, P1)
    assert host.keeper.reported(1)
    (topic, (endpoint,), fanout) = host.consumers[0]
    assert (topic, fanout) == ("sekisho", True)
    seen = len(host.keeper.reports)
    endpoint.nudge({}, revision=7)
    assert host.keeper.reported(seen + 1)


def test_the_report_tells_the_keeper_whose_port_it_is(host: Host) -> None:
    extension = started(host, BOUND, P1)
    assert host.keeper.reported(1)
    seen = len(host.keeper.reports)
    extension.handle_port(None, details(qos_policy_id="gold"))
    assert host.keeper.reported(seen + 1)
    (subject,) = host.keeper.reports[-1].subjects
    assert (subject.project, subject.server, subject.qos) == ("acme", "vm-1", ("gold",))


def test_byte_counters_are_told_where_the_operator_wants_them(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sekisho.host.counting.read_counters", lambda *asked: asked)
    host.set(volumes_every=0.01)
    started(host, BOUND, P1)
    told = host.keeper.counters.get(timeout=LONG)
    assert told == ("h1", ("tcp:127.0.0.1:6640", (P1,), 5.0))


def test_byte_counters_are_told_to_nobody_who_did_not_ask(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr("sekisho.host.counting.read_counters", asked.append)
    started(host, BOUND, P1)
    assert "telling counters" not in {thread.name for thread in threading.enumerate()}
    assert asked == []


def test_the_server_loads_no_switch() -> None:
    script = """
import sys, types
made = dict.fromkeys(("StrOpt", "FloatOpt", "IntOpt", "BoolOpt", "ListOpt"), lambda *_, **__: None)
sys.modules["oslo_config"] = types.SimpleNamespace(cfg=types.SimpleNamespace(**made))
import sekisho.guests.neutron.config
print([name for name in sys.modules if name.startswith(("sekisho.devices", "sekisho.host", "ovs"))])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# --- that nothing it meets reaches Neutron ------------------------------------------------------------


def broken(*_: Any, **__: Any) -> Any:
    raise RuntimeError("somebody else's fault")


@pytest.mark.parametrize("missing", ["bridge", "consumer"])
def test_neutron_starts_whatever_it_lacks(host: Host, missing: str) -> None:
    api, connection = host.api, SimpleNamespace(create_consumer=lambda *_, **__: None)
    if missing == "bridge":
        api.request_int_br = broken
    else:
        connection.create_consumer = broken
    extension = host.load(api, connection)
    extension.handle_port(None, details())
    extension.handle_switch_restart()
    extension.delete_port(None, details())


def test_without_a_bus_for_nudges_the_host_is_kept_right_all_the_same(host: Host) -> None:
    host.database.plug(P1)
    host.keeper.say(BOUND)
    host.load(connection=SimpleNamespace(create_consumer=broken))
    ((_, thread),) = host.threads
    assert thread is not None


def test_calls_before_initialize_are_harmless(host: Host) -> None:
    extension = host.guest.agent.SekishoAgentExtension()
    extension.handle_port(None, details())
    extension.handle_switch_restart()
    extension.delete_port(None, details())


def test_a_token_that_comes_later_begins_the_work_then(host: Host) -> None:
    tries = threading.Event()
    ready = threading.Event()

    def client(_options: Any) -> Keeper:
        tries.set()
        if not ready.is_set():
            raise FileNotFoundError(2, "No such file", "/etc/neutron/sekisho-token")
        return host.keeper

    host.guest.agent.config.client = client
    host.database.plug(P1)
    host.keeper.say(BOUND)
    extension = host.load()
    assert tries.wait(LONG)
    extension.handle_port(None, details())
    ready.set()
    assert host.switch.until(lambda: bool(host.switch.turns) and bound(host.switch.carrying("p1"), host))


def test_what_is_remembered_is_carried_without_a_token_too(host: Host) -> None:
    started(host, BOUND, P1)
    host.end(host.threads[-1][0])
    before, tries = len(host.switch.turns), threading.Semaphore(0)

    def client(_options: Any) -> Keeper:
        tries.release()
        raise FileNotFoundError(2, "No such file", "/etc/neutron/sekisho-token")

    host.guest.agent.config.client = client
    host.load()
    assert all(tries.acquire(timeout=LONG) for _ in range(3))
    assert len(host.switch.turns) > before


@pytest.mark.parametrize(
    "rubbish",
    [
        {},
        {"port_id": None},
        {"port_id": "p1", "fixed_ips": None},
        {"port_id": "p1", "fixed_ips": [{}, {"ip_address": None}]},
        {"port_id": "p1", "fixed_ips": 7},
        {"port_id": "p1", "mac_address": 7, "network_id": None},
        {"port_id": ["p1"], "qos_policy_id": {"id": "gold"}},
    ],
)
def test_rubbish_of_a_port_is_no_trouble_of_neutrons(host: Host, rubbish: dict[str, Any]) -> None:
    extension = started(host, BOUND, P1)
    extension.handle_port(None, rubbish)
    extension.delete_port(None, rubbish)
    extension.handle_port(None, details())
    assert bound(host.switch.carrying("p1"), host)


def test_a_port_the_switch_has_not_got_yet_waits_for_nothing(host: Host) -> None:
    extension = started(host, BOUND)
    host.switch.free.clear()
    _, done = aside(lambda: extension.handle_port(None, details()))
    assert done.wait(LONG / 2)


def test_a_database_that_is_away_is_no_trouble_of_neutrons(host: Host) -> None:
    extension = started(host, BOUND, P1)
    host.database.error = Unavailable("The switch's database does not answer.")
    extension.handle_port(None, details())
    extension.handle_switch_restart()
    host.database.error = None
    extension.handle_port(None, details())
    assert host.switch.until(lambda: (host.switch.carrying("p1") or P1).project == "acme")


def test_a_cache_that_fails_costs_the_project_and_nothing_else(host: Host) -> None:
    extension = started(host, PLAN, P1)
    extension._api = SimpleNamespace(
        plugin_rpc=SimpleNamespace(remote_resource_cache=SimpleNamespace(get_resource_by_id=broken))
    )
    extension.handle_port(None, details(qos_policy_id="gold"))
    assert bound(host.switch.carrying("p1"), host)


@pytest.mark.parametrize(
    "answer",
    [
        Unavailable("away"),
        Malformed("not JSON"),
        Refused("no"),
        RuntimeError("rubbish"),
        TypeError("rubbish"),
    ],
)
def test_ports_are_wired_whatever_the_keeper_does(host: Host, answer: Exception) -> None:
    host.database.plug(P1)
    host.keeper.say(answer)
    extension = host.load()
    assert host.keeper.reported(1)
    _, done = aside(lambda: extension.handle_port(None, details()))
    assert done.wait(LONG / 2)
    host.keeper.say(BOUND)
    assert host.switch.until(lambda: bool(host.switch.turns) and bound(host.switch.carrying("p1"), host))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_the_loop_lives_through_what_nobody_thought_of(host: Host) -> None:
    extension = started(host, BOUND, P1)
    extension._wait = 0.2
    host.switch.error = RuntimeError("privsep: nobody thought of this")
    extension.handle_switch_restart()
    host.switch.error = None
    before = len(host.switch.turns)
    extension.handle_switch_restart()
    assert len(host.switch.turns) > before


def test_a_trouble_is_said_once_and_its_end_too(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    extension = started(host, BOUND, P1)
    caplog.set_level(logging.WARNING)
    for _ in range(50):
        extension.handle_port(None, {})
    extension.handle_port(None, details())
    said = [r.getMessage() for r in caplog.records if "taking a port" in r.getMessage()]
    assert len(said) == 2
    assert said[1] == "taking a port: works again after 50 failures"


def test_what_ends_the_process_is_let_through(host: Host) -> None:
    extension = started(host, BOUND, P1)

    def end(*_: Any) -> Any:
        raise SystemExit(1)

    extension._cached = end
    with pytest.raises(SystemExit):
        extension.handle_port(None, details())


# --- what it brings along ------------------------------------------------------------------------------


def test_it_brings_no_heavy_luggage_into_neutrons_process() -> None:
    code = (
        "import sys\n"
        "from support_neutron import neutron\n"
        "with neutron(): pass\n"
        "heavy = {'numpy', 'pydantic', 'sqlalchemy', 'asyncio', 'fastapi', 'typer', 'rich', 'sekisho.tables',"
        " 'sekisho.ledger', 'sekisho.flows', 'sekisho.detect', 'sekisho.app'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    paths = f"import sys; sys.path[:0] = {[p for p in sys.path if p]!r}\n"
    done = subprocess.run(
        [sys.executable, "-c", paths + code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"
