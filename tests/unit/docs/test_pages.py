"""Pages lead somewhere, can all be found, and what they let people copy works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import typer

from sekisho.app import settings
from sekisho.app.main import add_processes
from sekisho.cli import build
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.metering.catalogue import METERED
from sekisho.model.policy_file import parse

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*DOCS.rglob("*.md"), *ROOT.glob("*.md"), *(ROOT / "bench").glob("*.md")])
LINK = re.compile(r"!?\[(?:[^][]|\[[^]]*\])*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMAND = re.compile(
    r"^(?:\$ |# )?(?:sudo )?(?:-u \w+ )?(?:\.venv/bin/)?sekisho ([a-z][^\n#|]*)", re.MULTILINE
)


def links(page: Path) -> list[str]:
    text = FENCE.sub("", page.read_text())
    return [found for found in LINK.findall(text) if "://" not in found and not found.startswith("mailto:")]


def anchors(page: Path) -> set[str]:
    """Name a page's headings as GitHub does."""
    text = FENCE.sub("", page.read_text())
    heads = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def test_every_page_can_be_found_from_the_first_one() -> None:
    first = DOCS / "README.md"
    # Decisions have a list of their own, beside them.
    lists = (first, DOCS / "decisions" / "README.md")
    linked = {(page.parent / link.partition("#")[0]).resolve() for page in lists for link in links(page)}
    assert [str(p) for p in DOCS.rglob("*.md") if p != first and p not in linked] == []


def commands() -> set[str]:
    """Name every command of the program, groups with their commands."""
    group = typer.main.get_command(build(add_processes))
    found = set()
    for name, command in getattr(group, "commands", {}).items():
        inner = getattr(command, "commands", {})
        found |= {f"{name} {each}" for each in inner}
        if not inner or getattr(command, "invoke_without_command", False):
            found.add(name)
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_command_shown_exists(page: Path) -> None:
    known = commands()
    for kind, block in FENCE.findall(page.read_text()):
        if kind in ("console", "sh"):
            for line in COMMAND.findall(block):
                words = line.split()
                assert words[0] in known or " ".join(words[:2]) in known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_policy_and_settings_file_shown_is_good(page: Path) -> None:
    for kind, block in FENCE.findall(page.read_text()):
        if kind != "toml":
            continue
        told = tomllib.loads(block)
        if told.keys() & {"policy", "baseline"}:
            parse(block, CATALOGUE | METERED, page.name)
        elif told.keys() & settings.sections().keys():
            assert settings.check(told)[1] == ()


def test_the_sample_settings_are_good() -> None:
    told = settings.load(ROOT / "deploy" / "sekisho.toml")
    assert told
    assert settings.check(told)[1] == ()
