"""Services as managed objects: time, names, logs, SNMP, users and what there is one of."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.intent import Community, Dns, Ntp, Syslog, System, Trap, User
from sekisho.devices.switch.nexus import defaults, names, tree
from sekisho.devices.switch.nexus.cli_services import hash_kind

if TYPE_CHECKING:
    from sekisho.devices.switch.driver import Step

_ENCRYPTION: Final = {"5": "Encrypt", "8": "Pbkdf2", "9": "scrypt"}


def grow(top: tree.Branch, step: Step) -> None:
    """Put one service's step into the tree."""
    match step.after or step.before:
        case Ntp() as part:
            _ntp(top, step, part)
        case Dns() as part:
            _dns(top, step, part)
        case Syslog() as part:
            _syslog(top, step, part)
        case Community() as part:
            _community(top, step, part)
        case Trap() as part:
            _trap(top, step, part)
        case User() as part:
            _user(top, step, part)
        case System():
            _system(top, step)
        case _:
            pass


def _vrf(vrf: str | None) -> str:
    return names.vrf(vrf)


def _ntp(top: tree.Branch, step: Step, part: Ntp) -> None:
    branch = top.at("datetimeClkPol").at(
        "datetimeNtpProvider", name=names.address(part.address, "NTP server")
    )
    if step.after is None:
        branch.gone()
        return
    branch.set(provT="server", vrf=_vrf(part.vrf), preferred=tree.yes(part.prefer))


def _dns(top: tree.Branch, step: Step, part: Dns) -> None:
    profile = top.at("dnsEntity").at("dnsProf", name="default")
    if part.vrf != names.DEFAULT_VRF:
        profile = profile.at("dnsVrf", name=_vrf(part.vrf))
    branch = profile.at("dnsProvider", addr=names.address(part.address, "Name server"))
    if step.after is None:
        branch.gone()


def _syslog(top: tree.Branch, step: Step, part: Syslog) -> None:
    host = names.address(part.address, "Syslog server")
    branch = top.at("syslogSyslog").at("syslogRemoteDest", host=host)
    if step.after is None:
        branch.gone()
        return
    blank = defaults.syslog(part.address)
    severity = part.severity if part.severity is not None else blank.severity or 0
    branch.set(severity=names.SEVERITIES[severity], port=str(part.port or blank.port), vrfName=_vrf(part.vrf))


def _community(top: tree.Branch, step: Step, part: Community) -> None:
    name = names.word(part.name, "SNMP community")
    branch = top.at("snmpEntity").at("snmpInst").at("snmpCommSecP", name=name)
    if step.after is None:
        branch.gone()
        return
    branch.set(grpName="network-admin" if part.write else "network-operator")


def _trap(top: tree.Branch, step: Step, part: Trap) -> None:
    address = names.address(part.address, "SNMP trap receiver")
    branch = top.at("snmpEntity").at("snmpInst").at("snmpHost", hostName=address, udpPortID="162")
    if step.after is None:
        branch.gone()
        return
    community = names.word(part.community or "public", f"SNMP trap receiver {address}: community")
    version = f"v{part.version or '2c'}"
    branch.set(commName=community, notifType="traps", version=version, secLevel="noauth")
    old = _own_vrf(step.before.vrf if isinstance(step.before, Trap) else None)
    new = _own_vrf(part.vrf)
    if old != new and old:
        branch.at("snmpUseVrf", vrfname=old).gone()
    if old != new and new:
        branch.at("snmpUseVrf", vrfname=new)


def _own_vrf(vrf: str | None) -> str:
    return "" if vrf in (None, names.DEFAULT_VRF) else _vrf(vrf)


def _user(top: tree.Branch, step: Step, part: User) -> None:
    branch = top.at("aaaUserEp").at("aaaUser", name=names.word(part.name, "User: name", 28))
    if step.after is None:
        branch.gone()
        return
    before = step.before if isinstance(step.before, User) else None
    if part.password and (before is None or before.password != part.password):
        secret = names.word(part.password, f"User {part.name}: password hash", 127)
        branch.set(pwd=secret, pwdEncryptType=_ENCRYPTION[hash_kind(secret)])
    old = before.role if before else None
    if part.role and part.role != old:
        domain = branch.at("aaaUserDomain", name="all")
        domain.at("aaaUserRole", name=names.word(part.role, f"User {part.name}: role"))
        if old:
            domain.at("aaaUserRole", name=old).gone()


def _system(top: tree.Branch, step: Step) -> None:
    after = step.after if isinstance(step.after, System) else System("switch", "", "", "")
    before = step.before if isinstance(step.before, System) else System()
    if after.hostname and after.hostname != before.hostname:
        top.set(name=names.word(after.hostname, "hostname"))
    if after.domain is not None and after.domain != before.domain:
        domain = top.at("dnsEntity").at("dnsProf", name="default").at("dnsDom")
        if after.domain:
            domain.set(name=names.word(after.domain, "domain", 128))
        else:
            domain.gone()
    for field, said in (("contact", "sysContact"), ("location", "sysLocation")):
        new = getattr(after, field)
        if new is not None and new != getattr(before, field):
            info = top.at("snmpEntity").at("snmpInst").at("snmpSysInfo")
            info.set(**{said: names.line(new, field)})
