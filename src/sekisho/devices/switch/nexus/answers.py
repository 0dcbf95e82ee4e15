"""What NX-OS answers in text or in tables to ``show`` commands, read."""

from __future__ import annotations

import calendar
import re
import time
from typing import TYPE_CHECKING, Any, Final

from sekisho.devices.switch.driver import Account, Neighbour, Pair
from sekisho.devices.switch.intent import Facts
from sekisho.devices.switch.nexus import names
from sekisho.devices.switch.said import masked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_CHECKPOINT: Final = re.compile(r"^\s*\d+\)\s+(\S+?):\s*$", re.MULTILINE)
_ACCOUNT: Final = re.compile(
    r"^(\w{3} \w{3}\s+\d+ \d\d:\d\d:\d\d(?:\.\d+)? \d{4})"
    r":type=(\w+):id="
)
_LONGEST: Final = 4_000  # characters of a line of the accounting log that are read
_LINES: Final = 100_000  # of the accounting log that are read, the newest
_VERSION: Final = re.compile(r"(\d+)\.(\d+)\((\d+)")


def rows(body: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """Give a table's rows: NX-OS writes one row as itself and several as a list, and may leave all out."""
    table = body.get(f"TABLE_{name}")
    tables = table if isinstance(table, list) else [table]
    found: list[Mapping[str, Any]] = []
    for one in tables:
        row = one.get(f"ROW_{name}") if isinstance(one, dict) else None
        found += row if isinstance(row, list) else [row] if isinstance(row, dict) else []
    return found


def checkpoints(text: str) -> tuple[str, ...]:
    """List all checkpoints of ``show checkpoint summary``, in the switch's order: the oldest first."""
    return tuple(_CHECKPOINT.findall(text))


def accounts(text: str, since: float) -> Iterator[Account]:
    """Read ``show accounting log``: what was changed since a time, the switch's clock read as UTC."""
    for line in text.splitlines()[-_LINES:]:
        found = _ACCOUNT.match(line[:_LONGEST])
        if found is None or found[2] != "update":
            continue
        # an origin may hold colons, a user's name none
        origin, told, rest = line[found.end() : _LONGEST].partition(":user=")
        user, done, command = rest.partition(":cmd=")
        stamp = _stamp(found[1])
        if told and done and stamp is not None and stamp >= since:
            yield Account(float(stamp), user, origin, masked(command.strip().removesuffix(" (SUCCESS)")))


def _stamp(when: str) -> int | None:
    try:
        return calendar.timegm(time.strptime(re.sub(r"\.\d+", "", when), "%a %b %d %H:%M:%S %Y"))
    except ValueError:  # a day that there is not
        return None


def vpcs(brief: Mapping[str, Any]) -> tuple[str, ...]:
    """List the numbers of the vPCs that ``show vpc brief`` tells of, ascending."""
    found = {str(row.get("vpc-id", "")).strip() for row in rows(brief, "vpc")}
    return tuple(sorted((n for n in found if n.isascii() and n.isdigit()), key=int))


def pair(
    brief: Mapping[str, Any], differing: Mapping[str, Any], each: Mapping[str, Mapping[str, Any]]
) -> Pair | None:
    """Read ``show vpc brief`` and ``show vpc consistency-parameters``: ``global``, and ``vpc N`` for each N.

    What has no type, such as VLANs that one of both has, suspends nothing else and may differ.
    """
    domain = str(brief.get("vpc-domain-id", ""))
    if not domain.isdigit():
        return None
    inconsistent = [name for name, _, _ in _differing(differing)]
    for number, told in each.items():
        # of a vPC that one of both does not have, or has down, one side says nothing
        inconsistent += [f"vPC {number}: {name}" for name, *ends in _differing(told) if "-" not in ends]
    return Pair(
        peer_up=str(brief.get("vpc-peer-status", "")).startswith("peer-ok"),
        keepalive_up="alive" in str(brief.get("vpc-peer-keepalive-status", "")),
        inconsistent=tuple(sorted(inconsistent)),
    )


def _differing(told: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """List what suspends something while it differs: its name, its value here, its value on the peer."""
    for row in rows(told, "vpc_consistency"):
        here, there = (str(row.get(f"vpc-param-{end}-val", "")).strip() for end in ("local", "peer"))
        if here != there and str(row.get("vpc-param-type", "")).strip() != "-":
            yield str(row.get("vpc-param-name", "")).strip(), here, there


def neighbours(body: Mapping[str, Any]) -> Iterator[Neighbour]:
    """Read ``show lldp neighbors detail``; versions differ in what they call its table."""
    for row in (*rows(body, "nbor_detail"), *rows(body, "nbor")):
        system = str(row.get("sys_name", "")) or str(row.get("chassis_id", ""))
        yield Neighbour(names.full(str(row.get("l_port_id", ""))), system, str(row.get("port_id", "")))


def facts(body: Mapping[str, Any]) -> Facts:
    """Read ``show version``."""
    version = body.get("nxos_ver_str") or body.get("kickstart_ver_str") or body.get("sys_ver_str") or ""
    return Facts(
        str(body.get("host_name", "")),
        str(body.get("chassis_id", "")),
        str(body.get("proc_board_id", "")),
        str(version),
    )


def version(text: str) -> tuple[int, int, int]:
    """Read a version, ``10.2(5)`` as (10, 2, 5); (0, 0, 0) if it is none."""
    found = _VERSION.search(text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else (0, 0, 0)
