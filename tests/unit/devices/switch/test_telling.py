"""What goes wrong is said once, at which switch, and in one line where lines are what is read."""

from __future__ import annotations

import pytest

from sekisho.devices.switch.telling import At, asker, fixer, logged
from sekisho.model.errors import Unavailable


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (Unavailable("It is away.", "10.0.0.1: no route."), "10.0.0.1: no route."),
        (Unavailable("It is away.", "leaf-1: its serial number is 'x'."), "its serial number is 'x'."),
        (At("leaf-1", Unavailable("It is away.", "leaf-1: no route.")), "no route."),
        (At("leaf-2", Unavailable("It is away.", "no route.")), "leaf-2: no route."),
        (Unavailable("It is away.", "Paragraphs.\n\n  of advice\x1b[2J\r\n"), "Paragraphs. of advice?[2J"),
    ],
)
def test_a_log_says_the_switch_once_and_all_in_one_line(error: Exception, said: str) -> None:
    assert logged(error, "leaf-1") == said


def test_a_switch_that_is_named_is_not_named_again() -> None:
    error = At(
        "leaf-1", Unavailable("leaf-1 answers as another switch.", "leaf-1: its serial number is 'x'.")
    )
    assert asker(error) == "leaf-1 answers as another switch."
    assert fixer(error) == "leaf-1: its serial number is 'x'."
    assert fixer(At("leaf-1", Unavailable("Away.", "leaf-12: no."))) == "leaf-1: leaf-12: no."
