"""How the journal of switches' changes behaves, whatever database it stands on.

A test module runs each of `CHECKS` with a fresh, empty journal::

    @pytest.mark.parametrize("check", CHECKS, ids=name)
    def test_changes(check: Check, tmp_path: Path) -> None:
        check(Changes(Ledger(tmp_path / "ledger.db").store))
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from sekisho.model.errors import Conflict, NotFound, SekishoError
from sekisho.model.switch import ChangeState, ChangeView, PlanView, RiskView, SentText, Verb

if TYPE_CHECKING:
    from sekisho.ledger.switches import Changes

Check: TypeAlias = Callable[["Changes"], None]
CHECKS: list[Check] = []

NOW = 1_800_000_000.0
PLAN = PlanView(
    "leaf-1",
    "f00d",
    ("VLAN 20: new, name mail",),
    (SentText("cli", "vlan 20"),),
    (RiskView("uplink", "port Ethernet1/1", "It is an uplink."),),
)


def check(function: Check) -> Check:
    """Let a function be one of the checks."""
    CHECKS.append(function)
    return function


def name(function: Check) -> str:
    """Name a check, as a test's id."""
    return getattr(function, "__name__", "check")


# --- what the checks are made of ---------------------------------------------------------------


def draft(switch: str = "leaf-1", unit: str = "", plan: PlanView | None = None) -> ChangeView:
    """Say what somebody wants."""
    told = plan or PlanView(switch)
    return ChangeView(
        "", "", switch, Verb.APPLY, ChangeState.WAITING, "ada", "as planned", unit=unit, plan=told
    )


def begin(changes: Changes, switch: str = "leaf-1", now: float = NOW) -> ChangeView:
    """Let a change begin."""
    (made,) = changes.open([draft(switch)], now)
    changes.begun({made.id: ("sekisho-c1", "backup-1", "before")}, now + 1)
    return made


def end(changes: Changes, change: ChangeView, state: ChangeState, error: str = "") -> None:
    """Let a change end."""
    changes.end({change.id: (state, "Read again.", error)}, NOW + 9)


def raises(error: type[SekishoError], act: Callable[[], object]) -> None:
    """Assert that an act fails as it should."""
    try:
        act()
    except error:
        return
    raise AssertionError(f"it did not raise {error.__name__}")


# --- checks ------------------------------------------------------------------------------------


@check
def what_is_wanted_together_is_one_rollout(changes: Changes) -> None:
    """Every change knows its rollout, its unit, its author and why."""
    made = changes.open([draft("leaf-1", "leaf-1+leaf-2"), draft("leaf-2", "leaf-1+leaf-2")], NOW)
    assert len({c.rollout for c in made}) == 1
    assert [c.switch for c in changes.rollout(made[0].rollout)] == ["leaf-1", "leaf-2"]
    assert {(c.state, c.author, c.reason, c.created, c.unit) for c in made} == {
        (ChangeState.WAITING, "ada", "as planned", NOW, "leaf-1+leaf-2")
    }
    (other,) = changes.open([draft("leaf-3")], NOW)
    assert other.rollout != made[0].rollout


@check
def a_switch_has_one_open_change(changes: Changes) -> None:
    """Whoever comes second hears who was first, and nothing of what he wants is written."""
    first = begin(changes)
    raises(Conflict, lambda: changes.open([draft("leaf-2"), draft("leaf-1")], NOW))
    assert [k.change.id for k in changes.open_now()] == [first.id]
    end(changes, first, ChangeState.APPLIED)
    changes.open([draft("leaf-2"), draft("leaf-1")], NOW)


@check
def one_of_many_at_once_is_first(changes: Changes) -> None:
    """Of threads that want the same switch, one gets it."""
    got: list[str] = []

    def want() -> None:
        with suppress(Conflict):
            got.extend(c.id for c in changes.open([draft()], NOW))

    threads = [threading.Thread(target=want) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


@check
def what_must_be_undone_after_a_crash_is_written(changes: Changes) -> None:
    """Checkpoint, backup and digests are there for whoever starts next."""
    made = begin(changes)
    (kept,) = changes.open_now()
    assert kept.change.state is ChangeState.RUNNING
    assert (kept.change.checkpoint, kept.change.backup) == ("sekisho-c1", "backup-1")
    assert (kept.before, kept.after, kept.change.begun) == ("before", "", NOW + 1)
    changes.verified({made.id: "after"})
    assert changes.change(made.id).after == "after"


@check
def a_plan_is_kept_as_it_was_shown(changes: Changes) -> None:
    """Sentences, texts and risks come back as they went in."""
    made = begin(changes)
    changes.planned(made.id, PLAN)
    assert changes.change(made.id).change.plan == PLAN


@check
def an_end_says_how_it_is_known(changes: Changes) -> None:
    """State, receipt, error and time of the end are written, and nothing is open any more."""
    made = begin(changes)
    end(changes, made, ChangeState.ROLLED_BACK, "It says no.")
    found = changes.change(made.id).change
    assert found.state is ChangeState.ROLLED_BACK
    assert (found.receipt, found.error, found.ended) == ("Read again.", "It says no.", NOW + 9)
    assert changes.open_now() == ()


@check
def the_newest_change_in_force_is_found(changes: Changes) -> None:
    """What failed is none of them."""
    raises(NotFound, lambda: changes.last_applied("leaf-1"))
    first = begin(changes)
    end(changes, first, ChangeState.APPLIED)
    end(changes, begin(changes), ChangeState.ROLLED_BACK)
    end(changes, begin(changes, "leaf-2"), ChangeState.APPLIED)
    assert changes.last_applied("leaf-1").change.id == first.id


@check
def a_doubt_lasts_until_it_is_settled(changes: Changes) -> None:
    """A switch that was refused is still in doubt; one that was changed well is not."""
    doubtful = begin(changes)
    end(changes, doubtful, ChangeState.IN_DOUBT)
    end(changes, begin(changes, "leaf-2"), ChangeState.APPLIED)
    assert changes.doubts() == {"leaf-1": doubtful.id}
    end(changes, begin(changes), ChangeState.REFUSED)
    assert changes.doubts() == {"leaf-1": doubtful.id}
    end(changes, begin(changes), ChangeState.APPLIED)
    assert changes.doubts() == {}


@check
def a_proposal_is_made_once_and_replaced(changes: Changes) -> None:
    """The same plan is the same proposal; another plan, and another change, take its place."""
    first = changes.propose(draft(plan=PLAN), NOW)
    assert changes.propose(draft(plan=PLAN), NOW + 5).id == first.id
    second = changes.propose(draft(plan=PlanView("leaf-1", "beef")), NOW + 6)
    assert [c.id for c in changes.proposals()] == [second.id]
    changes.open([draft()], NOW + 7)
    assert changes.proposals() == ()
    assert changes.change(second.id).change.state is ChangeState.REJECTED


@check
def a_proposal_can_be_put_aside_once(changes: Changes) -> None:
    """What is no proposal any more cannot be."""
    made = changes.propose(draft(plan=PLAN), NOW)
    assert changes.reject(made.id, "ada", "it is meant", NOW + 1).state is ChangeState.REJECTED
    raises(Conflict, lambda: changes.reject(made.id, "ada", "again", NOW + 2))
    assert changes.proposals() == ()


@check
def a_proposal_is_no_open_change(changes: Changes) -> None:
    """Nobody waits for it, and a restart leaves it."""
    changes.propose(draft(plan=PLAN), NOW)
    assert changes.open_now() == ()


@check
def pages_go_from_the_newest_to_the_oldest(changes: Changes) -> None:
    """Each change is on one page, of all switches or of one."""
    for i in range(5):
        end(changes, begin(changes, f"leaf-{i % 2}"), ChangeState.APPLIED)
    seen, marker = [], ""
    while True:
        page = changes.page("", 2, marker)
        seen += [c.id for c in page.items]
        marker = page.next
        if not marker:
            break
    assert seen == [f"c{n}" for n in (5, 4, 3, 2, 1)]
    assert [c.id for c in changes.page("leaf-1", 10, "").items] == ["c4", "c2"]


@check
def what_is_not_there_is_not_found(changes: Changes) -> None:
    """Neither by a name that nobody has, nor by one that is none."""
    for wrong in ("c9", "x1", "", "c", "c1; DROP TABLE change"):
        raises(NotFound, partial(changes.change, wrong))
    raises(NotFound, lambda: changes.rollout("o9"))
