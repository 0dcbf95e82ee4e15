"""Every field and every method that octavia-lib has is carried, refused, or known to mean nothing here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

_PYTHON = Path(__file__).parents[2] / ".make" / "octavia" / "bin" / "python"
_ASK = """
import json
from octavia_lib.api.drivers import data_models, provider_base
from sekisho.guests.octavia import provider, refused
models = {n: sorted(vars(getattr(data_models, n)())) for n in
          ("LoadBalancer", "Listener", "Pool", "Member", "HealthMonitor")}
base = [n for n, v in vars(provider_base.ProviderDriver).items() if callable(v) and not n.startswith("_")]
ours = sorted(n for n in base if any(n in vars(c) for c in provider.LvsDriver.__mro__[:2]))
tables = {"LoadBalancer": [*refused.BALANCER], "Listener": [*refused.LISTENER], "Pool": [*refused.POOL]}
print(json.dumps([models, tables, sorted(base), ours]))
"""
# what becomes one of our nouns, or says where an object belongs
CARRIED = {
    "LoadBalancer": "admin_state_up availability_zone flavor listeners loadbalancer_id name pools project_id "
    "vip_address vip_network_id vip_port_id vip_subnet_id",
    "Listener": "admin_state_up allowed_cidrs connection_limit default_pool default_pool_id listener_id "
    "loadbalancer_id name protocol protocol_port timeout_client_data timeout_member_connect "
    "timeout_member_data timeout_tcp_inspect",
    "Pool": "admin_state_up healthmonitor lb_algorithm listener_id loadbalancer_id members name pool_id "
    "protocol session_persistence",
    "Member": "address admin_state_up backup member_id monitor_address monitor_port name pool_id "
    "protocol_port subnet_id vnic_type weight",
    "HealthMonitor": "admin_state_up delay domain_name expected_codes healthmonitor_id http_method "
    "http_version max_retries max_retries_down pool_id timeout type url_path",
}
# Octavia keeps these for itself, or fills them in for a reference that is refused
NOTHING = {
    "description",
    "project_id",
    "name",
    "default_tls_container_data",
    "sni_container_data",
    "client_ca_tls_container_data",
    "client_crl_container_data",
    "tls_container_data",
    "ca_tls_container_data",
    "crl_container_data",
}
# Octavia's own answer is the right one: there are no L7 policies to change.
LEFT_OUT = {
    "l7policy_delete",
    "l7policy_update",
    "l7rule_delete",
    "l7rule_update",
    "loadbalancer_failover_with_flavor",
}


@pytest.fixture(scope="module")
def surface() -> list[dict[str, list[str]]]:
    if not _PYTHON.exists():
        pytest.skip("needs Octavia: make check-octavia")
    done = subprocess.run([_PYTHON, "-W", "ignore", "-c", _ASK], capture_output=True, text=True, check=True)
    found: list[dict[str, list[str]]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("model", CARRIED)
def test_no_field_is_overlooked(surface: list[dict[str, list[str]]], model: str) -> None:
    models, refused, *_ = surface
    known = {*CARRIED[model].split(), *refused.get(model, ()), *NOTHING}
    assert set(models[model]) - known == set()
    assert set(refused.get(model, ())) <= set(models[model])


def test_no_method_is_overlooked(surface: list[dict[str, list[str]]]) -> None:
    *_, base, ours = surface
    assert set(base) - set(ours) == LEFT_OUT
