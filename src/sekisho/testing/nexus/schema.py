"""The data model's classes that the emulator knows: names, parents, attributes and their defaults.

Sources: Cisco-NX-OS-device.yang (revision 2019-07-18) for attributes and enumerations, Cisco's NX-API REST
guides for relative names. An attribute that is not listed is refused, as is a class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True)
class Class:
    """One class: `rn` with its keys in braces, who may be above it, and what its attributes are by default.

    `feature` is the switch that must be on for it; `fixed` objects are always there and cannot be deleted.
    """

    name: str
    rn: str
    parents: tuple[str, ...]
    defaults: Mapping[str, str]
    keys: tuple[str, ...]
    feature: str = ""
    fixed: bool = False


CLASSES: Final[dict[str, Class]] = {}
_CHILDREN: Final[dict[str, list[tuple[re.Pattern[str], str]]]] = {}

# attribute, or class.attribute: what it may be
ENUMS: Final[dict[str, frozenset[str]]] = {
    name: frozenset(values.split("|"))
    for name, values in {
        "adminSt": "up|down|enabled|disabled|active|suspend",
        "layer": "Layer2|Layer3",
        "pcMode": "on|static|active|passive|mac-pin",
        "l1PhysIf.mode": "access|trunk|fex-fabric|dot1q-tunnel|promiscuous|host",
        "pcAggrIf.mode": "access|trunk|fex-fabric|dot1q-tunnel|promiscuous|host",
        "stpIf.mode": "default|edge|network|normal|trunk",
        "bpduguard": "default|enable|disable",
        "bpdufilter": "default|enable|disable",
        "peerGw": "enabled|disabled",
        "speed": "unknown|10M|100M|1G|2.5G|5G|10G|25G|40G|50G|100G|200G|400G|auto",
        "duplex": "auto|full|half",
        "action": "permit|deny",
        "srcPortOp": "none|lt|gt|eq|neq|range",
        "dstPortOp": "none|lt|gt|eq|neq|range",
        "provT": "peer|server",
        "commAcess": "ro|rw|unspecified",
        "version": "v1|v2c|v3",
        "notifType": "traps|informs",
        "syslogRemoteDest.severity": "emergencies|alerts|critical|errors|warnings|notifications|information"
        "|debugging",
        "ipv4Addr.type": "primary|secondary",
        "ipv6Addr.type": "primary|secondary",
        "isMbrForce": "yes|no|true|false",
        "pwdEncryptType": "unspecified|clear|Encrypt",
        "privType": "noDataPriv|readPriv|writePriv",
        "BdState": "suspend|active",
    }.items()
}


def _add(
    name: str, rn: str, parents: str, attributes: str = "", *, feature: str = "", fixed: bool = False
) -> None:
    keys = tuple(re.findall(r"\{(\w+)\}", rn))
    defaults = dict.fromkeys(keys, "")
    for item in attributes.split(";") if attributes else ():
        attribute, _, value = item.strip().partition("=")
        defaults[attribute] = value
    above = tuple(parents.split())
    CLASSES[name] = Class(name, rn, above, defaults, keys, feature, fixed)
    # brackets around a key may be left out or be there, as the box takes both
    pieces = re.split(r"\[?\{(\w+)\}\]?", rn)
    shape = "".join(rf"\[?(?P<{p}>.+?)\]?" if n % 2 else re.escape(p) for n, p in enumerate(pieces))
    pattern = re.compile(shape)
    for parent in above:
        _CHILDREN.setdefault(parent, []).append((pattern, name))


@lru_cache(65536)
def child_of(parent: str, rn: str) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    """Give the class, canonical name and keys of a relative name below a class; raises Refusal."""
    for pattern, name in _CHILDREN.get(parent, ()):
        found = pattern.fullmatch(rn)
        if found:
            keys = found.groupdict()
            return name, CLASSES[name].rn.format(**keys), tuple(keys.items())
    raise Refusal(f"Invalid DN, unknown rn {rn} below {parent}")


def name_of(cls: str, attributes: Mapping[str, str]) -> str:
    """Give the relative name that keys among the attributes make; raises Refusal when one is missing."""
    spec = CLASSES[cls]
    missing = [key for key in spec.keys if not attributes.get(key)]
    if missing:
        raise Refusal(f"Naming property {missing[0]} of class {cls} is missing")
    return spec.rn.format(**{key: attributes[key] for key in spec.keys})


_PORT = (
    "name=;descr=;adminSt=up;speed=auto;duplex=auto;autoNeg=on;mtu=1500;snmpTrapSt=enable;mode=access;layer=Layer2;"
    "mdix=auto;delay=1;linkDebounce=100;dot1qEtherType=0x8100;bw=0;medium=broadcast;inhBw=4294967295;"
    "spanMode=not-a-span-dest;linkLog=default;trunkLog=default;routerMac=not-applicable;portT=leaf;usage=discovery;"
    "trunkVlans=1-4094;accessVlan=vlan-1;nativeVlan=vlan-1;userCfgdFlags="
)
_STORM = (
    "descr=;portTypeFabric=no;switchportBlock=none;switchportIsolated=disable;switchportMacLearn=enable;"
    "stormCtrlBCastLevel=100.000000;stormCtrlBCastPPS=0;stormCtrlMCastLevel=100.000000;stormCtrlMCastPPS=0;"
    "stormCtrlUCastLevel=100.000000;stormCtrlUCastPPS=0;stormCtrlAct=none;bufferBoost=enable"
)
_ACE = (
    "action=permit;protocol=ip;protocolMask=0;srcPrefix=0.0.0.0;srcPrefixLength=0;srcPrefixMask=;dstPrefix=0.0.0.0;"
    "dstPrefixLength=0;dstPrefixMask=;srcPortOp=none;srcPort1=0;srcPort2=0;srcPortMask=0;dstPortOp=none;dstPort1=0;"
    "dstPort2=0;dstPortMask=0;est=no;logging=no;remark=;ack=no;fin=no;psh=no;rst=no;syn=no;urg=no;rev=no;fragment=no;"
    "icmpType=256;icmpCode=256;icmpStr=;dscp=64;precedence=8;pktLenOp=none;pktLen1=0;pktLen2=0"
)

_add(
    "topSystem",
    "sys",
    "",
    "name=switch;serial=;role=unsupported;systemUpTime=;id=;state=in-service",
    fixed=True,
)

# features
_add("fmEntity", "fm", "topSystem", fixed=True)
FEATURES: Final[dict[str, tuple[str, str]]] = {}  # by its name on the command line: class, relative name
for _cli, _cls, _rn in (
    ("bash-shell", "fmBashShell", "bashshell"),
    ("bfd", "fmBfd", "bfd"),
    ("bgp", "fmBgp", "bgp"),
    ("dhcp", "fmDhcp", "dhcp"),
    ("hsrp", "fmHsrp", "hsrp"),
    ("interface-vlan", "fmInterfaceVlan", "ifvlan"),
    ("isis", "fmIsis", "isis"),
    ("lacp", "fmLacp", "lacp"),
    ("lldp", "fmLldp", "lldp"),
    ("nv overlay", "fmNvo", "nvo"),
    ("nxapi", "fmNxapi", "nxapi"),
    ("ospf", "fmOspf", "ospf"),
    ("ospfv3", "fmOspfv3", "ospfv3"),
    ("pim", "fmPim", "pim"),
    ("scp-server", "fmScpServer", "scpserver"),
    ("sftp-server", "fmSftpServer", "sftpserver"),
    ("ssh", "fmSsh", "ssh"),
    ("tacacs+", "fmTacacsplus", "tacacsplus"),
    ("telnet", "fmTelnet", "telnet"),
    ("udld", "fmUdld", "udld"),
    ("vn-segment-vlan-based", "fmVnSegment", "vnsegment"),
    ("vpc", "fmVpc", "vpc"),
):
    FEATURES[_cli] = (_cls, _rn)
    _add(_cls, _rn, "fmEntity", "adminSt=disabled;operSt=disabled;maxInstance=1", fixed=True)

# VLANs
_add("bdEntity", "bd", "topSystem", "sysDefaultSVIAutostate=enable", fixed=True)
_add(
    "l2BD",
    "bd-[{fabEncap}]",
    "bdEntity",
    "accEncap=unknown;name=;BdState=active;adminSt=active;bridgeMode=mac;mode=CE;ctrl=;fwdCtrl=mdst-flood;"
    "fwdMode=bridge,route;xConnect=disable;longName=no;macPacketClassify=disable;pcTag=1;BdOperName=;id=;"
    "operSt=up;createTs=;hwId=",
)

# interfaces
_add("interfaceEntity", "intf", "topSystem", fixed=True)
_add(
    "l1PhysIf",
    "phys-[{id}]",
    "interfaceEntity",
    _PORT + ";FECMode=auto;beacon=off;switchingSt=disabled",
    fixed=True,
)
_add("l1PhysIfExtended", "physExtd", "l1PhysIf", _STORM, fixed=True)
_add(
    "pcAggrIf",
    "aggr-[{id}]",
    "interfaceEntity",
    _PORT
    + ";pcMode=on;pcId=;suspIndividual=enable;gracefulConv=enable;minLinks=1;maxLinks=32;hashDist=adaptive;"
    "loadDefer=disable;lacpDelayMode=disable;lacpVpcConvergence=disable;isExplicit=yes;operChannelMode=on",
)
_add("pcAggrIfExtended", "aggrExtd", "pcAggrIf", _STORM, fixed=True)
_add(
    "pcRsMbrIfs",
    "rsmbrIfs-[{tDn}]",
    "pcAggrIf",
    "isMbrForce=no",
)
_add(
    "sviIf",
    "svi-[{id}]",
    "interfaceEntity",
    "name=;descr=;adminSt=down;mtu=1500;vlanId=;autostate=yes;bw=1000000;carDel=100;delay=1;medium=bcast;"
    "mtuInherit=yes;mac=;inbMgmt=no;snmpTrap=yes",
    feature="interface-vlan",
)
_add("l3LbRtdIf", "lb-[{id}]", "interfaceEntity", "name=;descr=;adminSt=up")
_add(
    "mgmtMgmtIf",
    "mgmt-[{id}]",
    "topSystem",
    "name=;descr=;adminSt=up;mtu=1500;speed=auto;duplex=auto;autoNeg=on",
    fixed=True,
)
_add(
    "nwRtVrfMbr",
    "rtvrfMbr",
    "l1PhysIf pcAggrIf sviIf l3LbRtdIf mgmtMgmtIf",
    "tDn=sys/inst-default;tCl=l3Inst;parentSKey=",
)
_add("ethpmEntity", "ethpm", "topSystem", fixed=True)
_add(
    "ethpmInst",
    "inst",
    "ethpmEntity",
    "adminSt=enabled;systemJumboMtu=9216;systemDefaultLayer=Layer2;systemDefaultAdminSt=up",
    fixed=True,
)

# spanning tree
_add("stpEntity", "stp", "topSystem", "adminSt=enabled", fixed=True)
_add(
    "stpInst",
    "inst",
    "stpEntity",
    "adminSt=enabled;mode=pvrst;bridge=enabled;loopguard=disabled;ctrl=",
    fixed=True,
)
_add(
    "stpIf",
    "if-[{id}]",
    "stpInst",
    "mode=default;bpduguard=default;bpdufilter=default;guard=default;linkType=auto;priority=128;cost=0;ctrl=;"
    "simulatePvst=default;descr=;name=;adminSt=enabled",
    fixed=True,
)

# vPC
_add("vpcEntity", "vpc", "topSystem", "adminSt=enabled;name=", feature="vpc")
_add("vpcInst", "inst", "vpcEntity", "adminSt=enabled;ctrl=;name=", feature="vpc")
_add(
    "vpcDom",
    "dom",
    "vpcInst",
    "id=;rolePrio=32667;sysPrio=32667;sysMac=00:00:00:00:00:00;peerGw=disabled;peerSwitch=disabled;autoRecovery=enabled;"
    "autoRecoveryIntvl=240;delayRestoreVPC=30;delayRestoreSVI=10;delayRestoreOrphanPort=0;adminSt=enabled;"
    "fastConvergence=disabled;l3PeerRouter=disabled;grcflCnstncyChck=enabled;peerIp=0.0.0.0;virtualIp=0.0.0.0;dscp=0;"
    "track=0;name=;operRole=election-not-done;peerSt=down;compatSt=notDone;dualActiveSt=false;excludeSVI=;peerGWExcludeVLAN=",
    feature="vpc",
)
_add(
    "vpcKeepalive",
    "keepalive",
    "vpcDom",
    "destIp=0.0.0.0;srcIp=0.0.0.0;vrf=management;udpPort=3200;interval=1000;timeout=5;flushTout=3;tosCfgType=noCfg;"
    "tosByte=0;tosValue=0;tosType=normal;precValue=0;precType=routine;operSt=;name=",
    feature="vpc",
)
_add("vpcPeerLink", "peerlink", "vpcKeepalive", "id=;adminSt=enabled;descr=;name=", feature="vpc")
_add(
    "vpcIf",
    "if-{id}",
    "vpcDom",
    "localOperSt=unknown;remoteOperSt=unknown;compatSt=notDone;cfgdVlans=;upVlans=;suspVlans=",
    feature="vpc",
)
_add("vpcRsVpcConf", "rsvpcConf", "vpcIf", "tDn=;state=formed;rType=mo", feature="vpc")

# access lists
_add("aclEntity", "acl", "topSystem", fixed=True)
_add("ipv4aclAF", "ipv4", "aclEntity", fixed=True)
_add("ipv6aclAF", "ipv6", "aclEntity", fixed=True)
_add(
    "ipv4aclACL",
    "name-[{name}]",
    "ipv4aclAF",
    "perACEStatistics=off;fragments=disabled;ignRoutable=no;udfPresent=no;configStatus=0",
)
_add(
    "ipv6aclACL",
    "name-[{name}]",
    "ipv6aclAF",
    "perACEStatistics=off;fragments=disabled;ignRoutable=no;configStatus=0",
)
_add("ipv4aclACE", "seq-{seqNum}", "ipv4aclACL", _ACE)
_add("ipv6aclACE", "seq-{seqNum}", "ipv6aclACL", _ACE.replace("0.0.0.0", "::").replace("=ip;", "=ipv6;"))
_add("aclPolicy", "policy", "ipv4aclAF ipv6aclAF")
_add("aclIngress", "ingress", "aclPolicy")
_add("aclEgress", "egress", "aclPolicy")
_add("aclIf", "intf-[{name}]", "aclIngress aclEgress")
_add("aclInst", "acl", "aclIf", "name=;configStatus=0;upid=0")
_add("aclPortInst", "portacl", "aclIf", "name=;configStatus=0;upid=0")

# VRFs, addresses and routes
_add(
    "l3Inst",
    "inst-{name}",
    "topSystem",
    "descr=;adminState=admin-up;encap=unknown;id=;operState=up;ctrlrId=0;l3vni=no;oui=;vpnId=",
)
for _family, _zero in (("ipv4", "0.0.0.0"), ("ipv6", "::")):
    _add(f"{_family}Entity", _family, "topSystem", "adminSt=enabled;name=", fixed=True)
    _add(f"{_family}Inst", "inst", f"{_family}Entity", "adminSt=enabled;ctrl=;name=", fixed=True)
    _add(f"{_family}Dom", "dom-{name}", f"{_family}Inst", "autoDiscard=disabled" if _family == "ipv4" else "")
    _add(f"{_family}Route", "rt-[{prefix}]", f"{_family}Dom", "pref=1;tag=0;descr=;ctrl=;name=")
    _add(
        f"{_family}Nexthop",
        "nh-[{nhIf}]-addr-[{nhAddr}]-vrf-[{nhVrf}]",
        f"{_family}Route",
        "pref=1;tag=0;object=0;rtname=;rwEncap=unknown;descr=;name=;operSt=unspecified",
    )
    _add(
        f"{_family}If",
        "if-[{id}]",
        f"{_family}Dom",
        "forward=disabled;urpf=disabled" + (";unnumbered=unspecified" if _family == "ipv4" else ""),
    )
    _add(
        f"{_family}Addr",
        "addr-[{addr}]",
        f"{_family}If",
        "type=primary;tag=0;pref=0;ctrl=;vpcPeer=0.0.0.0",
    )

# redirects of ICMP, and Cisco's discovery protocol: known because configurations of others speak of them
for _family in ("icmpv4", "icmpv6"):
    _add(f"{_family}Entity", _family, "topSystem", "adminSt=enabled;name=", fixed=True)
    _add(f"{_family}Inst", "inst", f"{_family}Entity", "adminSt=enabled;ctrl=;name=", fixed=True)
    _add(f"{_family}Dom", "dom-[{name}]", f"{_family}Inst")
    _add(f"{_family}If", "if-[{id}]", f"{_family}Dom", "ctrl=redirect")
_add("cdpEntity", "cdp", "topSystem", fixed=True)
_add("cdpInst", "inst", "cdpEntity", "adminSt=enabled;holdIntvl=180;txFreq=60;ver=v2", fixed=True)
_add("cdpIf", "if-[{id}]", "cdpInst", "adminSt=enabled;portDesc=")

# services
_add(
    "datetimeClkPol",
    "time",
    "topSystem",
    "adminSt=disabled;authSt=disabled;logging=disabled;loggingLevel=notif;master=disabled;name=;descr=",
    fixed=True,
)
_add(
    "datetimeNtpProvider",
    "prov-[{name}]",
    "datetimeClkPol",
    "vrf=default;provT=server;preferred=no;minPoll=4;maxPoll=6;keyId=0;descr=",
)
_add("dnsEntity", "dns", "topSystem", "adminSt=enabled;name=", fixed=True)
_add("dnsProf", "prof-[{name}]", "dnsEntity", "descr=;ownerKey=;ownerTag=")
_add("dnsVrf", "vrf-[{name}]", "dnsProf")
_add("dnsProvider", "prov-[{addr}]", "dnsProf dnsVrf", "name=")
_add("dnsDom", "dom", "dnsProf dnsVrf", "name=;descr=")
_add("syslogSyslog", "syslog", "topSystem", fixed=True)
_add(
    "syslogRemoteDest",
    "rdst-[{host}]",
    "syslogSyslog",
    "severity=notifications;port=514;transport=udp;forwardingFacility=local7;adminState=enabled;vrfName=;vrfId=;ip=;name=;descr=;"
    "trustpointClientIdentity=;operState=unknown;epgDn=",
)
_add("snmpEntity", "snmp", "topSystem", "adminSt=enabled;name=", fixed=True)
_add("snmpInst", "inst", "snmpEntity", "adminSt=enabled;descr=;loggingLevel=;engId=;name=", fixed=True)
_add("snmpSysInfo", "sysinfo", "snmpInst", "sysContact=;sysLocation=;sysDescription=", fixed=True)
_add(
    "snmpCommSecP",
    "community-[{name}]",
    "snmpInst",
    "commAcess=unspecified;grpName=network-operator;contextName=;descr=;operSt=ok",
)
_add(
    "snmpHost",
    "host-[{hostName}]-udp-[{udpPortID}]",
    "snmpInst",
    "commName=;version=v1;notifType=traps;secLevel=noauth",
)
_add("snmpUseVrf", "usevrf-[{vrfname}]", "snmpHost")

# users
_add("aaaUserEp", "userext", "topSystem", "pwdStrengthCheck=yes;name=;descr=", fixed=True)
_add(
    "aaaUser",
    "user-[{name}]",
    "aaaUserEp",
    "pwd=;pwdSet=yes;pwdEncryptType=Encrypt;accountStatus=active;allowExpired=no;expiration=never;expires=no;email=;"
    "firstName=;lastName=;phone=;descr=;unixUserId=99;clearPwdHistory=no;shellType=shellvsh;pwdLifeTime=0;ownerKey=;ownerTag=",
)
_add("aaaUserDomain", "userdomain-[{name}]", "aaaUser", "descr=")
_add("aaaUserRole", "role-[{name}]", "aaaUserDomain", "privType=noDataPriv;descr=")

# what the box is and who is beside it
_add(
    "eqptCh",
    "ch",
    "topSystem",
    "descr=;id=1;model=;ser=;vendor=Cisco Systems, Inc.;rev=V01;operSt=online;role=unsupported",
    fixed=True,
)
_add(
    "sysmgrShowVersion",
    "showversion",
    "topSystem",
    "nxosVersion=;biosVersion=;nxosImageFile=;kernelUptime=;lastResetReason=Unknown",
    fixed=True,
)
_add("lldpEntity", "lldp", "topSystem", "adminSt=enabled", feature="lldp")
_add(
    "lldpInst",
    "inst",
    "lldpEntity",
    "adminSt=enabled;holdTime=120;initDelayTime=2;txFreq=30;optTlvSel=",
    feature="lldp",
)
_add(
    "lldpIf",
    "if-[{id}]",
    "lldpInst",
    "adminRxSt=enabled;adminTxSt=enabled;portDesc=;sysDesc=",
    feature="lldp",
)
_add(
    "lldpAdjEp",
    "adj-{id}",
    "lldpIf",
    "sysName=;sysDesc=;chassisIdT=mac;chassisIdV=;portIdT=if-name;portIdV=;portDesc=;mgmtIp=;capability=;enCap=;portVlan=unspecified;name=",
    feature="lldp",
)
