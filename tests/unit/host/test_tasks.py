"""Long-running tasks go on after failures, and say each trouble once."""

from __future__ import annotations

import logging
import threading

import pytest

from sekisho.host.tasks import Troubles, repeat
from sekisho.model.errors import Refused, Unavailable

log = logging.getLogger("test")


class Task:
    """Fails as told, then stops the loop."""

    def __init__(self, *failures: Exception | None) -> None:
        self.stop = threading.Event()
        self._failures = list(failures)
        self.runs = 0

    def __call__(self) -> None:
        self.runs += 1
        failure = self._failures.pop(0) if self._failures else None
        if not self._failures:
            self.stop.set()
        if failure is not None:
            raise failure


@pytest.mark.parametrize(
    "failure", [Unavailable("away", retry_after=0.01), Refused("no"), ValueError("a bug of ours")]
)
def test_a_task_goes_on_after_any_failure(failure: Exception) -> None:
    task = Task(failure, None)
    troubles = Troubles(log)
    repeat(task.stop, troubles, "trying", task)
    assert task.runs == 2
    assert troubles.counts == {"trying": 1}
    assert troubles.present() == ()


def test_a_trouble_is_said_when_it_begins_and_when_it_ends(caplog: pytest.LogCaptureFixture) -> None:
    task = Task(Refused("no"), Refused("still no"), None)
    with caplog.at_level(logging.WARNING):
        repeat(task.stop, Troubles(log), "trying", task)
    assert [r.getMessage() for r in caplog.records] == [
        "trying: no",
        "trying: works again after 2 failures",
    ]
