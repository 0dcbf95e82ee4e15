"""Show commands, as text and as structure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sekisho.testing.nexus import names, running
from sekisho.testing.nexus.modes import EXEC, At
from sekisho.testing.nexus.output import Output, table
from sekisho.testing.nexus.refusal import Refusal
from sekisho.testing.nexus.rules import members
from sekisho.testing.nexus.schema import FEATURES

if TYPE_CHECKING:
    from sekisho.testing.nexus.grammar import Args
    from sekisho.testing.nexus.tree import Node


def _when(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%a %b %d %H:%M:%S %Y")


@EXEC("show running-config [all]", "show startup-config")
def running_config(at: At, args: Args) -> Output:
    box = at.box
    startup = at.session.line_words[1].lower().startswith("s")
    shown = "startup-config" if startup else "running-config"
    head = f"!Command: show {shown}\n"
    if not startup:
        head += f"!Running configuration last done at: {_when(box.changed_at or box.started)}\n"
    return Output(
        f"{head}!Time: {_when(box.clock())}\n\n{box.startup if startup else box.running_config()}",
        {"nf:filter": {}},
    )


@EXEC("show running-config interface [<name:if>]")
def running_interface(at: At, args: Args) -> str:
    briefs = [args["name"]] if "name" in args else list(running.interfaces(at.tree))
    lines: list[str] = []
    for brief in briefs:
        if at.tree.find(names.dn(brief)) is None:
            raise Refusal("% Invalid interface")
        lines += [
            f"interface {names.full(brief)}",
            *(f"  {line}" for line in running.interface(at.tree, brief)),
            "",
        ]
    return _section_head(at, "interface") + "\n".join(lines) + "\n"


def _section_head(at: At, what: str) -> str:
    box = at.box
    when = _when(box.changed_at or box.started)
    return (
        f"\n!Command: show running-config {what}\n!Running configuration last done at: {when}\n"
        f"!Time: {_when(box.clock())}\n\nversion {box.version} Bios:version 07.69 \n\n"
    )


@EXEC("show running-config vlan [<ids:rest>]")
def running_vlan(at: At, args: Args) -> str:
    return _section_head(at, "vlan") + "\n".join(running.vlans(at.tree)) + "\n"


@EXEC("show running-config <section:rest>")
def running_section(at: At, args: Args) -> str:
    """Show what belongs to a part of the software, by the first words of its lines."""
    starts = _SECTIONS.get(args["section"].split()[0])
    if starts is None:
        raise Refusal("% Invalid command")
    kept: list[str] = []
    inside = False
    for line in at.box.running_config().splitlines():
        if not line.startswith(" "):
            inside = line.startswith(starts)
        if inside:
            kept.append(line)
    return _section_head(at, args["section"]) + "\n".join(kept) + "\n"


_SECTIONS = {
    "interface": ("interface",),
    "aclmgr": ("ip access-list", "ipv6 access-list", "interface"),
    "ntp": ("ntp ",),
    "snmp": ("snmp-server ",),
    "logging": ("logging ",),
    "vpc": ("feature vpc", "vpc ", "interface port-channel"),
    "security": ("username ",),
    "vrf": ("vrf context",),
    "ip": ("ip route", "vrf context"),
}


@EXEC("show hostname")
def hostname(at: At, args: Args) -> Output:
    return Output(f"{at.box.hostname}\n", {"hostname": at.box.hostname})


@EXEC("show version")
def version(at: At, args: Args) -> Output:
    box = at.box
    up = int(box.clock() - box.started)
    body = {
        "header_str": "Cisco Nexus Operating System (NX-OS) Software\n",
        "bios_ver_str": "07.69",
        "kickstart_ver_str": box.version,
        "nxos_ver_str": box.version,
        "kick_file_name": "bootflash:///nxos.bin",
        "nxos_file_name": "bootflash:///nxos.bin",
        "chassis_id": f"Nexus9000 {box.model.removeprefix('N9K-')} Chassis",
        "module_id": "",
        "cpu_name": "Intel(R) Xeon(R) CPU",
        "memory": 24632252,
        "mem_type": "kB",
        "proc_board_id": box.serial,
        "host_name": box.hostname,
        "bootflash_size": 53298520,
        "kern_uptm_days": up // 86400,
        "kern_uptm_hrs": up // 3600 % 24,
        "kern_uptm_mins": up // 60 % 60,
        "kern_uptm_secs": up % 60,
        "rr_reason": "Reset Requested by CLI command reload",
        "rr_sys_ver": box.version,
        "rr_service": "",
        "manufacturer": "Cisco Systems, Inc.",
        "TABLE_package_list": {"ROW_package_list": {"package_id": ""}},
    }
    text = (
        "Cisco Nexus Operating System (NX-OS) Software\nTAC support: http://www.cisco.com/tac\n\nSoftware\n"
        f"  BIOS: version 07.69\n  NXOS: version {box.version}\n  NXOS image file is: bootflash:///nxos.bin\n\n"
        f"Hardware\n  cisco {body['chassis_id']}\n  Intel(R) Xeon(R) CPU with 24632252 kB of memory.\n"
        f"  Processor Board ID {box.serial}\n\n  Device name: {box.hostname}\n  bootflash:   53298520 kB\n"
        f"Kernel uptime is {body['kern_uptm_days']} day(s), {body['kern_uptm_hrs']} hour(s), "
        f"{body['kern_uptm_mins']} minute(s), {body['kern_uptm_secs']} second(s)\n\n"
        f"Last reset\n  Reason: {body['rr_reason']}\n  System version: {box.version}\n"
    )
    return Output(text, body)


@EXEC("show inventory")
def inventory(at: At, args: Args) -> Output:
    row = {
        "name": '"Chassis"',
        "desc": f'"Nexus9000 {at.box.model} Chassis"',
        "productid": at.box.model,
        "vendorid": "V01",
        "serialnum": at.box.serial,
    }
    text = (
        f'NAME: "Chassis",  DESCR: {row["desc"]}\nPID: {at.box.model}  ,  VID: V01 ,  SN: {at.box.serial}\n'
    )
    return Output(text, table("inv", [row]))


@EXEC("show feature")
def feature(at: At, args: Args) -> Output:
    rows = [
        {"cfcFeatureCtrlName2": cli, "cfcFeatureCtrlInstanceNum2": "1", "cfcFeatureCtrlOpStatus2": state}
        for cli, (_cls, rn) in FEATURES.items()
        for state in [at.tree.at(f"sys/fm/{rn}").get("adminSt")]
    ]
    lines = [f"{row['cfcFeatureCtrlName2']:<22} 1          {row['cfcFeatureCtrlOpStatus2']}" for row in rows]
    head = "Feature Name          Instance  State\n--------------------  --------  --------\n"
    return Output(head + "\n".join(lines) + "\n", table("cfcFeatureCtrlTable", rows))


@EXEC("show vlan", "show vlan brief", "show vlan id <ids>")
def vlan(at: At, args: Args) -> Output:
    wanted = names.vlan_set(args["ids"]) if "ids" in args else None
    found = sorted(at.tree.at("sys/bd").only("l2BD"), key=running.vlan_id)
    rows = [_vlan_row(at, node) for node in found if wanted is None or running.vlan_id(node) in wanted]
    if wanted is not None and not rows:
        raise Refusal(f"VLAN {args['ids']} not found in current VLAN database")
    lines = [_vlan_line(row) for row in rows]
    head = "\nVLAN Name                             Status    Ports\n"
    head += "---- -------------------------------- --------- -------------------------------\n"
    brief = "brief" in at.session.line_words
    kinds: list[dict[str, Any]] = [
        {
            "vlanshowinfo-vlanid": row["vlanshowbr-vlanid"],
            "vlanshowinfo-media-type": "enet",
            "vlanshowinfo-vlanmode": "ce-vlan",
        }
        for row in rows
    ]
    mtu = {} if brief else {**table("mtuinfo", kinds)}
    names_ = {"TABLE_vlanbriefxbrief": "vlanbriefxbrief", "TABLE_vlanbrief": "vlanbrief"}
    key = "TABLE_vlanbriefxbrief" if brief else "TABLE_vlanbrief"
    return Output(head + "\n".join(lines) + "\n", {**table(names_[key], rows), **mtu})


def _vlan_row(at: At, node: Node) -> dict[str, Any]:
    number = running.vlan_id(node)
    ports = ",".join(names.full(brief) for brief in _carrying(at, number))
    row = {
        "vlanshowbr-vlanid": str(number),
        "vlanshowbr-vlanid-utf": str(number),
        "vlanshowbr-vlanname": node.get("name") or f"VLAN{number:04}",
        "vlanshowbr-vlanstate": "suspend" if node.get("BdState") == "suspend" else "active",
        "vlanshowbr-shutstate": "shutdown" if node.get("adminSt") == "suspend" else "noshutdown",
    }
    return {**row, "vlanshowplist-ifidx": ports} if ports else row


def _vlan_line(row: dict[str, Any]) -> str:
    ports = row.get("vlanshowplist-ifidx", "").replace("Ethernet", "Eth").replace("port-channel", "Po")
    number, name, state = (row[f"vlanshowbr-vlan{what}"] for what in ("id", "name", "state"))
    return f"{number:<4} {name:<32} {state:<9} {ports}"


def _carrying(at: At, number: int) -> list[str]:
    """List the ports that carry a VLAN."""
    found = []
    for node in at.tree.at("sys/intf").kids.values():
        if node.cls not in ("l1PhysIf", "pcAggrIf") or node.get("layer") != "Layer2":
            continue
        trunk = node.get("trunkVlans")
        if node.get("mode") == "access":
            carries = node.get("accessVlan") == f"vlan-{number}"
        else:
            carries = bool(trunk) and number in names.vlan_set(trunk)
        if carries:
            found.append(node.attrs["id"])
    return sorted(found, key=lambda brief: (brief[0] != "p", names.sort_key(brief)))


@EXEC("show interface [<name:if>]")
def interface(at: At, args: Args) -> Output:
    briefs = [args["name"]] if "name" in args else list(running.interfaces(at.tree))
    rows = [_interface_row(at, brief) for brief in briefs]
    lines = [
        f"{row['interface']} is {row['state']}\nadmin state is {row.get('admin_state', row['state'])}\n"
        + (f"  Description: {row['desc']}\n" if row.get("desc") else "")
        + f"  MTU {row.get('eth_mtu', '1500')} bytes, BW {row.get('eth_bw', 1000000)} Kbit\n"
        for row in rows
    ]
    return Output("\n".join(lines), table("interface", rows))


def _interface_row(at: At, brief: str) -> dict[str, Any]:
    node = at.tree.find(names.dn(brief))
    if node is None:
        raise Refusal("Invalid range")
    up = node.get("adminSt") == "up"
    row: dict[str, Any] = {
        "interface": names.full(brief),
        "state": "up" if up else "down",
        "admin_state": node.get("adminSt"),
    }
    if not up:
        row["state_rsn_desc"] = "Administratively down"
    if brief.startswith("vlan"):
        row = {
            "interface": names.full(brief),
            "svi_admin_state": node.get("adminSt"),
            "svi_line_proto": row["state"],
            **row,
        }
        row |= {"svi_mtu": node.get("mtu"), "svi_bw": "1000000", "svi_mac": "00de.fb00.0001"}
    row |= {
        "eth_hw_desc": "10000 Ethernet",
        "eth_hw_addr": f"00de.fb00.{sum(names.sort_key(brief)):04x}",
        "eth_mtu": node.get("mtu") or "1500",
        "eth_bw": 10000000,
        "eth_mode": node.get("mode") if node.get("layer") == "Layer2" else "routed",
        "eth_speed": "10 Gb/s",
    }
    if node.get("descr"):
        row["desc"] = node.get("descr")
    return row


@EXEC("show interface switchport", "show interface <name:if> switchport")
def interface_switchport(at: At, args: Args) -> Output:
    intf = at.tree.at("sys/intf")
    ports = [
        node
        for node in intf.kids.values()
        if node.cls in ("l1PhysIf", "pcAggrIf") and node.get("layer") == "Layer2"
    ]
    rows = [
        {
            "interface": names.full(node.attrs["id"]),
            "switchport": "Enabled",
            "oper_mode": node.get("mode"),
            "access_vlan": node.get("accessVlan").removeprefix("vlan-"),
            "native_vlan": node.get("nativeVlan").removeprefix("vlan-"),
            "trunk_vlans": node.get("trunkVlans") or "none",
        }
        for node in ports
        if args.get("name", node.attrs["id"]) == node.attrs["id"]
    ]
    lines = [
        f"Name: {row['interface']}\n  Switchport: Enabled\n  Operational Mode: {row['oper_mode']}\n"
        f"  Access Mode VLAN: {row['access_vlan']}\n  Trunking Native Mode VLAN: {row['native_vlan']}\n"
        f"  Trunking VLANs Allowed: {row['trunk_vlans']}\n"
        for row in rows
    ]
    return Output("".join(lines), table("interface", rows))


@EXEC("show port-channel summary")
def port_channels(at: At, args: Args) -> Output:
    rows = []
    lines = ["Group Port-       Type     Protocol  Member Ports", "      Channel"]
    for pc in sorted(
        at.tree.at("sys/intf").only("pcAggrIf"), key=lambda node: names.sort_key(node.attrs["id"])
    ):
        number, ports = running.node_number(pc), members(pc)
        protocol = "NONE" if pc.get("pcMode") == "on" else "LACP"
        row = {
            "group": number,
            "port-channel": f"port-channel{number}",
            "layer": "S",
            "status": "U",
            "type": "Eth",
            "prtcl": protocol,
        }
        rows.append(
            {**row, **table("member", [{"port": names.full(port), "port-status": "P"} for port in ports])}
        )
        shown = "    ".join(f"{names.full(port).replace('Ethernet', 'Eth')}(P)" for port in ports)
        lines.append(f"{number:<5} Po{number}(SU)     Eth      {protocol:<9} {shown}")
    return Output("\n".join(lines) + "\n", table("channel", rows))


@EXEC("show lldp neighbors", "show lldp neighbors detail")
def lldp(at: At, args: Args) -> Output:
    rows = [
        {
            "chassis_type": "4",
            "chassis_id": heard.chassis if "detail" in at.session.line_words else heard.system,
            "l_port_id": names.full(brief).replace("Ethernet", "Eth"),
            "hold_time": "120",
            "capability": "BR",
            "port_type": "5",
            "port_id": heard.remote_port,
            "mgmt_addr_type": "IPV4",
            "mgmt_addr": "0.0.0.0",
            "sys_name": heard.system,
            "sys_desc": heard.description,
        }
        for brief, heard in sorted(at.box.neighbours.items(), key=lambda item: names.sort_key(item[0]))
    ]
    head = "Device ID            Local Intf      Hold-time  Capability  Port ID\n"
    lines = [
        f"{row['sys_name']:<20} {row['l_port_id']:<15} 120        BR          {row['port_id']}"
        for row in rows
    ]
    body = {"neigh_hdr": "neigh_hdr", **table("nbor", rows), "neigh_count": str(len(rows))}
    return Output(f"{head}" + "\n".join(lines) + f"\nTotal entries displayed: {len(rows)}\n", body)


@EXEC("show accounting log [<rest:rest>]")
def accounting(at: At, args: Args) -> str:
    lines = [
        f"{_when(entry.time)}:type=update:id={entry.origin or 'console'}:user={entry.user}"
        f":cmd={entry.command} ({'SUCCESS' if entry.ok else 'FAILURE'})"
        for entry in at.box.accounting
    ]
    return "\n".join(lines) + "\n"


@EXEC("show checkpoint summary [<rest:rest>]")
def checkpoints(at: At, args: Args) -> Output:
    lines = ["User Checkpoint Summary", "-" * 80]
    for number, (name, kept) in enumerate(at.box.checkpoints.items(), 1):
        lines += [
            f"{number}) {name}:",
            f"Created by {kept.user}",
            f"Created at {datetime.fromtimestamp(kept.time, UTC).strftime('%a, %H:%M:%S %d %b %Y')}",
            f"Size is {len(kept.text):,} bytes",
            "Description: None",
            "",
        ]
    return Output("\n".join(lines) + "\n")


@EXEC("show checkpoint <name>")
def checkpoint(at: At, args: Args) -> str:
    found = at.box.checkpoints.get(args["name"])
    if found is None:
        raise Refusal(f"ERROR: Checkpoint {args['name']} does not exist")
    return f"{'-' * 80}\nName: {args['name']}\n\n{found.text}"
