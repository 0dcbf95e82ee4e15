"""The samples in deploy/neutron are what OpenStack's own generators make of our options and rules."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import sekisho

ROOT = Path(__file__).parents[2]
PROGRAMS = ROOT / ".make" / "openstack" / "bin"


@pytest.mark.parametrize(
    ("name", "program", "namespace"),
    [
        ("neutron.conf.sample", "oslo-config-generator", "sekisho.server"),
        ("openvswitch_agent.ini.sample", "oslo-config-generator", "sekisho.agent"),
        ("policy.yaml.sample", "oslopolicy-sample-generator", "sekisho"),
    ],
)
def test_a_sample_is_what_the_generator_says(name: str, program: str, namespace: str) -> None:
    argv = [str(PROGRAMS / program), "--namespace", namespace]
    env = os.environ | {"PYTHONPATH": str(Path(sekisho.__file__).parents[1])}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    assert done.returncode == 0, done.stderr
    file = ROOT / "deploy" / "neutron" / name
    hint = f"write it anew: {' '.join(argv)} --output-file {file.relative_to(ROOT)}"
    assert file.read_text() == done.stdout, hint
