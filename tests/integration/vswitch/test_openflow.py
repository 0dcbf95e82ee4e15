"""What only a real switch can show: nothing slips through a change, twins in two networks, many rules."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from sekisho.devices.vswitch.bridge import Bridge
from sekisho.devices.vswitch.program import Bound
from sekisho.model.errors import NotFound, Unavailable
from sekisho.model.policy import Action, Baseline, Direction, Drop, Police, Protocol
from sekisho.testing.packets import SYN, TCP, Packet
from support_frames import RealRig, Wires
from support_vswitch import EXACT_DOMAIN, subject

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.ovs import PrivateSwitch

pytestmark = [pytest.mark.ovs, pytest.mark.usefixtures("bridge")]

EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS
MAIL = Drop(Protocol.TCP, EGRESS, 25)


def one(rig: RealRig, *actions: Action, until: float = 600.0) -> Bound:
    return Bound("r1", rig.subjects[0].id, actions, rig.now + until)


def test_nothing_slips_through_while_rules_change(switch: PrivateSwitch) -> None:
    with RealRig(switch) as rig:
        agent = rig.agent()
        agent.carry(rig.subjects, [one(rig, MAIL)], (), (), rig.now)
        sender, hearer = rig.wires.wire(rig.vms[1]), rig.wires.wire(rig.vms[3])
        frame = Packet(rig.vms[1].mac, rig.vms[3].mac, protocol=TCP, dst_port=25, flags=SYN).frame()
        done, sent = threading.Event(), 0
        heard: list[bytes] = []

        def listen() -> None:
            hearer.settimeout(0.1)
            while not done.is_set():
                try:
                    got = hearer.recv(4096)
                except TimeoutError:
                    continue
                if got[: len(frame)] == frame:
                    heard.append(got)

        def change() -> None:
            wide = Drop(Protocol.TCP, EGRESS, 20, 30)
            for turn, actions in enumerate(
                [(MAIL,), (wide,), (Drop(Protocol.ANY, EGRESS),), (MAIL, wide)] * 3
            ):
                agent.carry(rig.subjects, [one(rig, *actions, until=600 + turn)], (), [25], rig.now)
            done.set()

        threads = [threading.Thread(target=t) for t in (listen, change)]
        for thread in threads:
            thread.start()
        while not done.is_set():
            sender.send(frame)
            sent += 1
            time.sleep(0.0005)
        for thread in threads:
            thread.join()
        assert sent > 100
        assert heard == []


def test_one_mac_in_two_networks_is_two_subjects(switch: PrivateSwitch) -> None:
    shared, wires = "02:00:00:00:00:aa", Wires()
    twins = [switch.plug_vm(f"twin{n}", "br0", mac=shared, vlan=v) for n, v in ((1, 10), (2, 20))]
    peers = [
        switch.plug_vm(f"peer{n}", "br0", mac=f"02:00:00:00:00:b{n}", vlan=v) for n, v in ((1, 10), (2, 20))
    ]
    try:
        with RealRig(switch) as rig:
            subjects = [
                subject(n, id=vm.name, mac=vm.mac, vlan=vm.vlan, ofport=switch.ofport(vm.name))
                for n, vm in enumerate((*twins, *peers), 1)
            ]
            bounds = [Bound("r1", "twin1", (Drop(Protocol.UDP, INGRESS, 9),), rig.now + 60)]
            rig.agent().carry(subjects, bounds, (), (), rig.now)
            assert not wires.sends(peers[0], twins[0])
            assert wires.sends(peers[0], twins[0], dst_port=10)
            assert wires.sends(peers[1], twins[1])
    finally:
        wires.close()


def test_an_exact_rule_counts_every_attempt_even_a_blocked_one(switch: PrivateSwitch) -> None:
    with RealRig(switch) as rig:
        agent = rig.agent()
        agent.carry(rig.subjects, [one(rig, MAIL)], (), [25], rig.now)
        for _ in range(5):
            rig.wires.wire(rig.vms[1]).send(
                Packet(rig.vms[1].mac, rig.vms[3].mac, protocol=TCP, dst_port=25, flags=SYN).frame()
            )
        # Counters reach the tables about once a second.
        end = time.monotonic() + 5
        wanted = f"obs_domain_id={EXACT_DOMAIN},obs_point_id={rig.subjects[0].ofport})"
        while time.monotonic() < end:
            lines = [x for x in rig.ofctl("dump-flows").splitlines() if wanted in x and ",tp_dst=25" in x]
            if any("n_packets=5," in x for x in lines):
                return
            time.sleep(0.1)
        pytest.fail(f"not five: {lines}")


def test_a_thousand_subjects_are_carried_in_one_bundle(switch: PrivateSwitch) -> None:
    with RealRig(switch) as rig:
        agent = rig.agent()
        subjects = [
            subject(n, id=f"s{n}", mac=f"02:00:00:01:{n >> 8:02x}:{n & 255:02x}") for n in range(10, 1010)
        ]
        baselines = [Baseline("mail", (MAIL,))]
        bounds = [
            Bound(f"r{n}", f"s{n}", (Police(10_000_000, EGRESS),), rig.now + 600) for n in range(10, 60)
        ]
        carried = agent.carry(subjects, bounds, baselines, [25], rig.now)
        assert all(r.in_force for r in carried.receipts)
        assert carried.changes == 8_000 + 100
        # Where the bundle itself took long, what ends is laid anew once, so as not to end late; no more.
        assert agent.carry(subjects, bounds, baselines, [25], rig.now).changes in (0, len(bounds))
        assert agent.clear(rig.now) == 8_100


def test_a_bridge_that_is_gone_is_said_to_be(switch: PrivateSwitch, tmp_path: Path) -> None:
    with RealRig(switch) as rig:
        with pytest.raises(Unavailable):
            rig.agent(tmp_path).carry(rig.subjects, [one(rig, MAIL)], (), (), rig.now)
        lost = Bridge("br9", "h1", rig.database)
        with pytest.raises(NotFound):
            lost.carry(rig.subjects, [one(rig, MAIL)], (), (), rig.now)
