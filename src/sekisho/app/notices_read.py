"""The journal's lines as notices, and what needs a person as conditions that come and go."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from sekisho.model.notice import Notice, NoticeKind

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from sekisho.model.inventory import Subject
    from sekisho.model.report import Status
    from sekisho.model.restriction import JournalEntry, Restriction

# What a journal's verb tells; other lines are nobody's news.
KINDS: Final = {
    "impose": NoticeKind.IMPOSED,
    "approve": NoticeKind.IMPOSED,
    "propose": NoticeKind.PROPOSED,
    "lift": NoticeKind.LIFTED,
    "expire": NoticeKind.EXPIRED,
    "release": NoticeKind.RELEASED,
    "notice": NoticeKind.GUARD,
    "enforce": NoticeKind.ENFORCEMENT,
    "receipt": NoticeKind.FAILED,
}
OURS: Final = "notices:"
_NUMBER: Final = re.compile(r"\d+([.,]\d+)*")


def notices(
    lines: Iterable[JournalEntry],
    entries: Mapping[str, Restriction],
    find: Callable[[str], Subject | None],
) -> tuple[Notice, ...]:
    """Say what lines tell people: one notice for each, none for those that are no news."""
    found = (_notice(line, entries.get(line.restriction), find) for line in lines if line.verb in KINDS)
    return tuple(n for n in found if n is not None)


def _notice(
    line: JournalEntry, entry: Restriction | None, find: Callable[[str], Subject | None]
) -> Notice | None:
    kind, detail = KINDS[line.verb], _detail(line)
    if kind is NoticeKind.FAILED and not detail.get("problem"):
        return None  # it came into force, as it should
    why = line.reason
    if kind is NoticeKind.ENFORCEMENT:
        why = f"enforcement {'on' if detail.get('enabled') else 'off'}. {why}"
    if entry is None:
        return Notice(kind, line.time, why, subject=line.subject, author=line.author)
    if kind is NoticeKind.IMPOSED and not entry.actions:
        kind = NoticeKind.WARNED
    subject = find(line.subject)
    return Notice(
        kind=kind,
        time=line.time,
        why=why or entry.reason,
        subject=line.subject,
        project=entry.project,
        host=(subject.host if subject else "") or entry.host,
        addresses=subject.addresses if subject else (),
        restriction=entry.id,
        policy=entry.policy,
        author=line.author,
        actions=entry.actions,
        until=float(detail.get("until") or entry.until),
        dropped_packets=entry.dropped_packets,
    )


def _detail(line: JournalEntry) -> dict[str, Any]:
    try:
        found = json.loads(line.detail) if line.detail else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def conditions(status: Status, silent: float) -> dict[str, str]:
    """Name what needs a person now: a sentence each, under a key that stays while its numbers change.

    An exporter counts as silent after `silent` seconds, while its collector is heard itself.
    """
    found = {_key(s): s for s in status.degraded if not s.startswith(OURS)}
    for collector in status.collectors:
        if status.now - collector.time > silent:
            continue
        for each in collector.exporters:
            quiet = collector.time - each.last_seen
            if each.last_seen and quiet > silent:
                name = f"exporter {each.address}" + (f" (host {each.host})" if each.host else "")
                key = f"silent {collector.name} {each.address} {each.protocol} {each.domain}"
                found[key] = f"{name}: not heard of by collector {collector.name} for {quiet:.0f} s"
    return found


def _key(sentence: str) -> str:
    who, colon, rest = sentence.partition(": ")
    return f"{who}{colon}{_NUMBER.sub('#', rest)}" if colon else sentence


def kind_of(sentence: str) -> NoticeKind:
    """Tell silence from all else that needs a person."""
    return NoticeKind.SILENT if ": not heard of" in sentence else NoticeKind.DEGRADED


@dataclass(slots=True)
class Conditions:
    """What needs a person, and since when: only what lasts is told, only what stays away is over."""

    patience: float
    present: dict[str, tuple[str, float]] = field(default_factory=dict)  # sentence, since
    gone: dict[str, float] = field(default_factory=dict)  # when it was last there

    def take(self, found: Mapping[str, str], now: float) -> None:
        """Take what is so now."""
        for key in self.present.keys() - found.keys():
            del self.present[key]
            self.gone[key] = now
        for key, sentence in found.items():
            since = self.present[key][1] if key in self.present else now
            self.present[key] = sentence, since
            self.gone.pop(key, None)

    def changes(self, told: Mapping[str, str], now: float) -> tuple[dict[str, str], tuple[str, ...]]:
        """Compare with what was told: what is new and has lasted, and the keys of what is over."""
        new = {
            key: sentence
            for key, (sentence, since) in self.present.items()
            if key not in told and now - since >= self.patience
        }
        over = [k for k in told if k not in self.present and now - self._left(k, now) >= self.patience]
        for key in [k for k, when in self.gone.items() if k not in told and now - when >= self.patience]:
            del self.gone[key]
        return new, tuple(over)

    def _left(self, key: str, now: float) -> float:
        """Tell when something went; what an earlier keeper told of and is not there counts from now."""
        return self.gone.setdefault(key, now)
