"""The commands about flows of the past, over real HTTP, with an archive in memory behind it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import FastAPI

from sekisho.model.access import Role
from sekisho.model.archived import ArchiveStatus, Far
from sekisho.testing.keeper import START
from support_cli import Run
from support_flows import Archive

POLICY = """
[policy.spam]
when = [{ detector = "smtp-connections", threshold = "60/min" }]
then = [{ drop = ["tcp/25"], for = "1h" }]
"""


@pytest.fixture
def archive(served: tuple[FastAPI, str]) -> Iterator[Archive]:
    made = Archive()
    served[0].state.flows = made
    yield made
    served[0].state.flows = None


def test_the_greatest_are_listed_over_a_span_by_the_keeper_s_clock(run: Run, archive: Archive) -> None:
    found = run("flows", "top", "--last", "2h", "--by", "ingress_bytes", "--of", "port", "--limit", "3")
    assert found.code == 0
    assert "port-1" in found.out
    assert "all together" in found.out
    (since, until, *rest) = archive.asked[-1]
    assert (until - since, rest) == (7200.0, ["ingress_bytes", 3, "port"])
    assert run("flows", "top", "--since", "10", "--until", "20").code == 0
    assert archive.asked[-1][:2] == (10.0, 20.0)
    assert run("flows", "top", "--last", "yesterday").code == 6


def test_a_subject_and_the_archive_itself_are_shown(run: Run, archive: Archive) -> None:
    assert "all together" in run("flows", "subject", "port-1").out
    assert archive.asked[-1][0] == "port-1"
    archive.far = (Far("198.51.100.1", 17, 0, 5e6), Far("198.51.100.2", 6, 25), Far("198.51.100.3", 253, 0))
    said = run("flows", "subject", "port-1").out
    for service in ("udp/other", "tcp/25", "253/other"):  # as `flows top` says it
        assert f" {service} " in said
    assert run("flows", "status", "--json").json["rows"] == 7


def test_no_answer_says_what_the_archive_holds_and_what_is_wrong(run: Run, archive: Archive) -> None:
    archive.empty = True
    assert run("flows", "top").out == "The archive holds nothing of this span.\n"
    problem = "The store cannot be written."
    archive.holds = ArchiveStatus(
        "chdb", 7, oldest=START - 7200, newest=START, spooled_blocks=2, problem=problem
    )
    holds = "it holds 2023-11-14 20:13:20 UTC to 2023-11-14 22:13:20 UTC, and 2 blocks wait to be loaded."
    assert run("flows", "top").out == f"The archive holds nothing of this span; {holds} {problem}\n"
    told = run("flows", "subject", "port-9")
    assert told.err == f"The archive holds nothing of port-9 in this span; {holds} {problem}\n"
    assert run("flows", "subject", "port-9", "--json").err == ""


def test_rows_are_written_into_a_file_of_the_kind_its_name_says(
    run: Run, archive: Archive, tmp_path: Path
) -> None:
    file = tmp_path / "night.csv"
    assert run("flows", "export", str(file), "--subject", "p", "--limit", "9").code == 0
    assert file.read_bytes() == b"a,b\n"
    assert archive.asked[-1][2:] == ("p", "csv", 9)
    assert run("flows", "export", str(tmp_path / "night.xls")).code == 6
    assert run("flows", "export", str(tmp_path / "away" / "night.csv")).code == 6


def test_a_question_may_come_from_standard_input(run: Run, archive: Archive) -> None:
    found = run("flows", "sql", "-", "--limit", "5", text="SELECT 1")
    assert archive.asked[-1] == ("SELECT 1", 5)
    assert "There is more" in found.err
    assert run("flows", "sql", "SELECT 1", role=Role.VIEWER).code == 4


def test_a_back_test_says_whom_and_where_the_line_would_be(
    run: Run, archive: Archive, tmp_path: Path
) -> None:
    file = tmp_path / "spam.toml"
    file.write_text(POLICY)
    found = run("policy", "backtest", str(file), "--last", "7d", "--per-day", "2")
    assert found.code == 0, found.err
    order = archive.asked[-1]
    assert order.text == POLICY
    assert order.until - order.since == 7 * 86400.0
    assert "1 subject of 1 project" in found.out
    assert "for at most 2 a day its line would be at 3 in 1 min" in found.out
    assert "port-1" in found.out
    assert "Note: note" in found.out


def test_without_an_archive_it_says_so(run: Run) -> None:
    found = run("flows", "status")
    assert found.code == 3
    assert "No archive" in found.err
