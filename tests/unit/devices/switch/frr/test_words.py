"""What FRRouting is told, and what is read from its words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.devices.switch.driver import Step
from sekisho.devices.switch.frr.text import parts
from sekisho.devices.switch.frr.words import lines
from sekisho.devices.switch.intent import Ace, Acl, Part, Port, Route, Vlan
from sekisho.model.errors import Unsupported

ETH1 = Port("eth1", "", enabled=True)


def route(*via: str, preference: int = 1, vrf: str = "default") -> Route:
    return Route(vrf, "10.9.0.0/16", via, preference)


def acl(*entries: Ace, family: int = 4) -> Acl:
    return Acl(family, "web", entries)


def test_a_new_way_comes_before_the_old_one_goes() -> None:
    assert lines(Step(route("10.0.0.1"), route("10.0.0.2"))) == (
        "ip route 10.9.0.0/16 10.0.0.2 1",
        "no ip route 10.9.0.0/16 10.0.0.1 1",
    )


def test_a_next_hop_is_moved_to_another_distance_and_never_removed() -> None:
    assert lines(Step(route("10.0.0.1"), route("10.0.0.1", preference=9))) == (
        "ip route 10.9.0.0/16 10.0.0.1 9",
    )


def test_nothing_goes_before_somewhere_comes() -> None:
    assert lines(Step(route("discard"), route("10.0.0.1", vrf="default")))[0].startswith("no ip route")


def test_routes_of_a_vrf_are_written_in_it() -> None:
    assert lines(Step(None, route("10.0.0.1", vrf="blue"))) == (
        "vrf blue",
        "ip route 10.9.0.0/16 10.0.0.1 1",
        "exit-vrf",
    )


def test_a_line_of_a_list_goes_before_it_comes_under_another_number() -> None:
    sent = lines(Step(acl(Ace(5, True, "ip", "10.0.0.0/8")), acl(Ace(9, True, "ip", "10.0.0.0/8"))))
    assert sent == (
        "no access-list web seq 5 permit 10.0.0.0/8",
        "access-list web seq 9 permit 10.0.0.0/8",
    )


@pytest.mark.parametrize(
    "part",
    [
        acl(Ace(5, True, "tcp")),
        acl(Ace(5, True, "ip", destination_port="80")),
        acl(Ace(5, True, "ip", log=True)),
        acl(Ace(5, True, "ip"), Ace(6, True, "ip")),
        acl(),
        acl(Ace(5, True, "ipv6", "any", "2001:db8::/32"), family=6),
        Vlan(10, "web"),
        Port("eth9", "new"),
    ],
)
def test_what_it_cannot_is_said_before_anything_is_sent(part: Part) -> None:
    with pytest.raises(Unsupported):
        lines(Step(None, part))


@pytest.mark.parametrize("text", ["a?b", "a  b", " a", "a\nshutdown", "a\tb", "x" * 201])
def test_a_description_that_would_not_come_back_is_refused(text: str) -> None:
    with pytest.raises(Unsupported):
        lines(Step(ETH1, Port("eth1", text, enabled=True)))


def test_an_interfaces_size_is_not_frroutings() -> None:
    with pytest.raises(Unsupported, match="mtu"):
        lines(Step(ETH1, Port("eth1", "", enabled=True, mtu=9000)))


# --- reading -----------------------------------------------------------------------------------------

CONFIG = """Building configuration...

Current configuration:
!
frr version 8.4.4
hostname r1
no ip forwarding
!
ip route 10.1.0.0/16 10.0.0.1
ip route 10.2.0.0/16 10.0.0.1 5
ip route 10.2.0.0/16 10.0.0.2 5
ip route 10.2.0.0/16 10.0.0.3 200
ip route 10.3.0.0/16 10.0.0.1 eth1 tag 7
ipv6 route ::/0 Null0
!
vrf blue
 ip route 10.1.0.0/16 blackhole
exit-vrf
!
interface eth1
 description it's "!" ip route
 ip address 10.0.0.1/24
 shutdown
exit
!
interface ghost
 description not there
exit
!
access-list a remark of people
access-list a seq 5 permit 10.0.0.0/24
access-list a seq 6 deny ip host 10.0.0.1 10.1.0.0 0.0.255.255
access-list odd seq 5 permit ip 10.0.0.0 0.0.255.0 any
access-list exact seq 5 permit 10.0.0.0/24 exact-match
ipv6 access-list a seq 5 deny any
!
end
"""


def test_a_configuration_is_read() -> None:
    assert set(parts(CONFIG, ("eth1", "eth2"))) == {
        Port("eth1", 'it\'s "!" ip route', enabled=False),
        Port("eth2", "", enabled=True),
        Route("default", "10.1.0.0/16", ("10.0.0.1",), 1),
        Route("default", "10.2.0.0/16", ("10.0.0.1", "10.0.0.2"), 5),
        Route("default", "::/0", ("discard",), 1),
        Route("blue", "10.1.0.0/16", ("discard",), 1),
        Acl(4, "a", (Ace(5, True, "ip", "10.0.0.0/24"), Ace(6, False, "ip", "10.0.0.1/32", "10.1.0.0/16"))),
        Acl(6, "a", (Ace(5, False, "ipv6"),)),
    }


networks = st.integers(0, 32).flatmap(lambda n: st.integers(0, (1 << n) - 1).map(lambda v: (v << 32 - n, n)))
ends = networks.map(lambda n: f"{n[0] >> 24}.{n[0] >> 16 & 255}.{n[0] >> 8 & 255}.{n[0] & 255}/{n[1]}")
entries = st.lists(
    st.tuples(st.integers(1, 99), st.booleans(), ends | st.just("any"), ends | st.just("any")),
    min_size=1,
    unique_by=(lambda e: e[0], lambda e: e[1:]),
)


@given(entries)
def test_what_is_written_is_read_again(drawn: list[tuple[int, bool, str, str]]) -> None:
    wanted = acl(*(Ace(n, p, "ip", s, d) for n, p, s, d in sorted(drawn)))
    assert list(parts("\n".join(lines(Step(None, wanted))), ())) == [wanted]
