"""What is imported from a switch is a document that wants nothing of it, and makes another one like it."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import HealthCheck, given, settings

from sekisho.devices.switch.document import Connection, load
from sekisho.devices.switch.export import export, taken
from sekisho.devices.switch.intent import (
    Acl,
    Facts,
    Feature,
    Intent,
    Lacp,
    Port,
    PortMode,
    Route,
    State,
    Storm,
    Vlan,
    parts,
)
from sekisho.devices.switch.plan import plan
from sekisho.testing.switch import ALL_KINDS
from support_switch_states import states

CONNECTION = Connection("nexus", "10.0.0.1", username="sekisho", password_file="/etc/secret", verify=False)
FACTS = Facts("leaf-1", "model", "SERIAL", "1")

many = settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))


@many
@given(states())
def test_an_imported_switch_has_an_empty_plan(state: State) -> None:
    switch = load({"leaf-1.toml": export(state, CONNECTION)})["leaf-1"]
    assert switch.connection == CONNECTION
    assert not plan(switch.intent, state, ALL_KINDS).stages


@many
@given(states())
def test_what_is_left_out_is_only_what_is_off(state: State) -> None:
    loaded = load({"leaf-1.toml": export(state, CONNECTION)})["leaf-1"].intent
    whole = taken(state, "leaf-1")
    assert loaded.parts.keys() == whole.parts.keys()
    for subject, part in whole.parts.items():
        for name in part.__dataclass_fields__:
            said, stood = getattr(loaded.parts[subject], name), getattr(part, name)
            usual = not stood or name == "storm" or (name, stood) == ("preference", 1)
            assert said == stood or (said is None and usual), (subject, name)


def test_it_reads_like_something_a_person_wrote() -> None:
    state = State(
        FACTS,
        parts(
            Feature("lacp", enabled=True),
            Vlan(10, "web", 10010),
            Vlan(2, "VLAN0002", 0),
            Acl(4, "empty", ()),
            Port("Ethernet1/10", 'to "a"', True, 9216, 0, PortMode.TRUNK, 1, 1, "10,20-29", channel=""),
            Port("Ethernet1/2", "", True, 9216, channel="port-channel1"),
            Port("port-channel1", "", True, 9216, members=("Ethernet1/2",), lacp=Lacp.ACTIVE, vpc=0),
            Route("default", "0.0.0.0/0", ("10.0.0.254",), 1),
        ),
    )
    assert export(state, Connection("nexus", "10.0.0.1", timeout=2.5)) == (
        '[connect]\ndriver = "nexus"\naddress = "10.0.0.1"\ntimeout = 2.5\n\n'
        "[feature]\nlacp = { enabled = true }\n\n"
        '[vlan]\n2 = { name = "VLAN0002" }\n10 = { name = "web", vni = 10010 }\n\n'
        "[acl.ipv4]\nempty = [\n]\n\n"
        '[port."Ethernet1/2"]\nenabled = true\n\n'
        '[port."Ethernet1/10"]\ndescription = "to \\"a\\""\nenabled = true\nmtu = 9216\nmode = "trunk"\n'
        'access = 1\nnative = 1\nallowed = "10,20-29"\n\n'
        '[port.port-channel1]\nenabled = true\nmtu = 9216\nmembers = ["Ethernet1/2"]\nlacp = "active"\n\n'
        '[route.default]\n"0.0.0.0/0" = ["10.0.0.254"]\n'
    )


def test_that_a_trunk_carries_nothing_and_a_port_is_down_is_said() -> None:
    port = Port("Ethernet1/1", "", False, 1500, 0, PortMode.TRUNK, 1, 1, "")
    text = export(State(FACTS, parts(port)), CONNECTION)
    assert 'allowed = ""\n' in text
    assert "enabled = false\n" in text
    assert "speed" not in text


def test_a_routed_port_does_not_say_what_it_would_be_if_it_were_switched() -> None:
    port = Port("Ethernet1/1", "x", True, 1500, 0, PortMode.ROUTED, 1, 1, "1-4094", storm=Storm(1, 1, 1))
    (said,) = taken(State(FACTS, parts(port)), "leaf-1").parts.values()
    assert said == Port("Ethernet1/1", "x", True, 1500, 0, PortMode.ROUTED)


def test_a_description_with_anything_in_it_comes_back() -> None:
    for text in ('"', "!", "größe", "\\", "#", "a'b", "tab?", "\U0001f980"):
        state = State(FACTS, parts(Port("Ethernet1/1", text)))
        intent = load({"leaf-1.toml": export(state, CONNECTION)})["leaf-1"].intent
        assert intent == replace(Intent("leaf-1", state.parts), management=frozenset({("user", "sekisho")}))
