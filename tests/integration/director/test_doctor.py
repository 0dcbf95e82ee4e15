"""The classic faults of direct return, each made between network namespaces and found by the doctor."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from sekisho.devices.balancer.lvs_dsr.doctor import Site, examine
from sekisho.devices.balancer.lvs_dsr.kernel import WANTED
from sekisho.model.balancer import Ailment, Balancer, Listener, Member, Pool, Protocol, Vip
from support_director import Link, link

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")

FOUR, SIX = ("10.77.0.11", "10.77.0.100"), ("fd77::11", "fd77::100")
PAIRS = pytest.mark.parametrize(("member", "vip"), [FOUR, SIX], ids=["IPv4", "IPv6"])
PORT = 8080
QUIET = " nodad preferred_lft 0"  # as keepalived adds one: nobody is spoken to from it


def balancer(member: str, vip: str, *others: str, port: int = PORT) -> Balancer:
    members = tuple(Member(f"m-{a}", a, port) for a in (member, *others))
    pool = Pool("p", Protocol.TCP, members=members)
    return Balancer("b", "lvs", Vip(vip), listeners=(Listener("l", Protocol.TCP, PORT, "p"),), pools=(pool,))


class Ward:
    """Director a, partner b and member m, all well: the VIPs are on a, and m has them on its loopback."""

    def __init__(self, made: Link, folder: Path, stack: ExitStack) -> None:
        self.link = made
        for name, value in (*WANTED, ("net/ipv4/conf/eth0/rp_filter", "1")):
            self.kernel(folder, name, value)
        self.site = Site("d1", "eth0", ("10.77.0.2", "fd77::2"), proc=folder, wait=0.3)
        made("a", "ip route add default via 10.77.0.2")
        made("b", "ip route add default via 10.77.0.1")
        for vip in (FOUR[1], SIX[1]):
            length = 128 if ":" in vip else 32
            made("a", f"ip addr add {vip}/{length} dev eth0{QUIET if ':' in vip else ''}")
            made("m", f"ip addr add {vip}/{length} dev lo")
        self.arp("1")
        self.ear = stack.enter_context(made.inside("m", listening))

    @staticmethod
    def kernel(folder: Path, name: str, value: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value + "\n")

    def arp(self, ignore: str) -> None:
        file = Path("/proc/sys/net/ipv4/conf/all/arp_ignore")
        self.link.inside("m", lambda: file.write_text(ignore))

    def found(self, one: Balancer, *, active: bool = True, site: Site | None = None) -> tuple[Ailment, ...]:
        return self.link.inside(
            "a" if active else "b", lambda: examine(site or self.site, (one,), active=active)
        )

    def said(self, one: Balancer, *, active: bool = True, site: Site | None = None) -> str:
        """Give the one sentence that is said of the balancer."""
        (found,) = self.found(one, active=active, site=site)
        assert (found.device, found.balancer) == ("d1", "b")
        return found.sentence


def listening() -> socket.socket:
    return socket.create_server(("::", PORT), family=socket.AF_INET6, dualstack_ipv6=True)


@pytest.fixture
def ward(tmp_path: Path) -> Iterator[Ward]:
    with link() as made, ExitStack() as stack:
        yield Ward(made, tmp_path, stack)


@PAIRS
def test_nothing_is_said_where_nothing_is_wrong(ward: Ward, member: str, vip: str) -> None:
    assert ward.found(balancer(member, vip)) == ()


@PAIRS
def test_the_standby_is_well_too(ward: Ward, member: str, vip: str) -> None:
    standby = replace(ward.site, partners=("10.77.0.1", "fd77::1"))
    assert ward.found(balancer(member, vip), active=False, site=standby) == ()


def test_a_member_that_answers_arp_takes_the_vip(ward: Ward) -> None:
    ward.arp("0")
    said = ward.said(balancer(*FOUR))
    assert said.startswith("Member 10.77.0.11 answers ARP for the VIP 10.77.0.100")
    assert "arp_ignore" in said


def test_a_member_that_answers_neighbour_discovery_takes_the_vip(ward: Ward) -> None:
    ward.link("m", "ip addr add fd77::100/128 dev eth0 nodad")
    assert "answers neighbour discovery for the VIP fd77::100" in ward.said(balancer(*SIX))


@PAIRS
def test_two_directors_that_hold_the_vip(ward: Ward, member: str, vip: str) -> None:
    ward.link("b", f"ip addr add {vip}/{f'128 dev eth0{QUIET}' if ':' in vip else '32 dev eth0'}")
    assert "Another director holds the VIP" in ward.said(balancer(member, vip))


def test_a_vip_that_nobody_holds(ward: Ward) -> None:
    ward.link("a", "ip addr del 10.77.0.100/32 dev eth0")
    assert ward.said(balancer(*FOUR), active=False).startswith("Nobody answers for the VIP 10.77.0.100")


@PAIRS
def test_a_member_without_the_vip_is_deaf(ward: Ward, member: str, vip: str) -> None:
    ward.link("m", f"ip addr del {vip}/{128 if ':' in vip else 32} dev lo")
    assert "does not hear the VIP" in ward.said(balancer(member, vip))


@PAIRS
def test_a_service_on_another_port(ward: Ward, member: str, vip: str) -> None:
    ward.ear.close()
    assert f"nothing listens there on the VIP's port {PORT}" in ward.said(balancer(member, vip))


def test_a_member_with_another_port_than_the_listener(ward: Ward) -> None:
    assert "direct return changes no port" in ward.said(balancer(*FOUR, port=81))


def test_a_member_behind_a_router(ward: Ward) -> None:
    assert "10.99.0.1 is behind a router" in ward.said(balancer(*FOUR, "10.99.0.1"))


@PAIRS
def test_a_member_that_is_not_there(ward: Ward, member: str, vip: str) -> None:
    gone = member.replace("11", "99")
    assert f"Member {gone} does not answer on eth0" in ward.said(balancer(member, vip, gone))


@PAIRS
def test_a_member_with_a_smaller_mtu(ward: Ward, member: str, vip: str) -> None:
    ward.link("m", "ip link set eth0 mtu 1400")
    assert "takes no packet of 1500 bytes, which eth0 here sends" in ward.said(balancer(member, vip))


def test_a_director_that_speaks_as_the_vip(ward: Ward) -> None:
    ward.link("a", "ip -6 addr flush dev eth0 scope global")
    ward.link("a", "ip addr add fd77::100/64 dev eth0 nodad")
    assert "speaks to member fd77::11 as a VIP" in ward.said(balancer(*SIX))


def test_rp_filter_where_clients_come_another_way(ward: Ward) -> None:
    ward.link("a", "ip route del default")
    (found,) = ward.found(balancer(*FOUR))
    assert found.balancer == ""
    assert "rp_filter is strict on eth0 and the way back to clients leads nowhere" in found.sentence
    ward.kernel(ward.site.proc, "net/ipv4/conf/all/rp_filter", "2")
    assert ward.found(balancer(*FOUR)) == ()


def test_a_kernel_that_is_not_set_up(ward: Ward) -> None:
    ward.kernel(ward.site.proc, "net/ipv4/vs/expire_nodest_conn", "0")
    (found,) = ward.found(balancer(*FOUR))
    assert found.sentence == "net.ipv4.vs.expire_nodest_conn is 0; the director needs 1."
