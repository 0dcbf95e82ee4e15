"""The API extension ``port-restrictions``, as neutron-lib wants an extension described: data only.

Names and keys follow neutron-lib's API definitions (its ``api_extensions`` contributor guide).
"""

from __future__ import annotations

from typing import Any, Final

from neutron_lib import constants
from neutron_lib.api import converters

from sekisho.guests.neutron import changes

RESOURCE_NAME: Final = "port_restriction"
COLLECTION_NAME: Final = "port_restrictions"
ATTRIBUTE: Final = "restrictions"

ALIAS: Final = "port-restrictions"
IS_SHIM_EXTENSION: Final = False
IS_STANDARD_ATTR_EXTENSION: Final = False
NAME: Final = "Port restrictions"
API_PREFIX: Final = ""
DESCRIPTION: Final = "What limits a port's traffic for a time, why, since when and until when"
UPDATED_TIMESTAMP: Final = "2026-11-25T00:00:00-00:00"

_MOST_REASON: Final = 500
_SHOWN: Final[dict[str, Any]] = {"allow_post": False, "allow_put": False, "is_visible": True}
_FOUND_BY: Final[dict[str, Any]] = {"is_filter": True, "is_sort_key": True}
_GIVEN: Final[dict[str, Any]] = {"allow_post": True, "allow_put": False, "is_visible": True}
_SECONDS: Final[dict[str, Any]] = {"type:range": [1, changes.LONGEST]}
_TEXT: Final[dict[str, Any]] = {"type:not_empty_string": _MOST_REASON}

RESOURCE_ATTRIBUTE_MAP: Final[dict[str, dict[str, dict[str, Any]]]] = {
    COLLECTION_NAME: {
        # No sort key: ids grow with time, so their order is that of created_at.
        "id": {**_SHOWN, "is_filter": True, "validate": {"type:string": None}, "primary_key": True},
        "port_id": {**_GIVEN, **_FOUND_BY, "validate": {"type:uuid": None}},
        "project_id": {
            **_GIVEN,
            **_FOUND_BY,
            "validate": {"type:string": 255},
            "required_by_policy": True,
        },
        # An empty list is a warning: it is told, and nothing is limited. What is in it, `resource` looks at.
        "actions": {**_GIVEN, "default": []},
        "reason": {**_GIVEN, "allow_put": True, "validate": _TEXT},
        "duration": {
            **_GIVEN,
            "allow_put": True,
            "default": constants.ATTR_NOT_SPECIFIED,
            "convert_to": converters.convert_to_int,
            "validate": _SECONDS,
        },
        # In a PUT: active approves a proposal, rejected turns it down, lifted frees the port.
        "state": {
            **_SHOWN,
            **_FOUND_BY,
            "allow_put": True,
            "validate": {"type:values": list(changes.STATES)},
        },
        "policy": {**_SHOWN, **_FOUND_BY},
        "origin": {**_SHOWN, **_FOUND_BY},
        "offence": _SHOWN,
        "evidence": _SHOWN,
        "created_at": {**_SHOWN, "is_sort_key": True},
        "in_force_at": _SHOWN,
        "expires_at": {
            **_GIVEN,
            "allow_put": True,
            "is_sort_key": True,
            "default": constants.ATTR_NOT_SPECIFIED,
            "validate": {"type:not_empty_string": 40},
        },
        "ended_at": _SHOWN,
        "dropped_packets": {**_SHOWN, "is_sort_key": True},
        "dropped_bytes": {**_SHOWN, "is_sort_key": True},
        "revision_number": {**_SHOWN, **_FOUND_BY},
    },
    "ports": {ATTRIBUTE: {**_SHOWN, "default": None}},
}
SUB_RESOURCE_ATTRIBUTE_MAP: Final[dict[str, Any]] = {}
ACTION_MAP: Final[dict[str, Any]] = {}
ACTION_STATUS: Final[dict[str, Any]] = {}
REQUIRED_EXTENSIONS: Final[list[str]] = []
OPTIONAL_EXTENSIONS: Final[list[str]] = []
