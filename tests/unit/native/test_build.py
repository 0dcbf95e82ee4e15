from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sekisho.native import build, load


def test_without_the_library_there_is_none(tmp_path: Path) -> None:
    assert load(tmp_path / "nothing.so") is None


def test_what_is_no_library_of_ours_is_not_loaded(tmp_path: Path) -> None:
    file = tmp_path / "core.so"
    file.write_bytes(b"no library")
    assert load(file) is None


def test_a_library_of_other_sources_has_another_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for file in [*build.HERE.glob("*.c"), *build.HERE.glob("*.h")]:
        shutil.copy(file, tmp_path)
    before = build.artifact().name
    monkeypatch.setattr(build, "HERE", tmp_path)
    assert build.artifact().name == before
    with (tmp_path / "count.c").open("a") as source:
        source.write("\n/* another */\n")
    assert build.artifact().name != before


def test_a_machine_without_a_compiler_is_told_and_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(build, "HERE", tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert build.main() == 0
    assert "no C compiler" in capsys.readouterr().out


def test_what_does_not_compile_is_a_failure_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if shutil.which("cc") is None:
        pytest.skip("no C compiler")
    (tmp_path / "wrong.c").write_text("this is no C")
    monkeypatch.setattr(build, "HERE", tmp_path)
    assert build.main() == 1
    assert "wrong.c" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["wrong.c"]
