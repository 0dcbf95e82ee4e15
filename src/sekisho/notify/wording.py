"""Notices in the reader's language: words come from TOML files, ours or the operator's in their place."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from datetime import datetime
from importlib.resources import files
from string import Template
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from sekisho.model.errors import Malformed
from sekisho.model.notice import Notice, NoticeKind
from sekisho.model.policy import Direction, Drop, Police

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sekisho.model.policy import Action
    from sekisho.notify.settings import Language

# Lines of one message; a burst of thousands is still one that can be read.
LINES: Final = 50
# Characters of one sentence in a line: a host's problem may be a page.
SENTENCE: Final = 1000
_NOTHING: Final = "-"
_WAY: Final = {
    "en": {Direction.EGRESS: "outgoing", Direction.INGRESS: "incoming"},
    "ja": {Direction.EGRESS: "送信", Direction.INGRESS: "受信"},
}
_DROP: Final = {"en": "$way $service is dropped", "ja": "$way $service を遮断"}
_POLICE: Final = {"en": "$way traffic is limited to $rate", "ja": "$way帯域を $rate に制限"}
_AND: Final = {"en": " and ", "ja": "、"}
_NAMES: Final = frozenset({
    "when", "subject", "addresses", "project", "host", "what", "until", "why", "restriction", "author",
    "dropped", "count", "title", "help",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Words:
    """All words of one language, by section and name; `zone` is for its times."""

    language: Language
    sections: Mapping[str, Any]
    zone: ZoneInfo

    def title(self, notices: Sequence[Notice], customer: str = "") -> str:
        """Say in one line what a message is about."""
        kinds = {n.kind for n in notices}
        section = "customer" if customer else notices[0].kind.value
        names = {"count": str(len(notices)), "subject": notices[0].subject or _NOTHING, "project": customer}
        if len(notices) == 1:
            said = self._say(section, "title", names)
        elif customer or len(kinds) == 1:
            said = self._say(section, "many", names)
        else:
            said = self._say("common", "several", names)
        return said if customer else self._say("common", "title", {"title": said})

    def text(self, notices: Sequence[Notice], *, customer: bool = False, help: str = "") -> str:  # noqa: A002 - the setting's name
        """Say each in a line, those of one kind together; what is too much is counted."""
        order = {kind: i for i, kind in enumerate(NoticeKind)}
        sorted_ = sorted(notices, key=lambda n: (order[n.kind], n.time))
        said = [self._line(n, customer=customer) for n in sorted_[:LINES]]
        if len(notices) > LINES:
            said.append(self._say("common", "more", {"count": f"{len(notices) - LINES:,}"}))
        if customer and help:
            said.append("\n" + self._say("customer", "foot", {"help": help}))
        return "\n".join(said)

    def _line(self, notice: Notice, *, customer: bool) -> str:
        names = {
            "when": self._moment(notice.time),
            "subject": notice.subject or _NOTHING,
            "addresses": ", ".join(notice.addresses) or _NOTHING,
            "project": notice.project or _NOTHING,
            "host": notice.host or _NOTHING,
            "what": self.done(notice.actions),
            "until": self._moment(notice.until) if notice.until else self._say("common", "never", {}),
            "why": _one_line(notice.why),
            "restriction": notice.restriction or _NOTHING,
            "author": notice.author or _NOTHING,
            "dropped": f"{notice.dropped_packets:,}",
        }
        section = f"customer.{notice.kind.value}" if customer else notice.kind.value
        return self._say(section, "line", names)

    def done(self, actions: Sequence[Action]) -> str:
        """Say what is done to a port."""
        return _AND[self.language].join(self._action(a) for a in actions) or _NOTHING

    def _action(self, action: Action) -> str:
        way = _WAY[self.language][action.direction]
        match action:
            case Drop():
                return Template(_DROP[self.language]).substitute(way=way, service=_service(action))
            case Police(rate):
                return Template(_POLICE[self.language]).substitute(way=way, rate=_rate(rate))

    def _moment(self, time: float) -> str:
        return f"{datetime.fromtimestamp(time, self.zone):%Y-%m-%d %H:%M:%S %Z}"

    def _say(self, section: str, name: str, names: Mapping[str, str]) -> str:
        return Template(_found(self.sections, section)[name]).safe_substitute(names)


def words(language: Language, folder: Path | None, zone: str) -> Words:
    """Read a language's words; raises Malformed naming file and place of what the operator wrote amiss."""
    name = f"{language}.toml"
    ours = tomllib.loads((files("sekisho.notify") / "words" / name).read_text(encoding="utf-8"))
    theirs: dict[str, Any] = {}
    path = folder / name if folder else None
    if path is not None and path.exists():
        try:
            theirs = tomllib.loads(path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise Malformed(f"{path}: {error}.") from error
        problems = tuple(_problems(ours, theirs, ""))
        if problems:
            listed = "; ".join(problems)
            raise Malformed(f"{path}: {listed}", problems=problems)
    return Words(language, _joined(ours, theirs), ZoneInfo(zone))


def _problems(ours: Mapping[str, Any], theirs: Mapping[str, Any], place: str) -> list[str]:
    found: list[str] = []
    for key, value in theirs.items():
        here = f"{place}{key}"
        known = ours.get(key)
        if known is None:
            found.append(f"{here}: unknown; known are {', '.join(sorted(ours))}.")
        elif isinstance(known, dict) and isinstance(value, dict):
            found += _problems(known, value, f"{here}.")
        elif not isinstance(known, str) or not isinstance(value, str):
            found.append(f"{here}: is {'a table' if isinstance(known, dict) else 'text'}.")
        else:
            found += _misspelt(value, here)
    return found


def _misspelt(text: str, place: str) -> list[str]:
    template = Template(text)
    if not template.is_valid():
        return [f"{place}: a $ stands before a name, or is written $$."]
    unknown = sorted(set(template.get_identifiers()) - _NAMES)
    return [f"{place}: ${name} is unknown; known are {', '.join(sorted(_NAMES))}." for name in unknown]


def _joined(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(ours)
    for key, value in theirs.items():
        joined[key] = _joined(ours[key], value) if isinstance(value, dict) else value
    return joined


def _found(sections: Mapping[str, Any], section: str) -> Mapping[str, str]:
    found: Any = sections
    for part in section.split("."):
        found = found[part]
    known: Mapping[str, str] = found
    return known


def _service(drop: Drop) -> str:
    ports = ""
    if drop.first_port:
        ports = f"/{drop.first_port}" + (
            f"-{drop.last_port}" if drop.last_port not in (0, drop.first_port) else ""
        )
    return f"{drop.protocol.value}{ports}"


def _rate(rate: int) -> str:
    for size, name in ((1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")):
        if rate >= size:
            return f"{rate / size:g} {name}"
    return f"{rate} bit/s"


def _one_line(text: str) -> str:
    """Keep what others wrote to one line without control characters: it must not forge lines of ours."""
    clean = "".join(c if c.isprintable() else " " for c in text)
    return clean if len(clean) <= SENTENCE else clean[: SENTENCE - 1] + "…"
