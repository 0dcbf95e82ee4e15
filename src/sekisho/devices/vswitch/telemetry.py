"""What one bridge exports and where to: sFlow, IPFIX or NetFlow v5, and exact telemetry beside it.

Every row we make says ``external_ids:sekisho``, and a bridge whose export slot we fill says
``external_ids:sekisho-telemetry``: from then on the slot is ours and is put back when somebody
changes it. A slot that another filled first is a Conflict, never overwritten.
"""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.vswitch.ports import read_bridges
from sekisho.model.errors import Conflict, Malformed, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.vswitch.ovsdb import Database

_MARK: Final = "sekisho"
_OWNED: Final = "sekisho-telemetry"
# A record for each sampled packet, at once: what waits in a cache is evidence that comes late.
_UNCACHED: Final[dict[str, Any]] = {"cache_active_timeout": [0], "cache_max_flows": [0]}
_SLOTS: Final = {"sflow": "sFlow", "ipfix": "IPFIX", "netflow5": "NetFlow"}
_COLUMN: Final = {"sflow": "sflow", "ipfix": "ipfix", "netflow5": "netflow"}


@dataclass(frozen=True, slots=True)
class TelemetrySettings:
    """How one bridge exports.

    `protocol` is sflow, ipfix, netflow5 or none. `target` is ``ADDRESS:PORT`` of the collector
    (an IPv6 address in brackets). `sampling` is the N of 1:N; `polling` seconds between sFlow
    counter samples, 0 for none; `header` octets of each packet in sFlow; `agent` the interface
    whose address sFlow gives as its agent, empty for the switch's choice. `domain` is the IPFIX
    observation domain, or NetFlow v5's ``engine_type << 8 | engine_id``; sFlow's sub-agent is
    numbered by the switch itself, from 0. `point` is the IPFIX observation point. With
    `exact_domain`, a collector set `collector_set` is made for the rules' ``sample`` actions, which
    name the domain themselves; `exact_target` is `target` when empty.
    """

    protocol: str = "sflow"
    target: str = "127.0.0.1:6343"
    sampling: int = 400
    polling: int = 20
    header: int = 128
    agent: str = ""
    domain: int = 0
    point: int = 0
    exact_domain: int = 0
    exact_target: str = ""
    collector_set: int = 0x5E4B
    active_timeout: int = 10  # NetFlow v5: seconds between records of a flow that lasts

    def __post_init__(self) -> None:
        if self.protocol not in (*_SLOTS, "none"):
            raise Malformed(
                f"telemetry.protocol: expected sflow, ipfix, netflow5 or none, found {self.protocol!r}."
            )
        if self.sampling < 1:
            raise Malformed(f"telemetry.sampling: expected 1 or more, found {self.sampling}.")
        for name, target in (("target", self.target), ("exact_target", self.exact_target or self.target)):
            if not _is_target(target):
                raise Malformed(
                    f"telemetry.{name}: expected ADDRESS:PORT, as 192.0.2.1:6343 or [2001:db8::1]:6343, "
                    f"found {target!r}."
                )


def _is_target(target: str) -> bool:
    address, _, port = target.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    try:
        version = ip_address(address.strip("[]")).version
    except ValueError:
        return False
    return (version == 6) == bracketed and port.isascii() and port.isdigit() and 0 < int(port) < 65536


def converge_telemetry(database: Database, bridge: str, settings: TelemetrySettings) -> bool:
    """Let the bridge export as `settings` say, in one transaction; False when it does already.

    Collector sets we made for bridges that are gone go too. Raises NotFound (no such bridge), Conflict
    (somebody else's export stands in the way), Refused, Unavailable.
    """
    forget_deleted_bridges(database)

    def change(idl: Any) -> None:
        row = _find_bridge(idl, bridge)
        for protocol in _SLOTS:
            if protocol == settings.protocol:
                _fill(idl, row, protocol, _wanted(settings))
            else:
                _clear(row, protocol)
        _mark(row, "" if settings.protocol == "none" else settings.protocol)
        _converge_exact(idl, row, settings)

    return database.write(change)


def remove_telemetry(database: Database, bridge: str) -> bool:
    """Take away whatever we made for the bridge; False when there was nothing, or no such bridge."""

    def change(idl: Any) -> None:
        row = read_bridges(idl.tables).get(bridge)
        if row is not None:
            for protocol in _SLOTS:
                _clear(row, protocol)
            _mark(row, "")
            _converge_exact(idl, row, TelemetrySettings(protocol="none"))

    return database.write(change)


def forget_deleted_bridges(database: Database) -> bool:
    """Delete our collector sets of bridges that are gone; False when there were none.

    Such a set keeps its bridge's row in the database, and a new bridge of the same name would then be
    two to ovs-vsctl: call this at every change of telemetry, before anything else.
    """

    def change(idl: Any) -> None:
        present = {row.uuid for row in read_bridges(idl.tables).values()}
        for row in tuple(idl.tables["Flow_Sample_Collector_Set"].rows.values()):
            if row.bridge.uuid not in present and _ours(row):
                row.delete()

    return database.write(change)


def refresh_templates(
    database: Database, bridge: str, settings: TelemetrySettings, timeout: float = 5.0
) -> None:
    """Make the bridge's IPFIX exporters begin anew, with templates before their next record.

    Open vSwitch 3.1 sends templates every 600 s only, so a collector that starts late is blind; it
    forgets when it last did only with the exporter itself. Between the two transactions, some
    milliseconds, nothing is exported. Raises as `converge_telemetry` does.
    """

    def change(idl: Any) -> None:
        row = _find_bridge(idl, bridge)
        _clear(row, "ipfix")
        _converge_exact(idl, row, TelemetrySettings(protocol="none"))

    try:
        if database.write(change):
            database.settle(timeout)
    finally:
        converge_telemetry(database, bridge, settings)


def _find_bridge(idl: Any, name: str) -> Any:
    row = read_bridges(idl.tables).get(name)
    if row is not None:
        return row
    raise NotFound(f"There is no bridge {name}.", f"ovsdb: no Bridge row is named {name!r}.")


def _wanted(settings: TelemetrySettings) -> dict[str, Any]:
    target = [settings.target]
    match settings.protocol:
        case "sflow":
            agent = [settings.agent] if settings.agent else []
            numbers = {
                "sampling": [settings.sampling],
                "polling": [settings.polling],
                "header": [settings.header],
            }
            return {"targets": target, "agent": agent, **numbers}
        case "ipfix":
            # Input only: a packet sampled on its way in and out again would count twice.
            sides = {"enable-input-sampling": "true", "enable-output-sampling": "false"}
            ids = {"obs_domain_id": [settings.domain], "obs_point_id": [settings.point]}
            return {
                "targets": target,
                "sampling": [settings.sampling],
                **ids,
                **_UNCACHED,
                "other_config": sides,
            }
        case _:
            engine = {"engine_type": [settings.domain >> 8 & 0xFF], "engine_id": [settings.domain & 0xFF]}
            return {"targets": target, "active_timeout": settings.active_timeout, **engine}


def _fill(idl: Any, bridge: Any, protocol: str, wanted: Mapping[str, Any]) -> None:
    column = _COLUMN[protocol]
    bridge.verify(column)
    rows = getattr(bridge, column)
    if rows and _ours(rows[0]):
        _set(rows[0], wanted)
    elif rows and not _slot_ours(bridge, protocol):
        raise Conflict(
            f"Bridge {bridge.name} exports {protocol} already, set up by somebody else.",
            f"ovs-vsctl clear Bridge {bridge.name} {column}, or choose another telemetry.protocol.",
        )
    else:
        setattr(bridge, column, [_insert(idl, _SLOTS[protocol], wanted)])


def _insert(idl: Any, table: str, wanted: Mapping[str, Any]) -> Any:
    row = idl.txn.insert(idl.tables[table])
    _set(row, wanted, new=True)
    return row


def _set(row: Any, wanted: Mapping[str, Any], *, new: bool = False) -> None:
    for column, value in {**wanted, "external_ids": {_MARK: "telemetry"}}.items():
        if new or getattr(row, column) != value:
            setattr(row, column, value)


def _clear(bridge: Any, protocol: str) -> None:
    """Empty a slot that holds a row of ours; one that nobody refers to any more goes by itself."""
    column = _COLUMN[protocol]
    rows = getattr(bridge, column)
    if rows and _ours(rows[0]):
        bridge.verify(column)
        setattr(bridge, column, [])


def _ours(row: Any) -> bool:
    return _MARK in row.external_ids


def _slot_ours(bridge: Any, protocol: str) -> bool:
    return bool(bridge.external_ids.get(_OWNED) == protocol)


def _mark(bridge: Any, protocol: str) -> None:
    if bridge.external_ids.get(_OWNED, "") == protocol:
        return
    if protocol:
        bridge.setkey("external_ids", _OWNED, protocol)
    else:
        bridge.delkey("external_ids", _OWNED)


def _collector_sets(idl: Any, bridge: Any) -> list[Any]:
    rows = idl.tables["Flow_Sample_Collector_Set"].rows.values()
    return [row for row in rows if row.bridge.uuid == bridge.uuid]


def _converge_exact(idl: Any, bridge: Any, settings: TelemetrySettings) -> None:
    wanted = {"targets": [settings.exact_target or settings.target], **_UNCACHED}
    kept = None
    for row in _collector_sets(idl, bridge):
        if settings.exact_domain and row.id == settings.collector_set:
            kept = row
        elif _ours(row):
            row.delete()
    if not settings.exact_domain:
        return
    if kept is None:
        kept = idl.txn.insert(idl.tables["Flow_Sample_Collector_Set"])
        kept.id, kept.bridge, kept.external_ids = settings.collector_set, bridge, {_MARK: "exact"}
        kept.ipfix = [_insert(idl, "IPFIX", wanted)]
    elif not _ours(kept):
        raise Conflict(
            f"Collector set {settings.collector_set} of bridge {bridge.name} is somebody else's.",
            "Choose another telemetry.collector_set.",
        )
    elif kept.ipfix and _ours(kept.ipfix[0]):
        _set(kept.ipfix[0], wanted)
    else:
        kept.ipfix = [_insert(idl, "IPFIX", wanted)]
