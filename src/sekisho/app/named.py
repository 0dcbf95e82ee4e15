"""Policies and baselines in, the plans out that they name and nobody knows: such a scope is for nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
