"""Show commands about who may come in, routing instances, addresses and time."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sekisho.testing.nexus import names, running
from sekisho.testing.nexus.checks import vrf_of
from sekisho.testing.nexus.modes import EXEC, At
from sekisho.testing.nexus.output import Output, table
from sekisho.testing.nexus.running_services import roles_of

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args


@EXEC("show clock")
def clock(at: At, args: Args) -> Output:
    when = datetime.fromtimestamp(at.box.clock(), UTC).strftime("%H:%M:%S.000 UTC %a %b %d %Y")
    return Output(f"{when}\n", {"simple_time": when, "time_source": "NTP"})


@EXEC("show users")
def users(at: At, args: Args) -> Output:
    return Output(
        f"NAME     LINE         TIME         IDLE          PID COMMENT\n{at.session.user}    pts/0\n"
    )


@EXEC("show user-account [<name>]")
def accounts(at: At, args: Args) -> Output:
    rows: list[dict[str, Any]] = []
    lines: list[str] = []
    for user in sorted(at.tree.at("sys/userext").only("aaaUser"), key=lambda node: node.attrs["name"]):
        name, roles = user.attrs["name"], roles_of(user)
        if args.get("name", name) != name:
            continue
        rows.append({"usr_name": name, "expire_date": "this user account has no expiry date"})
        rows[-1] |= table("role", [{"role": role} for role in roles])
        lines += [
            f"user:{name}",
            "        this user account has no expiry date",
            f"        roles:{' '.join(roles)} ",
        ]
    return Output("\n".join(lines) + "\n", table("template", rows))


@EXEC("show vrf [<name>]")
def vrf(at: At, args: Args) -> Output:
    found = sorted(node.attrs["name"] for node in at.tree.root.only("l3Inst"))
    wanted = args.get("name", "all")
    rows = [
        {"vrf_name": name, "vrf_id": str(number), "vrf_state": "Up", "vrf_reason": "--"}
        for number, name in enumerate(found, 1)
        if wanted in ("all", name)
    ]
    head = "VRF-Name                           VRF-ID State   Reason\n"
    lines = [f"{row['vrf_name']:<34} {row['vrf_id']:>6} Up      --" for row in rows]
    return Output(head + "\n".join(lines) + "\n", table("vrf", rows))


@EXEC("show vrf <name> interface")
def vrf_interfaces(at: At, args: Args) -> Output:
    rows = [
        {"if_name": names.full(brief), "vrf_name": args["name"], "vrf_id": "1", "soo": "--"}
        for brief in running.interfaces(at.tree)
        if _routed(at, brief) and vrf_of(at.tree.at(names.dn(brief))) == args["name"]
    ]
    lines = [f"{row['if_name']:<25} {row['vrf_name']}" for row in rows]
    return Output("Interface                 VRF-Name\n" + "\n".join(lines) + "\n", table("if", rows))


def _routed(at: At, brief: str) -> bool:
    return at.tree.at(names.dn(brief)).get("layer") != "Layer2"


@EXEC("show ip interface [brief] [vrf <vrf>]", "show ipv6 interface [brief] [vrf <vrf>]")
def addresses(at: At, args: Args) -> Output:
    family = "ipv4" if at.session.line_words[1].lower() == "ip" else "ipv6"
    rows: list[dict[str, Any]] = []
    for dn, node in at.tree.below(f"sys/{family}/inst", f"{family}Addr"):
        brief = dn.split("/if-[")[1].partition("]")[0]
        vrf_name = dn.split("/dom-")[1].partition("/")[0]
        if args.get("vrf", "default") not in ("all", vrf_name):
            continue
        address, _, length = node.attrs["addr"].partition("/")
        row = {"intf-name": names.full(brief), "vrf-name-out": vrf_name, "prefix": address, "masklen": length}
        rows.append({**row, "proto-state": "up", "link-state": "up", "admin-state": "up"})
    lines = [f"{row['intf-name']:<20} {row['prefix']}/{row['masklen']}" for row in rows]
    return Output("\n".join(lines) + "\n", table("intf", rows))


@EXEC("show ntp peers")
def ntp_peers(at: At, args: Args) -> Output:
    rows = [
        {"PeerIPAddress": node.attrs["name"], "serv_peer": "Server (configured)"}
        for node in at.tree.at("sys/time").only("datetimeNtpProvider")
    ]
    lines = [f"  {row['PeerIPAddress']:<40} {row['serv_peer']}" for row in rows]
    return Output("\n".join(lines) + "\n", table("peers", rows))


@EXEC("show snmp community")
def communities(at: At, args: Args) -> Output:
    found = at.tree.at("sys/snmp/inst").only("snmpCommSecP")
    rows = [{"community_name": node.attrs["name"], "grouporaccess": node.get("grpName")} for node in found]
    lines = [f"{row['community_name']:<32} {row['grouporaccess']}" for row in rows]
    return Output("\n".join(lines) + "\n", table("snmp_community", rows))
