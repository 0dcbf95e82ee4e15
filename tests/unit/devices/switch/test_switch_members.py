"""In which rounds members move between port-channels."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from sekisho.devices.switch.intent import Key, Lacp, Part, Port, parts
from sekisho.devices.switch.members import Round, moves


def channels(lacp: Lacp = Lacp.ON, **members: str) -> Mapping[Key, Part]:
    return parts(
        *(Port(f"port-channel{n[1:]}", members=tuple(m.split()), lacp=lacp) for n, m in members.items())
    )


def sizes(before: Mapping[Key, Part], rounds: tuple[Round, ...]) -> list[dict[str, int]]:
    """Count the members of each channel after each round."""
    now = {p.name: set(p.members or ()) for p in before.values() if isinstance(p, Port)}
    found = []
    for moved in rounds:
        for port, channel in moved.joins:
            now.setdefault(channel, set()).add(port)
        for port, channel in moved.leaves:
            now[channel].remove(port)
        found.append({c: len(m) for c, m in now.items()})
    return found


def test_nothing_moves_where_nothing_differs() -> None:
    assert moves(channels(_1="a b"), channels(_1="b a")) == ()


def test_new_members_join_before_old_ones_leave() -> None:
    assert moves(channels(_1="a b"), channels(_1="c d")) == (
        Round(joins=(("c", "port-channel1"), ("d", "port-channel1"))),
        Round(leaves=(("a", "port-channel1"), ("b", "port-channel1"))),
    )


def test_a_port_leaves_one_channel_before_it_joins_another() -> None:
    assert moves(channels(_1="a b", _2="c"), channels(_1="a", _2="b c")) == (
        Round(leaves=(("b", "port-channel1"),)),
        Round(joins=(("b", "port-channel2"),)),
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (channels(_1="a b", _2="c d"), channels(_1="c d", _2="a b")),
        (channels(_1="a b", _2="c"), channels(_1="c", _2="a b")),
        (channels(_1="a b", _2="c d", _3="e f"), channels(_1="c d", _2="e f", _3="a b")),
    ],
    ids=["two swap", "all swap with one", "three in a ring"],
)
def test_channels_that_swap_members_never_run_dry(
    before: Mapping[Key, Part], after: Mapping[Key, Part]
) -> None:
    rounds = moves(before, after)
    assert all(min(counts.values()) > 0 for counts in sizes(before, rounds))
    assert sizes(before, rounds)[-1] == {
        p.name: len(p.members or ()) for p in after.values() if isinstance(p, Port)
    }


def test_two_channels_swap_their_only_members_at_once() -> None:
    assert moves(channels(_1="a", _2="b"), channels(_1="b", _2="a")) == (
        Round(leaves=(("a", "port-channel1"), ("b", "port-channel2"))),
        Round(joins=(("b", "port-channel1"), ("a", "port-channel2"))),
    )


def test_a_channel_that_begins_to_speak_lacp_is_emptied_for_it() -> None:
    assert moves(channels(_1="a"), channels(Lacp.ACTIVE, _1="a")) == (
        Round(leaves=(("a", "port-channel1"),)),
        Round(emptied=("port-channel1",)),
        Round(joins=(("a", "port-channel1"),)),
    )
    assert moves(channels(Lacp.ACTIVE, _1="a"), channels(Lacp.PASSIVE, _1="a")) == ()


def test_a_channel_that_goes_lets_all_its_members_go() -> None:
    assert moves(channels(_1="a b"), channels()) == (
        Round(leaves=(("a", "port-channel1"), ("b", "port-channel1"))),
    )
