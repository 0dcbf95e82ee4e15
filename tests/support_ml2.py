"""A Neutron without its services: the real ML2 plugin over SQLite, asked by one line of JSON at a time.

A program for the Python that Neutron is installed in: ``python support_ml2.py FOLDER KEEPER_URL``. A question
is a list, the name of one of `Cloud`'s methods and its arguments; the answer is JSON too.
"""

from __future__ import annotations

import datetime as dt
import json
import sys
import uuid
import warnings
from pathlib import Path
from typing import Any

SETTINGS = """
[DEFAULT]
core_plugin = ml2
transport_url = fake://
state_path = {folder}
notify_nova_on_port_status_changes = False
notify_nova_on_port_data_changes = False
dhcp_agent_notification = False
[oslo_concurrency]
lock_path = {folder}/lock
[database]
connection = sqlite:///{folder}/neutron.db
[quotas]
quota_driver = neutron.db.quota.driver_null.DbQuotaDriverNull
[ml2]
type_drivers = vlan,vxlan
project_network_types = vlan
mechanism_drivers = sekisho_switch,openvswitch
extension_drivers =
[ml2_type_vlan]
network_vlan_ranges = physnet1:100:199
[ml2_type_vxlan]
vni_ranges = 1:1000
[sekisho]
keeper_url = {url}
token_file = {folder}/token
timeout = 5
"""
PROJECT = "a" * 32
OVS = {
    "agent_type": "Open vSwitch agent",
    "binary": "neutron-openvswitch-agent",
    "topic": "N/A",
    "start_flag": True,
    "configurations": {
        "bridge_mappings": {"physnet1": "br-ex"},
        "tunnel_types": ["vxlan"],
        "datapath_type": "system",
        "ovs_capabilities": {"datapath_types": ["system"], "iface_types": []},
    },
}


class Cloud:
    """Two hosts whose agents live, as far as the plugin knows."""

    def __init__(self, plugin: Any, context: Any, unset: object) -> None:
        self.plugin = plugin
        self.context = context
        self.unset = unset
        for host in ("h1", "h2"):
            now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
            plugin.create_or_update_agent(context, {**OVS, "host": host}, now)

    def _owned(self, **fields: Any) -> dict[str, Any]:
        return {"project_id": PROJECT, "tenant_id": PROJECT, "name": "", "admin_state_up": True, **fields}

    def network(self, kind: str) -> dict[str, Any]:
        """Make a network, `vlan` or `vxlan`."""
        unset = self.unset
        provider = {"provider:network_type": kind, "provider:segmentation_id": unset}
        provider["provider:physical_network"] = "physnet1" if kind == "vlan" else unset
        more: dict[str, Any] = {"shared": False, "mtu": 0, "vlan_transparent": None}
        more |= {"router:external": False, "is_default": False, "availability_zone_hints": []}
        made = self.plugin.create_network(self.context, {"network": self._owned(**provider, **more)})
        return {"id": made["id"], "vlan": made["provider:segmentation_id"]}

    def port(self, network: str, host: str) -> str:
        """Make a server's port that is bound to a host."""
        fields: dict[str, Any] = {
            "network_id": network,
            "device_id": str(uuid.uuid4()),
            "device_owner": "compute:nova",
        }
        unset = ("mac_address", "binding:profile", "allowed_address_pairs", "port_security_enabled")
        fields |= dict.fromkeys(unset, self.unset)
        lists: dict[str, Any] = {"fixed_ips": [], "security_groups": []}
        bound = {"binding:host_id": host, "binding:vnic_type": "normal"}
        made = self.plugin.create_port(self.context, {"port": self._owned(**fields, **lists, **bound)})
        return str(made["id"])

    def ahead(self, port: str, host: str) -> None:
        """Bind a port to a second host, as before a live migration."""
        binding = {"host": host, "vnic_type": "normal", "profile": {}}
        self.plugin.create_port_binding(self.context, port, {"binding": binding})

    def activate(self, port: str, host: str) -> None:
        """Let the second binding be the one in force, as when the server has moved."""
        self.plugin.activate(self.context, host, port)

    def back(self, port: str, host: str) -> None:
        """Let a second binding go."""
        self.plugin.delete_port_binding(self.context, host, port)

    def move(self, port: str, host: str) -> None:
        """Bind a port to another host."""
        self.plugin.update_port(self.context, port, {"port": {"binding:host_id": host}})

    def delete(self, port: str) -> None:
        """Delete a port."""
        self.plugin.delete_port(self.context, port)


def begin(folder: Path, url: str) -> Cloud:
    """Start the plugin as Neutron's server does, over tables made from its own models."""
    from neutron import manager
    from neutron.common import config
    from neutron.db.migration.models import head
    from neutron_lib import constants, context
    from neutron_lib.db import api, model_base
    from neutron_lib.plugins import directory

    file = folder / "neutron.conf"
    file.write_text(SETTINGS.format(folder=folder, url=url))
    config.register_common_config_options()
    config.init(["--config-file", str(file)])
    admin = context.Context(user_id="u", project_id=PROJECT, is_admin=True)
    assert head, "importing it is what makes all models known"
    with api.CONTEXT_WRITER.using(admin):
        engine = admin.session.get_bind()
    model_base.BASEV2.metadata.create_all(engine)
    manager.init()
    return Cloud(directory.get_plugin(), admin, constants.ATTR_NOT_SPECIFIED)


def main() -> None:
    """Answer until the questions end."""
    warnings.simplefilter("ignore")
    cloud = begin(Path(sys.argv[1]), sys.argv[2])
    sys.stdout.write("\n[]\n")
    sys.stdout.flush()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps([getattr(cloud, name)(*arguments)]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
