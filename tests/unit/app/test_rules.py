"""Policies may use every detector that is installed, and nothing else."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sekisho import plugins
from sekisho.app import rules
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.model.policy import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

POLICY = """
[policy.p]
[[policy.p.when]]
detector = "dns-questions"
threshold = "10/min"
[[policy.p.then]]
warn = true
for = "1h"
"""


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    rules.known_detectors.cache_clear()
    yield
    rules.known_detectors.cache_clear()


def install(monkeypatch: pytest.MonkeyPatch, found: Any) -> None:
    def load(_group: str, name: str) -> Any:
        assert name == "dns-questions", "shipped detectors are never loaded: they want NumPy"
        if isinstance(found, Exception):
            raise found
        return found

    monkeypatch.setattr(plugins, "names", lambda _group: (*CATALOGUE, "dns-questions"))
    monkeypatch.setattr(plugins, "load", load)


def test_a_folder_that_is_away_is_no_folder_without_policies(tmp_path: Path) -> None:
    folder = tmp_path / "policies"
    folder.mkdir()
    baseline = '[baseline.closed]\ndrop = "tcp/25"\n'
    (folder / "a.toml").write_text(baseline)
    found = rules.Rules(rules.folder(str(folder)), 1.0)
    folder.rename(tmp_path / "elsewhere")
    assert not found.reload(2.0)
    assert [b.name for b in found.policies.baselines] == ["closed"]
    assert str(folder) in found.view().problems[0]


def test_a_detector_of_another_distribution_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, SimpleNamespace(unit=Unit.COUNT))
    assert rules.check(POLICY) == ()


def test_one_that_cannot_be_loaded_is_unknown_and_said_to_be(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    install(monkeypatch, ImportError("No module named 'numpy'"))
    (problem,) = rules.check(POLICY)
    assert "dns-questions" in problem
    assert "No module named 'numpy'" in caplog.text
