"""What policies would have done: a policy file in, what the archive found, a curve to choose a line by."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from sekisho.api.console.decide import Done
from sekisho.model import policy_text, wording
from sekisho.model.archived import BacktestOrder
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.restriction import Finding

if TYPE_CHECKING:
    from sekisho.api.console.view import Ask
    from sekisho.api.flow_keeper import FlowKeeper
    from sekisho.model.archived import Backtest, PolicyBacktest

# How far back, in seconds.
REACHES: Final = {"1h": 3600.0, "24h": 86400.0, "7d": 7 * 86400.0, "30d": 30 * 86400.0}
# A curve's width and height, and how many places of its floor have words; all are equally wide.
WIDTH: Final = 600
HEIGHT: Final = 140
TICKS: Final = 6


@dataclass(frozen=True, slots=True)
class Backtests:
    """Where a back-test begins; `archive` is False where nothing was kept that could be played.

    `text` is the policy it was asked from, as a file says it; empty where none was named.
    """

    archive: bool
    policy: str
    text: str


@dataclass(frozen=True, slots=True)
class OneBacktest:
    """A back-test as it runs or ended."""

    backtest: Backtest


def start(ask: Ask) -> Backtests:
    """Show where one begins: with a policy in force to begin from, if one is named."""
    name = ask.query.text("policy")
    ask.query.done()
    text = policy_text.write(ask.keeper.policies().policies.need(name)) if name else ""
    return Backtests(ask.flows is not None, name, text)


def show(ask: Ask) -> OneBacktest:
    """Tell how far one is, or what it found."""
    ask.query.done()
    return OneBacktest(_archive(ask).backtested(ask.param("backtest")))


def begin(ask: Ask) -> Done:
    """Begin to play the policies of a file, or one in force, over what the archive holds."""
    name = ask.query.text("policy")
    text = policy_text.write(ask.keeper.policies().policies.need(name)) if name else ask.query.long("text")
    reach = ask.query.choice("last", REACHES, "24h")
    ask.query.text("key")
    ask.query.done()
    archive = _archive(ask)
    problems = ask.keeper.check_policies(text)
    if problems:
        raise Malformed("The policy file has mistakes.", problems=problems)
    begun = archive.backtest(BacktestOrder(text, ask.now - REACHES[reach], ask.now))
    return Done("begun", f"/backtests/{quote(begun.id, safe='')}")


def _archive(ask: Ask) -> FlowKeeper:
    if ask.flows is None:
        raise Unavailable("There is no archive here, so nothing can be played again.")
    return ask.flows


@dataclass(frozen=True, slots=True)
class Curve:
    """Where the line would be against how many subjects a day, as points of a picture.

    `mean` and `most` are SVG points, `now` is where the line stands, `highest` is what the top stands for,
    and `ticks` are places with their words.
    """

    mean: str
    most: str
    now: float
    highest: int
    ticks: tuple[tuple[float, str], ...]


def curve(found: PolicyBacktest) -> Curve | None:
    """Draw a policy's curve; None where there are not two points."""
    points = sorted((p for p in found.curve if p.amount > 0), key=lambda p: p.amount)
    if len(points) < 2:
        return None
    low, high = (math.log10(points[i].amount) for i in (0, -1))
    highest = max(1, *(p.most for p in points))

    def x(amount: float) -> float:
        return round(WIDTH * (math.log10(amount) - low) / max(high - low, 1e-9), 1)

    def line(heights: list[float]) -> str:
        return " ".join(
            f"{x(p.amount)},{HEIGHT * (1 - h / highest):.1f}" for p, h in zip(points, heights, strict=True)
        )

    chosen = [10 ** (low + (high - low) * i / TICKS) for i in range(TICKS)]
    return Curve(
        line([p.mean for p in points]),
        line([float(p.most) for p in points]),
        max(0.0, min(float(WIDTH), x(found.amount))) if found.amount > 0 else 0.0,
        highest,
        tuple((x(each), amount(found, each)) for each in chosen),
    )


def amount(found: PolicyBacktest, number: float) -> str:
    """Write an amount as a policy's line is written."""
    return wording.amount(
        Finding(found.detector, found.unit, found.window, number, number, number, number, 0), number
    )
