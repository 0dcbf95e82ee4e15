"""What directors do with packets: whom they send them to, and what they never see."""

from __future__ import annotations

import re
import socket
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial

import pytest

from sekisho.model.balancer import Algorithm, Protocol
from support_ipvs import (
    ECHO,
    MEMBERS,
    PATIENT,
    VIP,
    VIP6,
    WHO,
    Bed,
    address,
    balancer,
    echoed,
    member,
    monitor,
    until,
)

IPPROTO_SCTP = 132
FAMILIES = pytest.mark.parametrize("vip", [VIP, VIP6], ids=["IPv4", "IPv6"])


@pytest.fixture(autouse=True)
def clean(bed: Bed) -> Iterator[None]:
    yield
    bed.carry()


@FAMILIES
def test_replies_bypass_the_director(bed: Bed, vip: str) -> None:
    six = ":" in vip
    bed.carry(balancer(member("m1", six=six), member("m2", six=six), vip=vip))
    active = bed.active()
    with bed.sniffed(active) as at_director, bed.sniffed("router") as at_router:
        assert bed.ask(10, vip) == {"m1": 5, "m2": 5}
    assert sum(p.target == vip for p in at_director) >= 30, "requests do not pass here"
    assert [p for p in at_director if p.source == vip and p.protocol == 6] == []
    assert sum(p.source == vip for p in at_router) >= 30, "no replies from the VIP"


def test_connections_are_shared_by_weight(bed: Bed) -> None:
    bed.carry(balancer(member("m1", weight=3), member("m2", weight=1)))
    found = bed.ask(1000)
    assert abs(found["m1"] - 750) <= 750 * 0.05
    assert abs(found["m2"] - 250) <= 250 * 0.05
    assert found.total() == 1000


def test_least_connections_go_to_whom_has_few(bed: Bed) -> None:
    members = member("m1", ECHO), member("m2", ECHO)
    bed.carry(balancer(*members, port=ECHO, algorithm=Algorithm.LEAST_CONNECTIONS))
    with held(bed, 6) as found:
        assert who(found) == {"m1": 3, "m2": 3}


def test_a_source_keeps_its_member_by_its_address(bed: Bed) -> None:
    members = [member(host) for host in MEMBERS]
    bed.carry(balancer(*members, algorithm=Algorithm.SOURCE_IP))
    assert len(bed.ask(10)) == 1
    bed.carry(balancer(*members, algorithm=Algorithm.SOURCE_IP_PORT))
    assert len(bed.ask(20)) > 1, "the port does not count"


@FAMILIES
def test_a_source_stays_with_its_member_for_its_time(bed: Bed, vip: str) -> None:
    six = ":" in vip
    one = "64" if six else "255.255.255.0"
    both = member("m1", six=six), member("m2", six=six)
    bed.carry(balancer(*both, vip=vip, persistence=60, granularity=one))
    others = [f"fd01::{n}" if six else f"10.1.0.{n}" for n in (33, 34)]
    bed.ip("client", *(f"addr replace {a}/{64 if six else 24} dev eth0 nodad" for a in others))
    first = bed.ask(4, vip)
    assert len(first) == 1
    assert [*bed.ask(1, vip, source=others[0]), *bed.ask(1, vip, source=others[1])] == [*first, *first]


def test_without_persistence_a_source_goes_round(bed: Bed) -> None:
    bed.carry(balancer(member("m1"), member("m2")))
    assert bed.ask(4) == {"m1": 2, "m2": 2}


@FAMILIES
def test_datagrams_and_sctp_are_carried_too(bed: Bed, vip: str) -> None:
    six = ":" in vip
    kinds = (Protocol.UDP, socket.SOCK_DGRAM, 0), (Protocol.SCTP, socket.SOCK_STREAM, IPPROTO_SCTP)
    bed.carry(
        *(balancer(member("m1", 5000, six=six), vip=vip, port=5000, takes=takes) for takes, _, _ in kinds)
    )
    family = socket.AF_INET6 if six else socket.AF_INET

    def offer(kind: int, number: int) -> socket.socket:
        made = socket.socket(family, kind, number)
        made.bind((vip, 5000))
        return made

    def ask(kind: int, number: int) -> socket.socket:
        made = socket.socket(family, kind, number)
        made.settimeout(PATIENT)
        made.connect((vip, 5000))
        return made

    for _, kind, number in kinds:
        with bed.inside("m1", partial(offer, kind, number)) as there:
            there.settimeout(PATIENT)
            if number:
                there.listen()
            with bed.inside("client", partial(ask, kind, number)) as here:
                here.send(b"hello")
                if number:
                    with there.accept()[0] as accepted:
                        assert accepted.recv(10) == b"hello"
                        accepted.send(b"back")
                else:
                    word, who = there.recvfrom(10)
                    there.sendto(word.replace(b"hello", b"back"), who)
                assert here.recv(10) == b"back"


@FAMILIES
def test_what_no_listener_takes_does_not_reach_the_director_itself(bed: Bed, vip: str) -> None:
    six = ":" in vip
    bed.carry(balancer(member("m1", six=six), member("m2", six=six), vip=vip))
    active = bed.active()
    bed.listen(active, 22)  # on all addresses, as sshd does
    try:
        assert bed.ask(1, address(active, six=six), 22) == {active: 1}
        with pytest.raises(ConnectionRefusedError):
            bed.ask(1, vip, 22)
    finally:
        bed.deafen(active, 22)
    assert bed.ask(2, vip) == {"m1": 1, "m2": 1}
    ping = ["ping", "-c", "1", "-W", str(int(PATIENT)), vip]
    assert (
        bed.inside("client", lambda: subprocess.run(ping, check=False, capture_output=True)).returncode == 0
    )


@FAMILIES
def test_a_member_learns_of_a_narrow_way_to_the_client(bed: Bed, vip: str) -> None:
    """Routers tell it to the VIP, which is the director, and that tells the member."""
    six = ":" in vip
    bed.carry(balancer(member("m1", ECHO, six=six), vip=vip, port=ECHO))
    bed.ip("router", "link set out mtu 1300")
    try:
        made, _ = bed.connect(vip)
        with made:
            assert echoed(made, b"narrow! " * 4000)
    finally:
        bed.ip("router", "link set out mtu 1500")


@FAMILIES
def test_who_may_not_ask_is_kept_away_before_ipvs_sees_it(bed: Bed, vip: str) -> None:
    six = ":" in vip
    near, far, bits = ("fd01::2", "fd01::66", 128) if six else ("10.1.0.2", "10.1.0.66", 32)
    bed.ip("client", f"addr replace {far}/{64 if six else 24} dev eth0 nodad")
    made = balancer(member("m1", six=six), vip=vip)
    kept = replace(made, listeners=(replace(made.listeners[0], cidrs=(f"{near}/{bits}",)),))
    bed.carry(kept)
    assert bed.ask(2, vip, source=near) == {"m1": 2}

    def begin() -> socket.socket:
        asking = socket.socket(socket.AF_INET6 if six else socket.AF_INET)
        asking.bind((far, 0))
        asking.setblocking(False)
        asking.connect_ex((vip, WHO))
        return asking

    with bed.inside("client", begin):
        until(lambda: dropped(bed) > 0, "nobody keeps it away")
    assert bed.ask(2, vip, source=near) == {"m1": 2}
    until(lambda: counted(bed, vip) >= 4, "IPVS does not count")
    assert counted(bed, vip) == 4, "IPVS has seen who may not ask"
    bed.carry(made)
    until(lambda: dropped(bed) < 0, "its rule stays")
    assert bed.ask(1, vip, source=far) == {"m1": 1}


def counted(bed: Bed, vip: str) -> int:
    """Tell how many connections IPVS has counted."""
    stand = bed.stands(bed.active(), vip)
    assert stand is not None
    return stand.counts.total


def dropped(bed: Bed) -> int:
    """Tell how many packets were kept away from services; -1 without a rule for that."""
    asked = ["nft", "list", "table", "inet", "sekisho_director"]
    said = bed.inside(bed.active(), lambda: subprocess.run(asked, check=True, capture_output=True, text=True))
    counts = re.findall(r"counter packets (\d+) bytes \d+ drop", said.stdout)
    return sum(map(int, counts)) if counts else -1


def test_weight_0_drains(bed: Bed) -> None:
    both = member("m1", ECHO), member("m2", ECHO)
    bed.carry(balancer(*both, port=ECHO))
    with held(bed, 2) as found:
        assert who(found) == {"m1": 1, "m2": 1}
        bed.carry(balancer(member("m1", ECHO, 0), both[1], port=ECHO))
        assert bed.ask(6, port=ECHO) == {"m2": 6}
        assert alive(found)
        bed.carry(balancer(*both, port=ECHO))
        assert set(bed.ask(4, port=ECHO)) == {"m1", "m2"}


def test_a_member_that_leaves_ends_what_it_began(bed: Bed) -> None:
    both = member("m1", ECHO), member("m2", ECHO)
    bed.carry(balancer(*both, port=ECHO))
    with held(bed, 2) as found:
        bed.carry(balancer(both[1], port=ECHO))
        assert bed.ask(4, port=ECHO) == {"m2": 4}
        assert alive(found)
        assert bed.weights(bed.active(), port=ECHO) == {address("m1"): 0, address("m2"): 1}


def test_backups_serve_while_no_other_does(bed: Bed) -> None:
    members = member("m1"), member("m2"), member("m3", backup=True)
    bed.carry(balancer(*members, monitor=monitor()))
    until(lambda: set(bed.ask(2)) == {"m1", "m2"}, "they do not serve")
    bed.deafen("m1")
    bed.deafen("m2")
    try:
        until(lambda: bed.weights(bed.active()) == {address("m3"): 1}, "the backup does not serve")
        assert set(bed.ask(3)) == {"m3"}
    finally:
        bed.listen("m1", WHO)
        bed.listen("m2", WHO)
    # the backup ends what it began
    back = {address("m1"): 1, address("m2"): 1}
    until(lambda: back.items() <= bed.weights(bed.active()).items(), "they stay out")
    until(lambda: set(bed.ask(2)) == {"m1", "m2"}, "they do not serve again")


@contextmanager
def held(bed: Bed, count: int) -> Iterator[list[tuple[socket.socket, str]]]:
    """Keep connections open, and say to whom."""
    with ExitStack() as stack:
        found = [bed.connect() for _ in range(count)]
        for made, _ in found:
            stack.enter_context(made)
        yield found


def who(found: list[tuple[socket.socket, str]]) -> Counter[str]:
    return Counter(name for _, name in found)


def alive(found: list[tuple[socket.socket, str]]) -> bool:
    return all(echoed(made) for made, _ in found)
