"""Neutron-lib's own checks of API definitions, over ours, where Neutron is installed."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import sekisho

PYTHON = Path(__file__).parents[2] / ".make" / "openstack" / "bin" / "python"
# The tests stand in neutron-lib, and run in Neutron's environment; one holds for what is part of neutron-lib
# only: that its list of definitions names all the files in its folder.
CHECKS = """
import sys, types, unittest
from neutron_lib.tests.unit.api.definitions import base
from sekisho.guests.neutron import definition

class Ours(base.DefinitionBaseTestCase):
    extension_module = definition
    extension_resources = (definition.COLLECTION_NAME,)
    extension_attributes = tuple({a for m in definition.RESOURCE_ATTRIBUTE_MAP.values() for a in m})

    def test_all_api_definitions_list(self):
        self.skipTest("holds for neutron-lib's own definitions")

suite = unittest.defaultTestLoader.loadTestsFromTestCase(Ours)
result = unittest.TextTestRunner(stream=sys.stdout).run(suite)
print("ran", result.testsRun, "skipped", sorted(t.id().rpartition(".")[2] for t, _ in result.skipped))
sys.exit(not result.wasSuccessful())
"""
# Nothing of ours is checked by these: no standard attributes, no sub-resources, no actions, no needs.
SKIPPED = [
    "test_action_map",
    "test_action_status",
    "test_all_api_definitions_list",
    "test_is_standard_attr_extension",
    "test_optional_extensions",
    "test_required_extensions",
    "test_subresource_map",
]


def run(program: str) -> subprocess.CompletedProcess[str]:
    env = {
        **os.environ,
        "PYTHONPATH": f"{Path(sekisho.__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}",
    }
    return subprocess.run(
        [PYTHON, "-c", program], env=env, capture_output=True, text=True, timeout=120, check=False
    )


def test_the_definition_is_as_neutron_lib_wants_one() -> None:
    done = run(CHECKS)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"ran 9 skipped {SKIPPED}" in done.stdout


@pytest.mark.parametrize(
    "broken",
    [
        "['ports']['restrictions']['is_vissible'] = True",
        "['port_restrictions']['reason']['validate'] = {'type:no_such': None}",
        "['port_restrictions']['port_id']['allow_post'] = 'yes'",
    ],
)
def test_the_checks_see_what_is_wrong(broken: str) -> None:
    done = run(CHECKS.replace("class Ours", f"definition.RESOURCE_ATTRIBUTE_MAP{broken}\n\nclass Ours"))
    assert done.returncode == 1, done.stdout + done.stderr
