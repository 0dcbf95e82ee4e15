"""Tests of IPVS run in a virtual machine, whose kernel has it; here is only told how they went.

The same pytest runs there, with the same items, and writes a report of each to a serial line. On a machine
that has IPVS itself, SEKISHO_IPVS=here leaves all that out (root).
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.lab.vm.initramfs import SERIAL
from sekisho.lab.vm.kernel import find
from sekisho.lab.vm.machine import Machine, Order
from sekisho.model.errors import SekishoError
from support_ipvs import Bed

pytest.register_assert_rewrite("sekisho.testing.contract_balancer")

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
REPORTS = "SEKISHO_REPORTS"
THERE = os.environ.get("SEKISHO_IPVS") == "here"
# How long the machine may say nothing: one test, or its start.
SILENCE = 420.0


class Guest:
    """The machine, started by the first item."""

    def __init__(self, session: pytest.Session) -> None:
        self._session = session
        self._items = [i.nodeid for i in session.items if HERE in i.path.parents]
        self._folder = Path(tempfile.mkdtemp(prefix="sekisho-vm-"))
        self._machine: Machine | None = None
        self._lines: Iterator[str] = iter(())
        self.trouble = ""

    def start(self) -> None:
        kernel = find((ROOT / ".make/kernel/root").resolve())
        self._machine = Machine(kernel, self._folder)
        plugins = ("-p", "no:cacheprovider", "-p", "pytest_timeout", f"--timeout={SILENCE - 20}")
        stop = ("-x",) if self._session.config.getoption("maxfail") == 1 else ()
        argv = (sys.executable, "-m", "pytest", "-q", *stop, *plugins, *self._items)
        environment = {
            "SEKISHO_IPVS": "here",
            REPORTS: SERIAL,
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "PYTHONPATH": os.environ.get("PYTHONPATH", ""),
        }
        self._machine.boot(Order(argv, ROOT, environment))
        self._lines = self._machine.lines(SILENCE)

    def reports(self, item: pytest.Item) -> Iterator[pytest.TestReport]:
        """Give an item's reports as they come; the last one is of its end."""
        for line in self._lines:
            data = json.loads(line)
            report = self._session.config.hook.pytest_report_from_serializable(
                config=self._session.config, data=data
            )
            assert report.nodeid == item.nodeid, f"{report.nodeid} came for {item.nodeid}"
            yield report
            if report.when == "teardown":
                return
        self.trouble = f"The virtual machine ended.\n{self.output()}"

    def output(self) -> str:
        found = []
        for name in ("output", "console"):
            try:
                found.append((self._folder / name).read_text(errors="replace")[-4000:])
            except OSError:
                continue
        return "\n".join(found)

    def end(self) -> None:
        if self._machine is not None:
            self._machine.end()


GUEST: pytest.StashKey[Guest] = pytest.StashKey()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> object:
    """Let the item run in the machine, and tell its reports as if it had run here."""
    if THERE or HERE not in item.path.parents:
        return None
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item) -> Iterator[pytest.TestReport]:
    session = item.session
    first = GUEST not in session.stash
    guest = session.stash.setdefault(GUEST, Guest(session)) if first else session.stash[GUEST]
    if not guest.trouble:
        try:
            if first:
                guest.start()
            yield from guest.reports(item)
        except (SekishoError, ValueError, AssertionError) as error:
            said = error.fixer if isinstance(error, SekishoError) else error
            guest.trouble = f"{said}\n{guest.output()}"
    if guest.trouble:
        where = item.location
        yield pytest.TestReport(item.nodeid, where, {}, "failed", guest.trouble, "call")


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """In the machine: write the report to the serial line."""
    if REPORTS in os.environ and CONFIG:
        data = CONFIG[0].hook.pytest_report_to_serializable(config=CONFIG[0], report=report)
        with Path(os.environ[REPORTS]).open("w") as line:
            line.write(json.dumps(data) + "\n")


CONFIG: list[pytest.Config] = []


def pytest_configure(config: pytest.Config) -> None:
    CONFIG.append(config)


def pytest_sessionfinish(session: pytest.Session) -> None:
    if GUEST in session.stash:
        session.stash[GUEST].end()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not THERE:
        for item in items:
            if HERE in item.path.parents:
                item.add_marker(pytest.mark.timeout(0))  # counted in the machine


@pytest.fixture(scope="session")
def bed() -> Iterator[Bed]:
    made = Bed()
    try:
        made.start()
        yield made
    finally:
        made.stop()
