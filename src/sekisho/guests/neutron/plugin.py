"""The service plugin of neutron-server (``service_plugins = sekisho``): restrictions in Neutron's API.

It keeps nothing in Neutron's database: every answer is the keeper's, and whose it is, Neutron's own.
"""

from __future__ import annotations

import logging
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neutron.api import extensions
from neutron_lib import constants
from neutron_lib import context as neutron_context
from neutron_lib.api.definitions import port as port_definition
from neutron_lib.db import resource_extend
from neutron_lib.plugins import directory
from neutron_lib.services import base
from oslo_config import cfg

from sekisho.guests.neutron import changes, config, definition, listing, ports, sight, standing
from sekisho.guests.neutron import extensions as ours
from sekisho.guests.neutron.faults import RestrictionChanged, told
from sekisho.guests.neutron.nudge import Nudger
from sekisho.guests.neutron.resource import from_actions, to_resource, to_short
from sekisho.guests.neutron.snapshot import Snapshot
from sekisho.model.cloud import is_infrastructure
from sekisho.model.errors import Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

    from sekisho.model.restriction import Restriction

log = logging.getLogger(__name__)

extensions.append_api_extensions_path([str(Path(ours.__file__).parent)])


@resource_extend.has_resource_extenders
class SekishoPlugin(base.ServicePluginBase):
    """Answers ``/v2.0/port-restrictions`` and shows on each port what binds it."""

    supported_extension_aliases = (definition.ALIAS,)

    # Neutron looks for these by name: lists are sorted and cut here, as far as they are wanted.
    __native_pagination_support = True
    __native_sorting_support = True

    def __init__(self) -> None:
        super().__init__()
        self._client = config.OwnClient(config.register(cfg.CONF, config.KEEPER))
        self._nudger = Nudger()
        self.snapshot = Snapshot(self._client, to_short)
        self.ports = ports.PortNews(self._client, ports.read, ports.on_network)
        self.ports.subscribe()

    @classmethod
    def get_plugin_type(cls) -> str:
        """Name the plugin among Neutron's."""
        return definition.ALIAS

    def get_plugin_description(self) -> str:
        """Describe the plugin to operators."""
        return "What limits a port's traffic for a time (Sekisho)"

    @staticmethod
    @resource_extend.extends([port_definition.COLLECTION_NAME])
    def _show_on_port(shown: dict[str, Any], port: Any) -> None:
        sight.show_on_port(shown, port)

    # --- the resource, by the names that Neutron calls ---------------------------------------------

    def get_port_restrictions(
        self,
        context: Any,
        filters: Mapping[str, Sequence[Any]] | None = None,
        fields: Sequence[str] | None = None,
        sorts: Sequence[tuple[str, bool]] | None = None,
        limit: int | None = None,
        marker: str | None = None,
        page_reverse: bool | None = None,  # noqa: FBT001 - Neutron's names and order
    ) -> list[dict[str, Any]]:
        """List what restricts ports now (with a filter by state, what did), as far as the asker may see."""
        with told(reads=True):
            asked = listing.wanted(filters, sorts, limit, marker, reverse=page_reverse)
            found = self._found(context, asked)
            page = list(islice(found, asked.limit or None)) if asked.streams else asked.cut(list(found))
        return [_pick(shown, fields) for shown in page]

    def _found(self, context: Any, asked: listing.Wanted) -> Iterator[dict[str, Any]]:
        everybody = sight.sees_all(context)
        projects = asked.filters.get("project_id", frozenset())
        project = next(iter(projects)) if len(projects) == 1 else ""
        if not everybody:
            if not context.project_id or project not in {"", context.project_id}:
                return
            project = context.project_id
        owners = _owners(standing.ports(asked))
        for shown in standing.after(asked, standing.rows(self._client(), owners, project)):
            if asked.fits(shown):
                yield shown
        # Of a port that is named Neutron itself knows whose it is; the ledger may have been told too late.
        named = "port_id" in asked.filters
        entries = listing.entries(self._client(), asked, "" if named else project)
        while batch := list(islice(entries, asked.batch)):
            for entry, shown in self._shown(batch):
                mine = shown["project_id"] == project and entry.state not in listing.UNDECIDED
                if asked.fits(shown) and (everybody or mine):
                    yield shown

    def get_port_restriction(
        self,
        context: Any,
        id: str,  # noqa: A002 - Neutron's name for it
        fields: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Show one; what the asker may not see is not there."""
        if standing.is_one(id):
            found = self.get_port_restrictions(context, {"id": [id]}, fields)
            with told():
                if not found:
                    raise NotFound(f"There is no restriction {id!r}.")
            return found[0]
        with told(reads=True):
            ((entry, shown),) = self._shown([self._client().restriction(id)])
            decided = entry.state not in listing.UNDECIDED
            if not (sight.sees(context, shown["project_id"]) and (decided or sight.sees_all(context))):
                raise NotFound(f"There is no restriction {id!r}.")
        return _pick(shown, fields)

    def create_port_restriction(self, context: Any, port_restriction: Mapping[str, Any]) -> dict[str, Any]:
        """Restrict a port that exists."""
        body = _given(port_restriction)
        port = directory.get_plugin().get_port(context.elevated(), body["port_id"])
        with told():
            actions = from_actions(body.get("actions") or [])
            client = self._client()
            seconds = changes.duration(client, body)
            if not is_infrastructure(port):  # it may have been made just now
                client.report_port(ports.facts(port))
            made = client.impose(port["id"], actions, body["reason"], seconds)
        _log(context, "restricts", made)
        return self._changed(made, port["project_id"])

    def update_port_restriction(
        self,
        context: Any,
        id: str,  # noqa: A002 - Neutron's name for it
        port_restriction: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Let a restriction end at another time, lift it, approve or turn down a proposal."""
        with told():
            entry = self._present(context, id)
            made = changes.change(self._client(), entry, _given(port_restriction))
        _log(context, "changes", made)
        ((_, shown),) = self._shown([made])
        return self._changed(made, shown["project_id"])

    def delete_port_restriction(self, context: Any, id: str) -> None:  # noqa: A002 - Neutron's name for it
        """Lift a restriction; turn down a proposal."""
        with told():
            lifted = changes.end(self._client(), self._present(context, id))
        _log(context, "lifts", lifted)
        self._changed(lifted, "")

    # --- inside ------------------------------------------------------------------------------------

    def _present(self, context: Any, name: str) -> Restriction:
        """Find what is to be changed; where the asker says at which revision, only at that one."""
        if standing.is_one(name):
            raise Forbidden("A baseline stands in the policy files: whoever leaves its scope is free of it.")
        entry = self._client().restriction(name)
        constraint = context.get_transaction_constraint()
        if constraint is not None and constraint.if_revision_match != entry.revision:
            raise RestrictionChanged(constraint.if_revision_match, entry.revision)
        return entry

    def _changed(self, entry: Restriction, project: str) -> dict[str, Any]:
        self._nudger.nudge(entry.revision)
        self.snapshot.look()
        return to_resource(entry, project)

    @staticmethod
    def _shown(entries: Iterable[Restriction]) -> Iterator[tuple[Restriction, dict[str, Any]]]:
        """Show restrictions; whose each port is now, Neutron knows, and of one that is gone, the ledger."""
        listed = list(entries)
        owners = _owners({e.subject for e in listed})
        return ((e, to_resource(e, owners.get(e.subject, e.project))) for e in listed)


def _owners(named: Collection[str]) -> dict[str, str]:
    """Tell whose ports are now; those that are gone are left out."""
    if not named:
        return {}
    admin = neutron_context.get_admin_context()
    wanted = {"id": sorted(named)}
    found = directory.get_plugin().get_ports(admin, filters=wanted, fields=["id", "project_id"])
    return {p["id"]: p["project_id"] for p in found}


def _given(body: Mapping[str, Any]) -> dict[str, Any]:
    """Give what was said; Neutron fills in that the rest was not."""
    said = body[definition.RESOURCE_NAME].items()
    return {name: value for name, value in said if value is not constants.ATTR_NOT_SPECIFIED}


def _pick(shown: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    return {k: v for k, v in shown.items() if k in fields} if fields else shown


def _log(context: Any, what: str, entry: Restriction) -> None:
    """Say who asked Neutron: the keeper only knows Neutron, and customers read the reason."""
    log.info("%s %s port %s: %s", context.user_name or context.user_id, what, entry.subject, entry.id)
