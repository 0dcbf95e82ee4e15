"""What can befall each call: nothing stays half-configured, and the next carrying makes it right."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sekisho.devices.balancer.adx import names
from sekisho.model.balancer import Balancer, Check, Listener, Member, Monitor, Pool, Protocol
from sekisho.model.errors import Refused, SekishoError, Unavailable
from sekisho.testing.adx.box import Box, Kind, Mishap
from support_adx import Rig, identity, pair, web, with_members

OLD = web(members=("10.2.0.11", "10.2.0.12"), port=8080)


def changed(balancer: Balancer) -> Balancer:
    """The same with another member, weights, check, persistence and a second listener."""
    members = (Member("m-1", "10.2.0.11", 8080, weight=3), Member("m-3", "10.2.0.13", 8080))
    made = with_members(balancer, *members)
    check = Monitor(identity("other"), Check.TCP, 10, 10, 2, 2)
    pool = replace(made.pools[0], monitor=check, persistence=600)
    tls = Pool(identity("tls"), Protocol.TCP, members=(Member("m-4", "10.2.0.14", 443),))
    listeners = (*made.listeners, Listener(identity("tls listener"), Protocol.TCP, 443, tls.id))
    return replace(made, listeners=listeners, pools=(pool, tls))


def serving(box: Box) -> dict[str, object]:
    """What customers can see of a box: its virtual servers, and what is bound to them."""
    found: dict[str, object] = {}
    for virtual in box.running.virtuals.values():
        bound = {
            (own, real, port): (box.running.reals[real].weight, box.running.reals[real].ports[port].enabled)
            for own, real, port in virtual.bindings
        }
        policies = {
            box.running.policies[name].url
            for _, real, port in virtual.bindings
            if (name := box.running.reals[real].ports[port].policy)
        }
        used = {own for own, _, _ in virtual.bindings}
        ports = {n: (p.enabled, p.sticky, p.dsr) for n, p in virtual.ports.items() if n in used}
        head = (virtual.enabled, virtual.predictor, virtual.sticky_age or 5, virtual.priority)
        found[virtual.name] = (head, ports, bound, policies)
    return found


def carried(rig: Rig, *balancers: Balancer) -> int:
    """Carry, and give how many calls were made."""
    before = len(rig.box.calls)
    outcome = rig.driver().carry(balancers)
    assert not outcome.problems
    return len(rig.box.calls) - before


def prepared(*balancers: Balancer) -> Rig:
    rig = Rig()
    if balancers:
        carried(rig, *balancers)
    return rig


@pytest.mark.slow
@pytest.mark.parametrize("mishap", [Mishap("fault"), Mishap("silent", done=True)], ids=["no", "lost"])
@pytest.mark.parametrize(
    ("before", "after"),
    [((), (OLD,)), ((OLD,), (changed(OLD),)), ((changed(OLD),), (OLD,)), ((OLD,), ())],
    ids=["comes", "changes", "changes back", "goes"],
)
def test_at_every_call(before: tuple[Balancer, ...], after: tuple[Balancer, ...], mishap: Mishap) -> None:
    first, last = serving(prepared(*before).box), serving(prepared(*after).box)
    calls = carried(prepared(*before), *after)
    for number in range(1, calls + 1):
        rig = prepared(*before)
        rig.box.mishaps[len(rig.box.calls) + number] = mishap
        try:
            outcome = rig.driver().carry(after)
        except (Unavailable, Refused):
            outcome = None
        stands = serving(rig.box)
        if after:
            assert stands in (first, last), (number, rig.box.calls[-12:])
        if outcome is not None and not outcome.problems and after:
            assert stands == last
        driver = rig.driver()
        assert not driver.carry(after).problems
        rig.box.restart()
        assert serving(rig.box) == last
        assert not driver.drift()
        assert driver.carry(after).changes == 0


@pytest.mark.parametrize("kind", ["forbidden", "garbage", "empty", "broken", "silent"])
def test_what_is_no_answer_is_taken_back_and_asked_again(kind: Kind) -> None:
    rig = prepared(OLD)
    before = serving(rig.box)
    rig.box.mishaps[len(rig.box.calls) + 6] = Mishap(kind)
    driver = rig.driver()
    with pytest.raises(Unavailable):
        driver.carry([changed(OLD)])
    assert serving(rig.box) == before
    assert not driver.carry([changed(OLD)]).problems


def test_a_fault_costs_the_others_nothing() -> None:
    rig = Rig()
    bad, good = web("bad"), web("good", vip="10.2.0.101", members=("10.2.0.21",))
    bind = 8  # read, policy, two servers, two ports, virtual server, its predictor, ...
    rig.box.mishaps[bind] = Mishap("fault")
    outcome = rig.driver().carry([bad, good])
    assert set(outcome.problems) == {bad.id}
    assert "the box is busy" in outcome.problems[bad.id]
    assert set(rig.box.running.virtuals) == {names.of(good.id)}
    assert set(rig.box.running.reals) == {"sk-10.2.0.21"}


def test_a_refused_change_is_taken_back_on_both_boxes() -> None:
    rig = pair()
    rig.driver().carry([web()])
    texts = [rig.text(0), rig.text(1)]
    other = rig.boxes[1]
    for number in range(1, 30):
        other.mishaps[len(other.calls) + number] = Mishap("fault")
        try:
            problems = rig.driver().carry([web(persistence=600)]).problems
        except SekishoError:
            problems = {}
        other.mishaps.clear()
        if not problems:
            rig.driver().carry([web()])
            continue
        assert [rig.text(0), rig.text(1)] == texts
        return
    pytest.fail("no call of the second box was refused")


def test_a_login_that_is_not_let_in_is_asked_for_again_later() -> None:
    rig = Rig()
    rig.box.password = "another"
    with pytest.raises(Unavailable) as raised:
        rig.driver().carry([web()])
    assert "password_file" in raised.value.asker
    assert raised.value.retry_after >= 30
    assert "admin" not in raised.value.asker + raised.value.fixer


def test_a_box_that_never_ends_unbinding_is_not_waited_for_forever() -> None:
    rig = Rig()
    driver = rig.driver()
    driver.carry([web()])
    for box in rig.boxes:
        box.unbinds = 10_000
    with pytest.raises(Unavailable) as raised:
        driver.carry([])
    assert "let virtual" in raised.value.asker
    assert rig.waited <= 15
    rig.wait(10_000)
    driver.carry([])
    assert not rig.box.running.virtuals


def test_a_server_that_still_has_connections_goes_later_and_is_no_trouble() -> None:
    rig = Rig()
    driver = rig.driver()
    driver.carry([web()])
    rig.box.unbinds = 10_000
    gone = with_members(web(), *web().pools[0].members[:1])
    assert not driver.carry([gone]).problems
    assert "sk-10.2.0.12" in rig.box.running.reals
    rig.wait(10_000)
    assert driver.carry([gone]).changes > 0
    assert "sk-10.2.0.12" not in rig.box.running.reals


def test_a_real_server_of_ours_that_others_use_stays() -> None:
    rig = Rig()
    driver = rig.driver()
    driver.carry([web()])
    rig.box.running.virtuals["shop"] = type(rig.box.running.virtuals[names.of(web().id)])("shop", "10.9.0.1")
    rig.box.running.virtuals["shop"].bindings.append((80, "sk-10.2.0.11", 80))
    driver.carry([])
    assert set(rig.box.running.reals) == {"sk-10.2.0.11"}
    assert rig.box.running.virtuals["shop"].bindings
    waited = rig.waited
    driver.carry([])
    assert rig.waited == waited
