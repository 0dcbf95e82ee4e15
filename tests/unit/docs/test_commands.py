"""What pages let people type is there: commands with their options, make's targets, files, units, modules."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import typer

from sekisho.app.main import add_processes
from sekisho.cli import build
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.model.errors import Malformed
from sekisho.model.policy_file import parse

ROOT = Path(__file__).parents[3]
PAGES = sorted([*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "bench").glob("*.md")])
FENCE = re.compile(r"^ *```(\w*)\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`([^`]+)`")
# How a command begins: a prompt, another user's hat, variables, the environment's own path.
OURS = re.compile(r"(?:[$#] )?(?:sudo (?:-u \w+ )?)?(?:[A-Z_]+=\S+ )*(?:\S+/)?sekisho ([a-z].*)")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = set(PROJECT["optional-dependencies"])
PROGRAM: Any = typer.main.get_command(build(add_processes))


def lines(page: Path) -> Iterator[str]:
    """Give what a page lets people type: lines of its blocks, and what stands between backquotes."""
    text = page.read_text()
    for kind, block in FENCE.findall(text):
        if kind in ("console", "sh", ""):
            yield from (line.strip() for line in re.sub(r"\\\n *", "", block).splitlines())
    yield from (" ".join(found.split()) for found in INLINE.findall(FENCE.sub("", text)))


def typed(page: Path) -> Iterator[list[str]]:
    """Give the words of every command of ours."""
    for line in lines(page):
        found = OURS.fullmatch(line)
        if found:
            yield words(found[1])


def words(line: str) -> list[str]:
    """Split as a shell does, up to what is no part of the command any more."""
    told = shlex.shlex(line.replace("...", ""), posix=True, punctuation_chars="|>;&")
    told.whitespace_split = True
    found = []
    for word in told:
        if set(word) & set("|>;&"):
            break
        found.append(word)
    return found


def complaints(given: list[str]) -> Iterator[str]:
    """Say what of a command is not there."""
    command: Any = PROGRAM
    path: list[str] = []
    options: set[str] = {"--help", "-h", "--install-completion", "--show-completion"}
    for word in given:
        inner = getattr(command, "commands", {})
        if word in inner:
            command, path = inner[word], [*path, word]
        elif inner and not getattr(command, "invoke_without_command", False) and not word.startswith("-"):
            yield f"{' '.join(path)}: there is no {word}"
            return
        options |= {text for p in command.params for text in (*p.opts, *p.secondary_opts)}
        if word.startswith("-") and len(word) > 1 and word.partition("=")[0] not in options:
            yield f"{' '.join(path)}: there is no {word}"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_of_ours_takes_what_it_is_shown_with(page: Path) -> None:
    if page.name == "CHANGELOG.md":  # tells of what was, too
        return
    assert [said for given in typed(page) for said in complaints(given)] == []


def test_what_is_not_there_is_found() -> None:
    assert sum(1 for page in PAGES for _ in typed(page)) > 100
    assert list(complaints(words("status --json"))) == []
    assert list(complaints(words('restrictions lift r1 --reason "why --so" | grep x --y'))) == []
    assert list(complaints(words("restrictions lift r1 --because x"))) == [
        "restrictions lift: there is no --because"
    ]
    assert list(complaints(words("restrictions free r1"))) == ["restrictions: there is no free"]
    assert list(complaints(words("archiv"))) == [": there is no archiv"]


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_target_shown_is_one_of_makes(page: Path) -> None:
    targets = set(re.findall(r"^([a-z][\w-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    shown = {m[1] for line in lines(page) if (m := re.match(r"(?:[$#] )?make ([a-z][\w-]*)(?: |$)", line))}
    assert shown <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_and_unit_of_ours_that_is_shown_is_there(page: Path) -> None:
    for line in lines(page):
        for name in re.findall(r"(?<![\w/.-])(?:deploy|policies|bench)/[\w./*-]*[\w*]", line):
            assert list(ROOT.glob(name)), line
        for unit in re.findall(r"\bsekisho-[a-z]+(?:\.service|\.socket)", line):
            assert (ROOT / "deploy" / "systemd" / unit).exists(), line
        for extras in re.findall(r"(?:sekisho|\.)\[([a-z,]+)\]", line):
            assert set(extras.split(",")) <= EXTRAS, line
        for module in re.findall(r"python3? -m (sekisho[\w.]*)", line):
            assert find_spec(module), line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_word_of_the_openstack_command_that_is_ours_is_there(page: Path) -> None:
    points = PROJECT["entry-points"]
    ours = {
        name.replace("_", " ")
        for group, held in points.items()
        if group.startswith("openstack.sekisho")
        for name in held
    }
    for line in lines(page):
        for verb in re.findall(r"openstack (port restriction [a-z]+)", line):
            assert verb in ours, line


HOST = (ROOT / "docs" / "how-to" / "run-on-a-host.md").read_text()


@pytest.mark.parametrize(
    "unit", sorted((ROOT / "deploy" / "systemd").glob("*.service")), ids=lambda p: p.stem
)
def test_what_a_unit_may_do_is_what_its_file_says(unit: Path) -> None:
    rows = {
        cells[0]: cells[1:]
        for cells in re.findall(r"^\| (\w+) \| (.+?) \| (.+?) \| (.+?) \|$", HOST, re.MULTILINE)
    }
    user, may, writes = rows[unit.stem.removeprefix("sekisho-")]
    said = dict(re.findall(r"^(\w+)=(.*)$", unit.read_text(), re.MULTILINE))
    assert ("made up by systemd" in user) == ("DynamicUser" in said)
    assert said["User"] in user
    assert (may == "none") == (not said["CapabilityBoundingSet"])
    assert all(f"`{capability}`" in may for capability in said["CapabilityBoundingSet"].split())
    assert f"`/var/lib/{said['StateDirectory']}`" in writes


def test_a_new_keeper_has_as_many_policies_as_are_shown() -> None:
    shipped = [tomllib.loads(file.read_text()) for file in (ROOT / "policies").glob("*.toml")]
    counted = (sum(len(told.get(kind, {})) for told in shipped) for kind in ("policy", "baseline"))
    assert "policies      {}, and {} baselines".format(*counted) in HOST


def test_a_mistake_shown_is_told_of_the_line_where_it_would_be() -> None:
    page = (ROOT / "docs" / "how-to" / "write-a-policy.md").read_text()
    example = next(
        block for kind, block in re.findall(r"```(\w+)\n(.*?)```", page, re.DOTALL) if kind == "toml"
    )
    with pytest.raises(Malformed) as told:
        parse(example.replace('"watch"', '"wach"'), CATALOGUE, "/etc/sekisho/policies/login.toml")
    problems = "\n".join(told.value.problems)
    assert f"{problems}\n{len(told.value.problems)} problem; nothing was changed.\n" in page


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_the_keeper_is_always_at_the_same_address(page: Path) -> None:
    shown = set(re.findall(r"https?://keeper[\w.]*(?::\d+)?", page.read_text()))
    assert shown <= {"https://keeper.example.net:8790"}
