"""Whole configurations that a Nexus takes, drawn at random."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from sekisho.devices.switch.intent import Acl, Community, Key, Lacp, Part, Port, PortMode, Svi, System, Vrf
from sekisho.devices.switch.nexus import defaults
from support_switch_states import states


def nexus_states(physical: int) -> st.SearchStrategy[dict[Key, Part]]:
    """Draw the parts of a Nexus with so many physical interfaces, whole."""
    return states().map(lambda state: settled(dict(state.parts), physical))


def settled(parts: dict[Key, Part], physical: int) -> dict[Key, Part]:
    """Make of a drawn configuration one that NX-OS can hold, and fill what a switch always has."""
    links = {p.name for p in parts.values() if isinstance(p, Port) and p.peer_link}
    found = {key: _settled(_not_edge(part, links)) for key, part in parts.items()}
    found = {(*key[:1], "secret") if key[0] == "community" else key: part for key, part in found.items()}
    if found.get(("svi", "1")) == defaults.svi(1):  # what is there by itself counts only if used
        del found["svi", "1"]
    blank = [defaults.port(f"Ethernet1/{n}") for n in range(1, physical + 1)]
    return {("port", port.name): port for port in blank} | found


def _settled(part: Part) -> Part:
    match part:
        case Port():
            return _port(part)
        case Svi():
            return replace(part, description=_plain(part.description))
        case Vrf():
            return replace(part, description=_plain(part.description))
        case System():
            return replace(part, contact=_plain(part.contact), location=_plain(part.location))
        case Community():
            return replace(part, name="secret")
        case Acl():
            entries = tuple(replace(a, protocol=_protocol(a.protocol)) for a in part.entries or ())
            return replace(part, entries=entries)
        case _:
            return part


def _not_edge(part: Part, links: set[str]) -> Part:
    """A peer link is a network port by itself, and so are its members."""
    if isinstance(part, Port) and (part.name in links or part.channel in links):
        return replace(part, edge=False)
    return part


def comparable(part: Part | None) -> Part | None:
    """Take from a channel without members how it is negotiated: in text its members alone say that."""
    return replace(part, lacp=Lacp.ON) if isinstance(part, Port) and part.members == () else part


def _plain(text: str | None) -> str:
    return (text or "").replace("ö", "o").replace("ß", "ss")


def _protocol(text: str) -> str:
    return {"6": "tcp"}.get(text, text)


def _port(part: Port) -> Port:
    part = replace(part, description=_plain(part.description))
    if part.members == ():  # without members nothing says how a channel is negotiated
        part = replace(part, lacp=Lacp.ON)
    if part.mode is PortMode.ROUTED:
        return defaults.bare(replace(part, vpc=None if part.vpc is None else 0))
    return replace(part, acl4_out="", acl6_out="")
