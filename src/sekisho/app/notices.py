"""Tells people what happened: gathers it, writes letters, and sees that each arrives or is given up aloud.

What is told comes from the journal, and how far each channel has been told is written in the same
transaction as the letter: a keeper that dies tells nothing twice and forgets nothing.
"""

from __future__ import annotations

import json
import logging
import threading
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.app import figures
from sekisho.app.notices_read import KINDS, OURS, Conditions, conditions, kind_of, notices
from sekisho.ledger.letters import Letters
from sekisho.model.errors import Malformed, NotFound, Refused, SekishoError, Unavailable
from sekisho.model.notice import Letter, LetterState, Notice, NoticeKind
from sekisho.notify import channel as channels
from sekisho.notify import letters as writing
from sekisho.notify.contacts import contacts
from sekisho.notify.wording import Words, words

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from sekisho.ledger.ledger import Ledger
    from sekisho.model.access import Principal
    from sekisho.model.inventory import Subject
    from sekisho.model.report import Page, Status
    from sekisho.model.restriction import JournalEntry
    from sekisho.notify.channel import Channel
    from sekisho.notify.settings import NotifySettings

log = logging.getLogger("sekisho.notices")

CUSTOMERS: Final = "customers"
# Lines of the journal that become one message at most.
MOST: Final = 5000
# Seconds between looks at what needs a person, and at letters that have ended.
LOOK: Final = 5.0
# Seconds before the second try of a letter; each further one waits three times as long, up to the last.
FIRST: Final = 5.0
LONGEST: Final = 3600.0
# A channel looks for letters at least so often, should a bell be lost.
IDLE: Final = 5.0


class Told(Protocol):
    """What is asked of the keeper."""

    def status(self) -> Status:
        """Sum up how it goes."""
        ...

    def subject(self, subject: str, project: str = "") -> Subject:
        """Find one; raises NotFound."""
        ...


@dataclass(slots=True)
class _Desk:
    """What one channel has been told of: the journal up to a line, and conditions by key."""

    name: str
    batch: float
    line: int
    conditions: dict[str, str]
    saved: int = 0
    held: dict[str, float] = field(default_factory=dict)  # changes of conditions, and since when they wait


class Notices:
    """Implements `api.notices.Notices`; thread-safe. `gather` is called from one thread."""

    def __init__(
        self,
        settings: NotifySettings,
        ledger: Ledger,
        keeper: Told,
        now: Callable[[], float],
        carriers: Mapping[str, Channel] | None = None,
    ) -> None:
        self._settings = settings
        self._keeper = keeper
        self._now = now
        self.letters = Letters(ledger.store)
        self._carriers = dict(carriers if carriers is not None else _carriers(settings))
        folder = Path(settings.words) if settings.words else None
        self._words: dict[str, Words] = {
            language: words(language, folder, settings.zone) for language in ("en", "ja")
        }
        self._desks: dict[str, _Desk] = {}
        self._conditions = Conditions(settings.patience)
        self._looked = float("-inf")
        self._bells = {name: threading.Event() for name in self._carriers}
        self._failed: dict[str, int] = dict.fromkeys(self._carriers, 0)
        self._trouble: dict[str, str] = {}

    # --- gathering ---------------------------------------------------------------------------

    def gather(self, now: float) -> None:
        """Write letters about what has happened and waited long enough; costs a look where nothing has."""
        if now - self._looked >= LOOK or now < self._looked:
            self._looked = now
            self._conditions.take(conditions(self._keeper.status(), self._settings.silent), now)
            self.letters.forget(now - self._settings.keep)
        troubles: list[SekishoError] = []
        for name in self._carriers:
            try:
                self._gather_for(self._desk(name), now)
            except SekishoError as error:  # the other channels are told all the same
                self._desks.pop(name, None)  # read again what was written last
                troubles.append(error)
        if troubles:
            raise troubles[0]

    def _desk(self, name: str) -> _Desk:
        if name not in self._desks:
            kept = self.letters.recall(name)
            if kept:
                told = json.loads(kept)
                desk = _Desk(name, self._batch(name), told["line"], told["conditions"], told["line"])
            else:  # history is not news
                desk = _Desk(name, self._batch(name), self.letters.last_line(), {})
                self.letters.post((), self._told(desk))
            self._desks[name] = desk
        return self._desks[name]

    def _batch(self, name: str) -> float:
        if name == CUSTOMERS:
            return self._settings.customers.batch
        return self._settings.channels[name].batch

    def _gather_for(self, desk: _Desk, now: float) -> None:
        lines = self.letters.lines_after(desk.line, MOST)
        news = [line for line in lines if line.verb in KINDS]
        changed, told = ((), desk.conditions) if desk.name == CUSTOMERS else self._changes(desk, now)
        oldest = min((line.time for line in news), default=now)
        oldest = min(oldest, *(desk.held.values() or (now,)), now)
        if (news or changed) and len(lines) < MOST and 0 <= now - oldest < desk.batch:
            return
        if lines:
            desk.line = lines[-1].id
        if news or changed:
            self._write(desk, news, changed, told, now)
        elif desk.line - desk.saved >= MOST:
            self._save(desk, ())

    def _changes(self, desk: _Desk, now: float) -> tuple[tuple[Notice, ...], dict[str, str]]:
        """Find what a channel is to be told of conditions, and what it will have been told of then."""
        new, over = self._conditions.changes(desk.conditions, now)
        keys = {*new, *over}
        desk.held = {key: desk.held.get(key, now) for key in keys}
        came = [Notice(kind_of(sentence), now, sentence) for sentence in new.values()]
        went = [Notice(NoticeKind.RECOVERED, now, desk.conditions[key]) for key in over]
        told = {k: s for k, s in (desk.conditions | new).items() if k not in over}
        return (*came, *went), told

    def _write(
        self,
        desk: _Desk,
        news: Sequence[JournalEntry],
        changed: tuple[Notice, ...],
        told: dict[str, str],
        now: float,
    ) -> None:
        entries = self.letters.entries({line.restriction for line in news if line.restriction})
        found = (*notices(news, entries, self._find), *changed)
        made = tuple(self._letters(desk.name, found, now)) if found else ()
        desk.conditions, desk.held = told, {}
        self._save(desk, made)

    def _save(self, desk: _Desk, made: tuple[Letter, ...]) -> None:
        self.letters.post(made, self._told(desk))
        desk.saved = desk.line
        if made:
            self._bells[desk.name].set()

    def _told(self, desk: _Desk) -> dict[str, str]:
        return {desk.name: json.dumps({"line": desk.line, "conditions": desk.conditions})}

    def _find(self, subject: str) -> Subject | None:
        try:
            return self._keeper.subject(subject)
        except NotFound:
            return None

    def _letters(self, name: str, found: tuple[Notice, ...], now: float) -> Iterator[Letter]:
        if name == CUSTOMERS:
            yield from self._to_customers(found, now)
            return
        settings = self._settings.channels[name]
        letter = writing.letter(name, settings, self._words[settings.language], found, now)
        if letter is not None:
            yield letter

    def _to_customers(self, found: tuple[Notice, ...], now: float) -> Iterator[Letter]:
        settings = self._settings.customers
        known = contacts(Path(settings.contacts))
        for project in sorted({n.project for n in found if n.project} & known.keys()):
            contact = known[project]
            spoken = self._words[contact.language or settings.language]
            for to in contact.to:
                letter = writing.to_customer(project, to, settings, spoken, found, now)
                if letter is not None:
                    yield letter

    # --- sending -----------------------------------------------------------------------------

    @property
    def channels(self) -> tuple[str, ...]:
        """Name the channels, that of the customers too where they are told."""
        return tuple(self._carriers)

    def carry(self, name: str, stop: threading.Event) -> None:
        """Send what is due by one channel, and wait for more; its own thread calls it again and again."""
        self._bells[name].clear()
        sent = [
            self._send(name, letter) for letter in self.letters.due(name, self._now()) if not stop.is_set()
        ]
        if not sent:
            self._bells[name].wait(IDLE)

    def ring(self) -> None:
        """Wake every channel, so that it sees that it should stop."""
        for bell in self._bells.values():
            bell.set()

    def _send(self, name: str, letter: Letter) -> bool:
        now = self._now()
        try:
            self._carriers[name].send(letter, now)
        except Refused as error:
            self._met(name, error)
            self.letters.give_up(letter.id, now, error.fixer)
        except (Unavailable, Malformed) as error:
            self._met(name, error)
            self._again(letter, error, now)
        except Exception as error:  # noqa: BLE001 - a library's surprise must not stop the telling
            self._met(name, Unavailable("It could not be sent.", repr(error)))
            self._again(letter, error, now)
        else:
            if self._trouble.pop(name, ""):
                log.warning("notices: channel %s works again", name)
            self.letters.sent(letter.id, now)
            return True
        return False

    def _met(self, name: str, error: SekishoError) -> None:
        self._failed[name] += 1
        if name not in self._trouble:
            log.warning("notices: channel %s: %s", name, error.fixer)
        self._trouble[name] = error.fixer

    def _again(self, letter: Letter, error: Exception, now: float) -> None:
        said = error.fixer if isinstance(error, SekishoError) else type(error).__name__
        if letter.attempts + 1 >= self._settings.attempts:
            log.error("notices: letter %s to %s is given up: %s", letter.id, letter.channel, said)
            self.letters.give_up(letter.id, now, said)
            return
        wait = min(LONGEST, FIRST * 3.0**letter.attempts)
        asked = error.retry_after if isinstance(error, Unavailable) else 0.0
        self.letters.put_off(letter.id, now + max(wait, min(asked, LONGEST)), said)

    # --- asked by people ---------------------------------------------------------------------

    def page(self, states: Collection[LetterState], channel: str, limit: int, marker: str) -> Page[Letter]:
        """List letters, newest first."""
        return self.letters.page(states, channel, limit, marker)

    def retry(self, who: Principal, letter: str) -> Letter:
        """Let a dead letter be tried again."""
        found = self.letters.retry(letter, who.name, self._now())
        if found.channel in self._bells:
            self._bells[found.channel].set()
        return found

    def test(self, who: Principal, channel: str) -> None:
        """Send a test letter to a channel."""
        if channel not in self._carriers or channel == CUSTOMERS:
            known = ", ".join(n for n in self._carriers if n != CUSTOMERS) or "none"
            raise NotFound(f"There is no channel {channel!r}; known are: {known}.")
        now = self._now()
        notice = Notice(NoticeKind.TEST, now, f"Asked for by {who.name}.", author=who.name)
        settings = replace(self._settings.channels[channel], kinds=())
        letter = writing.letter(channel, settings, self._words[settings.language], (notice,), now)
        self.letters.post((letter,) if letter else (), {})
        self._bells[channel].set()

    # --- how it goes -------------------------------------------------------------------------

    def sentences(self) -> tuple[str, ...]:
        """Name what needs a person."""
        dead = {c: n for (c, s), n in self.letters.counts().items() if s is LetterState.DEAD}
        found = [
            f"{OURS} {n} letters to {c} were given up; see `sekisho notices list --state dead`"
            for c, n in sorted(dead.items())
        ]
        return (*found, *(f"{OURS} channel {c}: {what}" for c, what in sorted(self._trouble.items())))

    def metrics(self) -> dict[str, float]:
        """Count letters by channel and state, and failed tries."""
        counts = self.letters.counts()
        found = {
            figures.metric("notices", channel=c, state=s.value): float(counts.get((c, s), 0))
            for c in self._carriers
            for s in LetterState
        }
        for name, n in self._failed.items():
            found[figures.metric("notices_failed_total", channel=name)] = float(n)
        return found


def _carriers(settings: NotifySettings) -> dict[str, Channel]:
    found = {name: channels.channel(each) for name, each in settings.channels.items()}
    if settings.customers.contacts:
        found[CUSTOMERS] = channels.customers(settings.customers)
    return found
