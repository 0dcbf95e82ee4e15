"""The command about the cloud's VLANs, over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from fastapi import FastAPI

from sekisho.model.access import Role
from sekisho.model.attachment import Attachment, HostVlan, Place
from support_cli import Run

FOUND = (
    Attachment(
        "c1",
        (HostVlan(1001, "web"), HostVlan(1005)),
        (
            Place("leaf-1", ("port-channel11",), carried=True),
            Place("leaf-2", (), carried=False, problem="It does not answer."),
            Place("leaf-3", ("Ethernet1/1",)),
        ),
    ),
    Attachment("c2", (HostVlan(1001),)),
)


@pytest.fixture
def told(served: tuple[FastAPI, str]) -> Iterator[None]:
    served[0].state.attachments = SimpleNamespace(attachments=lambda: FOUND)
    yield
    served[0].state.attachments = None


@pytest.mark.usefixtures("told")
def test_hosts_are_listed_with_what_carries_them(run: Run) -> None:
    said = run("switch", "hosts", role=Role.VIEWER).out
    for word in ("1001, 1005", "port-channel11", "yes", "It does not answer.", "under way", "no switch is"):
        assert word in said
    assert "c2" not in run("switch", "hosts", "c1").out
    assert [a["host"] for a in run("switch", "hosts", "--json").json["items"]] == ["c1", "c2"]


def test_a_keeper_without_switches_is_no_error_of_ours(run: Run) -> None:
    answer = run("switch", "hosts")
    assert answer.code == 3
    assert "No switches are kept here" in answer.err
