"""The DevStack plugin, sourced as DevStack does, with DevStack's functions stood in and a real keeper."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from sekisho.app import settings
from sekisho.client import Client
from sekisho.model.access import Role

ROOT = Path(__file__).parents[3]
# What the plugin calls of DevStack's, each in the few words that matter here.
DEVSTACK = """
set -o errexit
function define_plugin { :; }
function enable_service { ENABLED_SERVICES+=",${*// /,}"; ENABLED_SERVICES=${ENABLED_SERVICES// /,}; }
function is_service_enabled {
    local each
    for each in "$@"; do [[ ,$ENABLED_SERVICES, == *,$each,* ]] && return 0; done
    return 1
}
function sudo { "$@"; }
function die { echo "$*"; exit 1; }
function told { echo "$*" >>"$TOLD"; }
function python3 {
    mkdir -p "$SEKISHO_VENV/bin"
    ln -sf "$PYTHON_BIN/sekisho" "$SEKISHO_VENV/bin/sekisho"
    ln -sf /bin/true "$SEKISHO_VENV/bin/pip"
    printf '#!/bin/sh\necho "python $*" >>"%s"\n' "$TOLD" >"$SEKISHO_VENV/bin/python"
    chmod +x "$SEKISHO_VENV/bin/python"
}
function pip_install { told pip_install "$@"; }
function run_process {
    told run_process "$1"
    [[ $1 == sekisho-keeper ]] || return 0
    $2 >"$DEST/keeper.log" 2>&1 &
    echo $! >"$DEST/keeper.pid"
}
function stop_process {
    told stop_process "$1"
    [[ $1 == sekisho-keeper ]] || return 0
    kill "$(cat "$DEST/keeper.pid")"
    while kill -0 "$(cat "$DEST/keeper.pid")" 2>/dev/null; do sleep 0.1; done
}
function wait_for_service {
    local n
    for n in $(seq "$1"); do
        "$PYTHON_BIN/python" -c "import urllib.request as u; u.urlopen('$2')" 2>/dev/null && return 0
        sleep 0.2
    done
    return 1
}
function neutron_service_plugin_class_add { told service_plugin "$1"; }
function plugin_agent_add_l2_agent_extension { told extension "$1"; }
function iniset { told "$1 [$2] $3 = $4"; }
function iniget { echo qos; }
function create_service_user { told create_service_user "$@"; }
function get_or_create_service { told get_or_create_service "$1" "$2"; }
function get_or_create_endpoint { told get_or_create_endpoint "$@"; }
source "$SEKISHO_DIR/devstack/settings"
source "$SEKISHO_DIR/devstack/plugin.sh" "$@"
"""


@dataclass
class DevStack:
    """One node's DevStack."""

    folder: Path
    port: int
    services: str = "key,q-svc,q-agt"

    def run(self, *words: str) -> list[str]:
        """Run one phase; gives what was told meanwhile."""
        told = self.folder / "told"
        told.write_text("")
        here = {
            "DEST": str(self.folder),
            "DATA_DIR": str(self.folder / "data"),
            "SEKISHO_DIR": str(ROOT),
            "SEKISHO_CONF_DIR": str(self.folder / "etc"),
            "SEKISHO_PORT": str(self.port),
            "SERVICE_HOST": "127.0.0.1",
            "SERVICE_PASSWORD": "secret",
            "SERVICE_TIMEOUT": "150",
            "SERVICE_PROJECT_NAME": "service",
            "SERVICE_DOMAIN_NAME": "Default",
            "KEYSTONE_SERVICE_URI": "http://127.0.0.1:9/identity",
            "REGION_NAME": "RegionOne",
            "STACK_USER": "root",
            "NEUTRON_CONF": "/etc/neutron/neutron.conf",
            "NEUTRON_CORE_PLUGIN_CONF": "etc/neutron/plugins/ml2/ml2_conf.ini",
            "Q_AGENT": "openvswitch",
            "ENABLED_SERVICES": self.services,
            "PYTHON_BIN": str(Path(sys.executable).parent),
            "TOLD": str(told),
        }
        done = subprocess.run(
            ["bash", "-c", DEVSTACK, "stack.sh", *words],
            env=os.environ | here,
            capture_output=True,
            text=True,
            timeout=110,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return told.read_text().splitlines()

    def stop(self) -> None:
        """End the keeper, if it runs."""
        with suppress(OSError, ValueError):
            os.kill(int((self.folder / "keeper.pid").read_text()), signal.SIGKILL)


@pytest.fixture
def devstack(tmp_path: Path) -> Iterator[DevStack]:
    if os.geteuid():
        pytest.skip("needs root")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    made = DevStack(tmp_path, port)
    yield made
    made.stop()


def test_a_node_with_everything(devstack: DevStack) -> None:
    assert f"pip_install --no-deps -e {ROOT}" in devstack.run("stack", "install")
    told = devstack.run("stack", "post-config")
    told += devstack.run("stack", "extra")
    etc = devstack.folder / "etc"
    for name, role in (("neutron", Role.CLOUD), ("agent", Role.AGENT), ("collector", Role.AGENT)):
        with Client(f"http://127.0.0.1:{devstack.port}", (etc / "tokens" / name).read_text()) as client:
            assert client.whoami().role is role
    assert settings.check(settings.load(etc / "sekisho.toml"))[1] == ()
    assert (etc / "keystone-password").stat().st_mode & 0o077 == 0
    ml2 = "/etc/neutron/plugins/ml2/ml2_conf.ini"
    for line in (
        "service_plugin sekisho",
        f"/etc/neutron/neutron.conf [sekisho] token_file = {etc}/tokens/neutron",
        f"{ml2} [agent] extensions = qos,sekisho",
        f"{ml2} [sekisho] token_file = {etc}/tokens/agent",
        f"{ml2} [sekisho] keeper_url = http://127.0.0.1:{devstack.port}",
        "create_service_user sekisho",
        "run_process sekisho-collector",
    ):
        assert line in told
    secret = (etc / "tokens" / "agent").read_text()
    devstack.run("unstack")
    devstack.run("stack", "post-config")
    assert (etc / "tokens" / "agent").read_text() == secret, "a second run makes no second token"
    assert devstack.run("unstack") == ["stop_process sekisho-collector", "stop_process sekisho-keeper"]
    devstack.services = "key"
    devstack.run("clean")
    assert not etc.exists()


def test_a_node_that_only_computes_keeps_nothing_of_ours(devstack: DevStack) -> None:
    """It has no settings file of the keeper's, and its switch is cleared all the same."""
    devstack.services = "n-cpu,q-agt"
    devstack.run("stack", "install")
    state = devstack.folder / "data" / "neutron" / "sekisho"
    state.mkdir(parents=True)
    assert devstack.run("clean") == ["python -m sekisho.host.clear --bridge br-int"]
    assert not state.exists()
    assert not (devstack.folder / "data" / "sekisho" / "venv").exists()


def test_every_option_of_neutrons_that_is_set_exists() -> None:
    guests = ROOT / "src" / "sekisho" / "guests" / "neutron"
    known = "".join((guests / name).read_text() for name in ("config.py", "agent_config.py"))
    options = re.findall(r"iniset \S+ sekisho (\w+)", (ROOT / "devstack" / "plugin.sh").read_text())
    assert options
    assert [each for each in options if f'"{each}"' not in known] == []


def test_its_shell_is_clean() -> None:
    shellcheck = shutil.which("shellcheck")
    if shellcheck is None:
        pytest.skip("needs shellcheck")
    files = [str(ROOT / "deploy" / "devstack" / name) for name in ("plugin.sh", "settings")]
    done = subprocess.run([shellcheck, "-s", "bash", *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
