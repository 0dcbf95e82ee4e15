"""Two readings of a switch, or two looks at its pair, in; sentences about what is not as it was out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.devices.switch.words import name

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.devices.switch.driver import Pair
    from sekisho.devices.switch.intent import Key, Part


def differences(before: Mapping[Key, Part] | None, now: Mapping[Key, Part]) -> str:
    """Say what is not as it was; `before` is None where only its digest is known."""
    if before is None:
        return "it does not read as it did before."
    other = sorted(k for k in before.keys() | now.keys() if before.get(k) != now.get(k))
    return f"{len(other)} parts differ, among them {', '.join(map(name, other[:5]))}."


def worse(before: Pair | None, after: Pair | None) -> tuple[str, ...]:
    """Say what is wrong with a pair that was not wrong before."""
    if after is None:
        return ()
    known = before.inconsistent if before else ()
    found = [
        f"the pair differs in {what} (--allow pair if that is meant)"
        for what in after.inconsistent
        if what not in known
    ]
    if before and before.peer_up and not after.peer_up:
        found.append("its peer is gone")
    if before and before.keepalive_up and not after.keepalive_up:
        found.append("its peer's keepalive is gone")
    return tuple(found)
