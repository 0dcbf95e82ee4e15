"""Commands that Neutron runs for us, and what becomes of their failures."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.devices.vswitch.ofctl import Ran
from sekisho.model.errors import Refused, SekishoError, Unavailable
from support_neutron import ProcessExecutionError, neutron


class Execute:
    """neutron.agent.linux.utils.execute, as its source has it."""

    def __init__(self) -> None:
        self.ran: list[tuple[list[str], dict[str, Any]]] = []
        self.answer: str | Exception = ""

    def __call__(self, command: list[str], **options: Any) -> str:
        self.ran.append((command, options))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def fail(self, code: int, said: str, stdin: str = "") -> None:
        told = f"Exit code: {code}; Cmd: [...]; Stdin: {stdin}; Stdout: ; Stderr: {said}"
        self.answer = ProcessExecutionError(told, returncode=code)


@pytest.fixture
def execute() -> Execute:
    return Execute()


@pytest.fixture
def guest(execute: Execute) -> Iterator[SimpleNamespace]:
    with neutron() as modules:
        modules.fakes["neutron.agent.linux.utils"].execute = execute
        yield modules


@pytest.fixture
def ofctl(guest: SimpleNamespace) -> Any:
    settings = guest.agent_config.agent_settings(options(guest), "h1", "br-int")
    return guest.bridge.ofctl(SimpleNamespace(br_name="br-int"), settings)


def options(guest: SimpleNamespace, **more: Any) -> Any:
    found = guest.config.register(guest.conf, (*guest.config.KEEPER, *guest.agent_config.AGENT))
    vars(found).update(more)
    return found


def test_it_runs_as_root_by_neutrons_daemon_which_never_logs_what_may_fail(
    execute: Execute, ofctl: Any
) -> None:
    execute.answer = "flows"
    assert ofctl("dump-flows", "table=60") == "flows"
    ((command, how),) = execute.ran
    assert command[0] == "ovs-ofctl"
    assert command[-3:] == ["dump-flows", "br-int", "table=60"]
    assert (how["run_as_root"], how["privsep_exec"], how["log_fail_as_error"]) == (True, True, False)


def test_a_command_ends_by_itself_in_time(execute: Execute, guest: SimpleNamespace) -> None:
    for timeout, words in ((5.0, "--timeout=5"), (0.1, "--timeout=1")):
        guest.bridge.run_by_neutron(["ovs-ofctl", "show", "br-int"], "", timeout)
        assert words in execute.ran[-1][0]


def test_rules_are_given_on_the_way_in_and_in_one_bundle(execute: Execute, ofctl: Any) -> None:
    ofctl("add-flows", "-", stdin="add table=60,actions=drop\n", bundle=True)
    ((command, how),) = execute.ran
    assert "--bundle" in command
    assert how["process_input"] == "add table=60,actions=drop\n"


def test_what_the_switch_said_is_told_without_all_that_neutron_adds(
    execute: Execute, guest: SimpleNamespace
) -> None:
    execute.fail(1, "ovs-ofctl: OFPT_ERROR (OF1.4): OFPMMFC_METER_EXISTS\n", stdin="add ...")
    ran = guest.bridge.run_by_neutron(["ovs-ofctl", "add-meter", "br-int"], "", 5.0)
    assert ran == Ran(1, "", "ovs-ofctl: OFPT_ERROR (OF1.4): OFPMMFC_METER_EXISTS\n")


def test_a_failure_that_says_nothing_still_is_one(execute: Execute, guest: SimpleNamespace) -> None:
    for code in (None, 0):
        execute.answer = ProcessExecutionError("it did not run", returncode=code)
        ran = guest.bridge.run_by_neutron(["ovs-ofctl", "show"], "", 5.0)
        assert ran.code != 0
        assert ran.err == "it did not run"


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("ovs-ofctl: OFPT_ERROR (OF1.4): OFPFMFC_TABLE_FULL", Refused),
        ("ovs-ofctl: br-int: failed to connect to socket (Connection refused)", Unavailable),
        ("ovs-ofctl: unix:/run/br-int.mgmt: connection dropped", Unavailable),
        ("ovs-ofctl: br-int: failed to connect to socket (No such file or directory)", Unavailable),
    ],
)
def test_failures_become_errors_of_our_tree(
    execute: Execute, ofctl: Any, said: str, error: type[SekishoError]
) -> None:
    execute.fail(1, said)
    with pytest.raises(error) as caught:
        ofctl("dump-flows")
    assert said in caught.value.fixer


@pytest.mark.parametrize(
    ("code", "said"),
    [
        (-14, "ovs-ofctl|00001|fatal_signal|WARN|terminating with signal 14 (Alarm clock)"),
        (1, "ovs-ofctl: br-int is not a bridge or a socket"),
    ],
)
def test_a_switch_that_hangs_or_is_away_does_not_answer(
    execute: Execute, ofctl: Any, code: int, said: str
) -> None:
    execute.fail(code, said)
    with pytest.raises(Unavailable):
        ofctl("dump-flows")


def test_a_daemon_that_died_does_not_answer(execute: Execute, ofctl: Any) -> None:
    execute.answer = OSError("Premature eof waiting for privileged process")
    with pytest.raises(Unavailable):
        ofctl("dump-flows")


@pytest.mark.parametrize("error", [RuntimeError("PrivsepTimeout"), TypeError("Unexpected response")])
def test_no_foreign_exception_leaves_the_bridge(execute: Execute, ofctl: Any, error: Exception) -> None:
    execute.answer = error
    with pytest.raises(SekishoError):
        ofctl("dump-flows")


def test_all_rules_bear_the_one_cookie_that_is_reserved(guest: SimpleNamespace) -> None:
    reserved: list[int] = []
    settings = guest.agent_config.agent_settings(options(guest), "h1", "br-int")
    guest.bridge.reserve(SimpleNamespace(set_agent_uuid_stamp=reserved.append), settings)
    assert settings.layout.one_cookie
    assert reserved == [settings.layout.reserved]


def test_what_operators_set_is_what_the_loop_is_given(guest: SimpleNamespace) -> None:
    told = options(guest, table=58, first_meter=30_000, burst=1.0, telemetry_protocol="ipfix", exact=True)
    told.telemetry_addresses = ["192.0.2.7", "192.0.2.8"]
    settings = guest.agent_config.agent_settings(told, "h7", "br-x")
    assert (settings.host, settings.bridges) == ("h7", ("br-x",))
    assert settings.addresses == ("192.0.2.7", "192.0.2.8")
    assert (settings.layout.table, settings.first_meter, settings.burst) == (58, 30_000, 1.0)
    assert (settings.telemetry.protocol, settings.exact) == ("ipfix", True)


def test_nothing_is_exported_unless_somebody_said_so(guest: SimpleNamespace) -> None:
    settings = guest.agent_config.agent_settings(options(guest), "h1", "br-int")
    assert settings.telemetry.protocol == "none"
    assert not settings.exact


def test_a_collector_that_makes_no_sense_is_told_and_costs_the_export_alone(
    guest: SimpleNamespace, caplog: pytest.LogCaptureFixture
) -> None:
    told = options(guest, telemetry_protocol="sflow", telemetry_target="collector")
    settings = guest.agent_config.agent_settings(told, "h1", "br-int")
    assert (settings.telemetry.protocol, settings.exact) == ("none", False)
    assert "telemetry.target: expected ADDRESS:PORT" in caplog.text


def test_every_option_of_the_agent_is_told_to_the_generator_of_sample_files(guest: SimpleNamespace) -> None:
    ((group, listed),) = guest.config.agent_opts()
    assert group == "sekisho"
    assert {o.name for o in listed} >= {"keeper_url", "token_file", "state_path", "port_timeout"}
    assert len({o.name for o in listed}) == len(listed)
