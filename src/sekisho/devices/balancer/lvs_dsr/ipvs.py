"""The kernel's IPVS over generic netlink: steps in, the table out (include/uapi/linux/ip_vs.h)."""

from __future__ import annotations

import errno
import os
import socket
import struct
from functools import lru_cache
from ipaddress import IPv4Network, ip_address
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.intent import parsed
from sekisho.devices.balancer.lvs_dsr.netlink import (
    ACK,
    DUMP,
    Netlink,
    attribute,
    attributes,
    connect,
    integer,
    nested,
)
from sekisho.devices.balancer.lvs_dsr.services import (
    HASHED,
    Counts,
    Dest,
    Key,
    Service,
    Stand,
    Step,
    Sync,
    Verb,
)
from sekisho.model.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GENERIC: Final = 16  # NETLINK_GENERIC
VERSION: Final = 1
GET_SERVICE, GET_DEST, NEW_DAEMON, DEL_DAEMON, GET_DAEMON = 4, 8, 9, 10, 11
SERVICE, DEST, DAEMON = 1, 2, 3  # IPVS_CMD_ATTR_*
AF, PROTOCOL, ADDR, PORT, FWMARK, SCHED, FLAGS, TIMEOUT, NETMASK = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
)  # IPVS_SVC_ATTR_*
STATS64 = 12  # of services and of servers
TO, TO_PORT, FORWARD, WEIGHT, UPPER, LOWER, ACTIVE, INACTIVE, TO_AF = (
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    11,
)  # IPVS_DEST_ATTR_*
DIRECT: Final = 3  # IP_VS_CONN_F_DROUTE
TOTAL, BYTES_IN = 1, 4  # IPVS_STATS_ATTR_*
STATE, IFACE, SYNC_ID = 1, 2, 3  # IPVS_DAEMON_ATTR_*
MASTER, BACKUP = 1, 2
WORDS: Final = {
    errno.EEXIST: "it is there already",
    errno.ESRCH: "there is no such service",
    errno.ENOENT: "there is no such server or scheduler",
    errno.EPERM: "the director may not (CAP_NET_ADMIN)",
    errno.EINVAL: "the kernel does not take these values, or has no route to the member",
    errno.EAFNOSUPPORT: "the kernel has no IPv6 in IPVS",
    errno.EPROTONOSUPPORT: "the kernel's IPVS does not know the protocol",
}


class Ipvs:
    """The IPVS table of the network namespace this was made in; used by one thread at a time."""

    def __init__(self, link: Netlink, family: int) -> None:
        self._link = link
        self._family = family

    def close(self) -> None:
        """Close the socket; the table stays."""
        self._link.close()

    def services(self) -> dict[Key, tuple[Service, Counts]]:
        """Tell every service by address and port; those by firewall mark are others' and left out."""
        found: dict[Key, tuple[Service, Counts]] = {}
        for answer in self._link.ask(self._family, _command(GET_SERVICE), DUMP):
            parts = attributes(attributes(answer[4:])[SERVICE])
            if not integer(parts, FWMARK):
                service = _service(parts)
                found[service.key] = (service, _counts(parts))
        return found

    def stand(self, key: Key) -> Stand | None:
        """Tell one service with its servers; None when it is not there."""
        try:
            answers = self._link.ask(self._family, _command(GET_SERVICE, _key(key)), ACK)
        except Refused:
            return None
        if not answers:
            return None
        parts = attributes(attributes(answers[0][4:])[SERVICE])
        return self._servers(_service(parts), _counts(parts))

    def _servers(self, service: Service, counts: Counts) -> Stand:
        dests: dict[str, Dest] = {}
        loads: dict[str, Counts] = {}
        other: list[Dest] = []
        for answer in self._link.ask(self._family, _command(GET_DEST, _key(service.key)), DUMP):
            parts = attributes(attributes(answer[4:])[DEST])
            dest = _dest(parts, service)
            if dest.port != service.key.port or integer(parts, FORWARD) & 7 != DIRECT:
                other.append(dest)
                continue
            dests[dest.address] = dest
            loads[dest.address] = _counts(parts)
        active = sum(load.active for load in loads.values())
        inactive = sum(load.inactive for load in loads.values())
        return Stand(
            service, dests, Counts(counts.total, counts.bytes_in, active, inactive), loads, tuple(other)
        )

    def apply(self, steps: Sequence[Step]) -> list[str]:
        """Carry out steps in their order; for each "" or what the kernel said. A failure stops none."""
        answers = self._link.tell(self._family, [encode(step) for step in steps])
        return [WORDS.get(code, os.strerror(code)) if code else "" for code in answers]

    def sync(self, wanted: Sync | None) -> bool:
        """Send and take connections, or neither with None; tells whether something had to change.

        Both threads run on both directors at all times: what a failover changes is who gets the packets.
        """
        there = self._daemons()
        should = dict.fromkeys((MASTER, BACKUP), wanted) if wanted else {}
        steps = [_daemon(DEL_DAEMON, s, d) for s, d in there.items() if should.get(s) != d]
        steps += [_daemon(NEW_DAEMON, s, d) for s, d in should.items() if there.get(s) != d]
        for code in self._link.tell(self._family, steps):
            if code:
                raise Refused(
                    "Connections cannot be synchronised between directors.", f"sync: {os.strerror(code)}"
                )
        return bool(steps)

    def _daemons(self) -> dict[int, Sync]:
        found: dict[int, Sync] = {}
        for answer in self._link.ask(self._family, _command(GET_DAEMON), DUMP):
            parts = attributes(attributes(answer[4:])[DAEMON])
            name = parts.get(IFACE, b"").rstrip(b"\0").decode()
            found[integer(parts, STATE)] = Sync(name, integer(parts, SYNC_ID))
        return found


def open_ipvs() -> Ipvs:
    """Open this network namespace's IPVS; raises Unavailable where the kernel has none (loaded)."""
    link = connect(GENERIC)
    try:
        return Ipvs(link, link.family("IPVS"))
    except (Refused, Unavailable) as error:
        link.close()
        raise Unavailable(
            "This director's kernel has no IPVS.", f"IPVS: {error.fixer} Try: modprobe ip_vs.", 5.0
        ) from error


def encode(step: Step) -> bytes:
    """Write one step as the payload of its message."""
    keyed = step.verb in (Verb.NEW_SERVICE, Verb.SET_SERVICE)
    parts = _whole(step.service) if keyed else _key(step.service.key)
    if step.dest is not None:
        parts += _server(step.service, step.dest, brief=step.verb is Verb.DEL_DEST)
    return _command(step.verb.value, parts)


def _command(command: int, parts: bytes = b"") -> bytes:
    return struct.pack("=BBxx", command, VERSION) + parts


@lru_cache(1 << 14)
def _key_parts(key: Key) -> tuple[bytes, ...]:
    return (
        attribute(AF, struct.pack("=H", _af(key.address))),
        attribute(PROTOCOL, struct.pack("=H", key.protocol)),
        attribute(ADDR, parsed(key.address).packed),
        attribute(PORT, struct.pack("!H", key.port)),
    )


@lru_cache(1 << 14)
def _key(key: Key) -> bytes:
    return nested(SERVICE, *_key_parts(key))


def _whole(service: Service) -> bytes:
    mask = struct.pack("=I", service.bits)
    if _af(service.key.address) == socket.AF_INET:
        mask = IPv4Network((0, service.bits)).netmask.packed
    return nested(
        SERVICE,
        *_key_parts(service.key),
        attribute(SCHED, service.scheduler.encode() + b"\0"),
        attribute(FLAGS, struct.pack("=II", service.flags, 0xFFFFFFFF)),
        attribute(TIMEOUT, struct.pack("=I", service.persistence)),
        attribute(NETMASK, mask),
    )


def _server(service: Service, dest: Dest, *, brief: bool) -> bytes:
    name = (
        attribute(TO, parsed(dest.address).packed),
        attribute(TO_PORT, struct.pack("!H", dest.port)),
        _FAMILIES[":" in service.key.address],
    )
    if brief:
        return nested(DEST, *name)
    return nested(DEST, *name, _DIRECTLY, attribute(WEIGHT, struct.pack("=I", dest.weight)))


# What is the same in every message.
_FAMILIES: Final = tuple(attribute(TO_AF, struct.pack("=H", af)) for af in (socket.AF_INET, socket.AF_INET6))
_DIRECTLY: Final = b"".join(
    attribute(kind, struct.pack("=I", value)) for kind, value in ((FORWARD, DIRECT), (UPPER, 0), (LOWER, 0))
)


def _daemon(command: int, state: int, sync: Sync) -> bytes:
    return _command(
        command,
        nested(
            DAEMON,
            attribute(STATE, struct.pack("=I", state)),
            attribute(IFACE, sync.interface.encode() + b"\0"),
            attribute(SYNC_ID, struct.pack("=I", sync.id)),
        ),
    )


def _service(parts: Mapping[int, bytes]) -> Service:
    six = integer(parts, AF) == socket.AF_INET6
    address = _address(parts[ADDR], six=six)
    key = Key(integer(parts, PROTOCOL), address, int.from_bytes(parts[PORT], "big"))
    mask = parts[NETMASK]
    bits = integer(parts, NETMASK) if six else int.from_bytes(mask, "big").bit_count()
    flags = struct.unpack_from("=I", parts[FLAGS])[0] & ~HASHED
    scheduler = parts[SCHED].rstrip(b"\0").decode()
    return Service(
        key, scheduler, flags, integer(parts, TIMEOUT), 0 if bits == (128 if six else 32) else bits
    )


def _dest(parts: Mapping[int, bytes], service: Service) -> Dest:
    address = _address(parts[TO], six=":" in service.key.address)
    return Dest(address, int.from_bytes(parts[TO_PORT], "big"), integer(parts, WEIGHT))


def _counts(parts: Mapping[int, bytes]) -> Counts:
    stats = attributes(parts.get(STATS64, b""))
    return Counts(
        integer(stats, TOTAL), integer(stats, BYTES_IN), integer(parts, ACTIVE), integer(parts, INACTIVE)
    )


def _address(data: bytes, *, six: bool) -> str:
    return _written(data[:16] if six else data[:4])


@lru_cache(1 << 16)
def _written(packed: bytes) -> str:
    return str(ip_address(packed))


def _af(address: str) -> int:
    return socket.AF_INET6 if ":" in address else socket.AF_INET
