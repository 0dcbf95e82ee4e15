"""Rows of Bridge, Port and Interface to subjects; pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from sekisho.model.inventory import Subject

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# What never is a VM's port on a bare bridge: the switch's own ports, and ways to other switches.
_NO_VM: Final = frozenset(
    {
        "internal",
        "patch",
        "vxlan",
        "geneve",
        "gre",
        "erspan",
        "ip6erspan",
        "ip6gre",
        "stt",
        "lisp",
        "gtpu",
        "bareudp",
        "srv6",
    }
)


def read_bridges(tables: Any) -> dict[str, Any]:
    """Find the switch's bridges by name.

    A bridge that was deleted may leave its row behind: a Flow_Sample_Collector_Set that refers to it
    keeps it from going. Only those that the root still names are there.
    """
    return {bridge.name: bridge for root in tables["Open_vSwitch"].rows.values() for bridge in root.bridges}


def read_subjects(
    tables: Any, host: str, bare: frozenset[str], kept: frozenset[str] = frozenset()
) -> tuple[Subject, ...]:
    """Find every subject on the bridges that are kept (empty: all), ordered by id.

    A subject is an interface with ``external_ids:iface-id`` or, on a bridge in `bare`, any that could
    be a VM's, unless ``external_ids:sekisho-uplink`` is true. Where two interfaces claim one id (a VM
    on the move), the one that has an OpenFlow port stands. On other bridges they do not count: both
    ports of a trunk claim its id, Neutron's on the trunk's own bridge too.
    """
    found: dict[str, Subject] = {}
    for bridge, port, interface in _interfaces(tables):
        if kept and bridge.name not in kept:
            continue
        subject = _subject(bridge, port, interface, host, bare)
        if subject is not None and _better(subject, found.get(subject.id)):
            found[subject.id] = subject
    return tuple(found[id_] for id_ in sorted(found))


def read_access(tables: Any) -> dict[str, dict[int, int]]:
    """Find by bridge the VLAN of each OpenFlow port that has one, whether or not it is a subject's."""
    found: dict[str, dict[int, int]] = {}
    for bridge, port, interface in _interfaces(tables):
        if (vlan := _number(port.tag)) and (ofport := _number(interface.ofport)):
            found.setdefault(bridge.name, {})[ofport] = vlan
    return found


def keep_ifindexes(subjects: tuple[Subject, ...], before: tuple[Subject, ...]) -> tuple[Subject, ...]:
    """Fill an ifindex that the database has forgotten for a port that is still the same.

    The column is ephemeral: a restart of ovsdb-server empties it until the switch writes again, and
    meanwhile the datagrams that carry it go on.
    """
    known = {_place(s): s.ifindex for s in before if s.ofport}
    return tuple(s if s.ifindex else replace(s, ifindex=known.get(_place(s), 0)) for s in subjects)


def _place(subject: Subject) -> tuple[str, str, str, int]:
    return subject.id, subject.bridge, subject.interface, subject.ofport


def _interfaces(tables: Any) -> Iterator[tuple[Any, Any, Any]]:
    for bridge in read_bridges(tables).values():
        for port in bridge.ports:
            for interface in port.interfaces:
                yield bridge, port, interface


def _better(subject: Subject, other: Subject | None) -> bool:
    if other is None:
        return True
    return (subject.ofport > 0, subject.interface) > (other.ofport > 0, other.interface)


def _subject(bridge: Any, port: Any, interface: Any, host: str, bare: frozenset[str]) -> Subject | None:
    ids = interface.external_ids
    id_ = ids.get("iface-id", "")
    if not id_ and bridge.name in bare and interface.type not in _NO_VM:
        id_ = f"{host}/{interface.name}"
    if not id_ or ids.get("sekisho-uplink") == "true":
        return None
    return Subject(
        id=id_,
        host=host,
        project=ids.get("sekisho-project", ""),
        server=ids.get("vm-id") or ids.get("vm-uuid", ""),
        network=ids.get("sekisho-network") or port.other_config.get("net_uuid", ""),
        mac=_mac(interface, ids),
        addresses=_words(ids.get("sekisho-addresses", "")),
        tags=_words(ids.get("sekisho-tags", "")),
        interface=interface.name,
        bridge=bridge.name,
        ifindex=_number(interface.ifindex),
        ofport=_number(interface.ofport),
        vlan=_number(port.tag),
    )


def _mac(interface: Any, ids: Mapping[str, str]) -> str:
    attached = ids.get("attached-mac", "")
    if not attached and interface.type == "internal":
        # Only an internal port wears its user's address; a tap or veth end has one of its own.
        attached = next(iter(interface.mac_in_use), "")
    return attached.lower()


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _number(column: list[int]) -> int:
    # ofport is empty before the switch gave one, and -1 where it failed to.
    return max(column[0], 0) if column else 0
