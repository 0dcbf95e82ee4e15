"""The emulated Nexus judged by tools of others: napalm, netmiko, and Ansible's resource modules."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

import support_ansible
from support_peers import BIN, Program


def test_napalm_looks_compares_commits_and_fails_as_on_a_nexus(program: Program) -> None:
    found = program("program_napalm.py")
    assert found["facts"]["os_version"] == "9.3(10)"
    assert found["facts"]["interface_list"][:2] == ["Ethernet1/1", "Ethernet1/2"]
    assert "switchport access vlan 30" in found["first diff"]
    assert found["second diff"] == ""
    assert "frobnicate" in found["bad command"]
    assert found["vlans"]["30"] == {"name": "db", "interfaces": ["Ethernet1/5"]}
    assert "40" not in found["vlans"]
    assert found["users"]["admin"]["level"] == 15
    assert found["interface"]["description"] == "to a server"
    assert "  switchport access vlan 30\n" in found["startup"]
    assert found["bad login"]


def test_netmiko_configures_saves_copies_and_fails_as_on_a_nexus(program: Program) -> None:
    found = program("program_netmiko.py")
    assert found["prompt"] == "leaf#"
    assert found["version"] == "9.3(10)"
    assert {(vlan["vlan_id"], vlan["vlan_name"]) for vlan in found["vlans"]} == {
        ("1", "default"),
        ("10", "web"),
    }
    assert "  switchport access vlan 10" in found["interface"]
    assert "Copy complete" in found["saved"]
    assert "Invalid command" in found["bad command"]
    assert "vlan 4000, matched error: ERROR" in found["bad vlan"]
    assert "vlan 77" in found["copied"]
    assert "Authentication" in found["bad login"]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ansibles_modules_change_something_once(switch: dict[str, Any], tmp_path: Path) -> None:
    """Each case runs twice: the first time it does what was asked for, the second nothing."""
    (tmp_path / "play.json").write_text(json.dumps(support_ansible.playbook(switch["port"])))
    env = {**os.environ, "ANSIBLE_HOME": str(tmp_path), "ANSIBLE_STDOUT_CALLBACK": "ansible.posix.json"}
    env |= {"ANSIBLE_LOCALHOST_WARNING": "0", "ANSIBLE_DEPRECATION_WARNINGS": "0"}
    argv = [str(BIN / "ansible-playbook"), "-i", "leaf,", "play.json"]
    done = subprocess.run(
        argv, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=880, check=False
    )
    told = json.loads(done.stdout[done.stdout.index("{") :])
    changed = {
        task["task"]["name"]: task["hosts"]["leaf"].get("changed") or task["hosts"]["leaf"].get("msg", "")
        for task in told["plays"][0]["tasks"]
    }
    names = [name for name, _module, _arguments in support_ansible.CASES]
    assert {name: changed.get(f"{name}, first") for name in names} == dict.fromkeys(names, True)
    assert {name: changed.get(f"{name}, again") for name in names} == dict.fromkeys(names, "")
    assert done.returncode == 0
