"""VIPs between two directors, held by a real keepalived each."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.devices.balancer.lvs_dsr.keepalived import Keepalived, VrrpSettings
from sekisho.model.errors import Refused
from support_director import LONG, Link, gone, link, until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("keepalived"), reason="needs root and keepalived"
)

PAGE = Path(__file__).parents[3] / "docs" / "how-to" / "lvs-dsr.md"
VIPS = ("10.77.0.100", "fd77::100")
OWN = {"a": "10.77.0.1", "b": "10.77.0.2"}
VRRP = 112
EVERYTHING = 3  # ETH_P_ALL: what it sends itself too


class Pair:
    """Two directors."""

    def __init__(self, made: Link, folder: Path, lost: int = 0) -> None:
        self.link = made
        self.each = {
            host: Keepalived(
                VrrpSettings(
                    "eth0",
                    interval=0.1,
                    address=own,
                    peers=tuple(o for o in OWN.values() if o != own),
                    lost=lost,
                ),
                folder / host,
            )
            for host, own in OWN.items()
        }

    def carry(self, host: str, *vips: str) -> bool:
        return self.link.inside(host, lambda: self.each[host].carry(frozenset(vips)))

    def active(self, host: str) -> bool:
        return self.link.inside(host, self.each[host].active)

    def here(self, host: str) -> set[str]:
        shown = self.link(host, "ip -o addr show dev eth0")
        return {vip for vip in (*VIPS, "10.77.0.101") if f" {vip}/" in shown}

    def priority(self, host: str) -> int:
        """Hear with which priority a director says that it holds the VIPs."""

        def ear() -> socket.socket:
            return socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(EVERYTHING))

        with self.link.inside(host, ear) as heard:
            heard.settimeout(LONG)
            while True:
                packet = heard.recv(200)
                if packet[0] == 0x45 and packet[9] == VRRP and packet[12:16] == socket.inet_aton(OWN[host]):
                    return packet[22]

    def end(self) -> None:
        for keepalived in self.each.values():
            pid = keepalived._pid()
            keepalived.end()
            until(lambda: not pid or gone(pid), "keepalived does not end")  # noqa: B023


@pytest.fixture
def pair(tmp_path: Path) -> Iterator[Pair]:
    with link() as made:
        both = Pair(made, tmp_path)
        yield both
        both.end()


def test_vips_are_at_one_director_and_go_where_they_are_preferred(pair: Pair) -> None:
    for host in OWN:
        assert pair.carry(host, *VIPS)
    until(lambda: pair.active("a") or pair.active("b"), "nobody takes the VIPs")
    first, second = ("a", "b") if pair.active("a") else ("b", "a")
    until(lambda: pair.here(first) == set(VIPS), "the VIPs are not there")
    assert pair.here(second) == set()
    assert not pair.carry(first, *VIPS)

    pair.each[first].failover()
    until(lambda: pair.here(second) == set(VIPS) and pair.here(first) == set(), "it keeps the VIPs")
    pair.each[first].prefer(here=True)

    moved = threading.Event()
    listener = threading.Thread(target=pair.each[first].listen, args=(moved.set,), daemon=True)
    listener.start()
    pid = pair.each[second]._pid()
    pair.each[second].end()
    until(lambda: pair.active(first), "nobody takes over from who ended")
    assert moved.wait(5.0)
    assert gone(pid) or pair.here(second) == set()


def test_the_pages_command_moves_vips_off_a_director_whose_process_is_gone(
    pair: Pair, tmp_path: Path
) -> None:
    for host in OWN:
        pair.carry(host, *VIPS)
    until(lambda: pair.active("a") or pair.active("b"), "nobody takes the VIPs")
    first, second = ("a", "b") if pair.active("a") else ("b", "a")
    (asked,) = re.findall(r"^# (echo .* > /run/sekisho/director/priority)$", PAGE.read_text(), re.MULTILINE)
    command = asked.replace("/run/sekisho/director", str(tmp_path / first))
    subprocess.run(["sh", "-c", command], check=True)
    until(lambda: pair.here(second) == set(VIPS) and pair.here(first) == set(), "they stay")
    pair.each[first].prefer(here=True)  # the process is back
    assert (tmp_path / first / "priority").read_text() == "0\n"


def test_a_director_that_leaves_no_sign_gives_the_vips_to_one_that_does(tmp_path: Path) -> None:
    with link() as made:
        pair = Pair(made, tmp_path, lost=2)
        try:
            _lost(pair)
        finally:
            pair.end()


def _lost(pair: Pair) -> None:
    tended, over = {"a", "b"}, threading.Event()

    def tend() -> None:
        while not over.wait(0.1):
            for host in tuple(tended):
                pair.each[host].live()

    thread = threading.Thread(target=tend)
    try:
        pair.each["b"].prefer(here=False)
        for host in OWN:
            pair.carry(host, *VIPS)
        thread.start()
        until(lambda: pair.here("a") == set(VIPS), "nobody takes the VIPs")
        for host in OWN:  # it looks for the sign after it has read its configuration anew, too
            pair.carry(host, *VIPS, "10.77.0.101")
        whole = {*VIPS, "10.77.0.101"}
        until(lambda: pair.here("a") == whole, "the new VIP is not there")
        assert pair.priority("a") == 100
        tended.remove("a")
        # though they shall rather be at the other one
        until(lambda: pair.here("b") == whole and pair.here("a") == set(), "they stay at who is gone")
        tended.remove("b")
        until(lambda: pair.priority("b") == 1, "keepalived does not miss the sign")
        assert pair.here("b") == whole, "of two that are gone one keeps them"
    finally:
        over.set()
        thread.join()


def test_one_more_vip_moves_no_other(pair: Pair) -> None:
    pair.carry("a", *VIPS)
    until(lambda: pair.here("a") == set(VIPS), "nobody takes the VIPs")
    pid = pair.each["a"]._pid()
    seen = pair.link("a", "ip -o addr show dev eth0")
    pair.carry("a", *VIPS, "10.77.0.101")
    until(lambda: "10.77.0.101" in pair.here("a"), "the new VIP is not there")
    assert pair.each["a"]._pid() == pid
    assert seen.splitlines()[0] in pair.link("a", "ip -o addr show dev eth0")
    pair.carry("a", VIPS[0])
    until(lambda: pair.here("a") == {VIPS[0]}, "VIPs stay that are none any more")


def test_keepalived_outlives_who_started_it(pair: Pair, tmp_path: Path) -> None:
    pair.carry("a", *VIPS)
    until(lambda: pair.active("a"), "nobody takes the VIPs")
    pid = pair.each["a"]._pid()
    settings = pair.each["a"]._settings
    pair.each["a"] = Keepalived(settings, tmp_path / "a")
    assert not pair.carry("a", *VIPS)
    assert pair.each["a"]._pid() == pid


def test_what_keepalived_does_not_take_never_runs(pair: Pair) -> None:
    pair.carry("a", *VIPS)
    until(lambda: pair.active("a"), "nobody takes the VIPs")
    written = pair.each["a"]._files.config.read_text()
    with pytest.raises(Refused, match="cannot set its VIPs up"):
        pair.link.inside(
            "a", lambda: Keepalived(VrrpSettings("eth9"), pair.each["a"]._files.folder).carry(VIPS)
        )
    assert pair.each["a"]._files.config.read_text() == written


def test_a_vip_that_goes_and_comes_back_at_once_is_there(pair: Pair) -> None:
    assert pair.carry("a", *VIPS)
    assert not pair.carry("a", *VIPS)
    until(lambda: pair.here("a") == set(VIPS), "the VIPs are not there")
    assert pair.carry("a")
    assert pair.carry("a", *VIPS), "what was carried before is not what is carried now"
    assert pair.carry("a")
    until(lambda: pair.here("a") == set(), "the VIPs stay")
