"""Whose traffic is it: by interface first, by address last."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from sekisho.flows.exporters import Exporters, ExporterSettings
from sekisho.flows.resolve import Resolver, ResolveSettings
from sekisho.flows.sources import Sources
from sekisho.flows.wire.protocol import IPFIX, NETFLOW5, NETFLOW9, SFLOW
from sekisho.model.errors import Malformed
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.tables import OUT_DISCARDED, OUT_MULTIPLE, V4_MAPPED, FlowBatch

if TYPE_CHECKING:
    from collections.abc import Sequence

EXACT = 77
UPLINK = 2


def vm(name: str, host: str, number: int, **more: Any) -> Subject:
    """VM n of a host: ifIndex 10 + n, OpenFlow port n, MAC ...:n, address 10.0.0.n."""
    made: dict[str, Any] = {
        "mac": f"02:00:00:00:00:{number:02x}",
        "addresses": (f"10.0.0.{number}",),
        "bridge": "br-int",
        "ifindex": 10 + number,
        "ofport": number,
    }
    return Subject(name, host, **(made | more))


HOSTS = (
    Host("h1", ("192.168.1.1",), (Telemetry("br-int", "ipfix", 400, 5, EXACT),)),
    Host("h2", ("192.168.1.2",), (Telemetry("br-int", "sflow", 400, 0, EXACT),)),
)
SUBJECTS = (
    vm("a", "h1", 1),
    vm("b", "h1", 2, addresses=("10.0.0.2", "2001:db8::2", "2001:db8:1::2")),
    vm("c", "h1", 3, addresses=("10.0.0.1",), network="other"),  # the address of a
    vm("d", "h2", 1, addresses=("10.0.0.4",)),  # ifIndex, port and MAC of a, on another host
    vm("e", "h2", 0, mac="02:00:00:00:00:05", addresses=("10.0.0.5",), ifindex=0, ofport=9),  # DPDK
)
A, B, C, D, E = range(5)
INVENTORY = Inventory(1, HOSTS, SUBJECTS)


class World:
    def __init__(self, inventory: Inventory = INVENTORY, settings: ResolveSettings | None = None) -> None:
        self.exporters = Exporters()
        self.resolver = Resolver(settings or ResolveSettings(), inventory, self.exporters)

    def exporter(self, protocol: int, address: str, domain: int = 0, agent: str = "") -> int:
        hi, lo = words(address)
        agent_hi, agent_lo = words(agent) if agent else (0, 0)
        a, b, c, d = (np.array([n], np.uint64) for n in (hi, lo, agent_hi, agent_lo))
        return int(self.exporters.rows(protocol, a, b, c, d, np.array([domain], np.uint32), 1.0)[0])

    def resolve(self, *rows: dict[str, Any]) -> FlowBatch:
        batch = FlowBatch.empty(len(rows))
        for i, row in enumerate(rows):
            for name, value in row.items():
                if name in ("src", "dst"):
                    hi, lo = words(value)
                    getattr(batch, f"{name}_hi")[i], getattr(batch, f"{name}_lo")[i] = hi, lo
                else:
                    getattr(batch, name)[i] = value
        self.resolver.resolve(batch)
        return batch


def words(text: str) -> tuple[int, int]:
    address = ip_address(text)
    number = int(address) if address.version == 6 else V4_MAPPED | int(address)
    return number >> 64, number & 0xFFFF_FFFF_FFFF_FFFF


def mac(number: int) -> int:
    return 0x020000000000 | number


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def h1(world: World) -> int:
    return world.exporter(IPFIX, "192.168.1.1", 5)


@pytest.fixture
def h2(world: World) -> int:
    return world.exporter(SFLOW, "192.168.1.2", 0, "192.168.1.2")


def ends(batch: FlowBatch) -> list[tuple[int, int]]:
    return list(zip(batch.sender.tolist(), batch.receiver.tolist(), strict=True))


class TestOfAHost:
    def test_by_interface_on_each_host(self, world: World, h1: int, h2: int) -> None:
        batch = world.resolve(
            {"exporter": h1, "in_if": 11, "out_if": 12},
            {"exporter": h2, "in_if": 11, "out_if": UPLINK},
            {"exporter": h1, "in_if": UPLINK, "out_if": 13},
        )
        assert ends(batch) == [(A, B), (D, -1), (-1, C)]

    def test_who_spoofs_its_source_is_still_itself(self, world: World, h1: int) -> None:
        spoofed = {"src": "10.0.0.2", "src_mac": mac(2), "out_if": UPLINK}
        assert ends(world.resolve({"exporter": h1, "in_if": 11, **spoofed})) == [(A, -1)]

    def test_a_spoofed_source_from_outside_names_nobody(self, world: World, h1: int) -> None:
        outside = {"exporter": h1, "in_if": UPLINK, "src": "10.0.0.2", "src_mac": mac(2)}
        assert ends(world.resolve({**outside, "out_if": 11})) == [(-1, A)]

    def test_the_same_address_in_two_networks(self, world: World, h1: int) -> None:
        rows = [{"exporter": h1, "in_if": i, "out_if": UPLINK, "src": "10.0.0.1"} for i in (11, 13)]
        assert ends(world.resolve(*rows)) == [(A, -1), (C, -1)]

    def test_input_0_is_known_by_its_mac(self, world: World, h2: int) -> None:
        rows = [{"exporter": h2, "in_if": 0, "src_mac": m, "out_if": UPLINK} for m in (mac(5), mac(99), 0)]
        assert ends(world.resolve(*rows)) == [(E, -1), (-1, -1), (-1, -1)]

    @pytest.mark.parametrize(
        "way", [{"out_format": OUT_DISCARDED, "out_if": 256}, {"out_format": OUT_MULTIPLE, "out_if": 3}, {}]
    )
    def test_receiver_where_the_switch_did_not_say(self, world: World, h1: int, way: dict[str, int]) -> None:
        batch = world.resolve(
            {"exporter": h1, "in_if": UPLINK, "dst_mac": mac(2), **way},
            {"exporter": h1, "in_if": UPLINK, "dst_mac": mac(200), "dst": "10.0.0.2", **way},
            {"exporter": h1, "in_if": UPLINK, "dst": "2001:db8:1::2", **way},
            {"exporter": h1, "in_if": UPLINK, "dst": "10.0.0.1", **way},  # a and c both
            {"exporter": h1, "in_if": UPLINK, "dst": "10.0.0.4", **way},  # on another host
            {"exporter": h1, "in_if": UPLINK, "dst": "10.0.0.1", "dst_mac": mac(3), **way},
        )
        assert [r for _, r in ends(batch)] == [B, B, B, -1, -1, C]
        assert world.resolver.counters["ambiguous"] == 1

    def test_an_uplink_is_an_answer(self, world: World, h1: int) -> None:
        row = {"exporter": h1, "in_if": 11, "out_if": UPLINK, "dst_mac": mac(2), "dst": "10.0.0.2"}
        assert ends(world.resolve(row)) == [(A, -1)]

    def test_netflow5_of_open_vswitch_counts_openflow_ports(self) -> None:
        speaks = Host("h1", ("192.168.1.1",), (Telemetry("br-int", "netflow5"), Telemetry("br-ex", "ipfix")))
        world = World(Inventory(1, (speaks,), SUBJECTS[:3]))
        e = world.exporter(NETFLOW5, "192.168.1.1", 0)
        assert ends(world.resolve({"exporter": e, "in_if": 1, "out_if": 2})) == [(A, B)]

    def test_netflow5_of_others_counts_interfaces(self, world: World) -> None:
        e = world.exporter(NETFLOW5, "192.168.1.1", 0)
        assert ends(world.resolve({"exporter": e, "in_if": 11, "out_if": 1})) == [(A, -1)]

    def test_ports_of_which_of_two_bridges_is_not_known(self) -> None:
        two = (Telemetry("br-a", "netflow5", domain=1), Telemetry("br-int", "netflow5", domain=2))
        world = World(Inventory(1, (Host("h1", ("192.168.1.1",), two),), SUBJECTS[:3]))
        known, unknown = (world.exporter(NETFLOW5, "192.168.1.1", d) for d in (2, 3))
        rows = [{"exporter": e, "in_if": i, "out_if": 99} for e in (known, unknown) for i in (1, 11)]
        assert [s for s, _ in ends(world.resolve(*rows))] == [A, -1, -1, -1]


class TestExact:
    @pytest.fixture
    def exact(self, world: World) -> int:
        return world.exporter(IPFIX, "192.168.1.1", EXACT)

    def test_an_attempt_is_sent_at_its_point(self, world: World, exact: int, h1: int) -> None:
        row = {"dst_port": 25, "dst": "198.51.100.1", "dst_mac": mac(0xFE)}
        batch = world.resolve(
            {"exporter": exact, "point": 1, "in_if": 11, **row},
            {"exporter": exact, "point": 1, "in_if": 0, **row},
            {"exporter": h1, "point": 1, "in_if": 12, "out_if": UPLINK, **row},
        )
        assert ends(batch) == [(A, -1), (A, -1), (B, -1)]
        assert batch.exact.tolist() == [True, True, False]

    def test_a_reply_goes_to_its_point(self, world: World, exact: int) -> None:
        row = {"exporter": exact, "point": 1, "src_port": 25, "dst_mac": mac(1)}
        batch = world.resolve({"in_if": UPLINK, **row}, {"in_if": 12, **row}, {"in_if": 0, **row})
        assert ends(batch) == [(-1, A)] * 3
        assert ends(world.resolve({"in_if": UPLINK, "dst_port": 25, **row})) == [(-1, A)]

    def test_source_port_and_mac_of_an_attempt_may_lie(self, world: World, exact: int) -> None:
        row = {"src_port": 25, "dst_port": 25, "src_mac": mac(2), "src": "10.0.0.2"}
        assert ends(world.resolve({"exporter": exact, "point": 1, "in_if": 11, **row})) == [(A, -1)]
        to_itself = {"exporter": exact, "point": 1, "in_if": 11, "dst_port": 25, "dst_mac": mac(1)}
        assert ends(world.resolve(to_itself)) == [(A, -1)]

    def test_an_unknown_point_is_nobody(self, world: World, exact: int) -> None:
        assert ends(world.resolve({"exporter": exact, "point": 99, "in_if": 11})) == [(-1, -1)]

    def test_beside_sflow_on_the_same_host(self, world: World, h2: int) -> None:
        exact = world.exporter(IPFIX, "192.168.1.2", EXACT)
        batch = world.resolve(
            {"exporter": exact, "point": 9, "in_if": 0, "dst_port": 25, "dst_mac": mac(0xFE)},
            {"exporter": h2, "in_if": 11, "out_if": UPLINK},
        )
        assert ends(batch) == [(E, -1), (D, -1)]
        assert batch.exact.tolist() == [True, False]
        assert batch.rate.tolist() == [1, 0]


class TestWhoseExporter:
    def test_by_sflow_agent_address(self, world: World) -> None:
        e = world.exporter(SFLOW, "203.0.113.9", 0, "192.168.1.2")
        assert ends(world.resolve({"exporter": e, "in_if": 11, "out_if": UPLINK})) == [(D, -1)]

    def shared(self, addresses: tuple[str, ...]) -> World:
        hosts = [
            Host(name, addresses, (Telemetry("br-int", "ipfix", 10 * domain, domain),))
            for name, domain in (("h1", 1), ("h2", 2))
        ]
        return World(Inventory(1, tuple(hosts), SUBJECTS))

    @pytest.mark.parametrize("addresses", [("192.168.1.1",), ()])
    def test_hosts_behind_one_address_by_domain(self, addresses: tuple[str, ...]) -> None:
        world = self.shared(addresses)
        exporters = [world.exporter(IPFIX, "192.168.1.1", d) for d in (1, 2, 3)]
        batch = world.resolve(*[{"exporter": e, "in_if": 11, "out_if": UPLINK} for e in exporters])
        assert [s for s, _ in ends(batch)] == [A, D, -1]
        assert batch.rate.tolist() == [10, 20, 0]

    @pytest.mark.parametrize(("told", "found"), [(True, [A, D]), (False, [-1, -1])])
    def test_hosts_that_export_sflow_are_told_apart_by_their_addresses_alone(
        self, found: list[int], *, told: bool
    ) -> None:
        addresses = ("192.168.1.1", "192.168.1.2")
        hosts = tuple(
            Host(f"h{n}", (a,) if told else (), (Telemetry("br-int", "sflow", 400),))
            for n, a in enumerate(addresses, 1)
        )
        world = World(Inventory(1, hosts, SUBJECTS))
        exporters = [world.exporter(SFLOW, a) for a in addresses]
        batch = world.resolve(*[{"exporter": e, "in_if": 11, "out_if": UPLINK} for e in exporters])
        assert [s for s, _ in ends(batch)] == found
        assert world.resolver.counters["shared_exporters"] == (0 if told else 2)

    def test_a_row_given_to_another_exporter_is_looked_up_again(self, world: World, h1: int) -> None:
        row = {"exporter": h1, "in_if": 11, "out_if": UPLINK}
        world.resolve(row)
        world.exporters.address_lo[h1] += 1
        world.exporters.protocol[h1] = SFLOW
        world.exporters.domain[h1] = 0
        world.exporters.generation[h1] += 1000
        world.exporters.changes += 1
        assert ends(world.resolve(row)) == [(D, -1)]


class TestStrangers:
    @pytest.fixture
    def router(self, world: World) -> int:
        return world.exporter(NETFLOW9, "192.168.9.9", 1)

    def test_by_address_where_one_alone_has_it(self, world: World, router: int) -> None:
        batch = world.resolve(
            {"exporter": router, "in_if": 11, "src": "10.0.0.2", "dst": "10.0.0.4"},
            {"exporter": router, "src": "2001:db8::2", "dst": "2001:db8::3"},
            {"exporter": router, "src": "10.0.0.1", "dst": "8.8.8.8"},
            {"exporter": router},
        )
        assert ends(batch) == [(B, D), (B, -1), (-1, -1), (-1, -1)]
        assert world.resolver.counters["ambiguous"] == 1
        assert world.resolver.counters["strangers"] == 4

    def test_an_empty_inventory(self) -> None:
        world = World(Inventory())
        e = world.exporter(SFLOW, "192.168.1.1")
        assert ends(world.resolve({"exporter": e, "in_if": 11, "src": "10.0.0.1"})) == [(-1, -1)]

    def test_an_inventory_with_nonsense_in_it(self) -> None:
        odd = vm("x", "h1", 1, mac="none", addresses=("", "10.0.0.300", "10.0.0.9/24"))
        world = World(Inventory(1, (Host("h1", ("?",)),), (odd, vm("y", "nowhere", 2))))
        e = world.exporter(NETFLOW9, "192.168.1.1")
        rows = [{"exporter": e, "src": address} for address in ("10.0.0.9", "10.0.0.2")]
        assert [s for s, _ in ends(world.resolve(*rows))] == [0, 1]


class TestRate:
    def test_filled_for_ipfix_of_a_host_alone_and_nothing_scaled(
        self, world: World, h1: int, h2: int
    ) -> None:
        router = world.exporter(IPFIX, "192.168.9.9", 1)
        batch = world.resolve(
            {"exporter": h1, "packets": 400, "bytes": 6e5},
            {"exporter": h1, "rate": 10},
            {"exporter": h2},
            {"exporter": router},
        )
        assert batch.rate.tolist() == [400, 10, 0, 0]
        assert (batch.packets[0], batch.bytes[0]) == (400, 6e5)


class TestInternet:
    def seen(self, world: World, addresses: Sequence[str]) -> list[bool]:
        e = world.exporter(SFLOW, "192.168.9.9")
        batch = world.resolve(*[{"exporter": e, "src": a, "dst": a} for a in addresses])
        assert batch.src_internet.tolist() == batch.dst_internet.tolist()
        return list(batch.src_internet.tolist())

    def test_private_and_special_addresses_are_not(self, world: World) -> None:
        inside = ["10.0.0.0", "10.255.255.255", "172.16.0.1", "172.31.255.255", "192.168.0.1", "100.64.0.1"]
        inside += ["100.127.255.255", "127.0.0.1", "169.254.1.1", "224.0.0.1", "255.255.255.255", "0.0.0.0"]
        inside += ["fc00::1", "fdff::1", "fe80::1", "febf::1", "ff02::1", "::1", "::"]
        assert not any(self.seen(world, inside))

    def test_all_else_is(self, world: World) -> None:
        outside = [
            "9.255.255.255",
            "11.0.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.167.255.255",
            "192.169.0.0",
        ]
        outside += ["100.63.255.255", "100.128.0.0", "128.0.0.1", "223.255.255.255", "1.0.0.0", "8.8.8.8"]
        outside += ["192.0.2.1", "198.51.100.1", "203.0.113.1", "198.18.0.1"]  # what the lab calls internet
        outside += ["2001:db8::1", "2a00::1", "::2", "fe00::1", "fec0::1", "64:ff9b::a00:1"]
        assert all(self.seen(world, outside))

    def test_own_prefixes(self) -> None:
        own = ("203.0.113.0/24", "2001:db8:5::/48", "198.51.100.7/32", "2001:db8::1:0/112")
        world = World(settings=ResolveSettings(own))
        asked = ["203.0.113.9", "2001:db8:5::9", "198.51.100.7", "198.51.100.8", "2001:db8:6::9", "10.0.0.1"]
        assert self.seen(world, asked) == [False, False, False, True, True, False]
        assert self.seen(world, ["2001:db8::1:5", "2001:db8::2:5"]) == [False, True]

    def test_a_prefix_that_is_none_is_refused(self) -> None:
        with pytest.raises(Malformed, match=r"203\.0\.113"):
            World(settings=ResolveSettings(("203.0.113.0/33",)))


def test_what_is_not_ip_is_no_internet(world: World, h1: int) -> None:
    batch = world.resolve({"exporter": h1, "in_if": 11})
    assert (batch.src_internet[0], batch.dst_internet[0]) == (np.False_, np.False_)


def test_many_subjects_are_found_as_one_by_one() -> None:
    """Ten thousand subjects with addresses in both families, asked in any order."""
    rng = np.random.default_rng(3)
    chosen = rng.choice(1 << 31, 10_000, replace=False)
    texts = [
        str(ip_address(int(n))) if n % 2 else str(ip_address((0x20010DB8 + int(n) % 5 << 96) + int(n)))
        for n in chosen
    ]
    subjects = tuple(Subject(str(i), "h", addresses=(t,)) for i, t in enumerate(texts))
    world = World(Inventory(1, (), subjects))
    e = world.exporter(NETFLOW9, "192.168.9.9")
    order = rng.permutation(len(texts))
    batch = FlowBatch.empty(len(order))
    split = np.array([words(texts[i]) for i in order], np.uint64)
    batch.src_hi[:], batch.src_lo[:] = split[:, 0], split[:, 1]
    batch.exporter[:] = e
    world.resolver.resolve(batch)
    assert (batch.sender == order).all()


@pytest.mark.parametrize("number", [-1, 2**32, 2**70])
def test_a_host_that_reports_nonsense_harms_nobody_else(number: int) -> None:
    """Any agent may report any number: it must not take the collector down."""
    odd = Host("odd", ("192.168.1.9",), (Telemetry("br-int", "ipfix", number, 9, number),))
    subjects = (*SUBJECTS, vm("x", "odd", 1, ifindex=number), vm("y", "odd", 2, ofport=number))
    world = World(Inventory(2, (*HOSTS, odd), subjects))
    good, bad = world.exporter(IPFIX, "192.168.1.1", 5), world.exporter(IPFIX, "192.168.1.9", 9)
    batch = world.resolve(*({"exporter": e, "in_if": 11} for e in (good, bad)))
    assert batch.sender.tolist() == [A, -1]
    assert (batch.rate >= 0).all()


def test_an_exporter_that_comes_after_a_resolver_was_made_is_known(world: World) -> None:
    world.exporter(IPFIX, "192.168.1.1", 5)
    made = Resolver(ResolveSettings(), INVENTORY, world.exporters)
    h2 = world.exporter(SFLOW, "192.168.1.2", 0, "192.168.1.2")
    world.resolver = made
    assert ends(world.resolve({"exporter": h2, "in_if": 11, "out_if": UPLINK})) == [(D, -1)]


def test_a_row_given_to_another_exporter_while_a_resolver_is_made_is_that_one_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The thread that hears may forget an exporter just when its host has been looked up."""
    world = World()
    world.exporters = Exporters(ExporterSettings(total=1, idle=10.0))
    row = world.exporter(IPFIX, "192.168.1.1", 5)
    look_up = Sources._look_up

    def and_then(self: Sources, looked: int) -> None:
        look_up(self, looked)
        if world.exporters.generation[row] == 1:
            world.exporters.begin(30.0)
            world.exporters.begin(60.0)
            assert world.exporter(SFLOW, "192.168.1.2", 0, "192.168.1.2") == row

    monkeypatch.setattr(Sources, "_look_up", and_then)
    world.resolver = Resolver(ResolveSettings(), INVENTORY, world.exporters)
    assert ends(world.resolve({"exporter": row, "in_if": 11, "out_if": UPLINK})) == [(D, -1)]


def test_it_is_noted_how_what_an_exporter_told_last_was_sampled() -> None:
    world = World()
    told, host = world.exporter(NETFLOW9, "192.168.9.9"), world.exporter(IPFIX, "192.168.1.1", 5)
    world.resolve({"exporter": told, "rate": 7}, {"exporter": host}, {"exporter": told, "rate": 9})
    assert [e.sampling for e in world.exporters.report()] == [9, 400]
    world.resolve({"exporter": host, "rate": 20}, {"exporter": told, "rate": 30}, {"exporter": told})
    assert [e.sampling for e in world.exporters.report()] == [30, 20]
