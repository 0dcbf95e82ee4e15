"""Colours that everybody can read, other people's files as they were, numbers as people write them."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files

import pytest

from sekisho.api.console import figures

STATIC = files("sekisho.api.console") / "static"
# What stands on what.
TEXT = ("ink", "dim", "link", "bound", "wait", "good")
GROUND = ("paper", "raised", "hover")
PAIRS = (
    *((text, ground) for text in TEXT for ground in GROUND),
    ("bound", "bound-soft"),
    ("ink", "bound-soft"),
    ("dim", "bound-soft"),
    ("wait", "wait-soft"),
    ("good", "good-soft"),
    ("ink", "good-soft"),
    ("paper", "link"),
    ("paper", "bound"),
)
# Lines and frames need 3:1 (WCAG 1.4.11).
SHAPES = (
    ("egress", "raised"),
    ("ingress", "raised"),
    ("bound", "raised"),
    ("focus", "paper"),
    ("dim", "raised"),
)


def themes() -> list[dict[str, str]]:
    """Read the colours of the light theme, of the dark one, and of the dark one that is chosen."""
    text = (STATIC / "console.css").read_text()
    blocks = re.findall(r":root[^{]*\{([^}]*--paper[^}]*)\}", text)
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})\b", block)) for block in blocks]


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_there_are_a_light_and_a_dark_theme_and_the_dark_ones_are_alike() -> None:
    light, dark, chosen = themes()
    assert dark == chosen
    assert light.keys() == dark.keys()
    assert luminance(light["paper"]) > 0.8
    assert luminance(dark["paper"]) < 0.05


@pytest.mark.parametrize("theme", [0, 1])
def test_every_text_can_be_read_on_its_ground(theme: int) -> None:
    colours = themes()[theme]
    weak = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in PAIRS}
    assert {pair: round(n, 2) for pair, n in weak.items() if n < 4.5} == {}
    shapes = {pair: contrast(colours[pair[0]], colours[pair[1]]) for pair in SHAPES}
    assert {pair: round(n, 2) for pair, n in shapes.items() if n < 3} == {}


def test_other_peoples_files_are_what_they_were() -> None:
    text = (STATIC / "VENDORED.txt").read_text()
    listed = dict(
        re.findall(r"^(\S+\.(?:js|css)) .*?\n(?:  sha512.*\n)?  sha256 ([0-9a-f]{64})", text, re.MULTILINE)
    )
    assert set(listed) == {"htmx.min.js", "uplot.min.js", "uplot.min.css"}
    for name, digest in listed.items():
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest, name
    for name in ("htmx.LICENSE.txt", "uplot.LICENSE.txt"):
        assert "ermission" in (STATIC / name).read_text()


def test_our_own_style_asks_nobody_else() -> None:
    for name in ("console.css", "console.js"):
        assert not re.search(r"https?://|@import|eval\(|innerHTML", (STATIC / name).read_text())


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (0, "0 bit/s"),
        (999, "999 bit/s"),
        (999.7, "1.00 kbit/s"),
        (10_000_000, "10 Mbit/s"),
        (9_480_123, "9.48 Mbit/s"),
        (12_345_678, "12.3 Mbit/s"),
        (999_600_000, "1.00 Gbit/s"),
        (2.5e18, "2500 Pbit/s"),
    ],
)
def test_rates_have_three_digits_and_a_prefix(number: float, written: str) -> None:
    assert figures.bps(number) == written


def test_a_little_loss_is_not_none() -> None:
    assert [figures.percent(n) for n in (0, 0.00001, 0.0123, 0.5)] == ["0 %", "< 0.01 %", "1.2 %", "50 %"]


def test_bars_stay_within_their_row() -> None:
    assert [figures.share(n, 10) for n in (0, 5, 20, -1, float("nan"))] == [0, 50, 100, 0, 0]
    assert figures.share(1, 0) == 0
