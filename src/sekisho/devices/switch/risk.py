"""What a plan puts at risk: steps and both ends in, Risks with a sentence each out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sekisho.devices.switch.intent import Key


class RiskKind(StrEnum):
    """What can go wrong; operators allow a forbidden one by this name."""

    UPLINK = "uplink"
    PEER_LINK = "peer-link"
    PAIR = "pair"
    PAIR_MTU = "pair-mtu"
    MANAGEMENT = "management"
    CUT_OFF = "cut-off"
    VLAN_WITH_PORTS = "vlan-with-ports"
    FEATURE_OFF = "feature-off"
    INTERRUPTS = "interrupts"


@dataclass(frozen=True, slots=True)
class Risk:
    """One danger of a plan; a `forbidden` one is not applied unless allowed by its kind's name.

    The key of an SNMP community is a secret: show the sentence, which holds none.
    """

    kind: RiskKind
    key: Key
    sentence: str
    forbidden: bool = False
