"""Who may see what restricts whose ports: Neutron's policy says so, rule by rule, project by project."""

from __future__ import annotations

import logging
from typing import Any, Final

from neutron import policy
from neutron_lib.plugins import directory
from oslo_context import context as oslo_context

from sekisho.guests.neutron import definition

log = logging.getLogger(__name__)

GET: Final = f"get_{definition.RESOURCE_NAME}"
# No project is called so: who may see this may see every project's.
_ANYBODY: Final = "*"


def sees(context: Any, project: str) -> bool:
    """Tell whether somebody may see what restricts a project's ports."""
    whose = {"project_id": project, "tenant_id": project}
    return bool(policy.check(context, GET, whose, pluralized=definition.COLLECTION_NAME))


def sees_all(context: Any) -> bool:
    """Tell whether somebody may see what restricts anybody's ports."""
    return bool(context.is_admin) or sees(context, _ANYBODY)


def show_on_port(shown: dict[str, Any], port: Any) -> None:
    """Show on a port what binds it; null while nobody knows, and to whom it is no business. Never waits.

    Whatever goes wrong here is no reason to refuse anybody a port.
    """
    shown[definition.ATTRIBUTE] = None
    try:
        plugin = directory.get_plugin(definition.ALIAS)
        if plugin is not None and _may_know(port["project_id"]):
            shown[definition.ATTRIBUTE] = plugin.snapshot.of(port["id"])
    except Exception:
        log.exception("cannot show what binds port %s", shown.get("id"))


def _may_know(project: str) -> bool:
    """Tell whether the one who asks now may; Neutron itself may, wherever no request is under way."""
    asker = oslo_context.get_current()
    if asker is None or getattr(asker, "is_admin", False):
        return True
    return sees(asker, project)
