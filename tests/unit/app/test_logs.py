"""Log lines: for people, or one JSON document each, tracebacks included."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from sekisho.app.process import LogFormat, start_log


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    root = logging.getLogger()
    kept, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = kept, level


def test_a_line_is_a_json_document(capsys: pytest.CaptureFixture[str]) -> None:
    start_log("INFO", LogFormat.JSON)
    log = logging.getLogger("sekisho.keeper")
    log.warning("host %s is silent\nfor long", "h7")
    log.debug("not this")
    try:
        int("odd")
    except ValueError:
        log.exception("it failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["level"], first["logger"]) == ("warning", "sekisho.keeper")
    assert first["event"] == "host h7 is silent\nfor long"
    assert first["timestamp"].endswith("Z")
    assert second["exception"][0]["exc_type"] == "ValueError"


def test_people_read_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    start_log("WARNING")
    logging.getLogger("sekisho.keeper").warning("host %s is silent", "h7")
    assert capsys.readouterr().err.endswith("WARNING sekisho.keeper: host h7 is silent\n")
