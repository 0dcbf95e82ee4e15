"""What each subject was last compiled to serves as well as compiling all of them anew."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.devices.vswitch import compile as compiler
from sekisho.devices.vswitch.compile import CompileSettings
from sekisho.devices.vswitch.compiled import Compiled
from sekisho.devices.vswitch.program import Bound
from sekisho.model.policy import Action, Baseline, Direction, Drop, Police, Protocol, Scope
from support_vswitch import subject

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.vswitch.program import Program
    from sekisho.model.inventory import Subject

SETTINGS = CompileSettings(exact_domain=7)
ACTIONS: tuple[Action, ...] = (
    Drop(Protocol.TCP, Direction.EGRESS, 25, 25),
    Drop(Protocol.ICMP, Direction.INGRESS),
    Police(1_000_000, Direction.EGRESS),
    Police(2_000_000, Direction.INGRESS),
)
BASELINES = (
    Baseline("closed", (ACTIONS[0],), Scope()),
    Baseline("slow", (ACTIONS[2],), Scope(subjects=("port-1", "port-2"))),
)

_subjects = st.lists(
    st.builds(
        lambda n, port, twin, vlan: subject(
            n, ofport=n if port else 0, vlan=vlan, **({"mac": "02:00:00:00:00:99"} if twin else {})
        ),
        st.integers(1, 5),
        st.sampled_from([False, True, True]),
        st.sampled_from([True, *[False] * 7]),
        st.sampled_from([0, 1, 2]),
    ),
    unique_by=lambda s: s.id,
    max_size=5,
)
_bounds = st.lists(
    st.builds(
        lambda n, m, action, until: Bound(f"r{m}", f"port-{n}", (action,), until),
        st.integers(1, 6),
        st.integers(1, 9),
        st.sampled_from(ACTIONS),
        st.sampled_from([50.0, 100.0, 200.0]),
    ),
    max_size=6,
)
_moments = st.tuples(
    _subjects, _bounds, st.sampled_from([(), BASELINES, BASELINES[:1]]), st.sampled_from([(), (25,)])
)


def said(program: Program) -> tuple[object, ...]:
    rules = {r.key: r for r in program.rules}
    assert len(rules) == len(program.rules)
    return rules, program.meters, program.problems, program.next_end


@given(st.lists(st.tuples(_moments, st.floats(0, 300)), max_size=5))
def test_it_gives_what_compiling_all_anew_gives_whatever_came_before(
    moments: list[tuple[Any, float]],
) -> None:
    known = Compiled(SETTINGS)
    for (subjects, bounds, baselines, ports), now in moments:
        access: Mapping[int, int] = {9: 2}
        anew = compiler.compile(subjects, bounds, baselines, ports, SETTINGS, now, access)
        given_ = known.program(subjects, bounds, baselines, ports, now, access)
        assert said(given_) == said(anew)
        assert [r.priority for r in given_.rules] == [r.priority for r in anew.rules]


def test_a_change_at_one_port_compiles_that_port_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []
    real = compiler.compile

    def counted(subjects: tuple[Subject, ...], *rest: object) -> Program:
        asked.append(tuple(s.id for s in subjects))
        return real(subjects, *rest)  # type: ignore[arg-type] # passed on as they came

    monkeypatch.setattr(compiler, "compile", counted)
    known = Compiled(SETTINGS)
    subjects = tuple(map(subject, range(1, 6)))
    bounds = [Bound(f"r{n}", f"port-{n}", ACTIONS, 100.0) for n in range(1, 6)]
    known.program(subjects, bounds, BASELINES, (25,), 0.0)
    assert len(asked) == 5
    asked.clear()
    known.program(subjects, bounds, BASELINES, (25,), 10.0)
    assert asked == []
    known.program(subjects, bounds[1:], BASELINES, (25,), 20.0)
    assert asked == [("port-1",)]
    asked.clear()
    known.program(subjects, bounds[1:], BASELINES, (25,), 100.0)
    assert len(asked) == 4  # theirs have ended
