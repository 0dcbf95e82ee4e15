"""Whether this machine, and whoever runs the tests, can share a ring with the kernel."""

from __future__ import annotations

from sekisho.flows.ring import Ring
from sekisho.model.errors import Unavailable


def has_ring() -> bool:
    """Try it."""
    try:
        Ring(64).close()
    except Unavailable:
        return False
    return True
