"""The part of the Open_vSwitch schema we read and write (ovs-vswitchd.conf.db(5)), older than OVS 2.6.

Carried here so that watching can begin before the database answers, and monitors no more than this:
interface statistics, which change all the time, never wake us.
"""

from __future__ import annotations

from typing import Any, Final


def _ref(table: str, least: int = 0, most: int | str = 1) -> dict[str, Any]:
    return {"type": {"key": {"type": "uuid", "refTable": table}, "min": least, "max": most}}


def _optional(kind: str) -> dict[str, Any]:
    return {"type": {"key": kind, "min": 0, "max": 1}}


_MAP: Final[dict[str, Any]] = {"type": {"key": "string", "value": "string", "min": 0, "max": "unlimited"}}
_STRINGS: Final[dict[str, Any]] = {"type": {"key": "string", "min": 0, "max": "unlimited"}}
_STRING: Final[dict[str, Any]] = {"type": "string"}

_COLUMNS: Final[dict[str, dict[str, Any]]] = {
    "Open_vSwitch": {
        "bridges": _ref("Bridge", 0, "unlimited"),
        "next_cfg": {"type": "integer"},
        "cur_cfg": {"type": "integer"},
    },
    "Bridge": {
        "name": _STRING,
        "ports": _ref("Port", 0, "unlimited"),
        "sflow": _ref("sFlow"),
        "ipfix": _ref("IPFIX"),
        "netflow": _ref("NetFlow"),
        "controller": _ref("Controller", 0, "unlimited"),
        "fail_mode": _optional("string"),
        "datapath_type": _STRING,
        "external_ids": _MAP,
    },
    "Controller": {"target": _STRING},
    "Port": {
        "name": _STRING,
        "interfaces": _ref("Interface", 1, "unlimited"),
        "tag": _optional("integer"),
        "other_config": _MAP,
    },
    "Interface": {
        "name": _STRING,
        "type": _STRING,
        "ofport": _optional("integer"),
        "ifindex": _optional("integer"),
        "mac_in_use": _optional("string"),
        "external_ids": _MAP,
    },
    "sFlow": {
        "targets": _STRINGS,
        "sampling": _optional("integer"),
        "polling": _optional("integer"),
        "header": _optional("integer"),
        "agent": _optional("string"),
        "external_ids": _MAP,
    },
    "IPFIX": {
        "targets": _STRINGS,
        "sampling": _optional("integer"),
        "obs_domain_id": _optional("integer"),
        "obs_point_id": _optional("integer"),
        "cache_active_timeout": _optional("integer"),
        "cache_max_flows": _optional("integer"),
        "other_config": _MAP,
        "external_ids": _MAP,
    },
    "NetFlow": {
        "targets": _STRINGS,
        "engine_type": _optional("integer"),
        "engine_id": _optional("integer"),
        "active_timeout": {"type": "integer"},
        "external_ids": _MAP,
    },
    "Flow_Sample_Collector_Set": {
        "id": {"type": "integer"},
        "bridge": _ref("Bridge", 1),
        "ipfix": _ref("IPFIX"),
        "external_ids": _MAP,
    },
}
_ROOTS: Final = frozenset({"Open_vSwitch", "Flow_Sample_Collector_Set"})

SCHEMA: Final[dict[str, Any]] = {
    "name": "Open_vSwitch",
    "version": "0.0.0",
    "tables": {name: {"columns": columns, "isRoot": name in _ROOTS} for name, columns in _COLUMNS.items()},
}
