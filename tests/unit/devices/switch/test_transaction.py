"""A change is done and proven, or undone and proven, whatever fails at whichever call."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from sekisho.devices.switch.change import Before, Member, Pace, Stopped, Work, digest
from sekisho.devices.switch.driver import Abilities, Account, Pair, Step, SwitchDriver
from sekisho.devices.switch.intent import Community, Facts, Intent, Port, State, Vlan, Vpc, parts
from sekisho.devices.switch.plan import plan
from sekisho.devices.switch.transaction import End, Transaction
from sekisho.model.errors import Conflict, Refused, SekishoError, Unavailable, Unsupported
from sekisho.model.switch import ChangeState, Phase
from sekisho.testing.switch import ALL_KINDS, Fault, MemorySwitch
from support_switches import WIDER, Book, Clockwork, intent, member, state

AWAY = Unavailable("The switch does not answer.")
NO = Refused("The switch says no.")
PAIRED = Pair(peer_up=True, keepalive_up=True)


def change(
    *switches: MemorySwitch,
    book: Book | None = None,
    time: Clockwork | None = None,
    wanted: Intent | None = None,
) -> Book:
    book = book or Book()
    members = [member(s, wanted or intent(*WIDER, name=s.state.facts.hostname)) for s in switches]
    Transaction(members, book, time or Clockwork(), Pace()).run()
    return book


def test_a_change_is_done_proven_and_saved() -> None:
    switch = MemorySwitch(state())
    book = change(switch)
    assert book.outcomes["leaf-1"].state is ChangeState.APPLIED
    assert not plan(intent(*WIDER), switch.state, ALL_KINDS)
    assert switch.saved == switch.state


def test_the_checkpoint_comes_first_and_the_journal_before_anything_is_sent() -> None:
    switch = MemorySwitch(state())
    seen: dict[str, list[str]] = {}
    book = Book(on=lambda line: seen.setdefault(line, list(switch.calls)))
    change(switch, book=book)
    assert switch.calls.index("checkpoint") < switch.calls.index("read")
    assert "checkpoint" in seen["begun"]
    assert "running" in seen["begun"]
    assert "apply" not in seen["begun"]
    assert "apply" in seen["verified"]
    assert "save" not in seen["verified"]
    assert book.lines == ["begun", "verified", "ended"]
    assert book.before["leaf-1"].backup == "backup-leaf-1"


def refusing(line: str) -> Book:
    """A journal that cannot be written at one point."""

    def on(written: str) -> None:
        if written == line:
            raise Unavailable("The disk is full.")

    return Book(on=on)


def test_nothing_is_sent_that_is_not_written_before() -> None:
    switch = MemorySwitch(state())
    book = change(switch, book=refusing("begun"))
    assert book.outcomes["leaf-1"].state is ChangeState.REFUSED
    assert "disk is full" in book.outcomes["leaf-1"].error
    assert "apply" not in switch.calls


def test_nothing_is_saved_that_is_not_written_before() -> None:
    switch = MemorySwitch(state())
    began = switch.state
    book = change(switch, book=refusing("verified"))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert switch.state == began
    assert "save" not in switch.calls


def test_nothing_is_sent_where_nothing_differs() -> None:
    switch = MemorySwitch(state())
    book = change(switch, wanted=intent(Vlan(10, "web")))
    assert book.outcomes["leaf-1"].state is ChangeState.UNCHANGED
    assert book.lines == ["ended"]
    assert not {"apply", "save"} & set(switch.calls)
    assert switch.kept == {}


def test_a_plan_that_has_gone_stale_is_refused() -> None:
    switch = MemorySwitch(state())
    wanted = intent(*WIDER)
    seen = plan(wanted, switch.state, ALL_KINDS).fingerprint
    switch.state = state(Vlan(20, "post"))
    book = Book()
    Transaction([member(switch, wanted, seen)], book, Clockwork()).run()
    assert book.outcomes["leaf-1"].state is ChangeState.REFUSED
    assert "stale" in book.outcomes["leaf-1"].error
    assert "apply" not in switch.calls
    assert switch.kept == {}


@pytest.mark.parametrize("timer", [False, True])
def test_what_somebody_does_by_hand_meanwhile_is_neither_lost_nor_rolled_back(*, timer: bool) -> None:
    switch = MemorySwitch(state(), replace(ALL_KINDS, timer=timer))
    trunk = switch.state.parts["port", "Ethernet1/1"]
    assert isinstance(trunk, Port)
    theirs = replace(trunk, allowed="10,99")

    def typed(line: str) -> None:
        if line == "begun":
            switch.by_hand(Account(0.0, "olga", "", ""), Step(None, Vlan(99, "hers", 0)), Step(trunk, theirs))

    book = change(switch, book=Book(on=typed))
    assert book.outcomes["leaf-1"].state is ChangeState.REFUSED
    assert "Ethernet1/1" in book.outcomes["leaf-1"].error
    assert "by somebody else" in book.outcomes["leaf-1"].error
    assert switch.state.parts["port", "Ethernet1/1"] == theirs
    assert not {"apply", "rollback"} & set(switch.calls)
    assert switch.kept == {}
    assert (switch.calls.count("arm"), switch.calls.count("disarm")) == ((1, 1) if timer else (0, 0))


def test_who_was_sent_nothing_is_not_rolled_back_with_its_pair() -> None:
    one, two = pair()
    one.faults = (Fault("apply", NO),)
    hers = Vlan(99, "hers", 0)

    def typed(line: str) -> None:
        del line
        if not two.kept:
            return
        if ("vlan", "99") not in two.state.parts and "apply" in one.calls:
            two.by_hand(Account(0.0, "olga", "", ""), Step(None, hers))

    book = change(one, two, book=Watching(typed))
    assert {o.state for o in book.outcomes.values()} == {ChangeState.ROLLED_BACK}
    assert book.outcomes["leaf-2"].receipt == "Nothing was sent to it."
    assert two.state.parts["vlan", "99"] == hers
    assert "rollback" not in two.calls


class Watching(Book):
    """A journal that also tells of phases."""

    def __init__(self, on: Callable[[str], None]) -> None:
        super().__init__(on=on)

    def phase(self, switch: str, phase: Phase, done: int = 0, of: int = 0, problem: str = "") -> None:
        super().phase(switch, phase, done, of, problem)
        self.on(phase.value)


def test_a_forbidden_risk_is_taken_only_by_its_name() -> None:
    wanted = replace(intent(), absent=frozenset({("vlan", "10")}))
    risks = {r.kind for r in plan(wanted, state(), ALL_KINDS).forbidden()}
    assert risks
    for allowed, expected in (((), ChangeState.REFUSED), (tuple(risks), ChangeState.APPLIED)):
        switch, book = MemorySwitch(state()), Book()
        Transaction([member(switch, wanted, "", allowed)], book, Clockwork()).run()
        assert book.outcomes["leaf-1"].state is expected
        assert (("vlan", "10") in switch.state.parts) == (expected is ChangeState.REFUSED)


def clean_calls(*, paired: bool) -> list[tuple[int, str, int]]:
    """Every call of an undisturbed change: which switch, which method, the how manieth."""
    switches = pair() if paired else (MemorySwitch(state()),)
    change(*switches)
    counts: Counter[tuple[int, str]] = Counter()
    found = []
    for i, switch in enumerate(switches):
        for call in switch.calls:
            counts[i, call] += 1
            found.append((i, call, counts[i, call]))
    return [c for c in found if c[1] != "close"]


def pair() -> tuple[MemorySwitch, MemorySwitch]:
    one, two = (MemorySwitch(state(name=n), paired=PAIRED) for n in ("leaf-1", "leaf-2"))
    return one, two


@pytest.mark.parametrize("paired", [False, True], ids=["one", "pair"])
@pytest.mark.parametrize("after", [False, True], ids=["instead", "after"])
@pytest.mark.parametrize("gone", [False, True], ids=["once", "gone"])
@pytest.mark.parametrize("error", [AWAY, NO], ids=["unavailable", "refused"])
def test_a_fault_at_any_call_leaves_all_or_nothing(
    *, paired: bool, after: bool, gone: bool, error: SekishoError
) -> None:
    for which, call, number in clean_calls(paired=paired):
        switches = pair() if paired else (MemorySwitch(state()),)
        began = [s.state for s in switches]
        done = 1 if call == "apply" else 0
        switches[which].faults = (Fault(call, error, number, done=done, gone=gone, after=after),)
        waits = Counter[str]()

        def meanwhile(switches: tuple[MemorySwitch, ...] = switches, waits: Counter[str] = waits) -> None:
            waits["all"] += 1
            if waits["all"] == 3:
                for switch in switches:
                    switch.come_back()

        book = change(*switches, time=Clockwork(meanwhile=meanwhile))
        told = {o.state for o in book.outcomes.values()}
        where = f"{call} {number} of switch {which}"
        assert len(book.outcomes) == len(switches), where
        if told == {ChangeState.APPLIED}:
            wanted = [intent(*WIDER, name=s.state.facts.hostname) for s in switches]
            assert not any(plan(w, s.state, ALL_KINDS) for w, s in zip(wanted, switches, strict=True)), where
        else:
            assert told <= {ChangeState.REFUSED, ChangeState.ROLLED_BACK}, where
            assert [s.state for s in switches] == began, where
        assert all(s.saved == s.state for s in switches), where


def test_a_pair_is_undone_on_both_when_one_cannot_be_saved() -> None:
    one, two = pair()
    began = one.state, two.state
    two.faults = (Fault("save", NO),)
    book = change(one, two)
    assert {o.state for o in book.outcomes.values()} == {ChangeState.ROLLED_BACK}
    assert (one.state, two.state) == began
    assert one.saved == began[0]


def test_a_pair_of_which_one_is_away_leaves_no_checkpoint_on_the_other() -> None:
    one, two = pair()
    two.gone = True
    book = change(one, two)
    assert {o.state for o in book.outcomes.values()} == {ChangeState.REFUSED}
    assert one.kept == {}
    assert "apply" not in one.calls


@pytest.mark.parametrize("call", ["checkpoint", "read", "running", "apply", "save"])
def test_what_goes_wrong_in_a_pair_says_at_which_switch(call: str) -> None:
    for which, name in enumerate(("leaf-1", "leaf-2")):
        one, two = pair()
        (one, two)[which].faults = (Fault(call, NO, 1),)
        told = {o.error for o in change(one, two).outcomes.values()}
        assert told == {f"{name}: The switch says no."}
    alone = change(MemorySwitch(state(), faults=(Fault(call, NO, 1),)))
    assert alone.outcomes["leaf-1"].error == "The switch says no."


def test_a_pair_that_is_worse_off_afterwards_is_undone() -> None:
    for worse in (
        Pair(peer_up=False, keepalive_up=True),
        Pair(peer_up=True, keepalive_up=False),
        Pair(peer_up=True, keepalive_up=True, inconsistent=("STP mode",)),
    ):
        one, two = pair()
        began = one.state, two.state
        book = Book(on=lambda _line, two=two, worse=worse: setattr(two, "paired", worse))  # type: ignore[misc]
        change(one, two, book=book)
        assert {o.state for o in book.outcomes.values()} == {ChangeState.ROLLED_BACK}
        assert (one.state, two.state) == began


def test_a_pair_that_is_worse_off_because_that_is_allowed_stays_so() -> None:
    worse = Pair(peer_up=True, keepalive_up=True, inconsistent=("Interface-vlan admin up",))
    for allowed in ("pair", "peer-link"):
        one, two = pair()
        wanted = [intent(*WIDER, name=n) for n in ("leaf-1", "leaf-2")]
        members = [member(s, w, allowed=(allowed,)) for s, w in zip((one, two), wanted, strict=True)]
        book = Book(on=lambda _line, two=two: setattr(two, "paired", worse))  # type: ignore[misc]
        Transaction(members, book, Clockwork(), Pace()).run()
        assert {o.state for o in book.outcomes.values()} == {ChangeState.APPLIED}


def test_a_pair_that_is_told_of_no_more_is_undone_unless_it_is_a_pair_no_more() -> None:
    one, two = (MemorySwitch(state(Vpc(10), name=n), paired=PAIRED) for n in ("leaf-1", "leaf-2"))
    book = change(one, two, book=Book(on=lambda _line: setattr(two, "paired", None)))
    assert {o.state for o in book.outcomes.values()} == {ChangeState.ROLLED_BACK}
    one, two = pair()
    book = change(one, two, book=Book(on=lambda _line: setattr(two, "paired", None)))
    assert {o.state for o in book.outcomes.values()} == {ChangeState.APPLIED}


def test_what_was_wrong_with_a_pair_before_does_not_hinder_a_change() -> None:
    one, two = pair()
    one.paired = two.paired = Pair(peer_up=False, keepalive_up=True, inconsistent=("STP mode",))
    book = change(one, two)
    assert {o.state for o in book.outcomes.values()} == {ChangeState.APPLIED}


def test_a_switch_that_started_anew_and_forgot_its_checkpoint_is_brought_back() -> None:
    switch = MemorySwitch(state(), faults=(Fault("apply", AWAY, 2, gone=True),))
    began = switch.state
    book = change(switch, time=Clockwork(meanwhile=switch.reboot))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert switch.state == began


def test_without_its_checkpoint_a_switch_is_brought_back_by_the_backup() -> None:
    switch = MemorySwitch(state(), faults=(Fault("apply", AWAY, 2, gone=True),))
    began = switch.state

    def meanwhile() -> None:
        switch.come_back()
        switch.kept.clear()

    book = change(switch, time=Clockwork(meanwhile=meanwhile))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert switch.state == began
    assert "restore" in switch.calls


def test_a_switch_that_cannot_be_brought_back_is_in_doubt() -> None:
    never = [Fault(call, NO, n) for call in ("rollback", "restore") for n in range(1, 9)]
    switch = MemorySwitch(state(), faults=(Fault("apply", NO, 2), *never))
    book = change(switch)
    assert book.outcomes["leaf-1"].state is ChangeState.IN_DOUBT
    assert book.outcomes["leaf-1"].error == NO.asker


def test_a_checkpoint_that_is_refused_is_followed_by_the_backup() -> None:
    refused = tuple(Fault("rollback", NO, n) for n in range(1, 9))
    switch = MemorySwitch(state(), faults=(Fault("apply", NO, 2), *refused))
    began = switch.state
    assert change(switch).outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert switch.state == began


def test_somebody_who_holds_the_configuration_is_waited_for() -> None:
    held = tuple(Fault("rollback", Conflict("Held by olga."), n) for n in (1, 2, 3, 4, 5))
    switch = MemorySwitch(state(), faults=(Fault("apply", NO, 2), *held))
    began = switch.state
    book = change(switch)
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert switch.state == began


def test_a_switch_that_will_not_watch_over_itself_is_changed_all_the_same() -> None:
    will_not = Fault("arm", Unsupported("No timer here."))
    switch = MemorySwitch(state(), can=replace(ALL_KINDS, timer=True), faults=(will_not,))
    assert change(switch).outcomes["leaf-1"].state is ChangeState.APPLIED
    assert "disarm" not in switch.calls


def test_the_switch_goes_back_by_itself_where_it_can() -> None:
    can = replace(ALL_KINDS, timer=True)
    switch = MemorySwitch(state(), can=can)
    change(switch)
    assert switch.calls.index("arm") < switch.calls.index("apply")
    assert switch.calls.index("disarm") < switch.calls.index("save")
    assert switch.armed is None

    lost = MemorySwitch(state(), can=can, faults=(Fault("apply", AWAY, 2, gone=True),))
    began = lost.state

    def meanwhile() -> None:
        lost.come_back()
        lost.expire()

    book = change(lost, time=Clockwork(meanwhile=meanwhile))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert lost.state == began
    assert "rollback" not in lost.calls


def settling(switch: MemorySwitch, looks: int) -> Member:
    """A switch that is as it should be only when it was looked at so many times."""
    plain, seen = member(switch, intent(*WIDER)), Counter[str]()

    def faults(driver: SwitchDriver, now: State) -> tuple[str, ...]:
        del driver, now
        seen["looks"] += 1
        return () if seen["looks"] >= looks else ("its channel is not up yet",)

    def prepare(driver: SwitchDriver, now: State, abilities: Abilities) -> Work:
        return replace(plain.prepare(driver, now, abilities), faults=faults)

    return replace(plain, prepare=prepare)


@pytest.mark.parametrize(("looks", "end"), [(5, ChangeState.APPLIED), (500, ChangeState.ROLLED_BACK)])
def test_a_change_that_takes_a_moment_to_settle_is_waited_for_but_not_for_ever(
    looks: int, end: ChangeState
) -> None:
    switch, book, time = MemorySwitch(state()), Book(), Clockwork()
    Transaction([settling(switch, looks)], book, time, Pace(settle=20.0, look=1.0)).run()
    assert book.outcomes["leaf-1"].state is end
    assert time.now < 30


def stopped_in_the_middle() -> tuple[MemorySwitch, Book, State]:
    switch = MemorySwitch(state(), faults=(Fault("apply", AWAY, 2, gone=True),))
    began, book = switch.state, Book()
    with pytest.raises(Stopped):
        change(switch, book=book, time=Clockwork(stop_at=30.0))
    assert switch.state != began, "something was done"
    assert book.outcomes == {}
    return switch, book, began


def found(switch: MemorySwitch, book: Book, *, saved: bool = False) -> End:
    name = switch.state.facts.hostname
    return End(member(switch, intent(name=name)), book.before[name], book.kept[name], saved=saved)


def test_a_keeper_that_ended_in_the_middle_brings_the_switch_back_when_it_starts() -> None:
    switch, book, began = stopped_in_the_middle()
    again = Transaction([member(switch, intent())], book, Clockwork(meanwhile=switch.come_back))
    again.resume([found(switch, book)], {"leaf-1": ""})
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert switch.state == began


def test_a_keeper_that_ended_before_saving_proves_the_change_and_saves_it() -> None:
    switch = MemorySwitch(state(), faults=(Fault("save", AWAY, gone=True),))
    book = Book()
    with pytest.raises(Stopped):
        change(switch, book=book, time=Clockwork(stop_at=1.0))
    again = Transaction([member(switch, intent())], book, Clockwork(meanwhile=switch.come_back))
    again.resume([found(switch, book, saved=True)], dict(book.after))
    assert book.outcomes["leaf-1"].state is ChangeState.APPLIED
    assert switch.saved == switch.state
    assert not plan(intent(*WIDER), switch.state, ALL_KINDS)


def waits(switch: MemorySwitch) -> bool:
    return switch.armed is not None


def test_a_switch_waits_no_more_to_go_back_once_a_new_keeper_has_settled_it() -> None:
    can = replace(ALL_KINDS, timer=True)
    for fault, stop in ((Fault("apply", AWAY, 2, gone=True), 30.0), (Fault("disarm", AWAY, gone=True), 1.0)):
        switch = MemorySwitch(state(), can=can, faults=(fault,))
        book = Book()
        with pytest.raises(Stopped):
            change(switch, book=book, time=Clockwork(stop_at=stop))
        switch.come_back()
        assert waits(switch)
        again = Transaction([member(switch, intent())], book, Clockwork())
        again.resume([replace(found(switch, book), armed=True)], {"leaf-1": book.after.get("leaf-1", "")})
        assert not waits(switch)
        assert switch.saved == switch.state


def test_a_verified_change_that_is_there_no_more_is_undone_on_both() -> None:
    one, two = pair()
    began = one.state, two.state
    book = Book()
    two.faults = (Fault("save", AWAY, gone=True),)
    with pytest.raises(Stopped):
        change(one, two, book=book, time=Clockwork(stop_at=1.0))
    two.reboot()
    members = [member(s, intent(name=s.state.facts.hostname)) for s in (one, two)]
    ends = [found(s, book, saved=True) for s in (one, two)]
    Transaction(members, book, Clockwork()).resume(ends, dict(book.after))
    assert {o.state for o in book.outcomes.values()} == {ChangeState.ROLLED_BACK}
    assert (one.state, two.state) == began
    assert one.saved == began[0]


def test_phases_are_told_in_their_order() -> None:
    switch = MemorySwitch(state())
    told = [phase for _, phase in change(switch).phases]
    assert list(dict.fromkeys(told)) == [
        Phase.READING,
        Phase.BACKUP,
        Phase.CHANGING,
        Phase.VERIFYING,
        Phase.SAVING,
        Phase.ENDED,
    ]


def test_the_digest_is_the_same_in_every_order() -> None:
    one = state()
    assert digest(one.parts) == digest(dict(sorted(one.parts.items(), reverse=True)))
    assert digest(one.parts) != digest(state(Vlan(10, "other")).parts)
    assert Before("", "", digest(one.parts)).digest


class Forgetful(MemorySwitch):
    """Once it has been changed, it reads as `told` says."""

    def told(self, state: State) -> State:
        return state

    def read(self) -> State:
        state = super().read()
        return self.told(state) if "apply" in self.calls and "rollback" not in self.calls else state


CLOUDS = (Vlan(1001, "net"), Port("Ethernet1/1", allowed="1001", within="1000-1999"))


def test_vlans_that_a_change_has_no_word_in_are_as_before_or_it_is_undone() -> None:
    class Losing(Forgetful):
        def told(self, state: State) -> State:
            port = state.parts["port", "Ethernet1/1"]
            assert isinstance(port, Port)
            fewer = replace(port, allowed="1001")
            return replace(state, parts={**state.parts, ("port", "Ethernet1/1"): fewer})

    switch = Losing(state())
    book = change(switch, wanted=intent(*CLOUDS))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert "beside VLANs 1000-1999" in book.outcomes["leaf-1"].error
    assert change(MemorySwitch(state()), wanted=intent(*CLOUDS)).outcomes["leaf-1"].state is (
        ChangeState.APPLIED
    )


def test_a_port_that_is_gone_is_not_as_it_should_be_whoever_spoke_of_it() -> None:
    class Losing(Forgetful):
        def told(self, state: State) -> State:
            return replace(state, parts={k: p for k, p in state.parts.items() if k[1:] != ("Ethernet1/2",)})

    book = change(Losing(state()))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert "Ethernet1/2: is gone" in book.outcomes["leaf-1"].error


@pytest.mark.parametrize("told", [Facts("leaf-1", "memory", "other", "1"), Facts("leaf-1", "", "", "")])
def test_what_reads_as_another_switch_is_not_believed(told: Facts) -> None:
    class Other(Forgetful):
        def told(self, state: State) -> State:
            once = self.calls.count("read") == 3  # the one that is to prove the change
            return replace(state, facts=told) if once else state

    book = change(Other(state()))
    assert book.outcomes["leaf-1"].state is ChangeState.ROLLED_BACK
    assert "not believed" in book.outcomes["leaf-1"].error


def test_a_switch_that_says_nothing_of_itself_is_not_changed() -> None:
    switch = MemorySwitch(replace(state(), facts=Facts("leaf-1", "", "", "")))
    book = change(switch, wanted=intent(*WIDER))
    assert book.outcomes["leaf-1"].state is ChangeState.REFUSED
    assert "apply" not in switch.calls


def test_a_receipt_never_names_a_community() -> None:
    class Sticky(MemorySwitch):
        def rollback(self, name: str) -> None:
            super().rollback(name)
            self.state = replace(
                self.state, parts={**self.state.parts, **parts(Community("s3cret", write=False))}
            )

        def restore(self, text: str) -> None:
            del text

    class Losing(Sticky, Forgetful):
        def told(self, state: State) -> State:
            return replace(state, parts={k: p for k, p in state.parts.items() if k[0] != "vlan"})

    book = change(Losing(state()))
    assert book.outcomes["leaf-1"].state is ChangeState.IN_DOUBT
    assert "SNMP community" in book.outcomes["leaf-1"].receipt
    assert "s3cret" not in book.outcomes["leaf-1"].receipt
