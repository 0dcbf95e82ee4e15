"""What a detector takes, said by traits of a row instead of in columns: so that one pass can do for all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntFlag
from typing import TYPE_CHECKING, Final, Literal, Protocol, TypeAlias, runtime_checkable

from sekisho.model.policy import Direction

if TYPE_CHECKING:
    from sekisho.detect.settings import DetectSettings


class Trait(IntFlag):
    """What is so of one row; each name is a property or method of Rows, or a mask made of them.

    The bits are those of native/count.c.
    """

    EGRESS = 1 << 0  # Rows.side(EGRESS, exact=False)
    INGRESS = 1 << 1
    EXACT_EGRESS = 1 << 2  # Rows.side(EGRESS, exact=True)
    EXACT_INGRESS = 1 << 3
    TO_INTERNET = 1 << 4
    FROM_INTERNET = 1 << 5
    PROTOCOL_TCP = 1 << 6  # of exact telemetry too
    TCP = 1 << 7
    UDP = 1 << 8
    FLAGS_KNOWN = 1 << 9
    SYN = 1 << 10
    OPENING = 1 << 11
    ACCEPTING = 1 << 12
    PROBE = 1 << 13
    SENDER_TOLD = 1 << 14
    RECEIVER_TOLD = 1 << 15


NOTHING: Final = Trait(0)
Term: TypeAlias = tuple[Trait, Trait]  # the traits a row must have, and those it must not


def side(direction: Direction) -> Trait:
    """Say whose rows: sent by our subjects, or to them."""
    return Trait.EGRESS if direction is Direction.EGRESS else Trait.INGRESS


@dataclass(frozen=True, slots=True)
class Pick:
    """Rows that fit one of at most two `terms`, and what each is worth: one part of a detector's take.

    Of these rows it takes those whose subject on the side of `direction` is ours, whatever the terms say.
    `source_ports` or `destination_ports`, where given, must hold the row's port. `worth` is a column
    or "events"; with `signed` a row that is not a SYN counts against. `item` is what is told apart.
    """

    terms: tuple[Term, ...]
    direction: Direction
    worth: Literal["bytes", "packets", "events"] = "events"
    signed: bool = False
    source_ports: tuple[int, ...] = ()
    destination_ports: tuple[int, ...] = ()
    item: Literal["", "address", "port"] = ""


@runtime_checkable
class Picking(Protocol):
    """A detector that says its `take` by traits: the same rows and amounts, a Pick for each part."""

    def picks(self, settings: DetectSettings) -> tuple[Pick, ...]:
        """Say what is taken, all destinations included; nothing where settings leave nothing to take."""
        ...
