"""The mechanism driver of ML2 (``mechanism_drivers = openvswitch,sekisho_switch``): VLANs on switch ports.

It binds nothing: it hears what others bind, and lets the keeper know which VLANs each host is in.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from neutron.objects import network as network_objects
from neutron.objects import ports as port_objects
from neutron_lib import context as neutron_context
from neutron_lib.plugins import directory
from neutron_lib.plugins.ml2 import api
from oslo_config import cfg

from sekisho.guests.neutron import config
from sekisho.guests.neutron.vlans import VlanNews
from sekisho.model.attachment import HostVlan, HostVlans

if TYPE_CHECKING:
    from collections.abc import Collection

log = logging.getLogger(__name__)

VLAN: Final = "vlan"


class SekishoSwitchDriver(api.MechanismDriver):
    """Hears of ports as they are bound, moved and deleted; nothing here asks anybody, and nothing raises."""

    @property
    def connectivity(self) -> str:
        """Say that ports without addresses concern us, too; those who bind them say it for themselves."""
        return "l2"

    def initialize(self) -> None:
        """Read the settings."""
        options = config.register(cfg.CONF, [*config.KEEPER, *config.SWITCHES])
        self._networks = frozenset(options.switch_physical_networks)
        self.news = VlanNews(config.OwnClient(options), self._read, all_hosts, every=options.switch_resync)

    def _read(self, host: str) -> HostVlans:
        return read(host, self._networks)

    def create_port_postcommit(self, context: Any) -> None:
        """Hear of a port that may be bound already."""
        self._heard(context)

    def update_port_postcommit(self, context: Any) -> None:
        """Hear of a port that was bound, moved or let go."""
        self._heard(context)

    def delete_port_postcommit(self, context: Any) -> None:
        """Hear of a port that is gone."""
        self._heard(context)

    def bind_port(self, context: Any) -> None:
        """Hear that a port is to be bound, and leave it to the others.

        Ahead of them in the list this is heard of a live migration's new host before the server moves.
        """
        try:
            if self._concerned(context) and context.host:
                self.news.binding(context.host)
        except Exception:
            log.exception("a port's binding was not heard")

    def _heard(self, context: Any) -> None:
        # What is raised here would undo the customer's port, and the next comparison mends what is lost.
        try:
            if self._concerned(context):
                self.news.changed(context.host or "", context.original_host or "")
        except Exception:
            log.exception("a port was not heard of")

    def _concerned(self, context: Any) -> bool:
        return any(self._ours(s) for s in context.network.network_segments)

    def _ours(self, segment: Any) -> bool:
        return ours(segment["network_type"], segment["physical_network"], self._networks)


def ours(kind: str, physical: str | None, networks: Collection[str]) -> bool:
    """Tell whether a segment is a VLAN of a physical network that our switches carry."""
    return kind == VLAN and (not networks or physical in networks)


def read(host: str, networks: Collection[str]) -> HostVlans:
    """Read a host's VLANs from Neutron's database: of every port that is bound there, or about to be."""
    admin = neutron_context.get_admin_context()
    bound = set(port_objects.PortBindingLevel.get_values(admin, "segment_id", host=host)) - {None}
    if not bound:
        return HostVlans()
    segments = network_objects.NetworkSegment.get_objects(admin, id=sorted(bound))
    mine = [s for s in segments if ours(s.network_type, s.physical_network, networks) and s.segmentation_id]
    names = _names(admin, {s.network_id for s in mine})
    # Two physical networks may use an id for networks of their own; on the switch it is one VLAN.
    by_id = {s.segmentation_id: s.network_id for s in sorted(mine, key=lambda s: s.network_id, reverse=True)}
    return HostVlans(tuple(HostVlan(i, names.get(n, ""), n) for i, n in sorted(by_id.items())))


def _names(admin: Any, networks: Collection[str]) -> dict[str, str]:
    if not networks:
        return {}
    found = directory.get_plugin().get_networks(admin, {"id": sorted(networks)}, ["id", "name"])
    return {n["id"]: n["name"] or "" for n in found}


def all_hosts() -> set[str]:
    """List every host on which a port is bound."""
    return set(port_objects.PortBindingLevel.get_values(neutron_context.get_admin_context(), "host"))
