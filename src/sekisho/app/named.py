"""Policies and baselines in, those out that name what nobody tells: plans, and volumes nobody measures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.metering.catalogue import METERED
from sekisho.model.policy import Mode

if TYPE_CHECKING:
    from collections.abc import Collection

    from sekisho.model.policy import Baseline, Policy, PolicySet


def strangers(policies: PolicySet, plans: Collection[str] | None, *, asked: bool) -> tuple[str, ...]:
    """Give a sentence for each policy or baseline that names plans which nobody knows.

    `plans` are the ids, names and tags of all plans, None before the cloud has told them; `asked` tells
    whether it is asked at all.
    """
    told: list[tuple[str, Policy | Baseline]] = [(f"policy {p.name}", p) for p in policies.policies]
    told += [(f"baseline {b.name}", b) for b in policies.baselines]
    found = (_stranger(who, noun, plans, asked=asked) for who, noun in told)
    return tuple(sentence for sentence in found if sentence)


def unmeasured(policies: PolicySet) -> tuple[str, ...]:
    """Give a sentence for each policy that is to act by volumes, for where nobody measures them.

    Those that only watch say nothing: such policies are shipped.
    """
    return tuple(
        f"policy {p.name}: nobody measures what it is judged by: set keeper.metering.source"
        for p in policies.policies
        if p.mode is not Mode.WATCH and any(c.detector in METERED for c in p.conditions)
    )


def _stranger(who: str, noun: Policy | Baseline, plans: Collection[str] | None, *, asked: bool) -> str:
    scope = noun.scope
    if plans is not None:
        unknown = [n for n in (*scope.qos, *scope.exclude_qos) if n not in plans]
        return f"{who}: the cloud has no plan {_quoted(unknown)}" if unknown else ""
    if asked or not scope.plans_by_name:
        return ""  # the first list is on its way, and what keeps it away is told by itself
    named = _quoted(scope.plans_by_name)
    return f"{who}: nobody tells which plan {named} is: set [keeper.cloud], or name it by its id"


def _quoted(names: Collection[str]) -> str:
    return ", ".join(map(repr, dict.fromkeys(names)))
