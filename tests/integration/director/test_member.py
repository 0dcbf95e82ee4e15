"""Members set up as the page says hear the VIP, and the page's checker finds on a member what is not so."""

from __future__ import annotations

import os
import re
import socket
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import yaml

from sekisho.devices.balancer.lvs_dsr.doctor import Site, examine
from sekisho.devices.balancer.lvs_dsr.kernel import WANTED
from sekisho.model.balancer import Balancer, Listener, Member, Pool, Protocol, Vip
from support_director import Link, link

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="makes network namespaces")

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs/how-to/lvs-dsr.md").read_text()
CHECK = ROOT / "deploy/lvs-member/check-member"
MEMBER, VIP = "10.77.0.11", "10.77.0.100"
SIX = "fd77::100"
PORT = 8080
OURS = {"10.2.0.100": VIP, "2001:db8::100": SIX}


@pytest.fixture
def made() -> Iterator[Link]:
    """A director that holds both VIPs, and a member of whose preparation nothing is done."""
    with link() as found:
        for host in ("a", "m"):
            found(host, "ip route add default via 10.77.0.2")
            found(host, "ip route add default via fd77::2")
        found("a", f"ip addr add {VIP}/32 dev eth0")
        found("a", f"ip addr add {SIX}/128 dev eth0 nodad preferred_lft 0")
        yield found


def listen(on: str = "::") -> socket.socket:
    family = socket.AF_INET6 if ":" in on else socket.AF_INET
    return socket.create_server((on, PORT), family=family, dualstack_ipv6=on == "::")


def prepare(there: Link) -> None:
    """Do on the member what the page's cloud-init does, in its order, with the VIPs of this network."""
    (shown,) = re.findall(r"```yaml\n(#cloud-config\n.*?)```", PAGE, re.DOTALL)
    for before, ours in OURS.items():
        assert before in shown
        shown = shown.replace(before, ours)
    files = [f["content"] for f in yaml.safe_load(shown)["write_files"]]
    for name, value in re.findall(r"^(net\.[\w.]+) = (\d+)$", files[0], re.MULTILINE):
        there.inside("m", lambda n=name, v=value: Path("/proc/sys", *n.split(".")).write_text(v))  # type: ignore[misc]
    for command in re.findall(r"^ExecStart=/sbin/(.+)$", files[1], re.MULTILINE):
        there("m", command)


def rules(there: Link) -> None:
    """Load the page's rules on the member instead."""
    (shown,) = re.findall(r"```\n(table ip lvs_member.*?)```", PAGE, re.DOTALL)
    text = shown.replace("10.2.0.100", VIP)
    there.inside("m", lambda: subprocess.run(["nft", "-f", "-"], input=text, text=True, check=True))


def doctor(there: Link, folder: Path, member: str, vip: str) -> list[str]:
    """Say what the director finds."""
    for name, value in WANTED:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(value)
    pool = Pool("p", Protocol.TCP, members=(Member("m", member, PORT),))
    one = Balancer("b", "lvs", Vip(vip), listeners=(Listener("l", Protocol.TCP, PORT, "p"),), pools=(pool,))
    site = Site("d1", "eth0", proc=folder, wait=0.3)
    return [a.sentence for a in there.inside("a", lambda: examine(site, (one,), active=True))]


def check(there: Link, *asked: str) -> str:
    """Say what the checker finds on the member."""

    def run() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", CHECK, *asked], capture_output=True, text=True, check=False)

    done = there.inside("m", run)
    assert done.stderr == ""
    assert done.returncode == (0 if done.stdout == "Nothing is wrong here.\n" else 1)
    return done.stdout


@pytest.mark.parametrize(("member", "vip"), [(MEMBER, VIP), ("fd77::11", SIX)], ids=["IPv4", "IPv6"])
def test_a_member_made_by_the_pages_cloud_init_is_well(
    made: Link, tmp_path: Path, member: str, vip: str
) -> None:
    with made.inside("m", listen):
        assert doctor(made, tmp_path, member, vip) != []
        prepare(made)
        assert doctor(made, tmp_path, member, vip) == []
        assert check(made, vip, str(PORT)) == "Nothing is wrong here.\n"


def test_a_member_with_the_pages_rules_is_well_without_the_vip(made: Link, tmp_path: Path) -> None:
    with made.inside("m", listen):
        rules(made)
        assert doctor(made, tmp_path, MEMBER, VIP) == []
        assert check(made, VIP, str(PORT)) == "Nothing is wrong here.\n"


def test_the_checker_finds_what_is_not_so(made: Link) -> None:
    with ExitStack() as stack:
        stack.enter_context(made.inside("m", lambda: listen(MEMBER)))
        assert f"ip addr add {VIP}/32 dev lo" in check(made, VIP)
        assert f"ip addr add {SIX}/128 dev lo" in check(made, SIX)
        made("m", f"ip addr add {VIP}/24 dev eth0")
        assert "is on eth0 as" in check(made, VIP)
        made("m", f"ip addr del {VIP}/24 dev eth0")
        made("m", f"ip addr add {VIP}/32 dev lo")
        said = check(made, VIP, str(PORT), "53/udp")
        for word in ("arp_ignore=1", "arp_announce=2", f"{MEMBER} only", "Nothing listens on UDP port 53"):
            assert word in said
        assert "rp_filter" not in said


def test_the_checker_finds_a_strict_filter_where_replies_leave_elsewhere(made: Link) -> None:
    prepare(made)
    made("m", "ip link add other type veth peer name there")
    made("m", "ip link set other up")
    made("m", "ip link set there up")
    made("m", "ip addr add 10.78.0.1/24 dev other")
    for name, value in (("all", "0"), ("other", "0"), ("there", "0"), ("eth0", "1")):
        file = Path("/proc/sys/net/ipv4/conf", name, "rp_filter")
        made.inside("m", lambda f=file, v=value: f.write_text(v))  # type: ignore[misc]
    assert check(made, VIP) == "Nothing is wrong here.\n"
    made("m", "ip route replace default via 10.78.0.2")
    assert "rp_filter is strict on eth0 and replies leave by other" in check(made, VIP)


def test_the_checker_finds_that_there_is_no_way_back(made: Link) -> None:
    prepare(made)
    made("m", "ip route del default via 10.77.0.2")
    assert "no way back" in check(made, VIP)
