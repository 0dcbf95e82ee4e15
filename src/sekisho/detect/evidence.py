"""Columns end here: Evidence for the few who crossed a line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.model.restriction import Evidence, Finding

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.detect.judge import Judge, Line
    from sekisho.detect.recent import Tops
    from sekisho.detect.settings import DetectSettings
    from sekisho.tables import I64


def compose(
    judge: Judge,
    slots: I64,
    ids: Sequence[str],
    wall: float,
    steady: float,
    settings: DetectSettings,
    exporter_name: Callable[[int], str],
) -> list[Evidence]:
    """Write down what was found about each slot."""
    if not len(slots):
        return []
    findings = list(zip(*(_findings(line, slots, judge.z) for line in judge.lines), strict=True))
    window = max(line.lane.window for line in judge.lines)
    tops = _tops(judge, slots, steady - window, settings.tops)
    began = judge.standing.began[slots].tolist()
    return [
        Evidence(
            subject=ids[slot],
            policy=judge.policy.name,
            findings=found,
            window_start=wall - window,
            window_end=wall,
            confidence=judge.policy.confidence,
            top_destinations=tuple(tops[slot].destinations),
            top_ports=tuple(tops[slot].ports),
            exporters=_names(tops[slot].exporters, exporter_name),
            collector=settings.collector,
            first_seen=first,
        )
        for slot, found, first in zip(slots.tolist(), findings, began, strict=True)
    ]


def _findings(line: Line, slots: I64, z: float) -> list[Finding]:
    seen = line.lane.measure(slots, z)
    detector, window = line.lane.detector, line.lane.window
    return [
        Finding(detector.name, detector.unit, window, estimate, lower, upper, line.amount, round(samples))
        for estimate, lower, upper, samples in zip(
            seen.estimate.tolist(),
            seen.lower.tolist(),
            seen.upper.tolist(),
            seen.samples.tolist(),
            strict=True,
        )
    ]


def _tops(judge: Judge, slots: I64, since: float, count: int) -> dict[int, Tops]:
    """Ask the first condition's stream: the one the policy is about."""
    return judge.lines[0].lane.stream.recent.tops(slots, since, count)


def _names(exporters: Sequence[int], name: Callable[[int], str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text for text in map(name, exporters) if text))
