"""What stands on an ADX: its running configuration in, pieces of ours and what others have out.

The text is read, not the typed lists: one call tells all of it, and no typed list of real servers is known.
Its grammar is that of the ServerIron ADX Server Load Balancing Guide.
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.devices.balancer.adx import names
from sekisho.devices.balancer.adx.pieces import (
    PLAIN_WEIGHT,
    STICKY_AGE,
    Binding,
    Key,
    Piece,
    Profile,
    RealPort,
    RealServer,
    Server,
    Virtual,
    VirtualPort,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_REAL: Final = ("real", "real-name-or-ip", "remote", "remote-name", "remote-name-or-ip")
_VIRTUAL: Final = ("virtual", "virtual-name-or-ip")
_PREDICTOR: Final = "least-conn"  # where neither the virtual server nor the whole box names one


@dataclass(frozen=True, slots=True)
class Standing:
    """What stands on a box. `virtuals` and `reals` give who has an address, ours and others' alike.

    `pieces` are ours, and all profiles, which have no owner; `policies` names our port policies, whose
    content is asked for by itself.
    """

    pieces: dict[Key, Piece]
    policies: tuple[str, ...]
    virtuals: Mapping[str, str]
    reals: Mapping[str, str]


@dataclass(slots=True)
class _Section:
    """One ``server ...`` line and what is below it, each line in words."""

    head: tuple[str, ...]
    lines: list[tuple[str, ...]] = field(default_factory=list)

    def value(self, word: str, default: str) -> str:
        return next((line[1] for line in self.lines if line[0] == word and len(line) > 1), default)

    def number(self, word: str, default: int) -> int:
        return _count(self.value(word, ""), default)

    def has(self, *words: str) -> bool:
        return words in self.lines

    def ports(self) -> Iterator[int]:
        """Go through the ports, without the one called ``default``, which stands by itself."""
        yield from dict.fromkeys(
            port
            for line in self.lines
            if line[0] == "port" and len(line) > 1 and (port := names.number(line[1]))
        )

    def port_has(self, port: int, *words: str) -> bool:
        return any(line[2:] == words for line in self._of(port))

    def port_value(self, port: int, word: str) -> str:
        return next((line[3] for line in self._of(port) if line[2:3] == (word,) and len(line) > 3), "")

    def _of(self, port: int) -> Iterator[tuple[str, ...]]:
        return (li for li in self.lines if li[0] == "port" and len(li) > 1 and names.number(li[1]) == port)


def standing(text: str) -> Standing:
    """Read a running configuration."""
    sections = list(_sections(text))
    virtuals = {_server(s).name: s for s in sections if s.head[0] in _VIRTUAL and len(s.head) > 2}
    reals = {_server(s).name: s for s in sections if s.head[0] in _REAL and len(s.head) > 2}
    whole = {s.head[0]: s.head[1] for s in sections if len(s.head) == 2}
    found: list[Piece] = [p for s in sections if s.head[0] == "port" for p in _profile(s)]
    for section in (s for name, s in reals.items() if names.ours(name)):
        found += _real(section)
    servers = {name: _server(section) for name, section in reals.items()}
    for section in (s for name, s in virtuals.items() if names.ours(name)):
        found += _virtual(section, servers, whole)
    return Standing(
        {piece.key: piece for piece in found},
        tuple(s.head[1] for s in sections if s.head[0] == "port-policy" and names.ours(s.head[1])),
        {section.head[2]: name for name, section in virtuals.items()},
        {section.head[2]: name for name, section in reals.items()},
    )


def _sections(text: str) -> Iterator[_Section]:
    section: _Section | None = None
    for line in text.splitlines():
        words = _words(line)
        if not words or words[0].startswith("!"):
            continue
        if not line.startswith((" ", "\t")):
            if section:
                yield section
            section = _Section(words[1:]) if words[0] == "server" and len(words) > 1 else None
        elif section:
            section.lines.append(words)
    if section:
        yield section


def _words(line: str) -> tuple[str, ...]:
    if '"' not in line:
        return tuple(line.split())
    try:
        return tuple(shlex.split(line))
    except ValueError:  # a quotation mark of others' that is not closed
        return tuple(line.split())


def _server(section: _Section) -> Server:
    return Server(section.head[1], section.head[2])


def _profile(section: _Section) -> Iterator[Profile]:
    port = names.number(section.head[1]) if len(section.head) > 1 else 0
    kind = next((line[0].upper() for line in section.lines if line[0] in ("tcp", "udp")), "UDP")
    if port and port not in names.STANDARD:
        yield Profile(port, kind)


def _real(section: _Section) -> Iterator[Piece]:
    server = _server(section)
    yield RealServer(server, section.number("weight", PLAIN_WEIGHT))
    for port in section.ports():
        policy = section.port_value(port, "use-port-policy")
        yield RealPort(server, port, not section.port_has(port, "disable"), policy)


def _virtual(section: _Section, reals: Mapping[str, Server], whole: Mapping[str, str]) -> Iterator[Piece]:
    server = _server(section)
    yield Virtual(
        server,
        not section.has("disable"),
        section.value("predictor", whole.get("predictor", _PREDICTOR)),
        section.number("sticky-age", _count(whole.get("sticky-age", ""), STICKY_AGE)),
        section.number("sym-priority", 0),
    )
    for port in section.ports():
        flags = [section.port_has(port, word) for word in ("disable", "sticky", "dsr")]
        yield VirtualPort(server, port, not flags[0], flags[1], flags[2])
    for line in (li for li in section.lines if li[0] == "bind" and len(li) > 1):
        for name, at in zip(line[2::2], line[3::2], strict=False):
            real = reals.get(name, Server(name, ""))
            yield Binding(server, names.number(line[1]), real, names.number(at))


def _count(text: str, default: int) -> int:
    return int(text) if text.isdecimal() else default
