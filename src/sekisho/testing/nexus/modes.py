"""The modes of the command line and where a command stands when it is carried out."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sekisho.testing.nexus.grammar import Grammar

if TYPE_CHECKING:
    from sekisho.testing.nexus.box import Box
    from sekisho.testing.nexus.session import Session
    from sekisho.testing.nexus.tree import Tree

EXEC: Final = Grammar()
CONFIG: Final = Grammar()
INTERFACE: Final = Grammar()
VLAN: Final = Grammar()
ACL: Final = Grammar()
VPC: Final = Grammar()
VRF: Final = Grammar()

GRAMMARS: Final = {
    "": EXEC,
    "config": CONFIG,
    "config-if": INTERFACE,
    "config-if-range": INTERFACE,
    "config-vlan": VLAN,
    "config-acl": ACL,
    "config-ipv6-acl": ACL,
    "config-vpc-domain": VPC,
    "config-vrf": VRF,
}


@dataclass(frozen=True, slots=True)
class At:
    """Where a command is carried out: whose box, in which mode, and what the mode is about."""

    session: Session
    box: Box
    mode: str = ""
    about: tuple[str, ...] = field(default=())  # interfaces, VLAN ids, an access list's dn, a VRF's name

    @property
    def tree(self) -> Tree:
        """What the session works on."""
        return self.session.tree

    def enter(self, mode: str, *about: str) -> None:
        """Go into a mode below configuration."""
        self.session.enter(mode, about)
