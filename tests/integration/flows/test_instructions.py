"""What a record costs must not creep up: counted in instructions, which a busy machine does not change."""

from __future__ import annotations

import shutil

import pytest

import instructions


def test_what_grew_is_named() -> None:
    before = {"sflow": 1000.0, "ipfix": 500.0}
    assert instructions.grown({"sflow": 1149.0, "ipfix": 100.0}, before) == []
    assert instructions.grown({"sflow": 1000.0, "ipfix": 576.0}, before) == [
        "ipfix: 576 instructions each, 500 are kept"
    ]


# Valgrind is slow, and the machine may be busy; nothing here depends on how long it takes.
@pytest.mark.slow
@pytest.mark.timeout(1500)
@pytest.mark.skipif(not shutil.which("valgrind"), reason="Valgrind is not installed")
def test_a_record_takes_no_more_instructions_than_it_did() -> None:
    told = instructions.measure()
    assert set(told) == {*instructions.STREAMS, instructions.CLOSE}
    assert min(told.values()) > 0
    assert instructions.grown(told, instructions.kept()) == []
