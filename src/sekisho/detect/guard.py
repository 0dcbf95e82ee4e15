"""The guard: whom nobody binds, and how many may be bound in an hour; and the ladder of a policy.

Pure: whoever asks brings the exemptions, the counts of the ledger and the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Final, TypeAlias

from sekisho.model.errors import Malformed
from sekisho.model.policy import KINDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from sekisho.model.inventory import Subject
    from sekisho.model.policy import Exemption, Policy, Step
    from sekisho.model.restriction import Imposed

HOUR: Final = 3600.0
# How Neutron names the ports of its routers (l3 agent): to bind one is to bind a whole network.
ROUTERS: Final = ("qr-", "qg-", "sg-", "ha-", "fg-", "rfp-", "fpr-")


@dataclass(frozen=True, slots=True)
class GuardSettings:
    """Whom the guard never lets bind, and how many new restrictions it lets through in an hour.

    `prefixes` are of subjects' addresses (gateways, collectors, relays), `macs` of their ports;
    `projects` and `subjects` are names; `interfaces` are how the names of gateways' interfaces begin on
    their hosts. A limit of 0 proposes everything.
    """

    per_hour_cloud: int = 100
    per_hour_project: int = 10
    per_hour_host: int = 20
    prefixes: tuple[str, ...] = ()
    macs: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    subjects: tuple[str, ...] = ()
    interfaces: tuple[str, ...] = ROUTERS

    def __post_init__(self) -> None:
        # Found out at the first decision, a prefix that is none would refuse every decision there is.
        _never(self)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A subject about to be bound under a policy.

    `binds` is False for a warning; `renews` is True where an active restriction is only extended.
    Neither counts against the hour.
    """

    subject: Subject
    policy: str
    binds: bool = True
    renews: bool = False


@dataclass(frozen=True, slots=True)
class Allow:
    """Go on."""


@dataclass(frozen=True, slots=True)
class Refuse:
    """Leave this subject alone, and say why."""

    reason: str


@dataclass(frozen=True, slots=True)
class Propose:
    """Too many in this hour: let a person decide."""

    reason: str


Judgement: TypeAlias = Allow | Refuse | Propose


@dataclass(frozen=True, slots=True)
class Ruling:
    """One judgement per candidate, in their order.

    `notice` is the one loud sentence of the hour, empty unless it is due now; whoever raises it
    keeps the time and gives it as `last_notice` from then on.
    """

    judgements: tuple[Judgement, ...]
    notice: str = ""


def judge(
    settings: GuardSettings,
    candidate: Candidate,
    exemptions: Sequence[Exemption],
    imposed: Imposed,
    now: float,
) -> Judgement:
    """Judge one candidate; `imposed` counts the hour before now."""
    return judge_all(settings, (candidate,), exemptions, imposed, now).judgements[0]


def judge_all(
    settings: GuardSettings,
    candidates: Iterable[Candidate],
    exemptions: Sequence[Exemption],
    imposed: Imposed,
    now: float,
    last_notice: float = float("-inf"),
) -> Ruling:
    """Judge a batch in order: what it has been allowed so far counts like what was imposed before.

    `imposed` counts the hour before now. Raises Malformed when a prefix of the settings is none.
    """
    tally = _Tally(settings, imposed)
    exempt = _Exempt(exemptions, now)
    judgements = tuple(_judge(settings, c, exempt, tally) for c in candidates)
    held = [j for j in judgements if isinstance(j, Propose)]
    # A clock that went back must not silence the guard for longer than an hour.
    due = bool(held) and not 0 <= now - last_notice < HOUR
    return Ruling(judgements, _notice(len(held), held[0].reason) if due else "")


def infrastructure(settings: GuardSettings, subject: Subject) -> str:
    """Tell why a subject is infrastructure that nobody binds; empty if it is none."""
    never = _never(settings)
    if subject.id in never.subjects:
        return f"{subject.id} is infrastructure by name."
    if subject.project in never.projects:
        return f"Project {subject.project} is infrastructure."
    if subject.mac.lower() in never.macs:
        return f"{subject.mac} is infrastructure."
    if subject.interface.startswith(never.interfaces):
        return f"{subject.interface} is infrastructure: a gateway's interface."
    for address in subject.addresses:
        prefix = never.prefix_of(address)
        if prefix:
            return f"{address} is infrastructure ({prefix})."
    return ""


def protecting(settings: GuardSettings, addresses: Iterable[str]) -> GuardSettings:
    """Add addresses that are never bound: gateways, our own collectors."""
    return replace(settings, prefixes=(*settings.prefixes, *addresses))


def step(policy: Policy, offence: int) -> Step:
    """Pick the rung of the n-th offence, n from 1; beyond the last its duration grows, up to the cap.

    Raises Malformed when the ladder has no rung.
    """
    if not policy.ladder:
        raise Malformed(f"Policy {policy.name} has an empty ladder.")
    rung = policy.ladder[min(max(offence, 1), len(policy.ladder)) - 1]
    beyond = max(offence - len(policy.ladder), 0)
    return replace(rung, duration=_grown(rung.duration, policy.backoff, beyond, policy.max_duration))


def _grown(duration: float, backoff: float, times: int, most: float) -> float:
    try:
        return min(duration * float(backoff) ** times, most)
    except OverflowError:
        return most


@dataclass(slots=True)
class _Tally:
    """Counts that run along with a batch."""

    settings: GuardSettings
    imposed: Imposed
    cloud: int = 0
    projects: dict[str, int] = field(default_factory=dict)
    hosts: dict[str, int] = field(default_factory=dict)
    seen: set[tuple[str, str]] = field(default_factory=set)

    def full(self, subject: Subject) -> str:
        """Tell which limit leaves no room for one more; a bare switch knows no projects to count by."""
        project, host = subject.project, subject.host
        done, limits = self.imposed, self.settings
        if done.cloud + self.cloud >= limits.per_hour_cloud:
            return _reached(limits.per_hour_cloud, "the cloud")
        if project and _sum(done.projects, self.projects, project) >= limits.per_hour_project:
            return _reached(limits.per_hour_project, f"project {project}")
        if host and _sum(done.hosts, self.hosts, host) >= limits.per_hour_host:
            return _reached(limits.per_hour_host, f"host {host}")
        return ""

    def add(self, subject: Subject) -> None:
        """Count one more."""
        self.cloud += 1
        self.projects[subject.project] = self.projects.get(subject.project, 0) + 1
        self.hosts[subject.host] = self.hosts.get(subject.host, 0) + 1


class _Exempt:
    """Exemptions in force, found by what they name: ten thousand candidates must not ask each one."""

    def __init__(self, exemptions: Sequence[Exemption], now: float) -> None:
        self._everybody: list[Exemption] = []
        self._named: dict[tuple[str, str], list[Exemption]] = {}
        self._now = now
        for exemption in exemptions:
            if exemption.until == 0 or exemption.until > now:
                self._add(exemption)

    def _add(self, exemption: Exemption) -> None:
        named = [(kind, name) for kind in KINDS for name in getattr(exemption.scope, kind)]
        for name in named:
            self._named.setdefault(name, []).append(exemption)
        if not named:
            self._everybody.append(exemption)

    def of(self, subject: Subject, policy: str) -> Exemption | None:
        """Find one that holds for a subject under a policy."""
        for exemption in self._about(subject):
            applies = not exemption.policies or policy in exemption.policies
            if applies and exemption.scope.matches(subject, self._now):
                return exemption
        return None

    def _about(self, subject: Subject) -> Iterator[Exemption]:
        yield from self._everybody
        for name in ((kind, name) for kind, of in KINDS.items() for name in of(subject)):
            yield from self._named.get(name, ())


def _judge(settings: GuardSettings, candidate: Candidate, exempt: _Exempt, tally: _Tally) -> Judgement:
    subject, policy = candidate.subject, candidate.policy
    why = infrastructure(settings, subject)
    if why:
        return Refuse(why)
    exemption = exempt.of(subject, policy)
    if exemption is not None:
        return Refuse(f"Exempt by {exemption.author}: {exemption.reason} ({exemption.id}).")
    counted = (subject.id, policy) in tally.seen
    if not candidate.binds or candidate.renews or counted:
        return Allow()
    why = tally.full(subject)
    if why:
        return Propose(why)
    tally.add(subject)
    tally.seen.add((subject.id, policy))
    return Allow()


def _sum(before: Mapping[str, int], now: Mapping[str, int], name: str) -> int:
    return before.get(name, 0) + now.get(name, 0)


def _reached(limit: int, where: str) -> str:
    return f"The limit of {limit} new restrictions in an hour is reached for {where}."


def _notice(held: int, reason: str) -> str:
    return (
        f"The guard holds back {held} new restriction{'s' * (held != 1)}. {reason} "
        "They are proposed: look at the policies and at what happens, then approve or reject them."
    )


@dataclass(frozen=True, slots=True)
class _Never:
    """The settings, ready to be asked."""

    subjects: frozenset[str]
    projects: frozenset[str]
    macs: frozenset[str]
    interfaces: tuple[str, ...]
    networks: tuple[IPv4Network | IPv6Network, ...]

    def prefix_of(self, address: str) -> str:
        if not self.networks:
            return ""
        try:
            found = ip_address(address.partition("/")[0])
        except ValueError:
            return ""
        return next((str(n) for n in self.networks if found.version == n.version and found in n), "")


@lru_cache(maxsize=8)
def _never(settings: GuardSettings) -> _Never:
    networks, problems = [], []
    for prefix in settings.prefixes:
        try:
            networks.append(ip_network(prefix, strict=False))
        except ValueError:
            problems.append(f'guard.prefixes: {prefix!r} is no prefix; write for example "192.0.2.0/24".')
    if problems:
        raise Malformed("The guard's settings name prefixes that are none.", problems=tuple(problems))
    return _Never(
        subjects=frozenset(settings.subjects),
        projects=frozenset(settings.projects),
        macs=frozenset(m.lower() for m in settings.macs),
        interfaces=tuple(name for name in settings.interfaces if name),
        networks=tuple(networks),
    )
