"""The reference says what is: no setting undocumented, none that vanished, no default that moved."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from sekisho.app import archive, archive_reach, figures, switches_figures
from sekisho.app.balancers import Balancers
from sekisho.app.keeper import Keeper
from sekisho.app.notices import Notices
from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.flows.wire import limits
from sekisho.metering.catalogue import METERED
from support_settings import rows

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
ROW = re.compile(r"^\| `([^`]+)` \| (.*)$", re.MULTILINE)


def documented(page: str) -> dict[str, list[str]]:
    """Give the cells of every row whose first cell is a name."""
    found = ROW.findall((REFERENCE / page).read_text())
    return {name: [c.strip() for c in re.split(r"(?<!\\)\|", rest)[:-1]] for name, rest in found}


def test_every_setting_is_documented_and_none_has_vanished() -> None:
    assert sorted(documented("settings.md")) == sorted(rows())


@pytest.mark.parametrize(("name", "told"), documented("settings.md").items())
def test_a_setting_has_the_type_and_default_that_are_told(name: str, told: list[str]) -> None:
    assert tuple(told[:2]) == rows()[name]
    assert told[-1].endswith("."), "its meaning is a sentence"


def test_every_fixed_limit_is_documented_with_its_value() -> None:
    told = {name: cells[0] for name, cells in documented("limits.md").items() if name.isupper()}
    there = {name: value for name, value in vars(limits).items() if name.isupper()}
    assert told == {
        name: f"{value:,}" if isinstance(value, int) else f"{value:g}" for name, value in there.items()
    }


def test_every_detector_is_in_the_reference_of_policies() -> None:
    text = (REFERENCE / "policies.md").read_text()
    assert [name for name in CATALOGUE | METERED if f"`{name}`" not in text] == []


def test_every_metric_of_the_keeper_is_documented() -> None:
    told_by = (
        Keeper.metrics,
        figures,
        switches_figures,
        Balancers.metrics,
        Notices.metrics,
        archive,
        archive_reach,
    )
    source = "".join(inspect.getsource(each) for each in told_by)
    there = {f"sekisho_{name}" for name in re.findall(r'metric\(f?"(\w+)"', source)}
    there |= set(re.findall(r'"(sekisho_\w+)"', source))
    told = set(documented("metrics.md"))
    assert there <= told
    left = {name for name in told - there if name.startswith("sekisho_")}
    counted = {name for name in left if name.startswith(("sekisho_exporter_", "sekisho_http_"))}
    # counted under their names in Keeper.totals
    metered = {name for name in left if name.startswith("sekisho_metering_")}
    assert left - counted - metered == {"sekisho_evidence_total", "sekisho_denied_total"}
