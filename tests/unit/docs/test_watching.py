"""What is shipped for Prometheus and Grafana asks for metrics that there are."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[3]
TOLD = set(re.findall(r"^\| `(sekisho_\w+)`", (ROOT / "docs/reference/metrics.md").read_text(), re.MULTILINE))
HISTOGRAM = re.compile(r"_(bucket|sum|count)$")


def unknown(expression: str) -> set[str]:
    asked = set(re.findall(r"sekisho_\w+", expression))
    return {name for name in asked if name not in TOLD and HISTOGRAM.sub("", name) not in TOLD}


def test_alerts_ask_for_what_is_told_and_say_what_to_do() -> None:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/sekisho.rules.yml").read_text())["groups"]
    rules = [rule for group in groups for rule in group["rules"]]
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert unknown(rule["expr"]) == set()
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["labels"]["severity"] in {"page", "ticket"}


def test_the_dashboard_asks_for_what_is_told_and_nothing_lies_on_another() -> None:
    board = json.loads((ROOT / "deploy/grafana/sekisho.json").read_text())
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        assert "".join(map(str, unknown(json.dumps(panel.get("targets", []))))) == ""
        at = panel["gridPos"]
        cells = {(at["x"] + i, at["y"] + j) for i in range(at["w"]) for j in range(at["h"])}
        assert not taken & cells
        assert at["x"] + at["w"] <= 24
        taken |= cells
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
