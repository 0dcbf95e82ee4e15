"""Played again, archived windows give what live detection gave; and a back-test says what would have been."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sekisho.app.backtest_play import Plan, Player
from sekisho.app.backtests import Backtests
from sekisho.app.figures import of_backtests
from sekisho.archive.loader import Loader, prepare
from sekisho.archive.settings import Keeping
from sekisho.archive.store import Store
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.detect.settings import DetectSettings
from sekisho.detect.window import Detection
from sekisho.model.archived import Backtest, BacktestOrder, Bound
from sekisho.model.errors import Malformed, NotFound, Unavailable
from sekisho.model.inventory import Inventory
from sekisho.model.policy import Exemption, PolicySet, Scope
from sekisho.model.policy_file import parse
from sekisho.model.restriction import Evidence
from sekisho.tables import FlowBatch
from support_archive import BEGIN, batch, exporter, inventory, tap

pytest.importorskip("chdb")
from sekisho.archive.embedded import open_embedded

SEED = 11
POLICIES = """
[policy.spam]
mode = "enforce"
when = [{ detector = "smtp-connections", threshold = "40/min" }]
then = [{ drop = ["tcp/25"], for = "10min" }, { drop = ["tcp/25"], for = "1h" }]

[policy.spread]
when = [{ detector = "smtp-destinations", threshold = "3/min" }]
then = [{ drop = ["tcp/25"], for = "1h" }]

[policy.heavy]
for = 3
when = [{ detector = "egress-bytes", threshold = "60 Mbit/s" }]
destinations = "any"
then = [{ limit = "1 Mbit/s", for = "1h" }]

[policy.flood]
when = [{ detector = "ingress-packets", threshold = "1 kpps" }]
destinations = "any"
then = [{ warn = true, for = "1h" }]
"""


def policies(text: str = POLICIES) -> PolicySet:
    return PolicySet(1, parse(text, CATALOGUE, "test")[0])


def stream() -> Iterator[tuple[float, list[FlowBatch], Inventory | None]]:
    """Give seconds: their end, what arrived in them, and the inventory that came before it."""
    rng = np.random.default_rng(5)
    yield BEGIN, [], inventory(3)
    for second in range(150):
        arrived = []
        for part in range(4):
            at = BEGIN + second + 0.02 + 0.2 * part + float(rng.random()) * 0.1
            who = rng.integers(0, 3, 20).tolist()
            arrived.append(batch(at, who, octets=float(rng.integers(60, 1500)), port=443))
            if 30 <= second < 90:
                arrived.append(batch(at, [1] * 5, port=25, flags=2, rate=20.0))
            if 60 <= second < 100:
                arrived.append(batch(at, [0] * 30, octets=1400.0))
            if 100 <= second < 140:
                arrived.append(batch(at, [-1] * 30, [2] * 30, octets=60.0))
        yield (
            BEGIN + second + 1.0 + float(rng.random()) * 0.01,
            arrived,
            inventory(4, 2) if second == 70 else None,
        )


def live(folder: Path) -> list[list[Evidence]]:
    """Judge the stream as a collector does, and keep it as one does."""
    kept = tap(folder, every=2.0)
    names = [exporter(n).address for n in range(3)]
    detection = Detection(DetectSettings(seed=SEED), policies(), exporter_name=lambda row: names[row])
    found = []
    for end, arrived, new in stream():
        if new is not None:
            detection.replace_inventory(new)
            kept.meet(new, round(end) - 1.0 + 0.015)
        for each in arrived:
            detection.add(each)
            kept.put(each)
        found.append(detection.close(end))
        kept.close(end)
        kept.work(0.0)
    kept.finish()
    return found


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Store, list[list[Evidence]]]]:
    folder = tmp_path_factory.mktemp("archive")
    found = live(folder / "spool")
    store = open_embedded(str(folder / "store"))
    prepare(store, Keeping(9000, 9000, 9000))
    Loader(store, str(folder / "spool")).look()
    yield store, found
    store.close()


def test_live_and_replayed_evidence_are_equal(kept: tuple[Store, list[list[Evidence]]]) -> None:
    store, seen = kept
    again: list[list[Evidence]] = []
    plan = Plan(policies(), BEGIN - 1, BEGIN + 152, 1.0, DetectSettings(seed=SEED))
    Player(store, plan, lambda evidence, _at: again.append(list(evidence))).play(
        lambda _: None, lambda: False
    )
    wanted = [e for e in seen if e]
    assert {e.policy for each in wanted for e in each} == {"spam", "spread", "heavy", "flood"}
    assert again == wanted


def test_mail_is_judged_from_the_rows_of_mail_alone(kept: tuple[Store, list[list[Evidence]]]) -> None:
    store, seen = kept
    again: list[Evidence] = []
    spam = PolicySet(1, tuple(p for p in policies().policies if p.name == "spam"))
    plan = Plan(spam, BEGIN - 1, BEGIN + 152, 1.0, DetectSettings(seed=SEED))
    player = Player(store, plan, lambda evidence, _at: again.extend(evidence))
    player.play(lambda _: None, lambda: False)
    assert player.records == 60 * 4 * 5
    # A minute without mail is no gap in the archive.
    assert player.gaps == ()
    assert again == [e for each in seen for e in each if e.policy == "spam"]


def played(store: Store, order: BacktestOrder) -> Backtest:
    tests = Backtests(store, 100, lambda: 0.0, lambda: DetectSettings(seed=SEED))
    begun = tests.begin(order)
    tests.wait(60)
    return tests.show(begun.id)


ORDER = BacktestOrder(POLICIES, BEGIN, BEGIN + 151)


def test_a_back_test_says_who_would_have_been_bound_when_and_why(
    kept: tuple[Store, list[list[Evidence]]],
) -> None:
    store, seen = kept
    found = played(store, ORDER)
    assert (found.state, found.problem, found.done, found.gaps) == ("done", "", 1.0, ())
    spam = next(p for p in found.policies if p.policy == "spam")
    first = next(e for each in seen for e in each if e.policy == "spam")
    assert (spam.subjects, spam.projects, spam.mode, spam.amount) == (1, 1, "enforce", 40.0)
    assert [(s.subject, s.since, s.outcome, s.offence) for s in spam.spells] == [
        ("port-1", first.window_end, "imposed", 1)
    ]
    assert spam.spells[0].findings == first.findings
    last = max(e.window_end for each in seen for e in each if e.policy == "spam")
    assert spam.spells[0].until == last + 600.0
    flood = next(p for p in found.policies if p.policy == "flood")
    assert [s.outcome for s in flood.spells] == ["warned"]


def test_the_curve_says_where_the_line_would_have_to_be(kept: tuple[Store, list[list[Evidence]]]) -> None:
    heavy = next(p for p in played(kept[0], ORDER).policies if p.policy == "heavy")
    counts = [point.most for point in heavy.curve]
    assert counts == sorted(counts, reverse=True)
    here = next(point for point in heavy.curve if point.amount == heavy.amount)
    assert here.most == heavy.subjects == 1
    assert heavy.curve[-1].most >= 1
    assert heavy.curve[-1].amount > heavy.amount
    # A line over what the greatest reached binds nobody; one at it binds the greatest alone.
    higher = POLICIES.replace("60 Mbit/s", f"{heavy.curve[-1].amount * 8 / 10 * 1.01:.0f} bps")
    again = next(p for p in played(kept[0], replace(ORDER, text=higher)).policies if p.policy == "heavy")
    assert again.subjects == 0


def test_the_guard_and_what_was_real_are_counted(kept: tuple[Store, list[list[Evidence]]]) -> None:
    exempt = Exemption("e1", Scope(subjects=("port-0",)), "Known.", "anna", 0.0)
    really = (Bound("port-1", "spam", BEGIN, BEGIN + 60), Bound("port-2", "spam", BEGIN, BEGIN + 60))
    order = replace(ORDER, exemptions=(exempt,), guard={"per_hour_project": 0}, bound=really)
    found = {p.policy: p for p in played(kept[0], order).policies}
    assert [s.outcome for s in found["heavy"].spells] == ["refused"]
    assert found["heavy"].subjects == 0
    assert [s.outcome for s in found["spam"].spells] == ["proposed"]
    assert found["spam"].spells[0].overlaps
    assert (found["spam"].overlap, found["spam"].only_real) == (1, 1)


@pytest.mark.parametrize("text", ["[policy.x]\n", "", "[baseline.b]\ndrop = ['tcp/25']\n"])
def test_what_is_no_policy_is_refused(kept: tuple[Store, list[list[Evidence]]], text: str) -> None:
    tests = Backtests(kept[0], 100, lambda: 0.0)
    with pytest.raises(Malformed):
        tests.begin(replace(ORDER, text=text))
    with pytest.raises(NotFound):
        tests.show("nothing")


SHORT = """
[policy.heavy]
when = [{ detector = "egress-bytes", threshold = "60 Mbit/s", window = "1min" }]
destinations = "any"
then = [{ limit = "1 Mbit/s", for = "1h" }]

[policy.spam]
when = [{ detector = "smtp-connections", threshold = "%s" }]
then = [{ drop = ["tcp/25"], for = "10min" }]
"""


@pytest.mark.parametrize(
    ("line", "asked", "step"),
    [
        ("40 in 1min", 0.0, 10.0),
        ("40 in 5s", 0.0, 5.0),
        ("40 in 5s", 20.0, 5.0),
        ("40 in 15s", 0.0, 5.0),
        ("40 in 7s", 0.0, 1.0),
    ],
)
def test_no_window_is_shorter_than_what_is_closed_at_once(
    kept: tuple[Store, list[list[Evidence]]], line: str, asked: float, step: float
) -> None:
    week = BacktestOrder(SHORT % line, BEGIN - 6 * 86400, BEGIN + 151, step=asked)
    found = played(kept[0], week)
    assert found.step == step
    assert {p.policy: p.subjects for p in found.policies}["spam"] == 1


def test_back_tests_are_counted_by_how_they_ended(
    kept: tuple[Store, list[list[Evidence]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    tests = Backtests(kept[0], 100, lambda: 0.0)
    assert of_backtests(tests.counters()) == {
        'sekisho_archive_backtests_total{outcome="done"}': 0.0,
        'sekisho_archive_backtests_total{outcome="failed"}': 0.0,
        "sekisho_archive_backtests_running": 0.0,
    }
    told: list[float] = []

    def play(found: Backtest, *_rest: object) -> Backtest:
        told.append(tests.counters()["backtests.running"])
        if len(told) > 1:
            raise Unavailable("It is away.")
        return replace(found, state="done")

    monkeypatch.setattr(tests, "_play", play)
    for _ in range(2):
        tests.begin(ORDER)
        tests.wait(60)
    assert told == [1.0, 1.0]
    assert tests.counters() == {"backtests.done": 1, "backtests.failed": 1, "backtests.running": 0}
    assert of_backtests({}) == {}, "an archive of an earlier version"
