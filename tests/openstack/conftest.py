"""One real OpenStack for all the tests here; its logs are kept, and named, when one of them fails."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.lab.openstack.settings import StackSettings
from sekisho.lab.openstack.shell import namespaces
from sekisho.lab.openstack.stack import Stack, remove_leftovers
from support_stack import processes_in

_ENVIRONMENTS = Path(__file__).parents[2] / ".make"
_NAME = "sekisho-openstack-"


def settings(folder: Path) -> StackSettings:
    """Give the settings of a stack in a folder, with the environments that `make` prepared."""
    return StackSettings(folder, _ENVIRONMENTS / "openstack", _ENVIRONMENTS / "gnocchi", sekisho=True)


@pytest.fixture(scope="session")
def stack(request: pytest.FixtureRequest) -> Iterator[Stack]:
    """Give a running stack; whatever the tests leave in it goes with it."""
    if os.geteuid():
        pytest.skip("needs root")
    parent = Path(tempfile.gettempdir())
    remove_leftovers(parent, f"{_NAME}*", lambda folder: Stack(settings(folder)))
    made = Stack(settings(Path(tempfile.mkdtemp(prefix=_NAME, dir=parent))))
    failed = -1  # it counts as one when nothing starts
    try:
        made.start()
        failed = request.session.testsfailed
        yield made
    finally:
        made.stop()
        assert namespaces(made.place.prefix) == []
        assert processes_in(made.folder) == []
        if request.session.testsfailed > failed:
            sys.stderr.write(f"\nThe logs of the stack are in {made.place.logs}\n")
        else:
            shutil.rmtree(made.folder)


@pytest.fixture
def tidy(stack: Stack) -> Iterator[None]:
    """Take away what a test has made in the stack."""
    yield
    for host in stack.hosts.values():
        for vm in tuple(host.vms.values()):
            stack.unplug(vm)
    stack.make.clear()
