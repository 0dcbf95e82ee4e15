"""Octavia's objects in our nouns; pure.

Octavia says `Unset` for what nobody said, and None for what is back at its default.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from octavia_lib.api.drivers.data_models import UnsetType

from sekisho.model.balancer import (
    Algorithm,
    Balancer,
    Check,
    Listener,
    Member,
    Monitor,
    Object,
    Pool,
    Protocol,
    Vip,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

# What Octavia's own providers keep a source for if nobody says (keepalived.conf(5), persistence_timeout).
PERSISTENCE: Final = 360
_STREAMS: Final = {"HTTPS": Protocol.TCP}  # passed through unread


def fields(thing: Any) -> dict[str, Any]:
    """Give what an object says; what the driver agent gives has mappings inside."""
    told = thing if isinstance(thing, dict) else vars(thing)
    return {k: v for k, v in told.items() if v is not None and not isinstance(v, UnsetType)}


def laid_over(old: Any, new: Any) -> dict[str, Any]:
    """Give what an object says once it is changed."""
    changed = {k: v for k, v in vars(new).items() if not isinstance(v, UnsetType)}
    return {k: v for k, v in (fields(old) | changed).items() if v is not None}


def balancer(said: dict[str, Any], provider: str) -> Balancer:
    """Make a balancer, whole, of a load balancer's fields."""
    zone = said.get("availability_zone") or {}
    return Balancer(
        said["loadbalancer_id"],
        provider,
        Vip(
            said.get("vip_address", ""),
            said.get("vip_subnet_id", ""),
            said.get("vip_network_id", ""),
            said.get("vip_port_id", ""),
        ),
        said.get("project_id", ""),
        said.get("name", ""),
        tuple(listener(fields(each)) for each in said.get("listeners", ())),
        tuple(pool(fields(each)) for each in said.get("pools", ())),
        {k: str(v) for k, v in said.get("flavor", {}).items()},
        str(zone.get("zone", "")),
        bool(said.get("admin_state_up", True)),
    )


def listener(said: dict[str, Any]) -> Listener:
    """Make a listener of its fields."""
    return Listener(
        said["listener_id"],
        _protocol(said),
        int(said["protocol_port"]),
        said.get("default_pool_id", ""),
        int(said.get("connection_limit", -1)),
        tuple(said.get("allowed_cidrs", ())),
        bool(said.get("admin_state_up", True)),
        said.get("name", ""),
    )


def pool(said: dict[str, Any]) -> Pool:
    """Make a pool of its fields, with what it names of members and monitor."""
    monitored = said.get("healthmonitor")
    kept = said.get("session_persistence") or {}
    return Pool(
        said["pool_id"],
        _protocol(said),
        Algorithm(said.get("lb_algorithm", Algorithm.ROUND_ROBIN)),
        tuple(member(fields(each)) for each in said.get("members", ())),
        monitor(fields(monitored)) if monitored else None,
        int(kept.get("persistence_timeout") or PERSISTENCE) if kept else 0,
        str(kept.get("persistence_granularity") or ""),
        bool(said.get("admin_state_up", True)),
        said.get("name", ""),
    )


def member(said: dict[str, Any]) -> Member:
    """Make a member of its fields."""
    return Member(
        said["member_id"],
        said["address"],
        int(said["protocol_port"]),
        int(said.get("weight", 1)),
        bool(said.get("backup", False)),
        said.get("subnet_id", ""),
        said.get("monitor_address", ""),
        int(said.get("monitor_port", 0)),
        bool(said.get("admin_state_up", True)),
        said.get("name", ""),
    )


def monitor(said: dict[str, Any]) -> Monitor:
    """Make a monitor of its fields."""
    rise = int(said.get("max_retries", 3))
    return Monitor(
        said["healthmonitor_id"],
        Check(said["type"]),
        int(said.get("delay", 5)),
        int(said.get("timeout", 5)),
        rise,
        int(said.get("max_retries_down", 3)),
        said.get("http_method", "GET"),
        said.get("url_path", "/"),
        str(said.get("expected_codes", "200")),
        said.get("domain_name", ""),
        str(said.get("http_version", "")),
        bool(said.get("admin_state_up", True)),
    )


def _protocol(said: dict[str, Any]) -> Protocol:
    name = said["protocol"]
    return _STREAMS.get(name) or Protocol(name)


# --- a balancer as it will be -------------------------------------------------------------------------


def with_object(whole: Balancer, parent: str, thing: Object) -> Balancer:
    """Give a balancer as it is once an object is put into `parent`: itself, a listener or a pool of it."""
    match thing:
        case Listener():
            return replace(whole, listeners=_over(whole.listeners, thing))
        case Pool():
            old = next((p for p in whole.pools if p.id == thing.id), None)
            made = replace(thing, members=old.members, monitor=old.monitor) if old else thing
            served = (replace(x, pool=thing.id) if x.id == parent else x for x in whole.listeners)
            return replace(whole, listeners=tuple(served), pools=_over(whole.pools, made))
        case Member():
            return _in_pool(whole, parent, lambda p: replace(p, members=_over(p.members, thing)))
        case Monitor():
            return _in_pool(whole, parent, lambda p: replace(p, monitor=thing))


def with_members(whole: Balancer, pool_id: str, members: Iterable[Member]) -> Balancer:
    """Give a balancer as it is once these are the members of a pool, and no others."""
    return _in_pool(whole, pool_id, lambda p: replace(p, members=tuple(members)))


def _in_pool(whole: Balancer, pool_id: str, change: Any) -> Balancer:
    pools = (change(p) if p.id == pool_id else p for p in whole.pools)
    return replace(whole, pools=tuple(pools))


def _over(things: tuple[Any, ...], thing: Any) -> tuple[Any, ...]:
    if any(each.id == thing.id for each in things):
        return tuple(thing if each.id == thing.id else each for each in things)
    return (*things, thing)
