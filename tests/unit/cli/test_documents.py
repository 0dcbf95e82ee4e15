"""Documents keep what they promise: links lead somewhere, and the index names every page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])


def links(page: Path) -> set[Path]:
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    targets = re.findall(r"\]\(([^)#\s]+)", text)
    return {(page.parent / t).resolve() for t in targets if not re.match(r"[a-z]+:", t)}


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    assert [str(target) for target in links(page) if not target.exists()] == []


def test_the_index_names_every_page() -> None:
    named = links(DOCS / "README.md") | links(DOCS / "decisions" / "README.md")
    pages = {p.resolve() for p in DOCS.rglob("*.md")} - {(DOCS / "README.md").resolve()}
    assert {str(p.relative_to(DOCS)) for p in pages - named} == set()


@pytest.mark.parametrize("page", sorted((DOCS / "decisions").glob("0*.md")), ids=lambda p: p.name)
def test_a_decision_is_a_page_in_the_format_of_records(page: Path) -> None:
    lines = page.read_text().splitlines()
    assert lines[0].startswith(f"# {page.name[:4]}: ")
    assert lines[2].startswith("**Status:** ")
    parts = [line.removeprefix("## ") for line in lines if line.startswith("## ")]
    whole = ["Question", "Decision", "Why", "Instead of", "Price"]
    assert parts == [part for part in whole if part in parts]
    assert {"Question", "Decision", "Price"} <= set(parts)
    assert len(lines) < 75, "a page, no more"


@pytest.mark.parametrize("page", PAGES, ids=lambda p: str(p.relative_to(ROOT)))
def test_files_that_pages_name_are_there(page: Path) -> None:
    named = re.findall(
        r"`((?:app|flows|detect|ledger|devices|cli|api|model|client)/[\w/]+\.py)`", page.read_text()
    )
    assert [name for name in named if not (ROOT / "src" / "sekisho" / name).exists()] == []
