"""What the meter makes of Gnocchi's lists, numbers, refusals and silence."""

from __future__ import annotations

import pytest

from sekisho.metering.gnocchi import Gnocchi
from sekisho.metering.settings import GnocchiSettings
from sekisho.model.errors import Malformed
from sekisho.model.inventory import Subject
from sekisho.testing.meter import FakeGnocchi

DAY = 86400.0
NOW = 20_000 * DAY + 10.0


def port(number: int, server: str = "") -> Subject:
    return Subject(f"{number:08x}-5e15-4000-8000-000000000000", "h1", server=server)


def tap(subject: Subject) -> str:
    return f"tap{subject.id}"[:14]


def day(rate: int, now: float = NOW, samples: int = 1) -> dict[float, tuple[float, float]]:
    """A steady day, `samples` polls in each period."""
    step = 300 / samples
    return {
        now - DAY - 300 + i * step: (1e6 + i * rate / samples, 1e6 + 2 * i * rate / samples)
        for i in range(289 * samples + 1)
    }


def cloud(count: int, **settings: float) -> tuple[FakeGnocchi, Gnocchi, tuple[Subject, ...]]:
    fake, ports = FakeGnocchi(), tuple(port(i) for i in range(count))
    for i, each in enumerate(ports):
        fake.add(f"r{i:04}", tap(each))
        fake.push(f"r{i:04}", day(1000 * (i + 1)))
    return fake, Gnocchi(GnocchiSettings(**settings), fake), ports  # type: ignore[arg-type]


def egress(meter: Gnocchi, subject: Subject, now: float = NOW) -> float:
    told = meter.volumes(DAY, now)
    return float(told.estimate[0, told.subjects.index(subject.id)])


def judged(meter: Gnocchi, now: float = NOW) -> set[str]:
    return set(meter.volumes(DAY, now).subjects)


def test_thousands_are_listed_in_pages_and_read_in_chunks() -> None:
    fake, meter, ports = cloud(25, page=10, chunk=10)
    told = meter.read(ports, NOW)
    assert (told.read, told.failed, told.calls) == (25, 0, 3 + 3)
    assert egress(meter, ports[24]) == pytest.approx(288 * 25_000, rel=0.01)
    assert len(fake.asked) == 6


def test_a_later_round_reads_only_the_last_hour_and_takes_what_came_late() -> None:
    fake, meter, ports = cloud(1)
    meter.read(ports, NOW)
    fake.push("r0000", {NOW + 300: (1e9, 1e9)})
    before = egress(meter, ports[0])
    assert meter.read(ports, NOW + 360).calls == 1
    assert egress(meter, ports[0], NOW + 360) > before + 9e8


def test_each_round_reads_a_part_and_five_minutes_read_everybody_once() -> None:
    fake, meter, ports = cloud(100, chunk=1, list_every=DAY)
    assert meter.read(ports, NOW).calls == 101
    rounds = [meter.read(ports, NOW + 60 * minute) for minute in range(1, 6)]
    assert sum(r.calls for r in rounds) == 100
    assert all(10 <= r.calls <= 30 for r in rounds)
    assert {(r.read, r.failed) for r in rounds} == {(100, 0)}
    assert judged(meter, NOW + 300) == {p.id for p in ports}
    fake.away = True
    assert meter.read(ports, NOW + 360).failed > 0
    fake.away = False
    assert meter.read(ports, NOW + 361).failed == 0  # those that failed are due at once, and nobody else
    assert meter.read(ports, NOW + 361).calls == 0


@pytest.mark.parametrize("samples", [1, 2, 5])
def test_more_than_one_sample_in_a_period_changes_nothing(samples: int) -> None:
    fake, each = FakeGnocchi(), port(1)
    fake.add("r", tap(each))
    fake.push("r", day(1000, samples=samples))
    meter = Gnocchi(GnocchiSettings(), fake)
    meter.read((each,), NOW)
    assert egress(meter, each) == pytest.approx(288 * 1000, rel=0.01)


def test_nobody_is_judged_while_part_of_the_calls_fail_but_the_rest() -> None:
    fake, meter, ports = cloud(4, chunk=1)
    fake.broken = {"r0002"}
    told = meter.read(ports, NOW)
    assert (told.read, told.failed) == (3, 1)
    assert told.problems == ("Gnocchi: 503",)
    assert judged(meter) == {p.id for p in ports} - {ports[2].id}
    fake.broken = set()
    assert meter.read(ports, NOW + 60).failed == 0
    assert egress(meter, ports[2]) == pytest.approx(288 * 3000, rel=0.01)


def test_one_odd_metric_spoils_only_its_own_port() -> None:
    fake, meter, ports = cloud(16, chunk=16)
    fake.odd = {"r0005"}
    told = meter.read(ports, NOW)
    assert (told.read, told.failed) == (15, 1)
    assert "granularity" in told.problems[0]
    assert judged(meter) == {p.id for p in ports} - {ports[5].id}


def test_when_gnocchi_is_away_everybody_is_judged_for_a_while_and_then_nobody() -> None:
    fake, meter, ports = cloud(2, stale=900.0)
    meter.read(ports, NOW)
    fake.away = True
    told = meter.read(ports, NOW + 600)
    assert (told.read, told.failed) == (0, 2)
    assert len(judged(meter, NOW + 600)) == 2
    meter.read(ports, NOW + 1200)
    assert judged(meter, NOW + 1200) == set()
    fake.away = False
    meter.read(ports, NOW + 1260)
    assert len(judged(meter, NOW + 1260)) == 2


def test_away_from_the_start_nothing_is_known_and_nothing_raised() -> None:
    fake, meter, ports = cloud(2)
    fake.away = True
    assert meter.read(ports, NOW).problems == ("Gnocchi: connection refused",)
    assert judged(meter) == set()


def test_a_port_that_was_another_servers_sums_both() -> None:
    fake, each = FakeGnocchi(), port(1)
    fake.add("old", tap(each), "s1", ended=NOW - 3600)
    fake.add("new", tap(each), "s2")
    fake.push("old", {NOW - 7200: (0.0, 0.0), NOW - 6000: (500.0, 0.0)})
    fake.push("new", {NOW - 3000: (10.0, 0.0), NOW - 1200: (110.0, 0.0)})
    meter = Gnocchi(GnocchiSettings(), fake)
    meter.read((each,), NOW)
    assert egress(meter, each) == 600


def test_two_ports_of_one_interface_name_are_told_apart_by_their_server_or_not_judged() -> None:
    name = "0000000a-5e"
    first, second = (
        Subject(f"{name}15-4000-8000-000000000000", "h1", server="s1"),
        Subject(f"{name}16-4000-8000-000000000000", "h1", server="s2"),
    )
    fake = FakeGnocchi()
    fake.add("r1", tap(first), "s1")
    fake.add("r2", tap(first), "nobody's")
    for resource in ("r1", "r2"):
        fake.push(resource, day(1000))
    meter = Gnocchi(GnocchiSettings(), fake)
    meter.read((first, second), NOW)
    assert judged(meter) == {first.id}


def test_whose_port_nobody_knows_is_not_read() -> None:
    _, meter, ports = cloud(3)
    assert meter.read(ports[:1], NOW).read == 1
    assert judged(meter) == {ports[0].id}


def test_a_port_that_went_is_forgotten() -> None:
    _, meter, ports = cloud(3)
    meter.read(ports, NOW)
    meter.read(ports[:1], NOW + 60)
    assert judged(meter, NOW + 60) == {ports[0].id}


def test_an_address_that_is_none_is_malformed() -> None:
    from sekisho.metering.door import Basic

    with pytest.raises(Malformed):
        Basic("gnocchi:8041", "admin", 5.0)
