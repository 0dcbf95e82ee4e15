from __future__ import annotations

import json
import sys
from email.message import Message

import pytest

from sekisho.client.problems import Answer, checked, let_go
from sekisho.model.errors import Unavailable


@pytest.mark.parametrize(
    ("told", "waits"), [("7", 7.0), ("inf", 1.0), ("nan", 1.0), ("-5", 0.0), ("9e9", 3600.0), ("soon", 1.0)]
)
def test_no_answer_makes_anybody_wait_for_ever(told: str, waits: float) -> None:
    headers = Message()
    headers["Retry-After"] = told
    with pytest.raises(Unavailable) as caught:
        checked(Answer(503, headers, b"busy"))
    assert caught.value.retry_after == waits


def test_a_large_answer_is_read_with_the_interpreter_free_for_others_at_each_object() -> None:
    """Other threads have their turn where Python's own code runs; in the parser's C they have none."""
    told = [{"id": f"vm{i}", "addresses": ["192.0.2.1"]} for i in range(1000)]
    answer, turns = Answer(200, Message(), json.dumps(told).encode()), []
    sys.setprofile(lambda _frame, event, _more: turns.append(event))
    try:
        read = answer.json()
    finally:
        sys.setprofile(None)
    assert read == told
    assert turns.count("call") >= len(told)


def test_a_large_answer_is_let_go_of_piece_by_piece() -> None:
    read = {"version": 1, "subjects": [{"id": f"vm{i}"} for i in range(100)], "hosts": []}
    pieces = read["subjects"]
    let_go(read)
    assert pieces == []
    for other in (None, [1], "x", {"a": "b"}):
        let_go(other)
