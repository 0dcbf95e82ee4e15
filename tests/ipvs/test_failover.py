"""The other director takes over, and connections go on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import pytest

from support_ipvs import (
    ECHO,
    FLOOD,
    FLOOD_SIZE,
    VIP,
    WHO,
    Bed,
    balancer,
    download,
    echoed,
    member,
    until,
)

ALL = tuple(balancer(member("m1", port), member("m2", port), port=port) for port in (WHO, ECHO, FLOOD))


@pytest.fixture(autouse=True)
def carried(bed: Bed) -> Iterator[None]:
    bed.carry(*ALL, prefer="d1")
    bed.takes_over("d1")
    yield
    bed.carry()


def interrupted(bed: Bed, act: Callable[[], None]) -> float:
    """Load a hundred megabytes while something happens; gives the longest silence in seconds."""
    made, _ = bed.connect(port=FLOOD)
    with made:
        until(lambda: _knows(bed, "d2"), "d2 is not told of the connection")
        size, silence = download(made, FLOOD_SIZE // 4, act)
    assert size + 2 == FLOOD_SIZE
    bed.takes_over("d2")
    return silence


def _knows(bed: Bed, director: str, port: int = FLOOD) -> bool:
    stand = bed.stands(director, port=port)
    return stand is not None and stand.counts.active > 0


def test_a_planned_failover_leaves_a_transfer_alone(bed: Bed) -> None:
    assert interrupted(bed, lambda: bed.carry(*ALL, prefer="d2")) < 10.0


def test_a_director_that_dies_leaves_a_transfer_alone(bed: Bed) -> None:
    try:
        assert interrupted(bed, lambda: bed.ip("lan", "link set to-d1 down")) < 10.0
        assert bed.ask(2) == {"m1": 1, "m2": 1}
    finally:
        bed.ip("lan", "link set to-d1 up")


def test_a_director_whose_process_is_gone_for_good_gives_the_vips_away(bed: Bed) -> None:
    bed.undirect("d1")
    bed.lost["d1"] = 4
    try:
        bed.direct("d1")
        bed.carry(*ALL, prefer="d1")
        bed.takes_over("d1")
        made, _ = bed.connect()
        with made:
            until(lambda: _knows(bed, "d2", ECHO), "d2 is not told of the connection")
            bed.undirect("d1")
            bed.takes_over("d2")  # though they are preferred at d1, whose machine lives
            bed.holds("d1", VIP, there=False)
            assert echoed(made)
        assert bed.ask(2) == {"m1": 1, "m2": 1}
    finally:
        del bed.lost["d1"]
        if "d1" in bed.directors:
            bed.undirect("d1")
        bed.direct("d1")
    bed.takes_over("d1")


def test_new_vips_under_load_lose_no_connection(bed: Bed) -> None:
    """keepalived reads its configuration anew for each, which must disturb nobody."""
    over, done = threading.Event(), [0]
    failures: list[OSError] = []

    def load() -> None:
        while not over.is_set():
            try:
                done[0] += bed.ask(10).total()
            except OSError as error:
                failures.append(error)

    made, _ = bed.connect()
    loading = threading.Thread(target=load)
    loading.start()
    try:
        for number in range(1, 6):
            more = [balancer(member("m1"), vip=f"10.2.0.{100 + n}") for n in range(1, number + 1)]
            bed.carry(*ALL, *more, prefer="d1")
            bed.holds("d1", f"10.2.0.{100 + number}")
        bed.carry(*ALL, prefer="d1")
        bed.holds("d1", "10.2.0.105", there=False)
    finally:
        over.set()
        loading.join()
    with made:
        made.sendall(b"still")
        assert made.recv(10) == b"still"
    assert failures == []
    assert done[0] > 20
    assert bed.active() == "d1"
