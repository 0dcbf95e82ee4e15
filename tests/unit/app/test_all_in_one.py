"""Processes that are kept running: what cannot be started ends nobody else, and none is left behind."""

from __future__ import annotations

import errno
import subprocess
import sys
import threading
from typing import Any

import pytest

from sekisho.app import all_in_one
from sekisho.app.all_in_one import RESTART, Child, Supervisor

LASTING = [sys.executable, "-c", "import signal; signal.alarm(600); signal.pause()"]


class Time:
    """A clock that stands where it was set."""

    at = 1000.0

    def monotonic(self) -> float:
        return self.at


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Time:
    made = Time()
    monkeypatch.setattr(all_in_one, "time", made)
    return made


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
    supervisor = Supervisor([one, other])
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
