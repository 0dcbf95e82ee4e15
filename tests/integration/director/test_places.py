"""What the kernel says of addresses: its own with a network, and those that a router is on the way to."""

from __future__ import annotations

import os

import pytest

from sekisho.devices.balancer.lvs_dsr.places import Kernels
from support_director import link

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


def test_who_is_behind_a_router() -> None:
    with link() as made:
        made("a", "ip route add 10.88.0.0/24 via 10.77.0.2")
        made("a", "ip -6 route add fd88::/64 via fd77::2")
        asked = ("10.77.0.11", "10.88.0.1", "fd77::11", "fd88::1", "192.0.2.1", "127.0.0.1")
        assert made.inside("a", lambda: Kernels().routed(asked)) == {"10.88.0.1", "fd88::1"}
