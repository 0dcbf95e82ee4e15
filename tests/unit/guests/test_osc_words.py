"""What people write to ``openstack port restriction``, and how they read what comes back."""

from __future__ import annotations

from typing import Any

import pytest

from sekisho.guests.neutron import resource
from sekisho.guests.osc import words
from sekisho.model.errors import Malformed

SMTP = {"protocol": "tcp", "port_range_min": 25, "port_range_max": 25}


def dropped(text: str, direction: str = "egress") -> list[dict[str, Any]]:
    return words.to_actions([words.traffic(text)], None, direction)


@pytest.mark.parametrize(
    ("text", "action"),
    [
        ("tcp/25", SMTP),
        (" TCP/25 ", SMTP),
        ("udp/6000-6010", {"protocol": "udp", "port_range_min": 6000, "port_range_max": 6010}),
        ("sctp/1-65535", {"protocol": "sctp", "port_range_min": 1, "port_range_max": 65535}),
        ("tcp", {"protocol": "tcp"}),
        ("icmp", {"protocol": "icmp"}),
        ("any", {"protocol": "any"}),
    ],
)
def test_traffic_becomes_an_action_that_neutron_takes(text: str, action: dict[str, Any]) -> None:
    (made,) = dropped(text)
    assert made == {"action": "drop", "direction": "egress", **action}
    assert [resource.to_action(a) for a in resource.from_actions([made])] == [made]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "smtp",
        "tcp/",
        "tcp/0",
        "tcp/0-0",
        "tcp/25-",
        "tcp/-25",
        "tcp/65536",
        "tcp/30-20",
        "tcp/x",
        "tcp/+25",
        "tcp/1-2-3",
        "tcp/\u0662\u0665",
        "tcp/25/26",
        "icmp/8",
        "any/25",
        "tcp/" + "9" * 5000,
    ],
)
def test_what_names_no_traffic_is_refused_and_quoted(text: str) -> None:
    with pytest.raises(Malformed) as refused:
        words.traffic(text)
    assert repr(text) in refused.value.asker


def test_both_directions_are_an_action_each() -> None:
    made = words.to_actions([words.traffic("tcp/25")], words.rate("10Mbit/s"), "both")
    assert made == [
        {"action": "drop", "direction": "egress", **SMTP},
        {"action": "drop", "direction": "ingress", **SMTP},
        {"action": "limit", "direction": "egress", "max_kbps": 10_000},
        {"action": "limit", "direction": "ingress", "max_kbps": 10_000},
    ]
    assert [a["direction"] for a in dropped("any", "ingress")] == ["ingress"]


@pytest.mark.parametrize(("text", "bits"), [("10Mbit/s", 10_000_000), ("1 kbit/s", 1000), ("1 Gbps", 10**9)])
def test_a_rate_is_read_as_everywhere_in_sekisho(text: str, bits: int) -> None:
    assert words.rate(text) == bits


@pytest.mark.parametrize("text", ["10", "10Mbit", "0 bit/s", "999 bit/s", "1500 bit/s", "10 mbit/s", "fast"])
def test_a_rate_that_neutron_cannot_say_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        words.rate(text)


def test_a_duration_is_whole_seconds_and_never_none() -> None:
    assert words.duration("24h") == 86400
    assert words.duration("1h 30min") == 5400
    assert words.duration("500ms") == 1
    with pytest.raises(Malformed):
        words.duration("0s")


@pytest.mark.parametrize("text", ["tcp/25", "udp/6000-6010", "tcp", "icmp", "any"])
@pytest.mark.parametrize("direction", ["egress", "ingress"])
def test_a_drop_is_told_as_it_is_asked_for(text: str, direction: str) -> None:
    assert words.from_actions(dropped(text, direction)) == f"drop {text} {direction}"


@pytest.mark.parametrize(
    ("kbps", "told"),
    [(1, "1 kbit"), (999, "999 kbit"), (1500, "1.5 Mbit"), (10_000, "10 Mbit"), (1_234_567, "1.234567 Gbit")],
)
def test_a_limit_is_told_in_the_unit_people_use_and_reads_back(kbps: int, told: str) -> None:
    shown = {"action": "limit", "direction": "egress", "max_kbps": kbps}
    assert words.from_actions([shown]) == f"limit {told}/s egress"
    assert words.rate(f"{told}/s") == kbps * 1000
    assert words.from_actions([shown | {"max_burst_kbits": kbps}]).endswith(f", burst {told}")


def test_no_actions_are_a_warning_and_more_are_a_line_each() -> None:
    assert words.from_actions([]) == words.from_actions(None) == "warning"
    assert words.from_actions(dropped("any", "both")) == "drop any egress\ndrop any ingress"


def test_what_only_a_newer_server_knows_is_told_as_it_is() -> None:
    assert words.from_actions([{"action": "mirror", "to": "p2"}]) == "action=mirror, to=p2"
    assert words.from_actions([{"action": "drop"}]) == "action=drop"
