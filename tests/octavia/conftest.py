"""One real Octavia for all the tests here; its logs are kept, and named, when one of them fails."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sekisho.lab.octavia import Octavia
from sekisho.lab.openstack.shell import namespaces
from support_octavia import Bed, bed

_ENVIRONMENT = Path(__file__).parents[2] / ".make" / "octavia"


@pytest.fixture(scope="session")
def octavia(request: pytest.FixtureRequest) -> Iterator[Octavia]:
    """Give a running Octavia."""
    if os.geteuid():
        pytest.skip("needs root")
    if not (_ENVIRONMENT / "bin" / "octavia-api").exists():
        pytest.skip("needs Octavia: make check-octavia")
    made = bed(Path(tempfile.mkdtemp(prefix="sekisho-octavia-")) / "stack", _ENVIRONMENT)
    failed = -1  # it counts as one when nothing starts
    try:
        made.start()
        failed = request.session.testsfailed
        yield made
    finally:
        made.stop()
        assert namespaces(made.place.prefix) == []
        if request.session.testsfailed > failed:
            sys.stderr.write(f"\nThe logs are in {made.place.logs}\n")
        else:
            shutil.rmtree(made.folder.parent)


@pytest.fixture
def there(octavia: Octavia) -> Iterator[Bed]:
    """Give Octavia with directors that carry all; what a test has made goes with it."""
    made = Bed(octavia)
    try:
        yield made
    finally:
        made.stop()
