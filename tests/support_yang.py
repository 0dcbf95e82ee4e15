"""Trees of managed objects as Cisco's own YANG has them: written as XML, and judged by yanglint.

The model is ``Cisco-NX-OS-device.yang`` from the source of the PyPI package ``ydk-models-cisco-nx-os``; it is
fetched when a test first needs it, kept in ``.make/yang``, and never committed.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import pytest

PACKAGE = "ydk-models-cisco-nx-os==9.3.1"
NAME = "Cisco-NX-OS-device.yang"
NAMESPACE = "http://cisco.com/ns/yang/cisco-nx-os-device"
KEPT = Path(__file__).parents[1] / ".make" / "yang"

# class: the containers between its parent and itself; the last one is itself
PLACES: Mapping[str, str] = {
    "fmEntity": "fm-items",
    "fmLacp": "lacp-items",
    "fmVpc": "vpc-items",
    "fmInterfaceVlan": "ifvlan-items",
    "fmVnSegment": "vnsegment-items",
    "fmLldp": "lldp-items",
    "fmUdld": "udld-items",
    "fmDhcp": "dhcp-items",
    "fmBgp": "bgp-items",
    "fmOspf": "ospf-items",
    "fmPim": "pim-items",
    "fmHsrp": "hsrp-items",
    "fmBfd": "bfd-items",
    "bdEntity": "bd-items",
    "l2BD": "bd-items/BD-list",
    "interfaceEntity": "intf-items",
    "l1PhysIf": "phys-items/PhysIf-list",
    "l1PhysIfExtended": "physExtd-items",
    "pcAggrIf": "aggr-items/AggrIf-list",
    "pcAggrIfExtended": "aggrExtd-items",
    "pcRsMbrIfs": "rsmbrIfs-items/RsMbrIfs-list",
    "sviIf": "svi-items/If-list",
    "nwRtVrfMbr": "rtvrfMbr-items",
    "stpEntity": "stp-items",
    "stpInst": "inst-items",
    "stpIf": "if-items/If-list",
    "vpcEntity": "vpc-items",
    "vpcInst": "inst-items",
    "vpcDom": "dom-items",
    "vpcKeepalive": "keepalive-items",
    "vpcPeerLink": "peerlink-items",
    "vpcIf": "if-items/If-list",
    "vpcRsVpcConf": "rsvpcConf-items",
    "aclEntity": "acl-items",
    "ipv4aclAF": "ipv4-items",
    "ipv6aclAF": "ipv6-items",
    "ipv4aclACL": "name-items/ACL-list",
    "ipv6aclACL": "name-items/ACL-list",
    "ipv4aclACE": "seq-items/ACE-list",
    "ipv6aclACE": "seq-items/ACE-list",
    "aclPolicy": "policy-items",
    "aclIngress": "ingress-items",
    "aclEgress": "egress-items",
    "aclIf": "intf-items/If-list",
    "aclInst": "acl-items",
    "l3Inst": "inst-items/Inst-list",
    "ipv4Entity": "ipv4-items",
    "ipv6Entity": "ipv6-items",
    "ipv4Inst": "inst-items",
    "ipv6Inst": "inst-items",
    "ipv4Dom": "dom-items/Dom-list",
    "ipv6Dom": "dom-items/Dom-list",
    "ipv4Route": "rt-items/Route-list",
    "ipv6Route": "rt-items/Route-list",
    "ipv4Nexthop": "nh-items/Nexthop-list",
    "ipv6Nexthop": "nh-items/Nexthop-list",
    "ipv4If": "if-items/If-list",
    "ipv6If": "if-items/If-list",
    "ipv4Addr": "addr-items/Addr-list",
    "ipv6Addr": "addr-items/Addr-list",
    "datetimeClkPol": "time-items",
    "datetimeNtpProvider": "prov-items/NtpProvider-list",
    "dnsEntity": "dns-items",
    "dnsProf": "prof-items/Prof-list",
    "dnsVrf": "vrf-items/Vrf-list",
    "dnsProvider": "prov-items/Provider-list",
    "dnsDom": "dom-items",
    "syslogSyslog": "syslog-items",
    "syslogRemoteDest": "rdst-items/RemoteDest-list",
    "snmpEntity": "snmp-items",
    "snmpInst": "inst-items",
    "snmpCommSecP": "community-items/CommSecP-list",
    "snmpHost": "host-items/Host-list",
    "snmpUseVrf": "usevrf-items/UseVrf-list",
    "snmpSysInfo": "sysinfo-items",
    "aaaUserEp": "userext-items",
    "aaaUser": "user-items/User-list",
    "aaaUserDomain": "userdomain-items/UserDomain-list",
    "aaaUserRole": "role-items/UserRole-list",
}
BOOLEANS = ("isMbrForce", "preferred", "est", "logging")
# REST takes these by name; the YANG has the numbers behind the names
NUMBERS: Mapping[str, Mapping[str, str]] = {
    "srcPortOp": {"none": "0", "eq": "3", "range": "5"},
    "dstPortOp": {"none": "0", "eq": "3", "range": "5"},
    "protocol": {"ip": "0", "ipv6": "0", "icmp": "1", "tcp": "6", "udp": "17"},
}


def model() -> Path:
    """Give the folder with the YANG, fetched if need be; skips the test where there is none."""
    if shutil.which("yanglint") is None:
        pytest.skip("yanglint is not installed (Debian: libyang2-tools)")
    if not (KEPT / NAME).exists():
        _fetch()
    return KEPT


def _fetch() -> None:
    KEPT.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "-q", "download", "--no-deps", "--no-binary", ":all:"]
    got = subprocess.run([*pip, "-d", str(KEPT), PACKAGE], capture_output=True, text=True, check=False)
    if got.returncode:
        pytest.skip(f"{PACKAGE} could not be fetched: {got.stderr[-200:]}")
    (archive,) = KEPT.glob("ydk*models*.tar.gz")
    with tarfile.open(archive) as packed:
        (member,) = (m for m in packed.getmembers() if m.name.endswith(f"/{NAME}"))
        found = packed.extractfile(member)
        assert found is not None
        (KEPT / NAME).write_bytes(found.read())


def xml(tree: Mapping[str, Any]) -> str:
    """Write one ``topSystem`` tree as the YANG has it; what is removed stays as its name alone."""
    body = tree["topSystem"]
    inner = "".join(_leaves(body)) + "".join(_children(body))
    return f'<System xmlns="{NAMESPACE}">{inner}</System>\n'


def _children(body: Mapping[str, Any]) -> Iterator[str]:
    found: dict[str, list[str]] = {}  # by the container that all of a list share
    for child in body.get("children", ()):
        for classname, below in child.items():
            shared, _, name = PLACES[classname].rpartition("/")
            inner = "".join(_leaves(below)) + "".join(_children(below))
            found.setdefault(shared, []).append(f"<{name}>{inner}</{name}>")
    for shared, items in found.items():
        yield f"<{shared}>{''.join(items)}</{shared}>" if shared else "".join(items)


def _leaves(body: Mapping[str, Any]) -> Iterator[str]:
    for name, value in body.get("attributes", {}).items():
        if name != "status":
            yield f"<{name}>{escape(_value(name, value))}</{name}>"


def _value(name: str, value: str) -> str:
    if name in BOOLEANS:
        return {"yes": "true", "no": "false"}[value]
    return NUMBERS.get(name, {}).get(value, value)


def complaints(texts: Mapping[str, str], folder: Path) -> str:
    """Judge XML texts by their names; give what yanglint says, "" for nothing wrong."""
    files = []
    for name, text in texts.items():
        path = folder / f"{name}.xml"
        path.write_text(text)
        files.append(str(path))
    found = subprocess.run(
        ["yanglint", "-t", "config", str(model() / NAME), *files],
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )
    return found.stderr if found.returncode else ""
