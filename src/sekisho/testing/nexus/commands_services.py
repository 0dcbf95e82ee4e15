"""Commands for the box's name, users, NTP, DNS, syslog and SNMP."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.testing.nexus import names
from sekisho.testing.nexus.modes import CONFIG, VRF, At
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import remove, write
from sekisho.testing.nexus.running_services import SEVERITIES

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args


@CONFIG("hostname <name>", "no hostname [<name>]", "switchname <name>")
def hostname(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys", {"name": "switch" if no else args["name"]})
    return ""


@CONFIG("version <text:rest>", "ip domain-lookup", "no ip domain-lookup", "no password strength-check")
def taken_silently(at: At, args: Args, *, no: bool) -> str:
    return ""


@CONFIG("system default switchport", "no system default switchport")
def default_layer(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/ethpm/inst", {"systemDefaultLayer": "Layer3" if no else "Layer2"})
    return ""


@CONFIG("system jumbomtu <mtu>", "no system jumbomtu [<mtu>]")
def jumbo(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/ethpm/inst", {"systemJumboMtu": "9216" if no else args["mtu"]})
    return ""


@CONFIG(
    "username <name> [password <kind> <hash>] [role <role>]", "username <name> password <hash> [role <role>]"
)
def username(at: At, args: Args, *, no: bool) -> str:
    dn = f"sys/userext/user-[{args['name']}]"
    if "hash" in args:
        kind = "Encrypt" if args.get("kind") == "5" else "clear"
        write(at.tree, dn, {"pwd": args["hash"], "pwdEncryptType": kind})
    else:
        write(at.tree, dn)
    if "role" in args or "hash" in args:
        domain = f"{dn}/userdomain-[all]"
        write(at.tree, f"{domain}/role-[{args.get('role', 'network-operator')}]")
    return ""


@CONFIG("no username <name>")
def no_username(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/userext/user-[{args['name']}]")
    return ""


@CONFIG("no username <name> role <role>")
def no_role(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/userext/user-[{args['name']}]/userdomain-[all]/role-[{args['role']}]")
    return ""


@CONFIG("ntp server|peer <host> [prefer] [use-vrf <vrf>]")
def ntp(at: At, args: Args, *, no: bool) -> str:
    prefer = "prefer" in at.session.line_words
    wanted = {
        "provT": args["server"],
        "vrf": args.get("vrf", "default"),
        "preferred": "yes" if prefer else "no",
    }
    write(at.tree, f"sys/time/prov-[{args['host']}]", wanted)
    return ""


@CONFIG("no ntp server|peer <host> [<rest:rest>]")
def no_ntp(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/time/prov-[{args['host']}]")
    return ""


@CONFIG("ip name-server <hosts:rest>", "no ip name-server <hosts:rest>")
def name_server(at: At, args: Args, *, no: bool) -> str:
    hosts = args["hosts"].split()
    vrf = "default"
    if "use-vrf" in hosts:
        where = hosts.index("use-vrf")
        vrf = (hosts[where + 1 :] or ["default"])[0]
        hosts = hosts[:where]
    return _servers(at, vrf, hosts, no=no)


@VRF("ip name-server <hosts:rest>", "no ip name-server <hosts:rest>")
def vrf_name_server(at: At, args: Args, *, no: bool) -> str:
    return _servers(at, at.about[0], args["hosts"].split(), no=no)


def _servers(at: At, vrf: str, hosts: list[str], *, no: bool) -> str:
    above = "sys/dns/prof-[default]" + ("" if vrf == "default" else f"/vrf-[{vrf}]")
    for host in hosts:
        dn = f"{above}/prov-[{names.address(host)}]"
        if no:
            remove(at.tree, dn)
        else:
            write(at.tree, dn)
    return ""


@CONFIG("ip domain-name <name>", "no ip domain-name [<name>]")
def domain_name(at: At, args: Args, *, no: bool) -> str:
    if no:
        remove(at.tree, "sys/dns/prof-[default]/dom")
    else:
        write(at.tree, "sys/dns/prof-[default]/dom", {"name": args["name"]})
    return ""


@CONFIG("logging server <host> [<severity>] [port <port>] [use-vrf <vrf>] [facility <facility>]")
def logging(at: At, args: Args, *, no: bool) -> str:
    severity = args.get("severity", "5")
    if not severity.isdigit() or not 0 <= int(severity) <= 7:
        raise Refusal("% Invalid command")
    wanted = {
        "severity": SEVERITIES[int(severity)],
        "port": args.get("port", "514"),
        "vrfName": args.get("vrf", "default"),
    }
    write(at.tree, f"sys/syslog/rdst-[{args['host']}]", wanted)
    return ""


@CONFIG("no logging server <host> [<rest:rest>]")
def no_logging(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/syslog/rdst-[{args['host']}]")
    return ""


@CONFIG("snmp-server contact <text:rest>", "no snmp-server contact [<text:rest>]")
def contact(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/snmp/inst/sysinfo", {"sysContact": "" if no else args["text"]})
    return ""


@CONFIG("snmp-server location <text:rest>", "no snmp-server location [<text:rest>]")
def location(at: At, args: Args, *, no: bool) -> str:
    write(at.tree, "sys/snmp/inst/sysinfo", {"sysLocation": "" if no else args["text"]})
    return ""


@CONFIG("snmp-server community <name> [group <group>]", "snmp-server community <name> ro|rw")
def community(at: At, args: Args, *, no: bool) -> str:
    group = args.get("group") or ("network-admin" if args.get("ro") == "rw" else "network-operator")
    access = "rw" if group == "network-admin" else "ro"
    write(at.tree, f"sys/snmp/inst/community-[{args['name']}]", {"commAcess": access, "grpName": group})
    return ""


@CONFIG("no snmp-server community <name> [<rest:rest>]")
def no_community(at: At, args: Args, *, no: bool) -> str:
    remove(at.tree, f"sys/snmp/inst/community-[{args['name']}]")
    return ""


@CONFIG("snmp-server host <host> use-vrf <vrf> [udp-port <port>]")
def trap_vrf(at: At, args: Args, *, no: bool) -> str:
    dn = f"sys/snmp/inst/host-[{args['host']}]-udp-[{args.get('port', '162')}]"
    if at.tree.find(dn) is None:
        raise Refusal("% No such host")
    write(at.tree, f"{dn}/usevrf-[{args['vrf']}]")
    return ""


@CONFIG(
    "snmp-server host <host> [traps|informs] version <version> [auth|noauth|priv] <community> "
    "[udp-port <port>]",
    "snmp-server host <host> <community>",
)
def trap(at: At, args: Args, *, no: bool) -> str:
    if args.get("version", "1") not in ("1", "2c", "3"):
        raise Refusal("% Invalid command")
    wanted = {
        "commName": args["community"],
        "version": f"v{args.get('version', '1')}",
        "notifType": args.get("traps", "traps"),
        "secLevel": args.get("auth", "noauth"),
    }
    write(at.tree, f"sys/snmp/inst/host-[{args['host']}]-udp-[{args.get('port', '162')}]", wanted)
    return ""


@CONFIG("no snmp-server host <host> [<rest:rest>]")
def no_trap(at: At, args: Args, *, no: bool) -> str:
    words = args.get("rest", "").split()
    port = words[words.index("udp-port") + 1] if "udp-port" in words[:-1] else "162"
    dn = f"sys/snmp/inst/host-[{args['host']}]-udp-[{port}]"
    if words[:1] == ["use-vrf"]:
        remove(at.tree, f"{dn}/usevrf-[{words[1]}]")
    else:
        remove(at.tree, dn)
    return ""
