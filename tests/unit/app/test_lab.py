from __future__ import annotations

from pathlib import Path

import pytest

from sekisho.app.all_in_one import Child, Supervisor
from sekisho.app.lab import Lab, LabSettings
from sekisho.lab import sockets
from sekisho.lab.ovs import PrivateSwitch


def test_nobody_answers_at_anothers_door(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    listen = sockets.listen
    monkeypatch.setattr(sockets, "listen", lambda _port, _namespace="": listen(0))
    for kind in (PrivateSwitch, Child):
        monkeypatch.setattr(kind, "start", lambda _: None)
    monkeypatch.setattr(PrivateSwitch, "stop", lambda _: None)
    monkeypatch.setattr(Supervisor, "end", lambda _: None)
    monkeypatch.setattr(Lab, "wait", lambda *_: None)
    lab = Lab(LabSettings(tmp_path / "lab", hosts=(), archive=True))
    lab.start()
    try:
        keeper, archive = (set(lab.children[name].fds) for name in ("keeper", "archive"))
        assert len(keeper) == 2
        assert len(archive) == 1
        assert not keeper & archive
    finally:
        lab.stop()
