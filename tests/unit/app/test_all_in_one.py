"""Processes that are kept running: what cannot be started ends nobody else, and none is left behind."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest

from sekisho.app.all_in_one import HEALTHY, RESTART, Child, Supervisor

LASTING = [sys.executable, "-c", "import signal; signal.alarm(600); signal.pause()"]


class Time:
    """A clock that stands where it was set."""

    at = 1000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def time() -> Time:
    return Time()


def lasting() -> subprocess.Popen[bytes]:
    return subprocess.Popen(LASTING)


def ended() -> subprocess.Popen[bytes]:
    made = lasting()
    made.kill()
    made.wait()
    return made


def test_one_that_cannot_be_started_again_leaves_the_others_alone(
    time: Time, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = Child("one", LASTING, process=ended()), Child("other", LASTING, process=lasting())
    supervisor = Supervisor([one, other], time)
    refused: list[str] = []

    def start(child: Child) -> None:
        if not refused:
            refused.append(child.name)
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        child.process = lasting()

    monkeypatch.setattr(Child, "start", start)
    try:
        supervisor.watch()
        time.at += RESTART[1]
        supervisor.watch()  # refused, and told
        assert refused == ["one"]
        assert "one cannot be started" in caplog.text
        supervisor.watch()
        assert one.process is not None
        assert one.process.poll() is not None
        time.at += RESTART[1]
        supervisor.watch()
        assert one.process.poll() is None
        assert other.process is not None
        assert other.process.poll() is None
    finally:
        supervisor.end()


def test_where_one_cannot_be_started_at_first_none_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    children = [Child("one", LASTING), Child("other", LASTING)]

    def start(child: Child, *_: Any) -> None:
        if child.name == "other":
            raise OSError(errno.EAGAIN, "Resource temporarily unavailable")
        child.process = lasting()

    monkeypatch.setattr(Child, "start", start)
    with pytest.raises(OSError, match="temporarily"):
        Supervisor(children).run(threading.Event())
    assert children[0].process is not None
    left = children[0].process.poll()
    if left is None:
        children[0].process.kill()
        children[0].process.wait()
    assert left is not None


class Dying(Child):
    """One whose processes have ended before anybody looks."""

    def start(self) -> None:
        self.starts += 1
        self.process = ended()


def pauses(supervisor: Supervisor, time: Time, lived: Sequence[float]) -> list[float]:
    """Let the only child die after it has lived so long, each time; give for how long it is then down."""
    child = supervisor.children[0]
    found = []
    for span in lived:
        time.at += span
        supervisor.watch()
        found.append(child.due - time.at)
        time.at = child.due
        supervisor.watch()
    return found


def test_one_that_dies_at_once_is_waited_for_ever_longer(time: Time) -> None:
    supervisor = Supervisor([Dying("one", LASTING)], time)
    supervisor.start()
    waited = pauses(supervisor, time, [0.1] * 7)
    assert waited == pytest.approx([0.5, 1, 2, 4, 8, RESTART[1], RESTART[1]])


def test_after_good_health_the_pause_begins_anew_and_every_start_counts(time: Time) -> None:
    one = Dying("one", LASTING)
    supervisor = Supervisor([one], time)
    supervisor.start()
    short = HEALTHY - 1
    waited = pauses(supervisor, time, [short, short, short, HEALTHY, short, 7 * HEALTHY, 0])
    assert waited == pytest.approx([0.5, 1, 2, 0.5, 1, 0.5, 1])
    assert one.starts == 8, "how often it was started is told in metrics"
