"""How fast a director makes the kernel right, and what IPVS forwards beside nftables doing the same by hand.

    python bench/balancer.py [--balancers 1000] [--members 10] [--packets 300000] [--here] [--json]

Runs in a virtual machine with a kernel that has IPVS (`make bench-balancer` fetches it), by emulation:
times are many times those of a real machine, ratios are not. `--here` runs on this machine (root).

The director's driver carries load balancers of one listener and some members each into the kernel's own table
over netlink: all from nothing, then one member's weight, then the same without a change. Then the kernel's
pktgen makes packets of a thousand flows for a VIP, which are counted where the members are: once with IPVS in
between, once with stateless rules of nftables that do what direct return does, and once with a drop, which
shows what making packets costs alone.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from ipaddress import IPv4Address
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.lvs_dsr.driver import LvsDriver
from sekisho.devices.balancer.lvs_dsr.ipvs import open_ipvs
from sekisho.lab.vm.initramfs import SERIAL
from sekisho.lab.vm.kernel import find
from sekisho.lab.vm.machine import Machine, Order
from sekisho.model.balancer import Balancer, Listener, Member, Pool, Protocol, Vip

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).resolve().parents[1]
SILENCE: Final = 600.0
CHANGES: Final = 21
VIP, PORT = "10.2.0.100", 5000
# Who sends, the director in between, two members; namespaces on one bridge, which is in another.
HOSTS: Final = {"source": "1", "between": "10", "first": "11", "second": "12"}
FLOWS: Final = (1024, 2047)  # source ports


# --- making the table right ------------------------------------------------------------------------


def balancer(number: int, members: int, weight: int = 1) -> Balancer:
    """Make one whose members all others have too, as in a cloud where servers are behind many VIPs."""
    servers = (str(IPv4Address("10.4.0.1") + n) for n in range(members))
    made = tuple(Member(f"m{number}-{n}", s, 80, weight if n == 0 else 1) for n, s in enumerate(servers))
    listener = Listener(f"l{number}", Protocol.TCP, 80, f"p{number}")
    vip = Vip(str(IPv4Address("10.3.0.1") + number))
    pool = Pool(f"p{number}", Protocol.TCP, members=made)
    return Balancer(f"b{number}", "lvs", vip, listeners=(listener,), pools=(pool,))


def converge(count: int, members: int) -> dict[str, float]:
    """Carry from nothing, then one change at a time, then nothing, then away."""
    run("ip link set lo up", "ip route add default dev lo")  # IPVS takes no server without a route
    wanted = [balancer(n, members) for n in range(count)]
    with closing(LvsDriver(open_ipvs(), time.monotonic)) as driver:
        figures = {"converge_seconds": _carry(driver, wanted, count * (members + 1))}
        times = []
        for weight in range(2, CHANGES + 2):
            wanted[count // 2] = balancer(count // 2, members, weight)
            times.append(_carry(driver, wanted, 1))
        figures["one_change_ms"] = 1000 * median(times)
        figures["no_change_ms"] = 1000 * _carry(driver, wanted, 0)
        figures["away_seconds"] = _carry(driver, [], count)
    return figures


def _carry(driver: LvsDriver, wanted: Sequence[Balancer], steps: int) -> float:
    began = time.perf_counter()
    outcome = driver.carry(wanted)
    took = time.perf_counter() - began
    if outcome.problems or outcome.changes != steps:
        sys.exit(f"{outcome.changes} steps, not {steps}; {dict(outcome.problems)}")
    return took


# --- forwarding ------------------------------------------------------------------------------------


def run(*lines: str, text: str = "") -> None:
    """Run commands, and end with what one that fails says."""
    for line in lines:
        done = subprocess.run(line.split(), input=text, capture_output=True, text=True, check=False)
        if done.returncode:
            sys.exit(f"{line}: {done.stderr.strip()}")


def network() -> dict[str, str]:
    """Make the network; the MACs of its hosts."""
    run("ip netns add wire", "ip -n wire link add br0 type bridge", "ip -n wire link set br0 up")
    for host, number in HOSTS.items():
        run(
            f"ip netns add {host}",
            f"ip -n {host} link set lo up",
            f"ip -n {host} link add eth0 type veth peer name to-{host} netns wire",
            f"ip -n {host} link set eth0 address 02:00:00:00:00:{int(number):02x}",
            f"ip -n {host} link set eth0 up",
            f"ip -n {host} addr add 10.2.0.{number}/24 dev eth0",
            f"ip -n wire link set to-{host} master br0 up",
        )
    macs = {host: f"02:00:00:00:00:{int(number):02x}" for host, number in HOSTS.items()}
    for here in HOSTS:
        for there, number in HOSTS.items():
            if here != there:
                run(f"ip -n {here} neigh replace 10.2.0.{number} lladdr {macs[there]} dev eth0 nud permanent")
        run(f"bridge -n wire fdb replace {macs[here]} dev to-{here} master static")
    return macs


def received() -> int:
    """Count what came to members so far."""
    found = 0
    for host in ("first", "second"):
        argv = ["ip", "netns", "exec", host, "cat", "/proc/net/dev"]
        lines = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
        found += next(int(line.split()[2]) for line in lines if line.strip().startswith("eth0:"))
    return found


def rate(mac: str, packets: int) -> tuple[float, float]:
    """Send packets to a MAC: how many went, and how many came to members, a second."""
    before = received()
    argv = [sys.executable, __file__, "--send", mac, "--packets", str(packets)]
    done = subprocess.run(
        ["ip", "netns", "exec", "source", *argv], capture_output=True, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"pktgen: {done.stderr}")
    took = float(done.stdout)
    return packets / took, (received() - before) / took


def send(mac: str, packets: int) -> float:
    """Let the kernel send to a MAC from here (Documentation/networking/pktgen.rst); the seconds it took."""
    folder = Path("/proc/net/pktgen")
    (folder / "kpktgend_0").write_text("rem_device_all\n")
    (folder / "kpktgend_0").write_text("add_device eth0\n")
    words = (
        f"count {packets}", "clone_skb 0", "pkt_size 60", "delay 0", f"dst {VIP}", f"dst_mac {mac}",
        f"udp_dst_min {PORT}", f"udp_dst_max {PORT}", f"udp_src_min {FLOWS[0]}", f"udp_src_max {FLOWS[1]}",
        "src_min 10.2.0.1", "src_max 10.2.0.1",
    )  # fmt: skip
    for word in words:
        (folder / "eth0").write_text(word + "\n")
    began = time.perf_counter()
    (folder / "pgctrl").write_text("start\n")  # comes back when all are sent
    return time.perf_counter() - began


def by_ipvs() -> None:
    """Let the director send to both members by IPVS, as our driver sets it up."""
    members = tuple(Member(m, f"10.2.0.{HOSTS[m]}", PORT) for m in ("first", "second"))
    pool = Pool("p", Protocol.UDP, members=members)
    one = Balancer("b", "lvs", Vip(VIP), listeners=(Listener("l", Protocol.UDP, PORT, "p"),), pools=(pool,))
    run(f"ip addr add {VIP}/32 dev eth0")
    with closing(LvsDriver(open_ipvs(), time.monotonic)) as driver:
        _carry(driver, [one], 3)


def rules(macs: Mapping[str, str]) -> str:
    """Write rules that give each flow to a member by its hash and keep no state."""
    chosen = f"jhash ip saddr . udp sport mod 2 map {{ 0 : {macs['first']}, 1 : {macs['second']} }}"
    return f"""\
table netdev dsr {{
  chain in {{
    type filter hook ingress device "eth0" priority -300;
    ip daddr {VIP} udp dport {PORT} ether saddr set {macs["between"]} ether daddr set {chosen} fwd to "eth0"
  }}
}}
"""


def drop() -> str:
    """Write a rule that drops what comes."""
    head = 'table netdev dsr {\n  chain in {\n    type filter hook ingress device "eth0" priority -300;\n'
    return f"{head}    ip daddr {VIP} drop\n  }}\n}}\n"


def forward(packets: int) -> dict[str, float]:
    """Measure all three."""
    # nothing asks for this module by itself; the guest's modules are not where modprobe looks
    run(f"modprobe -d {os.environ.get('MODULES_ROOT', '/')} pktgen")
    macs = network()
    inside = "ip netns exec between"
    found: dict[str, float] = {}
    run(f"{inside} nft -f -", text=drop())
    found["made_pps"], came = rate(macs["between"], packets)
    if came > found["made_pps"] / 100:  # hosts say a few words of their own
        sys.exit("dropped packets came")
    run(f"{inside} nft flush ruleset")
    run(f"{inside} nft -f -", text=rules(macs))
    _, found["nft_pps"] = rate(macs["between"], packets)
    run(f"{inside} nft flush ruleset")
    run(f"{inside} {sys.executable} {__file__} --set-up")
    _, found["ipvs_pps"] = rate(macs["between"], packets)
    found["ipvs_to_nft"] = found["ipvs_pps"] / found["nft_pps"]
    cost = {name: 1 / found[name] - 1 / found["made_pps"] for name in ("ipvs_pps", "nft_pps")}
    found["ipvs_to_nft_cost"] = cost["ipvs_pps"] / cost["nft_pps"]
    return found


# --- the machine -----------------------------------------------------------------------------------


def measured(asked: argparse.Namespace) -> dict[str, float]:
    """Measure on this kernel."""
    return {
        "balancers": asked.balancers,
        "members": asked.members,
        **converge(asked.balancers, asked.members),
        **forward(asked.packets),
    }


def in_machine(words: Sequence[str]) -> dict[str, float]:
    """Measure in a virtual machine; what goes wrong there ends us too."""
    with tempfile.TemporaryDirectory(prefix="sekisho-vm-") as folder:
        kernel = find((ROOT / ".make/kernel/root").resolve())
        machine = Machine(kernel, Path(folder))
        argv = (sys.executable, __file__, "--here", "--to", SERIAL, *words)
        try:
            machine.boot(Order(argv, ROOT, {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}))
            told = list(machine.lines(SILENCE))
            if machine.code():
                sys.exit((Path(folder) / "output").read_text())
        finally:
            machine.end()
        found: dict[str, float] = json.loads(told[-1])
        return found


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--balancers", type=int, default=1000)
    parser.add_argument("--members", type=int, default=10, help="of each")
    parser.add_argument("--packets", type=int, default=300_000, help="to forward, each way")
    parser.add_argument("--here", action="store_true", help="on this machine's kernel")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    for name in ("--send", "--to"):
        parser.add_argument(name, default="", help=argparse.SUPPRESS)
    parser.add_argument("--set-up", action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.send:
        print(send(asked.send, asked.packets))
        return
    if asked.set_up:
        by_ipvs()
        return
    figures = measured(asked) if asked.here else in_machine([w for w in sys.argv[1:] if w != "--json"])
    if asked.to:
        Path(asked.to).write_text(json.dumps(figures) + "\n")
        return
    for name, value in figures.items():
        print(f"{name:20} {value:,.3f}" if value < 1000 else f"{name:20} {value:,.0f}")
    if asked.json:
        print(json.dumps(figures))


if __name__ == "__main__":
    main()
