"""The service plugin of neutron-server (``service_plugins = sekisho``): restrictions in Neutron's API.

It keeps nothing in Neutron's database: every answer is the keeper's, and whose it is, Neutron's own.
"""

from __future__ import annotations

import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from neutron.api import extensions
from neutron_lib import context as neutron_context
from neutron_lib.api.definitions import port as port_definition
from neutron_lib.db import resource_extend
from neutron_lib.plugins import directory
from neutron_lib.services import base
from oslo_config import cfg

from sekisho.guests.neutron import config, definition
from sekisho.guests.neutron import extensions as ours
from sekisho.guests.neutron.faults import RestrictionNotFound, told
from sekisho.guests.neutron.nudge import Nudger
from sekisho.guests.neutron.resource import from_actions, to_resource, to_short
from sekisho.guests.neutron.snapshot import Snapshot
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sekisho.client import Client
    from sekisho.model.restriction import Restriction

log = logging.getLogger(__name__)

extensions.append_api_extensions_path([str(Path(ours.__file__).parent)])

# What a list without a filter by state shows.
PRESENT: Final = (State.ACTIVE, State.PROPOSED)
_PAGE: Final = 1000


@resource_extend.has_resource_extenders
class SekishoPlugin(base.ServicePluginBase):
    """Answers ``/v2.0/port-restrictions`` and shows on each port what binds it."""

    supported_extension_aliases = (definition.ALIAS,)

    def __init__(self) -> None:
        super().__init__()
        self._options = config.register(cfg.CONF, config.KEEPER)
        self._made: Client | None = None
        self._lock = threading.Lock()
        self._nudger = Nudger()
        self.snapshot = Snapshot(self._client, to_short)

    @classmethod
    def get_plugin_type(cls) -> str:
        """Name the plugin among Neutron's."""
        return definition.ALIAS

    def get_plugin_description(self) -> str:
        """Describe the plugin to operators."""
        return "What limits a port's traffic for a time (Sekisho)"

    def _client(self) -> Client:
        with self._lock:
            if self._made is None:
                try:
                    self._made = config.client(self._options)
                except OSError as error:
                    raise Unavailable("The keeper cannot be asked.", f"[sekisho]: {error}.") from error
            return self._made

    @staticmethod
    @resource_extend.extends([port_definition.COLLECTION_NAME])
    def _show_on_port(shown: dict[str, Any], port: Any) -> None:
        """Show on a port what binds it, null while nobody knows; never waits."""
        plugin = directory.get_plugin(definition.ALIAS)
        shown[definition.ATTRIBUTE] = plugin.snapshot.of(port["id"]) if plugin else None

    # --- the resource, by the names that Neutron calls ---------------------------------------------

    def get_port_restrictions(
        self,
        context: Any,
        filters: Mapping[str, Sequence[Any]] | None = None,
        fields: Sequence[str] | None = None,
        **_paging: Any,  # Neutron sorts and pages what we give
    ) -> list[dict[str, Any]]:
        """List what restricts ports now (and, with a filter by state, what did), of the asker's own ports."""
        wanted = {k: {str(v) for v in vs} for k, vs in (filters or {}).items() if vs}
        with told():
            shown = self._shown(context, self._asked(wanted))
        return [_pick(s, fields) for s in shown if all(str(s.get(k)) in vs for k, vs in wanted.items())]

    def _asked(self, wanted: Mapping[str, set[str]]) -> list[Restriction]:
        known = [s.value for s in State]
        states = tuple(State(s) for s in sorted(wanted.get("state", ())) if s in known)
        if wanted.get("state") and not states:
            raise Malformed(f"state is one of {', '.join(known)}.")
        if "id" in wanted:
            states = states or tuple(State)
        ports = sorted(wanted.get("port_id", {""}))
        found: list[Restriction] = []
        for port in ports if len(ports) == 1 else [""]:
            found += self._client().restrictions(subject=port, states=states or PRESENT, limit=_PAGE)
        return found

    def get_port_restriction(
        self,
        context: Any,
        id: str,  # noqa: A002 - Neutron's name for it
        fields: Sequence[str] | None = None,
    ) -> dict[str, Any]:
        """Show one; what is another project's is not there."""
        with told():
            shown = self._shown(context, [self._client().restriction(id)])
        if not shown:
            raise RestrictionNotFound(said=f"There is no restriction {id!r}.")
        return _pick(shown[0], fields)

    def create_port_restriction(self, context: Any, port_restriction: Mapping[str, Any]) -> dict[str, Any]:
        """Restrict a port that exists."""
        body = port_restriction[definition.RESOURCE_NAME]
        port = directory.get_plugin().get_port(context.elevated(), body["port_id"])
        with told():
            actions = from_actions(body.get("actions") or [])
            made = self._client().impose(port["id"], actions, body["reason"], float(body["duration"]))
        _log(context, "restricts", made)
        return self._changed(made, port["project_id"])

    def update_port_restriction(
        self,
        context: Any,
        id: str,  # noqa: A002 - Neutron's name for it
        port_restriction: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Let a restriction end `duration` seconds from now."""
        body = port_restriction[definition.RESOURCE_NAME]
        with told():
            if "duration" not in body:
                raise Malformed("Say for how long from now: duration, in seconds.")
            made = self._client().extend(id, float(body["duration"]), body.get("reason") or "changed")
        _log(context, "changes the end of", made)
        return self._changed(made, self._owners([made]).get(made.subject, made.project))

    def delete_port_restriction(self, context: Any, id: str) -> None:  # noqa: A002 - Neutron's name for it
        """Lift a restriction."""
        with told():
            lifted = self._client().lift(id, "lifted through Neutron")
        _log(context, "lifts", lifted)
        self._changed(lifted, "")

    # --- inside ------------------------------------------------------------------------------------

    def _changed(self, entry: Restriction, project: str) -> dict[str, Any]:
        self._nudger.nudge(entry.revision)
        self.snapshot.look()
        return to_resource(entry, project)

    def _shown(self, context: Any, entries: Sequence[Restriction]) -> list[dict[str, Any]]:
        """Show what the asker may see: an administrator all, anybody else what is on the project's ports."""
        owners = self._owners(entries)
        shown = [to_resource(e, owners.get(e.subject, e.project)) for e in entries]
        if context.is_admin:
            return shown
        return [s for s in shown if s["project_id"] and s["project_id"] == context.project_id]

    @staticmethod
    def _owners(entries: Iterable[Restriction]) -> dict[str, str]:
        """Tell whose each port is now; who owned one that is gone, the ledger knows."""
        ports = sorted({e.subject for e in entries})
        if not ports:
            return {}
        admin = neutron_context.get_admin_context()
        found = directory.get_plugin().get_ports(admin, filters={"id": ports}, fields=["id", "project_id"])
        return {p["id"]: p["project_id"] for p in found}


def _pick(shown: dict[str, Any], fields: Sequence[str] | None) -> dict[str, Any]:
    return {k: v for k, v in shown.items() if k in fields} if fields else shown


def _log(context: Any, what: str, entry: Restriction) -> None:
    """Say who asked Neutron: the keeper only knows Neutron, and customers read the reason."""
    log.info("%s %s port %s: %s", context.user_name or context.user_id, what, entry.subject, entry.id)
