"""A Nexus that is not one: NX-OS's doors over one model of the box, built from documentation."""

from sekisho.testing.nexus.box import Box, pair
from sekisho.testing.nexus.doors import Door, serve

__all__ = ["Box", "Door", "pair", "serve"]
