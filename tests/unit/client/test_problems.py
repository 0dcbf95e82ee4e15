from __future__ import annotations

from email.message import Message

import pytest

from sekisho.client.problems import Answer, checked
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
