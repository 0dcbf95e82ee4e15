"""What every driver of a switch must do: one in memory, an emulator and real switches pass the same checks.

A rig has one switch, on which nothing matters, and hands out connections to it. What a switch can differs,
so a rig brings cases: parts of each kind that its driver claims, whole, as the switch tells them itself.
"""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Protocol, TypeAlias

from sekisho.devices.switch.driver import Step, SwitchDriver
from sekisho.devices.switch.intent import KINDS, Port, key
from sekisho.model.errors import (
    Conflict,
    Malformed,
    NotFound,
    Refused,
    SekishoError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from sekisho.devices.switch.intent import Key, Part, State

Parts: TypeAlias = "Mapping[Key, Part]"

# More checkpoints than a switch may have room for (NX-OS: ten).
MANY: Final = 12
PREFIX: Final = "sekisho-contract-"
# Longer than any rig's clock runs by itself within one check, in seconds.
PATIENCE: Final = 60.0
FAR: Final = 4_000_000_000.0
HOSTILE: Final = (
    'to "leaf-2" port 1',
    "it's !important",
    "! not a comment",
    "end",
    "exit",
    "no shutdown",
    "naïve 関所",
    "a?b",
    "what is this?",
    "two  blanks",
    " outer ",
    "line\nshutdown",
    "x" * 500,
    "semi ; colon",
    "back\\slash {json} <xml>&amp;",
)


@dataclass(frozen=True, slots=True)
class Case:
    """A part and what it is altered to, None where it has nothing to alter.

    `first` is made after `needs`; a part that stands always is put back to what it was. `secrets` are texts
    of it that nobody may be shown. `touches` are keys of other parts that the switch changes along with it.
    """

    first: Part
    second: Part | None = None
    needs: tuple[Part, ...] = ()
    secrets: tuple[str, ...] = ()
    touches: frozenset[Key] = frozenset()


class Rig(Protocol):
    """One switch, and what can befall it. What it cannot play it answers with False."""

    def driver(self) -> SwitchDriver:
        """Open a connection."""
        ...

    def cases(self, state: State) -> tuple[Case, ...]:
        """Give cases of every kind that the driver claims, for a switch that is now in this state."""
        ...

    def refused(self, state: State) -> Step | None:
        """Give a step that the driver would send and the switch will not take; None if there is none."""
        ...

    def cut(self) -> None:
        """Let the switch answer nobody; what it carries stays."""
        ...

    def mend(self) -> None:
        """Let it answer again."""
        ...

    def restart(self) -> bool:
        """Restart it: what was not saved is gone."""
        ...

    def advance(self, seconds: float) -> bool:
        """Let so much time pass for the switch."""
        ...

    def stranger(self) -> SwitchDriver | None:
        """Open a connection with a wrong password."""
        ...

    def hold(self) -> bool:
        """Let somebody else hold the configuration, until `mend`."""
        ...


# --- what the checks share -------------------------------------------------------------------------


def alter(before: Parts, wanted: Parts) -> list[Step]:
    """List the steps from some parts to others."""
    keys = {**before, **wanted}
    return [Step(before.get(k), wanted.get(k)) for k in keys if before.get(k) != wanted.get(k)]


def made(driver: SwitchDriver, needed: Sequence[Part]) -> State:
    """Make what a case needs, one by one, and read."""
    state = driver.read()
    for part in needed:
        before = state.parts.get(key(part))
        if before != part:
            driver.apply([Step(before, part)])
            state = driver.read()
        assert state.parts.get(key(part)) == part
    return state


def there_and_back(case: Case) -> tuple[Step, ...]:
    """Give the way to what a case's part is altered to, and back."""
    if case.second is None:
        return ()
    return Step(case.first, case.second), Step(case.second, case.first)


def others(state: State, case: Case) -> Parts:
    """Give the parts that a case has no business with."""
    own = {key(case.first), *case.touches}
    return {k: p for k, p in state.parts.items() if k not in own}


def ports(state: State) -> list[Port]:
    """List the interfaces that stand always and do nothing."""
    return [
        p for p in state.parts.values() if isinstance(p, Port) and p.members is None and not p.description
    ]


def some_change(rig: Rig, state: State) -> Step:
    """Give one small change: an interface's description."""
    del rig
    port = ports(state)[0]
    return Step(port, replace(port, description="contract"))


def raises(kind: type[SekishoError] | tuple[type[SekishoError], ...], act: Callable[[], object]) -> None:
    """Make sure that something raises an error of the tree."""
    with suppress(*(kind if isinstance(kind, tuple) else (kind,))):
        act()
        raise AssertionError(f"expected {kind}")


# --- reading ---------------------------------------------------------------------------------------


def reading_twice_says_the_same(rig: Rig) -> None:
    """Two readings of a switch that nobody changes are equal, over two connections too."""
    with closing(rig.driver()) as driver, closing(rig.driver()) as other:
        first = driver.read()
        assert first.facts.hostname
        assert first.facts.version
        assert driver.read() == first == other.read()


def parts_stand_under_their_own_keys(rig: Rig) -> None:
    """Each part is under its key, of a kind that is claimed, and `within` is for intents alone."""
    with closing(rig.driver()) as driver:
        state, kinds = driver.read(), driver.abilities().kinds
    assert kinds <= set(KINDS)
    for name, part in state.parts.items():
        assert name == key(part)
        assert part.kind in kinds
        assert not (isinstance(part, Port) and part.within)


def every_kind_that_is_claimed_has_a_case(rig: Rig) -> None:
    """Nothing is claimed that is not proven here."""
    with closing(rig.driver()) as driver:
        assert {c.first.kind for c in rig.cases(driver.read())} == driver.abilities().kinds


# --- changing --------------------------------------------------------------------------------------


def each_kind_is_made_altered_and_taken_away(rig: Rig) -> None:
    """What is read afterwards is exactly what was wanted, and nothing else has moved."""
    with closing(rig.driver()) as driver:
        for case in rig.cases(driver.read()):
            state = made(driver, case.needs)
            name = key(case.first)
            before = state.parts.get(name)
            for step in (Step(before, case.first), *there_and_back(case), Step(case.first, before)):
                driver.apply([step])
                after = driver.read()
                assert after.parts.get(name) == step.after, f"{name}: {after.parts.get(name)} != {step.after}"
                assert others(after, case) == others(state, case)


def a_stage_may_hold_many_steps_in_any_order(rig: Rig) -> None:
    """All parts that need nothing are altered in one stage, and back in another, turned round."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        alone = [c for c in rig.cases(state) if not c.needs and not c.touches]
        wanted = {key(c.first): c.first for c in alone}
        steps = [Step(state.parts.get(k), p) for k, p in wanted.items()]
        driver.apply(steps)
        middle = driver.read()
        assert middle.parts == {**state.parts, **wanted}
        driver.apply([Step(s.after, s.before) for s in reversed(steps)])
        assert driver.read().parts == state.parts


def no_steps_are_no_change(rig: Rig) -> None:
    """Nothing to do is done by doing nothing."""
    with closing(rig.driver()) as driver:
        before = settled(driver.running())
        driver.apply([])
        assert driver.render([]) == ()
        assert settled(driver.running()) == before


def hostile_texts_come_back_as_they_were_or_are_refused(rig: Rig) -> None:
    """A description is kept to the letter or turned down; it never becomes a command, or half of itself."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        port = ports(state)[0]
        for text in HOSTILE:
            wanted = replace(port, description=text)
            try:
                driver.apply([Step(port, wanted)])
            except (Malformed, Unsupported, Refused):
                assert driver.read().parts == state.parts, text
            else:
                assert driver.read().parts == {**state.parts, key(port): wanted}, text
                driver.apply([Step(wanted, port)])
        assert driver.read().parts == state.parts


def rendering_asks_nobody(rig: Rig) -> None:
    """What would be sent is said alike, twice, even when the switch answers nobody."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        steps = [Step(state.parts.get(key(c.first)), c.first) for c in rig.cases(state)]
        first = driver.render(steps)
        assert first
        rig.cut()
        try:
            assert driver.render(steps) == first
        finally:
            rig.mend()
        assert driver.read() == state


def secrets_are_not_shown(rig: Rig) -> None:
    """What people are shown of a change holds no community and no password."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        for case in rig.cases(state):
            before = state.parts.get(key(case.first))
            steps = [Step(before, case.first), *there_and_back(case), Step(case.first, before)]
            shown = "".join(s.shown for step in steps for s in driver.render([step]))
            assert shown
            for secret in case.secrets:
                assert secret not in shown


def what_the_switch_refuses_is_said(rig: Rig) -> None:
    """A step that the switch does not take is Refused with its words, and it goes on answering."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        step = rig.refused(state)
        if step is None:
            return
        try:
            driver.apply([step])
        except Refused as error:
            assert error.asker  # noqa: PT017 - the error is what is looked at
        else:
            raise AssertionError("the switch took it")
        assert driver.read().facts == state.facts
        change = some_change(rig, driver.read())
        driver.apply([change])
        driver.apply([Step(change.after, change.before)])


# --- going back ------------------------------------------------------------------------------------


def a_checkpoint_leads_back(rig: Rig) -> None:
    """Whatever was changed since, the switch is again what it was."""
    with closing(rig.driver()) as driver:
        for case in rig.cases(driver.read()):
            state = made(driver, case.needs)
            driver.checkpoint(f"{PREFIX}back")
            before = state.parts.get(key(case.first))
            driver.apply([Step(before, case.first)])
            driver.apply(there_and_back(case)[:1])
            driver.rollback(f"{PREFIX}back")
            assert driver.read().parts == state.parts, key(case.first)
        driver.forget(f"{PREFIX}back")


def a_checkpoint_is_there_until_it_is_forgotten(rig: Rig) -> None:
    """It is listed, replaced by one of its name, and gone when told; one that is not there is no error."""
    name = f"{PREFIX}one"
    with closing(rig.driver()) as driver:
        state = driver.read()
        change = some_change(rig, state)
        driver.checkpoint(name)
        assert name in driver.checkpoints()
        driver.apply([change])
        changed = driver.read()
        driver.checkpoint(name)
        driver.apply([Step(change.after, change.before)])
        with closing(rig.driver()) as other:
            other.rollback(name)
        assert driver.read().parts == changed.parts
        driver.apply([Step(change.after, change.before)])
        for _ in range(2):
            driver.forget(name)
        assert name not in driver.checkpoints()
        raises(NotFound, lambda: driver.rollback(name))
        assert driver.read().parts == state.parts


def there_is_room_for_one_more_checkpoint(rig: Rig) -> None:
    """A switch that is full of ours lets the oldest go, and the newest is there."""
    with closing(rig.driver()) as driver:
        names = [f"{PREFIX}{number}" for number in range(MANY)]
        for name in names:
            driver.checkpoint(name)
        assert names[-1] in driver.checkpoints()
        for name in names:
            driver.forget(name)
        assert not set(names) & set(driver.checkpoints())


def a_running_configuration_can_be_restored(rig: Rig) -> None:
    """A backup makes the switch what it was, and is then its running configuration to the letter."""
    with closing(rig.driver()) as driver:
        state, backup = driver.read(), driver.running()
        for case in rig.cases(state):
            made(driver, case.needs)
            driver.apply([Step(driver.read().parts.get(key(case.first)), case.first)])
        assert driver.running() != backup
        driver.restore(backup)
        assert driver.read().parts == state.parts
        assert settled(driver.running()) == settled(backup)


def settled(text: str) -> list[str]:
    """Give a configuration's lines without comments, which may hold the time."""
    return [line.rstrip() for line in text.splitlines() if line.strip() and not line.startswith("!")]


def what_is_saved_survives_a_restart(rig: Rig) -> None:
    """And what is not, does not."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        driver.save()
        change = some_change(rig, state)
        driver.apply([change])
        if not rig.restart():
            driver.apply([Step(change.after, change.before)])
            return
        assert driver.read().parts == state.parts
        driver.apply([change])
        driver.save()
        saved = driver.read()
        assert rig.restart()
        assert driver.read().parts == saved.parts
        driver.apply([Step(change.after, change.before)])
        driver.save()


def a_timer_leads_back_unless_it_is_disarmed(rig: Rig) -> None:
    """Where the switch has a timer it goes back by itself; where it has none, that is said."""
    with closing(rig.driver()) as driver:
        if not driver.abilities().timer:
            raises(Unsupported, lambda: driver.arm(PATIENCE))
            return
        state = driver.read()
        change = some_change(rig, state)
        driver.arm(PATIENCE)
        driver.apply([change])
        if rig.advance(PATIENCE + 1):
            assert driver.read().parts == state.parts
            driver.arm(PATIENCE)
            driver.apply([change])
        driver.disarm()
        rig.advance(PATIENCE + 1)
        assert driver.read().parts.get(key(ports(state)[0])) == change.after
        driver.apply([Step(change.after, change.before)])


# --- trouble ---------------------------------------------------------------------------------------


def a_switch_that_does_not_answer_is_unavailable(rig: Rig) -> None:
    """Reading and changing say so, and the same driver goes on when it answers again."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        change = some_change(rig, state)
        rig.cut()
        try:
            raises(Unavailable, driver.read)
            raises(Unavailable, driver.running)
            raises(Unavailable, lambda: driver.apply([change]))
        finally:
            rig.mend()
        after = driver.read()
        # A word that was on its way may have come through.
        assert after.parts in (state.parts, {**state.parts, key(ports(state)[0]): change.after})
        driver.apply(alter(after.parts, state.parts))
        assert driver.read().parts == state.parts


def a_wrong_password_is_said(rig: Rig) -> None:
    """Whoever is not let in is told that, and not that the switch is away."""
    driver = rig.stranger()
    if driver is not None:
        with closing(driver):
            raises(Unauthenticated, driver.read)


def a_configuration_that_somebody_holds_is_a_conflict(rig: Rig) -> None:
    """Nothing is changed meanwhile."""
    with closing(rig.driver()) as driver:
        state = driver.read()
        if not rig.hold():
            return
        try:
            raises(Conflict, lambda: driver.apply([some_change(rig, state)]))
        finally:
            rig.mend()
        assert driver.read().parts == state.parts


def the_rest_answers(rig: Rig) -> None:
    """Accounts, pair and neighbours are told, if only that there are none; closing twice is no error."""
    driver = rig.driver()
    state = driver.read()
    assert driver.accounts(FAR) == ()
    assert all(a.command for a in driver.accounts(0.0))
    driver.pair()
    assert {n.port for n in driver.neighbours()} <= {
        p.name for p in state.parts.values() if isinstance(p, Port)
    }
    driver.close()
    driver.close()


CHECKS: Final[tuple[Callable[[Rig], None], ...]] = (
    reading_twice_says_the_same,
    parts_stand_under_their_own_keys,
    every_kind_that_is_claimed_has_a_case,
    each_kind_is_made_altered_and_taken_away,
    a_stage_may_hold_many_steps_in_any_order,
    no_steps_are_no_change,
    hostile_texts_come_back_as_they_were_or_are_refused,
    rendering_asks_nobody,
    secrets_are_not_shown,
    what_the_switch_refuses_is_said,
    a_checkpoint_leads_back,
    a_checkpoint_is_there_until_it_is_forgotten,
    there_is_room_for_one_more_checkpoint,
    a_running_configuration_can_be_restored,
    what_is_saved_survives_a_restart,
    a_timer_leads_back_unless_it_is_disarmed,
    a_switch_that_does_not_answer_is_unavailable,
    a_wrong_password_is_said,
    a_configuration_that_somebody_holds_is_a_conflict,
    the_rest_answers,
)
