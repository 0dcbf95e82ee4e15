import pytest

from sekisho.cli import words
from sekisho.model.errors import Malformed
from sekisho.model.policy import Direction, Drop, Police, Protocol, Scope
from sekisho.model.restriction import Finding

EGRESS, INGRESS = Direction.EGRESS, Direction.INGRESS


@pytest.mark.parametrize(
    ("text", "bits"),
    [("10Mbit/s", 10_000_000), ("500 kbit/s", 500_000), ("1Gbit/s", 10**9), ("2.5Mbit/s", 2_500_000)],
)
def test_rates_are_read(text: str, bits: int) -> None:
    assert words.read_rate(text) == bits


@pytest.mark.parametrize("text", ["10", "0Mbit/s", "-1Mbit/s", "Mbit/s", "fast"])
def test_what_is_no_rate_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        words.read_rate(text)


@pytest.mark.parametrize(
    ("text", "drops"),
    [
        ("tcp/25", (Drop(Protocol.TCP, EGRESS, 25, 25),)),
        ("udp/1000-2000", (Drop(Protocol.UDP, EGRESS, 1000, 2000),)),
        ("icmp", (Drop(Protocol.ICMP, EGRESS),)),
        ("any ingress", (Drop(Protocol.ANY, INGRESS),)),
        ("TCP/25 both", (Drop(Protocol.TCP, EGRESS, 25, 25), Drop(Protocol.TCP, INGRESS, 25, 25))),
    ],
)
def test_drops_are_read_with_their_own_direction_or_the_given_one(text: str, drops: tuple[Drop, ...]) -> None:
    assert words.read_drops(text, "egress") == drops


@pytest.mark.parametrize(
    "text", ["tcp/0", "tcp/65536", "tcp/20-10", "icmp/8", "any/1", "gre", "tcp/", "25", "tcp/25 up"]
)
def test_what_cannot_be_dropped_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        words.read_drops(text, "egress")


def test_limits_are_read_with_their_own_direction_or_the_given_one() -> None:
    assert words.read_limits("10Mbit/s", "both") == (Police(10**7, EGRESS), Police(10**7, INGRESS))
    assert words.read_limits("500 kbit/s ingress", "egress") == (Police(500_000, INGRESS),)
    with pytest.raises(Malformed, match="direction"):
        words.read_limits("1Mbit/s", "sideways")


def test_what_is_written_of_an_action_can_be_typed_again() -> None:
    for drop in (
        Drop(Protocol.TCP, EGRESS, 25, 25),
        Drop(Protocol.UDP, INGRESS, 1, 9),
        Drop(Protocol.ANY, EGRESS),
    ):
        assert words.read_drops(words.action(drop).removeprefix("drop "), "both") == (drop,)
    police = Police(2_500_000, INGRESS)
    assert words.read_limits(words.action(police).removeprefix("limit "), "both") == (police,)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (86399, "23 h 59 min"),
        (86400, "1 d"),
        (59.6, "1 min"),
        (3725, "1 h 2 min"),
        (12, "12 s"),
        (-5, "0 s"),
        (60, "1 min"),
    ],
)
def test_durations_are_written_in_two_units(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_rates_are_written_in_megabits() -> None:
    assert [words.rate(b) for b in (10**7, 500_000, 1_234_567_890, 0, 12)] == [
        "10 Mbit/s",
        "0.5 Mbit/s",
        "1,235 Mbit/s",
        "0 Mbit/s",
        "<0.001 Mbit/s",
    ]


def test_moments_are_in_the_readers_zone(monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert words.moment(1_700_000_000.0) == "2023-11-15 07:13:20 JST"
    finally:
        monkeypatch.undo()
        time.tzset()
    assert words.moment(0) == "-"
    assert words.moment(1e308) == "far away"


def test_quantities_are_in_the_detectors_unit() -> None:
    found = Finding("d", "bytes", 86400, 5e10, 4.9e10, 5.1e10, 5e10, 4000)
    assert words.quantity(found, 5e10) == "50 GB in 1 d"
    ratio = Finding("d", "ratio", 600, 0.93, 0.9, 0.95, 0.8, 40)
    assert words.quantity(ratio, 0.9) == "90 %"


def test_scopes_name_who_is_in_and_who_is_out() -> None:
    assert words.scope(Scope()) == "everybody"
    assert words.scope(Scope(projects=("a",), exclude_hosts=("h",))) == "project a but host h"
    young = Scope(qos=("small",), younger=30 * 86400.0)
    assert words.scope(young) == "plan small whose project is younger than 30 d"


def test_names_cannot_drive_the_readers_terminal() -> None:
    assert "\x1b" not in words.clean("web\x1b]0;owned\x07")
    assert "\x9b" not in words.clean("\x9b31m")
