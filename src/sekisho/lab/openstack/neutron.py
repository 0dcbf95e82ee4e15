"""Neutron's server: the API under uwsgi, and the process that speaks with the agents."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.lab.openstack import database, keeper, keystone, messages
from sekisho.lab.openstack.files import ini
from sekisho.lab.openstack.settings import PHYSNET
from sekisho.lab.openstack.shell import call, enter

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service
    from sekisho.lab.openstack.settings import Ini


def shared(place: Place) -> Path:
    """Say where the settings stand that server and agents share."""
    return place.folder / "neutron" / "neutron.conf"


def _ml2(place: Place) -> Path:
    return place.folder / "neutron" / "ml2.ini"


def write_settings(place: Place, plugins: tuple[str, ...]) -> None:
    """Write the server's settings."""
    folder = place.room("neutron")
    base: Ini = {
        "DEFAULT": {
            "core_plugin": "ml2",
            "service_plugins": plugins,
            "auth_strategy": "keystone",
            "transport_url": messages.URL,
            "state_path": folder,
            "api_paste_config": place.settings.openstack / "etc" / "neutron" / "api-paste.ini",
            "rpc_workers": 1,
            "rpc_state_report_workers": 0,
            "notify_nova_on_port_status_changes": False,
            "notify_nova_on_port_data_changes": False,
            "dhcp_agent_notification": False,
        },
        "database": {"connection": database.url("neutron")},
        "keystone_authtoken": keystone.authtoken("neutron"),
        "oslo_concurrency": {"lock_path": folder / "lock"},
        # `env` runs what follows it: there is no sudo to go through. Empty would mean sudo.
        "agent": {"root_helper": "env", "report_interval": 10},
        # A broker that comes back is found again soon.
        "oslo_messaging_rabbit": {"rabbit_interval_max": 2, "heartbeat_timeout_threshold": 10},
        "quotas": {"quota_port": -1, "quota_network": -1, "quota_subnet": -1, "quota_security_group": -1},
    }
    ours = keeper.options(place, "neutron") if keeper.NAME in plugins else {}
    ini(shared(place), base, ours, place.settings.added.get("neutron", {}))
    switch: Ini = {
        "ml2": {
            "type_drivers": ("flat", "vlan", "vxlan", "local"),
            "project_network_types": "vxlan",
            # Ahead of who binds: so it hears of a new host before the server moves there.
            "mechanism_drivers": ("sekisho_switch", "openvswitch") if ours else "openvswitch",
            "extension_drivers": ("port_security", "qos"),
        },
        "ml2_type_vxlan": {"vni_ranges": "1:1000"},
        "ml2_type_vlan": {"network_vlan_ranges": f"{PHYSNET}:100:199"},
        "ml2_type_flat": {"flat_networks": "*"},
    }
    ini(_ml2(place), switch)


def migrate(place: Place) -> None:
    """Make its tables."""
    manage = str(place.settings.openstack / "bin" / "neutron-db-manage")
    files = ("--config-file", str(shared(place)), "--config-file", str(_ml2(place)))
    call(*enter(place.controller), manage, *files, "upgrade", "heads", timeout=180.0)


def start(place: Place) -> tuple[Service, Service]:
    """Start both processes; returns when the API answers and the other has its children."""
    venv = place.settings.openstack
    where = {"OS_NEUTRON_CONFIG_FILES": f"{shared(place)};{_ml2(place)}", "PATH": str(venv / "bin")}
    words = ["--module", "neutron.wsgi.api:application"]
    api = place.wsgi("neutron-api", "network", venv, words, environment=where)
    files = ("--config-file", str(shared(place)), "--config-file", str(_ml2(place)))
    rpc = place.service(
        "neutron-rpc",
        [str(venv / "bin" / "neutron-rpc-server"), *files],
        lambda: _has_children(rpc),
        environment={"PATH": str(venv / "bin")},
        patience=2.0,
    )
    for each in (api, rpc):
        each.launch()
    for each in (api, rpc):
        each.await_ready()
    return api, rpc


def _has_children(service: Service) -> bool:
    return call("ps", "-o", "pid=", "--ppid", str(service.pid)) != ""
