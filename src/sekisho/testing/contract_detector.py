"""What every detector must keep to: run it over yours with ``check(detector)``.

Each check raises AssertionError with a sentence; `CHECKS` lists them for parametrised tests.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho.detect.detector import Observations, Rows, Take
from sekisho.detect.settings import DetectSettings
from sekisho.model.policy import Unit
from sekisho.tables import FLAGS_KNOWN, FlowBatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from sekisho.detect.detector import Detector
    from sekisho.tables import I64

SUBJECTS: Final = 50
_Z: Final = (0.0, 1.0, 1.96, 3.3)


def traffic(n: int = 2000, seed: int = 1, rate: float | None = None) -> FlowBatch:
    """Make n rows of every kind: exact and sampled, with and without flags, ours and not."""
    rng = np.random.default_rng(seed)
    batch = FlowBatch.empty(n)
    batch.sender[:] = rng.integers(-1, SUBJECTS, n)
    batch.receiver[:] = rng.integers(-1, SUBJECTS, n)
    batch.exact[:] = rng.random(n) < 0.2
    batch.rate[:] = np.where(batch.exact, 1, rng.choice([0, 1, 10, 400], n) if rate is None else rate)
    batch.packets[:] = np.maximum(batch.rate, 1) * rng.choice([1, 1, 1, 2, 40], n)
    batch.bytes[:] = batch.packets * rng.integers(40, 1500, n)
    batch.protocol[:] = rng.choice([0, 1, 6, 6, 6, 17, 17, 132], n)
    batch.tcp_flags[:] = rng.choice(
        [0, FLAGS_KNOWN | 2, FLAGS_KNOWN | 18, FLAGS_KNOWN | 16, FLAGS_KNOWN | 27], n
    )
    ports = np.array([0, 22, 23, 25, 53, 80, 123, 465, 587, 3389, 11211, 40_000, 65_535])
    batch.src_port[:] = rng.choice(ports, n)
    batch.dst_port[:] = rng.choice(ports, n)
    batch.dst_lo[:] = rng.integers(0, 300, n, np.uint64)
    batch.src_internet[:] = rng.random(n) < 0.7
    batch.dst_internet[:] = rng.random(n) < 0.7
    return batch


def seen(batch: FlowBatch) -> Rows:
    """Show a batch to a detector: rows are their own slots, every second subject tells SMTP exactly."""
    sender, receiver = batch.sender.astype(np.int64), batch.receiver.astype(np.int64)
    return Rows(batch, sender, receiver, sender % 2 == 0, receiver % 2 == 0, DetectSettings(seed=1))


def declares_itself(detector: Detector) -> None:
    """Name, unit, parts and ports make sense."""
    assert detector.name, "a detector has a name"
    assert isinstance(detector.unit, Unit), "a detector has a unit"
    assert detector.parts >= 1, "a detector keeps at least one total"
    assert not detector.distinct or detector.parts == 1, "a distinct count is one number"
    assert all(0 < port < 65_536 for port in detector.exact_ports), "exact ports are TCP ports"


def takes_what_fits(detector: Detector) -> None:
    """Columns have one length, name subjects, and are finite; distinct detectors name items."""
    batch = traffic()
    for internet in (False, True):
        takes = detector.take(seen(batch), internet=internet)
        assert len(takes) == detector.parts, "one Take per part"
        for take in takes:
            _fits(take, len(batch))
            assert not detector.distinct or take.item is not None, "a distinct detector names its items"


def _fits(take: Take, n: int) -> None:
    k = len(take.index)
    lengths = {
        len(take.slot),
        len(take.amount),
        len(take.variance),
        k if take.item is None else len(take.item),
    }
    assert lengths == {k}, "columns have one length"
    if k:
        assert take.index.min() >= 0, "rows are of the batch"
        assert take.index.max() < n, "rows are of the batch"
        assert take.slot.min() >= 0, "every row taken is somebody's"
    assert np.isfinite(take.amount).all(), "amounts are finite"
    assert np.isfinite(take.variance).all(), "variances are finite"
    assert (take.variance >= 0).all(), "variances are not negative"


def counts_without_sampling_are_exact(detector: Detector) -> None:
    """Rows at rate 1 carry no variance."""
    for take in detector.take(seen(traffic(rate=1.0)), internet=False):
        assert not take.variance.any(), "what was not sampled has no sampling error"


def leaves_the_batch_alone(detector: Detector) -> None:
    """The batch goes on to other detectors as it was."""
    batch, same = traffic(), traffic()
    detector.take(seen(batch), internet=True)
    for column in fields(FlowBatch):
        assert np.array_equal(getattr(batch, column.name), getattr(same, column.name)), column.name


def internet_is_a_part_of_any(detector: Detector) -> None:
    """Asking for the internet only never takes more."""
    batch = traffic()
    pairs = zip(
        detector.take(seen(batch), internet=True), detector.take(seen(batch), internet=False), strict=True
    )
    for some, whole in pairs:
        assert set(some.index.tolist()) <= set(whole.index.tolist()), "internet is a part of any"


def bears_nothing(detector: Detector) -> None:
    """No rows, or only rows of nobody, are no rows taken."""
    nobody = traffic()
    nobody.sender.fill(-1)
    nobody.receiver.fill(-1)
    for batch in (FlowBatch.empty(0), nobody):
        for take in detector.take(seen(batch), internet=False):
            assert len(take.index) == 0, "nobody's rows are not taken"
    empty = Observations(np.zeros((detector.parts, 3)), np.zeros((detector.parts, 3)), np.zeros(3))
    assert not detector.estimate(empty).any(), "nothing seen is 0"


def bounds_hold_the_estimate(detector: Detector) -> None:
    """0 <= lower <= estimate <= upper, wider with more confidence; a ratio stays in 0..1."""
    found = _observed(detector)
    estimate = detector.estimate(found)
    before = None
    for z in _Z:
        lower, upper = detector.bounds(found, z)
        assert (lower >= 0).all(), "a lower bound is not below 0"
        assert (upper >= lower).all(), "bounds are in order"
        if z >= 1:
            assert (lower <= estimate * (1 + 1e-9) + 1e-9).all(), "the estimate is not below its lower bound"
            assert (upper >= estimate * (1 - 1e-9) - 1e-9).all(), "the estimate is not above its upper bound"
        if before is not None:
            assert (lower <= before[0] + 1e-9).all(), "more confidence, lower lower bound"
        before = lower, upper
    if detector.unit is Unit.RATIO:
        assert (estimate <= 1).all(), "a ratio is at most 1"


def _observed(detector: Detector) -> Observations:
    total, variance = np.zeros((2, detector.parts, SUBJECTS))
    samples: I64 = np.zeros(SUBJECTS, np.int64)
    for part, take in enumerate(detector.take(seen(traffic(20_000)), internet=False)):
        np.add.at(total[part], take.slot, take.amount)
        np.add.at(variance[part], take.slot, take.variance)
        np.add.at(samples, take.slot, 1)
    return Observations(total, variance, samples.astype(np.float64))


CHECKS: Final[tuple[Callable[[Detector], None], ...]] = (
    declares_itself,
    takes_what_fits,
    counts_without_sampling_are_exact,
    leaves_the_batch_alone,
    internet_is_a_part_of_any,
    bears_nothing,
    bounds_hold_the_estimate,
)


def check(detector: Detector) -> None:
    """Run every check."""
    for one in CHECKS:
        one(detector)
