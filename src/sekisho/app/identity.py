"""Keystone's tokens in, principals out: who asks, by Keystone's word, remembered for a while.

Keystone is asked at most once at a time about one token, by few at once, and not at all for some
seconds after it did not answer: a Keystone that hangs costs its own users their answers and nobody else.
"""

from __future__ import annotations

import hashlib
import logging
import re
import threading
from collections import Counter, OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.model.access import FOREIGN, Principal, Role
from sekisho.model.errors import Forbidden, Malformed, SekishoError, Unauthenticated, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("sekisho.keystone")

# What can be a token at all (Fernet, JWS, UUID); anything else is not worth a question.
PLAUSIBLE: Final = re.compile(r"[A-Za-z0-9_.=+/-]{16,4096}")
LONGEST_PART: Final = 64  # characters of each name in a principal's own


@dataclass(frozen=True, slots=True)
class KeystoneRoles:
    """Which of Keystone's roles make which of ours, in the operators' scope; `member` in any project.

    `release` are those of its roles with which a member may also end a restriction early.
    """

    admin: tuple[str, ...] = ("admin",)
    operator: tuple[str, ...] = ("sekisho_operator",)
    viewer: tuple[str, ...] = ("sekisho_viewer", "reader")
    agent: tuple[str, ...] = ()
    member: tuple[str, ...] = ("member", "reader")
    release: tuple[str, ...] = ("member",)


@dataclass(frozen=True, slots=True)
class KeystoneSettings:
    """How the keeper asks Keystone; off while neither `url` nor `cloud` is named. Times are seconds.

    The service user is an entry `cloud` of a clouds.yaml, or an `application_credential` (its id), or
    a `user` with its project; `secret_file` holds the credential's secret or the user's password.
    `operators` are the projects (id, or NAME@DOMAIN) whose roles count as operators' roles, and with
    `system_scope` so does the system scope; agents may also come from `services`.
    """

    url: str = ""
    cloud: str = ""
    clouds_file: str = ""
    application_credential: str = ""
    user: str = ""
    user_domain: str = "Default"
    project: str = "service"
    project_domain: str = "Default"
    secret_file: str = ""
    ca_file: str = ""
    timeout: float = 10.0
    cache: float = 300.0
    cache_refused: float = 10.0
    remembered: int = 10_000
    pause: float = 5.0
    operators: tuple[str, ...] = ("admin@Default",)
    services: tuple[str, ...] = ("service@Default",)
    system_scope: bool = True
    roles: KeystoneRoles = field(default_factory=KeystoneRoles)

    def __post_init__(self) -> None:
        problems = tuple(f"keystone.{problem}" for problem in self._problems())
        if problems:
            raise Malformed("Keystone cannot be asked like this.", problems=problems)

    @property
    def on(self) -> bool:
        """Tell whether Keystone's tokens are taken at all."""
        return bool(self.url or self.cloud)

    def _problems(self) -> list[str]:
        found = [
            f"{name}: expected {least:g} or more"
            for name, least in (("timeout", 0.1), ("cache", 0), ("cache_refused", 0), ("pause", 0))
            if not getattr(self, name) >= least
        ]
        if self.remembered < 1:
            found.append("remembered: expected 1 or more")
        if self.url and self.cloud:
            found.append("cloud: names the service user already; leave out url")
        elif self.url:
            found += self._credential_problems()
        elif not self.cloud and (self.application_credential or self.user or self.secret_file):
            found.append("url: say where Keystone is, such as https://keystone.example.net:5000/v3")
        return found

    def _credential_problems(self) -> list[str]:
        found = []
        if not self.url.startswith(("https://", "http://")):
            found.append("url: expected http:// or https://")
        if bool(self.user) == bool(self.application_credential):
            found.append("user: name either a user or an application_credential")
        if not self.secret_file:
            found.append("secret_file: name the file with the password or the credential's secret")
        return found


@dataclass(frozen=True, slots=True)
class Domained:
    """A user or a project, with its domain's name: that pair is unique, the name alone is not."""

    id: str
    name: str
    domain: str


@dataclass(frozen=True, slots=True)
class Facts:
    """What Keystone says of one valid token. `left` is how many seconds it is still good."""

    user: Domained
    roles: frozenset[str]
    left: float
    project: Domained | None = None
    system: bool = False


class Asks(Protocol):
    """Whoever can ask Keystone."""

    def ask(self, token: str) -> Facts | None:
        """Say what a token stands for, None where Keystone does not know it; raises Unavailable."""
        ...


@dataclass(slots=True)
class _Question:
    """One token being asked about: the first asks, the others wait for its answer."""

    done: threading.Event = field(default_factory=threading.Event)
    answer: Principal | SekishoError | None = None


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: Principal | SekishoError
    until: float


class Identity:
    """Principals by token; thread-safe. `passed` is a clock that nobody steps."""

    def __init__(self, settings: KeystoneSettings, asks: Asks, passed: Callable[[], float]) -> None:
        self._settings = settings
        self._asks = asks
        self._passed = passed
        self._lock = threading.Lock()
        self._good: OrderedDict[bytes, _Kept] = OrderedDict()
        # Kept apart: a flood of refused tokens must not push out those that are good.
        self._refused: OrderedDict[bytes, _Kept] = OrderedDict()
        self._asked: dict[bytes, _Question] = {}
        self._silent_until = 0.0
        self._trouble = ""
        self._counts: Counter[str] = Counter()

    def knows(self, token: str) -> bool:
        """Tell, without waiting, whether `principal` would answer from memory."""
        with self._lock:
            return self._kept(_digest(token)) is not None

    def recognised(self, token: str) -> Principal | None:
        """Find, without waiting, whom a token speaks for; None where memory has no good answer."""
        with self._lock:
            kept = self._kept(_digest(token))
            if kept is None or isinstance(kept.answer, SekishoError):
                return None
            self._counts["cached"] += 1
            return kept.answer

    def principal(self, token: str) -> Principal:
        """Find whom a token speaks for; raises Unauthenticated, Forbidden, Unavailable."""
        if not PLAUSIBLE.fullmatch(token):
            raise Unauthenticated("This is no Keystone token.")
        answer = self._answer(_digest(token), token)
        if isinstance(answer, SekishoError):
            raise _again(answer)
        return answer

    def counts(self) -> dict[str, int]:
        """Count answers: from memory, and what Keystone said."""
        with self._lock:
            return {name: self._counts[name] for name in ("cached", "valid", "refused", "failed")}

    def remembered(self) -> int:
        """Count tokens in memory."""
        with self._lock:
            return len(self._good) + len(self._refused)

    def trouble(self) -> str:
        """Say what is wrong with Keystone, empty when it answers."""
        return self._trouble

    def _answer(self, digest: bytes, token: str) -> Principal | SekishoError:
        with self._lock:
            kept = self._kept(digest)
            if kept is not None:
                self._counts["cached"] += 1
                return kept.answer
            if self._passed() < self._silent_until:
                return self._silent()
            question = self._asked.get(digest)
            first = question is None
            if question is None:
                question = self._asked[digest] = _Question()
        if first:
            self._ask(digest, token, question)
        else:
            question.done.wait()
        if question.answer is None:  # whoever asked for all of us was ended in the middle of it
            return self._silent()
        return question.answer

    def _silent(self) -> Unavailable:
        wait = max(1.0, self._silent_until - self._passed())
        return Unavailable("Keystone does not answer; tokens of Sekisho's own still work.", "", wait)

    def _ask(self, digest: bytes, token: str, question: _Question) -> None:
        try:
            question.answer = self._asked_keystone(digest, token)
        finally:
            with self._lock:
                self._asked.pop(digest, None)
            question.done.set()

    def _asked_keystone(self, digest: bytes, token: str) -> Principal | SekishoError:
        began = self._passed()
        try:
            facts = self._asks.ask(token)
        except Unavailable as error:
            return self._failed(error)
        if facts is None or facts.left <= 0:
            fixer = f"Keystone refuses the token whose digest begins with {digest.hex()[:8]}."
            refused = Unauthenticated("This token is not valid.", fixer)
            self._keep(self._refused, digest, refused, began + self._settings.cache_refused, "refused")
            return refused
        answer = principal_of(facts, self._settings)
        # Counted from before the question was sent: an answer that took long is that much older.
        self._keep(self._good, digest, answer, began + min(self._settings.cache, facts.left), "valid")
        return answer

    def _failed(self, error: Unavailable) -> Unavailable:
        with self._lock:
            self._counts["failed"] += 1
            self._silent_until = self._passed() + max(self._settings.pause, error.retry_after)
            if not self._trouble:
                log.warning("Keystone cannot be asked: %s", error.fixer)
            self._trouble = error.fixer
            return self._silent()

    def _keep(
        self,
        among: OrderedDict[bytes, _Kept],
        digest: bytes,
        answer: Principal | SekishoError,
        until: float,
        counted: str,
    ) -> None:
        with self._lock:
            self._counts[counted] += 1
            if self._trouble:
                log.info("Keystone answers again")
            self._trouble = ""
            among[digest] = _Kept(answer, until)
            among.move_to_end(digest)
            while len(among) > self._settings.remembered:
                among.popitem(last=False)

    def _kept(self, digest: bytes) -> _Kept | None:
        for among in (self._good, self._refused):
            kept = among.get(digest)
            if kept is not None and self._passed() < kept.until:
                among.move_to_end(digest)
                return kept
            among.pop(digest, None)
        return None


def principal_of(facts: Facts, settings: KeystoneSettings) -> Principal | Forbidden:
    """Map what Keystone says to one of our roles."""
    name = name_of(facts)
    scoped = facts.project is not None
    if not scoped and not facts.system:
        return Forbidden("This token is for no project; ask Keystone for one that is scoped to a project.")
    roles, ours = settings.roles, _is_among(facts.project, settings.operators)
    if ours or (facts.system and settings.system_scope):
        for role, wanted in ((Role.ADMIN, roles.admin), (Role.OPERATOR, roles.operator)):
            if facts.roles & set(wanted):
                return Principal(name, role)
    if (ours or _is_among(facts.project, settings.services)) and facts.roles & set(roles.agent):
        return Principal(name, Role.AGENT)
    if (ours or (facts.system and settings.system_scope)) and facts.roles & set(roles.viewer):
        return Principal(name, Role.VIEWER)
    if facts.project is not None and facts.project.id and facts.roles & set(roles.member):
        may_release = bool(facts.roles & set(roles.release))
        return Principal(name, Role.MEMBER, project=facts.project.id, may_release=may_release)
    where = "the system scope" if facts.system else "this project"
    return Forbidden(f"None of your roles in {where} lets you in here.")


def name_of(facts: Facts) -> str:
    """Name a user as the journal does: ``keystone:NAME@DOMAIN (PROJECT)``.

    What could be mistaken for another name's parts is percent-encoded.
    """
    where = _part(facts.project.name) + _at(facts) if facts.project else "system" if facts.system else "-"
    # No project is named like a scope that is none: those stand in brackets.
    where = where if facts.project else f"[{where}]"
    return f"{FOREIGN}{_part(facts.user.name)}@{_part(facts.user.domain)} ({where})"


def _at(facts: Facts) -> str:
    """Add a project's domain where it is not the user's own: names are unique inside a domain only."""
    project = facts.project
    return f"@{_part(project.domain)}" if project and project.domain != facts.user.domain else ""


def _part(name: str) -> str:
    told = "".join(c if c.isprintable() and c not in "%@()[]" else _percent(c) for c in name)
    if len(told) <= LONGEST_PART:
        return told
    return f"{told[: LONGEST_PART - 10]}%~{hashlib.sha256(name.encode('utf-8', 'replace')).hexdigest()[:8]}"


def _percent(character: str) -> str:
    return "".join(f"%{octet:02X}" for octet in character.encode("utf-8", "surrogatepass"))


def _is_among(project: Domained | None, named: tuple[str, ...]) -> bool:
    if project is None:
        return False
    pairs = [entry.rpartition("@") for entry in named if "@" in entry]
    return project.id in named or (project.name, project.domain) in [(p[0], p[2]) for p in pairs]


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def _again(answer: SekishoError) -> SekishoError:
    """Make an error anew: one that is kept would gather the tracebacks of all who are told it."""
    if isinstance(answer, Unavailable):
        return Unavailable(answer.asker, answer.fixer, answer.retry_after)
    return type(answer)(answer.asker, answer.fixer)
