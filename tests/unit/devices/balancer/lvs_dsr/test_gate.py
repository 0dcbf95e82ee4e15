"""Who may ask a VIP: kept away before anything is served, and nothing is served where that cannot be."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.gate import Nft, ruleset
from sekisho.devices.balancer.lvs_dsr.services import Key
from sekisho.model.balancer import Balancer
from sekisho.model.errors import Refused, Unavailable
from support_lvs import MemoryChecks, MemoryKernel, Time, balancer, key


class Gate:
    """Takes down what stands in the kernel's table when it is told."""

    def __init__(self, kernel: MemoryKernel) -> None:
        self.kernel = kernel
        self.held: Mapping[Key, tuple[str, ...]] = {}
        self.vips: frozenset[str] = frozenset()
        self.served: list[set[Key]] = []
        self.broken = False
        self.gone = False

    def carry(self, allowed: Mapping[Key, tuple[str, ...]], vips: frozenset[str] = frozenset()) -> bool:
        if self.broken and (allowed, vips) != (self.held, self.vips):
            raise Unavailable("It cannot.", "nft: no such thing.")
        self.vips = vips
        if allowed == self.held:
            return False
        self.served.append(set(self.kernel.table))
        self.held = dict(allowed)
        return True

    def missing(self) -> bool:
        return self.gone


@pytest.fixture
def kernel() -> MemoryKernel:
    return MemoryKernel()


@pytest.fixture
def gate(kernel: MemoryKernel) -> Gate:
    return Gate(kernel)


@pytest.fixture
def driver(kernel: MemoryKernel, gate: Gate) -> LvsDriver:
    made = LvsDriver(kernel, Time(), MemoryChecks())
    made.gate = gate
    return made


def kept(number: int = 1, *cidrs: str, **more: str) -> Balancer:
    made = balancer(number, **more)  # type: ignore[arg-type] # its VIP
    return replace(made, listeners=(replace(made.listeners[0], cidrs=cidrs or ("10.0.0.0/8",)),))


def test_it_is_kept_before_it_is_served(driver: LvsDriver, gate: Gate, kernel: MemoryKernel) -> None:
    assert driver.carry((kept(), balancer(2))).problems == {}
    assert gate.served == [set()]
    assert gate.held == {key(): ("10.0.0.0/8",)}
    assert set(kernel.table) == {key(), key(2)}
    driver.carry((kept(1, "10.0.0.0/8"), balancer(2)))
    assert len(gate.served) == 1, "the same again is no work"
    driver.carry((balancer(1), balancer(2)))
    assert gate.held == {}


def test_what_no_service_takes_is_closed_from_before_a_vip_is_there_until_it_is_not(
    driver: LvsDriver, gate: Gate
) -> None:
    driver.carry((balancer(1), balancer(2)))
    assert gate.vips == {"10.0.1.1", "10.0.1.2"}
    driver.carry((balancer(1),))
    assert gate.vips == {"10.0.1.1", "10.0.1.2"}, "while keepalived takes it away"
    driver.carry((balancer(1),))
    assert gate.vips == {"10.0.1.1"}


def test_what_cannot_be_closed_is_served_and_said(
    driver: LvsDriver, gate: Gate, kernel: MemoryKernel
) -> None:
    gate.broken = True
    assert driver.carry((balancer(1),)).problems == {}
    assert set(kernel.table) == {key(1)}
    assert driver.ajar == "nft: no such thing."
    gate.broken = False
    driver.carry((balancer(1),))
    assert driver.ajar == ""


def test_a_gate_that_somebody_took_away_is_drift(driver: LvsDriver, gate: Gate) -> None:
    driver.carry((kept(),))
    assert driver.drift() == ()
    gate.gone = True
    assert driver.drift() == ("The nftables table that keeps away who may not ask was gone.",)


def test_what_leaves_takes_its_rule_along(driver: LvsDriver, gate: Gate) -> None:
    driver.carry((kept(),))
    driver.carry(())
    assert gate.held == {}


def test_what_cannot_be_kept_is_not_served(driver: LvsDriver, gate: Gate, kernel: MemoryKernel) -> None:
    driver.carry((kept(1), balancer(2), balancer(3)))
    gate.broken = True
    outcome = driver.carry((kept(1), kept(2), balancer(3)))
    assert list(outcome.problems) == ["b2"]
    assert "nft: no such thing." in outcome.problems["b2"]
    assert set(kernel.table) == {key(1), key(3)}, "b1 is kept as before"
    driver.judge("m2-1", alive=True)
    assert key(2) not in kernel.table
    gate.broken = False
    assert driver.carry((kept(1), kept(2), balancer(3))).problems == {}
    assert set(kernel.table) == {key(1), key(2), key(3)}


def test_a_balancer_has_no_say_of_who_asks_another_ones_service(driver: LvsDriver, gate: Gate) -> None:
    thief = kept(2, "192.0.2.0/24", vip="10.0.1.1")
    assert list(driver.carry((balancer(1), thief)).problems) == ["b2"]
    assert gate.held == {}
    driver.carry((thief,))
    assert gate.held == {key(): ("192.0.2.0/24",)}, "until it is its own"


def test_without_a_gate_nobody_is_let_in_by_mistake() -> None:
    kernel = MemoryKernel()
    driver = LvsDriver(kernel, Time(), MemoryChecks())
    assert list(driver.carry((kept(),)).problems) == ["b1"]
    assert kernel.table == {}


# --- nft itself ------------------------------------------------------------------------------------


def test_rules_are_written_for_each_family_and_protocol() -> None:
    text = ruleset(
        {
            Key(6, "10.0.0.1", 80): ("10.0.0.0/8", "10.1.0.0/16", "192.0.2.7"),
            Key(17, "2001:db8::1", 53): ("2001:db8::/32",),
            Key(6, "10.0.0.2", 80): ("0.0.0.0/0",),
            Key(132, "10.0.0.3", 80): ("2001:db8::/32",),  # nobody of its family
        }
    )
    assert "ip daddr 10.0.0.1 tcp dport 80 ip saddr != { 10.0.0.0/8, 192.0.2.7/32 } counter drop" in text
    assert "ip6 daddr 2001:db8::1 udp dport 53 ip6 saddr != { 2001:db8::/32 } counter drop" in text
    assert "10.0.0.2" not in text
    assert "ip daddr 10.0.0.3 sctp dport 80 counter drop" in text
    assert "reject" not in text
    text = ruleset({}, {"10.0.0.2", "10.0.0.1", "2001:db8::1"})
    assert "priority 110;" in text
    assert "priority -10;" not in text
    assert "ip daddr { 10.0.0.1, 10.0.0.2 } meta l4proto tcp counter reject with tcp reset" in text
    assert "ip6 daddr { 2001:db8::1 } meta l4proto != { tcp, ipv6-icmp } counter reject" in text


def test_a_table_of_an_earlier_run_is_taken_away_and_then_nothing_is_done() -> None:
    told: list[str] = []
    gate = Nft(told.append, there=True)
    assert gate.carry({})
    assert not gate.carry({})
    assert told == [ruleset({})]


def test_a_table_that_somebody_took_away_is_written_again(driver: LvsDriver, kernel: MemoryKernel) -> None:
    told: list[str] = []
    error: list[Exception] = []

    def run(text: str) -> None:
        told.append(text)
        if error:
            raise error[0]

    driver.gate = gate = Nft(run, there=True)
    driver.carry((kept(), balancer(2)))
    (written,) = told
    assert driver.drift() == ()
    error.append(Unavailable("Slow.", "nft: timed out"))
    assert not gate.missing()
    driver.carry((kept(), balancer(2)))
    assert told[1:] == ["list table inet sekisho_director\n"] * 2, "nobody said that it is gone"
    error[:] = [Refused("no", "nft said 1: No such file or directory")]
    assert gate.missing()
    told.clear()
    assert list(driver.carry((kept(), balancer(2))).problems) == ["b1"], "it is not served to everybody"
    assert set(kernel.table) == {key(2)}
    error.clear()
    assert driver.carry((kept(), balancer(2))).problems == {}
    assert told[-1] == written
    assert set(kernel.table) == {key(1), key(2)}


def test_a_kernel_that_cannot_refuse_still_keeps_away_who_may_not_ask(kernel: MemoryKernel) -> None:
    stands = ""
    cannot, flushed = "reject", False

    def run(text: str) -> None:
        nonlocal stands
        if (cannot and cannot in text) or (flushed and text.startswith("list")):
            raise Refused("no", "nft said 1: Could not process rule: No such file or directory")
        stands = text

    driver = LvsDriver(kernel, Time(), MemoryChecks())
    driver.gate = Nft(run, there=True)
    driver.carry((balancer(1),))
    assert stands == ruleset({}), "an earlier run's table is taken away"
    assert driver.carry((kept(), balancer(2))).problems == {}
    assert set(kernel.table) == {key(1), key(2)}
    assert "ip daddr 10.0.1.1 tcp dport 80 ip saddr != { 10.0.0.0/8 } counter drop" in stands
    assert "No such file" in driver.ajar
    driver.carry((kept(1, "192.0.2.0/24"), balancer(2)))
    assert "192.0.2.0/24" in stands
    flushed = True
    assert len(driver.drift()) == 1
    flushed, stands = False, ""
    assert driver.carry((kept(1, "192.0.2.0/24"), balancer(2))).problems == {}
    assert "192.0.2.0/24" in stands
    cannot = ""
    driver.carry((kept(1, "192.0.2.0/24"), balancer(2)))
    assert "reject" in stands, "it is tried again"
    assert driver.ajar == ""
    cannot = "10.0.1.3"
    driver.carry((kept(1, "10.0.0.0/8"), balancer(2), balancer(3)))
    assert "10.0.0.0/8" in stands
    assert "{ 10.0.1.1, 10.0.1.2 }" in stands, "what is closed stays closed"
    cannot = "table"
    assert list(driver.carry((kept(1, "192.0.2.0/24"), balancer(2), balancer(3))).problems) == ["b1"]
    assert "nft said 1" in driver.ajar


def test_a_table_that_need_not_be_there_is_not_missed() -> None:
    told: list[str] = []
    gate = Nft(told.append, there=True, spared=lambda: frozenset({"10.0.1.1"}))
    gate.carry({key(): ("0.0.0.0/0",)}, frozenset({"10.0.1.1"}))
    assert not gate.missing()
    assert len(told) == 1


def test_without_nft_all_works_but_keeping_away() -> None:
    gate = Nft(there=False)
    gate.carry({})
    with pytest.raises(Unavailable):
        gate.carry({key(): ("10.0.0.0/8",)})
    with pytest.raises(Unavailable):
        gate.carry({}, frozenset({"10.0.0.1"}))
    assert gate.held == {}


def test_without_nftables_in_the_kernel_likewise() -> None:
    def run(_text: str) -> None:
        raise Refused("no", "nft said 1: Protocol not supported")

    gate = Nft(run, there=True)
    gate.carry({})
    with pytest.raises(Refused):
        gate.carry({key(): ("10.0.0.0/8",)})
    assert gate.held == {}
