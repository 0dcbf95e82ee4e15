"""What a change does to one switch: make it what its intent says, what it was, or what a backup says."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from sekisho.devices.switch import vlans
from sekisho.devices.switch.change import Work, is_named
from sekisho.devices.switch.intent import Port
from sekisho.devices.switch.overlay import wanted
from sekisho.devices.switch.plan import pair_risks, plan
from sekisho.devices.switch.risk import RiskKind, untaken
from sekisho.devices.switch.words import name, sentence
from sekisho.model.errors import Conflict, Forbidden, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from sekisho.devices.switch.driver import Abilities, Step, SwitchDriver
    from sekisho.devices.switch.intent import Intent, Key, Part, State
    from sekisho.devices.switch.plan import Ends, Plan

# So many differences are named in a sentence.
NAMED = 5


@dataclass(frozen=True, slots=True)
class Intended:
    """Makes a switch what its intent says.

    `seen` is the fingerprint of the plan that somebody looked at, "" for whatever the plan is now; `allowed`
    names forbidden risks that are taken. `planned` is told the plan before anything is sent. `beside` is
    shared by both of a pair: what they would be is compared once the second is planned. `secret` is the key
    of the fingerprint.
    """

    intent: Intent
    seen: str = ""
    allowed: Collection[str] = ()
    planned: Callable[[SwitchDriver, Plan], None] = lambda _driver, _plan: None
    beside: list[Ends] = field(default_factory=list)
    secret: bytes = b""

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """Plan; raises Conflict for a stale plan, Forbidden for a risk, Malformed for what cannot be."""
        found = plan(self.intent, state, abilities, self.secret)
        if self.seen and self.seen != found.fingerprint:
            raise Conflict(
                f"The plan for {self.intent.switch} has gone stale: the switch or its file changed since. "
                "Plan again and look at it."
            )
        mine = self.intent, state, abilities
        risks = [r for other in self.beside for r in pair_risks(mine, other)]
        forbidden = (*found.forbidden(self.allowed), *untaken(risks, self.allowed))
        self.beside.append(mine)
        if forbidden:
            told = "; ".join(f"{r.sentence} [{r.kind}]" for r in forbidden)
            names = " ".join(f"--allow {kind}" for kind in dict.fromkeys(r.kind for r in forbidden))
            raise Forbidden(f"{self.intent.switch}: {told}. If that is meant: {names}.")
        self.planned(driver, found)
        stages = tuple(partial(_apply, stage) for stage in found.stages)
        target = wanted(self.intent, state, abilities).parts
        faults = partial(_unlike, self.intent, abilities, target)
        loosens = bool({RiskKind.PEER_LINK, RiskKind.PAIR} & set(self.allowed))
        return Work(stages, faults, loosens)


@dataclass(frozen=True, slots=True)
class Former:
    """Makes a switch what it was before a change: by the change's checkpoint, else by its backup.

    `secret` is the key of its digest.
    """

    checkpoint: str
    digest: str
    text: Callable[[], str]
    secret: bytes = b""

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """See what there is to do."""
        del driver, abilities
        if is_named(state.parts, self.digest, self.secret):
            return Work((), _nothing)
        return Work((self._back,), self._unlike)

    def _back(self, driver: SwitchDriver) -> None:
        try:
            driver.rollback(self.checkpoint)
        except NotFound:  # it started anew since, or needed the room
            driver.restore(self.text())

    def _unlike(self, driver: SwitchDriver, state: State) -> tuple[str, ...]:
        del driver
        same = is_named(state.parts, self.digest, self.secret)
        return () if same else ("it does not read as it did before that change",)


@dataclass(frozen=True, slots=True)
class Restored:
    """Makes a switch what a kept running-config says."""

    text: str

    def prepare(self, driver: SwitchDriver, state: State, abilities: Abilities) -> Work:
        """See what there is to do."""
        del state, abilities
        if same_text(driver.running(), self.text):
            return Work((), _nothing)
        return Work((lambda to: to.restore(self.text),), self._unlike, loosens=True)

    def _unlike(self, driver: SwitchDriver, state: State) -> tuple[str, ...]:
        del state
        same = same_text(driver.running(), self.text)
        return () if same else ("its running configuration is not the backup's",)


def lines(text: str) -> list[str]:
    """Give a running-config's lines without what differs from one minute to the next."""
    found = (line.rstrip() for line in text.splitlines())
    return [line for line in found if line and not line.startswith("!")]


def same_text(one: str, other: str) -> bool:
    """Tell whether two running-configs say the same."""
    return lines(one) == lines(other)


def _apply(stage: tuple[Step, ...], driver: SwitchDriver) -> None:
    driver.apply(stage)


def _unlike(
    intent: Intent, abilities: Abilities, target: Mapping[Key, Part], driver: SwitchDriver, state: State
) -> tuple[str, ...]:
    del driver
    # First: whoever lost a port has no plan, but an error.
    lost = tuple(few(_strayed(intent, target, state.parts)))
    return lost or tuple(few(map(sentence, plan(intent, state, abilities).steps)))


def _strayed(intent: Intent, target: Mapping[Key, Part], now: Mapping[Key, Part]) -> Iterator[str]:
    """Name what nobody wanted changed: a port that is gone, VLANs that an intent has no word in."""
    for subject, part in target.items():
        if not isinstance(part, Port):
            continue
        found, said = now.get(subject), intent.parts.get(subject)
        if not isinstance(found, Port):
            yield f"{name(subject)}: is gone"
        elif isinstance(said, Port) and said.within:
            was, has = (vlans.without(p.allowed or "", said.within) for p in (part, found))
            if was != has or part.mode != found.mode:
                yield f"{name(subject)}: what it had beside VLANs {said.within} is not as it was"


def few(sentences: Iterable[str]) -> list[str]:
    """Give some sentences, and how many more there are."""
    found = list(sentences)
    more = [f"and {len(found) - NAMED} more"] if len(found) > NAMED else []
    return found[:NAMED] + more


def _nothing(driver: SwitchDriver, state: State) -> tuple[str, ...]:
    del driver, state
    return ()
