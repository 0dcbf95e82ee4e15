"""One switch or a pair of them changed as one thing: done and proven on all, or undone and proven on all.

A checkpoint comes before the reading that the change is planned by, a line in the journal before the first
thing sent, the proof by reading before the saving. Whatever fails in between, the switches are rolled back
until they answer and say that they are as before.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.devices.switch.change import Before, Outcome, Pace, Stopped, Work, digest, is_named
from sekisho.devices.switch.proof import differences, worse
from sekisho.devices.switch.telling import At, asker, fixer, logged, unknown
from sekisho.model.errors import (
    Conflict,
    NotFound,
    Refused,
    SekishoError,
    Unauthenticated,
    Unavailable,
    Unsupported,
)
from sekisho.model.switch import ChangeState, Phase

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sekisho.devices.switch.change import Member, Record, Time
    from sekisho.devices.switch.driver import Pair, SwitchDriver
    from sekisho.devices.switch.intent import Key, Part, State

log = logging.getLogger("sekisho.switches")

# Whoever raises one of these may answer otherwise in a moment.
PASSING: Final = (Unavailable, Unauthenticated, Conflict)
# How often a switch that answers, but is not as before, is rolled back before it is left to a person.
ATTEMPTS: Final = 3


@dataclass(slots=True)
class End:
    """One switch while it is being changed, or brought back."""

    member: Member
    before: Before
    text: str = ""  # its running-config before
    parts: Mapping[Key, Part] | None = None  # what it was, None where only the digest is known
    work: Work = field(default_factory=lambda: Work((), lambda _driver, _state: ()))
    pair: Pair | None = None
    after: str = ""
    armed: bool = False  # it may wait to go back by itself
    sent: bool = True  # it may have been sent something
    saved: bool = False  # the startup may hold what must be undone
    tries: int = 0
    error: str = ""
    device: tuple[str, str] = ("", "")  # model and serial number of what was read, empty until then

    @property
    def name(self) -> str:
        """The switch's name."""
        return self.member.switch

    @property
    def driver(self) -> SwitchDriver:
        """A connection to it."""
        return self.member.reach()

    @property
    def of(self) -> int:
        """How many stages there are."""
        return len(self.work.stages)

    def read(self) -> State:
        """Read the switch; raises Unavailable for a reading that is not, or may not be, of this one."""
        state = self.driver.read()
        device = state.facts.model, state.facts.serial  # routers in software have no serial number
        if not any(device) or (any(self.device) and device != self.device):
            raise Unavailable(
                f"{self.name} answered, but not as the switch that was read before: it is not believed.",
                f"{self.name}: model and serial number are {device}, and were {self.device}.",
            )
        self.device = device
        return state


@dataclass(frozen=True, slots=True)
class Transaction:
    """Changes its members as one; used once, from one thread. `secret` is the key of digests."""

    members: Sequence[Member]
    record: Record
    time: Time
    pace: Pace = field(default_factory=Pace)
    secret: bytes = b""

    def run(self) -> Mapping[str, Outcome]:
        """Carry it out and write down how it ended; raises only Stopped."""
        ends: list[End] = []
        try:
            for member in self.members:
                with self._at(member.switch):
                    ends.append(self._open(member))
            if any(e.of for e in ends):
                self._safeguard(ends)
        except Exception as error:  # noqa: BLE001 - nothing was sent: whatever it was, nothing is undone
            return self._refused(ends, error)
        if not any(e.of for e in ends):
            self._forget(ends)
            return self._ended({e.name: Outcome(ChangeState.UNCHANGED, "Nothing differs.") for e in ends})
        try:
            self._arm_all(ends)
            touched = self._touched(ends)
            if not touched:
                self._carry(ends)
                self._verify(ends)
                self._keep(ends)
        except Exception as error:  # a fault of ours must not leave a switch half way either
            log.warning(
                "%s: rolled back: %s", self._names(), logged(error, self._names()), exc_info=unknown(error)
            )
            return self.undo(ends, asker(error))
        if touched:
            return self._refused(ends, Conflict(touched))
        self._phases(ends, Phase.ENDED)
        return self._ended({e.name: _done(e) for e in ends})

    # --- before anything is sent ------------------------------------------------------------------

    def _open(self, member: Member) -> End:
        self.record.phase(member.switch, Phase.READING)
        driver = member.reach()
        # First: what is read afterwards is what the checkpoint holds.
        driver.checkpoint(member.checkpoint)
        end = End(member, Before(member.checkpoint, "", ""), sent=False)
        try:
            state = end.read()
            end.before, end.parts = self._named(member, state), state.parts
            end.work = member.prepare(driver, state, driver.abilities())
        except Exception:
            self._forget([end])
            raise
        return end

    def _safeguard(self, ends: Sequence[End]) -> None:
        for end in ends:
            self.record.phase(end.name, Phase.BACKUP)
            with self._at(end.name):
                end.pair = end.driver.pair()
                end.text = end.driver.running()
            kept = self.record.backup(end.name, end.text)
            end.before = Before(end.before.checkpoint, kept, end.before.digest)
        self.record.begun({e.name: e.before for e in ends})

    def _refused(self, ends: Sequence[End], error: Exception) -> Mapping[str, Outcome]:
        log.info(
            "%s: nothing was sent: %s", self._names(), logged(error, self._names()), exc_info=unknown(error)
        )
        self._forget(ends)
        for member in self.members:
            member.drop()
        outcome = Outcome(ChangeState.REFUSED, "Nothing was sent.", asker(error))
        return self._ended({m.switch: outcome for m in self.members})

    # --- there ------------------------------------------------------------------------------------

    def _arm_all(self, ends: Sequence[End]) -> None:
        for end in ends:
            with self._at(end.name):
                if end.of and end.driver.abilities().timer:
                    self._arm(end)

    def _touched(self, ends: Sequence[End]) -> str:
        """Say who was changed by somebody else since the plan was made, "" for nobody.

        What is sent holds whole values, such as a trunk's list of VLANs: it would undo that change unseen,
        and a rollback would, too. So this is the last thing before anything is sent.
        """
        for end in ends:
            with self._at(end.name):
                if not end.of or self._as_before(end, now := end.read().parts):
                    continue
                for each in ends:
                    self._disarm(each)
                what = differences(end.parts, now)
                return f"{end.name} was changed by somebody else meanwhile: {what} Plan again and look at it."
        return ""

    def _carry(self, ends: Sequence[End]) -> None:
        for turn in range(max(e.of for e in ends)):
            for end in [e for e in ends if turn < e.of]:
                self.record.phase(end.name, Phase.CHANGING, turn, end.of)
                end.sent = True
                with self._at(end.name):
                    end.work.stages[turn](end.driver)

    def _arm(self, end: End) -> None:
        """Let the switch watch over itself; one that will not after all is watched over by us alone."""
        end.armed = True
        try:
            end.driver.arm(self.pace.timer)
        except Unsupported as error:
            end.armed = False
            log.info("%s: no timer of its own: %s", end.name, logged(error, end.name))

    def _verify(self, ends: Sequence[End]) -> None:
        """Read until all is as it should be; what a switch does by itself may take a moment."""
        self._phases(ends, Phase.VERIFYING)
        until = self.time.passed() + self.pace.settle
        while True:
            found = {e.name: self._faults(e) for e in ends}
            wrong = [f"{name}: {fault}" for name, faults in found.items() for fault in faults]
            if not wrong:
                return
            if self.time.passed() >= until or self.time.pause(self.pace.look):
                raise Refused(f"The switch took the change, but is not as it should be: {'; '.join(wrong)}.")

    def _faults(self, end: End) -> tuple[str, ...]:
        with self._at(end.name):
            state = end.read()
            end.after = digest(state.parts, self.secret)
            found = end.work.faults(end.driver, state)
            if found or end.work.loosens:
                return found
            pair = end.driver.pair()
        if end.pair is not None and pair is None and ("vpc",) in state.parts:
            return ("it does not tell how its pair is any more",)
        return worse(end.pair, pair)

    def _keep(self, ends: Sequence[End]) -> None:
        self.record.verified({e.name: e.after for e in ends})
        for end in ends:
            if end.armed:
                with self._at(end.name):
                    end.driver.disarm()
                end.armed = False
        for end in ends:
            if end.of and end.member.save:
                self.record.phase(end.name, Phase.SAVING, end.of, end.of)
                with self._at(end.name):
                    _save(end)

    # --- and back again ---------------------------------------------------------------------------

    def resume(self, ends: Sequence[End], after: Mapping[str, str]) -> Mapping[str, Outcome]:
        """Go on where another process ended: prove it done if all are as it had verified, else undo it.

        `after` gives the digests that were verified, "" for none; raises Stopped as `undo` does.
        """
        while all(after.values()):
            try:
                if any(not is_named(e.read().parts, after[e.name], self.secret) for e in ends):
                    break
                for end in ends:
                    self._disarm(end)
                    if end.member.save:
                        end.driver.save()
                receipt = "The keeper ended meanwhile. Read again: it is as it should be. Saved."
                return self._ended({e.name: Outcome(ChangeState.APPLIED, receipt) for e in ends})
            except PASSING as error:
                for end in ends:
                    end.member.drop()
                    self.record.phase(end.name, Phase.VERIFYING, problem=error.asker)
                if self.time.pause(self.pace.retry):
                    raise Stopped from error
            except Exception as error:  # what cannot be proven is undone
                log.warning("%s: %s", self._names(), logged(error, self._names()), exc_info=unknown(error))
                break
        return self.undo(ends, "The keeper ended in the middle of the change.")

    def undo(self, ends: Sequence[End], why: str) -> Mapping[str, Outcome]:
        """Bring every switch back to what it was, and prove it; goes on until each has answered.

        Raises Stopped when the keeper is to stop before.
        """
        outcomes: dict[str, Outcome] = {}
        for end in ends:
            end.member.drop()  # what failed may be the connection
        while True:
            for end in [e for e in ends if e.name not in outcomes]:
                self.record.phase(end.name, Phase.ROLLING_BACK, problem=end.error or why)
                outcome = self._back(end, why)
                if outcome is not None:
                    outcomes[end.name] = outcome
            if len(outcomes) == len(ends):
                self._phases(ends, Phase.ENDED)
                return self._ended(outcomes)
            if self.time.pause(self.pace.retry):
                raise Stopped

    def _back(self, end: End, why: str) -> Outcome | None:
        """Try once; None when it is to be tried again."""
        try:
            if end.tries:
                self._disarm(end)  # a switch that waits to go back by itself may take nothing else
            left = self._restored(end) if end.sent else ""
            if not left:
                self._disarm(end)
            if not left and end.saved:
                end.driver.save()
        except PASSING as error:
            end.member.drop()
            end.error = fixer(error)
            return None
        except Exception as error:  # it answers, and says no
            end.member.drop()
            left = asker(error)
            log.warning("%s: rolling back: %s", end.name, logged(error, end.name), exc_info=unknown(error))
        if not left:
            proof = "Read again: it is as it was before." if end.sent else "Nothing was sent to it."
            return Outcome(ChangeState.ROLLED_BACK, proof, why)
        end.tries += 1
        end.error = left
        if end.tries < ATTEMPTS:
            return None
        return Outcome(ChangeState.IN_DOUBT, f"Rolled back, but not as it was before: {left}", why)

    def _restored(self, end: End) -> str:
        """Roll back where it is needed; say what is not as it was, "" when all is."""
        # A switch that went back by itself, or never took anything, needs no rollback.
        if self._as_before(end, end.read().parts):
            return ""
        _roll_back(end.driver, end)
        parts = end.read().parts
        return "" if self._as_before(end, parts) else differences(end.parts, parts)

    def _as_before(self, end: End, parts: Mapping[Key, Part]) -> bool:
        return is_named(parts, end.before.digest, self.secret)

    def _named(self, member: Member, state: State) -> Before:
        return Before(member.checkpoint, "", digest(state.parts, self.secret))

    def _disarm(self, end: End) -> None:
        """Let a switch that waits to go back by itself wait no more; one that does not wait says no."""
        if end.armed and end.driver.abilities().timer:
            with suppress(Refused):
                end.driver.disarm()
            end.armed = False

    # --- what is common ---------------------------------------------------------------------------

    def _forget(self, ends: Sequence[End]) -> None:
        for end in ends:
            with suppress(SekishoError):
                end.driver.forget(end.before.checkpoint)
            self.record.phase(end.name, Phase.ENDED)

    def _phases(self, ends: Sequence[End], phase: Phase) -> None:
        for end in ends:
            self.record.phase(end.name, phase, end.of, end.of)

    def _ended(self, outcomes: Mapping[str, Outcome]) -> Mapping[str, Outcome]:
        self.record.ended(outcomes)
        return outcomes

    @contextmanager
    def _at(self, name: str) -> Iterator[None]:
        """Say of what goes wrong at which switch of a pair it did."""
        try:
            yield
        except Exception as error:
            if len(self.members) > 1:
                raise At(name, error) from error
            raise

    def _names(self) -> str:
        return "+".join(m.switch for m in self.members)


def _save(end: End) -> None:
    """Save; whoever says no has kept what it had, whoever does not answer may hold either."""
    end.saved = True
    try:
        end.driver.save()
    except Refused:
        end.saved = False
        raise


def _roll_back(driver: SwitchDriver, end: End) -> None:
    """Take the checkpoint; where it is gone (a switch that started anew) or did not help, the backup."""
    if not end.tries or not end.text:
        try:
            driver.rollback(end.before.checkpoint)
        except NotFound:
            if not end.text:
                raise
        else:
            return
    driver.restore(end.text)


def _done(end: End) -> Outcome:
    if not end.of:
        return Outcome(ChangeState.UNCHANGED, "Nothing differs.")
    pair = "" if end.pair is None else " Its pair is no worse than before."
    saved = " Saved." if end.saved else " Not saved: its file says so."
    return Outcome(ChangeState.APPLIED, f"Read again: it is as it should be.{pair}{saved}")
