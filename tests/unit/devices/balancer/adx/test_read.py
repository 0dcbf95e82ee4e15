"""A running configuration, as boxes in the field write it, becomes pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from sekisho.devices.balancer.adx.pieces import (
    Binding,
    Profile,
    RealPort,
    RealServer,
    Server,
    Virtual,
    VirtualPort,
)
from sekisho.devices.balancer.adx.read import standing

TEXT = """\
!Building configuration...
Current configuration : 1234 bytes
ver 12.5.02
server predictor round-robin
server sticky-age 7
server port 8443
 session-sync
 tcp
server port 53
 udp keepalive
!
server real web-1 10.9.0.1
 description "a "quoted" one
 port http
 port http url "HEAD /"
!
server real-name-or-ip sk-10.2.0.11 10.2.0.11
 weight 5 0
 port default disable
 port 8443
 port 8443 keepalive
 port 8443 use-port-policy sk-abc
 port http
 port http disable
 port http url "GET /up"
!
server remote-name sk-10.2.0.12 10.2.0.12
 port http
!
server virtual shop 10.9.0.100
 port http
 bind http web-1 http
!
server virtual-name-or-ip sk-one 10.2.0.100
 sym-priority 200
 disable
 port default dsr
 port http
 port http dsr
 bind http sk-10.2.0.11 http sk-10.2.0.12 http web-1 http
 bind http sk-gone http
 port 8443
 port 8443 sticky
!
server virtual sk-two 10.2.0.101
 predictor least-conn
 sticky-age 12
!
server port-policy sk-abc
 protocol http
server port-policy theirs
 protocol http
!
interface ethernet 1
 port-name server
end
"""
REAL = Server("sk-10.2.0.11", "10.2.0.11")
ONE = Server("sk-one", "10.2.0.100")


def test_ours_are_read_with_what_the_whole_box_says() -> None:
    found = standing(TEXT)
    assert found.pieces["virtual", "sk-one"] == Virtual(ONE, False, "round-robin", 7, 200)
    two = found.pieces["virtual", "sk-two"]
    assert isinstance(two, Virtual)
    assert (two.enabled, two.predictor, two.sticky_age, two.priority) == (True, "least-conn", 12, 0)
    assert found.pieces["real", "sk-10.2.0.11"] == RealServer(REAL, 5)
    assert found.pieces["real port", "sk-10.2.0.11", "8443"] == RealPort(REAL, 8443, True, "sk-abc")
    assert found.pieces["real port", "sk-10.2.0.11", "80"] == RealPort(REAL, 80, False, "")


def test_ports_have_their_flags_and_default_is_none() -> None:
    ports = [piece for piece in standing(TEXT).pieces.values() if isinstance(piece, VirtualPort)]
    assert [(p.port, p.dsr, p.sticky) for p in ports] == [(80, True, False), (8443, False, True)]


def test_each_pair_of_a_line_is_a_binding_even_to_a_server_that_is_gone() -> None:
    bound = [piece for piece in standing(TEXT).pieces.values() if isinstance(piece, Binding)]
    assert [binding.real.name for binding in bound] == ["sk-10.2.0.11", "sk-10.2.0.12", "web-1", "sk-gone"]
    assert bound[2].real.address == "10.9.0.1"


def test_others_are_known_by_their_addresses_only() -> None:
    found = standing(TEXT)
    assert found.virtuals["10.9.0.100"] == "shop"
    assert found.reals["10.9.0.1"] == "web-1"
    assert not [key for key in found.pieces if "shop" in key[:2] or "web-1" in key[:2]]
    assert found.policies == ("sk-abc",)


def test_profiles_are_read_for_ports_that_need_one() -> None:
    profiles = [piece for piece in standing(TEXT).pieces.values() if isinstance(piece, Profile)]
    assert profiles == [Profile(8443, "TCP")]


WORDS = st.sampled_from([*TEXT.split(), "", "-1", "99999999999", '"', "!", "\x00"])
LINES = st.tuples(
    st.sampled_from(["", " ", "\t", "server ", " port ", " bind "]), st.lists(WORDS, max_size=6)
)


@given(st.lists(LINES, max_size=40))
def test_nothing_that_a_box_can_write_is_raised_over(lines: list[tuple[str, list[str]]]) -> None:
    standing("\n".join(f"{head}{' '.join(words)}" for head, words in lines))


def test_what_is_no_configuration_is_read_as_nothing() -> None:
    for text in ("", "\0\0", "server", "server real", "server virtual x", " port", "server port\n tcp", "''"):
        assert not standing(text).pieces
