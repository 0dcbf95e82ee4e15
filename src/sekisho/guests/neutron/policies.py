"""Who may do what with restrictions, as oslo.policy rules that operators can override.

There is no rule ``get_port:restrictions``: Neutron judges an attribute by the first port of a list and shows
or hides it on all of them. Whose restrictions a port shows is decided port by port, by the rule that
shows them anyway.
"""

from __future__ import annotations

from typing import Any, Final

from neutron_lib.policy import rules
from oslo_policy import policy

COLLECTION: Final = "/port-restrictions"
RESOURCE: Final = "/port-restrictions/{id}"


def _rule(name: str, check: str, description: str, *operations: tuple[str, str]) -> Any:
    return policy.DocumentedRuleDefault(
        name=name,
        check_str=check,
        description=description,
        operations=[{"method": method, "path": path} for method, path in operations],
        scope_types=["project"],
    )


def list_rules() -> list[Any]:
    """List the rules: administrators decide, a project sees its own."""
    return [
        _rule("create_port_restriction", rules.ADMIN, "Restrict a port for a time", ("POST", COLLECTION)),
        _rule(
            "get_port_restriction",
            rules.ADMIN_OR_PROJECT_READER,
            "See what restricts a port, why and until when, there and on the port itself",
            ("GET", COLLECTION),
            ("GET", RESOURCE),
            ("GET", "/ports"),
            ("GET", "/ports/{id}"),
        ),
        _rule(
            "update_port_restriction",
            rules.ADMIN,
            "Let a restriction end at another time, lift it, approve or turn down a proposal",
            ("PUT", RESOURCE),
        ),
        _rule(
            "delete_port_restriction",
            rules.ADMIN,
            "Lift a restriction, or turn down a proposal",
            ("DELETE", RESOURCE),
        ),
    ]
