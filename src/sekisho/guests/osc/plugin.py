"""What the ``openstack`` command asks of a plugin (``openstack.cli.extension``), by the names it asks for."""

from __future__ import annotations

from typing import Any, Final

DEFAULT_API_VERSION: Final = "2"
API_VERSION_OPTION: Final = "os_sekisho_api_version"
# The commands stand in the entry points `openstack.<API_NAME>.v<version>`.
API_NAME: Final = "sekisho"
API_VERSIONS: Final = {"2": "sekisho.guests.osc.plugin"}  # releases before tuples want a dict


def make_client(instance: Any) -> Any:
    """Give the client that commands ask through: restrictions are part of Neutron's API."""
    return instance.sdk_connection.network


def build_option_parser(parser: Any) -> Any:
    """Add global options: none, there is one version of us."""
    return parser
